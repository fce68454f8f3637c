"""Slow, cut, huge, redirecting and dying servers: how long a call may last and what it may do."""

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from instruments.mycirrus import (
    Client,
    ConnectionFailed,
    NotConnected,
    RateLimited,
    ServerError,
    TimedOut,
    UnexpectedResponse,
)

from .served import KEY, Reply, Served, endless

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def sends(*pieces: bytes, pause: float = 0.0) -> Reply:
    def write(connection: socket.socket) -> None:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                return
            time.sleep(pause)

    return Reply(write=write)


def drips(served: Served, before: bytes, drop: bytes) -> Reply:
    """One drop each 0.05 s for as long as the client listens: no silence is ever long enough for a read timeout."""

    def write(connection: socket.socket) -> None:
        try:
            connection.sendall(before)
            while not served.stopping.wait(0.05):
                connection.sendall(drop)
        except OSError:
            pass

    return Reply(write=write)


def hangs(served: Served) -> Reply:
    return Reply(write=lambda _: served.stopping.wait(10))


@pytest.fixture
def impatient(served: Served) -> Any:
    with Client(KEY, served.url, timeout=(1.0, 0.9), deadline=1.2) as client:
        yield client


def took(call: Callable[[], Any], error: type[Exception]) -> float:
    begun = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - begun


def test_a_silent_server_times_out(served: Served, impatient: Client) -> None:
    served.say(hangs(served))
    assert took(impatient.instruments, TimedOut) < 8
    assert len(served.asked) == 1, "a slow server is not made slower"


@pytest.mark.parametrize(
    ("before", "drop"),
    [
        (HEAD + b"Content-Length: 9000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEAD + b"\r\n", b" "),
        (HEAD, b"X-More: 1\r\n"),
        (b"HTTP/1.1 200", b" "),
    ],
)
def test_a_dripping_server_does_not_hold_a_worker(
    served: Served, impatient: Client, before: bytes, drop: bytes
) -> None:
    served.say(drips(served, before, drop))
    # It would drip for ever.
    assert 1.0 < took(impatient.instruments, TimedOut) < 8


def test_a_dripping_error_is_still_that_error(served: Served, impatient: Client) -> None:
    served.say(drips(served, b"HTTP/1.1 429 Slow\r\nContent-Length: 900\r\nRetry-After: 9\r\n\r\n", b" "))
    assert took(impatient.instruments, RateLimited) < 8


def test_a_pooled_connection_gets_its_own_time_again(served: Served, impatient: Client) -> None:
    for _ in range(3):
        served.say([])
        impatient.instruments()
        time.sleep(0.7)


def test_nobody_there(nobody: str) -> None:
    with Client(KEY, nobody) as client:
        assert took(client.instruments, ConnectionFailed) < 8


def test_what_never_left_is_told_from_what_may_have(served: Served, nobody: str) -> None:
    """An order that may have been heard is never given again, so the two must not look alike."""
    for address in (nobody, "http://mycirrus.invalid/v1"):
        with Client(KEY, address) as client, pytest.raises(NotConnected):
            client.action("QT1", "Calibration")
    served.say(sends(b""))
    with Client(KEY, served.url) as client, pytest.raises(ConnectionFailed) as lost:
        client.action("QT1", "Calibration")
    assert not isinstance(lost.value, NotConnected)


def test_no_such_host() -> None:
    with Client(KEY, "http://mycirrus.invalid/v1") as client:
        assert took(client.instruments, ConnectionFailed) < 5


def test_a_get_is_tried_three_times_at_most(served: Served, client: Client) -> None:
    served.say(Reply(status=500), sends(b""), [])
    assert client.instruments() == []
    assert len(served.asked) == 3
    served.asked.clear()
    served.say(Reply(status=503))
    assert took(client.instruments, ServerError) < 8
    assert len(served.asked) == 3


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.action("QT1", "Calibration"),
        lambda client: client.instrument_rename("QT1", "x"),
        lambda client: client.webhook_create(type="NewEvent", serial="QT1", url="https://example.com"),
        lambda client: client.webhook_delete("x"),
    ],
)
@pytest.mark.parametrize(
    ("reply", "error"), [(Reply(status=500), ServerError), (sends(b""), ConnectionFailed)]
)
def test_what_changes_something_is_tried_once(
    served: Served, client: Client, call: Callable[[Client], Any], reply: Reply, error: type[Exception]
) -> None:
    served.say(reply)
    with pytest.raises(error):
        call(client)
    assert len(served.asked) == 1


def test_retries_end_with_the_deadline(served: Served) -> None:
    served.say(sends(b"", pause=0.2))
    with (
        Client(KEY, served.url, deadline=0.3) as client,
        # On a busy machine the deadline may come while the second try still waits.
        pytest.raises((ConnectionFailed, TimedOut)),
    ):
        client.instruments()
    assert len(served.asked) < 3


