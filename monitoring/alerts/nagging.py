"""What happens while nobody acknowledges: told again, and the next person told; and the end of maintenance."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.owing import deliveries_make, maintenance_until, owe
from monitoring.alerts.watching import nag_plan, step_note, steps_ahead, touched
from monitoring.models import AlertDelivery, Incident, IncidentChange

# Of one organisation at one tick: its hundreds of incidents hold up nobody else's.
TURNS = 25


def incidents_nag(*, now: datetime) -> int:
    """Take every due incident one step further, fairly between organisations. Returns how many."""
    with all_organisations(reason="the tick serves every organisation"):
        due = list(
            Incident.objects.nagging(now)
            .annotate(
                turn=Window(RowNumber(), partition_by=F("organisation_id"), order_by=[F("nag_at").asc()])
            )
            .filter(turn__lte=TURNS)
            .values_list("organisation_id", "pk")
        )
    for organisation_id, incident_id in due:
        with organisation_scope(organisation_id):
            incident_nag(incident_id=incident_id, now=now)
    return len(due)


@transaction.atomic
def incident_nag(*, incident_id: int, now: datetime) -> None:
    """Tell of one incident once more: what outlasted its maintenance, the next person, or everybody again."""
    incident = Incident.objects.nagging(now).select_for_update().filter(pk=incident_id).first()
    if incident is None:
        return
    instruments = touched(incident)
    until = maintenance_until(instruments, now)
    if until is not None:
        Incident.objects.filter(pk=incident.pk).update(nag_at=until, maintenance=True)
        return
    if incident.maintenance:
        incident.maintenance = False
        incident.save(update_fields=["maintenance"])
        change = _note(incident, IncidentChange.Step.AWAKE, now)
        if change is not None:
            owe(change, instrument_ids=instruments, now=now, wait=timedelta(0))
        nag_plan(incident, now=now)
        return
    opened = IncidentChange.objects.filter(incident=incident).order_by("pk").first()
    since = opened.created_at if opened else incident.opened_at
    steps = steps_ahead(incident).select_related("membership__user")
    ready = [step for step in steps if since + timedelta(minutes=step.after_minutes) <= now]
    if ready:
        incident.escalated += len(ready)
        incident.save(update_fields=["escalated"])
        change = _note(
            incident, IncidentChange.Step.ESCALATED, now, to=[str(s.membership.user) for s in ready]
        )
        if change is not None:
            deliveries_make(change, [step.membership for step in ready], [], now=now)
    elif incident.version is not None and incident.version.settings.get("repeat_min"):
        change = _note(incident, IncidentChange.Step.REMINDED, now)
        if change is not None:
            owe(change, instrument_ids=instruments, now=now, wait=timedelta(0))
    Incident.objects.filter(pk=incident.pk).update(nag_at=None)
    nag_plan(incident, now=now)


def _note(
    incident: Incident, step: IncidentChange.Step, now: datetime, to: Iterable[str] = ()
) -> IncidentChange | None:
    last = (
        IncidentChange.objects.filter(incident=incident, step__in=("opened", "raised", "repeated"))
        .order_by("-pk")
        .first()
    )
    facts = {**(last.facts if last else {}), "told_so_far": _told(incident), "to": list(to)}
    return step_note(
        incident,
        str(step),
        at=now,
        cause=f"{step}:{incident.pk}:{now.isoformat()}",
        facts=facts,
        severity=incident.severity,
    )


def _told(incident: Incident) -> int:
    return AlertDelivery.objects.filter(change__incident=incident, sent_at__isnull=False).count()
