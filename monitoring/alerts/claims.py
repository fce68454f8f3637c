"""Whose turn it is to send what is owed, and how a turn ends: a claim is a lease, and only its holder marks."""

import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max
from django.utils import timezone

from instruments.tenancy import all_organisations
from monitoring.models import AlertDelivery, Digest, Owed
from monitoring.sync.schedule import next_retry

LEASE = timedelta(minutes=2)
# Looked at for those whose turn it is; far more than are ever sent at once.
MOST_LOOKED_AT = 500
MESSAGE_LENGTH = 300
# A mailbox that is full or gone is tried once a day in the end.
LONGEST_REFUSAL = timedelta(days=1)
# What the message of everything begins with that waits for one.
REFUSED = "The mailbox was refused"
Claim = tuple[int, int, str]


def owed_claim(model: type[Owed], *, now: datetime) -> list[Claim]:
    """Claim messages to send, as many as there are places for: (organisation id, message id, token) for each.

    A mail server that says nothing holds those places and no other thread; one organisation never holds all of them.
    """
    with all_organisations(reason="the sender serves every organisation"):
        # Before the places: whoever claims at the same moment wants the same ones, and does not get the next instead.
        waiting = list(model.objects.turns(now).values_list("organisation_id", "pk")[:MOST_LOOKED_AT])
        held = _held(now) if waiting else Counter()
        claims = []
        for organisation_id, pk in waiting:
            if held.total() >= settings.SENDS_AT_ONCE:
                break
            if held[organisation_id] >= max(1, settings.SENDS_AT_ONCE - 1):
                continue
            held[organisation_id] += 1
            token = uuid.uuid4()
            if model.objects.due(now).filter(pk=pk).update(lease_until=now + LEASE, lease_token=token):
                claims.append((organisation_id, pk, str(token)))
        return claims


def _held(now: datetime) -> Counter[int]:
    """How many messages of each organisation are on their way."""
    held = Counter[int]()
    for kind in (AlertDelivery, Digest):
        out = kind.objects.filter(lease_until__gt=now, sent_at=None, failed_at=None).order_by()
        held.update(dict(out.values_list("organisation_id").annotate(Count("pk"))))
    return held


def owed_return(model: type[Owed], claims: Iterable[Claim]) -> None:
    """Give back what was claimed and cannot be handed on."""
    with all_organisations(reason="the sender serves every organisation"):
        for _, pk, token in claims:
            model.objects.filter(pk=pk, lease_token=token).update(lease_until=None, lease_token=None)


def owed_held(model: type[Owed], *, pk: int, token: str) -> Any:
    """The row of a claim that still holds, as a queryset of one or none."""
    return model.objects.filter(
        pk=pk, lease_token=token, lease_until__gt=timezone.now(), sent_at=None, failed_at=None
    )


def owed_sent(owed: Owed, *, answer: str = "") -> None:
    """It was taken. A crash before this line sends it once more: at least once, never zero."""
    now = timezone.now()
    _end(owed, sent_at=now, attempts=owed.attempts + 1, message=answer)
    if (recipient_id := getattr(owed, "recipient_id", None)) is not None:
        for theirs in _owed_to(recipient_id):
            theirs.filter(message__startswith=REFUSED, due_at__gt=now).update(due_at=now)


def owed_dropped(owed: Owed, *, why: str) -> None:
    """It is never to be sent."""
    _end(owed, failed_at=timezone.now(), message=why)


def owed_later(owed: Owed, *, why: str, pause: timedelta = timedelta(0)) -> datetime:
    """Have it tried again after a pause that grows with each attempt, of ``pause`` at least; when that is."""
    now, attempts = timezone.now(), owed.attempts + 1
    due_at = max(next_retry(now, attempts, 0.5), now + pause)
    _end(owed, attempts=attempts, due_at=due_at, message=why)
    return due_at


def owed_refused(owed: AlertDelivery | Digest, *, why: str) -> None:
    """Its recipient's mailbox is refused: all that they are owed waits, longer each time."""
    now, everything = timezone.now(), _owed_to(owed.recipient_id)
    tried = max(theirs.aggregate(most=Max("attempts"))["most"] or 0 for theirs in everything)
    until = next_retry(now, tried + 1, 0.5, LONGEST_REFUSAL)
    _end(owed, attempts=owed.attempts + 1, due_at=until, message=why)
    for theirs in everything:
        theirs.filter(due_at__lt=until).update(due_at=until, message=why[:MESSAGE_LENGTH])


def _owed_to(recipient_id: int | None) -> list[Any]:
    """What one person is still owed by the organisation in scope."""
    return [
        model.objects.filter(recipient_id=recipient_id, sent_at=None, failed_at=None)
        for model in (AlertDelivery, Digest)
    ]


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
