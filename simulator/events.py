"""Noise events of an instrument, as a function of time: what rises above the rest, and the audio of some."""

import random
from dataclasses import dataclass
from functools import lru_cache

from simulator.chance import mixed
from simulator.fleet import Instrument
from simulator.presence import measured
from simulator.sites import activity
from simulator.wire import DAY

_TRIGGERS = ("LAeq", "85dB 1s", "Night")


@dataclass(frozen=True, slots=True)
class Event:
    """One event; times in seconds since 1970, levels in dB."""

    start: int
    end: int
    name: str
    level: float
    maximum: float
    audio: bool


@lru_cache(maxsize=2048)
def events_of_day(instrument: Instrument, day: int) -> tuple[Event, ...]:
    """Events that begin on this day, oldest first, never two at once."""
    if not instrument.is_noise:
        return ()
    rng = random.Random(mixed(instrument.salt, day, 301))
    starts = sorted(int(day * DAY + rng.random() * DAY) for _ in range(4 + int(rng.random() * 14)))
    found: list[Event] = []
    free_from = 0
    for start in starts:
        quiet, length, loud = rng.random(), 4 + int(rng.expovariate(1 / 18)), rng.random()
        pick, with_audio = rng.random(), rng.random()
        background = activity(instrument, start)
        # Busy hours bring more events than the small hours.
        if quiet > (background - 34) / 38 or start < free_from:
            continue
        end = start + min(length, 180)
        free_from = end + 60
        if not measured(instrument, start, end):
            continue
        level = round(min(background + 9 + 13 * loud, 104.0), 2)
        name = "Night" if (start % DAY) < 6 * 3600 else _TRIGGERS[1] if level > 82 else _TRIGGERS[0]
        found.append(
            Event(
                start,
                end,
                name,
                level,
                round(level + 3 + 6 * pick, 2),
                instrument.has_audio and with_audio < 0.8,
            )
        )
    return tuple(found)


def events(instrument: Instrument, start: float, end: float) -> list[Event]:
    """Events that begin in [start, end), oldest first."""
    days = range(int(start // DAY), int(end // DAY) + 1)
    return [event for day in days for event in events_of_day(instrument, day) if start <= event.start < end]


def event_at(instrument: Instrument, start: int) -> Event | None:
    """The event that begins at this second."""
    return next((event for event in events_of_day(instrument, start // DAY) if event.start == start), None)


def sounding(instrument: Instrument, start: float, end: float) -> list[Event]:
    """Events of which a part lies in [start, end)."""
    days = {int((start - 200) // DAY), int(start // DAY), int(end // DAY)}
    return [
        e for day in sorted(days) for e in events_of_day(instrument, day) if e.start < end and e.end > start
    ]
