"""Levels that arrive behind the mark up to which a rule has judged: judged after all, by the version of their time.

What is already an incident stays one. What nobody knew of becomes one that is over already, told once.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q

from monitoring.alerts.judges.levels import Limit, Row, Window, explain, judge
from monitoring.alerts.judges.verdict import Verdict
from monitoring.alerts.machine import Standing, Step, advance
from monitoring.alerts.watching import POLICY, Case, case_judged, step_note, tell, watch_locked
from monitoring.models import AlertRuleVersion, Incident, IncidentSubject

# Each exceedance by itself: what comes and goes is gathered where it is told.
_EACH = replace(POLICY, times=sys.maxsize)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one version says of the rows of its time: they reach further back than the verdicts do."""

    version: AlertRuleVersion
    limit: Limit
    rows: Sequence[Row]
    after: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class _Judged:
    """One verdict, with what it was formed from."""

    stretch: Stretch
    verdict: Verdict
    window: Window

    def facts(self, now: datetime) -> dict[str, Any]:
        """Its numbers, and how late they were heard."""
        late = now - self.window.end
        told = explain(self.stretch.limit, self.window, self.stretch.rows)
        return {**told, "late_s": round(late.total_seconds())}


@dataclass(frozen=True, slots=True)
class _Life:
    """One exceedance as it would have been, with its worst and its newest judgement."""

    opened_at: datetime
    worst: _Judged
    last: _Judged
    closed_at: datetime | None = None
    times: int = 1


@transaction.atomic
def late_levels_judge(case: Case, stretches: Sequence[Stretch], zone: Any, *, now: datetime) -> None:
    """Judge ``stretches`` anew, oldest first; only what no incident of this case holds yet is written."""
    # Two workers with late rows of one instrument take turns.
    watch = watch_locked(case)
    lives = list(_lives(stretches, zone))
    for life in _unknown(case, [life for life in lives if life.closed_at is not None]):
        _over(replace(case, version=life.worst.stretch.version), life, now)
    if lives and lives[-1].closed_at is None and watch.incident_id is None:
        # It goes on now, and nobody knew: from here on it lives as every other.
        last = lives[-1].last
        mine = replace(case, version=last.stretch.version)
        case_judged(mine, last.verdict, now=now, known=watch, explain=partial(last.facts, now))


def _lives(stretches: Sequence[Stretch], zone: Any) -> Iterator[_Life]:
    standing = Standing()
    life: _Life | None = None
    for stretch in stretches:
        # What the clock has ended meanwhile no row need reach the end of.
        for verdict, window in judge(
            stretch.limit, stretch.rows, zone, after=stretch.after, until=stretch.until
        ):
            if verdict.at > stretch.until:
                break
            standing, steps = advance(standing, verdict, _EACH)
            judged = _Judged(stretch, verdict, window)
            if Step.OPENED in steps:
                life = _Life(verdict.at, judged, judged)
            elif life is not None and Step.CLOSED in steps:
                yield replace(life, closed_at=verdict.at)
                life = None
            elif life is not None:
                life = replace(life, worst=max(life.worst, judged, key=_badness), last=judged)
    if life is not None:
        yield life


def _unknown(case: Case, lives: Sequence[_Life]) -> list[_Life]:
    """Those that meet no incident on record. What comes and goes within a short time is one, and told once."""
    if not lives:
        return []
    still = Q(closed_at=None) | Q(closed_at__gte=lives[0].opened_at)
    known = list(Incident.objects.filter(still, key=case.own_key).values_list("opened_at", "closed_at"))

    def meets(start: datetime, end: datetime) -> bool:
        return any(opened <= end and (closed is None or closed >= start) for opened, closed in known)

    found: list[_Life] = []
    for life in lives:
        end = life.closed_at or life.opened_at
        if meets(life.opened_at, end):
            continue
        before = found[-1] if found else None
        if (
            before is not None
            and before.closed_at is not None
            and life.opened_at - before.closed_at <= POLICY.quiet
            and not meets(before.opened_at, end)
        ):
            worst = max(before.worst, life.worst, key=_badness)
            found[-1] = replace(
                before, worst=worst, last=life.last, closed_at=end, times=before.times + life.times
            )
        else:
            found.append(life)
    return found


def _badness(judged: _Judged) -> tuple[int, float]:
    return judged.verdict.state.severity, judged.window.value or 0.0


def _over(case: Case, life: _Life, now: datetime) -> None:
    """Record an exceedance that had ended before anybody heard of it."""
    assert life.closed_at is not None  # noqa: S101 - asked for only where it ended
    severity = life.worst.verdict.state.severity
    incident = Incident.objects.create(
        organisation_id=case.version.organisation_id,
        key=case.own_key,
        kind=case.kind,
        title=case.title[:200],
        instrument=case.instrument,
        version=case.version,
        severity=0,
        worst=severity,
        opened_at=life.opened_at,
        closed_at=life.closed_at,
    )
    if case.instrument is not None:
        IncidentSubject.objects.create(
            organisation_id=case.version.organisation_id,
            incident=incident,
            instrument=case.instrument,
            since_at=life.opened_at,
            until_at=life.closed_at,
        )
    facts = {**life.worst.facts(now), "over_at": life.closed_at.isoformat(), "times": life.times}
    opened = step_note(
        incident,
        "opened",
        at=life.opened_at,
        cause=f"{case.version.rule_id}:{case.subject}:opened:{life.opened_at.isoformat()}",
        facts=facts,
        severity=severity,
    )
    step_note(
        incident,
        "closed",
        at=life.closed_at,
        cause=f"{case.version.rule_id}:{case.subject}:closed:{life.closed_at.isoformat()}:{incident.pk}",
        facts={},
        severity=0,
    )
    if opened is not None and not opened.maintenance and case.instrument is not None:
        tell(opened, instruments=[case.instrument.pk], now=now)
