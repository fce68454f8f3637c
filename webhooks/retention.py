"""Deletes deliveries that are older than the installation keeps them, a few at a time; what they set off stays."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings

from webhooks.models import Delivery

log = structlog.get_logger(__name__)

TOGETHER = 500


def deliveries_expire(*, now: datetime, most: int) -> int:
    """Delete what is older than DELIVERY_DAYS in the organisation in scope, ``most`` at most. Returns how many.

    What still waits to be processed is kept, whatever its age.
    """
    if not settings.DELIVERY_DAYS:
        return 0
    old = Delivery.objects.filter(received_at__lt=now - timedelta(days=settings.DELIVERY_DAYS)).exclude(
        state=Delivery.State.RECEIVED
    )
    deleted = 0
    while deleted < most:
        # Short transactions: what arrives meanwhile must not wait behind a million rows.
        pks = list(old.order_by("received_at", "pk").values_list("pk", flat=True)[:TOGETHER])
        if not pks:
            break
        deleted += Delivery.objects.filter(pk__in=pks).delete()[0]
    if deleted:
        log.info("webhook_deliveries_expired", deleted=deleted)
    return deleted
