"""Noise measurements as the API answers them: as recorded, or recalculated to a period (section 3.1)."""

import math
from array import array
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from simulator import levels
from simulator.asked import Asked
from simulator.fleet import Instrument
from simulator.wire import DAY, instant
from simulator.world import World

_PLACE = {name: place for place, name in enumerate(levels.NAMES)}
_RECALCULATED = tuple(name for name in levels.NAMES if name not in levels.STATISTICAL)
_SUMMED = frozenset(levels.EXPOSURE)
_AVERAGED = frozenset(levels.LEQ)


def noise_measurements(asked: Asked) -> Iterator[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(31)
    shortest = max((i.period for i in instruments if i.is_noise), default=1)
    period = asked.period(shortest, DAY)
    names = asked.names(levels.NAMES if period is None else _RECALCULATED, levels.DEFAULT_NAMES)
    return _answer(asked.world, instruments, start, end, period, names)


def _answer(
    world: World,
    instruments: list[Instrument],
    start: float,
    end: float,
    period: float | None,
    names: list[str],
) -> Iterator[dict[str, Any]]:
    for instrument in instruments:
        known = world.known_until(instrument)
        if period is None or period == instrument.period:
            rows: Iterable[tuple[float, float, list[float]]] = recorded(instrument, start, end, known, names)
        else:
            rows = recalculated(instrument, start, end, known, period, names)
        types = [levels.MOVING_TYPES[name] for name in names if name in levels.MOVING_TYPES]
        serial = instrument.serial
        for at, duration, values in rows:
            row: dict[str, Any] = {
                "instrument": serial,
                "startTime": instant(at),
                "endTime": instant(at + duration),
                "duration": int(duration) if duration == int(duration) else duration,
                **dict(zip(names, values, strict=True)),
            }
            row.update(types)
            yield row


def recorded(
    instrument: Instrument, start: float, end: float, known: float, names: list[str]
) -> Iterator[tuple[float, float, list[float]]]:
    """Start, duration and values in dB of each measurement whose period has ended by `known`."""
    places = [_PLACE[name] for name in names]
    for at, row in levels.rows(instrument, start, min(end, known - instrument.period + 1)):
        if at + instrument.period <= known:
            yield at, instrument.period, [row[place] / 100 for place in places]


def recalculated(
    instrument: Instrument, start: float, end: float, known: float, period: float, names: list[str]
) -> Iterator[tuple[float, float, list[float]]]:
    """The same over longer periods that lie on a grid since 1970, so that overlapping requests agree."""
    first = math.ceil(start / period) * period
    last = min(math.ceil(end / period), int(known // period)) * period
    for slot, group in groupby(levels.rows(instrument, first, last), key=lambda row: row[0] // period):
        rows = [values for _, values in group]
        yield slot * period, period, [_together(name, rows) for name in names]


def _together(name: str, rows: "list[array[int]]") -> float:
    """One value of several rows: Leq by energy, exposure by sum of energy, all else by its largest."""
    place = _PLACE[name]
    if name not in _SUMMED and name not in _AVERAGED:
        return max(row[place] for row in rows) / 100
    energy = sum(10 ** (row[place] / 1000) for row in rows)
    if name in _AVERAGED:
        energy /= len(rows)
    return round(10 * math.log10(energy), 2)
