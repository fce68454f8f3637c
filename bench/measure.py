"""Samples, ratios and verdicts of a benchmark. Pure but for the clock; it knows nothing of what is measured."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """What several samples of one side came to."""

    median: float
    least: float
    most: float
    samples: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``met`` is None where nothing is asked, or this mode is too short to judge."""

    target: str
    what: str
    database: str
    unit: str
    ours: Spread
    limit: Spread | None
    ratio: float | None
    asked: str
    met: bool | None
    note: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Row":
        spreads = {name: Spread(**document[name]) if document[name] else None for name in ("ours", "limit")}
        return cls(**{**document, **spreads})


def spread(samples: Sequence[float]) -> Spread:
    """Median, least and most of at least one sample."""
    return Spread(statistics.median(samples), min(samples), max(samples), len(samples))


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least ``percent`` % of the samples do not exceed (nearest rank)."""
    if not 0 < percent <= 100:
        raise ValueError("a percentile is above 0 and at most 100")
    ordered = sorted(samples)
    rank = -(-len(ordered) * percent // 100)
    return ordered[int(rank) - 1]


def compared(
    target: str,
    what: str,
    *,
    database: str = "",
    unit: str,
    ours: Sequence[float],
    limit: Sequence[float],
    at_most: float | None = None,
    at_least: float | None = None,
    note: str = "",
) -> Row:
    """Ours against the limit: the ratio of the two medians, judged by ``at_most`` or ``at_least``."""
    mine, theirs = spread(ours), spread(limit)
    ratio = mine.median / theirs.median if theirs.median else None
    asked, met = "", None
    if at_most is not None:
        asked, met = f"≤ {at_most:g} ×", None if ratio is None else ratio <= at_most
    elif at_least is not None:
        asked, met = f"≥ {at_least:g} ×", None if ratio is None else ratio >= at_least
    return Row(target, what, database, unit, mine, theirs, ratio, asked, met, note)


def judged(
    target: str,
    what: str,
    *,
    database: str = "",
    unit: str,
    ours: Sequence[float],
    at_most: float | None = None,
    note: str = "",
) -> Row:
    """A figure that is asked for by itself: the median against ``at_most``."""
    mine = spread(ours)
    asked = f"≤ {at_most:g} {unit}".rstrip() if at_most is not None else ""
    met = None if at_most is None else mine.median <= at_most
    return Row(target, what, database, unit, mine, None, None, asked, met, note)


def interleaved(
    sides: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """Run every side once a round, each round in the opposite order, and collect what each returned.

    What slows the machine down for a while slows all sides down alike; the warm-up rounds are thrown away.
    """
    collected: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(warm_up + rounds):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            sample = sides[name]()
            if number >= warm_up:
                collected[name].append(sample)
    return collected


def milliseconds(work: Callable[[], object]) -> float:
    """How long ``work`` took."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
