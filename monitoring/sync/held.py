"""The statements that every turn costs, put together once: claiming, reading what is held, writing how far it came.

The ORM would put each of them together anew for each turn, which takes several times as long as running it.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from instruments.joined import Joined
from instruments.models import ApiKey, Instrument
from instruments.statements import planned_cursor
from instruments.tenancy import active_organisation_id
from monitoring.models import InstrumentStatus, Outcome, SyncTarget

_HELD = Joined(
    f"""
        FROM "{SyncTarget._meta.db_table}" AS target
        JOIN "{ApiKey._meta.db_table}" AS api_key ON api_key.id = target.api_key_id
        LEFT JOIN "{Instrument._meta.db_table}" AS instrument ON instrument.id = target.instrument_id
        LEFT JOIN "{InstrumentStatus._meta.db_table}" AS present ON present.instrument_id = instrument.id
        WHERE target.organisation_id = %(organisation)s AND target.id = %(target)s
          AND target.lease_token = %(token)s AND target.lease_until > %(now)s
    """,
    target=SyncTarget,
    api_key=ApiKey,
    instrument=Instrument,
    present=InstrumentStatus,
)


def held_read(*, target_id: int, token: str, now: datetime) -> SyncTarget | None:
    """The target with its key, instrument and present, of the organisation in scope; None where it is not held."""
    found = _HELD.first(
        organisation=active_organisation_id(), target=target_id, token=_told("lease_token", token), now=now
    )
    if found is None:
        return None
    target: SyncTarget = found["target"]
    instrument, present = found["instrument"], found["present"]
    target.api_key, target.instrument = found["api_key"], instrument
    if instrument is not None and present is not None:
        present.instrument = instrument
        instrument.status = present
    return target


_CLAIMING = f"""
UPDATE "{SyncTarget._meta.db_table}" SET "lease_until" = %s, "lease_token" = %s WHERE "id" = %s
"""  # noqa: S608


def held_claim(*, tokens: Mapping[int, UUID], until: datetime) -> None:
    """Hold each of these targets by its own token; the open transaction has found them free, and locked them."""
    lease = _told("lease_until", until)
    with planned_cursor() as cursor:
        cursor.executemany(
            _CLAIMING,
            [(lease, _told("lease_token", token), target_id) for target_id, token in tokens.items()],
        )


class Reached(NamedTuple):
    """How far a target has come; what is None stays as it is."""

    watermark_at: datetime | None = None
    silent_until_at: datetime | None = None

    def told(self) -> list[Any]:
        """As the statements take it."""
        return [at if at is None else _told("watermark_at", at) for at in self]


_MOVING = f"""
UPDATE "{SyncTarget._meta.db_table}" SET "rows" = "rows" + %s, "watermark_at" = COALESCE(%s, "watermark_at"),
    "silent_until_at" = COALESCE(%s, "silent_until_at")
WHERE "organisation_id" = %s AND "id" = %s AND "lease_token" = %s AND "lease_until" > %s
"""  # noqa: S608


def held_move(*, target: SyncTarget, rows: int, reached: Reached, now: datetime) -> bool:
    """Write how far a turn is that goes on; False where the lease is lost."""
    mine = [active_organisation_id(), target.pk, _told("lease_token", target.lease_token)]
    with planned_cursor() as cursor:
        cursor.execute(_MOVING, [rows, *reached.told(), *mine, _told("lease_until", now)])
        return bool(cursor.rowcount)


@cache
def _field(name: str) -> Any:
    return SyncTarget._meta.get_field(name)


def _told(name: str, value: Any) -> Any:
    """A value as the database takes it for this column."""
    return _field(name).get_db_prep_value(value, connection)


_ENDING = f"""
UPDATE "{SyncTarget._meta.db_table}" SET
    "rows" = "rows" + %s, "watermark_at" = COALESCE(%s, "watermark_at"),
    "silent_until_at" = COALESCE(%s, "silent_until_at"), "done_at" = COALESCE(%s, "done_at"),
    "outcome" = %s, "outcome_at" = %s, "ok_at" = %s, "message" = '', "failures" = 0,
    "lease_until" = NULL, "lease_token" = NULL,
    "due_at" = CASE WHEN "due_at" = %s THEN %s ELSE "due_at" END,
    "hinted_at" = CASE WHEN "due_at" = %s THEN NULL ELSE "hinted_at" END
WHERE "organisation_id" = %s AND "id" = %s AND "lease_token" = %s AND "lease_until" > %s
"""  # noqa: S608


def held_end(
    *,
    target: SyncTarget,
    outcome: Outcome,
    rows: int,
    due_at: datetime,
    reached: Reached,
    done: bool,
    now: datetime,
) -> bool:
    """Write that a turn went well, with its watermark; False where the lease is lost.

    A webhook that rang during this turn moved due_at: its call must not be lost under ours.
    """
    at, before = _told("outcome_at", now), _told("due_at", target.due_at)
    values = [
        *(rows, *reached.told(), at if done else None, str(outcome), at, at),
        *(before, _told("due_at", due_at), before),
        *(active_organisation_id(), target.pk, _told("lease_token", target.lease_token), at),
    ]
    with planned_cursor() as cursor:
        cursor.execute(_ENDING, values)
        return bool(cursor.rowcount)


_OBSERVING = f"""
UPDATE "{InstrumentStatus._meta.db_table}" SET "observed_at" = %s WHERE "organisation_id" = %s AND "instrument_id" = %s
"""  # noqa: S608


def held_observe(*, present: InstrumentStatus, now: datetime) -> None:
    """Write that an instrument was heard of and that nothing has changed, which is what most polls bring."""
    with planned_cursor() as cursor:
        cursor.execute(_OBSERVING, [_told("outcome_at", now), active_organisation_id(), present.pk])
