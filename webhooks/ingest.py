"""From an address, two headers and raw bytes to one stored row; it understands nothing and fetches nothing."""

import hashlib
import sqlite3
import time
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper

from instruments.credentials import SecretUnreadable, decrypt
from instruments.models import Organisation
from instruments.mycirrus.signing import verify
from instruments.statements import planned_cursor
from instruments.tenancy import organisation_scope
from webhooks.messages import NotUnderstood, message_of
from webhooks.models import Delivery, Refusal, Subscription

log = structlog.get_logger(__name__)

# Nothing proves who sent a legacy notification, and a real one is a few hundred bytes.
LEGACY_MAX_BYTES = 16_384
# MyCirrus hangs up after 5 s, and sends again what was answered with 503.
LONGEST_WAIT_SECONDS = 4.0
LOOK_AGAIN_SECONDS = 0.002


class UnknownAddress(Exception):
    """No organisation has this address."""


class Refused(Exception):
    """The delivery was turned away and nothing of it stored, beyond one more in the count of ``reason``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def delivery_store(
    *, token: str, webhook_id: str, signature: str, body: bytes, now: datetime
) -> tuple[int, int]:
    """Store a delivery that its sender may make, and return the ids of its organisation and of itself.

    Raises UnknownAddress or Refused.
    """
    subscription = _subscription_of(token, webhook_id)
    organisation_id = subscription.organisation_id if subscription else organisation_at(token).pk
    with organisation_scope(organisation_id):
        try:
            if webhook_id or signature:
                encoding = _encoding(subscription, body, signature)
                kind = Delivery.Signature.VALID
            else:
                _legacy_check(organisation_at(token), body)
                encoding, kind = "", Delivery.Signature.LEGACY
        except Refused as refused:
            _note(organisation_at(token), refused.reason, webhook_id, now)
            raise
        if subscription and encoding and not subscription.encoding_seen:
            Subscription.objects.filter(pk=subscription.pk, encoding_seen="").update(encoding_seen=encoding)
        at = connection.ops.adapt_datetimefield_value(now)
        delivery_id = _insert(
            organisation_id=organisation_id,
            received_at=at,
            due_at=at,
            webhook_id=webhook_id[:100],
            signature=str(kind),
            encoding=encoding,
            body=body,
            digest=hashlib.sha256(body).hexdigest(),
        )
        return organisation_id, delivery_id


@cache
def _insertion() -> tuple[str, dict[str, Any]]:
    """The INSERT of a delivery and what a new one has in each field, put together once, not for each message."""
    fields = [field for field in Delivery._meta.concrete_fields if not field.primary_key]
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    usual = {field.attname: field.get_db_prep_save(field.get_default(), connection) for field in fields}
    return f'INSERT INTO "{Delivery._meta.db_table}" ({names}) VALUES ({marks}) RETURNING "id"', usual  # noqa: S608


def _insert(**values: Any) -> int:
    """Store a delivery of the organisation in scope with these values, as the database takes them."""
    statement, usual = _insertion()
    with planned_cursor() as cursor:
        insert = _insert_in_a_gap if connection.vendor == "sqlite" else _insert_once
        return insert(cursor, statement, list((usual | values).values()))


def _insert_once(cursor: CursorWrapper, statement: str, values: list[Any]) -> int:
    cursor.execute(statement, values)
    # Read to its end: SQLite commits, and says that it could not, only with the statement's last step.
    ((delivery_id,),) = cursor.fetchall()
    return int(delivery_id)


def _insert_in_a_gap(cursor: CursorWrapper, statement: str, values: list[Any]) -> int:
    """Insert between two transactions of others, who may be filling years of history one after another.

    SQLite's own waiting looks again every 100 ms, and finds their short gaps only by luck: after seconds.
    """
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    driver = connection.connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                return _insert_once(cursor, statement, values)
            except OperationalError as error:
                busy = getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(LOOK_AGAIN_SECONDS)
    finally:
        patience = 1000 * settings.DATABASES["default"]["OPTIONS"]["timeout"]
        driver.execute(f"PRAGMA busy_timeout = {patience}")


def too_large_note(*, token: str, webhook_id: str, now: datetime) -> None:
    """Count a delivery that was too large to be read. Raises UnknownAddress."""
    organisation = organisation_at(token)
    with organisation_scope(organisation.pk):
        _note(organisation, Refusal.Reason.TOO_LARGE, webhook_id, now)


def organisation_at(token: str) -> Organisation:
    """The organisation whose address holds ``token``. Raises UnknownAddress."""
    try:
        return Organisation.objects.get(webhook_token=token)
    except Organisation.DoesNotExist:
        raise UnknownAddress from None


# Written out: every delivery asks this, and putting it together would cost several times the answer.
_KNOWN = """
SELECT known.remote_id, known.id, known.organisation_id, known.ciphertext, known.encoding_seen
FROM webhooks_subscription AS known
JOIN instruments_organisation AS organisation ON organisation.id = known.organisation_id
WHERE organisation.webhook_token = %s AND known.remote_id IN (%s, '') AND known.ciphertext <> ''
"""


class _Known(NamedTuple):
    """What a delivery needs of the Subscription that it came by."""

    pk: int
    organisation_id: int
    ciphertext: str
    encoding_seen: str


def _subscription_of(token: str, webhook_id: str) -> _Known | None:
    """What is known of this webhook at this address: its own secret, else the one that all share."""
    with planned_cursor() as cursor:
        cursor.execute(_KNOWN, [token, webhook_id])
        known = {remote_id: _Known(*others) for remote_id, *others in cursor.fetchall()}
    return known.get(webhook_id) or known.get("")


def _encoding(subscription: _Known | None, body: bytes, signature: str) -> str:
    if not signature:
        raise Refused(Refusal.Reason.UNSIGNED)
    if subscription is None:
        raise Refused(Refusal.Reason.NO_SECRET)
    try:
        secret = decrypt(subscription.ciphertext)
    except SecretUnreadable:
        raise Refused(Refusal.Reason.UNREADABLE_SECRET) from None
    encoding = verify(secret, body, signature)
    if encoding is None:
        raise Refused(Refusal.Reason.WRONG_SIGNATURE)
    return encoding


def _legacy_check(organisation: Organisation, body: bytes) -> None:
    """Let an unsigned body through only if it has the legacy shape and the organisation asked for those."""
    try:
        message = message_of(body)
    except NotUnderstood:
        raise Refused(Refusal.Reason.UNSIGNED) from None
    if not message.is_legacy:
        raise Refused(Refusal.Reason.UNSIGNED)
    if not organisation.accepts_legacy_notifications:
        raise Refused(Refusal.Reason.LEGACY)
    if len(body) > LEGACY_MAX_BYTES:
        raise Refused(Refusal.Reason.TOO_LARGE)


def _note(organisation: Organisation, reason: str, webhook_id: str, now: datetime) -> None:
    # Never the body or the signature: a wrong secret's signature is still somebody's.
    log.warning(
        "webhook_refused", organisation=organisation.slug, webhook_id=webhook_id[:100], reason=str(reason)
    )
    Refusal.objects.note(reason=reason, webhook_id=webhook_id, now=now)
