"""From a verdict to the record: the watch, its incident, its steps, who is owed a message. It judges nothing itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from instruments.models import Instrument
from monitoring.alerts.judges.verdict import Verdict
from monitoring.alerts.kinds import KINDS
from monitoring.alerts.machine import Policy, Standing, Step, advance
from monitoring.alerts.owing import GATHER, maintenance_until, owe, owe_again
from monitoring.models import (
    AlertDelivery,
    AlertRuleVersion,
    AlertWatch,
    EscalationStep,
    Incident,
    IncidentChange,
    IncidentSubject,
    Severity,
)

POLICY = Policy()
# Instruments of one site that fail within this of each other share a cause.
TOGETHER = timedelta(minutes=10)
Explain = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """One subject under one version of a rule. ``key`` makes incidents of one cause one."""

    version: AlertRuleVersion
    subject: str
    title: str
    instrument: Instrument | None = None
    site_id: int | None = None
    site_name: str = ""
    key: str = ""

    @property
    def kind(self) -> str:
        """The rule's kind."""
        return self.version.rule.kind

    @property
    def own_key(self) -> str:
        """The key of an incident that is this subject's alone."""
        return self.key or f"{self.kind}:{self.version.rule_id}:{self.subject}"

    @property
    def site_key(self) -> str:
        """The key of an incident of the whole site; empty where there is none."""
        if self.site_id is None or not KINDS[self.kind].by_site:
            return ""
        return f"{self.kind}:{self.version.rule_id}:s:{self.site_id}"


def case_judged(
    case: Case,
    verdict: Verdict,
    *,
    now: datetime,
    known: AlertWatch | None = None,
    explain: Explain | None = None,
) -> tuple[Step, ...]:
    """Take a verdict: remember it, and open, raise, ease or close the incident. Returns the steps.

    ``known``: the watch as it was read a moment ago, None where there is none: what is quiet then costs no query. Runs
    in the transaction that stored the facts.
    """
    if known is None and verdict.state.severity == 0 and verdict.look_at is None:
        return ()
    if known is not None and _nothing_new(known, verdict):
        return ()
    with transaction.atomic():
        watch = watch_locked(case)
        standing, steps = advance(Standing.from_json(watch.standing), verdict, POLICY)
        for step in steps:
            _take(case, watch, step, standing, verdict, now, explain)
        ends = [at for at in (verdict.look_at, standing.look_at(POLICY)) if at is not None]
        watch.standing, watch.due_at = standing.to_json(), min(ends, default=None)
        if (
            not standing.is_open
            and watch.due_at is None
            and not standing.begun
            and watch.judged_until is None
        ):
            watch.delete()
        else:
            watch.save(update_fields=["standing", "due_at", "incident"])
        if known is not None:
            # Whoever judges many in a row goes on from here.
            known.standing, known.due_at, known.incident_id = watch.standing, watch.due_at, watch.incident_id
        return steps


def _nothing_new(watch: AlertWatch, verdict: Verdict) -> bool:
    standing = Standing.from_json(watch.standing)
    after, steps = advance(standing, verdict, POLICY)
    ends = [at for at in (verdict.look_at, after.look_at(POLICY)) if at is not None]
    same = replace(after, at=standing.at) == standing
    return not steps and same and watch.due_at == min(ends, default=None)


def watch_locked(case: Case) -> AlertWatch:
    """The watch of this subject, made where there is none, for this transaction alone."""
    owner, rule = case.version.organisation_id, case.version.rule
    AlertWatch.objects.get_or_create(
        organisation_id=owner, rule=rule, subject=case.subject, defaults={"instrument": case.instrument}
    )
    return AlertWatch.objects.select_for_update().get(rule=rule, subject=case.subject)


def watches_lock(incident_id: int) -> None:
    """Lock what an incident is about before the incident itself, as judges do: the other way round both would wait."""
    rows = AlertWatch.objects.select_for_update().filter(incident=incident_id).order_by("pk")
    list(rows.values_list("pk", flat=True))


