"""Which error each answer means, what it tells a person, and that no error ever shows a key."""

import io
import logging
import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from instruments.mycirrus import (
    AuthenticationFailed,
    BadRequest,
    Client,
    ConnectionFailed,
    MissingScope,
    MyCirrusError,
    NotFound,
    PermanentError,
    RateLimited,
    ServerError,
    TimedOut,
    TransientError,
    UnexpectedResponse,
)
from instruments.mycirrus import errors as module

from .served import KEY, Reply, Served


def body(code: str, description: str = "Words for people.") -> dict[str, str]:
    return {"error": code, "description": description}


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (400, body("MissingParam"), BadRequest),
        (400, body("NotFound"), NotFound),
        (404, body("NotFound"), NotFound),
        (404, body("MissingParam"), BadRequest),
        (401, body("TokenExpired"), AuthenticationFailed),
        (400, body("TokenExpired"), AuthenticationFailed),
        (403, body("AccessDenied"), MissingScope),
        (429, body("TooManyRequests"), RateLimited),
        (403, body("TooManyRequests"), RateLimited),
        (503, body("TooManyRequests"), RateLimited),
        (400, {"Error": "notfound"}, NotFound),
        (400, body("SomethingNew"), BadRequest),
        (401, body("SomethingNew"), AuthenticationFailed),
        (403, {"message": "Forbidden"}, MissingScope),
        (404, None, NotFound),
        (410, [], NotFound),
        (422, "text", BadRequest),
        (400, {"error": 7, "description": {}}, BadRequest),
        (405, body(""), UnexpectedResponse),
        (408, {}, TimedOut),
        (500, body("NotFound"), ServerError),
        (502, None, ServerError),
        (599, {}, ServerError),
    ],
)
def test_answer_and_its_error(
    served: Served, client: Client, status: int, document: Any, expected: type[MyCirrusError]
) -> None:
    served.say(Reply(document, status=status))
    with pytest.raises(MyCirrusError) as caught:
        client.action("QT1", "SIC")
    assert type(caught.value) is expected
    assert caught.value.status == status
    assert caught.value.operation == "start SIC"
    assert str(status) in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"<html>502 Bad Gateway</html>", b"\xff\xfe", b"{", b"null", b"[" * 100_000]
)
@pytest.mark.parametrize(
    ("status", "expected"), [(502, ServerError), (401, AuthenticationFailed), (400, BadRequest)]
)
def test_error_body_missing_or_not_json(
    served: Served, client: Client, raw: bytes, status: int, expected: type[MyCirrusError]
) -> None:
    served.say(Reply(raw=raw, status=status, headers={"Content-Type": "text/html"}))
    with pytest.raises(expected) as caught:
        client.action("QT1", "SIC")
    assert caught.value.code == ""
    assert "<html" not in str(caught.value)


def test_code_and_description_are_told(served: Served, client: Client) -> None:
    served.say(Reply(body("NotFound", "The instrument QT123456 could not be found."), status=400))
    with pytest.raises(NotFound) as caught:
        client.status("QT123456")
    assert str(caught.value) == "get status: The instrument QT123456 could not be found. (HTTP 400, NotFound)"
    assert caught.value.code == "NotFound"
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"<html>Sign in</html>",
        b"",
        b"  ",
        b'"text"',
        b"null",
        b"3",
        b"{}",
        b"\xff[]",
        b"[1,]",
        b"[" * 90_000 + b"]",
    ],
)
def test_an_answer_that_is_no_list_is_unexpected(served: Served, client: Client, raw: bytes) -> None:
    served.say(Reply(raw=raw))
    with pytest.raises(UnexpectedResponse) as caught:
        client.instruments()
    assert caught.value.body == raw.decode("utf-8", "replace").strip()[:4000] or raw in (
        b"",
        b"  ",
        b"null",
        b"3",
        b'"text"',
    )
    assert len(served.asked) == 1


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"7"])
def test_an_answer_that_is_no_object_is_unexpected(served: Served, client: Client, raw: bytes) -> None:
    served.say(Reply(raw=raw))
    with pytest.raises(UnexpectedResponse):
        client.status("QT1")


def test_an_error_body_under_200_is_that_error(served: Served, client: Client) -> None:
    served.say(body("AccessDenied"))
    with pytest.raises(MissingScope):
        client.instruments()
    with pytest.raises(MissingScope):
        client.status("QT1")


