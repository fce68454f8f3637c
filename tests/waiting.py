"""Waiting on PostgreSQL until somebody else waits: two who meet at the same rows, in the order that a test wants."""

import time

from django.db import connections


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
