"""Levels against limits: over fixed periods, rolling, or as recorded (R1, R2, R5, R9, R19). Pure: no ORM, no clock."""

import copy
import math
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from monitoring.acoustics.levels import coverage
from monitoring.alerts.hours import Hours
from monitoring.alerts.judges.metrics import METRICS, Means, Metric
from monitoring.alerts.judges.verdict import State, Verdict, over, worst

# How many points a mail's chart is drawn from.
CHART_POINTS = 60


class Over(StrEnum):
    """Over which time a value is formed."""

    RECORDED = "recorded"
    FIXED = "fixed"
    ROLLING = "rolling"
    # One value for the whole of each day's hours.
    HOURS = "hours"


class Row(NamedTuple):
    """One recorded interval: its start in UTC, its length in seconds, its value or None."""

    start: datetime
    seconds: float
    value: float | None

    @property
    def end(self) -> datetime:
        """Where it ends."""
        return self.start + timedelta(seconds=self.seconds)

    def cut(self, at: datetime) -> "tuple[Row, Row]":
        """What of it lies before ``at``, and from there on; a mean is taken to hold throughout."""
        return (
            self._replace(seconds=(at - self.start).total_seconds()),
            self._replace(start=at, seconds=(self.end - at).total_seconds()),
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """What must not be exceeded, when, and for how long. ``coverage_pct``: below it a value says nothing (R9)."""

    metric: str
    over: Over = Over.RECORDED
    period: timedelta = timedelta(minutes=15)
    amber: float | None = None
    red: float | None = None
    # For how long without a break, for values as recorded and rolling.
    minimum: timedelta = timedelta(0)
    coverage_pct: float = 75.0
    hours: Hours = field(default_factory=Hours)

    @property
    def quantity(self) -> Metric:
        """What is measured."""
        return METRICS[self.metric]

    @property
    def reach(self) -> timedelta:
        """How far before an instant the rows are needed that judge it."""
        # A period, and the interval that reaches into it from before.
        forming = timedelta(days=1, hours=1) if self.over == Over.HOURS else 2 * self.period
        return self.minimum + (timedelta(0) if self.over == Over.RECORDED else forming)


class Sums:
    """Running sums of a window: weighted values and the seconds that had one."""

    def __init__(self, means: Means) -> None:
        self.energy = means == Means.ENERGY
        self.total = 0.0
        self.seconds = 0.0

    def add(self, row: Row, sign: int = 1) -> None:
        """Count a row in, or out with ``sign`` -1."""
        if row.value is not None:
            self.total += sign * row.seconds * (10 ** (row.value / 10) if self.energy else row.value)
            self.seconds += sign * row.seconds

    def plus(self, row: Row) -> "Sums":
        """These and one more; these stay as they are."""
        sums = copy.copy(self)
        sums.add(row)
        return sums

    def value(self) -> float | None:
        """R1 for levels, the time-weighted mean for the rest (R4)."""
        if self.seconds < 1e-6 or (self.energy and self.total <= 0):
            return None
        mean = self.total / self.seconds
        return 10 * math.log10(mean) if self.energy else mean

    def lost(self, limit: float | None, period_s: float) -> bool:
        """R19: whether ``limit`` over the whole period is exceeded already, however quiet the rest."""
        if limit is None or not self.energy:
            return False
        return self.total > period_s * 10 ** (limit / 10)


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch that a verdict speaks of, with its value and how much of it was measured."""

    start: datetime
    end: datetime
    value: float | None
    valid_s: float
    # Over already, before its end (R19).
    early: bool = False

    @property
    def coverage_pct(self) -> float:
        """R9."""
        return coverage(self.valid_s, (self.end - self.start).total_seconds())


def possible(metric: Metric, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows with impossible values made missing, and those that were."""
    bad = [row for row in rows if row.value is not None and metric.impossible(row.value)]
    if not bad:
        return list(rows), []
    return [row if row not in bad else row._replace(value=None) for row in rows], bad


def judge(
    limit: Limit,
    rows: Sequence[Row],
    zone: zoneinfo.ZoneInfo,
    *,
    after: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[tuple[Verdict, Window]]:
    """A verdict for each instant past ``after`` at which one can be given, oldest first.

    ``rows``: oldest first, from at least ``limit.reach`` before ``after``. Outside its hours a limit does not hold:
    that is clear. A value whose coverage is too small is no data, and so is one recorded over longer than the limit's
    period: nobody knows how it was spread. A fixed period ends with the rows, or without any more at ``until``.
    """
    rows, _ = possible(limit.quantity, rows)
    if limit.over == Over.RECORDED:
        found = _recorded(limit, rows, zone)
    elif limit.over == Over.ROLLING:
        found = _rolling(limit, rows, zone)
    else:
        found = _fixed(limit, rows, zone, until)
    for verdict, window in found:
        if after is None or verdict.at > after:
            yield verdict, window


class _Lasting:
    """Since when a value has been over amber and over red without a break."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.amber_since: datetime | None = None
        self.red_since: datetime | None = None
        self.last_end: datetime | None = None

    def state(self, state: State, start: datetime, end: datetime) -> State:
        """``state`` of [start, end], as far as it has lasted for the minimum; a hole breaks it."""
        if self.last_end is not None and start - self.last_end > timedelta(seconds=1):
            self.amber_since = self.red_since = None
        self.last_end = end
        self.amber_since = (self.amber_since or start) if state.severity >= 1 else None
        self.red_since = (self.red_since or start) if state.severity >= 2 else None
        if state.severity == 0:
            return state
        for since, lasted in ((self.red_since, State.RED), (self.amber_since, State.AMBER)):
            if since is not None and end - since >= self.limit.minimum:
                return lasted
        return State.CLEAR


def _outside(row: Row) -> tuple[Verdict, Window]:
    return Verdict(State.CLEAR, row.end), Window(row.start, row.end, None, 0.0)


def _recorded(limit: Limit, rows: Sequence[Row], zone: zoneinfo.ZoneInfo) -> Iterator[tuple[Verdict, Window]]:
    lasting = _Lasting(limit)
    for row in rows:
        if limit.hours.day_of(row.start.astimezone(zone)) is None:
            yield _outside(row)
            continue
        state = lasting.state(over(row.value, limit.amber, limit.red), row.start, row.end)
        window = Window(row.start, row.end, row.value, row.seconds if row.value is not None else 0.0)
        yield Verdict(state, row.end), window


def _rolling(limit: Limit, rows: Sequence[Row], zone: zoneinfo.ZoneInfo) -> Iterator[tuple[Verdict, Window]]:
    lasting, sums, first = _Lasting(limit), Sums(limit.quantity.means), 0
    period_s = limit.period.total_seconds()
    held: list[bool] = []
    for row in rows:
        inside = limit.hours.day_of(row.start.astimezone(zone)) is not None
        held.append(inside)
        start = row.end - limit.period
        if inside:
            sums.add(row)
        while first < len(held) and rows[first].start < start - timedelta(milliseconds=1):
            if held[first]:
                sums.add(rows[first], -1)
            first += 1
        if not inside:
            yield _outside(row)
            continue
        # Summed anew where nearly everything was taken out again: differences leave crumbs.
        if sums.seconds < row.seconds * 2:
            sums = Sums(limit.quantity.means)
            for index in range(first, len(held)):
                if held[index]:
                    sums.add(rows[index])
        seen = sums
        before = rows[first - 1]
        if 0 < first < len(held) and held[first - 1] and before.end > start and before.seconds <= period_s:
            # It reaches into the window, and counts by the part that does.
            seen = sums.plus(before.cut(start)[1])
        window = Window(start, row.end, seen.value(), seen.seconds)
        if window.coverage_pct < limit.coverage_pct:
            yield Verdict(State.NO_DATA, row.end), window
            continue
        state = over(window.value, limit.amber, limit.red)
        yield Verdict(lasting.state(state, row.start, row.end), row.end), window


def _block(limit: Limit, at: datetime, zone: zoneinfo.ZoneInfo) -> tuple[datetime, datetime] | None:
    """The fixed period that holds ``at``: counted from where the day's hours begin; None outside the hours."""
    day = limit.hours.day_of(at.astimezone(zone))
    if day is None:
        return None
    start, end = limit.hours.span_on(day, zone)
    if limit.over == Over.HOURS:
        return start, end
    number = (at - start) // limit.period
    begin = start + number * limit.period
    return begin, min(begin + limit.period, end)


def closes_at(limit: Limit, rows: Sequence[Row], zone: zoneinfo.ZoneInfo) -> datetime | None:
    """When the fixed period ends that the last of ``rows`` left open; None where it left none."""
    if limit.over in (Over.RECORDED, Over.ROLLING) or not rows:
        return None
    block = _block(limit, rows[-1].start, zone)
    return block[1] if block is not None and rows[-1].end < block[1] else None


def _fixed(
    limit: Limit, rows: Sequence[Row], zone: zoneinfo.ZoneInfo, until: datetime | None
) -> Iterator[tuple[Verdict, Window]]:
    block: tuple[datetime, datetime] | None = None
    sums = Sums(limit.quantity.means)
    told_early = State.NO_DATA

    def ended() -> tuple[Verdict, Window]:
        assert block is not None  # noqa: S101 - asked for only where there is one
        window = Window(block[0], block[1], sums.value(), sums.seconds)
        state = State.NO_DATA
        if window.coverage_pct >= limit.coverage_pct:
            state = over(window.value, limit.amber, limit.red)
        # What was over by what was measured alone no gap can undo.
        return Verdict(worst([state, told_early]), window.end), window

    waiting = list(reversed(rows))
    while waiting:
        row = waiting.pop()
        if block is not None and row.start >= block[1]:
            yield ended()
            block = None
        if block is None or not block[0] <= row.start < block[1]:
            block = _block(limit, row.start, zone)
            sums, told_early = Sums(limit.quantity.means), State.NO_DATA
            if block is None:
                yield _outside(row)
                continue
        period_s = (block[1] - block[0]).total_seconds()
        if row.seconds > period_s:
            row = row._replace(value=None)
        if row.end > block[1]:
            row, rest = row.cut(block[1])
            waiting.append(rest)
        sums.add(row)
        if row.end >= block[1]:
            yield ended()
            block = None
            continue
        for state, threshold in ((State.RED, limit.red), (State.AMBER, limit.amber)):
            if state.severity > told_early.severity and sums.lost(threshold, period_s):
                told_early = state
                yield (
                    Verdict(state, row.end),
                    Window(block[0], block[1], sums.value(), sums.seconds, early=True),
                )
                break
    if block is not None and until is not None and block[1] <= until:
        yield ended()


def explain(limit: Limit, window: Window, rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers behind a verdict, for the record: value, formula, intervals used, coverage, and points to draw."""
    metric = limit.quantity
    rows, bad = possible(metric, rows)
    inside = [row for row in rows if row.start < window.end and row.end > window.start]
    used = [row for row in inside if row.value is not None]
    drawn = [row for row in rows if row.start >= window.end - max(limit.reach, timedelta(hours=1))]
    every = max(1, math.ceil(len(drawn) / CHART_POINTS))
    # Of each group the largest: an exceedance must not be thinned away, and a group without any stays a gap.
    points = []
    for index in range(0, len(drawn), every):
        group = drawn[index : index + every]
        values = [row.value for row in group if row.value is not None]
        points.append([group[0].start.astimezone(UTC).isoformat(), max(values, default=None)])
    return {
        "metric": metric.name,
        "unit": metric.unit,
        "over": str(limit.over),
        "period_s": (window.end - window.start).total_seconds(),
        "start": window.start.astimezone(UTC).isoformat(),
        "end": window.end.astimezone(UTC).isoformat(),
        "value": window.value,
        "amber": limit.amber,
        "red": limit.red,
        "minimum_s": limit.minimum.total_seconds(),
        "early": window.early,
        "intervals": len(used),
        "missing": len(inside) - len(used),
        "valid_s": window.valid_s,
        "coverage_pct": round(window.coverage_pct, 6),
        "needed_pct": limit.coverage_pct,
        "means": str(metric.means if limit.over != Over.RECORDED else Means.NONE),
        "impossible": len(bad),
        "points": points,
    }