def test_a_byte_order_mark_does_no_harm(served: Served, client: Client) -> None:
    served.say(Reply(raw=b"\xef\xbb\xbf[]"))
    assert client.instruments() == []


@pytest.mark.parametrize("raw", [b'[{"serialNumber": "QT1"}, {"ser', b'[{"a": 1.', b'{"online": tr'])
def test_json_that_breaks_off_is_worth_another_try(served: Served, client: Client, raw: bytes) -> None:
    served.say(Reply(raw=raw), [])
    assert client.instruments() == []
    served.say(Reply(raw=raw))
    with pytest.raises(ConnectionFailed, match="broke off"):
        client.instruments()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "999999999"}, 86_400.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)}, 0.0),
    ],
)
def test_retry_after(served: Served, client: Client, headers: dict[str, str], expected: float | None) -> None:
    served.say(Reply(body("TooManyRequests"), status=429, headers=headers))
    with pytest.raises(RateLimited) as caught:
        client.instruments()
    assert caught.value.retry_after == expected
    assert len(served.asked) == 1, "a 429 is never tried again inside the client"


def test_retry_after_as_a_date(served: Served, client: Client) -> None:
    later = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 30, UTC)
    served.say(Reply(body(""), status=429, headers={"Retry-After": format_datetime(later, usegmt=True)}))
    with pytest.raises(RateLimited) as caught:
        client.instruments()
    assert caught.value.retry_after is not None
    assert 25 <= caught.value.retry_after <= 31


@pytest.mark.parametrize(
    "reply", [Reply(None, status=404), Reply(raw=b"<html>", status=404), Reply({}, status=405)]
)
def test_webhook_changes_that_are_not_offered_are_said_so(
    served: Served, client: Client, reply: Reply
) -> None:
    served.say(reply)
    with pytest.raises(UnexpectedResponse):
        client.webhook_delete("x1")
    with pytest.raises(UnexpectedResponse):
        client.webhook_update("x1", type="NewEvent", serial="QT1", url="https://example.com")


def test_deleting_a_webhook_that_is_gone_is_not_found(served: Served, client: Client) -> None:
    served.say(Reply(body("NotFound"), status=404))
    with pytest.raises(NotFound):
        client.webhook_delete("x1")


def test_a_new_webhook_without_an_id_is_unexpected(served: Served, client: Client) -> None:
    for answer in (Reply({"type": "NewEvent"}, status=201), Reply(status=204)):
        served.say(answer)
        with pytest.raises(UnexpectedResponse):
            client.webhook_create(type="NewEvent", serial="QT1", url="https://example.com")


@pytest.mark.parametrize("serial", ["", ".", ".."])
def test_a_serial_that_would_name_another_resource_is_never_sent(
    served: Served, client: Client, serial: str
) -> None:
    for call in (client.status, client.instrument, client.audio, client.webhook_delete):
        with pytest.raises(BadRequest):
            call(serial)
    assert not served.asked


def test_every_error_tells_the_next_move_and_survives_pickling() -> None:
    kinds = [
        kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, MyCirrusError)
    ]
    assert len(kinds) > 10
    for kind in kinds:
        error = kind("Words.", operation="get status", status=418, code="Teapot")
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(again), str(again), again.status, again.code) == (kind, str(error), 418, "Teapot")
        assert error.next_move.endswith(".")
    # NotConnected is a ConnectionFailed of which more is known; the move is the same.
    assert len({kind.next_move for kind in kinds}) == len(kinds) - 1
    assert pickle.loads(pickle.dumps(RateLimited(retry_after=7))).retry_after == 7  # noqa: S301
    for kind in (ConnectionFailed, TimedOut, ServerError, RateLimited):
        assert issubclass(kind, TransientError)
    for permanent in (AuthenticationFailed, MissingScope, NotFound, BadRequest, UnexpectedResponse):
        assert issubclass(permanent, PermanentError)


# The key never shows


def shown(error: BaseException, local_values: bool = True) -> str:
    """Everything that a log, a page or an error report could make of an exception, with all that is chained to it."""
    text = io.StringIO()
    seen: BaseException | None = error
    while seen is not None:
        text.write(f"{seen!s} {seen!r} {seen.args!r} {vars(seen)!r}\n")
        text.write("".join(traceback.format_exception(seen)))
        frames = traceback.TracebackException.from_exception(seen, capture_locals=local_values)
        text.writelines(frames.format())
        seen = seen.__cause__ or seen.__context__
    return text.getvalue()


