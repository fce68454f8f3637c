"""Rows out of statements that are written by hand; they know no scope, so each statement says whose rows it reads.

For what nearly every request reads: to put such a statement together takes the ORM longer than the database to
answer it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connection
from django.db.models import Model

from instruments.statements import planned_cursor

Row = Sequence[Any]
Told = TypeVar("Told", bound=NamedTuple)


def _converting(columns: Iterable[tuple[int, Any]]) -> Callable[[Row], Row]:
    """Makes of a row's values, by place and column, what the columns' fields hold: SQLite has no times, nor JSON."""
    converters = [
        (place, column, convert)
        for place, column in columns
        for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection))
    ]

    def converted(row: Row) -> Row:
        values = list(row)
        for place, column, convert in converters:
            values[place] = convert(values[place], column, connection)
        return values

    return converted if converters else lambda row: row


def _told(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a statement is run with; SQLite has no instants."""
    told = connection.ops.adapt_datetimefield_value
    return {name: told(value) if isinstance(value, datetime) else value for name, value in parameters.items()}


class _Part(NamedTuple):
    """Which columns of a row are those of a model, and which of them is its key."""

    alias: str
    model: type[Model]
    names: list[str]
    place: slice
    key: int


class Joined:
    """A statement's rows, each as an instance of each model under the alias that it has there."""

    def __init__(
        self, statement: str, only: Mapping[str, Sequence[str]] | None = None, **models: type[Model]
    ) -> None:
        """``statement`` is all that follows the columns; each keyword an alias in it and the model it stands for.

        Its parameters are named, as in ``%(serial)s``. ``only`` names the columns of a model that is not wanted
        whole, its key among them.
        """
        self._statement, self._only, self._models = statement, only or {}, models

    def first(self, **parameters: Any) -> dict[str, Any] | None:
        """The instances by their aliases, None for what was not joined; None where there is no row."""
        return next(iter(self.all(**parameters)), None)

    def all(self, **parameters: Any) -> list[dict[str, Any]]:
        """As `first`, of every row in the order in which the database gives them."""
        sql, parts, converted = self._prepared
        with planned_cursor() as cursor:
            cursor.execute(sql, _told(parameters))
            rows, using = cursor.fetchall(), cursor.db.alias
        return [
            {
                alias: model.from_db(using, names, values[place]) if values[key] is not None else None
                for alias, model, names, place, key in parts
            }
            for values in map(converted, rows)
        ]

    @cached_property
    def _prepared(self) -> tuple[str, list[_Part], Callable[[Row], Row]]:
        """The whole statement, whose columns are whose, and what makes this database's values those of the fields."""
        columns: list[Any] = []
        parts = []
        for alias, model in self._models.items():
            wanted = self._only.get(alias)
            fields = [field for field in model._meta.concrete_fields if not wanted or field.attname in wanted]
            names, first = [field.attname for field in fields], len(columns)
            columns += [field.get_col(alias) for field in fields]
            key = first + names.index(model._meta.pk.attname)
            parts.append(_Part(alias, model, names, slice(first, len(columns)), key))
        named = ", ".join(f'{column.alias}."{column.target.column}"' for column in columns)
        return f"SELECT {named} {self._statement}", parts, _converting(enumerate(columns))


class Listed(Generic[Told]):
    """A statement's rows as named tuples of one kind."""

    def __init__(self, kind: type[Told], statement: str, **fields: Any) -> None:
        """The parameters of ``statement`` are named, as in ``%(serial)s``.

        ``fields`` names, of the tuple's members, those whose values this database may give in another form.
        """
        self._kind, self._statement, self._fields = kind, statement, fields

    def rows(self, **parameters: Any) -> list[Told]:
        """All of them, in the order in which the database gives them."""
        with planned_cursor() as cursor:
            cursor.execute(self._statement, _told(parameters))
            rows = cursor.fetchall()
        return [self._kind(*row) for row in map(self._converted, rows)]

    @cached_property
    def _converted(self) -> Callable[[Row], Row]:
        names = self._kind._fields
        return _converting((names.index(name), field.cached_col) for name, field in self._fields.items())
