"""The doctor tells what is well from what is not, says what to do, and shows no secret."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet

from cirrusweb import doctor, embedded_redis
from cirrusweb.celery import app as celery_app
from cirrusweb.env import broker_url
from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from monitoring.models import AlertDelivery, Incident, IncidentChange, Resource, SyncTarget
from tests.conftest import SECRET, People, make_key
from webhooks.models import Subscription

from .conftest import Run

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


# One process for the file: Celery keeps the connections of its application, and the tests share that.
pytestmark = pytest.mark.xdist_group("doctor")


@pytest.fixture(scope="module")
def redis_address() -> Iterator[str]:
    """A Redis of this file's own, so that nobody else's beat or worker is seen."""
    with embedded_redis.running() as address:
        yield address


@pytest.fixture
def own_redis(redis_address: str, settings: Any) -> redis.Redis:
    """Settings and Celery point at it; it is empty."""
    settings.REDIS_URL = redis_address
    client = redis.Redis.from_url(redis_address)
    client.flushall()
    return client


@contextmanager
def smtp_server(greeting: bytes) -> Iterator[int]:
    """Something that answers every line as a mail server may."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(greeting)
            for _ in self.rfile:
                self.wfile.write(b"250 fine\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def levels(findings: Any) -> list[str]:
    return [finding.level for finding in findings]


def test_report_names_everything_and_fails_with_status_one(people: People, own_redis: Any, run: Run) -> None:
    said = run("doctor", "--json")
    whats = [finding["what"] for finding in said.json["findings"]]
    for what in (
        "database",
        "migrations",
        "settings",
        "redis",
        "beat",
        "worker",
        "key",
        "mail",
        "webhooks",
        "disk",
    ):
        assert what in whats
    assert not said.json["ok"]
    assert said.failure.endswith("examinations failed.")
    for finding in said.json["findings"]:
        assert finding["level"] in ("ok", "warn", "fail")
        assert finding["message"]
        assert finding["level"] == "ok" or finding["advice"], f"{finding} does not say what to do"


def test_text_says_what_to_do_below_each_trouble(people: People, own_redis: Any, run: Run) -> None:
    said = run("doctor", "--no-color")
    lines = said.out.splitlines()
    assert any(line.startswith("ok    database: ") for line in lines)
    beat = next(n for n, line in enumerate(lines) if line.startswith("fail  beat: "))
    assert lines[beat + 1].startswith("      → Start `celery -A cirrusweb beat`")


@pytest.mark.parametrize(
    ("age", "level"),
    [(timedelta(seconds=4), "ok"), (timedelta(seconds=45), "warn"), (timedelta(minutes=9), "fail")],
)
def test_beat_by_its_age(own_redis: redis.Redis, age: timedelta, level: str) -> None:
    own_redis.set("cirrusweb:beat", (NOW - age).isoformat())
    assert levels(doctor.beat(NOW)) == [level]


def test_beat_that_never_ticked_or_left_nonsense(own_redis: redis.Redis) -> None:
    assert levels(doctor.beat(NOW)) == ["fail"]
    own_redis.set("cirrusweb:beat", "soon")
    assert levels(doctor.beat(NOW)) == ["fail"]


def test_redis_that_answers_and_that_does_not(own_redis: redis.Redis, settings: Any) -> None:
    assert levels(doctor.redis_server()) == ["ok"]
    own_redis.config_set("maxmemory-policy", "allkeys-lru")
    assert levels(doctor.redis_server()) == ["warn"]
    own_redis.config_set("maxmemory-policy", "noeviction")
    settings.REDIS_URL = "redis://:hidden-password@127.0.0.1:1/0"
    (finding,) = doctor.redis_server()
    assert finding.level == "fail"
    assert "hidden-password" not in finding.message


def test_redis_that_is_too_old(own_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_redis, "MINIMUM_VERSION", (99, 0))
    (finding,) = doctor.redis_server()
    assert (finding.level, finding.advice) == ("fail", "Tasks need 99.0 or newer: upgrade it.")


def test_worker_that_answers(redis_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery.contrib.testing.worker import start_worker

    monkeypatch.setattr(celery_app.conf, "broker_url", broker_url(redis_address))
    monkeypatch.setattr(celery_app.conf, "broker_read_url", broker_url(redis_address))
    monkeypatch.setattr(celery_app.conf, "broker_write_url", broker_url(redis_address))
    celery_app.pool.force_close_all()
    celery_app._pool = None
    celery_app.amqp._producer_pool = None
    try:
        assert levels(doctor.workers()) == ["fail"]
        with start_worker(celery_app, perform_ping_check=False, pool="solo"):
            # It listens for such questions a little after it says that it has started.
            deadline = time.monotonic() + 20
            while levels(doctor.workers()) != ["ok"]:
                assert time.monotonic() < deadline
    finally:
        celery_app.pool.force_close_all()
        celery_app._pool = None
        celery_app.amqp._producer_pool = None


@pytest.mark.parametrize(
    ("fields", "level", "word"),
    [
        ({}, "ok", "Good"),
        ({"state": "refused", "message": "MyCirrus refused this key."}, "fail", "refused"),
        ({"state": "unreachable"}, "fail", "cannot be reached"),
        ({"state": "unverified"}, "warn", "Not verified"),
        ({"paused_until": NOW + timedelta(minutes=1)}, "warn", "wait until 12:01:00Z"),
        (
            {"state": "missing_scope", "scopes": {"instruments:read": True, "data.system:read": False}},
            "warn",
            "Missing a scope",
        ),
        ({"state": "missing_scope", "scopes": {"instruments:read": False}}, "fail", "Missing a scope"),
    ],
)
def test_keys_by_their_state(people: People, fields: dict[str, Any], level: str, word: str) -> None:
    key = make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.filter(pk=key.pk).update(**fields)
    finding, keyless = doctor.api_keys(NOW)
    assert (finding.level, finding.what) == (level, f"key harbour: {key}")
    assert word in finding.message
    assert (keyless.level, keyless.message) == ("warn", "quarry has none.")
    assert SECRET not in repr(finding)


def test_secrets_that_cannot_be_read(people: People, settings: Any) -> None:
    make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        hook = Subscription(organisation=people.organisation, remote_id="w1")
        hook.secret_set("webhook-secret")
        hook.save()
    assert "fail" not in levels([*doctor.api_keys(NOW), *doctor.other_secrets()])
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert levels(doctor.api_keys(NOW))[0] == "fail"
    assert [each.level for each in doctor.other_secrets() if "subscriptions" in each.what] == ["fail"]


def test_parked_work_is_counted_by_cause(people: People) -> None:
    key = make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        for resource in (Resource.INSTRUMENTS, Resource.STATUS):
            SyncTarget.objects.create(
                api_key=key,
                resource=resource,
                due_at=NOW,
                parked_at=NOW,
                message="MyCirrus refused this key.",
            )
    (finding,) = doctor.parked()
    assert finding.message == "harbour: 2 resources are not fetched: MyCirrus refused this key."


def test_mail_server(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.DEFAULT_FROM_EMAIL = "Noise <noise@harbour.test>"
    with smtp_server(b"220 ready\r\n") as port:
        settings.EMAIL_PORT = port
        assert levels(doctor.mail()) == ["ok"]
        for domain in ("localhost", "example.com"):
            settings.DEFAULT_FROM_EMAIL = f"Cirrusweb <cirrusweb@{domain}>"
            (finding,) = doctor.mail()
            assert (finding.level, "DEFAULT_FROM_EMAIL" in finding.advice) == ("warn", True)
    with smtp_server(b"554 go away\r\n") as port:
        settings.EMAIL_PORT = port
        assert levels(doctor.mail()) == ["fail"]
    settings.EMAIL_PORT = 1
    assert levels(doctor.mail()) == ["fail"]


def test_what_is_owed_is_told_with_the_last_error(people: People) -> None:
    assert levels(doctor.owed(NOW)) == ["ok", "ok"]
    with organisation_scope(people.organisation.pk):
        incident = Incident.objects.create(
            kind="self_check", key="self_check:1", title="QT000001", opened_at=NOW, severity=2, worst=2
        )
        change = IncidentChange.objects.create(
            incident=incident, step="opened", cause="1", at=NOW, severity=2
        )
        # In somebody's quiet hours: owed, and not yet to be sent.
        later = AlertDelivery.objects.create(
            change=change, recipient=people.bob, due_at=NOW + timedelta(hours=8)
        )
        assert levels(doctor.owed(NOW)) == ["ok", "ok"]
        AlertDelivery.objects.create(
            change=change,
            recipient=people.alice,
            due_at=NOW + timedelta(hours=1),
            attempts=3,
            message="refused, password=hunter2",
        )
    alerts, digests = doctor.owed(NOW)
    assert (alerts.level, digests.level) == ("warn", "ok")
    assert alerts.message.startswith(
        "1 are owed. The oldest is one of harbour since 2026-11-22 12:00Z, tried 3 times: "
    )
    assert "hunter2" not in alerts.message
    # What beat or worker never took counts as well.
    assert next(iter(doctor.owed(later.due_at + timedelta(minutes=6)))).message.startswith("2 are owed.")


def test_mail_to_files_reaches_nobody(settings: Any, tmp_path: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    (finding,) = doctor.mail()
    assert finding.level == "warn"
    assert str(tmp_path) in finding.message


@pytest.mark.parametrize(
    ("address", "level"),
    [
        ("https://noise.example.com", "ok"),
        ("http://noise.example.com", "warn"),
        ("https://localhost", "warn"),
        ("https://10.0.0.5", "warn"),
        ("https://noise.lan", "warn"),
    ],
)
def test_webhook_address(settings: Any, address: str, level: str) -> None:
    settings.PUBLIC_URL = address
    assert levels(doctor.webhook_address()) == [level]


def test_disk(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path / "gone"
    assert levels(doctor.disk()) == ["fail"]
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(doctor, "DISK_LOW", 0)
    assert levels(doctor.disk()) == ["ok"]
    monkeypatch.setattr(doctor, "DISK_FULL", 1 << 60)
    assert levels(doctor.disk()) == ["fail"]
