"""Noise measurements as recorded: all 28 values of each measurement period, as a function of time."""

import math
import random
from array import array
from collections.abc import Iterator
from functools import lru_cache

from simulator import weather
from simulator.chance import mixed, signed, smooth
from simulator.events import sounding
from simulator.fleet import Instrument
from simulator.presence import power_cuts_between
from simulator.sites import activity

LEQ = ("LAeq", "LCeq", "LZeq")
EXPOSURE = ("LAE", "LCE", "LZE", "LEX8")
PEAKS = ("LAPeak", "LCPeak", "LZPeak")
MAXIMA = ("LAFMax", "LASMax", "LAIMax", "LCFMax", "LCSMax", "LCIMax", "LZFMax", "LZSMax", "LZIMax")
STATISTICAL = ("LAF1", "LAF5", "LAF10", "LAF50", "LAF90", "LAF95", "LAF99")
MOVING = ("LeqT1Max", "LeqT2Max")
NAMES = LEQ + EXPOSURE + PEAKS + MAXIMA + STATISTICAL + MOVING
DEFAULT_NAMES = ("LAeq", "LCPeak", "LAFMax")
MOVING_TYPES = {"LeqT1Max": ("LeqT1Type", "LAeq,5m"), "LeqT2Max": ("LeqT2Type", "LAeq,60m")}
WIDTH = len(NAMES)
_ABSENT = -32_768

Row = tuple[int, "array[int]"]


@lru_cache(maxsize=1500)
def _hour(instrument: Instrument, hour: int) -> "array[int]":
    """The rows of one hour, flat, in hundredths of a dB: small enough to keep many, cheap enough to lose."""
    out: array[int] = array("h")
    period, begin = instrument.period, hour * 3600
    cuts = power_cuts_between(instrument, begin, begin + 3600)
    loud = sounding(instrument, begin, begin + 3600)
    salt = instrument.salt
    chance = random.Random(mixed(salt, hour, 401)).random
    slow = (smooth(salt + 1, hour / 3), smooth(salt + 1, (hour + 1) / 3))
    low_tilt, liveliness = 6 + 3 * signed(salt, 402), 7 + 2.5 * signed(salt, 403)
    duration_db, lex_db = 10 * math.log10(period), 10 * math.log10(period / 28_800)
    log10 = math.log10
    for start in range(begin, begin + 3600, period):
        end, draws = start + period, [chance() for _ in range(16)]
        if start < instrument.installed or any(cut[0] < end and cut[1] > start for cut in cuts):
            out.extend([_ABSENT] * WIDTH)
            continue
        x = (start - begin) / 3600
        people = activity(instrument, start) + 1.8 * (slow[0] + (slow[1] - slow[0]) * x)
        people += 2.0 * (draws[0] + draws[1] + draws[2] - 1.5)
        steady = 10 ** (people / 10) + weather.noise_energy(instrument.region, start)
        total, event_max = steady, 0.0
        for event in loud:
            if event.start < end and event.end > start:
                shared = min(event.end, end) - max(event.start, start)
                total += 10 ** (event.level / 10) * shared / period
                event_max = max(event_max, event.maximum)
        a, background = 10 * log10(total), 10 * log10(steady)
        spread = liveliness * (0.75 + 0.5 * draws[3])
        c = a + low_tilt + 1.5 * draws[4]
        z = c + 0.8 + 2 * draws[5]
        l1 = max(a + 0.75 * spread, background + 0.95 * spread)
        af = max(l1 + 0.5 + 4 * draws[6], event_max)
        a_s, a_i = max(a + 0.2, af - 0.8 - 1.6 * draws[7]), af + 0.4 + 1.5 * draws[8]
        cf = af + 0.6 * low_tilt + 1.2 * draws[9]
        zf = cf + 0.5 + 1.5 * draws[10]
        a_peak, c_peak = a_i + 7 + 4 * draws[11], cf + 9 + 5 * draws[12]
        row = (
            a, c, z,
            a + duration_db, c + duration_db, z + duration_db, a + lex_db,
            a_peak, max(c_peak, a_peak - 1), max(c_peak, a_peak) + 0.3 + 1.5 * draws[13],
            af, a_s, a_i,
            cf, cf - 0.7 - draws[7], cf + 0.4 + draws[8],
            zf, zf - 0.6 - draws[7], zf + 0.4 + draws[8],
            l1, a + 0.5 * spread, a + 0.3 * spread,
            background - 0.3 * spread, background - 0.7 * spread, background - 0.85 * spread, background - 1.1 * spread,
            max(background + 0.4, a - 2 + draws[14]), max(background + 0.1, a - 4 + draws[15]),
        )  # fmt: skip
        out.extend([int(value * 100 + 0.5) if value > 0 else 0 for value in row])
    return out


def rows(instrument: Instrument, start: float, end: float) -> Iterator[Row]:
    """Rows whose period begins in [start, end), oldest first: second of the start, and values in hundredths of a dB."""
    if not instrument.is_noise:
        return
    period = instrument.period
    first = -int(-start // period) * period
    if first < start:
        first += period
    hour = -1
    block: array[int] = array("h")
    for at in range(first, math.ceil(end), period):
        if at // 3600 != hour:
            hour = at // 3600
            block = _hour(instrument, hour)
        place = at % 3600 // period * WIDTH
        if block[place] != _ABSENT:
            yield at, block[place : place + WIDTH]


def row_at(instrument: Instrument, at: int) -> "array[int] | None":
    """The row of the period that holds this second, in hundredths of a dB."""
    begin = at // instrument.period * instrument.period
    return next((row for _, row in rows(instrument, begin, begin + 1)), None)