def error_of(call: Callable[[], Any]) -> MyCirrusError:
    """What `call` raises, with a traceback that ends here: the frames of a test hold the key."""
    try:
        call()
    except MyCirrusError as error:
        return error
    raise AssertionError("nothing was raised")


def close_at_once(connection: Any) -> None:
    connection.close()


ECHO = f"Key {KEY} and {KEY.lower()} refused"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body("TokenExpired", ECHO), status=401),
        Reply(body(KEY, ECHO), status=400),
        Reply(raw=f"<html>{ECHO}</html>".encode(), status=502),
        Reply(raw=f"<html>{ECHO}</html>".encode()),
        Reply(ECHO),
        Reply({"error": ECHO}),
        Reply(body("TooManyRequests", ECHO), status=429),
        Reply(None, status=302, headers={"Location": f"http://127.0.0.1:1/{KEY}?k={KEY}"}),
        Reply(None, status=302, headers={"Location": f"http://{KEY}/"}),
        Reply(write=close_at_once),
        Reply(raw=b"[1", headers={"Content-Encoding": "gzip"}),
        Reply(raw=b"[1"),
    ],
)
def test_the_key_is_in_nothing_that_an_error_shows(
    served: Served, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    served.say(reply)
    client = Client(KEY, served.url, timeout=(1, 1))
    calls: list[Callable[[], Any]] = [
        client.instruments,
        lambda: client.status("QT1"),
        lambda: client.action("QT1", "SIC"),
        lambda: client.audio("x"),
    ]
    # A good body under 200 is sound to the audio call.
    for call in calls if reply.status != 200 or reply.write else calls[:3]:
        error = error_of(call)
        # Where the server echoes the key, its raw answer is a local of ours.
        assert KEY.lower() not in shown(error, local_values=KEY not in repr(reply)).lower()
        assert KEY.lower() not in repr(pickle.dumps(error)).lower()
        assert error.__cause__ is None
        assert error.__context__ is None
    assert KEY not in caplog.text
    assert served.asked[0].headers["X-Api-Key"] == KEY


def test_the_key_is_in_nothing_when_there_is_nobody(nobody: str) -> None:
    error = error_of(Client(KEY, nobody).instruments)
    assert isinstance(error, ConnectionFailed)
    assert KEY not in shown(error)
    assert error.__context__ is None


def test_the_client_shows_the_last_four_only() -> None:
    client = Client(KEY)
    assert repr(client) == "<Client 3344 at https://api.mycirrus.cloud/v1>"
    assert KEY not in repr(vars(client)) + repr(vars(client._transport)) + repr(
        vars(client._transport._session)
    )
    assert "abc" not in repr(Client("abc"))


@pytest.mark.parametrize("junk", ["", "  ", "my key", "key\r\nX-Other: 1", "kéy-1234567890", "\x00abc", None])
def test_what_cannot_be_a_key_is_refused_without_showing_it(junk: Any) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        Client(junk)
    assert not junk or not junk.strip() or junk not in str(caught.value)


def test_white_space_around_a_pasted_key_is_dropped(served: Served) -> None:
    with Client(f" {KEY}\n", served.url) as client:
        client.instruments()
    assert served.asked[0].headers["X-Api-Key"] == KEY


def test_webhook_secrets_are_in_no_error(
    served: Served, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "9c0f-very-secret"
    listed = f'[{{"id": "x1", "secret": "{secret}"'
    for reply in (
        Reply(raw=listed.encode()),
        Reply({"secret": secret}),
        Reply(body("MissingParam", secret), status=400),
    ):
        served.say(reply)
        for call in (client.webhooks, lambda: client.webhook("x1")):
            with pytest.raises(MyCirrusError) as caught:
                call()
            assert secret not in str(caught.value) + repr(vars(caught.value))
    served.say([{"no": "id", "secret": secret}])
    with pytest.raises(UnexpectedResponse) as caught:
        client.webhooks()
    assert secret not in str(caught.value) + repr(vars(caught.value))
    assert secret not in caplog.text
