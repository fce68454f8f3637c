"""An answer whose rows lie far apart, as of a clock that is set wrong, concerns these and nothing between them."""

import dataclasses
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import Instrument, Organisation
from instruments.mycirrus import Event as EventRow
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.tenancy import organisation_scope
from monitoring.models import Event, ImpossibleRow, NoiseMeasurement, Resource
from monitoring.sync.histories import HISTORIES
from monitoring.sync.ingest import noise_store
from monitoring.sync.upsert import SPARE, series_write
from tests.conftest import make_instrument

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# Of every minute, up to noon.
STORED = 6_000

pytestmark = pytest.mark.django_db


@pytest.fixture
def instrument(organisation: Organisation) -> Iterator[Instrument]:
    with organisation_scope(organisation.pk):
        yield make_instrument(organisation)


def written(instrument: Instrument, starts: list[datetime], *levels: float) -> list[datetime]:
    return list(
        series_write(
            NoiseMeasurement,
            {
                "organisation_id": [instrument.organisation_id] * len(starts),
                "instrument_id": [instrument.pk] * len(starts),
                "start_at": starts,
                "LAeq": levels or [50.0] * len(starts),
                "extra": [{"Lden": "54.1"}] * len(starts),
            },
        )
    )


@pytest.fixture
def history(instrument: Instrument) -> list[datetime]:
    return written(instrument, [NOON - number * MINUTE for number in range(STORED)])


def peak_mb(store: Callable[[], Any]) -> float:
    tracemalloc.start()
    try:
        store()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "starts",
    [
        [datetime(2000, 1, 1, tzinfo=UTC), NOON + MINUTE],
        # No two of them are a day apart.
        [NOON - number * timedelta(hours=23) for number in range(STORED // 60 // 23)],
    ],
)
def test_what_lies_between_is_not_held(
    instrument: Instrument, history: list[datetime], starts: list[datetime]
) -> None:
    alone = make_instrument(instrument.organisation, "QT000002")
    written(alone, [DAY + start for start in starts])
    usual = peak_mb(lambda: written(alone, starts))
    assert peak_mb(lambda: written(instrument, starts)) < usual + 0.5


def test_they_are_compared_with_what_is_stored_all_the_same(
    instrument: Instrument, history: list[datetime]
) -> None:
    first, same, corrected, new = datetime(2000, 1, 1, tzinfo=UTC), history[-1], NOON, NOON + MINUTE
    levels = (50.0, 50.0, 61.0, 50.0)
    answer = [first, same, corrected, new]
    assert written(instrument, answer, *levels) == [first, corrected, new]
    assert written(instrument, answer, *levels) == []
    stored = NoiseMeasurement.objects.filter(instrument=instrument)
    assert stored.count() == STORED + 2
    assert stored.get(start_at=corrected).LAeq == 61.0


def test_more_of_them_than_are_named_at_once(instrument: Instrument, history: list[datetime]) -> None:
    apart = STORED // (2 * SPARE)
    answer = history[:: apart // 2]
    assert len(answer) > SPARE
    assert written(instrument, answer) == []
    assert len(written(instrument, answer, *[61.0] * len(answer))) == len(answer)


def event(at: datetime) -> EventRow:
    ids, document = ("", ""), {"name": "Speech", "notes": "x" * 500}
    return EventRow("QT000001", at, at + MINUTE, "Speech", "", 60.0, None, None, None, None, *ids, document)


def test_events_between_are_not_held(instrument: Instrument) -> None:
    store = HISTORIES[Resource.EVENTS].store
    store(instrument, [event(NOON - number * MINUTE) for number in range(2000)], NOON)
    answer = [event(datetime(2000, 1, 1, tzinfo=UTC)), event(NOON)]
    store(instrument, answer, NOON)
    assert peak_mb(lambda: store(instrument, answer, NOON)) < 0.5
    assert Event.objects.count() == 2001


def test_an_event_that_is_told_with_less_keeps_what_was_told_before(instrument: Instrument) -> None:
    store = HISTORIES[Resource.EVENTS].store
    full = dataclasses.replace(
        event(NOON), audio_id="a1", time_history_id="t1", document={"name": "Speech", "octave": [1, 2]}
    )
    bare = dataclasses.replace(event(NOON), end_at=None, level_db=None, document={"name": "Speech"})
    assert store(instrument, [full], NOON)
    assert not store(instrument, [bare], NOON)
    held = Event.objects.get()
    assert (held.end_at, held.level_db, held.audio_id, held.time_history_id) == (
        NOON + MINUTE,
        60.0,
        "a1",
        "t1",
    )
    assert held.document == {"name": "Speech", "octave": [1, 2]}
    # What is said otherwise is corrected.
    assert store(instrument, [dataclasses.replace(bare, level_db=61.5, document={"octave": [3]})], NOON)
    held.refresh_from_db()
    assert (held.level_db, held.audio_id) == (61.5, "a1")
    assert held.document == {"name": "Speech", "octave": [3]}


def test_what_cannot_be_true_stays_flagged_between_them(instrument: Instrument) -> None:
    def comes(level: float, *starts: datetime) -> None:
        rows = [
            NoiseRow("QT000001", at, at + MINUTE, 60.0, {"LAeq": level}, {}, {"LAeq": level}) for at in starts
        ]
        noise_store(instrument=instrument, rows=rows, now=NOON)

    comes(-99.0, NOON - MINUTE, NOON)
    comes(50.0, NOON - DAY, NOON)
    assert ImpossibleRow.objects.get().start_at == NOON - MINUTE


# 990 cells of five columns are 198 rows of one statement.
@pytest.mark.parametrize("count", [1, 2, 197, 198, 199, 396, 397])
def test_however_many_are_new_at_once_each_is_stored_as_itself(instrument: Instrument, count: int) -> None:
    starts = [NOON - number * MINUTE for number in range(count)]
    levels = [30 + number / 10 for number in range(count)]
    assert written(instrument, starts, *levels) == starts
    stored = NoiseMeasurement.objects.order_by("-start_at").values_list("start_at", "LAeq", "extra")
    assert list(stored) == [(at, level, {"Lden": "54.1"}) for at, level in zip(starts, levels, strict=True)]
