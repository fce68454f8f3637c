"""Where samples lie: windows that may be asked for at once, hours that are stored, buckets that are drawn. Pure."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from monitoring.timehistory.packing import MISSING, hundredths

HOUR = timedelta(hours=1)
# Numbers in one answer: some ten megabytes of JSON, and little enough to be read by any worker.
MOST_AT_ONCE = 500_000
# Contract 1.5: the longest range of one request.
LONGEST_NOISE, LONGEST_FREQUENCY = timedelta(days=7), timedelta(days=1)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class OtherStep(ValueError):
    """MyCirrus answered in another step than was asked for; the argument is that step in seconds."""


class Run(Protocol):
    """A contiguous run of samples, as the client gives it."""

    @property
    def start_at(self) -> datetime: ...
    @property
    def sample_s(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Hour:
    """Samples of one hour on the grid of the step: equal columns, MISSING where there is none."""

    start_at: datetime
    names: list[str]
    columns: "list[array[int]]"

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(len(column) - column.count(MISSING) for column in self.columns)


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour, in UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def next_window(at: datetime, end: datetime, *, step_ms: int, columns: int, longest: timedelta) -> datetime:
    """Until when to ask, beginning at ``at``: whole hours, so that no hour is stored in two pieces."""
    hours = MOST_AT_ONCE * step_ms // (columns * 3_600_000)
    hours = max(1, min(hours, longest // HOUR))
    return min(hour_of(at) + hours * HOUR, end)


def hours_of(
    runs: Sequence[tuple[str, Run, Sequence[float | None]]],
    *,
    start: datetime,
    end: datetime,
    step_ms: int,
) -> list[Hour]:
    """The samples of ``runs`` (name, run, values in dB) in [start, end), an hour each; empty hours are left out.

    Raises OtherStep where a run has samples of another length than ``step_ms``.
    """
    per_hour = 3_600_000 // step_ms
    low, high = _milliseconds(start), _milliseconds(end)
    found: dict[int, dict[str, array[int]]] = {}
    for name, run, values in runs:
        own = round((run.sample_s or 1.0) * 1000)
        if own != step_ms and values:
            raise OtherStep(own / 1000)
        begin = _milliseconds(run.start_at)
        for index, value in enumerate(values):
            at = begin + index * step_ms
            if value is None or not low <= at < high:
                continue
            hour, place = divmod(at, 3_600_000)
            columns = found.setdefault(hour, {})
            column = columns.get(name)
            if column is None:
                column = columns[name] = array("h", [MISSING]) * per_hour
            # Runs that begin off the grid, by a fraction of a step, keep to the nearest place below.
            column[place // step_ms] = hundredths(value)
    names = list(dict.fromkeys(name for name, _, _ in runs))
    hours = []
    for hour, columns in sorted(found.items()):
        ordered = [name for name in names if name in columns]
        hours.append(Hour(_FIRST + hour * HOUR, ordered, [columns[name] for name in ordered]))
    return hours


@dataclass(frozen=True, slots=True)
class Drawn:
    """One value over the whole stretch: a level in dB for each bucket, None where no sample lies in it."""

    name: str
    levels: list[float | None]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Equal buckets of ``bucket_ms`` from ``start_at``; ``coverage`` is the part of the samples that is there."""

    start_at: datetime
    bucket_ms: int
    lines: list[Drawn]
    coverage: float


# 10^(L/10) of every level that can be packed, by hundredths.
_ENERGY = [10 ** (value / 1000) for value in range(-3000, 25_001)]


def _energy(value: int) -> float:
    return _ENERGY[value + 3000] if -3000 <= value <= 25_000 else 10 ** (value / 1000)


def bucket_of(span: timedelta, step_ms: int, most: int) -> int:
    """The length of a bucket in ms: whole steps that an hour is a multiple of, at most ``most`` over ``span``."""
    needed = math.ceil(span / timedelta(milliseconds=1) / most)
    return next(
        length
        for length in (step_ms * times for times in range(1, 3_600_000 // step_ms + 1))
        if length >= min(needed, 3_600_000) and 3_600_000 % length == 0
    )


def drawing(
    hours: Iterable[Hour], *, start: datetime, end: datetime, step_ms: int, most: int, maxima: frozenset[str]
) -> Drawing:
    """``hours`` as at most about ``most`` buckets: by energy (R1), and those named in ``maxima`` by maximum (R4)."""
    bucket = bucket_of(end - start, step_ms, most)
    first = _milliseconds(start) // bucket * bucket
    count = max(1, math.ceil((_milliseconds(end) - first) / bucket))
    per_bucket, there = bucket // step_ms, 0
    columns = 0
    lines: dict[str, list[float | None]] = {}
    for hour in hours:
        there += hour.count
        columns = max(columns, len(hour.names))
        offset = (_milliseconds(hour.start_at) - first) // bucket
        for name, column in zip(hour.names, hour.columns, strict=True):
            line = lines.setdefault(name, [None] * count)
            for place in range(0, len(column), per_bucket):
                values = [value for value in column[place : place + per_bucket] if value != MISSING]
                if values:
                    line[offset + place // per_bucket] = _joined(values, name in maxima)
    wanted = columns * ((end - start) / timedelta(milliseconds=step_ms))
    return Drawing(
        start_at=_FIRST + timedelta(milliseconds=first),
        bucket_ms=bucket,
        lines=[Drawn(name, levels) for name, levels in lines.items()],
        coverage=min(1.0, there / wanted) if wanted else 0.0,
    )


def _joined(values: list[int], by_maximum: bool) -> float:
    if len(values) == 1 or by_maximum:
        return max(values) / 100
    return round(10 * math.log10(sum(map(_energy, values)) / len(values)), 2)


def samples_of(hours: Iterable[Hour], *, step_ms: int) -> Iterator[tuple[datetime, dict[str, float]]]:
    """Each instant at which there is a value, with the values in dB by name."""
    for hour in hours:
        for place, values in enumerate(zip(*hour.columns, strict=True)):
            there = {
                name: value / 100 for name, value in zip(hour.names, values, strict=True) if value != MISSING
            }
            if there:
                yield hour.start_at + timedelta(milliseconds=place * step_ms), there


def _milliseconds(at: datetime) -> int:
    return round((at - _FIRST) / timedelta(milliseconds=1))