def _take(
    case: Case,
    watch: AlertWatch,
    step: Step,
    standing: Standing,
    verdict: Verdict,
    now: datetime,
    explain: Explain | None,
) -> None:
    facts = {**verdict.facts, **(explain() if explain else {})}
    severity = verdict.state.severity
    if step == Step.OPENED or (step == Step.RAISED and watch.incident_id is None):
        watch.incident = _opened(case, severity, verdict.at, facts, now, flapping=standing.flapping)
        return
    if watch.incident_id is None:
        # Closed by hand while it went on: only what grows worse, or begins anew, is told again.
        return
    incident = Incident.objects.select_for_update().get(pk=watch.incident_id)
    if step == Step.CLOSED:
        watch.incident = None
        watch.save(update_fields=["incident"])
        _left(case, incident, verdict.at, facts, now)
        return
    match step:
        case Step.RAISED:
            told = severity > incident.worst
            incident.severity = max(incident.severity, severity)
            incident.worst = max(incident.worst, severity)
        case Step.EASED:
            told = False
            if not _others(incident, watch):
                incident.severity = severity
        case Step.DARK:
            told, incident.dark_since = False, verdict.at
        case Step.LIGHT:
            told, incident.dark_since = False, None
        case _:
            # Flapping is said in the mail of the opening, and stands in the record.
            told, incident.flapping = False, True
    incident.save(update_fields=["severity", "worst", "dark_since", "flapping"])
    change = step_note(
        incident,
        str(step),
        at=verdict.at,
        cause=_cause(case, step, verdict.at),
        facts=facts,
        severity=severity,
    )
    if change is not None and told:
        tell(change, instruments=touched(incident), now=now)
        nag_plan(incident, now=now)


def _opened(
    case: Case, severity: int, at: datetime, facts: Mapping[str, Any], now: datetime, *, flapping: bool
) -> Incident:
    """The incident of this case: the open one of the same cause, or a new one."""
    incident, made = None, False
    if case.site_key:
        incident = (
            Incident.objects.open()
            .select_for_update()
            .filter(key=case.site_key, opened_at__gte=at - TOGETHER, opened_at__lte=at + TOGETHER)
            .first()
        )
    if incident is None:
        taken = case.site_key and Incident.objects.open().filter(key=case.site_key).exists()
        incident, made = Incident.objects.get_or_create(
            organisation_id=case.version.organisation_id,
            key=case.site_key if case.site_key and not taken else case.own_key,
            closed_at=None,
            defaults={
                "kind": case.kind,
                "title": case.title[:200],
                "instrument": case.instrument,
                "version": case.version,
                "severity": severity,
                "worst": severity,
                "opened_at": at,
                "flapping": flapping,
            },
        )
    if case.instrument is not None:
        IncidentSubject.objects.update_or_create(
            organisation_id=case.version.organisation_id,
            incident=incident,
            instrument=case.instrument,
            defaults={"since_at": at, "until_at": None},
        )
    told = made or severity > incident.worst
    if not made:
        incident = Incident.objects.select_for_update().get(pk=incident.pk)
        incident.severity = max(incident.severity, severity)
        incident.worst = max(incident.worst, severity)
        if case.instrument is not None and incident.instrument_id not in (None, case.instrument.pk):
            # It is no longer one instrument's.
            incident.instrument, incident.title = None, (case.site_name or incident.title)[:200]
        incident.save(update_fields=["severity", "worst", "instrument", "title"])
    word = "opened" if made else "raised" if told else "joined"
    change = step_note(
        incident,
        word,
        at=at,
        cause=_cause(case, Step.OPENED, at),
        facts={**facts, "flapping": flapping},
        severity=severity,
    )
    if change is not None and told:
        tell(
            change,
            instruments=touched(incident),
            now=now,
            wait=GATHER if case.site_key and made else timedelta(0),
        )
        nag_plan(incident, now=now)
    return incident


def _left(case: Case, incident: Incident, at: datetime, facts: Mapping[str, Any], now: datetime) -> None:
    """One subject is well again; the incident ends with its last."""
    if case.instrument is not None:
        IncidentSubject.objects.filter(incident=incident, instrument=case.instrument).update(until_at=at)
    cause = f"{_cause(case, Step.CLOSED, at)}:{incident.pk}"
    if AlertWatch.objects.filter(incident=incident).exists():
        step_note(incident, "left", at=at, cause=cause, facts=facts, severity=0)
        return
    incident_close(incident, at=at, cause=cause, facts=facts, now=now)


