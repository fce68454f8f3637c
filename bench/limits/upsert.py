"""The bare upsert of rows that are ready to be written: COPY to a temporary table and upsert, or executemany."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import psycopg

TABLE = "limit_noise"


class Upsert(Protocol):
    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Upsert ``rows`` and commit."""

    def empty(self) -> None: ...

    def close(self) -> None: ...


def upsert(url: str, like: str, columns: Sequence[str], key: Sequence[str]) -> Upsert:
    """Over a copy of the table ``like``, which is made now."""
    kind = Postgresql if url.startswith("postgresql") else Sqlite
    return kind(url, like, columns, key)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _on_conflict(columns: Sequence[str], key: Sequence[str]) -> str:
    updates = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in key)
    return f"ON CONFLICT ({_quoted(key)}) DO UPDATE SET {updates}"


class Postgresql:
    def __init__(self, url: str, like: str, columns: Sequence[str], key: Sequence[str]) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(f'CREATE TABLE {TABLE} (LIKE "{like}" INCLUDING ALL)')
        types = dict(
            self._connection.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0",
                [TABLE],
            ).fetchall()
        )
        self._types = [types[name] for name in columns]
        names = _quoted(columns)
        self._copy = f"COPY incoming_limit ({names}) FROM STDIN (FORMAT BINARY)"
        self._insert = (
            f"INSERT INTO {TABLE} ({names}) SELECT {names} FROM incoming_limit {_on_conflict(columns, key)}"
        )

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE incoming_limit (LIKE {TABLE}) ON COMMIT DROP")
            with cursor.copy(self._copy) as copy:
                copy.set_types(self._types)
                for row in rows:
                    copy.write_row(row)
            cursor.execute(self._insert)

    def empty(self) -> None:
        self._connection.execute(f"TRUNCATE {TABLE}")

    def close(self) -> None:
        self._connection.close()


class Sqlite:
    def __init__(self, url: str, like: str, columns: Sequence[str], key: Sequence[str]) -> None:
        path = unquote(urlsplit(url).path)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA synchronous=NORMAL")
        (made,) = self._connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", [like]).fetchone()
        self._connection.execute(made.replace(f'"{like}"', TABLE, 1))
        marks = ", ".join("?" * len(columns))
        self._insert = (
            f"INSERT INTO {TABLE} ({_quoted(columns)}) VALUES ({marks}) {_on_conflict(columns, key)}"
        )

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(self._insert, rows)
        self._connection.execute("COMMIT")

    def empty(self) -> None:
        self._connection.execute(f"DELETE FROM {TABLE}")

    def close(self) -> None:
        self._connection.close()
