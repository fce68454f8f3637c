"""Held by the database: two periods of one thing never overlap. It knows tables and columns, and no rule of ours.

A model that wants it stands in `PERIODS` and gets an `ExclusivePeriods` in a migration. PostgreSQL holds it with an
exclusion constraint; SQLite has none, so there triggers do it, made after each migration like those of
instruments/constraints.py. Periods are half open: one may begin at the very instant at which another ends.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connections

from instruments.constraints import PostgresOperation

# Model and the foreign key whose periods must not overlap; its columns are start_at and end_at (NULL: still so).
PERIODS = (("instruments.Deployment", "instrument"),)
_PREFIX = "alone_"


class ExclusivePeriods(PostgresOperation):
    """Lets no two rows of one ``field`` overlap in time."""

    def __init__(self, model_name: str, field: str) -> None:
        super().__init__(model_name)
        self.field = field

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.field], {}

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if model := self._model(app_label, schema_editor, to_state):
            quote = schema_editor.quote_name
            column = quote(model._meta.get_field(self.field).column)
            # A range of one number in place of the number: GiST has no = for bigint without the btree_gist
            # extension, which whoever owns the database may not be allowed to add.
            schema_editor.execute(
                f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {quote(_name(model))} EXCLUDE USING gist "
                f"(int8range({column}, {column}, '[]') WITH &&, tstzrange(start_at, end_at, '[)') WITH &&)"
            )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if model := self._model(app_label, schema_editor, from_state):
            quote = schema_editor.quote_name
            schema_editor.execute(
                f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(_name(model))}"
            )

    def describe(self) -> str:
        return f"Let no two {self.model_name} of one {self.field} overlap"


def _name(model: Any) -> str:
    return f"{_PREFIX}{model._meta.db_table}"


def sqlite_triggers_drop(using: str, **_: Any) -> None:
    """Take the triggers away before migrations run, for the reason given in instruments/constraints.py."""
    connection = connections[using]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for label, _field in PERIODS:
                for event in ("insert", "update"):
                    name = f"{_name(apps.get_model(label))}_{event}"
                    cursor.execute(f"DROP TRIGGER IF EXISTS {connection.ops.quote_name(name)}")


def sqlite_triggers_create(sender: Any, using: str, **_: Any) -> None:
    """Put the triggers of the app ``sender`` on the tables as they stand after migrations."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for label, field in PERIODS:
            model = apps.get_model(label)
            if model._meta.app_label == sender.label and model._meta.db_table in tables:
                for statement in _trigger_statements(connection.ops.quote_name, model, field):
                    cursor.execute(statement)


def _trigger_statements(quote: Any, model: Any, field: str) -> Iterator[str]:
    table, column = quote(model._meta.db_table), quote(model._meta.get_field(field).column)
    # SQLite keeps instants as UTC text of one form, which compares as time does.
    overlapping = (
        f"WHEN EXISTS (SELECT 1 FROM {table} o WHERE o.{column} = NEW.{column} AND o.id <> COALESCE(NEW.id, 0) "  # noqa: S608
        f"AND (o.end_at IS NULL OR o.end_at > NEW.start_at) "
        f"AND (NEW.end_at IS NULL OR o.start_at < NEW.end_at)) "
        f"BEGIN SELECT RAISE(ABORT, 'constraint failed: {_name(model)}'); END"
    )
    for event, when in (("insert", "INSERT"), ("update", f"UPDATE OF {column}, start_at, end_at")):
        name = quote(f"{_name(model)}_{event}")
        yield f"DROP TRIGGER IF EXISTS {name}"
        yield f"CREATE TRIGGER {name} BEFORE {when} ON {table} {overlapping}"
