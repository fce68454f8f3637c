"""Frequency measurements: the spectrum of each measurement, or of a longer period (section 3.3)."""

import math
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from simulator import levels
from simulator.asked import Asked
from simulator.fleet import Instrument
from simulator.spectrum import names_of, spectrum
from simulator.wire import DAY, instant


def frequency_measurements(asked: Asked) -> Iterator[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(31)
    period = asked.period(max((i.period for i in instruments if i.is_noise), default=1), DAY)
    bands = asked.choice("bands", ("Octave", "Third"), "Octave")
    weighting = asked.choice("weighting", ("A", "C", "Z"), "Z")
    return _answer(asked, instruments, (start, end), period, (bands, weighting))


def _answer(
    asked: Asked,
    instruments: list[Instrument],
    span: tuple[float, float],
    period: float | None,
    wanted: tuple[str, str],
) -> Iterator[dict[str, Any]]:
    names = names_of(wanted[0])
    for instrument in instruments:
        length = float(period or instrument.period)
        first = math.ceil(span[0] / length) * length
        known = asked.world.known_until(instrument)
        last = min(math.ceil(span[1] / length), int(known // length)) * length
        rows = (at for at, _ in levels.rows(instrument, first, last))
        for slot, starts in groupby(rows, key=lambda at: at // length):
            spectra = [s for at in starts if (s := spectrum(instrument, at, *wanted)) is not None]
            yield {
                "instrument": instrument.serial,
                "startTime": instant(slot * length),
                "duration": int(length) if length == int(length) else length,
                "type": wanted[0],
                "bands": [{"name": n, "value": v} for n, v in zip(names, _mean(spectra), strict=True)],
            }


def _mean(spectra: list[list[float]]) -> list[float]:
    """Each band by energy."""
    if len(spectra) == 1:
        return [round(level, 2) for level in spectra[0]]
    return [
        round(10 * math.log10(sum(10 ** (level / 10) for level in band) / len(band)), 2)
        for band in zip(*spectra, strict=True)
    ]
