"""Django's sessions in the database, read by a statement of ours: every request reads one, and little else."""

from datetime import datetime
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from instruments.statements import planned_cursor

# Deleted at a time: a table that nobody cleaned for years holds millions.
CHUNK = 5_000


def sessions_expire(*, now: datetime) -> int:
    """Delete the sessions that have ended, a chunk in each transaction; how many."""
    ended, total = Session.objects.filter(expire_date__lt=now), 0
    while keys := list(ended.values_list("pk", flat=True)[:CHUNK]):
        total += Session.objects.filter(pk__in=keys).delete()[0]
    return total


class SessionStore(db.SessionStore):
    """Differs from Django's in how a session is read: to put that together took the ORM longer than the database."""

    def load(self) -> dict[str, Any]:
        """What is kept under this key; nothing, and a key to be made anew, where it is unknown or has ended."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        with planned_cursor() as cursor:
            cursor.execute(
                f'SELECT session_data FROM "{self.model._meta.db_table}" '  # noqa: S608 - a name of Django's
                "WHERE session_key = %s AND expire_date > %s",
                [self.session_key, now],
            )
            row = cursor.fetchone()
        if row is None:
            self._session_key = None
            return {}
        return self.decode(row[0])
