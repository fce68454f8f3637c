"""Operations that answer in blocks of samples: noise and frequency time history (sections 3.2 and 3.4)."""

import math
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from simulator import levels
from simulator.asked import Asked
from simulator.fleet import Instrument
from simulator.seconds import AVERAGED, NAMES, Stretch, cut, stretches
from simulator.spectrum import names_of, spectrum
from simulator.wire import Refused, instant

_LONGEST = 60.0
Samples = tuple[int, list[Stretch]]  # ms since 1970 of the first sample, and stretches without a gap


def noise(asked: Asked) -> Iterator[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(7)
    period = _period(asked, instruments)
    names = asked.names(NAMES, levels.DEFAULT_NAMES)
    return _noise(asked, instruments, start, end, period, names)


def _noise(
    asked: Asked, instruments: list[Instrument], start: float, end: float, period: int, names: list[str]
) -> Iterator[dict[str, Any]]:
    for instrument in instruments:
        if instrument.is_noise:
            until = min(end, asked.world.known_until(instrument))
            for name in names:
                yield series(instrument, start, until, period, name)


def series(instrument: Instrument, start: float, end: float, period: int, name: str) -> dict[str, Any]:
    """One value of one instrument, `period` in ms; a gap begins a new block."""
    blocks = []
    for parts in runs(instrument, start, end, period):
        samples = array("h")
        for part in parts:
            shift = part.shift(name)
            samples.extend(value + shift for value in part.laeq)
        values = _joined(samples, period // parts[0].step, name in AVERAGED)
        if values:
            blocks.append({**_frame(parts[0].begin, period, len(values)), "values": values})
    return {"instrument": instrument.serial, "type": name, "blocks": blocks}


def frequency(asked: Asked) -> Iterator[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(1)
    period = _period(asked, instruments)
    bands = asked.choice("bands", ("Octave", "Third"), "Octave")
    weighting = asked.choice("weighting", ("A", "C", "Z"), "Z")
    return _frequency(asked, instruments, (start, end), period, (bands, weighting))


def _frequency(
    asked: Asked,
    instruments: list[Instrument],
    span: tuple[float, float],
    period: int,
    wanted: tuple[str, str],
) -> Iterator[dict[str, Any]]:
    bands, weighting = wanted
    for instrument in instruments:
        if not instrument.is_noise:
            continue
        blocks = []
        for parts in runs(instrument, span[0], min(span[1], asked.world.known_until(instrument)), period):
            columns: list[array[int]] = [array("h") for _ in names_of(bands)]
            for part in parts:
                begin = part.begin // 1000 // instrument.period * instrument.period
                # A band rises and falls with the level, around its share of the measurement.
                shares = spectrum(instrument, begin, bands, weighting) or []
                for column, share in zip(columns, shares, strict=True):
                    shift = round(share * 100) - part.row[0]
                    column.extend(value + shift for value in part.laeq)
            joined = [_joined(column, period // parts[0].step, True) for column in columns]
            rows = [{"name": n, "values": v} for n, v in zip(names_of(bands), joined, strict=True)]
            if joined[0]:
                blocks.append({**_frame(parts[0].begin, period, len(joined[0])), "bands": rows})
        yield {"instrument": instrument.serial, "type": bands, "blocks": blocks}


def runs(instrument: Instrument, start: float, end: float, period: int) -> Iterator[list[Stretch]]:
    """Stretches joined up to each gap, each run beginning on the grid of the period."""
    step = 1000 if period % 1000 == 0 else instrument.step_ms
    first = math.ceil(start * 1000 / period) * period / 1000
    last = int(end * 1000 // period) * period / 1000 if end > first else first
    run: list[Stretch] = []
    for part in stretches(instrument, first, last, step):
        if run and run[-1].begin + len(run[-1].laeq) * step != part.begin:
            yield run
            run = []
        if not run and part.begin % period:
            # After a gap: wait for the next place on the grid, so that overlapping requests agree.
            part = cut(part, -part.begin % period // step, len(part.laeq))
            if not part.laeq:
                continue
        run.append(part)
    if run:
        yield run


def _joined(samples: "array[int]", together: int, averaged: bool) -> list[float]:
    """Samples of a longer period, whole ones only: by energy or by the largest."""
    if together <= 1:
        return [value / 100 for value in samples]
    starts = range(0, len(samples) - together + 1, together)
    if not averaged:
        return [max(samples[at : at + together]) / 100 for at in starts]
    return [_energy_mean(samples[at : at + together]) for at in starts]


def _energy_mean(hundredths: Iterable[int]) -> float:
    energies = [10 ** (value / 1000) for value in hundredths]
    return round(10 * math.log10(sum(energies) / len(energies)), 2)


def _frame(begin: int, period: int, count: int) -> dict[str, Any]:
    return {
        "start": instant(begin / 1000),
        "end": instant((begin + count * period) / 1000),
        "sampleDuration": period,
    }


def _period(asked: Asked, instruments: list[Instrument]) -> int:
    """Milliseconds of one sample: a second, or what was asked for."""
    shortest = max((i.step for i in instruments if i.is_noise), default=1.0)
    seconds = asked.period(shortest, _LONGEST)
    if seconds is None:
        return 1000
    period = round(seconds * 1000)
    if any(period % i.step_ms for i in instruments if i.is_noise):
        raise Refused(400, "InvalidPeriod", "The period is no multiple of the time history setting.")
    return period
