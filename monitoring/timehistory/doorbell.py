"""Rings the broker for time histories that were just asked for; it never raises, because the next tick finds them."""

import structlog
from kombu.exceptions import OperationalError
from redis import RedisError

from monitoring.timehistory.tasks import dispatch

log = structlog.get_logger(__name__)


def ring() -> None:
    """Have what is due fetched now."""
    try:
        dispatch.delay()
    except (OperationalError, RedisError, OSError):
        log.warning("broker_unreachable", rang_for="time histories")
