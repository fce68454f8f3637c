"""Levels of several instruments, or of one in two stretches of time, on one axis of time. It draws nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from instruments.models import Instrument
from monitoring.charts.ranges import Window
from monitoring.charts.series import LevelSeries, level_series

MOST = 4
# How far back the other stretch lies, in whole days of the local calendar.
BEFORE: dict[str, int] = {"1d": 1, "7d": 7, "28d": 28, "364d": 364}


@dataclass(frozen=True, slots=True)
class Compared:
    """One line: an instrument's levels in ``window``, and where each bucket is drawn, in milliseconds since 1970."""

    instrument: Instrument
    window: Window
    series: LevelSeries
    x: list[int]
    # Whether it is the stretch before, drawn over the later one.
    earlier: bool = False


def local_shift(at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The instant ``days`` later (earlier, where negative) at the same time of the local clock.

    A time that the clock skips that day is read with the offset before the change, as Python does.
    """
    wall = at.astimezone(zone)
    moved = wall.replace(tzinfo=None) + timedelta(days=days)
    return moved.replace(tzinfo=zone, fold=wall.fold).astimezone(UTC)


def compared_instruments(
    *, instruments: Sequence[Instrument], window: Window, period_s: float, now: datetime
) -> list[Compared]:
    """A line for each, in buckets of one length: the longest period of them all."""
    return [_compared(instrument, window, period_s, now) for instrument in instruments]


def compared_periods(
    *, instrument: Instrument, window: Window, days: int, zone: ZoneInfo, period_s: float, now: datetime
) -> list[Compared]:
    """The stretch and the one ``days`` before it, each bucket drawn at the local time of day it was measured at."""
    before = Window(local_shift(window.start, -days, zone), local_shift(window.end, -days, zone))
    later = _compared(instrument, window, period_s, now)
    earlier = level_series(
        instrument=instrument, start=before.start, end=before.end, period_s=period_s, now=now
    )
    x = [
        round(
            local_shift(
                earlier.start_at + timedelta(seconds=earlier.bucket_s * place), days, zone
            ).timestamp()
        )
        * 1000
        for place in range(len(earlier.LAeq))
    ]
    return [later, Compared(instrument, before, earlier, x, earlier=True)]


def _compared(instrument: Instrument, window: Window, period_s: float, now: datetime) -> Compared:
    series = level_series(
        instrument=instrument, start=window.start, end=window.end, period_s=period_s, now=now
    )
    first = round(series.start_at.timestamp()) * 1000
    x = [first + series.bucket_s * 1000 * place for place in range(len(series.LAeq))]
    return Compared(instrument, window, series, x)
