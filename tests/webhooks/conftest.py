"""A sender that signs as MyCirrus may, and what it sends to: a real socket, a real key, real targets."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import requests
from django.conf import settings as django_settings
from django.db import connection
from django.urls import reverse

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import SyncTarget
from monitoring.sync.beat import AWAY_KEY, BEAT_KEY
from monitoring.sync.targets import key_targets_refresh, targets_ensure
from tests.conftest import make_instrument, make_key
from webhooks.models import Delivery, Refusal, Subscription

SECRET = "0b1c2d3e-1111-2222-3333-444455556666"
HOOK_ID = "whk000000001"
MEASUREMENT = {
    "type": "NewMeasurement",
    "instrument": "QT000001",
    "time": "2026-11-22T09:42:00Z",
    "endTime": "2026-11-22T09:42:00Z",
}
SIC = {
    "type": "SicFinished",
    "instrument": "QT000001",
    "time": "2026-11-22T02:00:07.1234567Z",
    "status": "Failed",
    "data": {
        "time": "2026-11-22T02:00:00Z",
        "status": "Failed",
        "_500Hz": 90.1,
        "_1KHz": 95.0,
        "_8KHz": 88.8,
    },
}


def mac(body: bytes, secret: str = SECRET) -> bytes:
    """The 32 bytes that every allowed spelling encodes."""
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


ENCODINGS: dict[str, tuple[str, Callable[[bytes], str]]] = {
    "hex": ("hex", bytes.hex),
    "upper-case hex": ("hex", lambda signature: signature.hex().upper()),
    "prefixed hex": ("hex", lambda signature: "sha256=" + signature.hex()),
    "prefix in capitals": ("hex", lambda signature: "SHA256=" + signature.hex().upper()),
    "base64": ("base64", lambda signature: base64.b64encode(signature).decode()),
    "base64 without padding": ("base64", lambda signature: base64.b64encode(signature).decode().rstrip("=")),
    "base64url": ("base64url", lambda signature: base64.urlsafe_b64encode(signature).decode()),
    "base64url without padding": (
        "base64url",
        lambda signature: base64.urlsafe_b64encode(signature).decode().rstrip("="),
    ),
    "white space around it": ("hex", lambda signature: f"sha256= {signature.hex()}  "),
}


@pytest.fixture
def beats() -> Iterator[redis.Redis]:
    """Redis as a new installation has it: no tick was noted in it yet."""
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        client.delete(BEAT_KEY, AWAY_KEY)
        yield client
        client.delete(BEAT_KEY, AWAY_KEY)


@dataclass
class Sender:
    """Posts over a real socket, as MyCirrus would."""

    address: str
    session: requests.Session = field(default_factory=requests.Session)

    def post(self, body: Any = None, *, url: str = "", **headers: str | None) -> requests.Response:
        """Post ``body`` signed; a header given as None is left out."""
        raw = (
            body
            if isinstance(body, bytes)
            else json.dumps(body if body is not None else MEASUREMENT).encode()
        )
        sent: dict[str, str | None] = {
            "Content-Type": "application/json",
            "X-Webhook-Id": HOOK_ID,
            "X-Webhook-Signature": mac(raw).hex(),
        }
        sent.update({f"X-Webhook-{name.title()}": value for name, value in headers.items()})
        present = {name: value for name, value in sent.items() if value is not None}
        return self.session.post(url or self.address, data=raw, headers=present, timeout=10)


@pytest.fixture
def subscription(organisation: Organisation) -> Subscription:
    """One webhook whose secret is known."""
    return make_subscription(organisation)


@pytest.fixture
def sender(live_server: Any, organisation: Organisation, subscription: Subscription) -> Iterator[Sender]:
    """A sender that knows the address and the secret."""
    sender = Sender(live_server.url + reverse("hook", args=[organisation.webhook_token]))
    yield sender
    sender.session.close()


@pytest.fixture
def instrument(organisation: Organisation) -> Instrument:
    """QT000001 with its targets, none of them due for a day."""
    return watched(organisation)


def make_subscription(
    organisation: Organisation, *, remote_id: str = HOOK_ID, secret: str = SECRET
) -> Subscription:
    """A webhook with its secret."""
    with organisation_scope(organisation.pk):
        made = Subscription(organisation=organisation, remote_id=remote_id, type="NewMeasurement")
        made.secret_set(secret)
        made.save()
        return made


def watched(organisation: Organisation, serial: str = "QT000001", **fields: Any) -> Instrument:
    """An instrument and its key, with targets that are due tomorrow."""
    now = datetime.now(UTC)
    key = make_key(organisation)
    instrument = make_instrument(organisation, serial, api_key=key, **fields)
    with organisation_scope(organisation.pk):
        targets_ensure(instruments=[instrument], now=now)
        key_targets_refresh(api_key=key, now=now)
        SyncTarget.objects.update(due_at=now + timedelta(days=1))
    return instrument


def make_delivery(organisation: Organisation, body: Any = None, **fields: Any) -> Delivery:
    """A stored delivery that waits to be processed."""
    raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else MEASUREMENT).encode()
    now = fields.pop("now", datetime.now(UTC))
    values = {
        "received_at": now,
        "due_at": now,
        "webhook_id": HOOK_ID,
        "signature": Delivery.Signature.VALID,
        "encoding": "hex",
        "digest": hashlib.sha256(raw).hexdigest(),
        **fields,
    }
    with organisation_scope(organisation.pk):
        return Delivery.objects.create(organisation=organisation, body=raw, **values)


def deliveries(organisation: Organisation) -> list[Delivery]:
    """All that is stored, oldest first."""
    with organisation_scope(organisation.pk):
        return list(Delivery.objects.order_by("pk"))


def refusals(organisation: Organisation) -> dict[str, int]:
    """How many were turned away, by reason."""
    with organisation_scope(organisation.pk):
        return dict(Refusal.objects.values_list("reason", "count"))


def due_resources(organisation: Organisation, now: datetime | None = None) -> list[str]:
    """The resources that are due, one word for each target."""
    with organisation_scope(organisation.pk):
        due = SyncTarget.objects.due(now or datetime.now(UTC))
        return sorted(due.values_list("resource", flat=True))


@contextmanager
def failing_updates(table: str, *, database_in_trouble: bool = False) -> Iterator[None]:
    """The database refuses every change of a row of ``table``: as a rule of its own, or because it is in trouble."""
    name, head = f"{table}_refused", f"BEFORE UPDATE ON {table}"
    kind = "serialization_failure" if database_in_trouble else "integrity_constraint_violation"
    # SQLite calls it operational where a function of the connection fails.
    said = "away()" if database_in_trouble else "RAISE(ABORT, 'refused')"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE {kind}; END'"
            )
            cursor.execute(f"CREATE TRIGGER {name} {head} EXECUTE FUNCTION {name}()")
        else:
            connection.connection.create_function("away", 0, lambda: 1 / 0)
            cursor.execute(f"CREATE TRIGGER {name} {head} BEGIN SELECT {said}; END")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            where = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER {name}{where}")
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP FUNCTION {name}()")


@contextmanager
def missing_table(name: str) -> Iterator[None]:
    """The database answers every query on ``name`` with an error."""
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{name}" RENAME TO "{name}_away"')
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER TABLE "{name}_away" RENAME TO "{name}"')
