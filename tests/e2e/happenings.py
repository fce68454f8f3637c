"""Events to look at and listen to: rows, and what somebody has fetched of them before; it asks nobody."""

import io
import math
import struct
import uuid
import wave
from datetime import datetime, timedelta
from typing import Any

import orjson

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.media.fetch import cache
from monitoring.models import (
    AudioRecording,
    Event,
    EventTag,
    HistoryState,
    TimeHistoryHour,
    TimeHistoryRequest,
)
from monitoring.timehistory.grid import hours_of
from monitoring.timehistory.packing import packed


def sound(seconds: int = 8) -> bytes:
    """A tone that swells and dies away, as a WAV file."""
    file, rate = io.BytesIO(), 8000
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        samples = (
            int(24_000 * math.sin(math.pi * place / (seconds * rate)) ** 2 * math.sin(place / 3))
            for place in range(seconds * rate)
        )
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()


def heard(instrument: Instrument, kind: str, remote_id: str) -> None:
    """As if somebody had listened to it before: nothing need be fetched."""
    kept = cache()
    kept.write(
        kept.place(instrument.organisation_id, instrument.serial, kind, remote_id, "FLAC"),
        [sound()],
        most=10**7,
    )


def told(instrument: Instrument, event: Event) -> None:
    """As if somebody had looked at its trace before."""
    begin = round(event.start_at.timestamp() * 1000) - 5000
    values = [round(55 + 26 * math.sin(math.pi * place / 28) ** 2, 1) for place in range(28)]
    blocks = [{"start": begin, "step": 1000, "values": values}]
    louder = [{"start": begin, "step": 1000, "values": [value + 4 for value in values]}]
    series = [{"name": "LAeq", "blocks": blocks}, {"name": "LAFMax", "blocks": louder}]
    kept = cache()
    place = kept.place(instrument.organisation_id, instrument.serial, "history", event.time_history_id)
    kept.write(place, [orjson.dumps(series)], most=10**7)


def happenings(owner: Organisation, units: tuple[Instrument, Instrument], *, now: datetime) -> list[Event]:
    """Some days of events of two monitors, the newest with sound, trace and bands; tags on a few; a recording."""
    made = []
    with organisation_scope(owner.pk):
        for number in range(60):
            level = 66 + (number * 37 % 23)
            start = now.replace(microsecond=0) - timedelta(hours=3 * number, minutes=number * 7 % 50 + 2)
            made.append(
                Event.objects.create(
                    organisation=owner,
                    instrument=units[number % 3 // 2],
                    start_at=start,
                    end_at=start + timedelta(seconds=8 + number % 40),
                    name="85dB 1s" if level > 80 else "LAeq",
                    type="Noise",
                    level_db=level,
                    audio_at=start,
                    audio_id=f"audio-{number}" if number % 4 == 0 else "",
                    time_history_id=f"history-{number}" if number % 2 == 0 else "",
                    document={
                        "overall": [57.67, 82.53, 55.4, 60.5, 70.1, 49.93],
                        "octave": [61.2, 63.0, 58.1, 55.9, 60.4, 66.3, 64.0, 57.2, 48.8, 39.1],
                    },
                )
            )
            if made[-1].audio_id:
                heard(made[-1].instrument, "event", made[-1].audio_id)
            if made[-1].time_history_id:
                told(made[-1].instrument, made[-1])
        for number, fields in (
            (1, {"cause": "Road traffic"}),
            (2, {"excluded": True, "cause": "Alarm or siren"}),
        ):
            EventTag.objects.create(
                organisation=owner, event=made[number], changed_at=now, excluded_at=now,
                excluded_by_name="Mary", comment="A lorry reversing." if number == 1 else "", **fields,
            )  # fmt: skip
        AudioRecording.objects.create(
            organisation=owner, instrument=units[0], start_at=now, end_at=now + timedelta(seconds=8),
            remote_id="recording-1", trigger_name="Default",
        )  # fmt: skip
        heard(units[0], "recording", "recording-1")
    return made


def history(
    instrument: Instrument, *, now: datetime, state: str = HistoryState.DONE, step_ms: int = 1000
) -> TimeHistoryRequest:
    """900 levels, a quarter of an hour of them in seconds, and a gap in their middle."""
    start = now.replace(microsecond=0) - timedelta(minutes=20)
    end = start + 900 * timedelta(milliseconds=step_ms)

    class Run:
        start_at, sample_s = start, step_ms / 1000

    values: list[Any] = [55 + 5 * math.sin(place / 40) + place % 7 for place in range(900)]
    values[400:500] = [None] * 100
    hours = hours_of(
        [("LAeq", Run, values), ("LAFMax", Run, [value and value + 5 for value in values])],
        start=start,
        end=end,
        step_ms=step_ms,
    )
    with organisation_scope(instrument.organisation_id):
        made = TimeHistoryRequest.objects.create(
            organisation_id=instrument.organisation_id, instrument=instrument, kind="noise", start_at=start,
            end_at=end, step_ms=step_ms, token=uuid.uuid4(), requested_at=now, fetched_until=end, due_at=now,
            state=state, samples=sum(hour.count for hour in hours), finished_at=now,
            expires_at=now + timedelta(days=30),
        )  # fmt: skip
        for hour in hours:
            TimeHistoryHour.objects.create(
                organisation_id=instrument.organisation_id, request=made, start_at=hour.start_at,
                names=hour.names, data=packed(hour.columns),
            )  # fmt: skip
    return made
