"""Stored levels against the limits of an organisation, in the transaction that stored them."""

import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from instruments.models import Deployment, Instrument
from instruments.sites import deployment_of
from monitoring.alerts.judges.levels import Limit, Row, closes_at, explain, judge, possible
from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.late import Stretch, late_levels_judge
from monitoring.alerts.machine import Standing
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
from monitoring.possible import AHEAD, is_ahead, newest_of

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
# So long after its end a fixed period is judged without a row from after it: what is under way has come by then.
PATIENCE = timedelta(minutes=30)
_NEVER = datetime.max.replace(tzinfo=UTC)


def rows_of(limit: Limit, instrument: Instrument, start: datetime, end: datetime) -> list[Row]:
    """What is stored of the limited quantity from ``start`` to ``end``, oldest first; of several axes the largest."""
    metric = limit.quantity
    stored: Any = TABLES[metric.table].objects.filter(
        organisation_id=instrument.organisation_id,
        instrument=instrument,
        start_at__gte=start,
        start_at__lt=end,
    )
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
    newest = newest_of(starts, now)
    if newest is None or newest <= now - LOOK_BACK:
        # The back-fill's, or of a clock that is set wrong.
        return
    rules = _rules_of(table, now)
    if not rules:
        return
    place, site_id, zone = _stands(instrument, now)
    subject = f"i:{instrument.pk}"
    known = {
        watch.rule_id: watch for watch in AlertWatch.objects.filter(subject=subject, rule__in=list(rules))
    }
    floor = _floor(instrument, now)
    for rule_id, versions in rules.items():
        watch, covered = known.get(rule_id), [each for each in versions if covers(each, instrument, site_id)]
        case = _case(versions[-1], instrument)
        if watch is not None and watch.incident_id is not None and versions[-1] not in covered:
            # What a rule is no longer about must not stay open for ever.
            case_judged(case, Verdict(State.CLEAR, now, {"uncovered": True}), now=now, known=watch)
            continue
        if watch is not None and watch.judged_until is not None and is_ahead(watch.judged_until, now):
            _mark_mend(watch, newest, now)
        mark = watch.judged_until if watch is not None else None
        since = max(mark or covered[0].made_at, floor) if covered else now
        if not covered or newest <= floor:
            # None of its business, or the back-fill's.
            continue
        ahead = sum(start >= since for start in starts)
        if mark is not None and changed > ahead:
            # From as far back as anything counts: what comes late can part in two what seemed to be one.
            stretches = _stretches(covered, instrument, table, floor, mark, place, now)
            if stretches:
                late_levels_judge(case, stretches, zone, now=now)
        _judge(case, _stretches(covered, instrument, table, since, None, place, now), watch, since, now, zone)


@transaction.atomic
def _mark_mend(watch: AlertWatch, at: datetime, now: datetime) -> None:
    """Have it go on from ``at``: a row of the future had moved its mark, and every true level lay behind that."""
    # As it is by now: another turn may have mended it, and opened or ended something since.
    held = AlertWatch.objects.select_for_update().filter(pk=watch.pk).first()
    if held is None:
        return
    if held.judged_until is not None and is_ahead(held.judged_until, now):
        held.judged_until = at
        held.standing = Standing.from_json(held.standing).no_later_than(at).to_json()
        held.save(update_fields=["judged_until", "standing"])
    watch.judged_until, watch.standing = held.judged_until, held.standing
    watch.due_at, watch.incident_id = held.due_at, held.incident_id


