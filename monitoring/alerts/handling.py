"""What people do with an incident: acknowledge, assign, comment, name the cause, close. Each is a step on record."""

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from instruments.models import Membership, Role, User
from monitoring.alerts.watching import step_note, watches_lock
from monitoring.models import AlertWatch, Incident, IncidentChange

Step = IncidentChange.Step
# Who may, signed in or by the link of a mail. Everybody else looks.
HANDLES = Role.MEMBER


def incident_acknowledge(*, incident: Incident, actor: User, now: datetime) -> bool:
    """Say that somebody has it in hand: reminders and escalation end. False where it was said, or it is over."""
    taken = (
        Incident.objects.open()
        .filter(pk=incident.pk, acknowledged_at=None)
        .update(acknowledged_at=now, acknowledged_by=actor, nag_at=None)
    )
    if taken:
        _note(incident, Step.ACKNOWLEDGED, actor, now)
    return bool(taken)


def incident_assign(*, incident: Incident, member: Membership | None, actor: User, now: datetime) -> None:
    """Make it somebody's, or nobody's."""
    incident.assigned_to = member.user if member is not None else None
    incident.save(update_fields=["assigned_to"])
    _note(incident, Step.ASSIGNED, actor, now, to=str(member.user) if member else "")


def incident_comment(*, incident: Incident, text: str, actor: User, now: datetime) -> None:
    """Write something down."""
    _note(incident, Step.COMMENTED, actor, now, text=text.strip()[:2000])


def incident_cause(*, incident: Incident, code: str, actor: User, now: datetime) -> None:
    """State what it was."""
    incident.cause_code = Incident.CauseCode(code)
    incident.save(update_fields=["cause_code"])
    _note(incident, Step.CAUSE, actor, now, code=code)


@transaction.atomic
def incident_close_by_hand(*, incident: Incident, text: str, actor: User, now: datetime) -> bool:
    """End it although nothing says that it is over. What goes on is told again when it grows worse or begins anew."""
    watches_lock(incident.pk)
    taken = Incident.objects.open().filter(pk=incident.pk).update(closed_at=now, nag_at=None, dark_since=None)
    if taken:
        AlertWatch.objects.filter(incident=incident).update(incident=None)
        _note(incident, Step.CLOSED_BY_HAND, actor, now, text=text.strip()[:2000])
    return bool(taken)


def _note(incident: Incident, step: Step, actor: User, now: datetime, **facts: Any) -> None:
    # Nobody's fact of nature: each wish is a step of its own.
    cause = f"person:{uuid.uuid4()}"
    step_note(incident, step, at=now, cause=cause, facts=facts, severity=incident.severity, actor=actor)
