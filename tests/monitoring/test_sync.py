"""The sync against a simulated MyCirrus: every row once and as told, and what happens when the fleet changes."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import (
    Calibration,
    InstrumentStatus,
    Lane,
    NoiseMeasurement,
    Outcome,
    Resource,
    StatusChange,
    SyncTarget,
)
from monitoring.sync.histories import HISTORIES
from monitoring.sync.histories import YEAR as LONGEST_CHECKS
from monitoring.sync.ingest import noise_store
from tests.monitoring.conftest import NewKey, again, mirrored, start, turns
from tests.monitoring.truth import (
    Row,
    calibrations_stored,
    calibrations_told,
    everything_stored,
    noise_stored,
    noise_told,
    sics_stored,
    sics_told,
)
from tests.simulated import SimulatedMyCirrus


@pytest.fixture(autouse=True)
def _scope(organisation: Organisation):  # type: ignore[no-untyped-def]
    with organisation_scope(organisation.pk):
        yield


def watermark_of(instrument: Instrument, resource: Resource) -> datetime:
    at = SyncTarget.objects.get(instrument=instrument, resource=resource, lane=Lane.LIVE).watermark_at
    assert at is not None
    return at


def begun_before(asked: datetime, rows: list[Row]) -> list[Row]:
    """Without a check of the second in which it was asked for, which the answer may hold already."""
    return [row for row in rows if row["at"] < asked.replace(microsecond=0)]


def test_every_instrument_with_everything(mycirrus: SimulatedMyCirrus, new_key: NewKey) -> None:
    key = new_key()
    start(key)
    turns(Organisation.objects.get(pk=key.organisation_id))
    stored = {instrument.serial: instrument for instrument in Instrument.objects.all()}
    rows = mycirrus.get("/control/instruments")
    assert set(stored) == {row["serialNumber"] for row in rows}
    assert len(rows) == 12
    for listed in rows:
        # The single read: rows of the list are thinner.
        row = mycirrus.get(f"/control/instruments/{listed['serialNumber']}")
        kept = stored[row["serialNumber"]]
        assert (kept.type, kept.model, kept.name, kept.image) == (
            row["type"],
            row["model"],
            row["name"],
            row["image"],
        )
        assert kept.subscription_status == row["subscription"]["status"]
        assert kept.subscription_tier == row["subscription"]["tier"]
        assert kept.subscription_addons == row["subscription"]["addons"]
        assert kept.features == row["feature"]
        assert (kept.latitude, kept.longitude) == (row["position"]["latitude"], row["position"]["longitude"])
        assert kept.document == row
        assert kept.gone_at is None
        assert kept.api_key_id == key.pk
        resources_of = set(
            SyncTarget.objects.filter(instrument=kept).values_list("resource", flat=True).distinct()
        )
        assert {Resource.STATUS, Resource.CALIBRATION_LOG} <= resources_of
        for of_a_microphone in (Resource.NOISE, Resource.CALIBRATIONS):
            assert (of_a_microphone in resources_of) == (row["type"] == "Noise")
        assert (Resource.SIC in resources_of) == ("SIC" in row["feature"])
    assert {instrument.type for instrument in stored.values()} == {"Noise", "AirQuality", "Vibration"}


def test_rows_equal_what_is_told_and_a_second_run_adds_nothing(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    serials = [mycirrus.serials()[0], mycirrus.character("failing-sic")]
    began = datetime.now(UTC)
    key = new_key(*serials)
    assert [instrument.serial for instrument in mirrored(key)] == sorted(serials)
    for instrument in Instrument.objects.all():
        serial = instrument.serial
        until = watermark_of(instrument, Resource.NOISE)
        noise = noise_stored(instrument)
        assert noise == noise_told(mycirrus, serial, noise[0]["start_at"], until)
        # The whole of the last day, which may begin with a gap.
        first = noise_told(mycirrus, serial, began - timedelta(days=1) + timedelta(minutes=2), until)[0]
        assert noise[0]["start_at"] <= first["start_at"]
        ended = noise[-1]["start_at"] + timedelta(seconds=noise[-1]["duration_s"])
        # One that ended while it was asked for is not over by the time of who asked.
        assert until == ended or began < until < ended
        asked = watermark_of(instrument, Resource.SIC)
        year = asked - LONGEST_CHECKS
        assert begun_before(asked, sics_stored(instrument)) == sics_told(mycirrus, serial, year, asked)
        assert len(sics_stored(instrument)) > 300
        assert begun_before(asked, calibrations_stored(instrument)) == calibrations_told(
            mycirrus, serial, year, asked
        )
        status = mycirrus.get(f"/control/instruments/{serial}/status")
        present = instrument.status
        assert (present.online, present.measuring) == (status["online"], status["measuring"])
        assert present.sic_in_progress is False
        assert present.sic_status == status["lastSic"]["status"]
        assert present.sic_at == sics_stored(instrument)[-1]["at"]
        assert present.calibration_offset == status["lastCalibration"]["offset"]
        assert (present.level_at, present.LAeq) == (noise[-1]["start_at"], noise[-1]["LAeq"])
        assert present.level_seconds == 60
        assert present.observed_at is not None
    before = {each.serial: everything_stored(each) for each in Instrument.objects.select_related("status")}
    outcomes = {
        turn.outcome for turn in again(organisation, Resource.SIC, Resource.CALIBRATIONS, Resource.STATUS)
    }
    assert outcomes == {Outcome.UNCHANGED}
    after = {each.serial: everything_stored(each) for each in Instrument.objects.select_related("status")}
    assert after == before
    assert {turn.outcome for turn in again(organisation, Resource.INSTRUMENTS)} == {Outcome.UNCHANGED}
    again(organisation, Resource.NOISE)
    for instrument in Instrument.objects.all():
        # A minute may have passed: the new row joins, none comes twice.
        until = watermark_of(instrument, Resource.NOISE)
        assert (
            noise_stored(instrument)[: len(before[instrument.serial]["noise"])]
            == before[instrument.serial]["noise"]
        )
        assert noise_stored(instrument) == noise_told(
            mycirrus, instrument.serial, before[instrument.serial]["noise"][0]["start_at"], until
        )


def test_instruments_that_measure_no_noise_have_a_status(
    mycirrus: SimulatedMyCirrus, new_key: NewKey
) -> None:
    (dust,) = mirrored(new_key(mycirrus.serials("AirQuality")[0]))
    present = InstrumentStatus.objects.get(instrument=dust)
    assert present.online is True
    assert (present.sic_at, present.calibrated_at, present.level_at) == (None, None, None)
    assert not NoiseMeasurement.objects.exists()


def test_an_instrument_leaves_and_returns(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    stays, leaves = mycirrus.serials()[0], mycirrus.serials()[1]
    key = new_key(stays, leaves)
    mirrored(key)
    kept = NoiseMeasurement.objects.count()
    mycirrus.add_key(key.secret_reveal(), None, [stays])
    again(organisation, Resource.INSTRUMENTS)
    gone = Instrument.objects.get(serial=leaves)
    assert gone.gone_at is not None
    assert Instrument.objects.get(serial=stays).gone_at is None
    assert NoiseMeasurement.objects.count() == kept
    # What is gone is not asked for: each refusal would have the list of every key fetched.
    mycirrus.forget_requests()
    again(organisation, Resource.STATUS, Resource.SIC)
    assert not [row for row in mycirrus.requests()["recent"] if leaves in row["path"] or row["status"] >= 400]
    mycirrus.add_key(key.secret_reveal(), None, [stays, leaves])
    again(organisation, Resource.INSTRUMENTS)
    back = Instrument.objects.get(serial=leaves)
    assert back.gone_at is None
    assert back.first_seen_at == gone.first_seen_at
    assert SyncTarget.objects.get(instrument=back, resource=Resource.STATUS).outcome in (
        Outcome.OK,
        Outcome.UNCHANGED,
    )


def test_a_second_key_takes_over_what_the_first_no_longer_reaches(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    shared, own = mycirrus.serials()[0], mycirrus.serials()[1]
    first = new_key(shared, own)
    mirrored(first)
    second = new_key(shared)
    mirrored(second)
    assert Instrument.objects.get(serial=shared).api_key_id == first.pk
    mycirrus.add_key(first.secret_reveal(), None, [own])
    again(organisation, Resource.INSTRUMENTS, api_key=first)
    again(organisation, Resource.INSTRUMENTS, api_key=second)
    moved = Instrument.objects.get(serial=shared)
    assert (moved.api_key_id, moved.gone_at) == (second.pk, None)
    assert set(SyncTarget.objects.filter(instrument=moved).values_list("api_key_id", flat=True)) == {
        second.pk
    }
    ApiKey.objects.filter(pk=first.pk).update(revoked_at=datetime.now(UTC))
    mycirrus.add_key(second.secret_reveal(), None, [own, shared])
    again(organisation, Resource.INSTRUMENTS, api_key=second)
    assert Instrument.objects.get(serial=own).api_key_id == second.pk


def test_a_thin_row_of_the_list_never_wipes_what_the_single_read_gave(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    serial = mycirrus.serials()[0]
    (before,) = mirrored(new_key(serial))
    assert before.features
    assert before.latitude is not None
    mycirrus.moods(**{"bare-instruments": True})
    again(organisation, Resource.INSTRUMENTS)
    after = Instrument.objects.get(serial=serial)
    for name in ("features", "latitude", "longitude", "subscription_status", "subscription_tier", "image"):
        assert getattr(after, name) == getattr(before, name)
    assert after.document == before.document


def test_a_new_name_is_taken_over_and_moves_the_page(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    key = new_key(mycirrus.serials()[0])
    (before,) = mirrored(key)
    changed_at = before.status.changed_at
    from instruments.mycirrus import Client

    with Client(key.secret_reveal(), mycirrus.base_url) as client:
        client.instrument_rename(before.serial, "North gate")
        again(organisation, Resource.INSTRUMENTS)
        client.instrument_rename(before.serial, before.name)
    after = Instrument.objects.select_related("status").get(serial=before.serial)
    assert after.name == "North gate"
    assert after.status.changed_at > changed_at


def test_an_offline_unit_keeps_its_past_and_gets_the_rest_when_it_is_back(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    serial = mycirrus.serials()[0]
    (unit,) = mirrored(new_key(serial))
    had = noise_stored(unit)
    watermark = watermark_of(unit, Resource.NOISE)
    mycirrus.offline(serial)
    try:
        again(organisation)
        present = InstrumentStatus.objects.get(instrument=unit)
        assert (present.online, present.measuring) == (False, False)
        assert noise_stored(unit)[: len(had)] == had
        assert watermark_of(unit, Resource.NOISE) >= watermark
        assert list(StatusChange.objects.values_list("online", flat=True)) == [False, True]
        since = present.online_since_at
        again(organisation, Resource.STATUS)
        assert InstrumentStatus.objects.get(instrument=unit).online_since_at == since
        assert StatusChange.objects.count() == 2
    finally:
        mycirrus.offline(serial, None)
    again(organisation)
    assert InstrumentStatus.objects.get(instrument=unit).online is True
    until = watermark_of(unit, Resource.NOISE)
    assert noise_stored(unit) == noise_told(mycirrus, serial, had[0]["start_at"], until)


def test_the_unit_that_is_off_has_its_levels_up_to_when_it_went(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, request: pytest.FixtureRequest
) -> None:
    serial = mycirrus.serials()[0]
    mycirrus.offline(serial)
    request.addfinalizer(lambda: mycirrus.offline(serial, None))
    facts = mycirrus.facts(serial)
    known_until = datetime.fromisoformat(facts["knownUntil"])
    (unit,) = mirrored(new_key(serial))
    assert unit.status.online is False
    rows = noise_stored(unit)
    assert rows == noise_told(mycirrus, serial, rows[0]["start_at"], datetime.now(UTC))
    assert (
        known_until - timedelta(seconds=facts["period"]) <= watermark_of(unit, Resource.NOISE) <= known_until
    )


def test_the_watermark_and_the_rows_move_together_or_not_at_all(
    mycirrus: SimulatedMyCirrus,
    new_key: NewKey,
    organisation: Organisation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serial = mycirrus.serials()[0]
    key = new_key(serial)
    windows = 0

    def dying(**arguments: object) -> object:
        nonlocal windows
        windows += 1
        stored = noise_store(**arguments)  # type: ignore[arg-type]
        if windows == 2:
            raise RuntimeError("the power went out after the rows were written")
        return stored

    short = dataclasses.replace(HISTORIES[Resource.NOISE], window=timedelta(hours=6))
    monkeypatch.setitem(HISTORIES, Resource.NOISE, short)
    monkeypatch.setattr("monitoring.sync.ingest.noise_store", dying)
    (unit,) = mirrored(key)
    target = SyncTarget.objects.get(instrument=unit, resource=Resource.NOISE, lane=Lane.LIVE)
    rows = noise_stored(unit)
    assert target.outcome == Outcome.BUG
    # The first window stands with its watermark; of the second neither stands.
    assert rows
    last = rows[-1]["start_at"]
    assert last < target.watermark_at <= last + timedelta(seconds=rows[-1]["duration_s"])
    assert rows[-1]["start_at"] - rows[0]["start_at"] < timedelta(hours=6)
    monkeypatch.undo()
    again(organisation, Resource.NOISE)
    until = watermark_of(unit, Resource.NOISE)
    assert noise_stored(unit) == noise_told(mycirrus, serial, rows[0]["start_at"], until)
    assert len(noise_stored(unit)) > 1000


def test_a_check_that_the_status_names_is_fetched_without_waiting_for_its_turn(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    # One whose power holds.
    serial = mycirrus.facts()["demo"]
    (unit,) = mirrored(new_key(serial))
    known = len(sics_stored(unit))
    mycirrus.run_sic(serial, failing=False)
    mycirrus.until(lambda: not mycirrus.get(f"/control/instruments/{serial}/status")["sicInProgress"])
    again(organisation, Resource.STATUS)
    assert len(sics_stored(unit)) == known + 1
    # And once it is known, the status does not ask again.
    mycirrus.forget_requests()
    again(organisation, Resource.STATUS)
    assert "getsic" not in mycirrus.requests()["counts"]
    assert [row["path"] for row in mycirrus.requests()["recent"]] == [
        f"/v1/control/instruments/{serial}/status"
    ]


def test_a_check_older_than_the_history_is_known_and_not_asked_for_at_every_status(
    mycirrus: SimulatedMyCirrus,
    new_key: NewKey,
    organisation: Organisation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brief = dataclasses.replace(
        HISTORIES[Resource.CALIBRATIONS],
        first_look=timedelta(seconds=1),
        overlap=timedelta(milliseconds=1),
    )
    monkeypatch.setitem(HISTORIES, Resource.CALIBRATIONS, brief)
    # Whether the last one was made yesterday or a month ago is a matter of when this runs.
    monkeypatch.setattr("monitoring.sync.resources.HINTED_FOR", timedelta(seconds=1))
    serial = mycirrus.serials()[0]
    (unit,) = mirrored(new_key(serial))
    last = mycirrus.get(f"/control/instruments/{serial}/calibration")
    assert [row["offset_db"] for row in calibrations_stored(unit)] == [last["offset"]]
    again(organisation, Resource.STATUS)
    Calibration.objects.all().delete()
    InstrumentStatus.objects.update(calibrated_at=None)
    mycirrus.forget_requests()
    again(organisation, Resource.STATUS)
    assert len(mycirrus.requests()["recent"]) == 1


def test_without_the_scope_for_history_the_last_checks_are_mirrored(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    serial = mycirrus.character("failing-sic")
    key = new_key(serial, scopes=["instruments:read", "data.noise:read"], found={"data.system:read": False})
    (unit,) = mirrored(key)
    assert len(sics_stored(unit)) == len(calibrations_stored(unit)) == 1
    assert unit.status.sic_passed is False
    checks = SyncTarget.objects.filter(resource__in=[Resource.SIC, Resource.CALIBRATIONS], lane=Lane.LIVE)
    assert not checks.parked().exists()
    assert {turn.outcome for turn in again(organisation, Resource.SIC)} == {Outcome.UNCHANGED}


def test_a_403_for_one_instrument_is_asked_about_again_by_itself(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    """Its subscription has ended: the key holds the scope, and nobody presses Verify after renewal."""
    key = new_key(mycirrus.serials()[0], found={"data.noise:read": True})
    (unit,) = mirrored(key)
    mycirrus.moods(**{"missing-scope": "data.noise:read"})
    again(organisation, Resource.NOISE)
    target = SyncTarget.objects.get(instrument=unit, resource=Resource.NOISE, lane=Lane.LIVE)
    assert (target.outcome, target.parked_at) == (Outcome.NEEDS_ATTENTION, None)
    assert target.due_at > datetime.now(UTC) + timedelta(hours=5)


def test_a_scope_lost_after_the_key_was_verified_costs_the_history_and_not_the_last_checks(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    serial = mycirrus.serials()[0]
    key = new_key(serial)
    mycirrus.moods(**{"missing-scope": "data.system:read"})
    (unit,) = mirrored(key)
    assert len(sics_stored(unit)) == len(calibrations_stored(unit)) == 1
    checks = SyncTarget.objects.filter(resource__in=[Resource.SIC, Resource.CALIBRATIONS], lane=Lane.LIVE)
    assert not checks.parked().exists()
    mycirrus.moods()
    again(organisation, Resource.SIC, Resource.CALIBRATIONS)
    # What passed meanwhile is read now: a year of it.
    asked = watermark_of(unit, Resource.SIC)
    told = sics_told(mycirrus, serial, asked - LONGEST_CHECKS, asked)
    assert begun_before(asked, sics_stored(unit)) == told
    told = calibrations_told(mycirrus, serial, asked - LONGEST_CHECKS, asked)
    assert begun_before(asked, calibrations_stored(unit)) == told


def test_what_is_uploaded_long_after_the_first_look_is_stored_too(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    """A unit that was silent when it was first seen: the look for what is new must not slide past what it holds."""
    serial, day = mycirrus.character("offline"), 86_400
    try:
        mycirrus.clock(2 * day)
        with time_machine.travel(datetime.now(UTC) + timedelta(days=2)):
            (unit,) = mirrored(new_key(serial))
            first_look = datetime.now(UTC) - timedelta(days=1)
            assert noise_stored(unit) == []
        mycirrus.clock(2.5 * day)
        mycirrus.offline(serial, False)
        with time_machine.travel(datetime.now(UTC) + timedelta(days=2.5)):
            again(organisation, Resource.NOISE)
            rows, until = noise_stored(unit), watermark_of(unit, Resource.NOISE)
            # The first look was a little before we knew its time.
            assert rows[0]["start_at"] <= noise_told(mycirrus, serial, first_look, until)[0]["start_at"]
            assert rows == noise_told(mycirrus, serial, rows[0]["start_at"], until)
    finally:
        mycirrus.offline(serial, None)
        mycirrus.clock(0)


def test_checks_that_are_uploaded_after_weeks_without_a_modem_are_stored_too(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    """Meanwhile the look for new ones goes on, and finds none."""
    serial, day = mycirrus.serials()[0], 86_400
    begun = datetime.now(UTC)
    (unit,) = mirrored(new_key(serial))
    mycirrus.offline(serial)
    try:
        # The night's own may have come before it went.
        again(organisation, Resource.SIC)
        had = len(sics_stored(unit))
        for days in (3, 10, 20):
            mycirrus.clock(days * day)
            with time_machine.travel(begun + timedelta(days=days)):
                again(organisation, Resource.SIC, Resource.CALIBRATIONS)
        assert len(sics_stored(unit)) == had
        mycirrus.offline(serial, False)
        with time_machine.travel(begun + timedelta(days=20)):
            again(organisation, Resource.SIC, Resource.CALIBRATIONS)
            asked = watermark_of(unit, Resource.SIC)
            assert len(sics_stored(unit)) > had + 15
            since = begun - timedelta(days=30)
            stored = [row for row in sics_stored(unit) if row["at"] >= since]
            assert stored == sics_told(mycirrus, serial, since, asked)
            mycirrus.forget_requests()
            # A month of them costs one request, as two days of them did.
            assert {turn.outcome for turn in again(organisation, Resource.SIC)} == {Outcome.UNCHANGED}
            assert [row["path"] for row in mycirrus.requests()["recent"]] == ["/v1/data/sic"]
    finally:
        mycirrus.offline(serial, None)
        mycirrus.clock(0)
