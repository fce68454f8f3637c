"""Waiting on PostgreSQL until somebody else waits: two who meet at the same rows, in the order that a test wants."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, connections

from instruments.tenancy import organisation_scope


@contextmanager
def meanwhile(organisation_id: int, work: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Gives what begins ``work`` on another connection and returns once it waits for us; it has to end well."""
    failures: list[BaseException] = []

    def second() -> None:
        try:
            with organisation_scope(organisation_id):
                work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=second)

    def begin() -> None:
        thread.start()
        another_waits()

    yield begin
    thread.join()
    assert not failures, failures


def another_waits() -> None:
    """Return once another connection to the test's database waits for a lock."""
    other = connections.create_connection("default")
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            with other.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.02)
    finally:
        other.close()
    raise AssertionError("nobody ever came to wait")
