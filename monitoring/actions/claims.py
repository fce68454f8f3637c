"""Who takes the next step of which action: claims with leases, so that no two workers send or end the same one."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from instruments.tenancy import all_organisations
from monitoring.models import InstrumentAction

MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Claim:
    """One action, held by whoever knows the token until the lease ends."""

    organisation_id: int
    action_id: int
    token: str


def lease(now: datetime) -> datetime:
    """Until when a claim made now holds: longer than any task may run."""
    return now + timedelta(seconds=settings.SYNC_LEASE_SECONDS)


def actions_claim(*, now: datetime, organisation_id: int | None = None) -> list[Claim]:
    """Claim every action whose next step is due, the longest due first."""
    with all_organisations(reason="the dispatcher serves every organisation in turn"):
        due = InstrumentAction.objects.due(now)
        if organisation_id is not None:
            due = due.filter(organisation_id=organisation_id)
        found = list(due.order_by("due_at").values_list("organisation_id", "pk")[:MOST_AT_ONCE])
        claims = []
        for owner, action_id in found:
            token = uuid.uuid4()
            mine = InstrumentAction.objects.due(now).filter(pk=action_id)
            if mine.update(lease_until=lease(now), lease_token=token):
                claims.append(Claim(owner, action_id, str(token)))
        return claims
