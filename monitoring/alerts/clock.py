"""After the clock was turned back: reminders, looks and digests are planned anew; nobody is told anything here."""

from datetime import datetime
from typing import Any

from instruments.tenancy import organisation_scope
from monitoring.alerts.digests.turns import digests_plan
from monitoring.alerts.watching import nag_plan
from monitoring.models import AlertWatch, Incident, IncidentChange


def clock_heard(sender: Any, *, now: datetime, **_: Any) -> None:
    """Every organisation is in scope."""
    AlertWatch.objects.filter(due_at__gt=now).update(due_at=now)
    # Escalation counts from when a step was noted, which cannot be yet to come.
    IncidentChange.objects.filter(created_at__gt=now).update(created_at=now)
    # The end of a maintenance is a time that somebody gave.
    waiting = Incident.objects.open().filter(acknowledged_at=None, nag_at__gt=now, maintenance=False)
    for incident in waiting.select_related("version"):
        # Whom it is told to next is asked of all steps in scope.
        with organisation_scope(incident.organisation_id):
            nag_plan(incident, now=now)
    digests_plan(now=now)
