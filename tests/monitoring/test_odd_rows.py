"""Rows that are odd or late: they are stored as far as they go, and hold up nothing that comes after them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import Instrument
from monitoring.models import (
    AudioRecording,
    CalibrationLogEntry,
    InstrumentStatus,
    Lane,
    NoiseMeasurement,
    Outcome,
    ParticulateSample,
    Resource,
    SyncTarget,
)
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from monitoring.sync.targets import targets_ensure
from tests.instruments.mycirrus.served import Served

NOW = datetime.now(UTC).replace(microsecond=0)
Turn = Callable[..., SyncTarget]


@pytest.fixture
def turn(served: Served, unit: Instrument) -> Turn:
    """One live turn of ``resource`` that is answered with ``rows``; the target after it."""

    def take(resource: Resource, *rows: dict[str, Any], **present: Any) -> SyncTarget:
        served.asked.clear()
        served.say([{"instrument": unit.serial, **row} for row in rows])
        now = datetime.now(UTC)
        mine = SyncTarget.objects.filter(resource=resource, lane=Lane.LIVE)
        SyncTarget.objects.update(due_at=now + timedelta(days=1))
        mine.update(due_at=now, **present)
        (claim,) = due_claim(now=now)
        target_run(claim=claim)
        return mine.get()

    return take


def ago(minutes: float) -> str:
    return f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def test_a_recording_that_says_only_when_it_was_triggered_holds_up_no_other(turn: Turn) -> None:
    after = turn(
        Resource.AUDIO,
        {"id": "first", "startTime": ago(9), "endTime": ago(8)},
        {"id": "second", "triggerStartTime": ago(7), "endTime": ago(6)},
        {"id": "third", "triggerStartTime": ago(5)},
    )
    assert (after.outcome, after.message) == (Outcome.OK, "")
    stored = AudioRecording.objects.order_by("start_at").values_list("remote_id", "start_at")
    assert list(stored) == [
        ("first", NOW - timedelta(minutes=9)),
        ("second", NOW - timedelta(minutes=7)),
        ("third", NOW - timedelta(minutes=5)),
    ]


def test_a_level_of_the_end_of_time_holds_up_none_after_it(turn: Turn) -> None:
    """.NET's greatest instant: whatever is added to it is none."""
    rows = [{"startTime": ago(minutes), "duration": 60, "LAeq": 50.0} for minutes in (4, 3)]
    after = turn(Resource.NOISE, *rows, {"startTime": "9999-12-31T23:59:59Z", "duration": 60, "LAeq": 51.0})
    assert (after.outcome, after.message) == (Outcome.OK, "")
    assert NoiseMeasurement.objects.count() == 2


@pytest.mark.parametrize("length", [60_000, 1e5, 1e20, 1e300, -60, 0])
def test_a_row_of_levels_that_says_a_wrong_length_holds_up_none_after_it(
    turn: Turn, served: Served, length: float
) -> None:
    """60 000: milliseconds where seconds were meant."""
    rows = [{"startTime": ago(minutes), "duration": 60, "LAeq": 50.0} for minutes in (4, 3)]
    after = turn(Resource.NOISE, *rows, {"startTime": ago(2), "duration": length, "LAeq": 51.0})
    assert (after.outcome, after.message) == (Outcome.OK, "")
    assert NoiseMeasurement.objects.count() == 3
    assert after.watermark_at is not None
    assert NOW - timedelta(minutes=3) <= after.watermark_at <= datetime.now(UTC)
    # What comes next is asked for, and stored.
    turn(Resource.NOISE, {"startTime": ago(1), "duration": 60, "LAeq": 52.0})
    assert len(served.asked) == 1
    assert NoiseMeasurement.objects.count() == 4


@pytest.mark.parametrize("length", [1e5, 1e20, -60])
def test_so_it_is_with_whatever_else_is_measured(turn: Turn, unit: Instrument, length: float) -> None:
    Instrument.objects.update(type=Instrument.Kind.AIR_QUALITY)
    unit.refresh_from_db()
    targets_ensure(instruments=[unit], now=NOW)
    after = turn(
        Resource.PARTICULATES,
        {"startTime": ago(3), "duration": 60, "pM10": 8.0},
        {"startTime": ago(2), "duration": length, "pM10": 9.0},
    )
    assert (after.outcome, after.message) == (Outcome.OK, "")
    assert after.watermark_at == NOW - timedelta(minutes=1)
    assert ParticulateSample.objects.count() == 2
    present = InstrumentStatus.objects.get(instrument=unit)
    assert present.latest["PM10"] == 9.0


def test_an_end_far_ahead_is_believed_no_more_than_a_length(turn: Turn) -> None:
    after = turn(
        Resource.NOISE,
        {"startTime": ago(3), "endTime": ago(2), "LAeq": 50.0},
        {"startTime": ago(2), "endTime": "9999-12-31T23:59:59Z", "LAeq": 50.0},
    )
    assert (after.outcome, after.message) == (Outcome.OK, "")
    assert after.watermark_at == NOW - timedelta(minutes=1)


def test_a_note_that_comes_weeks_late_is_stored_and_written_once(turn: Turn) -> None:
    new = {"time": ago(5), "user": "Ann", "message": "Back again"}
    late = {"time": ago(20 * 24 * 60), "user": "Bob", "message": "Installed and working"}
    assert turn(Resource.CALIBRATION_LOG, new).outcome == Outcome.OK
    assert turn(Resource.CALIBRATION_LOG, late, new).outcome == Outcome.OK
    assert turn(Resource.CALIBRATION_LOG, late, new).outcome == Outcome.UNCHANGED
    assert list(CalibrationLogEntry.objects.order_by("at").values_list("user", flat=True)) == ["Bob", "Ann"]
