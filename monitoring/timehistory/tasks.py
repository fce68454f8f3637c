"""Celery's doorbell for time histories: what is wanted is in the database, a lost task costs one tick."""

import dataclasses

from celery import shared_task
from django.utils import timezone

from instruments.tenancy import organisation_scope
from monitoring.models import HistoryState
from monitoring.timehistory.claims import Claim, histories_claim
from monitoring.timehistory.turns import history_turn


@shared_task
def dispatch() -> int:
    """Claim what is due and queue one task for each."""
    claims = histories_claim(now=timezone.now())
    for claim in claims:
        run.delay(**dataclasses.asdict(claim))
    return len(claims)


@shared_task
def run(organisation_id: int, request_id: int, token: str) -> None:
    """Fetch for a while, then ring for whoever is next."""
    with organisation_scope(organisation_id):
        state = history_turn(claim=Claim(organisation_id, request_id, token))
    if state in (HistoryState.OPEN, HistoryState.DONE):
        dispatch.apply_async(expires=5)
