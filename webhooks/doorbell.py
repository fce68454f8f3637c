"""Rings the broker for what is stored: deliveries from a thread of its own, so that no broker ever delays a 200.

Nothing is lost with a ring: the rows are the truth, and the next tick finds them.
"""

import queue
import threading
import time

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

BROKER_FAILURES = (OperationalError, RedisError, OSError)
# As many as a burst brings while the broker answers slowly; beyond that the tick is soon enough.
_MOST_WAITING = 1000
_TOGETHER = 50
_PAUSE_SECONDS = 2.0
# What no worker took by then is rung for again.
_REGISTRATION_TICK_SECONDS = 30
# So little that nobody waits, and enough that a burst is one task: queuing costs more than storing.
_GATHER_SECONDS = 0.02

_waiting: queue.Queue[tuple[int, int]] = queue.Queue(_MOST_WAITING)
_lock = threading.Lock()
_ringer: threading.Thread | None = None


def ring(organisation_id: int, delivery_id: int) -> None:
    """Have the delivery queued for processing soon. Never waits, never raises."""
    global _ringer
    # Asked each time: in a forked server process the thread of its parent does not exist.
    if _ringer is None or not _ringer.is_alive():
        with _lock:
            if _ringer is None or not _ringer.is_alive():
                _ringer = threading.Thread(target=_run, name="webhook-doorbell", daemon=True)
                _ringer.start()
    try:
        _waiting.put_nowait((organisation_id, delivery_id))
    except queue.Full:
        pass


def ring_registrations(organisation_id: int, *registration_ids: int) -> None:
    """Have these keys' webhooks taken up soon. Never raises: they are due in the database, and the tick finds them."""
    from webhooks.tasks import register

    try:
        for registration_id in registration_ids:
            register.apply_async((organisation_id, registration_id), expires=_REGISTRATION_TICK_SECONDS)
    except BROKER_FAILURES as error:
        log.warning("broker_unreachable", rang_for="registration", error=type(error).__name__)


def _run() -> None:
    while True:
        rings = _next_rings()
        try:
            _send(rings)
        except BROKER_FAILURES as error:
            log.warning("broker_unreachable", rang_for="webhooks", error=type(error).__name__)
            time.sleep(_PAUSE_SECONDS)
        except Exception:
            # The thread must outlive whatever a broker library raises.
            log.exception("doorbell_failed")
            time.sleep(_PAUSE_SECONDS)


def _next_rings() -> dict[int, list[int]]:
    """Wait for a ring; take along what else is waiting, by organisation: one task for a whole burst."""
    rings: dict[int, list[int]] = {}
    organisation_id, delivery_id = _waiting.get()
    rings.setdefault(organisation_id, []).append(delivery_id)
    time.sleep(_GATHER_SECONDS)
    for _ in range(_TOGETHER - 1):
        try:
            organisation_id, delivery_id = _waiting.get_nowait()
        except queue.Empty:
            break
        rings.setdefault(organisation_id, []).append(delivery_id)
    return rings


def _send(rings: dict[int, list[int]]) -> None:
    from webhooks.tasks import process

    for organisation_id, delivery_ids in rings.items():
        process.delay(organisation_id, *delivery_ids)
