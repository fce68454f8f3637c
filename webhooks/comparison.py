"""What MyCirrus lists against what is known here: told apart purely, then stored; it asks nobody and makes nothing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from instruments.models import ApiKey
from instruments.mycirrus.types import Webhook
from webhooks.models import Subscription

State = Subscription.State
ID_LENGTH = 100
_TOGETHER = 500
# What a comparison may change of a row, beside the time at which it was made.
_CHANGED = (
    *("remote_id", "type", "serial", "ciphertext", "api_key", "state", "created_by_us", "host"),
    *("registered_at", "removed_at", "message"),
)


@dataclass(slots=True)
class Differences:
    """What one list means for the rows of an organisation."""

    # Known here and sending here.
    in_place: list[tuple[Subscription, Webhook]] = field(default_factory=list)
    # Sending here and not known: a crash came between making and storing, or a person made it.
    unknown: list[Webhook] = field(default_factory=list)
    # Known here and sending elsewhere.
    elsewhere: list[tuple[Subscription, Webhook]] = field(default_factory=list)
    # Somebody else's.
    foreign: list[tuple[Subscription | None, Webhook]] = field(default_factory=list)
    # Known here and not listed, though the key should see it.
    missing: list[Subscription] = field(default_factory=list)


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are one: case of scheme and host, and a last slash, make no difference."""
    return _folded(one) == _folded(other)


def _folded(address: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return "", "", address
    return parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/")


def host_of(address: str) -> str:
    """The host of an address and nothing else of it: what follows may be a secret."""
    try:
        return (urlsplit(address.strip()).hostname or "?")[:255]
    except ValueError:
        return "?"


def differences(
    *,
    listed: Iterable[Webhook],
    rows: Iterable[Subscription],
    url: str,
    serials: Collection[str],
    api_key_id: int,
) -> Differences:
    """Tell apart what MyCirrus lists for a key that reads ``serials``, and ``rows``, for our address ``url``."""
    found = Differences()
    known = {row.remote_id: row for row in rows if row.remote_id}
    seen = set()
    for webhook in listed:
        remote_id = webhook.id[:ID_LENGTH]
        if remote_id in seen:
            continue
        seen.add(remote_id)
        row = known.get(remote_id)
        if same_address(webhook.url, url):
            if row is None:
                found.unknown.append(webhook)
            else:
                found.in_place.append((row, webhook))
        elif row is None or not row.ciphertext:
            found.foreign.append((row, webhook))
        else:
            found.elsewhere.append((row, webhook))
    for remote_id, row in known.items():
        if remote_id in seen or row.state == State.REMOVED:
            continue
        # Never seen at MyCirrus: perhaps of another account. Of an instrument that this key does not read (any
        # more): its absence from this list says nothing.
        mine = row.serial in serials or (
            row.state in (State.FOREIGN, State.RETIRED) and row.api_key_id == api_key_id
        )
        if mine and (row.created_by_us or row.checked_at is not None):
            found.missing.append(row)
    return found


def differences_store(
    *, found: Differences, slots: Mapping[tuple[str, str], Subscription], api_key: ApiKey, now: datetime
) -> None:
    """Bring the rows up to what was found. ``slots`` are those that wait to be registered, by serial and type.

    Inside a transaction, and for whoever holds the registration.
    """
    stored = [row for row, _ in (*found.in_place, *found.elsewhere, *found.foreign) if row is not None]
    stored += found.missing
    before = {row.pk: _facts(row) for row in (*stored, *slots.values())}
    made: list[Subscription] = []
    slots = dict(slots)
    for row, webhook in found.in_place:
        type_, serial = _fitting(webhook)
        if row.state == State.RETIRED or (row.type, row.serial) != (type_, serial):
            # It came back, or somebody gave it another purpose: its slot may be another's by now.
            row.created_by_us = False
        row.type, row.serial = type_, serial
        _place(row, webhook, api_key, now)
    for webhook in found.unknown:
        type_, serial = _fitting(webhook)
        place = (serial, type_)
        row = slots.pop(place) if place in slots else _new(api_key, webhook, made)
        row.remote_id = webhook.id[:ID_LENGTH]
        _place(row, webhook, api_key, now)
        stored.append(row)
    for row, webhook in found.elsewhere:
        row.api_key, row.host = api_key, host_of(webhook.url)
        if row.created_by_us:
            row.state = State.RETIRED
        elif row.state == State.REMOVED:
            row.state, row.message = State.REGISTERED, ""
    for known, webhook in found.foreign:
        row = known or _new(api_key, webhook, made)
        row.type, row.serial = _fitting(webhook)
        row.state, row.api_key, row.host = State.FOREIGN, api_key, host_of(webhook.url)
    gone = {row.pk for row in found.missing if row.state in (State.FOREIGN, State.RETIRED)}
    for row in found.missing:
        row.state, row.removed_at = State.REMOVED, now
        row.message = "MyCirrus no longer has it: it removes webhooks whose deliveries keep failing."
    kept = [row for row in stored if row.pk and row.pk not in gone]
    for pks in _pieces(sorted(gone)):
        Subscription.objects.filter(pk__in=pks).delete()
    # Day after day hardly any differ, and a statement that sets each row to values of its own is a costly one.
    changed = [row for row in kept if _facts(row) != before[row.pk]]
    # Whoever leaves a slot comes before whoever takes it.
    changed.sort(key=lambda row: row.state != State.RETIRED)
    Subscription.objects.bulk_update(changed, _CHANGED, batch_size=50)
    for row in made:
        row.checked_at = now
    Subscription.objects.bulk_create(made, batch_size=_TOGETHER)
    for pks in _pieces([row.pk for row in kept]):
        Subscription.objects.filter(pk__in=pks).exclude(state=State.REMOVED).update(checked_at=now)


def _facts(row: Subscription) -> tuple[object, ...]:
    return tuple(getattr(row, "api_key_id" if name == "api_key" else name) for name in _CHANGED)


def _pieces(pks: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(pks), _TOGETHER):
        yield pks[start : start + _TOGETHER]


def _new(api_key: ApiKey, webhook: Webhook, made: list[Subscription]) -> Subscription:
    type_, serial = _fitting(webhook)
    row = Subscription(
        organisation_id=api_key.organisation_id,
        remote_id=webhook.id[:ID_LENGTH],
        type=type_,
        serial=serial,
    )
    made.append(row)
    return row


def _place(row: Subscription, webhook: Webhook, api_key: ApiKey, now: datetime) -> None:
    """Write into ``row`` what MyCirrus says of a webhook that sends to our address."""
    row.api_key, row.host = api_key, ""
    if webhook.secret and not row.secret_is(webhook.secret):
        row.secret_set(webhook.secret)
    if not row.ciphertext:
        row.state = State.FAILED
        row.message = "MyCirrus lists it without its secret: store it by hand, or what it sends is refused."
        return
    if row.state != State.REGISTERED or row.registered_at is None:
        row.registered_at = now
    row.state, row.message = State.REGISTERED, ""


def _fitting(webhook: Webhook) -> tuple[str, str]:
    return webhook.type[:32], webhook.serial[:64]
