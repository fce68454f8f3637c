"""Events as MyCirrus tells of them, read through the real client from the simulated MyCirrus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import ApiKey, Instrument, Organisation
from instruments.mycirrus import Client
from instruments.tenancy import organisation_scope
from monitoring.models import AudioRecording, Event
from monitoring.sync.histories import HISTORIES
from tests.conftest import People, make_instrument
from tests.simulated import SimulatedMyCirrus

# Days that the simulator has behind it, whenever a test runs.
FIRST, LAST = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_cache(settings: Any, tmp_path: Any) -> None:
    settings.DATA_DIR = tmp_path
    # The simulator makes its sounds in Python, which takes a busy machine seconds.
    settings.MYCIRRUS_READ_TIMEOUT = 60


@dataclass
class Heard:
    """An instrument whose events were read, the first of them with sound, and its key."""

    api_key: ApiKey
    instrument: Instrument
    event: Event
    recording: AudioRecording


def read(mycirrus: SimulatedMyCirrus, instrument: Instrument) -> None:
    """Store the events and recordings of the two days, as the sync does."""
    now = datetime.now(UTC)
    with Client(mycirrus.key, mycirrus.base_url) as client:
        for resource in ("events", "audio"):
            history = HISTORIES[resource]
            rows = history.fetch(client, [instrument.serial], FIRST, LAST)
            assert rows
            history.store(instrument, rows, now)


@pytest.fixture
def heard(mycirrus: SimulatedMyCirrus, people: People, new_key: Callable[..., ApiKey]) -> Iterator[Heard]:
    """Harbour's first noise monitor that records, within the scope of its organisation."""
    rows = mycirrus.get("/control/instruments")
    serial = next(
        row["serialNumber"]
        for row in rows
        if row["type"] == "Noise"
        and "Audio"
        in mycirrus.get(f"/control/instruments/{row['serialNumber']}")["subscription"].get("addons", [])
    )
    api_key = new_key(serial)
    with organisation_scope(people.organisation.pk):
        instrument = make_instrument(people.organisation, serial, api_key=api_key)
        read(mycirrus, instrument)
        event = Event.objects.exclude(audio_id="").select_related("instrument__api_key").newest_first()[0]
        recording = AudioRecording.objects.select_related("instrument__api_key").newest_first()[0]
        mycirrus.forget_requests()
        yield Heard(api_key, instrument, event, recording)


def make_event(instrument: Instrument, at: datetime, **fields: Any) -> Event:
    """An event of ten seconds."""
    values = {
        "end_at": at + timedelta(seconds=10),
        "name": "LAeq",
        "type": "Noise",
        "level_db": 80.0,
        **fields,
    }
    with organisation_scope(instrument.organisation_id):
        return Event.objects.create(
            organisation_id=instrument.organisation_id, instrument=instrument, start_at=at, **values
        )


def make_events(organisation: Organisation, count: int, *, now: datetime) -> list[Event]:
    """``count`` events of two instruments, one a minute back from ``now``."""
    both = [make_instrument(organisation, f"EV{number:06}") for number in range(2)]
    return [
        make_event(both[number % 2], now - timedelta(minutes=number), name=f"E{number}")
        for number in range(count)
    ]
