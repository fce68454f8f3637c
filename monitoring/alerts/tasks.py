"""Celery's doorbell for alerts: what is owed or due is in the database; a lost task costs a tick or a lease."""

from typing import Any

import redis
import structlog
from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.claims import Claim, owed_return
from monitoring.alerts.connections import connections_judge
from monitoring.alerts.deliveries import deliveries_claim, delivery_send
from monitoring.alerts.digests.turns import digest_send, digests_claim, digests_owe
from monitoring.alerts.facts import watch_judge
from monitoring.alerts.leaving import incidents_leave
from monitoring.alerts.nagging import incidents_nag
from monitoring.alerts.withdrawing import incidents_withdraw
from monitoring.models import AlertDelivery, AlertWatch, Digest, Owed

log = structlog.get_logger(__name__)
# Of one organisation at one tick: ten thousand instruments that were put under a rule hold up nobody else's.
TURNS = 100
BROKER_FAILURES = (OperationalError, redis.RedisError, OSError)


def tick() -> None:
    """At beat's tick: judge what time alone has changed, remind, owe digests, and queue what is owed."""
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
    """Beat's slower tick: keys, MyCirrus, ourselves, and what rules and instruments left that are no more."""
    now = timezone.now()
    connections_judge(now=now)
    incidents_withdraw(now=now)
    incidents_leave(now=now)


@shared_task
def dispatch() -> int:
    """Claim what is owed and queue one task for each message; digests take the places that alerts leave."""
    now = timezone.now()
    count = _queued(send, AlertDelivery, deliveries_claim(now=now))
    return count + _queued(send_digest, Digest, digests_claim(now=now))


def _queued(task: Any, model: type[Owed], claims: list[Claim]) -> int:
    for number, claim in enumerate(claims):
        try:
            task.delay(*claim)
        except BROKER_FAILURES:
            # Or nothing else would be sent in their places until their leases end.
            owed_return(model, claims[number:])
            raise
    return len(claims)


@shared_task
def send(organisation_id: int, delivery_id: int, token: str) -> None:
    """Send one claimed message, and have the next one take its place."""
    with organisation_scope(organisation_id):
        delivery_send(delivery_id=delivery_id, token=token)
    dispatch()


@shared_task
def send_digest(organisation_id: int, digest_id: int, token: str) -> None:
    """Send one claimed digest, and have the next message take its place."""
    with organisation_scope(organisation_id):
        digest_send(digest_id=digest_id, token=token, now=timezone.now())
    dispatch()
