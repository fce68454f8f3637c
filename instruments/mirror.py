"""Keeping our instruments as MyCirrus lists them; it fetches nothing and deletes nothing."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model, Q

from instruments import mycirrus
from instruments.models import ApiKey, Instrument
from instruments.statements import hold

_MIRRORED = (
    "type",
    "model",
    "name",
    "image",
    "subscription_status",
    "subscription_tier",
    "subscription_addons",
    "features",
    "latitude",
    "longitude",
)


@dataclass
class Mirrored:
    """What one list changed."""

    created: list[Instrument] = field(default_factory=list)
    changed: list[Instrument] = field(default_factory=list)
    # Since when they were gone.
    returned: dict[Instrument, datetime] = field(default_factory=dict)
    gone: list[Instrument] = field(default_factory=list)


def fitting(model: type[Model], name: str, value: Any) -> Any:
    """``value`` as its column takes it: a text that is too long is cut, and whole in the document.

    PostgreSQL would refuse the row, and with it every other of the answer.
    """
    return value[: model._meta.get_field(name).max_length] if isinstance(value, str) else value  # type: ignore[union-attr]


def _fields(row: mycirrus.Instrument) -> dict[str, Any]:
    """What ``row`` says, without what it leaves out: list rows are thinner than single reads."""
    told = {name: fitting(Instrument, name, getattr(row, name)) for name in _MIRRORED}
    told = {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}
    return {name: value for name, value in told.items() if value not in ("", None, [])}


def _document(old: dict[str, Any], new: Any) -> dict[str, Any]:
    return {**old, **{name: value for name, value in dict(new).items() if value not in ({}, [], None, "")}}


def instrument_store(*, instrument: Instrument, row: mycirrus.Instrument) -> bool:
    """Take over what ``row`` says of ``instrument`` and tell whether anything was new."""
    wanted = {**_fields(row), "document": _document(instrument.document, row.document)}
    changed = [name for name, value in wanted.items() if getattr(instrument, name) != value]
    for name in changed:
        setattr(instrument, name, wanted[name])
    if changed:
        instrument.save(update_fields=changed)
    return bool(changed)


@transaction.atomic
def instruments_mirror(
    *,
    api_key: ApiKey,
    rows: Iterable[mycirrus.Instrument],
    needs: Callable[[Instrument], Collection[str]],
    now: datetime,
    whole: bool = True,
) -> Mirrored:
    """Store the list that ``api_key`` was given: new ones, changes, returns, and those it no longer names.

    One that is read with another key goes over to this one only if that lacks more of the scopes that it ``needs``; one
    that moved to another key is gone until that key's list comes. Nothing is gone by a list that is not ``whole``: it
    may be what was not understood there.
    """
    # Of two keys' lists at once both would make what is new, and each wait for what the other has changed.
    hold(f"{api_key.organisation_id} instruments")
    result = Mirrored()
    taken = []
    listed = {row.serial: row for row in rows}
    known = {
        instrument.serial: instrument
        for instrument in Instrument.objects.select_related("api_key").filter(
            Q(serial__in=listed) | Q(api_key=api_key)
        )
    }
    for serial, row in listed.items():
        instrument = known.get(serial)
        if instrument is None:
            result.created.append(
                Instrument.objects.create(
                    organisation_id=api_key.organisation_id,
                    serial=serial,
                    api_key=api_key,
                    first_seen_at=now,
                    seen_at=now,
                    document=_document({}, row.document),
                    **_fields(row),
                )
            )
            continue
        if instrument.gone_at is not None:
            result.returned[instrument] = instrument.gone_at
        if instrument_store(instrument=instrument, row=row):
            result.changed.append(instrument)
        keeper = instrument.api_key
        if (
            keeper is None
            or keeper.revoked_at
            or keeper.state == ApiKey.State.REFUSED
            or instrument.gone_at
            or api_key.gives_more(keeper, needs(instrument))
        ):
            instrument.api_key = api_key
            taken.append(instrument)
        instrument.gone_at = None
    present = [instrument for serial, instrument in known.items() if serial in listed]
    for instrument in present:
        instrument.seen_at = now
    Instrument.objects.bulk_update(present, ["seen_at", "gone_at"], batch_size=500)
    # Only these: the list of another key may have taken one of the others in this moment.
    Instrument.objects.bulk_update(taken, ["api_key"], batch_size=500)
    for serial, instrument in known.items():
        if not whole or serial in listed or instrument.gone_at is not None:
            continue
        # Where it is still this key's: the list of another may have taken it in this moment.
        if Instrument.objects.filter(pk=instrument.pk, api_key=api_key, gone_at=None).update(gone_at=now):
            instrument.gone_at = now
            result.gone.append(instrument)
    return result
