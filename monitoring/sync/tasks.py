"""Celery's doorbell for the sync: every task only asks the database what is due, or runs one claim."""

from datetime import datetime

import redis
import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from instruments.tenancy import organisation_scope
from monitoring.alerts.tasks import dispatch as dispatch_alerts
from monitoring.sync.beat import beat_note
from monitoring.sync.claims import Claim, claims_return, due_claim
from monitoring.sync.clock import SECOND_LOOK, clock_mend, clock_noted
from monitoring.sync.run import target_run
from monitoring.sync.targets import keys_catch_up

log = structlog.get_logger(__name__)
SECOND_LOOK_KEY = "cirrusweb:clock:second_look"
RUNG_KEY = "cirrusweb:sync:rung"
MOMENT_SECONDS = 0.2
BROKER_FAILURES = (OperationalError, redis.RedisError, OSError)


def tick() -> None:
    """At beat's tick: note that the beat is alive, then claim and queue what is due."""
    now = timezone.now()
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            before = beat_note(client=client, now=now)
            again = client.get(SECOND_LOOK_KEY)
            if before and clock_noted(before=before, now=now):
                client.set(SECOND_LOOK_KEY, (now + SECOND_LOOK).isoformat())
            elif again and datetime.fromisoformat(again.decode()) <= now:
                clock_mend(now=now)
                client.delete(SECOND_LOOK_KEY)
    except redis.RedisError:
        log.warning("beat could not be noted")
    keys_catch_up(now=now)
    dispatch()


@shared_task
def dispatch() -> int:
    """Claim what is due now and queue one task for each claim; what somebody rang for goes before every poll."""
    claims = due_claim(now=timezone.now())
    for number, claim in enumerate(claims):
        queue = "hints" if claim.hint else "sync"
        try:
            run.apply_async((claim.organisation_id, claim.target_id, claim.token), queue=queue)
        except BROKER_FAILURES:
            # Not held until their leases end: whoever comes next finds them due.
            claims_return(claims=claims[number:])
            raise
    return len(claims)


@shared_task
def run(organisation_id: int, target_id: int, token: str) -> None:
    """Run one claim, then ring for whatever it made due."""
    with organisation_scope(organisation_id):
        turn = target_run(claim=Claim(organisation_id, target_id, token))
    if turn is None:
        return
    if any(each.alerts for each in turn.whole()):
        # Here and now: each queue on the way to a mail is one more to wait in.
        dispatch_alerts()
    if any(each.more or each.rows for each in turn.whole()):
        _ring()


def _ring() -> None:
    """Have the places filled that turns have left: one dispatch for all that end within a moment.

    It comes when the moment is over, so that every turn which did not ring ended before it; and behind what is
    claimed already, because there is nothing to fill before that is done.
    """
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
        first = client.set(RUNG_KEY, 1, nx=True, px=int(1000 * MOMENT_SECONDS))
    if first:
        dispatch.apply_async(countdown=MOMENT_SECONDS, expires=5, queue="sync")
