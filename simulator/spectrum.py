"""Third-octave and octave levels of a measurement, whose A-weighted sum is its LAeq."""

import math
import random
from functools import lru_cache

from simulator import levels
from simulator.chance import mixed, signed
from simulator.fleet import Instrument

_NOMINAL = (
    "6.3 8 10 12.5 16 20 25 31.5 40 50 63 80 100 125 160 200 250 315 400 500 630 800 "
    "1K 1.25K 1.6K 2K 2.5K 3.15K 4K 5K 6.3K 8K 10K 12.5K 16K 20K"
)
THIRDS = tuple(f"{name}Hz" for name in _NOMINAL.split())
OCTAVES = tuple(f"{name}Hz" for name in ["31.5", "63", "125", "250", "500", "1K", "2K", "4K", "8K", "16K"])
_FIRST_OF_OCTAVES = THIRDS.index("25Hz")
_CENTRES = tuple(1000.0 * 10 ** ((place - THIRDS.index("1KHz")) / 10) for place in range(len(THIRDS)))


def _a(f: float) -> float:
    ratio = (12194**2 * f**4) / (
        (f**2 + 20.6**2) * math.sqrt((f**2 + 107.7**2) * (f**2 + 737.9**2)) * (f**2 + 12194**2)
    )
    return 20 * math.log10(ratio) + 2.0


def _c(f: float) -> float:
    return 20 * math.log10((12194**2 * f**2) / ((f**2 + 20.6**2) * (f**2 + 12194**2))) + 0.06


WEIGHTINGS = {
    "A": tuple(_a(f) for f in _CENTRES),
    "C": tuple(_c(f) for f in _CENTRES),
    "Z": (0.0,) * len(_CENTRES),
}


def names_of(bands: str) -> tuple[str, ...]:
    """Band names of `Octave` or `Third`."""
    return OCTAVES if bands == "Octave" else THIRDS


@lru_cache(maxsize=1024)
def _thirds(instrument: Instrument, begin: int) -> tuple[float, ...] | None:
    """Unweighted third-octave levels in dB of the measurement that begins here."""
    row = levels.row_at(instrument, begin)
    if row is None:
        return None
    chance = random.Random(mixed(instrument.salt, begin, 611)).random
    hum = _FIRST_OF_OCTAVES + 3 + mixed(instrument.salt, 612) % 4
    shape = []
    for place, centre in enumerate(_CENTRES):
        octaves = math.log2(centre / 500)
        level = -2.6 * octaves - 0.5 * octaves * octaves + 2.5 * signed(instrument.salt, place, 613)
        shape.append(level + 3 * (chance() - 0.5) + (5 if place == hum else 0))
    weighted = sum(
        10 ** ((level + weight) / 10) for level, weight in zip(shape, WEIGHTINGS["A"], strict=True)
    )
    lift = row[0] / 100 - 10 * math.log10(weighted)
    return tuple(level + lift for level in shape)


def spectrum(instrument: Instrument, begin: int, bands: str, weighting: str) -> list[float] | None:
    """Levels in dB of each band of the measurement that begins here; None when there was none."""
    thirds = _thirds(instrument, begin)
    if thirds is None:
        return None
    weighted = [level + weight for level, weight in zip(thirds, WEIGHTINGS[weighting], strict=True)]
    if bands == "Third":
        return weighted
    out = []
    for first in range(_FIRST_OF_OCTAVES, len(THIRDS), 3):
        out.append(10 * math.log10(sum(10 ** (level / 10) for level in weighted[first : first + 3])))
    return out
