"""The last day of an instrument at a glance: LAeq of its quarter hours as a short text, and as a line. Pure.

The text has one number for each quarter hour up to the one of the newest level, in tenths of a decibel; a quarter
hour without a valid second is left empty and the line broken there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from monitoring.acoustics.levels import level_of

QUARTER = timedelta(minutes=15)
QUARTERS = 96
# One scale for all, so that a loud monitor looks loud beside a quiet one.
LOWEST_DB, HIGHEST_DB = 30.0, 100.0
HEIGHT = 24


@dataclass(frozen=True, slots=True)
class DayLine:
    """A path over a box that is 96 wide and `HEIGHT` high, from ``left`` on; extremes in dB; quarters measured."""

    path: str
    left: int
    lowest: float
    highest: float
    measured: int


def quarter_of(at: datetime) -> datetime:
    """The quarter hour of UTC that ``at`` falls into."""
    return datetime.fromtimestamp(at.timestamp() // QUARTER.total_seconds() * QUARTER.total_seconds(), UTC)


def day_text(energies: Mapping[datetime, tuple[float, float]], newest_at: datetime) -> str:
    """The text of the day that ends with ``newest_at``, from energy and valid seconds of each quarter hour (R1)."""
    last = quarter_of(newest_at)
    told = []
    for number in range(QUARTERS - 1, -1, -1):
        energy, valid_s = energies.get(last - number * QUARTER, (0.0, 0.0))
        level = level_of(energy, valid_s)
        # Four characters each at the most: the column holds no more, and no instrument can measure more.
        told.append("" if level is None else str(round(min(max(level, -99.9), 999.9) * 10)))
    return ",".join(told).lstrip(",")


def day_line(text: str, newest_at: datetime | None, now: datetime) -> DayLine | None:
    """The line of the last 24 hours; None where nothing was measured in them."""
    if not text or newest_at is None:
        return None
    passed = (quarter_of(now) - quarter_of(newest_at)) // QUARTER
    return _line(text, max(passed, 0)) if passed < QUARTERS else None


@lru_cache(maxsize=20_000)
def _line(text: str, passed: int) -> DayLine | None:
    cells = text.split(",")
    # The newest cell stands at the right edge as long as it is now, and moves left with time.
    first = QUARTERS - len(cells)
    steps, levels, broken = [], [], True
    for number, cell in enumerate(cells[max(passed - first, 0) :], max(first, passed)):
        if not cell:
            broken = True
            continue
        level = int(cell) / 10
        levels.append(level)
        share = (min(max(level, LOWEST_DB), HIGHEST_DB) - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB)
        # A level holds for its whole quarter of an hour; one alone between gaps is a step, not nothing.
        height = f"{HEIGHT * (1 - share):.1f}"
        steps.append(f"M{number} {height}h1" if broken else f"V{height}h1")
        broken = False
    return DayLine("".join(steps), passed, min(levels), max(levels), len(levels)) if levels else None