def incident_close(
    incident: Incident,
    *,
    at: datetime,
    cause: str,
    facts: Mapping[str, Any],
    now: datetime,
    told: bool = True,
    step: str = "closed",
) -> None:
    """It is over: told once to everybody who had been told that it began."""
    incident.closed_at, incident.severity, incident.dark_since, incident.nag_at = at, 0, None, None
    incident.save(update_fields=["closed_at", "severity", "dark_since", "nag_at"])
    change = step_note(incident, step, at=at, cause=cause, facts=facts, severity=0)
    if change is not None and told and not change.maintenance:
        owe_again(change, now=now)


def step_note(
    incident: Incident,
    step: str,
    *,
    at: datetime,
    cause: str,
    facts: Mapping[str, Any],
    severity: int,
    actor: Any = None,
) -> IncidentChange | None:
    """Write an immutable step; None where the same cause has been written already."""
    try:
        with transaction.atomic():
            return IncidentChange.objects.create(
                organisation_id=incident.organisation_id,
                incident=incident,
                step=step,
                severity=severity,
                cause=cause[:200],
                at=at,
                facts=dict(facts),
                actor=actor,
                maintenance=maintenance_until(touched(incident), at) is not None,
            )
    except IntegrityError:
        # Another worker judged the same fact in this moment: its step and its messages stand.
        return None


def tell(
    change: IncidentChange, *, instruments: list[int], now: datetime, wait: timedelta = timedelta(0)
) -> None:
    """Owe the messages of a step, unless maintenance goes on: then it is tagged, and told if it outlasts that."""
    if change.maintenance:
        until = maintenance_until(instruments, change.at)
        Incident.objects.filter(pk=change.incident_id).update(maintenance=True, nag_at=until)
        return
    owe(change, instrument_ids=instruments, now=now, wait=wait)


def nag_plan(incident: Incident, *, now: datetime) -> None:
    """When somebody is next reminded or the next person told, while nobody acknowledges."""
    if incident.acknowledged_at is not None or incident.closed_at is not None:
        return
    settings = incident.version.settings if incident.version else {}
    wait = settings.get("repeat_min")
    ahead = [now + timedelta(minutes=float(wait))] if wait else []
    steps = steps_ahead(incident)
    opened = IncidentChange.objects.filter(incident=incident).order_by("pk").first()
    since = opened.created_at if opened else now
    ahead += [max(now, since + timedelta(minutes=step.after_minutes)) for step in steps[:1]]
    nag_at = min(ahead, default=None)
    if not Incident.objects.filter(pk=incident.pk, maintenance=True).exists():
        Incident.objects.filter(pk=incident.pk).update(nag_at=nag_at)


def steps_ahead(incident: Incident) -> QuerySet[EscalationStep]:
    """Whom to tell that nobody acknowledged, and has not been told: as severity moves, earlier steps come in."""
    told = AlertDelivery.objects.filter(
        change__incident=incident, change__step=IncidentChange.Step.ESCALATED, recipient__isnull=False
    )
    # Who may not sign in is told of nothing, and would be tried again for ever.
    steps = EscalationStep.objects.filter(minimum__lte=incident.severity, membership__user__is_active=True)
    return steps.exclude(membership__user__in=told.values("recipient"))


def touched(incident: Incident) -> list[int]:
    """The instruments that the incident is or was about."""
    found = list(IncidentSubject.objects.filter(incident=incident).values_list("instrument_id", flat=True))
    return found or ([incident.instrument_id] if incident.instrument_id else [])


def _others(incident: Incident, watch: AlertWatch) -> bool:
    """Whether another subject of the incident is as bad as it stands."""
    others = AlertWatch.objects.filter(incident=incident).exclude(pk=watch.pk)
    return any(other.standing.get("severity", 0) >= Severity.RED for other in others)


def _cause(case: Case, step: Step, at: datetime) -> str:
    return f"{case.version.rule_id}:{case.subject}:{step}:{at.isoformat()}"
