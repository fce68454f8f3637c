"""The live socket's client: what it understands, and how it comes back from every fault, over real sockets."""

import asyncio
import base64
import hashlib
import json
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from instruments.mycirrus import AuthenticationFailed
from instruments.mycirrus.live import (
    Levels,
    Link,
    LinkState,
    LiveSocket,
    LiveStatus,
    Pace,
    Problem,
    live_message,
)
from tests.loops import run_async
from tests.simulated import SimulatedMyCirrus

KEY = SimulatedMyCirrus.key
TYPES = ("LAeq", "LAF", "LCPeak")
QUICK = Pace(first_retry=0.05, longest_retry=0.2, offline_retry=0.1, refused_retry=0.1)

# --- What is understood


@pytest.mark.parametrize(
    "text",
    [
        '{"action":"KeepAlive"}',
        '{"type":"FirmwareNews","error":"none"}',
        '{"type":"ActionStatus","action":"SIC","status":"Failed","error":"Too loud"}',
        "not JSON",
        "[1,2]",
        "null",
        "{}",
        "[" * 5000,
    ],
)
def test_what_is_not_for_us_is_skipped(text: str) -> None:
    assert live_message(text) is None


def test_an_error_without_a_type_is_a_problem() -> None:
    assert live_message('{"error":"AccessDenied","description":"No."}') == Problem("AccessDenied", "No.")


def test_values_have_the_spelling_that_was_asked_for() -> None:
    text = '{"type":"livedata","time":"2026-11-22T10:00:00.1234567Z","values":[{"Name":"lAeq","Value":52.3}]}'
    message = live_message(text, TYPES)
    assert isinstance(message, Levels)
    assert message.values == {"LAeq": 52.3}
    assert message.at is not None
    assert message.at.isoformat() == "2026-11-22T10:00:00.123456+00:00"


def test_what_is_not_a_number_is_a_gap() -> None:
    values = [
        {"name": "LAeq", "value": "..."},
        {"name": "LAF", "value": None},
        {"name": "LCPeak"},
        "...",
        {"value": 50},
        {"name": "LZF", "value": 0},
    ]
    message = live_message(json.dumps({"type": "LiveData", "values": values}), TYPES)
    assert message == Levels(None, {"LZF": 0.0})
    assert live_message('{"type":"LiveData","values":[{"name":"LAeq","value":NaN}]}') == Levels(None, {})
    assert live_message('{"type":"LiveData"}') == Levels(None, {})


def test_a_status_keeps_what_was_not_said() -> None:
    message = live_message('{"type":"InstrumentStatus","online":true,"sicInProgress":"yes"}')
    assert message == LiveStatus(None, True, None, None, None)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="address"):
        LiveSocket(KEY, "https://user:word@api.example/v1", "QT1", TYPES, print)
    with pytest.raises(AuthenticationFailed):
        LiveSocket("two words", "https://api.example/v1", "QT1", TYPES, print)


def test_retries_are_spread_and_bounded() -> None:
    pace = Pace()
    broken = [pace.pause(Link(LinkState.INTERRUPTED), failures) for failures in range(40)]
    assert broken[0] <= 1.3
    assert max(broken) <= 39
    assert len(set(broken)) == 40
    assert pace.pause(Link(LinkState.INTERRUPTED, retry_after=120), 0) == 120


# --- How it holds on


