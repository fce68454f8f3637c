"""Celery's doorbell for alerts: what is owed or due is in the database, a lost task costs one tick."""

import structlog
from celery import shared_task
from django.utils import timezone

from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.connections import connections_judge
from monitoring.alerts.deliveries import deliveries_claim, delivery_send
from monitoring.alerts.digests.turns import digest_send, digests_claim, digests_owe
from monitoring.alerts.facts import watch_judge
from monitoring.alerts.nagging import incidents_nag
from monitoring.alerts.withdrawing import incidents_withdraw
from monitoring.models import AlertWatch

log = structlog.get_logger(__name__)
# Of one organisation at one tick: ten thousand instruments that were put under a rule hold up nobody else's.
TURNS = 100


@shared_task
def tick() -> None:
    """Beat's tick: judge what time alone has changed, remind, owe digests, and queue what is owed."""
    now = timezone.now()
    with all_organisations(reason="the tick serves every organisation"):
        due = set(
            AlertWatch.objects.filter(due_at__lte=now).values_list("organisation_id", flat=True).distinct()
        )
    # One short task for each organisation, so that none waits for another.
    for organisation_id in sorted(due):
        look.apply_async((organisation_id,), expires=5)
    incidents_nag(now=now)
    digests_owe(now=now)
    for organisation_id, digest_id, token in digests_claim(now=now):
        send_digest.delay(organisation_id, digest_id, token)
    dispatch()


@shared_task
def look(organisation_id: int) -> None:
    """Judge one organisation's subjects whose time has come."""
    now = timezone.now()
    with organisation_scope(organisation_id):
        due = AlertWatch.objects.filter(due_at__lte=now).select_related("rule", "instrument")
        for watch in due.order_by("due_at")[:TURNS]:
            watch_judge(watch, now)
    dispatch()


@shared_task
def connections() -> None:
    """Beat's slower tick: keys, MyCirrus, ourselves, and what rules left that judge no more."""
    now = timezone.now()
    connections_judge(now=now)
    incidents_withdraw(now=now)


@shared_task
def dispatch() -> int:
    """Claim what is owed and queue one task for each message."""
    claims = deliveries_claim(now=timezone.now())
    for organisation_id, delivery_id, token in claims:
        send.delay(organisation_id, delivery_id, token)
    return len(claims)


@shared_task
def send(organisation_id: int, delivery_id: int, token: str) -> None:
    """Send one claimed message."""
    with organisation_scope(organisation_id):
        delivery_send(delivery_id=delivery_id, token=token)


@shared_task
def send_digest(organisation_id: int, digest_id: int, token: str) -> None:
    """Send one claimed digest."""
    with organisation_scope(organisation_id):
        digest_send(digest_id=digest_id, token=token, now=timezone.now())
