"""Celery's entry points: each opens its organisation's scope and calls a verb; nothing is decided here."""

import time

import structlog
from celery import shared_task
from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from instruments.models import Organisation
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.sync.tasks import dispatch
from webhooks.addresses import address_is_registrable
from webhooks.doorbell import BROKER_FAILURES, ring_registrations
from webhooks.models import Delivery, Subscription
from webhooks.processing import delivery_process
from webhooks.registration import registration_run
from webhooks.retention import deliveries_expire
from webhooks.schedule import newcomers_make_due, registrations_due, registrations_ensure
from webhooks.silence import silence_judge

log = structlog.get_logger(__name__)

TICK_SECONDS = 10
# A flood in one organisation must not hold up another's few.
TURNS_PER_ORGANISATION = 100
MOST_A_TICK = 500
TOGETHER = 50
EXPIRED_AT_ONCE = 20_000
EXPIRE_SECONDS = 60.0
SILENCE_SECONDS = 300


@shared_task(time_limit=45)
def process(organisation_id: int, *delivery_ids: int) -> None:
    """Process these deliveries of one organisation, and have what they made due fetched at once."""
    fetch = False
    with organisation_scope(organisation_id):
        for delivery_id in delivery_ids:
            effect = delivery_process(delivery_id=delivery_id, now=timezone.now())
            fetch = fetch or bool(effect and effect.fetch)
    if fetch:
        try:
            # Here and now: each queue on the way to a mail is one more to wait in.
            dispatch()
        except BROKER_FAILURES:
            # The targets are due in the database: the next sync tick finds them.
            log.warning("broker_unreachable", rang_for="sync")


@shared_task
def tick() -> None:
    """Ring again for deliveries that nobody took up: the broker was down, or their worker died."""
    now = timezone.now()
    waiting: dict[int, list[int]] = {}
    with all_organisations(reason="a tick finds the due deliveries of every organisation"):
        due = (
            Delivery.objects.due(now)
            .annotate(turn=Window(RowNumber(), partition_by=F("organisation_id"), order_by=F("due_at").asc()))
            .filter(turn__lte=TURNS_PER_ORGANISATION)
            .order_by("turn")
            .values_list("organisation_id", "pk")[:MOST_A_TICK]
        )
        for organisation_id, delivery_id in due:
            waiting.setdefault(organisation_id, []).append(delivery_id)
    for organisation_id, delivery_ids in waiting.items():
        for start in range(0, len(delivery_ids), TOGETHER):
            # What no worker took before the next tick is rung for again: without `expires` it would pile up.
            process.apply_async(
                (organisation_id, *delivery_ids[start : start + TOGETHER]), expires=TICK_SECONDS
            )


@shared_task
def register(organisation_id: int, registration_id: int) -> None:
    """Take one turn at the webhooks of one key, and ring for the next where there is more to do."""
    with organisation_scope(organisation_id):
        turn = registration_run(registration_id=registration_id)
    if turn is not None and turn.more:
        ring_registrations(organisation_id, registration_id)


@shared_task
def registration_tick() -> None:
    """Ring for the keys whose webhooks are to be compared, and see whether there are new keys or instruments."""
    now = timezone.now()
    with all_organisations(reason="a tick finds the keys of every organisation that are due"):
        registrations_ensure(now=now)
        if address_is_registrable():
            newcomers_make_due(now=now)
        due = registrations_due(now=now)
    for organisation_id, registration_id in due:
        ring_registrations(organisation_id, registration_id)


@shared_task
def expire() -> None:
    """Delete old deliveries, organisation by organisation, for a minute at most; the next hour goes on."""
    until = time.monotonic() + EXPIRE_SECONDS
    for organisation_id in Organisation.objects.order_by("pk").values_list("pk", flat=True):
        if time.monotonic() > until:
            break
        with organisation_scope(organisation_id):
            deliveries_expire(now=timezone.now(), most=EXPIRED_AT_ONCE)


@shared_task
def silence_tick() -> None:
    """See in which organisations webhooks keep silent; those that have none in place are not asked about."""
    with all_organisations(reason="a tick finds the organisations that have webhooks"):
        owners = set(Subscription.objects.in_place().values_list("organisation_id", flat=True).distinct())
    for organisation_id in sorted(owners):
        silence.apply_async((organisation_id,), expires=SILENCE_SECONDS)


@shared_task
def silence(organisation_id: int) -> None:
    """Judge one organisation's webhooks."""
    with organisation_scope(organisation_id), transaction.atomic():
        silence_judge(now=timezone.now())
