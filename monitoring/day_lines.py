"""The last day of an instrument at a glance: values of its quarter hours as a short text, and as a line. Pure.

The text has one number for each quarter hour up to the newest one, a whole number of the last decimal that is told; a
quarter hour without a value is left empty and the line broken there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

QUARTER = timedelta(minutes=15)
QUARTERS = 96
HEIGHT = 24
# Seven characters each at the most: the column holds no more, and no instrument can measure more.
_LEAST, _MOST = -999_999, 9_999_999


@dataclass(frozen=True, slots=True)
class Scale:
    """What the bottom and the top of a line's box stand for: the same for all monitors, so that a loud one looks loud
    beside a quiet one. What is beyond lies on the edge.
    """

    lowest: float
    highest: float
    # How many decimals are stored and told.
    places: int = 1
    # Equal steps are equal ratios, as they are in decibels.
    ratios: bool = False

    def share(self, value: float) -> float:
        """How high ``value`` lies, from 0 to 1."""
        within = min(max(value, self.lowest), self.highest)
        if self.ratios:
            return math.log(within / self.lowest) / math.log(self.highest / self.lowest)
        return (within - self.lowest) / (self.highest - self.lowest)


@dataclass(frozen=True, slots=True)
class DayLine:
    """A path over a box that is 96 wide and `HEIGHT` high, from ``left`` on; true extremes; quarters measured."""

    path: str
    left: int
    lowest: float
    highest: float
    measured: int


def quarter_of(at: datetime) -> datetime:
    """The quarter hour of UTC that ``at`` falls into."""
    return datetime.fromtimestamp(at.timestamp() // QUARTER.total_seconds() * QUARTER.total_seconds(), UTC)


def day_text(values: Mapping[datetime, float | None], newest_at: datetime, places: int) -> str:
    """The text of the day that ends with the quarter hour of ``newest_at``; "" where it holds no value."""
    last = quarter_of(newest_at)
    told = []
    for number in range(QUARTERS - 1, -1, -1):
        value = values.get(last - number * QUARTER)
        told.append("" if value is None else str(round(min(max(value * 10**places, _LEAST), _MOST))))
    return ",".join(told).lstrip(",")


def day_line(text: str, newest_at: datetime | None, now: datetime, scale: Scale) -> DayLine | None:
    """The line of the last 24 hours; None where nothing was measured in them."""
    if not text or newest_at is None:
        return None
    passed = (quarter_of(now) - quarter_of(newest_at)) // QUARTER
    return _line(text, max(passed, 0), scale) if passed < QUARTERS else None


@lru_cache(maxsize=20_000)
def _line(text: str, passed: int, scale: Scale) -> DayLine | None:
    cells = text.split(",")
    # The newest cell stands at the right edge as long as it is now, and moves left with time.
    first = QUARTERS - len(cells)
    steps, values, broken = [], [], True
    for number, cell in enumerate(cells[max(passed - first, 0) :], max(first, passed)):
        if not cell:
            broken = True
            continue
        value = int(cell) / 10**scale.places
        values.append(value)
        # A value holds for its whole quarter of an hour; one alone between gaps is a step, not nothing.
        height = f"{HEIGHT * (1 - scale.share(value)):.1f}"
        steps.append(f"M{number} {height}h1" if broken else f"V{height}h1")
        broken = False
    return DayLine("".join(steps), passed, min(values), max(values), len(values)) if values else None
