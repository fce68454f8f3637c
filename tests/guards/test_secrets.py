"""No secret reaches a log line, a repr, a pickle or an exception; every log line is JSON that says whose it is."""

import io
import json
import logging
import logging.config
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.apps import apps
from django.conf import settings
from django.views.debug import get_default_exception_reporter_filter

from cirrusweb.celery import app as celery_app
from cirrusweb.log import redact
from instruments.credentials import SecretUnreadable, decrypt, encrypt
from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from tests.conftest import SECRET, People, make_key

WEBHOOK_SECRET = "5ec4e7aa-1111-4222-8333-444455556666"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def our_logging() -> Iterator[None]:
    """The installation's own logging; what was there comes back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logging.config.dictConfig(settings.LOGGING)
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = before
    logging.getLogger("django.server").handlers.clear()


@pytest.fixture
def lines(our_logging: None) -> Lines:
    """Reads back what the stderr handler wrote."""
    stream = io.StringIO()
    handler = (
        logging.getHandlerByName("stderr") if sys.version_info >= (3, 12) else logging._handlers["stderr"]
    )
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def _raise() -> None:
    raise ConnectionError(f"GET https://api/v1/live/QT1?x-api-key={SECRET} with {{'X-Api-Key': 'plain-key'}}")


def _from_standard_library() -> None:
    log = logging.getLogger("somebody.elses.code")
    sentence, document = f"key is {SECRET}", json.dumps({"secret": WEBHOOK_SECRET, "id": "w1"})
    log.warning(sentence)
    log.warning(
        "key is %s, headers %r", SECRET, {"X-Api-Key": "plain-key", "Authorization": "Bearer plain-key"}
    )
    log.warning("raw headers %r", [(b"x-api-key", b"plain-key")])
    log.warning("extra", extra={"headers": {"X-Api-Key": "plain-key"}, "secret": WEBHOOK_SECRET})
    log.warning("connecting to %s", "redis://:plain-key@127.0.0.1:6379/0")
    log.warning("connecting to %s", "postgres://cirrusweb:plain-key@db.example.com/cirrusweb")
    log.warning("POST /hooks/plain-key_plain-key_plain-key/ 200")
    log.warning("Gone: /alerts/unsubscribe/plain-key_plain-key:1xXuQi:plain-key/")
    log.warning("GET /alerts/plain-key_plain-key:1xXuQi:plain-key/ 200")
    log.warning("Not Found: /accounts/confirm-email/MQ%3A1xXuQi%3Aplain-key/")
    log.warning("Not Found: /calendar/plain-key_plain-key:plain-key.ics")
    log.warning(document)
    try:
        _raise()
    except ConnectionError:
        log.exception("failed")


def _from_structlog() -> None:
    log = structlog.get_logger("ours")
    log.warning("stored", key=SECRET, api_key="plain-key", nested={"webhooks": [{"secret": WEBHOOK_SECRET}]})
    log.warning("object", thing=ValueError(f"token={WEBHOOK_SECRET}"))
    log.warning("bytes", body=f'{{"secret":"{WEBHOOK_SECRET}"}}'.encode())
    try:
        _raise()
    except ConnectionError:
        log.exception("failed")


@pytest.mark.parametrize("write", [_from_standard_library, _from_structlog])
def test_no_secret_in_a_line(lines: Lines, write: Callable[[], None]) -> None:
    write()
    written = json.dumps(lines())
    assert len(lines()) >= 4
    for secret in (SECRET, SECRET[-12:], "plain-key", WEBHOOK_SECRET):
        assert secret not in written
    assert "ConnectionError" in written
    assert "[redacted]" in written


def test_a_line_says_whose_and_which(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(organisation="harbour", serial="QT000001"):
        logging.getLogger("requests").warning("slow answer")
        structlog.get_logger("ours").warning("noise stored", rows=96)
    foreign, ours = lines()
    for line in (foreign, ours):
        assert (line["organisation"], line["serial"], line["level"]) == ("harbour", "QT000001", "warning")
        assert line["timestamp"].endswith("Z")
    assert foreign["event"] == "slow answer"
    assert ours["rows"] == 96


def test_what_is_no_secret_stays(lines: Lines) -> None:
    structlog.get_logger("ours").warning(
        "asked", api_key=7, api_key_id=8, missing_scopes=["sic:read"], token=None
    )
    (line,) = lines()
    assert (line["api_key"], line["api_key_id"], line["token"]) == (7, 8, None)
    assert line["missing_scopes"] == ["sic:read"]
    sentence = "GET https://api.mycirrus.cloud/v1/data/sic?instruments=QT000001 answered 401: give a token"
    assert redact(sentence) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "POST https://hooks.slack.com/services/T0AAAAAAA/B0BBBBBBB/plain-key-plain-key 404",
        '"POST /api/webhooks/112233445566778899/plain-key_plain-key HTTP/1.1" 429',
        "https://x.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sp=%2Ft&sig=plain-key-plain-key&sv=1.0",
        "signed with whsec_plain+key/plain+key/plain+key==".replace("plain+key", "plainkeyplainkey"),
    ],
)
def test_the_address_of_a_chat_is_a_secret_by_its_shape(text: str) -> None:
    told = redact(text)
    assert "[redacted]" in told
    assert "plain-key" not in told
    assert "plainkey" not in told


def test_paths_of_requests_are_not_written_even_at_debug(lines: Lines) -> None:
    """They are what urllib3 has to say there, and that of a webhook is its password."""
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("urllib3.connectionpool").debug('"POST /plain-key HTTP/1.1" 200')
    assert lines() == []
    logging.getLogger("urllib3.connectionpool").warning("Retrying")
    assert len(lines()) == 1


def test_an_object_without_a_repr_costs_no_line(lines: Lines) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError(SECRET)

    logging.getLogger("ours").warning("odd", extra={"thing": Broken()})
    (line,) = lines()
    assert line["event"] == "odd"
    assert SECRET not in json.dumps(line)


def test_celery_logs_like_everybody(
    our_logging: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger().handlers.clear()
    # Another test may have started a worker in this process; a second set-up would do nothing.
    monkeypatch.setattr(celery_app.log, "already_setup", False)
    celery_app.log.setup(loglevel="INFO", redirect_stdouts=False)
    logging.getLogger("celery.worker").warning("transport redis://:plain-key@127.0.0.1 lost")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "celery.worker"
    assert "plain-key" not in line


def test_a_task_starts_with_a_context_of_its_own() -> None:
    structlog.contextvars.bind_contextvars(organisation="the-last-task's")
    seen: dict[str, Any] = {}

    @celery_app.task(name="tests.context")
    def task() -> None:
        seen.update(structlog.contextvars.get_contextvars())

    try:
        task.apply()
    finally:
        celery_app.tasks.pop("tests.context")
        structlog.contextvars.clear_contextvars()
    assert seen["task"] == "tests.context"
    assert "organisation" not in seen


def test_a_key_does_not_show_its_secret(people: People) -> None:
    key = make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        shown = f"{key!r} {key} {key.message} {ApiKey.objects.values_list()}"
    assert SECRET not in shown
    assert SECRET[:-4] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize(
    "model",
    [m for m in apps.get_models() if any(field.name == "ciphertext" for field in m._meta.fields)],
    ids=lambda model: model.__name__,
)
def test_ciphertext_is_in_no_repr_and_no_form(model: Any) -> None:
    row = model(ciphertext=encrypt(SECRET))
    assert row.ciphertext not in f"{row!r}{row}"
    assert not model._meta.get_field("ciphertext").editable


def test_what_cannot_be_decrypted_says_nothing_of_itself() -> None:
    ciphertext = encrypt(SECRET)[:-6] + "AAAAA="
    with pytest.raises(SecretUnreadable) as raised:
        decrypt(ciphertext)
    assert ciphertext not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_debug_page_hides_settings_that_hold_secrets() -> None:
    shown = get_default_exception_reporter_filter().get_safe_settings()
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        assert shown[name] == "********************"
