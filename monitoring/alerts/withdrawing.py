"""Ending the incidents of rules that judge no more: nothing else would, and an open one must mean something."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.watching import incident_close, watches_lock
from monitoring.models import AlertRule, AlertWatch, Incident, IncidentSubject

MOST_AT_ONCE = 100


def rule_withdraw(*, rule: AlertRule, now: datetime) -> None:
    """End what is open by ``rule``, which is paused or removed, and forget what it was about to find."""
    for pk in Incident.objects.open().filter(version__rule=rule).values_list("pk", flat=True):
        incident_withdraw(incident_id=pk, now=now)
    AlertWatch.objects.filter(rule=rule, judged_until=None).delete()
    # Of levels the mark stays: what is judged once is never judged anew.
    AlertWatch.objects.filter(rule=rule).update(standing={}, due_at=None, incident=None)


@transaction.atomic
def incident_withdraw(*, incident_id: int, now: datetime) -> bool:
    """End one, with the reason, and owe that to who was told of it. False where it had ended."""
    incident = incident_held(incident_id)
    if incident is None or incident.version is None:
        return False
    why = "removed" if incident.version.rule.removed_at is not None else "paused"
    incident_end(incident, step="withdrawn", facts={"withdrawn": why}, now=now)
    return True


def incident_held(incident_id: int) -> Incident | None:
    """An open incident with its rule and its instrument, held for this transaction; None where it had ended."""
    watches_lock(incident_id)
    return (
        Incident.objects.open()
        .select_for_update(of=("self",))
        .select_related("version__rule", "instrument")
        .filter(pk=incident_id)
        .first()
    )


def incident_end(incident: Incident, *, step: str, facts: Mapping[str, Any], now: datetime) -> None:
    """End what nothing else would, for the reason in ``facts``; whatever judges go on begin anew."""
    AlertWatch.objects.filter(incident=incident).update(standing={}, due_at=None, incident=None)
    IncidentSubject.objects.filter(incident=incident, until_at=None).update(until_at=now)
    incident_close(incident, at=now, cause=f"{step}:{incident.pk}", facts=facts, now=now, step=step)


def incidents_withdraw(*, now: datetime) -> int:
    """End what a worker opened in the very moment of the pause, or what an earlier version left. Returns how many."""
    with all_organisations(reason="the tick serves every organisation"):
        left = list(
            Incident.objects.open()
            .filter(Q(version__rule__paused_at__isnull=False) | Q(version__rule__removed_at__isnull=False))
            .values_list("organisation_id", "pk")[:MOST_AT_ONCE]
        )
    for organisation_id, pk in left:
        with organisation_scope(organisation_id):
            incident_withdraw(incident_id=pk, now=now)
    return len(left)
