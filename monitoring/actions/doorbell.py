"""Rings the broker for actions that were just asked for; it never raises, because the next tick finds them anyway."""

import structlog
from kombu.exceptions import OperationalError
from redis import RedisError

from monitoring.actions.tasks import dispatch

log = structlog.get_logger(__name__)


def ring() -> None:
    """Have what is due sent now."""
    try:
        dispatch.delay()
    except (OperationalError, RedisError, OSError):
        log.warning("broker_unreachable", rang_for="actions")
