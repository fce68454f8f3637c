"""Operations on events and on audio: lists, time histories and downloads (sections 3.5, 3.6 and 6)."""

import math
from collections.abc import Iterator
from typing import Any

from simulator import levels
from simulator.asked import Answer, Asked
from simulator.chance import mixed, signed
from simulator.events import Event, event_at, events
from simulator.fleet import Instrument
from simulator.sound import FORMATS, sound
from simulator.spectrum import spectrum
from simulator.timehistory import series
from simulator.tokens import EVENT_AUDIO, EVENT_HISTORY, RECORDING, token, token_read
from simulator.wire import instant, not_found

_BEFORE, _AFTER = 1, 5  # seconds that a recording begins before its trigger and ends after it
_AROUND = 5  # seconds of time history on either side of an event


def event_list(asked: Asked) -> Iterator[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(31)
    seed = asked.world.seed
    return (_event(i, event, seed) for i in instruments for event in _arrived(asked, i, start, end))


def audio_list(asked: Asked) -> Iterator[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range()
    seed = asked.world.seed
    return (
        _recording(i, event, seed)
        for i in instruments
        for event in _arrived(asked, i, start + _BEFORE, end + _BEFORE)
        if event.audio
    )


def recording_audio(asked: Asked) -> Answer:
    return _audio(asked, RECORDING, asked.path["recordingId"])


def event_audio(asked: Asked) -> Answer:
    return _audio(asked, EVENT_AUDIO, asked.path["id"])


def event_time_history(asked: Asked) -> list[dict[str, Any]]:
    instrument, event = _find(asked, EVENT_HISTORY, asked.path["id"])
    start, end = event.start - _AROUND, min(event.end + _AROUND, asked.world.known_until(instrument))
    return [series(instrument, start, end, 1000, name) for name in ("LAeq", "LAFMax")]


def _arrived(asked: Asked, instrument: Instrument, start: float, end: float) -> list[Event]:
    known = asked.world.known_until(instrument)
    # Nothing is stored from before two years and a bit: an endless range costs no more than that.
    start = max(start, instrument.installed)
    return [event for event in events(instrument, start, min(end, known)) if event.end + _AFTER <= known]


def _event(instrument: Instrument, event: Event, seed: int) -> dict[str, Any]:
    begin = event.start // instrument.period * instrument.period
    row = levels.row_at(instrument, begin)
    detailed = mixed(instrument.salt, event.start, 701) % 2 == 0
    lift = event.level - (row[0] / 100 if row else event.level)
    octave = spectrum(instrument, begin, "Octave", "Z") if detailed else None
    third = spectrum(instrument, begin, "Third", "Z") if detailed else None
    return {
        "type": "Noise",
        "name": event.name,
        "level": round(event.level),
        "startTime": instant(event.start),
        "endTime": instant(event.end),
        "audioTime": instant(event.start - _BEFORE) if event.audio else None,
        "instrument": instrument.serial,
        "overall": _overall(instrument, event),
        "octave": [round(level + lift, 2) for level in octave] if octave else None,
        "thirdOctave": [round(level + lift, 2) for level in third] if third else None,
        "timeHistoryId": token(seed, EVENT_HISTORY, instrument.index, event.start),
        "audioId": token(seed, EVENT_AUDIO, instrument.index, event.start) if event.audio else None,
    }


def _overall(instrument: Instrument, event: Event) -> list[float]:
    """Six numbers without names, as the vendor gives them."""
    exposure = event.level + 10 * math.log10(event.end - event.start)
    salt = instrument.salt
    numbers = [
        event.level,
        event.maximum + 12 + 2 * signed(salt, event.start, 702),
        event.level - 3,
        event.maximum - 2,
        exposure,
        event.level - 9 + signed(salt, event.start, 703),
    ]
    return [round(number, 2) for number in numbers]


def _recording(instrument: Instrument, event: Event, seed: int) -> dict[str, Any]:
    return {
        "id": token(seed, RECORDING, instrument.index, event.start),
        "instrument": instrument.serial,
        # The vendor's own example leaves the zone out of these two and not of the others.
        "startTime": instant(event.start - _BEFORE).removesuffix("Z"),
        "endTime": instant(event.end + _AFTER).removesuffix("Z"),
        "triggerName": "Default" if event.name == "LAeq" else event.name,
        "triggerStartTime": instant(event.start),
        "triggerEndTime": instant(event.end),
    }


def _find(asked: Asked, kind: str, text: str) -> tuple[Instrument, Event]:
    """What an id stands for, if this key reaches its instrument."""
    missing = not_found("recording" if kind != EVENT_HISTORY else "time history")
    place = token_read(asked.world.seed, kind, text)
    if place is None or place[0] >= len(asked.world.fleet):
        raise missing
    instrument = asked.world.fleet[place[0]]
    event = event_at(instrument, place[1])
    if event is None or not asked.key.reaches(instrument.serial):
        raise missing
    return instrument, event


def _audio(asked: Asked, kind: str, text: str) -> Answer:
    form = asked.choice("format", FORMATS, "FLAC")
    instrument, event = _find(asked, kind, text)
    if not event.audio:
        raise not_found("recording")
    return Answer(content=sound(instrument, event, _BEFORE, _AFTER, form))
