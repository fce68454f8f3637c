"""From a failed check to one incident, its steps and the messages owed; it sends nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from instruments.models import Instrument
from instruments.sites import deployment_of
from monitoring.alerts.confirming import confirmation_asked, confirmation_settled
from monitoring.alerts.rules import covers, versions_for
from monitoring.alerts.watching import Case, incident_close, nag_plan, step_note, tell, watch_locked
from monitoring.checks import FREQUENCIES
from monitoring.models import (
    AlertKind,
    AlertRuleVersion,
    AlertWatch,
    Incident,
    IncidentChange,
    IncidentSubject,
    Severity,
    SystemIntegrityCheck,
)
from monitoring.possible import AHEAD, is_ahead


def sics_judge(*, instrument: Instrument, checks: Sequence[SystemIntegrityCheck], now: datetime) -> None:
    """Open, repeat or close the instrument's incident for each new check, in the transaction that stored them.

    A failure from before the instrument was first seen here is history and wakes nobody, unless it is how the
    instrument stands: the newest check that says anything. One that is yet to come waits for its time.
    """
    version = _version_for(instrument, now)
    if version is not None:
        newest = _decided(instrument, now).first()
        ahead = [check.at for check in checks if is_ahead(check.at, now)]
        for check in checks:
            if check.passed is not False or check.at in ahead:
                continue
            if check.at >= instrument.first_seen_at or check == newest:
                _raise(version, instrument, check, now, cause=_cause(instrument, check))
        if ahead:
            watch = watch_locked(Case(version, f"i:{instrument.pk}", "", instrument))
            watch.due_at = min(watch.due_at or ahead[0], min(ahead) - AHEAD)
            watch.save(update_fields=["due_at"])
    _recover(instrument, now)


@transaction.atomic
def sics_look(watch: AlertWatch, now: datetime) -> None:
    """Judge the checks that were yet to come when they were stored, and whose time has come."""
    held = AlertWatch.objects.filter(pk=watch.pk, due_at=watch.due_at)
    instrument = watch.instrument
    if instrument is None or not held.update(due_at=None):
        return
    checks = SystemIntegrityCheck.objects.filter(instrument=instrument, at__gte=watch.due_at).order_by("at")
    sics_judge(instrument=instrument, checks=list(checks), now=now)


def sic_again(*, instrument: Instrument, since: datetime, now: datetime) -> None:
    """Open anew what ended because the instrument had left at ``since``, where it still stands by a failure."""
    version, newest = _version_for(instrument, now), _decided(instrument, now).first()
    if version is None or newest is None or newest.passed:
        return
    if not Incident.objects.open().filter(instrument=instrument, kind=AlertKind.SIC_FAILED).exists():
        cause = f"{_cause(instrument, newest)}:left:{since.isoformat()}"
        _raise(version, instrument, newest, now, cause=cause)


def _version_for(instrument: Instrument, now: datetime) -> AlertRuleVersion | None:
    """What judges the checks of ``instrument`` where it stands now."""
    versions = versions_for([AlertKind.SIC_FAILED])
    place = deployment_of(instrument, now) if any(each.sites for each in versions) else None
    site_id = place.site_id if place is not None else None
    return next((each for each in versions if covers(each, instrument, site_id)), None)


def _decided(instrument: Instrument, now: datetime) -> QuerySet[SystemIntegrityCheck]:
    """The checks of the present and before that say something, the newest first."""
    checks = SystemIntegrityCheck.objects.filter(instrument=instrument, at__lte=now + AHEAD)
    return checks.filter(passed__isnull=False).order_by("-at")


def _cause(instrument: Instrument, check: SystemIntegrityCheck) -> str:
    return f"sic:{instrument.pk}:{check.at.isoformat()}"


def _raise(
    version: AlertRuleVersion,
    instrument: Instrument,
    check: SystemIntegrityCheck,
    now: datetime,
    *,
    cause: str,
) -> None:
    if IncidentChange.objects.filter(cause=cause).exists():
        return
    owner = instrument.organisation_id
    incident, opened = Incident.objects.get_or_create(
        organisation_id=owner,
        key=f"{AlertKind.SIC_FAILED}:{instrument.pk}",
        closed_at=None,
        defaults={
            "kind": AlertKind.SIC_FAILED,
            "instrument": instrument,
            "title": (instrument.name or instrument.serial)[:200],
            "version": version,
            "opened_at": check.at,
        },
    )
    if opened:
        IncidentSubject.objects.create(
            organisation_id=owner, incident=incident, instrument=instrument, since_at=check.at
        )
    change = step_note(
        incident,
        "opened" if opened else "repeated",
        at=check.at,
        cause=cause,
        facts=facts_of(instrument, check),
        severity=Severity.RED,
    )
    if change is None:
        return
    if not opened and confirmation_settled(incident, now=now):
        # The second of two that are told together: the message that waited for it tells both.
        return
    wait = timedelta(0)
    if opened and version.settings.get("confirm") and not change.maintenance:
        wait = confirmation_asked(change, instrument=instrument, now=now)
    tell(change, instruments=[instrument.pk], now=now, wait=wait)
    nag_plan(incident, now=now)


def facts_of(instrument: Instrument, check: SystemIntegrityCheck) -> dict[str, Any]:
    """The numbers as they are now: levels in dB against the last check that passed."""
    good = (
        SystemIntegrityCheck.objects.filter(instrument=instrument, passed=True, at__lt=check.at)
        .order_by("-at")
        .first()
    )
    return {
        "status": check.status,
        "passed_before_at": good.at.isoformat() if good else None,
        "levels": [
            {
                "frequency": name,
                "level_db": getattr(check, field),
                "before_db": getattr(good, field) if good else None,
            }
            for name, field in FREQUENCIES
        ],
    }


def _recover(instrument: Instrument, now: datetime) -> None:
    incident = (
        Incident.objects.open()
        .select_for_update()
        .filter(instrument=instrument, kind=AlertKind.SIC_FAILED)
        .first()
    )
    if incident is None:
        return
    last = (
        IncidentChange.objects.filter(incident=incident, step__in=("opened", "repeated"))
        .order_by("-at")
        .first()
    )
    good = (
        # Or the very check that failed, where MyCirrus has corrected it.
        _decided(instrument, now).filter(passed=True, at__gte=last.at if last else incident.opened_at).last()
    )
    if good is None:
        return
    IncidentSubject.objects.filter(incident=incident).update(until_at=good.at)
    incident_close(
        incident,
        at=good.at,
        # One pass can end two incidents, when an older failure arrives late.
        cause=f"{_cause(instrument, good)}:closes:{incident.pk}",
        facts=facts_of(instrument, good),
        now=now,
        told=not confirmation_settled(incident, now=now),
    )
