"""Levels second by second and finer, which add up to the recorded measurements they belong to."""

import math
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from simulator import levels
from simulator.chance import mixed
from simulator.events import sounding
from simulator.fleet import Instrument

# What a time history can hold: no statistics and no exposure.
NAMES = levels.LEQ + levels.PEAKS + levels.MAXIMA
AVERAGED = frozenset(levels.LEQ)
_PLACE = {name: levels.NAMES.index(name) for name in NAMES}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples of one measurement: `begin` in ms since 1970, LAeq of each `step` ms in hundredths of a dB."""

    begin: int
    step: int
    laeq: "array[int]"
    row: "array[int]"

    def shift(self, name: str) -> int:
        """What to add to the LAeq of a sample for another value, so that the measurement's own value comes out."""
        place = _PLACE[name]
        if name in AVERAGED:
            return self.row[place] - self.row[0]
        return self.row[place] - max(self.laeq)


@lru_cache(maxsize=256)
def _seconds(instrument: Instrument, begin: int) -> "tuple[array[int], array[int]] | None":
    """LAeq of each second of the measurement that begins here, and its row."""
    row = levels.row_at(instrument, begin)
    if row is None:
        return None
    period, chance = instrument.period, random.Random(mixed(instrument.salt, begin, 601)).random
    wander, loud, energies = 0.0, [0.0] * period, []
    for event in sounding(instrument, begin, begin + period):
        for second in range(max(event.start, begin), min(event.end, begin + period)):
            loud[second - begin] = 10 ** (event.level / 10)
    for _ in range(period):
        # Bounded, so that no second outdoes the measurement's own maximum.
        wander = min(0.7 * wander + 2.2 * (chance() + chance() - 1), 2.4)
        energies.append(10 ** (wander / 10))
    # What the events leave of the measurement's energy is shared out over all its seconds.
    left = max(10 ** (row[0] / 1000) * period - sum(loud), 1.0) / sum(energies)
    return array(
        "h", [round(1000 * math.log10(e * left + x)) for e, x in zip(energies, loud, strict=True)]
    ), row


def _finer(instrument: Instrument, begin: int, seconds: "array[int]", parts: int) -> "array[int]":
    """So many samples for each second, of the same energy."""
    chance = random.Random(mixed(instrument.salt, begin, 602)).random
    out = array("h")
    for second in seconds:
        energies = [10 ** (0.3 * chance() - 0.15) for _ in range(parts)]
        scale = parts * 10 ** (second / 1000) / sum(energies)
        out.extend(round(1000 * math.log10(energy * scale)) for energy in energies)
    return out


def stretches(instrument: Instrument, start: float, end: float, step: int) -> Iterator[Stretch]:
    """The measurements that touch [start, end), cut to it, in samples of `step` ms: 1000, or the instrument's own."""
    if not instrument.is_noise:
        return
    period = instrument.period
    low, high = math.ceil(start * 1000 / step), math.ceil(end * 1000 / step)
    for begin in range(int(start // period) * period, math.ceil(end), period):
        found = _seconds(instrument, begin)
        if found is None:
            continue
        samples = found[0] if step == 1000 else _finer(instrument, begin, found[0], 1000 // step)
        zero = begin * 1000 // step
        first, last = max(low - zero, 0), min(high - zero, len(samples))
        if first < last:
            # The row's maxima belong to its loudest sample, so a cut keeps the offset of the whole.
            whole = Stretch(begin * 1000, step, samples, found[1])
            yield whole if last - first == len(samples) else cut(whole, first, last)


def cut(whole: Stretch, first: int, last: int) -> Stretch:
    """A part of a measurement; its row is shifted so that `shift` answers as for the whole."""
    part = whole.laeq[first:last]
    lower = max(whole.laeq) - max(part, default=max(whole.laeq))
    row = array("h", whole.row)
    for name, place in _PLACE.items():
        if name not in AVERAGED:
            row[place] -= lower
    return Stretch(whole.begin + first * whole.step, whole.step, part, row)


def second_at(instrument: Instrument, at: int) -> "tuple[float, array[int]] | None":
    """LAeq in dB of one second, and the row of the measurement around it, also while that is still going on."""
    begin = at // instrument.period * instrument.period
    found = _seconds(instrument, begin)
    return None if found is None else (found[0][at - begin] / 100, found[1])
