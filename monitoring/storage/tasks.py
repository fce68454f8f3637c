"""The hourly housekeeping of the store; running it twice or not at all for a while does no harm."""

import time

import structlog
from celery import shared_task
from django.utils import timezone

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.storage.partitions import partitions_ensure
from monitoring.storage.retention import cutoffs, partitions_drop, rows_drop
from monitoring.sync.reread import unread_again
from monitoring.timehistory.requests import histories_expire

log = structlog.get_logger(__name__)
# Nothing is begun after so long, and each go is short: at 300 s the broker would deliver the task a second time.
LONGEST_SECONDS = 60.0
# Rows of each of nine rules in one go: seconds, and a minute and a half at five thousand a second.
MOST = 50_000


@shared_task
def housekeeping() -> None:
    """Make the partitions of the months to come, drop those that nobody keeps, and send each organisation's task."""
    now = timezone.now()
    made, dropped = partitions_ensure(now=now, kept=cutoffs(now)), partitions_drop(now=now)
    if made or dropped:
        log.info("partitions", made=made, dropped=dropped)
    # One task for each, so that what one lets go holds up nobody else's.
    for organisation_id in Organisation.objects.order_by("pk").values_list("pk", flat=True):
        organisation_housekeeping.apply_async((organisation_id,), expires=3600)


@shared_task
def organisation_housekeeping(organisation_id: int) -> None:
    """Let go of what one organisation does not keep, and read again what was not understood.

    What takes longer than a minute goes on in an hour.
    """
    now, until = timezone.now(), time.monotonic() + LONGEST_SECONDS
    organisation = Organisation.objects.filter(pk=organisation_id).first()
    if organisation is None:
        return
    with organisation_scope(organisation_id):
        while histories_expire(now=now, most=1) and time.monotonic() < until:
            pass
    # Fewer than that, and no rule was cut short.
    while rows_drop(organisation=organisation, now=now, most=MOST) >= MOST and time.monotonic() < until:
        pass
    # Last, for what an organisation does not keep goes whatever comes of this.
    with organisation_scope(organisation_id):
        unread_again(now=now, until=until)
