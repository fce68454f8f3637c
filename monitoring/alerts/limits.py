"""Stored levels against the limits of an organisation, in the transaction that stored them."""

import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db.models import Q

from instruments.models import Deployment, Instrument
from instruments.sites import deployment_of
from monitoring.alerts.judges.levels import Limit, Row, explain, judge, possible
from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.late import Stretch, late_levels_judge
from monitoring.alerts.rules import covers, limit_of
from monitoring.alerts.watching import Case, case_judged
from monitoring.models import (
    AlertKind,
    AlertRuleVersion,
    AlertWatch,
    GasSample,
    NoiseMeasurement,
    ParticulateSample,
    PeakParticleVelocity,
    SeriesRow,
    WeatherSample,
)

log = structlog.get_logger(__name__)
TABLES: dict[str, type[SeriesRow]] = {
    "noise": NoiseMeasurement,
    "ppv": PeakParticleVelocity,
    "pm": ParticulateSample,
    "gas": GasSample,
    "weather": WeatherSample,
}
USUAL_S = 60.0
# A new rule, or one that waited for an instrument that was away, looks back no further.
LOOK_BACK = timedelta(days=2)
_NEVER = datetime.max.replace(tzinfo=UTC)


def rows_of(limit: Limit, instrument: Instrument, start: datetime, end: datetime | None = None) -> list[Row]:
    """What is stored of the limited quantity from ``start`` on, oldest first; of several axes the largest."""
    metric = limit.quantity
    stored: Any = TABLES[metric.table].objects.filter(
        organisation_id=instrument.organisation_id, instrument=instrument, start_at__gte=start
    )
    if end is not None:
        stored = stored.filter(start_at__lt=end)
    return [
        Row(at, seconds or USUAL_S, max((value for value in values if value is not None), default=None))
        for at, seconds, *values in stored.order_by("start_at").values_list(
            "start_at", "duration_s", *metric.fields
        )
    ]


def levels_judge(
    *, instrument: Instrument, table: str, starts: Sequence[datetime], changed: int, now: datetime
) -> None:
    """Judge what was stored, rule by rule, each value by the version that was in force when it was measured.

    ``starts``: of the rows that were just written, of which ``changed`` are new or say something else. What lies ahead
    of a rule's mark is judged as it comes, what is new behind it is judged after all. Rows from before anybody watched
    are history and wake nobody.
    """
    if max(starts) <= now - LOOK_BACK:
        # The back-fill's.
        return
    rules = _rules_of(table, now)
    if not rules:
        return
    place = deployment_of(instrument, now)
    site_id = place.site_id if place is not None else None
    zone = (place.site.zone if place is not None else None) or instrument.organisation.zone
    subject = f"i:{instrument.pk}"
    known = {
        watch.rule_id: watch for watch in AlertWatch.objects.filter(subject=subject, rule__in=list(rules))
    }
    floor = max(now - LOOK_BACK, instrument.first_seen_at)
    newest = max(starts)
    for rule_id, versions in rules.items():
        watch, covered = known.get(rule_id), [each for each in versions if covers(each, instrument, site_id)]
        case = Case(
            version=versions[-1],
            subject=subject,
            title=f"{versions[-1].rule.name}: {instrument.name or instrument.serial}",
            instrument=instrument,
        )
        if watch is not None and watch.incident_id is not None and versions[-1] not in covered:
            # What a rule is no longer about must not stay open for ever.
            case_judged(case, Verdict(State.CLEAR, now, {"uncovered": True}), now=now, known=watch)
            continue
        mark = watch.judged_until if watch is not None else None
        since = max(mark or covered[0].made_at, floor) if covered else now
        if not covered or newest <= floor:
            # None of its business, or the back-fill's.
            continue
        ahead = sum(start >= since for start in starts)
        if mark is not None and changed > ahead:
            # From as far back as anything counts: what comes late can part in two what seemed to be one.
            stretches = _stretches(covered, instrument, table, floor, mark, place)
            if stretches:
                late_levels_judge(case, stretches, zone, now=now)
        _judge(case, covered, table, watch, since, now, zone)


def _rules_of(table: str, now: datetime) -> dict[int, list[AlertRuleVersion]]:
    """The versions that judge, or did within the time that is looked back, oldest first by rule. One query."""
    found: dict[int, list[AlertRuleVersion]] = {}
    rows = AlertRuleVersion.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=now - LOOK_BACK),
        rule__kind=AlertKind.LEVEL,
        rule__paused_at=None,
        rule__removed_at=None,
    )
    for version in rows.select_related("rule", "organisation").order_by("rule_id", "number"):
        if limit_of(version.settings).quantity.table == table:
            found.setdefault(version.rule_id, []).append(version)
    return found


def _stretches(
    versions: Iterable[AlertRuleVersion],
    instrument: Instrument,
    table: str,
    after: datetime,
    until: datetime | None,
    place: Deployment | None = None,
) -> list[Stretch]:
    """What each version has to judge past ``after``: from when it was made to when it ended.

    ``place``: where the instrument stands now; a version about sites is about nothing from before it stood there.
    """
    found = []
    for version in versions:
        begins = max(after, version.made_at)
        if place is not None and version.sites and instrument.serial not in version.serials:
            begins = max(begins, place.start_at)
        ends = min(each for each in (until, version.ended_at, _NEVER) if each is not None)
        if begins < ends:
            limit = limit_of(version.settings)
            rows = rows_of(limit, instrument, begins - limit.reach, until)
            found.append(Stretch(version, limit, rows, begins, ends))
    return found


def _judge(
    case: Case,
    versions: Sequence[AlertRuleVersion],
    table: str,
    watch: AlertWatch | None,
    since: datetime,
    now: datetime,
    zone: zoneinfo.ZoneInfo,
) -> None:
    """Judge what lies ahead of the mark, and move it."""
    instrument = case.instrument
    assert instrument is not None  # noqa: S101 - levels are an instrument's
    for stretch in _stretches(versions, instrument, table, since, None):
        limit, rows = stretch.limit, stretch.rows
        if not rows or rows[-1].end <= since:
            continue
        mine = replace(case, version=stretch.version)
        if watch is None:
            watch, _ = AlertWatch.objects.get_or_create(
                organisation_id=mine.version.organisation_id,
                rule=mine.version.rule,
                subject=mine.subject,
                defaults={"instrument": instrument, "judged_until": since},
            )
        for verdict, window in judge(limit, rows, zone, after=stretch.after):
            if verdict.at > stretch.until:
                break
            told = partial(_explained, limit, window, rows, now)
            if case_judged(mine, verdict, now=now, known=watch, explain=told):
                watch.refresh_from_db()
        _flag(instrument, limit, [row for row in rows if row.end > since])
        AlertWatch.objects.filter(pk=watch.pk).update(judged_until=rows[-1].end)


def _explained(limit: Limit, window: Any, rows: Sequence[Row], now: datetime) -> dict[str, Any]:
    late = now - window.end
    return {**explain(limit, window, rows), "late_s": round(late.total_seconds())}


def _flag(instrument: Instrument, limit: Limit, rows: Iterable[Row]) -> None:
    """Say that impossible values came: they stay stored as they were, and alert as no level."""
    _, bad = possible(limit.quantity, list(rows))
    if bad:
        log.warning(
            "impossible values",
            serial=instrument.serial,
            metric=limit.metric,
            values=[row.value for row in bad[:5]],
        )
