"""Statements written by hand: run again and again, naming what they are about one by one, or holding a name."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from django.db import connection
from django.db.backends.utils import CursorWrapper

T = TypeVar("T")


def planned_cursor() -> CursorWrapper:
    """A cursor by which PostgreSQL reads and plans each text once for a connection; on SQLite a usual one.

    Django's own puts the parameters into the text, which is a new one to PostgreSQL each time: to plan a join took
    it three times as long as to answer it. Numbers and times are bound with their types, texts without one.
    """
    cursor = connection.cursor()
    # Where statements are logged Django's own tells what they were.
    if connection.vendor == "postgresql" and not connection.queries_logged:
        import psycopg

        cursor.cursor = psycopg.Cursor(connection.connection)
    return cursor


def hold(name: str) -> None:
    """Until this transaction ends nobody else holds ``name``; on SQLite a transaction is the only writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def in_parts(values: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """``values`` by as many at once as a statement names one by one."""
    return (values[first : first + size] for first in range(0, len(values), size))
