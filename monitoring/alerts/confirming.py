"""A second check before somebody is woken: asked for after a failed one, and both told in one message."""

import uuid
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from instruments.models import Instrument
from monitoring.actions.requests import ActionRefused, action_request
from monitoring.actions.rules import RESULT_WITHIN
from monitoring.models import ActionKind, AlertDelivery, Incident, IncidentChange, InstrumentStatus

log = structlog.get_logger(__name__)
# The second check has to be sent, to run and to be heard of; what has not come by then is told without it.
WAIT = RESULT_WITHIN + timedelta(minutes=3)
_SPACE = uuid.UUID("6f0f2d0e-5f5c-4c0a-8b39-6f4d3a8e7a11")


def confirmation_asked(change: IncidentChange, *, instrument: Instrument, now: datetime) -> timedelta:
    """Ask for a second SIC and return how long to wait for it; nothing where it cannot be asked for."""
    if InstrumentStatus.objects.filter(instrument=instrument, online=False).exists():
        return timedelta(0)
    try:
        with transaction.atomic():
            action_request(
                instrument=instrument,
                kind=ActionKind.SIC,
                actor=None,
                # The same failure asks once, whoever judges it.
                token=uuid.uuid5(_SPACE, f"{change.organisation_id}:{change.pk}"),
                now=now,
                why="To confirm a failed check before anybody is told.",
            )
    except ActionRefused as refused:
        log.info("no second check", serial=instrument.serial, why=refused.code)
        return timedelta(0)
    return WAIT


def confirmation_settled(incident: Incident, *, now: datetime) -> bool:
    """Send what waited for the second check now; whether anything did."""
    waiting = AlertDelivery.objects.filter(
        change__incident=incident,
        change__step=IncidentChange.Step.OPENED,
        sent_at=None,
        failed_at=None,
        attempts=0,
        due_at__gt=now,
        due_at__lte=now + WAIT,
    )
    version = incident.version
    if version is None or not version.settings.get("confirm"):
        return False
    return bool(waiting.update(due_at=now))
