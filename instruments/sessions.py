"""Django's sessions in the database, read by a statement of ours: every request reads one, and little else."""

from typing import Any

from django.contrib.sessions.backends import db
from django.db import connection
from django.utils import timezone

from instruments.statements import planned_cursor


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
