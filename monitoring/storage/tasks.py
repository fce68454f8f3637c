"""The daily housekeeping of the store; running it twice or not at all for a while does no harm."""

import structlog
from celery import shared_task
from django.utils import timezone

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.storage.partitions import partitions_ensure
from monitoring.storage.retention import cutoffs, partitions_drop, rows_drop
from monitoring.timehistory.requests import histories_expire

log = structlog.get_logger(__name__)


@shared_task
def housekeeping() -> None:
    """Make the partitions of the months to come, then let go of what nobody keeps."""
    now = timezone.now()
    made, dropped = partitions_ensure(now=now, kept=cutoffs(now)), partitions_drop(now=now)
    if made or dropped:
        log.info("partitions", made=made, dropped=dropped)
    for organisation in Organisation.objects.order_by("pk"):
        rows_drop(organisation=organisation, now=now)
        with organisation_scope(organisation.pk):
            histories_expire(now=now)
