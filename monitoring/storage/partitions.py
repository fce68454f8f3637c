"""Month partitions of the series tables on PostgreSQL: made ahead of time, dropped whole; elsewhere nothing is done.

Partitions are made by the daily task and after migrations, never while rows are written: it takes a lock on the
whole table, and two writers that each hold a part of it would wait for each other. A row whose month has no
partition goes into the default one and is found there like any other, until that month is made of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.apps import apps
from django.conf import settings
from django.db import connections, transaction
from django.db.migrations.operations.base import Operation
from django.db.utils import DatabaseError

log = structlog.get_logger(__name__)
MONTHS_AHEAD = 3
# A change of a table waits for everybody who reads it, a pg_dump of hours among them, and who comes to read it then
# waits behind the change. So long at most; the next hour tries again.
LOCK_WAIT = "2s"
# A month of rows is taken out of the default partition in one transaction, or some would be in neither. Meanwhile who
# corrects one of them waits, so long at most; at its end the partition is held, and everybody waits who reads it.
MOVE = "30s"
HOLD = "2s"
# Who waits for a row of ours may hold what we then wait for. PostgreSQL looks for such a circle after a second of
# waiting and ends one of the two; whoever came to wait after we had looked finds us gone before that.
FREE_WAIT = "900ms"
_NOBODY_WAITS = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))) THEN
            RAISE lock_not_available USING MESSAGE = 'a row of the month is waited for';
        END IF;
    END $$
"""
_LOCK_NOT_AVAILABLE = "55P03"
_CHECK_VIOLATION = "23514"


class TableBusy(Exception):
    """Somebody holds the table for longer than its other readers are to wait."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One month of one table: [start_at, end_at) in UTC."""

    name: str
    start_at: datetime
    end_at: datetime


def series_tables() -> list[str]:
    """The tables that are partitioned, by name."""
    from monitoring.models import SeriesRow

    models = [
        model for model in apps.get_app_config("monitoring").get_models() if issubclass(model, SeriesRow)
    ]
    return sorted(model._meta.db_table for model in models)


def months(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The calendar months in UTC that touch [first, last], each as its start and end."""
    start = first.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while start <= last:
        end = (start + timedelta(days=32)).replace(day=1)
        yield start, end
        start = end


def partition_of(table: str, start: datetime, end: datetime) -> Partition:
    """The partition of ``table`` for the month from ``start`` to ``end``."""
    return Partition(f"{table}_{start:%Y_%m}", start, end)


def partitions(table: str, using: str = "default") -> list[Partition]:
    """The month partitions that stand, oldest first."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = %s ORDER BY c.relname",
            [table],
        )
        names = [name for (name,) in cursor.fetchall()]
    found = []
    for name in names:
        tail = name.removeprefix(f"{table}_")
        if tail != "default":
            start = datetime.strptime(tail, "%Y_%m").replace(tzinfo=UTC)
            found.append(partition_of(table, start, (start + timedelta(days=32)).replace(day=1)))
    return found


def table_change(statement: str, values: Sequence[Any] = (), *, using: str = "default") -> None:
    """Make or drop a month in a transaction of its own. Raises TableBusy, and what PostgreSQL says."""
    _table_changes([(statement, values)], using)


def _table_changes(steps: Sequence[tuple[str, Sequence[Any]]], using: str) -> None:
    """All of them or none."""
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            for statement, values in steps:
                cursor.execute(statement, values or None)
    except DatabaseError as error:
        if _sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        log.warning("partitions_wait", statement=statement)
        raise TableBusy from None


