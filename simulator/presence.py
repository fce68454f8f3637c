"""When an instrument is on, measuring and heard of, as a function of time alone; forced states are not known here."""

from functools import lru_cache

from simulator.chance import mixed, unit
from simulator.fleet import FLAPPING, OFFLINE, Instrument
from simulator.wire import DAY

_FLAP_CYCLE = 480
_OFFLINE_BEFORE_EPOCH = 5 * 3600 + 1260


@lru_cache(maxsize=4096)
def power_cuts(instrument: Instrument, day: int) -> tuple[tuple[int, int], ...]:
    """Spells without power that begin on this day (days since 1970): nothing is measured, nothing is kept."""
    salt = instrument.salt
    if unit(salt, day, 101) >= 0.03 or (instrument.steady and day * DAY >= instrument.epoch - DAY):
        return ()
    start = day * DAY + mixed(salt, day, 102) % DAY
    return ((start, start + 600 + mixed(salt, day, 103) % 12_600),)


def power_cuts_between(instrument: Instrument, start: float, end: float) -> list[tuple[int, int]]:
    """Power cuts that touch the range; none lasts longer than a day."""
    days = range(int(start // DAY) - 1, int(end // DAY) + 1)
    return [cut for day in days for cut in power_cuts(instrument, day) if cut[1] > start and cut[0] < end]


def measured(instrument: Instrument, start: float, end: float) -> bool:
    """Whether the instrument was there and powered for the whole range."""
    return start >= instrument.installed and not power_cuts_between(instrument, start, end)


def silent_since(instrument: Instrument, at: float) -> float | None:
    """Since when nothing is heard of the instrument, or None when it is online."""
    if instrument.character == OFFLINE and at >= (gone := instrument.epoch - _OFFLINE_BEFORE_EPOCH):
        return gone
    for start, end in power_cuts_between(instrument, at, at + 0.001):
        if start <= at < end:
            return start
    if instrument.character == FLAPPING:
        cycle = int((at + instrument.salt % _FLAP_CYCLE) // _FLAP_CYCLE)
        begin = cycle * _FLAP_CYCLE - instrument.salt % _FLAP_CYCLE
        down = begin + 200 + mixed(instrument.salt, cycle, 104) % 120
        up = down + 60 + mixed(instrument.salt, cycle, 105) % 90
        if down <= at < up:
            return down
    return None
