"""Whose turn it is to send what is owed, and how a turn ends: a claim is a lease, and only its holder marks."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from instruments.tenancy import all_organisations
from monitoring.models import Owed
from monitoring.sync.schedule import next_retry

LEASE = timedelta(minutes=2)
MOST_AT_ONCE = 50
MESSAGE_LENGTH = 300


def owed_claim(model: type[Owed], *, now: datetime) -> list[tuple[int, int, str]]:
    """Claim messages to send: (organisation id, message id, token) for each."""
    with all_organisations(reason="the sender serves every organisation"):
        claims = []
        for organisation_id, pk in list(
            model.objects.turns(now).values_list("organisation_id", "pk")[:MOST_AT_ONCE]
        ):
            token = uuid.uuid4()
            held = model.objects.due(now).filter(pk=pk).update(lease_until=now + LEASE, lease_token=token)
            if held:
                claims.append((organisation_id, pk, str(token)))
        return claims


def owed_held(model: type[Owed], *, pk: int, token: str) -> Any:
    """The row of a claim that still holds, as a queryset of one or none."""
    return model.objects.filter(
        pk=pk, lease_token=token, lease_until__gt=timezone.now(), sent_at=None, failed_at=None
    )


def owed_sent(owed: Owed, *, answer: str = "") -> None:
    """It was taken. A crash before this line sends it once more: at least once, never zero."""
    _end(owed, sent_at=timezone.now(), attempts=owed.attempts + 1, message=answer)


def owed_dropped(owed: Owed, *, why: str) -> None:
    """It is never to be sent."""
    _end(owed, failed_at=timezone.now(), message=why)


def owed_later(owed: Owed, *, why: str, pause: timedelta = timedelta(0)) -> datetime:
    """Have it tried again after a pause that grows with each attempt, of ``pause`` at least; when that is."""
    now, attempts = timezone.now(), owed.attempts + 1
    due_at = max(next_retry(now, attempts, 0.5), now + pause)
    _end(owed, attempts=attempts, due_at=due_at, message=why)
    return due_at


def owed_put_off(owed: Owed) -> bool:
    """Whether it was told to wait after it had been claimed."""
    return owed.lease_until is not None and owed.due_at > owed.lease_until - LEASE


def owed_released(owed: Owed) -> None:
    """It is not its turn after all; whatever was to be told of it stands."""
    _end(owed, message=owed.message)


def _end(owed: Owed, **told: Any) -> None:
    told["message"] = told["message"][:MESSAGE_LENGTH]
    # By the token: whoever lost the claim meanwhile marks nothing.
    type(owed).objects.filter(pk=owed.pk, lease_token=owed.lease_token).update(
        lease_until=None, lease_token=None, **told
    )
