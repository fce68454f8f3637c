"""What a rule would have done over the last days, by the same judges and the same machine; it writes nothing."""

import time
import zoneinfo
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from django.db.models import Case, Q, When
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.mycirrus.types import passed
from instruments.sites import zone_of
from monitoring.acoustics import drift
from monitoring.alerts.facts import CALIBRATIONS, drift_verdict, sites_of, verdict_of
from monitoring.alerts.judges import checks as check_judges
from monitoring.alerts.judges import presence as presence_judges
from monitoring.alerts.judges import vitals
from monitoring.alerts.judges.levels import judge
from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.limits import TABLES, rows_of
from monitoring.alerts.machine import Standing, Step, advance
from monitoring.alerts.rules import Draft, limit_of
from monitoring.check_standings import TREND_OF, sic_levels
from monitoring.models import (
    AlertKind,
    AlertRule,
    AlertRuleVersion,
    Calibration,
    Gap,
    MonitorStats,
    NoiseMeasurement,
    ParticulateSample,
    PeakParticleVelocity,
    Resource,
    SeriesRow,
    SicBaseline,
    StatusChange,
    SystemIntegrityCheck,
)
from monitoring.sync.upsert import value_columns

DAYS = 90
# A page waits no longer; what was not reached is rehearsed by the next press.
SECONDS = 6.0
# Why the rest cannot be rehearsed: there is nothing to judge. Told in place of a rehearsal.
NO_PAST: dict[str, Any] = {
    AlertKind.SIM: _("MyCirrus tells how much of the SIM is used now, and keeps no record of it."),
    AlertKind.SUBSCRIPTION: _("MyCirrus tells how a subscription stands now, without any date."),
    AlertKind.KEY: _("Only how a key stands now is stored, not how it stood before."),
    AlertKind.UNREACHABLE: _("When MyCirrus could not be reached in the past is not stored."),
    AlertKind.WEBHOOK_SILENT: _("What webhooks should have announced in the past is not stored."),
    AlertKind.LATE: _("How late Cirrusweb itself ran in the past is not stored."),
}
# Of these it can at least be said what would open at once.
_NOW = (AlertKind.SIM, AlertKind.SUBSCRIPTION)
# The measurements whose absence is no data, by type of instrument; a type left out may be a noise monitor.
_NOISE = (Resource.NOISE, NoiseMeasurement)
_MEASURED = {
    Instrument.Kind.AIR_QUALITY: (Resource.PARTICULATES, ParticulateSample),
    Instrument.Kind.VIBRATION: (Resource.PPV, PeakParticleVelocity),
}
_STATS = {
    AlertKind.VOLTAGE: ("voltage_v",),
    AlertKind.SIGNAL: ("lte_rsrp",),
    AlertKind.DISK: ("disk_mb", "disk_total_mb"),
    AlertKind.TEMPERATURE: ("temperature_c",),
}


@dataclass(frozen=True, slots=True)
class Life:
    """One incident as it would have been."""

    instrument: Instrument
    opened_at: datetime
    closed_at: datetime | None
    worst: int
    flapping: bool


@dataclass(slots=True)
class Rehearsal:
    """What would have happened, and to which instruments; how often each person would have been told."""

    start: datetime
    end: datetime
    lives: list[Life] = field(default_factory=list)
    instruments: int = 0
    of: int = 0
    verdicts: int = 0
    no_data: int = 0
    told: int = 0
    # Why nothing could be judged; lives are then what would open at once.
    no_past: str = ""

    @property
    def red(self) -> int:
        """Incidents that would have grown red."""
        return sum(1 for life in self.lives if life.worst == 2)

    @property
    def always(self) -> bool:
        """Whether it would have been exceeded for most of the time that anything was known."""
        lasted = sum(((life.closed_at or self.end) - life.opened_at for life in self.lives), timedelta(0))
        return bool(self.instruments) and lasted > (self.end - self.start) * self.instruments * 0.5


def rehearse(*, draft: Draft, now: datetime, days: int = DAYS, seconds: float = SECONDS) -> Rehearsal:
    """Judge the stored past of every instrument that the draft is about, until ``seconds`` have gone."""
    found = Rehearsal(now - timedelta(days=days), now, no_past=str(NO_PAST.get(draft.kind, "")))
    instruments = list(Instrument.objects.present().select_related("organisation", "status"))
    if draft.serials or draft.sites:
        sites = sites_of(instruments, now) if draft.sites else {}
        instruments = [
            each for each in instruments if each.serial in draft.serials or sites.get(each.pk) in draft.sites
        ]
    if draft.kind == AlertKind.LEVEL:
        table = TABLES[limit_of(draft.settings).quantity.table]
        held = set(
            table.objects.filter(instrument__in=instruments, start_at__gte=found.start)
            .values_list("instrument_id", flat=True)
            .distinct()
        )
        instruments = [each for each in instruments if each.pk in held]
    found.of = len(instruments)
    if found.no_past:
        if draft.kind in _NOW:
            _stand_now(found, draft, instruments, now)
        return found
    begun = time.monotonic()
    for instrument in instruments:
        if found.instruments and time.monotonic() - begun > seconds:
            break
        _live_through(found, instrument, _verdicts(draft, instrument, found.start, now))
        found.instruments += 1
    found.lives.sort(key=lambda life: (-life.worst, life.opened_at))
    return found


