"""The client against the simulated MyCirrus: every operation, and every mood of the server."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.mycirrus import (
    AuthenticationFailed,
    Client,
    ConnectionFailed,
    MissingScope,
    MyCirrusError,
    NotFound,
    RateLimited,
    ServerError,
    TimedOut,
    TransientError,
    UnexpectedResponse,
)
from tests.simulated import SimulatedMyCirrus

END = datetime(2026, 11, 20, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(epoch=SimulatedMyCirrus.past) as mycirrus:
        yield mycirrus


@pytest.fixture
def mycirrus(process: SimulatedMyCirrus) -> Iterator[SimulatedMyCirrus]:
    yield process
    process.moods()


@pytest.fixture
def client(mycirrus: SimulatedMyCirrus) -> Iterator[Client]:
    with Client(mycirrus.key, mycirrus.base_url, timeout=(1.0, 0.5), deadline=1.0) as client:
        yield client


@pytest.fixture
def patient(mycirrus: SimulatedMyCirrus) -> Iterator[Client]:
    with Client(mycirrus.key, mycirrus.base_url) as client:
        yield client


def test_fleet_and_status(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    listed = patient.instruments()
    assert [each.serial for each in listed] == [row["serial"] for row in mycirrus.facts()["instruments"]]
    assert {each.type for each in listed} >= {"Noise", "AirQuality", "Vibration"}
    assert not listed.skipped
    serial = mycirrus.serials()[0]
    one = patient.instrument(serial)
    assert (one.serial, one.type) == (serial, "Noise")
    assert one.latitude is not None
    status = patient.status(serial)
    assert status.last_calibration is not None
    assert status.last_sic is not None
    assert status.last_calibration == patient.calibration(serial)
    assert status.last_sic.at == getattr(patient.sic(serial), "at", None)


def test_rename_and_act(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    serial = mycirrus.serials()[1]
    patient.instrument_rename(serial, "Gate 3 – north")
    assert patient.instrument(serial).name == "Gate 3 – north"
    assert patient.action(serial, "Identify").passed is True


def test_a_day_of_everything(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    noise = mycirrus.serials()[:2]
    measurements = patient.noise_measurements(noise, END - DAY, END, values=["LAeq", "LCPeak", "LAF90"])
    assert {row.serial for row in measurements} == set(noise)
    assert len(measurements) > 100
    assert all(set(row.values) <= {"LAeq", "LCPeak", "LAF90"} for row in measurements)
    assert any("LAF90" in row.values for row in measurements)
    hourly = patient.noise_measurements(noise[:1], END - DAY, END, HOUR)
    assert {row.duration_s for row in hourly} == {3600.0}
    assert set(hourly[0].values) == {"LAeq", "LCPeak", "LAFMax"}
    history = patient.noise_time_history(noise[:1], END - HOUR, END, values=["LAeq"])
    assert [(each.name, each.serial) for each in history] == [("LAeq", noise[0])]
    assert {block.sample_s for block in history[0].blocks} == {1.0}
    spectra = patient.frequency_measurements(noise[:1], END - HOUR, END)
    assert spectra
    assert {"31.5Hz", "1KHz", "16KHz"} <= set(spectra[0].bands)
    spectrogram = patient.frequency_time_history(noise[:1], END - timedelta(minutes=5), END)
    assert spectrogram
    assert spectrogram[0].blocks[0].bands["1KHz"]
    results: list[Any] = [measurements, hourly, history, spectra, spectrogram]
    results.append(patient.monitor_stats(noise[:1], END - HOUR, END))
    results.append(patient.monitor_current(noise[:1]))
    air, vibration = mycirrus.serials("AirQuality")[:1], mycirrus.serials("Vibration")[:1]
    results.append(patient.particulates(air, END - HOUR, END))
    results.append(patient.gases(air, END - HOUR, END))
    results.append(patient.vibration("PPV", vibration, END - HOUR, END))
    results.append(patient.vibration("VDV", vibration, END - HOUR, END))
    weather = next(each.serial for each in patient.instruments() if "Weather" in each.features)
    results.append(patient.weather([weather], END - HOUR, END))
    assert all(results)
    assert not any(rows.skipped for rows in results)


def test_a_year_of_calibrations_and_sics(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    serial = mycirrus.serials()[0]
    start = END - timedelta(days=365)
    calibrations, sics = patient.calibrations([serial], start, END), patient.sics([serial], start, END)
    assert len(calibrations) >= 10
    assert len(sics) >= 300
    assert all(row.level_db is not None and row.offset_db is not None for row in calibrations)
    assert {row.serial for row in (*calibrations, *sics)} == {serial}
    assert {row.serial for row in patient.calibration_log(serial, start, END)} <= {serial}


def test_a_failed_sic_is_told_as_failed(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    # One whose power holds: another may be off in this very minute, and refuse.
    serial = mycirrus.facts()["demo"]
    mycirrus.run_sic(serial, failing=True)
    last = mycirrus.until(lambda: (sic := patient.sic(serial)) and sic.passed is False and sic)
    assert last.serial == serial
    assert patient.status(serial).last_sic == last


def test_events_and_their_sound(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    events = patient.events(mycirrus.serials(), END - 7 * DAY, END)
    assert events
    with_history = next(each for each in events if each.time_history_id)
    assert patient.event_time_history(with_history.time_history_id)[0].blocks
    with_audio = next(each for each in events if each.audio_id)
    with patient.event_audio(with_audio.audio_id) as sound:
        assert b"".join(sound)
    recordings = patient.audio_list(mycirrus.serials(), END - 7 * DAY, END)
    with patient.audio(recordings[0].id, "WAV") as sound:
        assert next(iter(sound)).startswith(b"RIFF")


def test_webhooks_come_and_go(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    serial = mycirrus.serials()[0]
    made = patient.webhook_create(type="NewMeasurement", serial=serial, url="https://example.com/a")
    assert made.secret
    assert patient.webhook(made.id) == made
    changed = patient.webhook_update(made.id, type="NewEvent", serial=serial, url="https://example.com/b")
    assert (changed.id, changed.type, changed.url) == (made.id, "NewEvent", "https://example.com/b")
    patient.webhook_delete(made.id)
    assert made.id not in {each.id for each in patient.webhooks()}
    with pytest.raises(NotFound):
        patient.webhook(made.id)


def test_webhook_changes_not_offered(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    made = patient.webhook_create(type="NewEvent", serial=mycirrus.serials()[0], url="https://example.com/a")
    mycirrus.moods(no_webhook_changes=True)
    with pytest.raises(UnexpectedResponse):
        patient.webhook_delete(made.id)


def test_scopes_of_a_full_and_of_a_small_key(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    found = patient.probe_scopes()
    assert {scope for scope, has in found.items() if has is None} == {
        "instruments:write",
        "instruments:action",
        "data.live:read",
        "webhooks:write",
    }
    assert False not in found.values()
    mycirrus.add_key("mycirrus-000002-0000000000000002", ["instruments:read", "data.noise:read"])
    with Client("mycirrus-000002-0000000000000002", mycirrus.base_url) as small:
        found = small.probe_scopes()
    assert {scope for scope, has in found.items() if has} == {"instruments:read", "data.noise:read"}
    assert {scope for scope, has in found.items() if has is False} == {
        *("data.enviro:read", "data.events:read", "data.audio:read", "data.system:read", "webhooks:read")
    }


@pytest.mark.parametrize(
    ("mood", "expected"),
    [
        ({"429": True}, RateLimited),
        ({"500": True}, ServerError),
        ({"hang": True}, TimedOut),
        ({"latency": 3}, TimedOut),
        ({"cut-body": True}, ConnectionFailed),
        ({"bad-json": True}, MyCirrusError),
        ({"expired-key": True}, AuthenticationFailed),
        ({"missing-scope": "instruments:read"}, MissingScope),
        ({"no-error-body": True, "500": True}, ServerError),
        ({"no-error-body": True, "expired-key": True}, AuthenticationFailed),
    ],
)
def test_moods_of_the_server(
    mycirrus: SimulatedMyCirrus, client: Client, mood: dict[str, Any], expected: type[MyCirrusError]
) -> None:
    mycirrus.moods(**mood)
    with pytest.raises(expected) as caught:
        client.instruments()
    assert mycirrus.key not in f"{caught.value!s}{caught.value!r}"
    mycirrus.moods()
    assert client.instruments()


@pytest.mark.parametrize("mood", ["500", "cut-body"])
def test_one_bad_answer_is_tried_again_unseen(mycirrus: SimulatedMyCirrus, client: Client, mood: str) -> None:
    mycirrus.moods(**{mood: True, "count": 1})
    assert client.instruments()


def test_wrong_keys_and_serials(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    stranger = Client("mycirrus-999999-0000000000000000", mycirrus.base_url)
    with stranger, pytest.raises(AuthenticationFailed):
        stranger.instruments()
    calls: list[Callable[[], Any]] = [
        lambda: patient.status("NOBODY"),
        lambda: patient.sics(["NOBODY"], END - DAY, END),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    mycirrus.moods(not_found_400=True)
    with pytest.raises(NotFound):
        patient.status("NOBODY")


def test_ranges_that_are_too_long_are_permanent(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    with pytest.raises(MyCirrusError) as caught:
        patient.noise_measurements(mycirrus.serials()[:1], END - 40 * DAY, END)
    assert not isinstance(caught.value, TransientError)


SPELLINGS: tuple[tuple[str, Any], ...] = (
    *(
        ("sic-names", True),
        ("calibrations", True),
        ("bare-instruments", True),
        ("no-zone", True),
        ("dots", True),
    ),
    *(
        ("fraction", 3),
        ("fraction", 7),
        ("position", "lat-long"),
        ("status-word", "Error"),
        ("unknown-words", True),
    ),
    *(
        ("measurements", "time"),
        ("measurements", "start"),
        ("measurements", "blocks"),
        ("camel-values", True),
    ),
    ("no-instrument", True),
)


def said(client: Client, serial: str) -> list[list[tuple[Any, ...]]]:
    """What a client understands of every kind of answer that has more than one spelling."""
    sics = client.sics([serial], END - 9 * DAY, END)
    calibrations = client.calibrations([serial], END - 90 * DAY, END)
    noise = client.noise_measurements([serial], END - DAY, END)
    history = client.noise_time_history([serial], END - timedelta(minutes=5), END)
    return [
        [
            (row.serial, row.at, row.passed, row.level_500hz_db, row.level_1khz_db, row.level_8khz_db)
            for row in sics
        ],
        [(row.serial, row.at, row.status, row.level_db, row.offset_db) for row in calibrations],
        sorted((row.serial, row.start_at, sorted(row.values.items())) for row in noise),
        [(row.serial, row.start_at, row.name) for row in client.events([serial], END - 3 * DAY, END)],
        [(row.serial, row.name, [block.start_at for block in row.blocks]) for row in history],
        [(each.serial, each.name) for each in client.instruments()],
    ]


@pytest.mark.parametrize(("mood", "value"), SPELLINGS)
def test_a_spelling_changes_nothing_of_what_is_said(
    mycirrus: SimulatedMyCirrus, patient: Client, mood: str, value: Any
) -> None:
    serial = mycirrus.character("failing-sic")
    plain = said(patient, serial)
    assert all(plain)
    mycirrus.moods(**{mood: value})
    assert said(patient, serial) == plain


def test_positions_in_either_spelling_or_none(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    plain = [(each.latitude, each.longitude) for each in patient.instruments()]
    mycirrus.moods(position="lat-long")
    assert [(each.latitude, each.longitude) for each in patient.instruments()] == plain
    mycirrus.moods(position="empty")
    assert {each.latitude for each in patient.instruments()} == {None}


def test_nulls_are_missing_and_never_zero(mycirrus: SimulatedMyCirrus, patient: Client) -> None:
    serial = mycirrus.serials()[0]
    plain = patient.noise_measurements([serial], END - DAY, END)
    mycirrus.moods(nulls=True)
    holed = patient.noise_measurements([serial], END - DAY, END)
    assert len(holed) == len(plain)
    assert any(len(row.values) < len(whole.values) for row, whole in zip(holed, plain, strict=True))
    for row, whole in zip(holed, plain, strict=True):
        assert row.values.items() <= whole.values.items()