@pytest.mark.parametrize(
    "reply",
    [
        sends(HEAD + b'Content-Length: 100\r\n\r\n[{"serialNumber": "QT1"}'),
        sends(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n[{"se'),
        sends(HEAD + b'Transfer-Encoding: chunked\r\n\r\nzz\r\n[{"se'),
        sends(HEAD + b'\r\n[{"serialNumber": "QT1"}'),
        sends(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
        sends(b"nonsense\r\n\r\n"),
    ],
)
def test_a_broken_answer_is_never_half_a_list(served: Served, client: Client, reply: Reply) -> None:
    served.say(reply)
    with pytest.raises(ConnectionFailed):
        client.instruments()
    assert len(served.asked) == 3


def test_an_endless_answer_is_cut(served: Served) -> None:
    with Client(KEY, served.url, size_cap=100_000) as client:
        served.say(Reply(raw=b"[" + b" " * 99_998 + b"]"))
        assert client.instruments() == []
        served.say(Reply(raw=b"[" + b" " * 99_999 + b"]"))
        with pytest.raises(UnexpectedResponse, match="larger"):
            client.instruments()
        bomb = gzip.compress(b"[" + b" " * 30_000_000 + b"]")
        served.say(Reply(raw=bomb, headers={"Content-Encoding": "gzip"}))
        with pytest.raises(UnexpectedResponse, match="larger"):
            client.instruments()


def test_gzip_is_read(served: Served, client: Client) -> None:
    served.say(Reply(raw=gzip.compress(b'[{"serialNumber": "QT1"}]'), headers={"Content-Encoding": "gzip"}))
    assert client.instruments()[0].serial == "QT1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_does_not_travel_with_a_redirect(served: Served, client: Client, status: int) -> None:
    other = Served()
    threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        served.say(Reply(None, status=status, headers={"Location": other.url + "/control/instruments"}))
        with pytest.raises(UnexpectedResponse, match=r"redirects to 127\.0\.0\.1"):
            client.instruments()
        assert not other.asked
        assert len(served.asked) == 1
    finally:
        other.shutdown()
        other.server_close()


def test_the_body_of_a_redirect_is_not_read_to_its_end(served: Served, client: Client) -> None:
    hung_up = threading.Event()
    head = b"HTTP/1.1 302 Found\r\nLocation: /v1/elsewhere\r\n\r\n"
    served.say(Reply(write=lambda connection: endless(connection, head, hung_up)))
    with pytest.raises(UnexpectedResponse, match="302"):
        client.instruments()
    assert hung_up.wait(60)


def test_a_cut_audio_stream_raises(served: Served, client: Client) -> None:
    served.say(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nfLaC"))
    with client.audio("x") as stream, pytest.raises(ConnectionFailed):
        list(stream)


def test_an_untrusted_certificate_is_refused(served: Served) -> None:
    with Client(KEY, served.url.replace("http:", "https:")) as client, pytest.raises(ConnectionFailed):
        client.instruments()
    assert not served.asked


def test_netrc_plays_no_part(served: Served, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    os.chmod(netrc, 0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Client(KEY, served.url) as client:
        client.instruments()
    assert "Authorization" not in served.asked[0].headers


@pytest.mark.parametrize(
    "address", ["", "api.mycirrus.cloud/v1", "ftp://x/v1", "file:///etc", "http://", "http://a:b@c/v1"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Client(KEY, address)


class _Limiter:
    """Counts, and refuses when told to."""

    def __init__(self) -> None:
        self.acquired = 0
        self.penalties: list[float | None] = []
        self.refuse = False

    def acquire(self) -> None:
        if self.refuse:
            raise RateLimited(retry_after=3.0)
        self.acquired += 1

    def penalise(self, retry_after: float | None) -> float:
        self.penalties.append(retry_after)
        return 8.0 if retry_after is None else retry_after


def test_every_request_asks_the_limiter_and_every_429_is_told_to_it(served: Served) -> None:
    limiter = _Limiter()
    with Client(KEY, served.url, limiter) as client:
        served.say(Reply(status=500), Reply(status=500), [])
        client.instruments()
        assert (limiter.acquired, limiter.penalties) == (3, [])
        served.say(
            Reply(status=429, headers={"Retry-After": "4"}), Reply({"error": "TooManyRequests"}, status=400)
        )
        for wait in (4.0, 8.0):
            with pytest.raises(RateLimited) as caught:
                client.instruments()
            assert caught.value.retry_after == wait
        assert (limiter.acquired, limiter.penalties) == (5, [4.0, None])
        served.say({"error": "TooManyRequests"})
        with pytest.raises(RateLimited) as caught:
            client.instruments()
        assert caught.value.retry_after == 8.0
        assert caught.value.status == 200, (
            "it left this machine: whoever asks whether it may be sent again must know"
        )
        assert (limiter.acquired, limiter.penalties) == (6, [4.0, None, None])
        limiter.refuse = True
        with pytest.raises(RateLimited) as caught:
            client.instruments()
    assert (caught.value.retry_after, caught.value.status, caught.value.operation) == (
        3.0,
        None,
        "list instruments",
    )
    assert len(served.asked) == 6


def test_threads_share_a_client(served: Served) -> None:
    served.say([{"serialNumber": "QT1"}])
    found: list[str] = []
    with Client(KEY, served.url) as client:
        threads = [
            threading.Thread(target=lambda: found.append(client.instruments()[0].serial)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert found == ["QT1"] * 8