class Heard:
    """What a socket told."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._news = asyncio.Event()

    def __call__(self, message: Any) -> None:
        self.all.append(message)
        self._news.set()

    async def until(self, fits: Callable[[Any], bool], *, after: int = 0) -> Any:
        async with asyncio.timeout(60):
            while True:
                for message in self.all[after:]:
                    if fits(message):
                        return message
                self._news.clear()
                await self._news.wait()

    async def state(self, state: LinkState, *, after: int = 0) -> Link:
        return await self.until(lambda told: isinstance(told, Link) and told.state is state, after=after)

    async def levels(self, *, after: int = 0) -> Levels:
        return await self.until(lambda told: isinstance(told, Levels), after=after)


Watching = Callable[[Heard, LiveSocket], Awaitable[Any]]


def listen(
    base_url: str, serial: str, watching: Watching, *, key: str = KEY, pace: Pace = QUICK
) -> list[Any]:
    """Hold a socket open while ``watching`` runs; all that was told."""

    async def run() -> list[Any]:
        heard = Heard()
        live = LiveSocket(key, base_url, serial, TYPES, heard, pace)
        task = asyncio.create_task(live.run())
        try:
            await watching(heard, live)
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled(), task.exception()
        return heard.all

    return run_async(run())


@pytest.fixture(scope="module")
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(epoch=None) as simulated:
        yield simulated


@pytest.fixture
def serial(mycirrus: SimulatedMyCirrus) -> Iterator[str]:
    found = mycirrus.facts()["demo"]
    yield found
    mycirrus.moods()
    mycirrus.offline(found, None)


def test_levels_arrive_and_the_key_stays_in_its_header(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    mycirrus.forget_requests()

    async def watching(heard: Heard, _: LiveSocket) -> None:
        levels = await heard.levels()
        assert set(levels.values) == set(TYPES)
        assert all(20 < value < 140 for value in levels.values.values())
        await heard.levels(after=len(heard.all))

    told = listen(mycirrus.base_url, serial, watching)

    assert [message.state for message in told[:2]] == [LinkState.CONNECTING, LinkState.OPEN]
    assert told[2] == LiveStatus(told[2].at, True, True, False, False)
    asked = mycirrus.requests()
    assert asked["total"] == 1
    assert KEY not in json.dumps(asked)
    mycirrus.until(lambda: mycirrus.live_sockets() == 0)


def test_other_values_on_the_same_connection(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    async def watching(heard: Heard, live: LiveSocket) -> None:
        await heard.levels()
        await live.replace(("LAeq", "1KHz"))
        await heard.until(lambda told: isinstance(told, Levels) and set(told.values) == {"LAeq", "1KHz"})
        assert mycirrus.live_sockets() == 1

    listen(mycirrus.base_url, serial, watching)


def test_an_instrument_that_goes_and_comes_back(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    async def watching(heard: Heard, _: LiveSocket) -> None:
        await heard.levels()
        await asyncio.to_thread(mycirrus.offline, serial)
        await heard.state(LinkState.OFFLINE)
        before = len(heard.all)
        # The next try is refused at the door: still offline, and nothing worse.
        await heard.state(LinkState.OFFLINE, after=before)
        await asyncio.to_thread(mycirrus.offline, serial, False)
        await heard.levels(after=before)

    told = listen(mycirrus.base_url, serial, watching)
    assert LinkState.REFUSED not in [message.state for message in told if isinstance(message, Link)]


def test_mycirrus_restarts() -> None:
    with SimulatedMyCirrus(epoch=None) as first:
        serial, port = first.facts()["demo"], urlsplit(first.base_url).port

        async def watching(heard: Heard, _: LiveSocket) -> None:
            await heard.levels()
            first.stop()
            await heard.state(LinkState.INTERRUPTED)
            before = len(heard.all)
            second = SimulatedMyCirrus(f"--port={port}", epoch=None)
            try:
                await asyncio.to_thread(second.start)
                # Asked again for levels, by itself.
                await heard.levels(after=before)
            finally:
                second.stop()

        listen(first.base_url, serial, watching)


def test_a_wrong_key_is_refused(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    async def watching(heard: Heard, _: LiveSocket) -> None:
        assert (await heard.state(LinkState.REFUSED)).key

    listen(mycirrus.base_url, serial, watching, key="mycirrus-999999-NOSUCHKEY0000000")


def test_a_key_without_the_scope_for_the_socket(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    key = "mycirrus-000002-000000000000000A"
    mycirrus.add_key(key, ["data.live:read"])

    async def watching(heard: Heard, _: LiveSocket) -> None:
        assert not (await heard.state(LinkState.REFUSED)).key

    listen(mycirrus.base_url, serial, watching, key=key)


def test_a_key_without_the_scope_for_levels(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    key = "mycirrus-000003-000000000000000B"
    mycirrus.add_key(key, ["instruments:read"])

    async def watching(heard: Heard, _: LiveSocket) -> None:
        problem = await heard.until(lambda told: isinstance(told, Problem))
        assert problem.forbids

    listen(mycirrus.base_url, serial, watching, key=key)


@pytest.mark.parametrize(("mood", "state"), [("429", "interrupted"), ("500", "interrupted")])
def test_moods_at_the_door(mycirrus: SimulatedMyCirrus, serial: str, mood: str, state: str) -> None:
    mycirrus.moods(**{mood: True, "path": "/v1/live", "count": 2})

    async def watching(heard: Heard, _: LiveSocket) -> None:
        await heard.state(LinkState(state))
        await heard.levels()

    listen(mycirrus.base_url, serial, watching)


def test_nobody_there(serial: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def watching(heard: Heard, _: LiveSocket) -> None:
        await heard.state(LinkState.INTERRUPTED)
        await heard.state(LinkState.INTERRUPTED, after=len(heard.all))

    told = listen("http://127.0.0.1:9/v1", serial, watching)
    assert KEY not in repr(told) + caplog.text


# --- Servers that misbehave, frame by frame


class Peer:
    """The server's end of one socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader, self._writer, self.head = reader, writer, head

    async def accept(self) -> None:
        key = next(
            line.split(": ", 1)[1]
            for line in self.head.split("\r\n")
            if line.lower().startswith("sec-websocket-key")
        )
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False)
        answer = base64.b64encode(digest.digest()).decode()
        await self.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {answer}\r\n\r\n".encode()
        )

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def frame(self, payload: bytes, *, opcode: int = 1, last: bool = True) -> None:
        length = len(payload)
        size = bytes([length]) if length < 126 else b"\x7e" + struct.pack(">H", length)
        await self.write(bytes([opcode | (0x80 if last else 0)]) + size + payload)

    async def hear(self) -> Any:
        """The next text message."""
        first, second = await self._reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self._reader.readexactly(2))
        mask = await self._reader.readexactly(4)
        payload = await self._reader.readexactly(length)
        text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        assert first & 0x0F == 1, "not a text message"
        return json.loads(text)


