"""Celery's doorbell for actions: what is asked for is in the database, a lost task costs one tick."""

import dataclasses

from celery import shared_task
from django.utils import timezone

from instruments.tenancy import organisation_scope
from monitoring.actions.claims import Claim, actions_claim
from monitoring.actions.turns import action_turn
from monitoring.sync.tasks import dispatch as dispatch_sync


@shared_task
def dispatch() -> int:
    """Claim the actions whose next step is due, be it to send, to look or to give up, and queue one task for each."""
    claims = actions_claim(now=timezone.now())
    for claim in claims:
        run.delay(**dataclasses.asdict(claim))
    return len(claims)


@shared_task
def run(organisation_id: int, action_id: int, token: str) -> None:
    """Take one step of a claimed action, then ring for what it made due."""
    with organisation_scope(organisation_id):
        turn = action_turn(claim=Claim(organisation_id, action_id, token))
    if turn is not None and turn.sync:
        dispatch_sync.apply_async(expires=5)