def _stand_now(found: Rehearsal, draft: Draft, instruments: Iterable[Instrument], now: datetime) -> None:
    """What would open at once, by the same judges."""
    rule = AlertRule(kind=draft.kind, name=draft.name)
    version = AlertRuleVersion(rule=rule, settings=dict(draft.settings), made_at=now)
    for instrument in instruments:
        verdict = verdict_of(version, instrument, getattr(instrument, "status", None), now)
        found.verdicts += 1
        found.no_data += verdict.state == State.NO_DATA
        found.instruments += 1
        if verdict.state.severity:
            found.lives.append(Life(instrument, now, None, verdict.state.severity, False))
    found.told = len(found.lives)


def _live_through(found: Rehearsal, instrument: Instrument, verdicts: Iterable[Verdict]) -> None:
    standing = before = Standing()
    for verdict in verdicts:
        found.verdicts += 1
        found.no_data += verdict.state == State.NO_DATA
        before = standing
        standing, steps = advance(standing, verdict)
        found.told += sum(
            step in (Step.OPENED, Step.CLOSED) or (step == Step.RAISED and standing.worst > before.worst)
            for step in steps
        )
        if Step.CLOSED in steps:
            found.lives.append(_life(instrument, before, verdict.at))
    if standing.is_open:
        found.lives.append(_life(instrument, standing, None))


def _life(instrument: Instrument, standing: Standing, closed_at: datetime | None) -> Life:
    if standing.since is None:
        raise ValueError("What never opened has no life.")
    return Life(instrument, standing.since, closed_at, standing.worst, standing.flapping)


def _verdicts(draft: Draft, instrument: Instrument, start: datetime, now: datetime) -> Iterator[Verdict]:
    kind, settings = AlertKind(draft.kind), draft.settings
    match kind:
        case AlertKind.LEVEL:
            limit = limit_of(settings)
            zone: zoneinfo.ZoneInfo = zone_of(instrument, now)
            for verdict, _window in judge(limit, rows_of(limit, instrument, start, now), zone):
                yield verdict
        case AlertKind.SIC_FAILED:
            for check in SystemIntegrityCheck.objects.filter(
                instrument=instrument, at__gte=start, passed__isnull=False
            ).order_by("at"):
                yield Verdict(State.CLEAR if check.passed else State.RED, check.at)
        case AlertKind.SIC_DRIFT:
            yield from _drifts(settings, instrument, start)
        case AlertKind.CALIBRATION_FAILED | AlertKind.CALIBRATION_STEP:
            rows = Calibration.objects.filter(instrument=instrument).order_by("at")
            found = [check_judges.Check(row.at, passed(row.status), row.offset_db) for row in rows]
            for index in range(len(found)):
                known = found[max(0, index + 1 - CALIBRATIONS) : index + 1]
                if known[-1].at < start:
                    continue
                if kind == AlertKind.CALIBRATION_FAILED:
                    yield check_judges.calibration_failed(known, known[-1].at)
                else:
                    limit_db = float(settings["limit_db"])
                    yield check_judges.calibration_stepped(known, known[-1].at, limit_db=limit_db)
        case AlertKind.OFFLINE | AlertKind.NOT_MEASURING:
            yield from _presences(kind, settings, instrument, start, now)
        case AlertKind.NO_DATA:
            yield from _silences(settings, instrument, start, now)
        case AlertKind.CALIBRATION_OVERDUE:
            yield from _overdue(settings, instrument, start, now)
        case _ if kind in _STATS:
            columns = _STATS[kind]
            rows_: Any = MonitorStats.objects.filter(
                organisation_id=instrument.organisation_id, instrument=instrument, start_at__gte=start
            )
            for at, *values in rows_.order_by("start_at").values_list("start_at", *columns):
                value = values[0] if len(values) == 1 else vitals.part_pct(*values)
                yield vitals.vital(str(kind), value, at, amber=settings.get("amber"), red=settings.get("red"))


def _drifts(settings: Any, instrument: Instrument, start: datetime) -> Iterator[Verdict]:
    """From SIC to SIC, each told as the board told it then."""
    calibrations = Calibration.objects.filter(instrument=instrument).order_by("at")
    good = [each.at for each in calibrations if passed(each.status)]
    chosen = SicBaseline.objects.filter(instrument=instrument).first()
    for checks in _since_each(good, SystemIntegrityCheck.objects.filter(instrument=instrument, passed=True)):
        for index, check in enumerate(checks):
            if check.at >= start:
                known = checks[: index + 1]
                levels = sic_levels(check, known[: drift.BASELINE_OF], known[: -TREND_OF - 1 : -1], chosen)
                yield drift_verdict(levels, check.at, settings)