def periods_close(watch: AlertWatch, now: datetime) -> None:
    """Judge the fixed period of a levels' rule whose end no row came to tell."""
    instrument = watch.instrument
    assert instrument is not None  # noqa: S101 - levels are an instrument's
    # From here on the row is held; until now a turn may have judged further.
    AlertWatch.objects.filter(pk=watch.pk).update(due_at=None)
    watch.refresh_from_db(fields=["judged_until", "standing", "due_at", "incident"])
    newest = AlertRuleVersion.objects.filter(rule=watch.rule_id).order_by("-number").first()
    if newest is None or watch.judged_until is None:
        return
    table = limit_of(newest.settings).quantity.table
    place, site_id, zone = _stands(instrument, now)
    covered = [
        each for each in _rules_of(table, now).get(watch.rule_id, []) if covers(each, instrument, site_id)
    ]
    if covered:
        since, until = max(watch.judged_until, _floor(instrument, now)), now - PATIENCE
        stretches = _stretches(covered, instrument, table, since, None, place, now)
        _judge(_case(covered[-1], instrument), stretches, watch, since, now, zone, until=until)


def _floor(instrument: Instrument, now: datetime) -> datetime:
    """From before it nothing wakes anybody."""
    return max(now - LOOK_BACK, instrument.first_seen_at)


def _stands(instrument: Instrument, now: datetime) -> tuple[Deployment | None, int | None, zoneinfo.ZoneInfo]:
    """Where it stands now, and the zone of its hours."""
    place = deployment_of(instrument, now)
    if place is None:
        return None, None, instrument.organisation.zone
    return place, place.site_id, place.site.zone or instrument.organisation.zone


def _case(version: AlertRuleVersion, instrument: Instrument) -> Case:
    return Case(
        version=version,
        subject=f"i:{instrument.pk}",
        title=f"{version.rule.name}: {instrument.name or instrument.serial}",
        instrument=instrument,
    )


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
    place: Deployment | None,
    now: datetime,
) -> list[Stretch]:
    """What each version has to judge past ``after``: from when it was made to when it ended, and nothing yet to come.

    ``place``: where the instrument stands now; a version about sites is about nothing from before it stood there.
    """
    found = []
    for version in versions:
        limit = limit_of(version.settings)
        begins = max(after, version.made_at)
        first = begins - limit.reach
        if place is not None and version.sites and instrument.serial not in version.serials:
            begins, first = max(begins, place.start_at), max(first, place.start_at)
        ends = min(each for each in (until, version.ended_at, _NEVER) if each is not None)
        if begins < ends:
            rows = rows_of(limit, instrument, first, until or now + AHEAD)
            found.append(Stretch(version, limit, rows, begins, ends))
    return found


def _judge(
    case: Case,
    stretches: Iterable[Stretch],
    watch: AlertWatch | None,
    since: datetime,
    now: datetime,
    zone: zoneinfo.ZoneInfo,
    *,
    until: datetime | None = None,
) -> None:
    """Judge what lies ahead of the mark, and move it; ``until``: also what has ended by then without a row."""
    instrument = case.instrument
    assert instrument is not None  # noqa: S101 - levels are an instrument's
    for stretch in stretches:
        limit, rows = stretch.limit, stretch.rows
        if not rows or (rows[-1].end <= since and until is None):
            continue
        mine = replace(case, version=stretch.version)
        if watch is None:
            watch, _ = AlertWatch.objects.get_or_create(
                organisation_id=mine.version.organisation_id,
                rule=mine.version.rule,
                subject=mine.subject,
                defaults={"instrument": instrument, "judged_until": since},
            )
        reached = max(rows[-1].end, since)
        for verdict, window in judge(limit, rows, zone, after=stretch.after, until=until):
            if verdict.at > stretch.until:
                break
            reached = max(reached, verdict.at)
            told = partial(_explained, limit, window, rows, now)
            case_judged(mine, verdict, now=now, known=watch, explain=told)
        _flag(instrument, limit, [row for row in rows if row.end > since])
        marked: dict[str, Any] = {"judged_until": reached}
        closes = closes_at(limit, rows, zone)
        if closes is not None and closes > reached:
            marked["due_at"] = closes + PATIENCE
        AlertWatch.objects.filter(pk=watch.pk).update(**marked)


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
