"""When each key's webhooks are compared with MyCirrus: whoever wants it sooner says so here, and nothing is asked."""

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from instruments.models import ApiKey, Instrument
from instruments.tenancy import organisation_scope
from webhooks.messages import KINDS
from webhooks.models import Delivery, Registration, Subscription

# Turns held at once in the whole installation: registering thousands must leave workers for the rest.
MOST_IN_FLIGHT = 8


def registrations_ensure(*, now: datetime) -> None:
    """Give every usable key in scope its registration; a new one is due at once."""
    without = ApiKey.objects.usable().exclude(
        Exists(Registration.objects.filter(api_key_id=OuterRef("pk")).order_by())
    )
    Registration.objects.bulk_create(
        [
            Registration(organisation_id=organisation_id, api_key_id=api_key_id, due_at=now)
            for organisation_id, api_key_id in without.values_list("organisation_id", "pk")
        ],
        ignore_conflicts=True,
        batch_size=500,
    )


def registrations_ask(*, now: datetime, creates: bool) -> list[int]:
    """A person wants the webhooks of every key in scope compared now, and registered if ``creates``. Returns the ids.

    What is under way goes on and is followed by another turn.
    """
    registrations_ensure(now=now)
    wanted = Registration.objects.filter(api_key__revoked_at=None)
    wanted.update(due_at=now, listed_at=None, failures=0, **({"creates": True} if creates else {}))
    return list(wanted.values_list("pk", flat=True))


def newcomers_make_due(*, now: datetime) -> int:
    """Have keys looked at that read instruments whose webhooks are to be kept registered and were never thought of.

    Only keys whose last comparison went well: the others come back when their trouble is over.
    """
    thought_of = Subscription.objects.filter(
        organisation_id=OuterRef("organisation_id"), serial=OuterRef("serial"), type=KINDS[0]
    ).exclude(state__in=(Subscription.State.FOREIGN, Subscription.State.RETIRED))
    newcomers = (
        Instrument.objects.present()
        .filter(organisation__registers_webhooks=True, api_key__isnull=False)
        .exclude(Exists(thought_of))
    )
    return Registration.objects.filter(
        api_key_id__in=newcomers.order_by().values("api_key_id"),
        outcome=Registration.Outcome.OK,
        due_at__gt=now,
    ).update(due_at=now, listed_at=None)


def registrations_due(*, now: datetime) -> list[tuple[int, int]]:
    """The organisation and the id of those to take up now, the longest due first, no more than may be held at once."""
    free = MOST_IN_FLIGHT - Registration.objects.filter(lease_until__gt=now).count()
    due = Registration.objects.due(now).order_by("due_at", "pk").values_list("organisation_id", "pk")
    return list(due[: max(0, free)])


def api_key_heard(sender: Any, *, organisation_id: int, api_key_id: int, **_: Any) -> None:
    """A key was added, verified or rotated: what it was not allowed it may be now. The next tick takes it up."""
    with organisation_scope(organisation_id):
        Registration.objects.filter(api_key_id=api_key_id).update(
            due_at=timezone.now(), listed_at=None, failures=0
        )


def clock_heard(sender: Any, *, now: datetime, **_: Any) -> None:
    """The clock was turned back: what waits for a time that is far away again is due now, in every organisation."""
    free = {"due_at": now, "lease_until": None, "lease_token": None}
    ahead = Q(due_at__gt=now) | Q(lease_until__gt=now)
    Delivery.objects.filter(ahead, state=Delivery.State.RECEIVED).update(**free)
    Registration.objects.filter(Q(outcome_at__gt=now) | Q(lease_until__gt=now)).update(**free)
