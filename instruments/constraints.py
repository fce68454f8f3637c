"""Tenancy held by the database: a child's row can point only to a parent of its own organisation.

Migrations add these with `TenantParent` and `TenantForeignKey`; `tests/guards/test_tenancy.py` holds that every
foreign key between organisation-owned models has one. The code's own fence is `instruments.tenancy`: this is the
second one, for raw SQL, a careless script and our own mistakes.

PostgreSQL: UNIQUE (organisation_id, id) on the parent and, beside Django's own foreign key, FOREIGN KEY
(organisation_id, <field>_id) on the child. SQLite cannot add a constraint to a table that stands, so there
triggers do it, and they live outside the migrations (`sqlite_triggers_drop` and `…_create`, joined to Django's
migrate signals in cirrusweb/apps.py). Tables of millions of rows have the same key there too, `SqliteTenantForeignKey`:
a trigger costs a back-fill a fifth of its writing.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import names_digest
from django.db.migrations.operations.base import Operation

from instruments.tenancy import OrgOwned

_TRIGGER_PREFIX = "tenant_"


def _name(kind: str, table: str, column: str = "") -> str:
    """A name below PostgreSQL's 63 bytes that is the same at each run."""
    return f"{_TRIGGER_PREFIX}{kind}_{table[:24]}_{column[:16]}_{names_digest(table, column, length=8)}"


def parent_index(parent: type[models.Model]) -> str:
    """The name of the unique index on a parent's (organisation_id, key)."""
    return _name("key", parent._meta.db_table)


def foreign_key(child: type[models.Model], column: str) -> str:
    """The name of the composite foreign key of a child's column."""
    return _name("fk", child._meta.db_table, column)


def tenant_foreign_keys() -> Iterator[tuple[type[OrgOwned], "models.ForeignKey[Any, Any]"]]:
    """Every foreign key from an organisation-owned model to another, as the code has them now."""
    for model in apps.get_models(include_auto_created=True):
        if issubclass(model, OrgOwned):
            for field in model._meta.local_fields:
                if isinstance(field, models.ForeignKey) and issubclass(field.related_model, OrgOwned):
                    yield model, field


class SqliteTenantParent(models.UniqueConstraint):
    """What `TenantParent` is to PostgreSQL. In the model, so that it comes along when Django builds the table anew."""

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        return super().constraint_sql(model, schema_editor) if _is_sqlite(schema_editor) else None

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        return super().create_sql(model, schema_editor) if _is_sqlite(schema_editor) else None

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        return super().remove_sql(model, schema_editor) if _is_sqlite(schema_editor) else None

    def validate(self, *_: Any, **__: Any) -> None:
        """Nothing: the id is unique by itself."""


class SqliteTenantForeignKey(models.BaseConstraint):
    """What `TenantForeignKey(…, alone=True)` is to PostgreSQL: the one key of ``field`` and the organisation.

    Both fields have `db_constraint=False`, and the parent a `SqliteTenantParent`. The table's own key has to begin with
    the two columns: by it SQLite looks for children when a parent is deleted.
    """

    def __init__(self, *, field: str, name: str) -> None:
        super().__init__(name=name)
        self.field = field

    def deconstruct(self) -> Any:
        path, arguments, named = super().deconstruct()
        return path, arguments, {**named, "field": self.field}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SqliteTenantForeignKey) and self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((self.name, self.field))

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        if not _is_sqlite(schema_editor):
            return None
        quote, field = schema_editor.quote_name, model._meta.get_field(self.field)
        parent = field.related_model._meta
        # Deferred, as Django's own are: the collector deletes parents before children.
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({quote('organisation_id')}, {quote(field.column)}) "
            f"REFERENCES {quote(parent.db_table)} ({quote('organisation_id')}, {quote(parent.pk.column)}) "
            "DEFERRABLE INITIALLY DEFERRED"
        )

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        """Nothing: SQLite has it in the table from the beginning, see `SqliteRebuild`."""

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        """Nothing, for the same reason."""

    def validate(self, *_: Any, **__: Any) -> None:
        """Nothing: the database does."""


def _is_sqlite(schema_editor: Any) -> bool:
    return bool(schema_editor.connection.vendor == "sqlite")