@asynccontextmanager
async def serving(behaving: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[str]:
    """A server whose every connection is ``behaving``."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await behaving(Peer(reader, writer, head))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


def against(
    behaving: Callable[[Peer], Awaitable[None]],
    watching: Callable[[Heard], Awaitable[None]],
    pace: Pace = QUICK,
) -> None:
    async def run() -> None:
        async with serving(behaving) as base_url:
            heard = Heard()
            task = asyncio.create_task(LiveSocket(KEY, base_url, "QT 1/2", TYPES, heard, pace).run())
            try:
                await watching(heard)
            finally:
                task.cancel()
                await asyncio.wait({task})

    run_async(run())


def test_a_message_in_pieces_is_joined_and_junk_between_is_skipped() -> None:
    heads: list[str] = []

    async def behaving(peer: Peer) -> None:
        heads.append(peer.head)
        await peer.accept()
        assert await peer.hear() == {"action": "StartLiveData", "types": list(TYPES)}
        values = [{"name": f"LAeq,{minutes}m", "value": 50.5} for minutes in range(200)]
        text = json.dumps({"type": "LiveData", "values": values}).encode()
        await peer.frame(b"\xff\x00", opcode=2)
        await peer.frame(b"<html>")
        await peer.frame(text[:1024], last=False)
        await peer.frame(text[1024:3000], opcode=0, last=False)
        await peer.frame(text[3000:], opcode=0)
        await peer.hear()

    async def watching(heard: Heard) -> None:
        levels = await heard.levels()
        assert len(levels.values) == 200

    against(behaving, watching)
    assert heads[0].startswith("GET /v1/live/QT%201%2F2 HTTP/1.1")
    assert f"X-Api-Key: {KEY}" in heads[0]


def test_keep_alive_is_sent() -> None:
    alive = asyncio.Event()

    async def behaving(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        assert await peer.hear() == {"action": "KeepAlive"}
        assert await peer.hear() == {"action": "KeepAlive"}
        alive.set()
        await peer.hear()

    async def watching(_: Heard) -> None:
        async with asyncio.timeout(60):
            await alive.wait()

    against(behaving, watching, Pace(keep_alive=0.1))


@pytest.mark.parametrize("levels_first", [True, False])
def test_a_line_gone_dead_is_made_anew(levels_first: bool) -> None:
    connections = []

    async def behaving(peer: Peer) -> None:
        connections.append(peer)
        await peer.accept()
        await peer.hear()
        if levels_first or len(connections) > 1:
            await peer.frame(b'{"type":"LiveData","values":[{"name":"LAeq","value":50}]}')
        await asyncio.sleep(30)

    async def watching(heard: Heard) -> None:
        link = await heard.state(LinkState.INTERRUPTED)
        assert link.reason == "silence"
        await heard.levels(after=heard.all.index(link))

    against(behaving, watching, Pace(silence=0.2 if not levels_first else 60, stall=0.2, first_retry=0.05))


def test_a_line_that_gives_a_value_and_falls_is_tried_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until one outlasts the longest pause."""
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        if seconds < pace.keep_alive:
            pauses.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr("instruments.mycirrus.live.asyncio.sleep", noted)
    pace = Pace(first_retry=0.05, longest_retry=0.4)
    connections = []

    async def behaving(peer: Peer) -> None:
        connections.append(peer)
        await peer.accept()
        await peer.hear()
        await peer.frame(b'{"type":"LiveData","values":[{"name":"LAeq","value":50}]}')
        if len(connections) == 5:
            await sleep(0.6)

    async def watching(_: Heard) -> None:
        async with asyncio.timeout(30):
            while len(pauses) < 6:
                await sleep(0.02)

    against(behaving, watching, pace)
    assert pauses[:6] == [0.1, 0.2, 0.4, 0.4, 0.05, 0.1]


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize("told", ["120", "Sun, 22 Nov 2026 10:02:00 GMT"])
def test_a_handshake_put_off_comes_back_when_it_is_told_to(status: str, told: str) -> None:
    async def behaving(peer: Peer) -> None:
        # The server's clock counts: ours says another time.
        date = "Date: Sun, 22 Nov 2026 10:00:00 GMT"
        await peer.write(
            f"HTTP/1.1 {status}\r\n{date}\r\nRetry-After: {told}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    async def watching(heard: Heard) -> None:
        assert (await heard.state(LinkState.INTERRUPTED)).retry_after == 120

    against(behaving, watching)


def test_a_redirect_does_not_carry_the_key_away() -> None:
    elsewhere: list[str] = []

    async def run() -> None:
        async def there(peer: Peer) -> None:
            elsewhere.append(peer.head)

        async with serving(there) as foreign:

            async def behaving(peer: Peer) -> None:
                await peer.write(
                    f"HTTP/1.1 302 Found\r\nLocation: {foreign}/live/QT1\r\nContent-Length: 0\r\n\r\n".encode()
                )

            async with serving(behaving) as base_url:
                heard = Heard()
                task = asyncio.create_task(LiveSocket(KEY, base_url, "QT1", TYPES, heard, QUICK).run())
                link = await heard.state(LinkState.REFUSED)
                task.cancel()
                await asyncio.wait({task})
                assert "redirect" in link.reason

    run_async(run())
    assert elsewhere == []


def test_a_key_that_is_echoed_is_not_told_on() -> None:
    async def behaving(peer: Peer) -> None:
        await peer.accept()
        await peer.frame(json.dumps({"error": "Odd", "description": f"What is {KEY}?"}).encode())
        await asyncio.sleep(30)

    async def watching(heard: Heard) -> None:
        problem = await heard.until(lambda told: isinstance(told, Problem))
        assert problem.description == "What is [key]?"

    against(behaving, watching)