def _since_each(good: Sequence[datetime], checks: Any) -> Iterator[list[SystemIntegrityCheck]]:
    """The checks after each of the calibrations, oldest first, and those before the first."""
    groups = groupby(checks.order_by("at"), key=lambda check: bisect_left(good, check.at))
    return (list(group) for _, group in groups)


def _presences(
    kind: AlertKind, settings: Any, instrument: Instrument, start: datetime, now: datetime
) -> Iterator[Verdict]:
    """At each change, and at each instant at which lasting alone would have changed the verdict."""
    limits = _limits(settings, "minutes")
    ask = presence_judges.offline if kind == AlertKind.OFFLINE else presence_judges.not_measuring
    changes = list(StatusChange.objects.filter(instrument=instrument, at__gte=start).order_by("at"))
    online_since = measuring_since = None
    online = measuring = None
    for index, change in enumerate(changes):
        if change.online != online:
            online, online_since = change.online, change.at
        if change.measuring != measuring:
            measuring, measuring_since = change.measuring, change.at
        until = changes[index + 1].at if index + 1 < len(changes) else now
        known = presence_judges.Presence(online, measuring, online_since, measuring_since)
        yield from _until(partial(_present_at, ask, known, limits), change.at, until)


def _present_at(ask: Any, known: presence_judges.Presence, limits: Any, at: datetime) -> Verdict:
    return ask(replace(known, observed_at=at), at, stale=timedelta(days=1), **limits)


def _silences(settings: Any, instrument: Instrument, start: datetime, now: datetime) -> Iterator[Verdict]:
    """By the ledger of gaps, and by rows without any value. What came late fills its gap, and is not told here."""
    resource, model = _MEASURED.get(instrument.type, _NOISE)  # type: ignore[call-overload]
    gaps = Gap.objects.filter(
        instrument=instrument, resource=resource, kind=Gap.Kind.ABSENT, end_at__gt=start
    ).values_list("start_at", "end_at")
    limits = _limits(settings, "minutes")
    for begins, ends in _joined([*gaps, *_empty(model, instrument, start, now)]):
        since = max(begins, start)
        yield Verdict(State.CLEAR, since)
        lasting = partial(presence_judges.for_too_long, since, facts={}, **limits)
        yield from _until(lasting, since, min(ends, now))
        if ends < now:
            yield Verdict(State.CLEAR, ends)


def _empty(
    model: type[SeriesRow], instrument: Instrument, start: datetime, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """From each first row without any value up to the next that has one; the last may go on."""
    names = set(value_columns(model)) - {"duration_s", "extra"}
    empty = Q(*((f"{name}__isnull", True) for name in names))
    stored: Any = model.objects.filter(
        organisation_id=instrument.organisation_id, instrument=instrument, start_at__range=(start, now)
    )
    # Hardly ever any: only then is each row read.
    if not stored.filter(empty).exists():
        return
    told = stored.order_by("start_at").values_list("start_at", Case(When(empty, then=True), default=False))
    since: datetime | None = None
    for at, is_empty in told.iterator():
        if is_empty:
            since = since or at
        elif since is not None:
            yield since, at
            since = None
    if since is not None:
        yield since, now


def _joined(stretches: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    """The same, oldest first; those that touch are one."""
    joined: tuple[datetime, datetime] | None = None
    for start, end in sorted(stretches):
        if joined is None or start > joined[1]:
            if joined is not None:
                yield joined
            joined = start, end
        else:
            joined = joined[0], max(joined[1], end)
    if joined is not None:
        yield joined


def _overdue(settings: Any, instrument: Instrument, start: datetime, now: datetime) -> Iterator[Verdict]:
    """From each calibration to the next, at each instant at which time alone would have changed the verdict."""
    rows = Calibration.objects.filter(instrument=instrument).order_by("at")
    known = [check_judges.Check(row.at, passed(row.status), row.offset_db) for row in rows]
    limits = _limits(settings, "days")
    for index, check in enumerate(known):
        until = known[index + 1].at if index + 1 < len(known) else now
        if until > start:
            ask = partial(check_judges.calibration_overdue, known[: index + 1], **limits)
            yield from _until(ask, max(check.at, start), until)


def _limits(settings: Any, unit: str) -> dict[str, Any]:
    return {
        name: None if settings.get(name) is None else timedelta(**{unit: float(settings[name])})
        for name in ("amber", "red")
    }


def _until(ask: Callable[[datetime], Verdict], at: datetime | None, until: datetime) -> Iterator[Verdict]:
    """The verdict at ``at``, and at each later instant that it names itself."""
    while at is not None and at < until:
        verdict = ask(at)
        yield verdict
        at = verdict.look_at