class SqliteRebuild(Operation):
    """Builds tables anew on SQLite, rows included, as the models are at this place of a migration.

    ``undone``: when the migration is taken back, and not when it is applied; it stands first and the other one last,
    with operations in between that change the state alone. So a table is built once, whatever changes about it.
    """

    reversible = True

    def __init__(self, model_names: list[str], undone: bool = False) -> None:
        self.model_names, self.undone = model_names, undone

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_names], {"undone": True} if self.undone else {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: others have changed it."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not self.undone:
            self._build(app_label, schema_editor, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if self.undone:
            self._build(app_label, schema_editor, to_state)

    def _build(self, app_label: str, schema_editor: Any, state: Any) -> None:
        for name in self.model_names if _is_sqlite(schema_editor) else ():
            model = state.apps.get_model(app_label, name)
            if self.allow_migrate_model(schema_editor.connection.alias, model):
                schema_editor._remake_table(model)

    def describe(self) -> str:
        return f"Build the tables of {', '.join(self.model_names)} anew on SQLite"


class PostgresOperation(Operation):
    """Changes the database and not the models; does nothing where there is no PostgreSQL."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: Django's models cannot say this."""

    def references_model(self, name: str, app_label: str) -> bool:
        return name.lower() == self.model_name.lower()

    def _model(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: Any) -> Any:
        model = state.apps.get_model(app_label, self.model_name)
        wanted = schema_editor.connection.vendor == "postgresql"
        return model if wanted and self.allow_migrate_model(schema_editor.connection.alias, model) else None


class TenantParent(PostgresOperation):
    """Lets children refer to (organisation_id, key) of this model."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if model := self._model(app_label, schema_editor, to_state):
            quote = schema_editor.quote_name
            schema_editor.execute(
                f"CREATE UNIQUE INDEX {quote(parent_index(model))} ON {quote(model._meta.db_table)} "
                f"({quote('organisation_id')}, {quote(model._meta.pk.column)})"
            )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if model := self._model(app_label, schema_editor, from_state):
            schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(parent_index(model))}")

    def describe(self) -> str:
        return f"Let children of {self.model_name} be held to its organisation"


class TenantForeignKey(PostgresOperation):
    """Holds ``field`` of this model to a parent of the same organisation; the parent has a TenantParent before.

    ``alone`` is for tables of millions of rows whose ``field`` is never NULL: PostgreSQL then drops Django's own keys
    of the field and of the organisation, which this one implies, since the parent refers to its organisation
    itself. Three checks a row halve the speed of a back-fill (24,000 against 50,000 rows a second).
    """

    def __init__(self, model_name: str, field: str, alone: bool = False) -> None:
        super().__init__(model_name)
        self.field = field
        self.alone = alone

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.field], {"alone": True} if self.alone else {}

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if model := self._model(app_label, schema_editor, to_state):
            quote = schema_editor.quote_name
            field = model._meta.get_field(self.field)
            parent = field.related_model
            # Deferred, as Django's own are: the collector deletes parents before children. No ON DELETE action,
            # because Django carries CASCADE and SET NULL out itself, and SET NULL here would empty organisation_id.
            schema_editor.execute(
                f"ALTER TABLE {quote(model._meta.db_table)} "
                f"ADD CONSTRAINT {quote(foreign_key(model, field.column))} "
                f"FOREIGN KEY ({quote('organisation_id')}, {quote(field.column)}) "
                f"REFERENCES {quote(parent._meta.db_table)} "
                f"({quote('organisation_id')}, {quote(parent._meta.pk.column)}) "
                "DEFERRABLE INITIALLY DEFERRED"
            )
            for implied in self._implied(model):
                for name in schema_editor._constraint_names(model, [implied.column], foreign_key=True):
                    self._drop(schema_editor, model, name)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if model := self._model(app_label, schema_editor, from_state):
            for implied in self._implied(model):
                schema_editor.execute(
                    schema_editor._create_fk_sql(model, implied, "_fk_%(to_table)s_%(to_column)s")
                )
            self._drop(schema_editor, model, foreign_key(model, model._meta.get_field(self.field).column))

    def _implied(self, model: Any) -> list[Any]:
        return [model._meta.get_field(name) for name in (self.field, "organisation")] if self.alone else []

    @staticmethod
    def _drop(schema_editor: Any, model: Any, name: str) -> None:
        quote = schema_editor.quote_name
        # If it exists: where a later migration removed the column, its constraint went with it for good.
        schema_editor.execute(
            f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT IF EXISTS {quote(name)}"
        )

    def describe(self) -> str:
        return f"Hold {self.model_name}.{self.field} to one organisation"


def sqlite_triggers_drop(using: str, **_: Any) -> None:
    """Take the triggers away before migrations run.

    Django changes an SQLite table by building it anew under another name: its triggers would be gone, and the
    renaming fails while another table's trigger names a table that is not there.
    """
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, %s) = %s",
            [len(_TRIGGER_PREFIX), _TRIGGER_PREFIX],
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")


def sqlite_triggers_create(sender: Any, using: str, **_: Any) -> None:
    """Put the triggers of the app ``sender`` on the tables as they stand after migrations."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for child, field in tenant_foreign_keys():
            parent: Any = field.related_model
            if (
                child._meta.app_label == sender.label
                and {child._meta.db_table, parent._meta.db_table} <= tables
            ):
                for statement in _trigger_statements(connection.ops.quote_name, child, field, parent):
                    cursor.execute(statement)


def _trigger_statements(quote: Any, child: Any, field: Any, parent: Any) -> Iterator[str]:
    table, column, owner = quote(child._meta.db_table), quote(field.column), quote("organisation_id")
    keyed = any(
        isinstance(each, SqliteTenantForeignKey) and each.field == field.name
        for each in child._meta.constraints
    )
    crossing = (
        f"WHEN EXISTS (SELECT 1 FROM {quote(parent._meta.db_table)} p "  # noqa: S608
        f"WHERE p.{quote(parent._meta.pk.column)} = NEW.{column} AND p.{owner} <> NEW.{owner}) "
        f"BEGIN SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed: {field.name} of another organisation'); END"
    )
    for event in () if keyed else ("INSERT", f"UPDATE OF {owner}, {column}"):
        name = quote(_name(event[:6].lower(), child._meta.db_table, field.column))
        yield f"DROP TRIGGER IF EXISTS {name}"
        yield f"CREATE TRIGGER {name} BEFORE {event} ON {table} {crossing}"
    # From the other end: a parent that moves would leave its children behind.
    name = quote(_name("moved", parent._meta.db_table))
    yield f"DROP TRIGGER IF EXISTS {name}"
    yield (
        f"CREATE TRIGGER {name} BEFORE UPDATE OF {owner} ON {quote(parent._meta.db_table)} "
        f"WHEN NEW.{owner} <> OLD.{owner} BEGIN "
        "SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed: a row never moves to another organisation'); END"
    )