def _sqlstate(error: DatabaseError) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def partitions_ensure(
    *,
    now: datetime,
    kept: Mapping[str, datetime] | None = None,
    using: str = "default",
    patient: bool = False,
) -> list[str]:
    """Make what is missing from the oldest month that is kept to three months ahead; return the new names.

    ``kept``: since when, of the tables of which nobody keeps all. ``patient``: take what lies in the default partition
    however long everybody waits for it.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    floor, last = now - timedelta(days=settings.HISTORY_DAYS), now + timedelta(days=31 * MONTHS_AHEAD)
    made: list[str] = []
    for table in series_tables():
        standing = {partition.name for partition in partitions(table, using)}
        first = max(floor, (kept or {}).get(table, floor))
        for start, end in months(first, last):
            partition = partition_of(table, start, end)
            if partition.name in standing:
                continue
            try:
                _month_make(table, partition, using, patient)
            except TableBusy:
                # Whoever reads this one for so long reads the others, too.
                return made
            except DatabaseError as error:
                # Another process made it, or it is too much to move while others wait.
                log.warning("month_not_made", month=partition.name, sqlstate=_sqlstate(error))
                continue
            made.append(partition.name)
    return made


def _month_make(table: str, partition: Partition, using: str, patient: bool) -> None:
    quote, span = connections[using].ops.quote_name, [partition.start_at, partition.end_at]
    try:
        table_change(
            f"CREATE TABLE {quote(partition.name)} PARTITION OF {quote(table)} FOR VALUES FROM (%s) TO (%s)",
            span,
            using=using,
        )
    except DatabaseError as error:
        if _sqlstate(error) != _CHECK_VIOLATION:
            raise
        # Rows of this month lie in the default partition.
        _month_move(table, partition, using, patient)


def _month_move(table: str, partition: Partition, using: str, patient: bool) -> None:
    """Make a month of its rows in the default partition. Killed at any moment it leaves them there."""
    quote, span = connections[using].ops.quote_name, [partition.start_at, partition.end_at]
    parent, default, month = quote(table), quote(f"{table}_default"), quote(partition.name)
    within = "start_at >= %s AND start_at < %s"
    move = (
        f"WITH moved AS (DELETE FROM {default} WHERE {within} RETURNING *) "  # noqa: S608 - every name is ours
        f"INSERT INTO {month} SELECT * FROM moved"
    )
    _table_changes(
        [
            # By the check PostgreSQL knows without reading the rows that they belong there.
            (f"CREATE TABLE {month} (LIKE {parent} INCLUDING ALL, CONSTRAINT within CHECK ({within}))", span),
            (f"SET LOCAL statement_timeout = '{0 if patient else MOVE}'", ()),
            (move, span),
            (_NOBODY_WAITS, ()),
            (f"SET LOCAL lock_timeout = '{FREE_WAIT}'", ()),
            (f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE", ()),
            (f"SET LOCAL statement_timeout = '{0 if patient else HOLD}'", ()),
            # What was written meanwhile.
            (move, span),
            (f"ALTER TABLE {parent} ATTACH PARTITION {month} FOR VALUES FROM (%s) TO (%s)", span),
            (f"ALTER TABLE {month} DROP CONSTRAINT within", ()),
        ],
        using,
    )


def after_migrations(sender: Any, using: str, **_: Any) -> None:
    """Make the partitions of a database that was just set up or brought up to date."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            standing = set(connection.introspection.table_names(cursor))
        # Migrating backwards ends with no tables.
        if standing.issuperset(series_tables()):
            partitions_ensure(now=datetime.now(UTC), using=using, patient=True)


class MonthPartitioned(Operation):
    """Makes an empty, just created table of this model one that is partitioned by the month of `start_at`."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: Django's models cannot say this."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._rebuild(app_label, schema_editor, to_state, "PARTITION BY RANGE (start_at)")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._rebuild(app_label, schema_editor, from_state, "")
        if schema_editor.connection.vendor == "postgresql":
            model = from_state.apps.get_model(app_label, self.model_name)
            for name in ("organisation", "instrument"):
                field = model._meta.get_field(name)
                schema_editor.execute(
                    schema_editor._create_fk_sql(model, field, "_fk_%(to_table)s_%(to_column)s")
                )

    def _rebuild(self, app_label: str, schema_editor: Any, state: Any, tail: str) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor != "postgresql":
            return
        quote, table = schema_editor.quote_name, model._meta.db_table
        old = f"{table}_plain"
        key = ", ".join(quote(field.column) for field in model._meta.pk_fields)
        # Django may have deferred the foreign keys of the table that goes; they come back as one composite key.
        schema_editor.deferred_sql = [
            statement
            for statement in schema_editor.deferred_sql
            if not (hasattr(statement, "references_table") and statement.references_table(table))
        ]
        schema_editor.execute(f"ALTER TABLE {quote(table)} RENAME TO {quote(old)}")
        schema_editor.execute(f"CREATE TABLE {quote(table)} (LIKE {quote(old)} INCLUDING DEFAULTS) {tail}")
        if tail:
            schema_editor.execute(
                f"CREATE TABLE {quote(f'{table}_default')} PARTITION OF {quote(table)} DEFAULT"
            )
        schema_editor.execute(f"INSERT INTO {quote(table)} SELECT * FROM {quote(old)}")  # noqa: S608 - ours
        schema_editor.execute(f"DROP TABLE {quote(old)} CASCADE")
        schema_editor.execute(
            f"ALTER TABLE {quote(table)} ADD CONSTRAINT {quote(f'{table}_key')} PRIMARY KEY ({key})"
        )

    def describe(self) -> str:
        return f"Partition {self.model_name} by month"
