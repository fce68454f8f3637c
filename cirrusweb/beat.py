"""Beat's own Celery application: it only rings at times, so it loads the settings and none of the apps.

With `cirrusweb.celery` the process would hold the whole project in memory (85 MB against 45) to send four words.
"""

import dbm
import logging.config
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import redis
import structlog
from celery import Celery, signals
from celery.beat import PersistentScheduler

from cirrusweb import settings

log = structlog.get_logger(__name__)
# Workers that are only behind empty it within minutes.
QUEUE_FULL = 1_000
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

app = Celery("cirrusweb", fixups=[])
app.config_from_object(settings, namespace="CELERY")


@signals.setup_logging.connect
def _setup_logging(**_: Any) -> None:
    """Log as every other process does."""
    logging.config.dictConfig(settings.LOGGING)


@lru_cache(maxsize=1)
def _redis(url: str) -> redis.Redis:
    # Asked at each ring, a hundred thousand times a day: not by a connection of its own each time.
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)


class Scheduler(PersistentScheduler):
    """Celery's, but for a clock that is turned back and a disk that is full, which would end its ringing; and for
    workers that are away for days, for whom Redis would keep each ring.
    """

    _reached = _LONG_AGO

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Ring what is due. All of it is, where the clock has been turned back since it last rang."""
        now = self.app.now()
        if now < self._reached or any(entry.last_run_at > now for entry in self.schedule.values()):
            # Celery would wait until the clock has caught up with what it noted: an hour without a tick.
            log.warning("clock_turned_back")
            for entry in self.schedule.values():
                entry.last_run_at = _LONG_AGO
            self._heap = None
        self._reached = now
        return float(super().tick(*args, **kwargs))

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Ring, unless nobody has listened for long: every ring is the same as the ones that lie there."""
        try:
            waiting = _redis(settings.REDIS_URL).llen(settings.CELERY_TASK_QUEUES[0].name)
        except redis.RedisError:
            waiting = 0
        if waiting > QUEUE_FULL:
            log.warning("nobody_takes_messages", waiting=waiting)
            return
        super().apply_entry(entry, producer=producer)

    def sync(self) -> None:
        """Write down when each last rang; where that cannot be written, a restart rings a little early."""
        try:
            super().sync()
        except dbm.error as error:
            log.error("schedule_not_written", error=str(error))
