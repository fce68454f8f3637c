"""The back-fill of the organisation in scope: how far it is, and its turns taken in the foreground."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from monitoring.models import Lane, SyncTarget
from monitoring.sync.claims import due_claim
from monitoring.sync.progress import Stretch
from monitoring.sync.run import Turn, target_run

# What is held elsewhere or paced by MyCirrus is waited for; what failed for longer is left to the workers.
PATIENCE = timedelta(minutes=2)


def history_stretches() -> list[Stretch]:
    """The history of each resource of each instrument that MyCirrus still lists, in the order of the resources."""
    targets = SyncTarget.objects.filter(instrument__gone_at=None)
    newest = {
        (instrument, resource): at
        for instrument, resource, at in targets.filter(lane=Lane.LIVE).values_list(
            "instrument_id", "resource", "watermark_at"
        )
    }
    rows = (
        targets.filter(lane=Lane.BACKFILL)
        .order_by("pk")
        .values_list("instrument_id", "resource", "floor_at", "watermark_at", "rows", "done_at", "parked_at")
    )
    return [
        Stretch(
            resource=resource,
            floor_at=floor,
            reached_at=reached,
            newest_at=newest.get((instrument, resource)),
            rows=count,
            done=done is not None,
            parked=parked is not None,
        )
        for instrument, resource, floor, reached, count, done, parked in rows
        if floor is not None and reached is not None
    ]


def backfill_run(*, organisation_id: int) -> Iterator[Turn]:
    """Take back-fill turns one after another, claimed as the workers do, until none is to be had soon."""
    while True:
        # One at a time: a turn may take a minute, and what is held meanwhile nobody else can fetch.
        claims = due_claim(now=timezone.now(), organisation_id=organisation_id, only=Lane.BACKFILL, most=1)
        for claim in claims:
            turn = target_run(claim=claim)
            if turn is not None:
                yield turn
        if not claims:
            if not _soon(timezone.now()):
                return
            # Another process holds it, or a pause runs out: neither tells us.
            time.sleep(1)


def _soon(now: datetime) -> bool:
    """Whether a back-fill comes up within our patience, or is under way elsewhere."""
    history = SyncTarget.objects.filter(lane=Lane.BACKFILL, done_at=None)
    return history.due(now + PATIENCE).exists() or history.filter(lease_until__gt=now).exists()
