"""After the clock was turned back: what a clock that ran ahead had put off waits no longer; it measures no time."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Q
from django.dispatch import Signal

from instruments.models import ApiKey
from instruments.tenancy import all_organisations
from monitoring.models import AlertDelivery, Digest, InstrumentAction, Lane, SyncTarget, TimeHistoryRequest

log = structlog.get_logger(__name__)

# Sent with `now`, and with every organisation in scope, to those who keep times of their own.
clock_turned_back = Signal()
# Less than this is only waited for, and two machines' clocks may differ by as much.
SHORTEST = timedelta(minutes=5)
# What was under way as the clock was turned back may write a time of before after everything was woken.
SECOND_LOOK = timedelta(seconds=20)


def clock_noted(*, before: datetime, now: datetime) -> bool:
    """Compare ``now`` with what an earlier tick noted; where the clock was turned back, wake what waits. True then.

    Without this an hour that never was would have to pass before anything is fetched or told.
    """
    if before <= now + SHORTEST:
        return False
    log.error("clock_turned_back", seconds=round((before - now).total_seconds()))
    clock_mend(now=now)
    return True


def clock_mend(*, now: datetime) -> None:
    """Wake what waits for a time that a clock which ran ahead had given it, in every organisation."""
    longest = now + timedelta(seconds=settings.SYNC_LEASE_SECONDS)
    with all_organisations(reason="the clock is every organisation's"):
        # Whoever still works on one finds the token gone, and drops what it has.
        free = {"due_at": now, "lease_until": None, "lease_token": None}
        SyncTarget.objects.filter(
            Q(outcome_at__gt=now) | Q(outcome_at=None, due_at__gt=now) | Q(lease_until__gt=longest),
            done_at=None,
        ).update(**free)
        # From there on they ask, and would not before that time; they look as far back as at first.
        SyncTarget.objects.filter(watermark_at__gt=now).exclude(lane=Lane.BACKFILL).update(watermark_at=None)
        ApiKey.objects.filter(paused_until__gt=now).update(paused_until=None)
        ahead = Q(due_at__gt=now) | Q(lease_until__gt=longest)
        for owed in (AlertDelivery, Digest):
            owed.objects.filter(ahead, sent_at=None, failed_at=None).update(**free)
        # An action asked for in an hour that is yet to come would look fresh for all of it.
        InstrumentAction.objects.open().filter(ahead).update(**free)
        TimeHistoryRequest.objects.open().filter(ahead).update(**free)
        clock_turned_back.send(sender=None, now=now)
