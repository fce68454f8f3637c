"""The statements that every turn costs, put together once: claiming, reading what is held, writing how far it came.

The ORM would put each of them together anew for each turn, which takes several times as long as running it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, models

from instruments.models import ApiKey, Instrument
from instruments.tenancy import active_organisation_id
from monitoring.models import InstrumentStatus, Outcome, SyncTarget

Converter = Callable[[Any], Any]


class _Columns:
    """The columns of one model in a row that holds several models, and how an instance is made of them."""

    def __init__(self, model: type[models.Model], alias: str, first: int) -> None:
        self.model, self.fields = model, model._meta.concrete_fields
        self.names = [field.attname for field in self.fields]
        quote = connection.ops.quote_name
        self.sql = ", ".join(f"{alias}.{quote(str(field.column))}" for field in self.fields)
        self.first, self.end = first, first + len(self.fields)
        self.key = first + self.names.index(model._meta.pk.attname)
        self.converters = [
            (first + number, convert)
            for number, field in enumerate(self.fields)
            for convert in _converters(field)
        ]

    def instance(self, row: list[Any]) -> Any:
        if row[self.key] is None:
            return None
        for number, convert in self.converters:
            row[number] = convert(row[number])
        return self.model.from_db(connection.alias, self.names, row[self.first : self.end])


def _converters(field: Any) -> list[Converter]:
    """What turns a column's value into the field's: SQLite has no times, and JSON comes as text."""
    column = field.cached_col
    found = [*connection.ops.get_db_converters(column), *field.get_db_converters(connection)]

    def converter(convert: Callable[[Any, Any, Any], Any]) -> Converter:
        return lambda value: convert(value, column, connection)

    return [converter(convert) for convert in found]


@cache
def _reading(vendor: str) -> tuple[str, Sequence[_Columns]]:
    parts: list[_Columns] = []
    for model, alias in ((SyncTarget, "t"), (ApiKey, "k"), (Instrument, "i"), (InstrumentStatus, "s")):
        parts.append(_Columns(model, alias, parts[-1].end if parts else 0))
    tables = [f'"{part.model._meta.db_table}"' for part in parts]
    statement = (
        f"SELECT {', '.join(part.sql for part in parts)} FROM {tables[0]} AS t "  # noqa: S608
        f'JOIN {tables[1]} AS k ON k."id" = t."api_key_id" '
        f'LEFT JOIN {tables[2]} AS i ON i."id" = t."instrument_id" '
        f'LEFT JOIN {tables[3]} AS s ON s."instrument_id" = i."id" '
        'WHERE t."organisation_id" = %s AND t."id" = %s AND t."lease_token" = %s AND t."lease_until" > %s'
    )
    return statement, parts


def held_read(*, target_id: int, token: str, now: datetime) -> SyncTarget | None:
    """The target with its key, instrument and present, of the organisation in scope; None where it is not held."""
    statement, (targets, keys, instruments, presents) = _reading(connection.vendor)
    values = [active_organisation_id(), target_id, _told("lease_token", token), _told("lease_until", now)]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found = cursor.fetchone()
    if found is None:
        return None
    row = list(found)
    target: SyncTarget = targets.instance(row)
    target.api_key = keys.instance(row)
    instrument, present = instruments.instance(row), presents.instance(row)
    target.instrument = instrument
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
    with connection.cursor() as cursor:
        cursor.executemany(
            _CLAIMING,
            [(lease, _told("lease_token", token), target_id) for target_id, token in tokens.items()],
        )


_MOVING = f"""
UPDATE "{SyncTarget._meta.db_table}" SET "rows" = "rows" + %s, "watermark_at" = COALESCE(%s, "watermark_at")
WHERE "organisation_id" = %s AND "id" = %s AND "lease_token" = %s AND "lease_until" > %s
"""  # noqa: S608


def held_move(*, target: SyncTarget, rows: int, watermark_at: datetime | None, now: datetime) -> bool:
    """Write how far a turn is that goes on; False where the lease is lost."""
    watermark = None if watermark_at is None else _told("watermark_at", watermark_at)
    mine = [active_organisation_id(), target.pk, _told("lease_token", target.lease_token)]
    with connection.cursor() as cursor:
        cursor.execute(_MOVING, [rows, watermark, *mine, _told("lease_until", now)])
        return bool(cursor.rowcount)


@cache
def _field(name: str) -> Any:
    return SyncTarget._meta.get_field(name)


def _told(name: str, value: Any) -> Any:
    """A value as the database takes it for this column."""
    return _field(name).get_db_prep_value(value, connection)


_ENDING = f"""
UPDATE "{SyncTarget._meta.db_table}" SET
    "rows" = "rows" + %s, "watermark_at" = COALESCE(%s, "watermark_at"), "done_at" = COALESCE(%s, "done_at"),
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
    watermark_at: datetime | None,
    done: bool,
    now: datetime,
) -> bool:
    """Write that a turn went well, with its watermark; False where the lease is lost.

    A webhook that rang during this turn moved due_at: its call must not be lost under ours.
    """
    at, before = _told("outcome_at", now), _told("due_at", target.due_at)
    watermark = None if watermark_at is None else _told("watermark_at", watermark_at)
    values = [
        *(rows, watermark, at if done else None, str(outcome), at, at),
        *(before, _told("due_at", due_at), before),
        *(active_organisation_id(), target.pk, _told("lease_token", target.lease_token), at),
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ENDING, values)
        return bool(cursor.rowcount)


_OBSERVING = f"""
UPDATE "{InstrumentStatus._meta.db_table}" SET "observed_at" = %s WHERE "organisation_id" = %s AND "instrument_id" = %s
"""  # noqa: S608


def held_observe(*, present: InstrumentStatus, now: datetime) -> None:
    """Write that an instrument was heard of and that nothing has changed, which is what most polls bring."""
    with connection.cursor() as cursor:
        cursor.execute(_OBSERVING, [_told("outcome_at", now), active_organisation_id(), present.pk])
