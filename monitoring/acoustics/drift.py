"""Whether the levels of System Integrity Checks move away from where they began, and when they would be too far.

Pure: no ORM, no clock; time is in days from any zero that the caller likes. A SIC injects an electrical signal and
shows no change of the microphone's sensitivity (R14): what is said here is a reason to calibrate, no calibration.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from statistics import median
from typing import Any

# R11: what NorCloud advises of the 0.5 to 5 dB that it offers for its own electrical check, in dB.
SIC_TOLERANCE = Decimal("0.7")
# A baseline is the median of the first good checks since a calibration: of five, one or two may be odd.
BASELINE_OF, BASELINE_NEEDS = 5, 3
# Mann and Kendall's test takes its statistic for normal from about ten values on.
TREND_NEEDS = 10
# Two-sided, 5 %.
_SIGNIFICANT = 1.959964
# A straight line is not believed any further than this, in days.
FARTHEST = 365.0


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through levels: ``per_day`` in dB a day, ``now`` in dB at the last of them."""

    per_day: float
    now: float


@dataclass(frozen=True, slots=True)
class Frequency:
    """One of a SIC's frequencies: levels in dB, the trend in dB for 30 days, days until it would be too far."""

    name: str
    level_db: Decimal | None
    baseline_db: Decimal | None
    difference_db: Decimal | None
    beyond: bool
    per_month_db: float | None
    days_left: float | None


def baseline(levels: Sequence[Decimal]) -> Decimal | None:
    """The level in dB from which later SICs are told: the median of the first good ones, oldest first.

    None while there are fewer than `BASELINE_NEEDS`: a single check would make any oddity of its own the rule.
    """
    first = levels[:BASELINE_OF]
    return median(first) if len(first) >= BASELINE_NEEDS else None


def difference(level: float | Decimal | None, from_baseline: float | Decimal | None) -> Decimal | None:
    """How far a level is from its baseline, in dB with its sign, in decimals as the instrument wrote them."""
    if level is None or from_baseline is None:
        return None
    return Decimal(str(level)) - Decimal(str(from_baseline))


def is_beyond(moved: Decimal | None, tolerance: Decimal) -> bool:
    """Whether a difference is larger than ``tolerance``; exactly as large is within it."""
    return moved is not None and abs(moved) > tolerance


def trend(points: Sequence[tuple[float, float]]) -> Trend | None:
    """The robust line through (day, level in dB): Theil and Sen's median of slopes; one wild check moves it little.

    None where Mann and Kendall's test finds no trend at 5 % (two-sided, with ties), or for fewer than `TREND_NEEDS`
    points: then nothing is to be said, least of all a date.
    """
    if len(points) < TREND_NEEDS:
        return None
    ordered = sorted(points)
    slopes, score = [], 0
    for (day, level), (later_day, later) in combinations(ordered, 2):
        if later_day > day:
            slopes.append((later - level) / (later_day - day))
            score += (later > level) - (later < level)
    if not slopes or abs(_normal_score(score, [level for _, level in ordered])) < _SIGNIFICANT:
        return None
    per_day = median(slopes)
    if per_day == 0:
        # Most pairs are level with each other: a rank test may see order in the rest, but there is no pace.
        return None
    last_day = ordered[-1][0]
    return Trend(per_day, median(level + per_day * (last_day - day) for day, level in ordered))


def _normal_score(score: int, levels: Sequence[float]) -> float:
    """Mann and Kendall's S as a normal deviate, its variance less for values that occur more than once."""
    count = len(levels)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(levels).values())
    variance = (count * (count - 1) * (2 * count + 5) - ties) / 18
    if variance <= 0 or score == 0:
        return 0.0
    return (score - math.copysign(1, score)) / math.sqrt(variance)


def days_to_limit(line: Trend | None, *, centre: float, tolerance: float) -> float | None:
    """In how many days from its last point the line leaves ``centre`` ± ``tolerance`` dB; 0 where it has already.

    None without a trend, and beyond `FARTHEST`.
    """
    if line is None:
        return None
    if abs(line.now - centre) > tolerance:
        return 0.0
    limit = centre + math.copysign(tolerance, line.per_day)
    days = (limit - line.now) / line.per_day
    return days if days <= FARTHEST else None


def year_ahead(line: Trend | None, *, centre: float) -> float | None:
    """How far from ``centre``, in dB in the direction of the trend, the line is `FARTHEST` days after its last point.

    More than a tolerance exactly where `days_to_limit` gives a number for it, unless it is beyond it behind itself.
    """
    if line is None:
        return None
    return math.copysign(1.0, line.per_day) * (line.now - centre) + FARTHEST * abs(line.per_day)


def first_reached(frequencies: Iterable[Frequency]) -> float | None:
    """In how many days the first of them is too far: 0 where one is already, None where no trend says so."""
    told = (0.0 if each.beyond else each.days_left for each in frequencies)
    return min((days for days in told if days is not None), default=None)


def frequency_of(words: str, told: dict[str, Any], tolerance: Decimal) -> Frequency:
    """A frequency of a standing's document (`CheckStanding.sic`) under a tolerance in dB."""
    level, base, moved = (
        None if told.get(name) is None else Decimal(told[name])
        for name in ("level", "baseline", "difference")
    )
    line = None
    if told.get("per_day") is not None:
        line = Trend(told["per_day"], told["now"])
    beyond = is_beyond(moved, tolerance)
    days = None
    if base is not None and not beyond:
        days = days_to_limit(line, centre=float(base), tolerance=float(tolerance))
    return Frequency(words, level, base, moved, beyond, 30 * line.per_day if line else None, days)
