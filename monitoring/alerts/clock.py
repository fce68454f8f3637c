"""After the clock was turned back: reminders, looks and digests are planned anew; nobody is told anything here."""

from datetime import datetime
from typing import Any

from django.db import transaction

from instruments.tenancy import organisation_scope
from monitoring.alerts.digests.turns import digests_plan
from monitoring.alerts.machine import Standing
from monitoring.alerts.watching import nag_plan
from monitoring.models import AlertWatch, Incident, IncidentChange


def clock_heard(sender: Any, *, now: datetime, **_: Any) -> None:
    """Every organisation is in scope."""
    AlertWatch.objects.filter(due_at__gt=now).update(due_at=now)
    # A verdict of the time ahead would outweigh every true one until that time.
    with transaction.atomic():
        for watch in AlertWatch.objects.select_for_update().exclude(standing={}).only("standing").iterator():
            standing = Standing.from_json(watch.standing)
            if (heard := standing.no_later_than(now)) != standing:
                AlertWatch.objects.filter(pk=watch.pk).update(standing=heard.to_json())
    # Escalation counts from when a step was noted, which cannot be yet to come.
    IncidentChange.objects.filter(created_at__gt=now).update(created_at=now)
    # The end of a maintenance is a time that somebody gave.
    waiting = Incident.objects.open().filter(acknowledged_at=None, nag_at__gt=now, maintenance=False)
    for incident in waiting.select_related("version"):
        # Whom it is told to next is asked of all steps in scope.
        with organisation_scope(incident.organisation_id):
            nag_plan(incident, now=now)
    digests_plan(now=now)
