"""Rows of several models out of one join that is written by hand; it knows no scope, so the statement says whose rows.

For what nearly every request reads: to put such a join together takes the ORM longer than the database to answer it.
"""

from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Model


class Joined:
    """A statement's first row as an instance of each model, under the alias that it has there."""

    def __init__(self, statement: str, **models: type[Model]) -> None:
        """``statement`` is all that follows the columns; each keyword an alias in it and the model it stands for."""
        self._statement, self._models = statement, models

    def first(self, *parameters: Any) -> list[Any] | None:
        """The instances in the order of the aliases, None where there is no row."""
        sql, converters = self._prepared
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            row = cursor.fetchone()
        if row is None:
            return None
        values = list(row)
        for place, column, convert in converters:
            values[place] = convert(values[place], column, connection)
        found = []
        for model in self._models.values():
            names = [field.attname for field in model._meta.concrete_fields]
            found.append(model.from_db(connection.alias, names, values[: len(names)]))
            del values[: len(names)]
        return found

    @cached_property
    def _prepared(self) -> tuple[str, list[tuple[int, Any, Any]]]:
        """The whole statement, and what makes this database's values those of the fields, by place."""
        columns = [
            field.get_col(alias)
            for alias, model in self._models.items()
            for field in model._meta.concrete_fields
        ]
        names = ", ".join(f'{column.alias}."{column.target.column}"' for column in columns)
        converters = [
            (place, column, convert)
            for place, column in enumerate(columns)
            for convert in (
                *connection.ops.get_db_converters(column),
                *column.get_db_converters(connection),
            )
        ]
        return f"SELECT {names} {self._statement}", converters
