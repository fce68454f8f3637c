"""Levels over time: energy means and sums, never arithmetic ones. Pure."""

import math
from collections.abc import Iterable


def energy_mean(levels: Iterable[tuple[float | None, float]]) -> float | None:
    """LAeq over several intervals, in dB: R1, IEC 61672-1:2013 3.10.

    ``levels`` are (LAeq in dB, valid seconds); an interval without a level counts for nothing. None when no
    interval has one. Overflow-free: the largest level is taken out of the sum first.
    """
    valid = [(level, seconds) for level, seconds in levels if level is not None and seconds > 0]
    if not valid:
        return None
    top = max(level for level, _ in valid)
    energy = sum(seconds * 10 ** ((level - top) / 10) for level, seconds in valid)
    return top + 10 * math.log10(energy / sum(seconds for _, seconds in valid))


def exposure(level: float, seconds: float) -> float:
    """LAE in dB of a level that lasted ``seconds``: R3, LAeq,T + 10 log(T / 1 s)."""
    return level + 10 * math.log10(seconds)


def coverage(valid_seconds: float, period_seconds: float) -> float:
    """The valid part of a period, in percent from 0 to 100: R9. A period of no length has no coverage: 0."""
    if period_seconds <= 0:
        return 0.0
    return min(100.0, 100.0 * valid_seconds / period_seconds)


def level_of(energy: float, valid_seconds: float) -> float | None:
    """LAeq in dB of a rollup's sum of seconds x 10^(L/10) over its valid seconds: R1. None where nothing is valid."""
    return 10 * math.log10(energy / valid_seconds) if energy > 0 and valid_seconds > 0 else None
