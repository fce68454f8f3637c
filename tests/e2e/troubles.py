"""A limit that was changed, and what it found: an incident with every step, number and message there can be."""

import zoneinfo
from datetime import datetime, timedelta

from instruments.models import Instrument, Membership, User
from instruments.tenancy import organisation_scope
from monitoring.alerts.handling import (
    incident_acknowledge,
    incident_assign,
    incident_cause,
    incident_comment,
)
from monitoring.alerts.judges.levels import Row, explain, judge
from monitoring.alerts.judges.verdict import State
from monitoring.alerts.rules import Draft, limit_of, rule_save
from monitoring.alerts.watching import step_note
from monitoring.models import (
    AlertChannel,
    AlertDelivery,
    AlertKind,
    AlertRuleVersion,
    Incident,
    IncidentChange,
    IncidentSubject,
)

LIMIT = {
    "metric": "LAeq",
    "over": "rolling",
    "period_min": 15.0,
    "amber": 65.0,
    "red": 70.0,
    "coverage_pct": 75.0,
    "hours": {
        "days": [0, 1, 2, 3, 4],
        "start": "07:00",
        "end": "18:30",
        "holidays": ["2026-12-25", "2026-12-26"],
        "on_holidays": "never",
    },
}
UTC = zoneinfo.ZoneInfo("UTC")
MINUTE = timedelta(minutes=1)


def trouble(unit: Instrument, *, actor: User, now: datetime) -> Incident:
    """The incident, red and in hand; the rule that found it has been changed twice."""
    with organisation_scope(unit.organisation_id):
        rule = None
        for days, settings, serials in (
            (90, {**LIMIT, "amber": 68.0, "red": 75.0}, []),
            (20, {**LIMIT, "red": 75.0}, []),
            (6, LIMIT, [unit.serial]),
        ):
            draft = Draft(AlertKind.LEVEL, "Site limit by day", settings, serials)
            rule = rule_save(draft=draft, rule=rule, actor=actor, now=now - timedelta(days=days))
        begun = now - timedelta(hours=2)
        incident = Incident.objects.create(
            instrument=unit,
            kind=AlertKind.LEVEL,
            key="level:pictured",
            title=str(unit),
            version=AlertRuleVersion.objects.get(rule=rule, current=True),
            opened_at=begun,
        )
        IncidentSubject.objects.create(incident=incident, instrument=unit, since_at=begun)
        _steps(incident, begun, actor)
    return incident


def _steps(incident: Incident, begun: datetime, actor: User) -> None:
    rows = [
        Row(begun + (minute - 40) * MINUTE, 60.0, None if minute in (12, 13) else 58.0 + minute * 0.3)
        for minute in range(60)
    ]
    # At any hour: a picture must not depend on when it is taken.
    limit = limit_of({**LIMIT, "hours": {}})
    found = {}
    for verdict, window in judge(limit, rows, UTC):
        found.setdefault(verdict.state, explain(limit, window, rows))
    steps = (
        ("opened", 0, found[State.AMBER], 1),
        ("dark", 9, {}, 1),
        ("light", 14, {}, 1),
        ("raised", 21, found[State.RED], 2),
        ("reminded", 51, found[State.RED], 2),
        ("escalated", 66, found[State.RED], 2),
    )
    slack = AlertChannel.objects.filter(kind="slack").first()
    for number, (step, minutes, facts, severity) in enumerate(steps):
        at = begun + minutes * MINUTE
        change = step_note(incident, step, at=at, cause=f"pictured:{number}", facts=facts, severity=severity)
        if change is not None and severity:
            _told(change, actor, slack, at)
    at = begun + 70 * MINUTE
    incident_acknowledge(incident=incident, actor=actor, now=at)
    member = Membership.objects.get(user=actor)
    incident_assign(incident=incident, member=member, actor=actor, now=at + MINUTE)
    text = "Breaker on the north wall.\nThe foreman knows, and will be done by four."
    incident_comment(incident=incident, text=text, actor=actor, now=at + 3 * MINUTE)
    incident_cause(incident=incident, code="real", actor=actor, now=at + 4 * MINUTE)


def _told(change: IncidentChange, actor: User, slack: AlertChannel | None, at: datetime) -> None:
    waits = change.step == "escalated"
    AlertDelivery.objects.create(
        change=change,
        recipient=actor,
        due_at=at + (8 * timedelta(hours=1) if waits else timedelta()),
        sent_at=None if waits else at + timedelta(seconds=3),
        attempts=1,
    )
    if slack is not None:
        refused = change.step == "raised"
        AlertDelivery.objects.create(
            change=change,
            channel="slack",
            target=slack,
            due_at=at,
            sent_at=None if refused else at + timedelta(seconds=2),
            failed_at=at if refused else None,
            attempts=1,
            message="404 Not Found: no_service" if refused else "200 OK: ok",
        )
