"""Rows that are odd or late: they are stored as far as they go, and hold up nothing that comes after them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from instruments.models import Instrument
from monitoring.models import (
    AudioRecording,
    CalibrationLogEntry,
    Event,
    Gap,
    InstrumentStatus,
    Lane,
    NoiseMeasurement,
    NoiseRollup,
    Outcome,
    ParticulateSample,
    Resource,
    SyncTarget,
    SystemIntegrityCheck,
    UnreadRow,
)
from monitoring.storage.tasks import organisation_housekeeping
from monitoring.sync import unread
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from monitoring.sync.targets import key_targets_refresh, targets_ensure
from tests.conftest import People
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


def test_rows_of_a_form_that_is_not_known_move_no_watermark_and_are_no_gap(turn: Turn) -> None:
    before = SyncTarget.objects.get(resource=Resource.NOISE, lane=Lane.LIVE).watermark_at
    after = turn(Resource.NOISE, {"began": ago(3), "LAeq": 50.0}, {"began": ago(2), "LAeq": 50.0})
    assert after.outcome == Outcome.BUG
    assert "2 of the rows" in after.message
    assert (after.watermark_at, after.silent_until_at) == (before, None)
    assert not Gap.objects.exists()


def test_what_is_not_understood_among_others_is_kept_once_as_it_came(
    turn: Turn, unit: Instrument, people: People
) -> None:
    odd = {"began": ago(4), "LAeq": 51.5, "remark": "<b>?</b>"}
    other = {"instrument": "QT999999", "startTime": ago(4), "duration": 60, "LAeq": 99.0}
    for _ in range(2):
        after = turn(Resource.NOISE, {"startTime": ago(3), "duration": 60, "LAeq": 50.0}, odd, other)
        assert after.outcome in (Outcome.OK, Outcome.UNCHANGED)
    assert list(NoiseMeasurement.objects.values_list("LAeq", flat=True)) == [50.0]
    kept = UnreadRow.objects.filter(instrument=unit, resource=Resource.NOISE)
    assert [json.loads(row.document) for row in kept.order_by("-sha256")] in (
        [{"instrument": unit.serial, **odd}, other],
        [other, {"instrument": unit.serial, **odd}],
    )
    client = people.client(people.mary)
    assert "2 rows not understood" in client.get("/o/harbour/record/").content.decode()
    told = client.get("/o/harbour/record/missing/?resource=noise").content.decode()
    assert "QT999999" in told
    assert "&lt;b&gt;" in told
    stranger = people.client(people.charlie).get(f"/o/{people.other.slug}/record/missing/?resource=noise")
    assert (stranger.status_code, "QT999999" in stranger.content.decode()) == (200, False)


def test_no_more_of_what_is_not_understood_is_kept_than_tells_its_form(
    turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "MOST", 3)
    good = {"startTime": ago(3), "duration": 60, "LAeq": 50.0}
    odd = [{"began": ago(each)} for each in range(5)]
    turn(Resource.NOISE, good, *odd[3:])
    # What is known takes nobody's place.
    turn(Resource.NOISE, good, *odd[2:])
    assert UnreadRow.objects.count() == 3
    turn(Resource.NOISE, good, *({"began": ago(each)} for each in range(20, 22)))
    assert UnreadRow.objects.count() == 3


def test_a_recording_without_any_time_is_kept_beside_the_others(turn: Turn) -> None:
    turn(Resource.AUDIO, {"id": "placed", "startTime": ago(9)}, {"id": "timeless", "duration": 8})
    assert list(AudioRecording.objects.values_list("remote_id", flat=True)) == ["placed"]
    assert json.loads(UnreadRow.objects.get().document)["id"] == "timeless"


@pytest.fixture
def listed(served: Served, unit: Instrument) -> Callable[..., dict[str, bool]]:
    """One list of instruments that is answered with ``rows``; each serial kept, and whether it is gone."""
    assert unit.api_key is not None
    key_targets_refresh(api_key=unit.api_key, now=NOW)

    def take(*rows: dict[str, Any]) -> dict[str, bool]:
        served.say(list(rows))
        now = datetime.now(UTC)
        SyncTarget.objects.update(due_at=now + timedelta(days=1))
        SyncTarget.objects.filter(resource=Resource.INSTRUMENTS).update(due_at=now)
        (claim,) = due_claim(now=now)
        assert target_run(claim=claim) is not None
        return {each.serial: each.gone_at is not None for each in Instrument.objects.all()}

    return take


def test_a_list_of_which_a_part_is_not_understood_brings_what_it_names_and_takes_nothing(
    listed: Callable[..., dict[str, bool]], unit: Instrument
) -> None:
    assert listed({"serialNumber": "NEW1"}, {"name": "nameless"}) == {unit.serial: False, "NEW1": False}
    assert listed({"serialNumber": "NEW1"}) == {unit.serial: True, "NEW1": False}


def test_one_that_a_list_does_not_name_is_kept_and_shown(
    listed: Callable[..., dict[str, bool]], unit: Instrument, people: People
) -> None:
    for _ in range(2):
        listed({"serialNumber": unit.serial}, {"name": "nameless"})
    kept = UnreadRow.objects.get()
    assert (kept.instrument, kept.resource, json.loads(kept.document)) == (
        None,
        Resource.INSTRUMENTS,
        {"name": "nameless"},
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        UnreadRow.objects.create(
            organisation_id=kept.organisation_id,
            resource=kept.resource,
            sha256=kept.sha256,
            document="{}",
            found_at=NOW,
        )
    bob = people.client(people.bob)
    assert f"/missing/?resource={Resource.INSTRUMENTS}" in bob.get("/o/harbour/record/").content.decode()
    page = bob.get(f"/o/harbour/record/missing/?resource={Resource.INSTRUMENTS}").content.decode()
    assert "None is named" in page
    assert "nameless" in page
    assert bob.get("/o/harbour/").status_code == 200
    # A version that understands it has it with the next list; as odd as ever it stays.
    UnreadRow.objects.create(
        organisation_id=kept.organisation_id,
        resource=kept.resource,
        sha256="0" * 64,
        document=json.dumps({"serialNumber": "NEW1"}),
        found_at=NOW,
    )
    organisation_housekeeping(unit.organisation_id)
    assert UnreadRow.objects.get() == kept


LONG = "A very long text " * 60


def test_an_instrument_of_words_longer_than_their_columns_does_not_stop_the_mirror_of_the_others(
    listed: Callable[..., dict[str, bool]], unit: Instrument
) -> None:
    """PostgreSQL refuses what SQLite takes."""
    odd = {"serialNumber": "ODD", "name": LONG, "model": LONG, "type": LONG, "image": "https://x/" + LONG}
    odd |= {"subscription": {"status": LONG, "tier": LONG}}
    there = listed(odd, {"serialNumber": unit.serial}, {"serialNumber": "NEW1"})
    assert there == dict.fromkeys(("ODD", unit.serial, "NEW1"), False)
    kept = Instrument.objects.get(serial="ODD")
    assert LONG.startswith(kept.name)
    # Nothing is lost: the document holds it all.
    assert kept.document["name"] == LONG


def test_a_check_of_words_longer_than_their_column_is_kept(turn: Turn) -> None:
    after = turn(Resource.SIC, {"time": ago(3), "status": LONG}, {"time": ago(2), "status": "Success"})
    assert (after.outcome, after.message) == (Outcome.OK, "")
    long, short = SystemIntegrityCheck.objects.order_by("at")
    assert LONG.startswith(long.status)
    assert short.status == "Success"


def test_what_a_later_version_understands_is_stored_then(unit: Instrument) -> None:
    """As an older version left it: a level, one that came again since, an event, and what is odd as ever."""
    half = NOW.replace(second=0) - timedelta(days=40)

    def level(minute: int, value: float) -> dict[str, Any]:
        at = f"{half + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
        return {"instrument": unit.serial, "startTime": at, "duration": 60, "LAeq": value}

    owned: Any = {"organisation_id": unit.organisation_id, "instrument": unit}
    NoiseMeasurement.objects.create(**owned, start_at=half + timedelta(minutes=1), duration_s=60.0, LAeq=70.0)
    Gap.objects.create(
        **owned,
        resource=Resource.NOISE,
        start_at=half - timedelta(hours=1),
        end_at=half + timedelta(minutes=1),
        kind=Gap.Kind.ABSENT,
        found_at=NOW,
    )
    event = {"instrument": unit.serial, "startTime": ago(90), "endTime": ago(89), "name": "Loud"}
    foreign = {**level(0, 99.0), "instrument": "QT999999"}
    for number, (resource, document) in enumerate(
        [
            (Resource.NOISE, level(0, 55.0)),
            (Resource.NOISE, level(1, 56.0)),
            (Resource.NOISE, {"begun": "yesterday"}),
            (Resource.NOISE, foreign),
            (Resource.EVENTS, event),
            (Resource.WEATHER, {"began": "never"}),
        ]
    ):
        UnreadRow.objects.create(
            **owned,
            resource=resource,
            sha256=f"{number:064}",
            document=json.dumps(document),
            found_at=NOW,
        )
    organisation_housekeeping(unit.organisation_id)
    levels = NoiseMeasurement.objects.order_by("start_at").values_list("start_at", "LAeq")
    # What came since then stays.
    assert list(levels) == [(half, 55.0), (half + timedelta(minutes=1), 70.0)]
    assert [(gap.start_at, gap.end_at) for gap in Gap.objects.all()] == [(half - timedelta(hours=1), half)]
    assert Event.objects.get().name == "Loud"
    assert NoiseRollup.objects.filter(start_at__lte=half).exists()
    left = [json.loads(text) for text in UnreadRow.objects.order_by("pk").values_list("document", flat=True)]
    assert left == [{"begun": "yesterday"}, foreign, {"began": "never"}]
    organisation_housekeeping(unit.organisation_id)
    assert UnreadRow.objects.count() == 3


def test_one_that_cannot_be_stored_holds_up_no_other(unit: Instrument) -> None:
    """A name that is half a character: no database takes it."""
    owned: Any = {"organisation_id": unit.organisation_id, "instrument": unit, "found_at": NOW}
    broken = {"instrument": unit.serial, "startTime": ago(90), "name": "\ud800"}
    good = {"instrument": unit.serial, "startTime": ago(80), "duration": 60, "LAeq": 50.0}
    for resource, document in ((Resource.EVENTS, broken), (Resource.NOISE, good)):
        UnreadRow.objects.create(
            **owned, resource=resource, sha256=resource.value.zfill(64), document=json.dumps(document)
        )
    organisation_housekeeping(unit.organisation_id)
    assert NoiseMeasurement.objects.get().LAeq == 50.0
    assert UnreadRow.objects.get().resource == Resource.EVENTS
