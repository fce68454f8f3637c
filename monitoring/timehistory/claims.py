"""Who fetches which time history: claims with leases, few at a time, so that the regular reading is never held up."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from instruments.tenancy import all_organisations
from monitoring.models import Lane, SyncTarget, TimeHistoryRequest


@dataclass(frozen=True, slots=True)
class Claim:
    """One request, held by whoever knows the token until the lease ends."""

    organisation_id: int
    request_id: int
    token: str


def lease(now: datetime) -> datetime:
    """Until when a claim made now holds: longer than any task may run."""
    return now + timedelta(seconds=settings.SYNC_LEASE_SECONDS)


def histories_claim(*, now: datetime, organisation_id: int | None = None) -> list[Claim]:
    """Claim what is due, the longest due first: one of an organisation at a time, and as many in all as there are
    places for histories, back-fills among them."""
    with all_organisations(reason="the dispatcher serves every organisation in turn"):
        held = TimeHistoryRequest.objects.open().filter(lease_until__gt=now)
        busy = set(held.values_list("organisation_id", flat=True))
        backfills = SyncTarget.objects.filter(lane=Lane.BACKFILL, lease_until__gt=now).count()
        free = max(1, settings.SYNC_BACKFILLS_AT_ONCE) - held.count() - backfills
        due = TimeHistoryRequest.objects.free(now).exclude(organisation_id__in=busy)
        if organisation_id is not None:
            due = due.filter(organisation_id=organisation_id)
        claims: list[Claim] = []
        for owner, request_id in due.order_by("due_at").values_list("organisation_id", "pk")[:200]:
            if len(claims) >= free:
                break
            if owner in busy:
                continue
            token = uuid.uuid4()
            mine = TimeHistoryRequest.objects.free(now).filter(pk=request_id)
            if mine.update(lease_until=lease(now), lease_token=token):
                busy.add(owner)
                claims.append(Claim(owner, request_id, str(token)))
        return claims
