"""History is a function of seed and time: the same for whoever asks, and it adds up."""

import math
import time
from datetime import datetime, timedelta

import pytest
import requests

from tests.simulated import SimulatedMyCirrus
from tests.simulator.conftest import Caller

RESOURCES = [
    ("/data/noise/measurements", "Noise"),
    ("/data/noise/timehistory", "Noise"),
    ("/data/frequency/measurements", "Noise"),
    ("/data/audio", "Noise"),
    ("/data/weather", "Noise"),
    ("/data/particulates", "AirQuality"),
    ("/data/gases", "AirQuality"),
    ("/data/vibration/PPV", "Vibration"),
    ("/data/vibration/VDV", "Vibration"),
    ("/data/events", "Noise"),
    ("/data/calibrations", "Noise"),
    ("/data/sic", "Noise"),
    ("/data/monitor/stats", "Noise"),
]
LONG_AGO = ("2025-01-14T20:00:00Z", "2025-01-15T04:00:00Z")


@pytest.fixture(scope="module")
def twin():
    """The same story in another process."""
    with SimulatedMyCirrus(epoch=SimulatedMyCirrus.past) as simulated:
        yield Caller(simulated)


@pytest.mark.parametrize(("path", "kind"), RESOURCES)
def test_two_processes_tell_the_same_history(
    mycirrus, api: Caller, twin: Caller, path: str, kind: str
) -> None:
    serial = mycirrus.serials(kind)[0]
    assert api.rows(path, serial, *LONG_AGO) == twin.rows(path, serial, *LONG_AGO)


@pytest.mark.parametrize(
    "path", ["/data/noise/measurements", "/data/weather", "/data/events", "/data/monitor/stats"]
)
@pytest.mark.parametrize("period", ["", "PT1H"])
def test_overlapping_ranges_agree(api: Caller, serial: str, path: str, period: str) -> None:
    more = {"period": period} if period else {}
    whole = api.rows(path, serial, *LONG_AGO, **more)
    parts = api.rows(path, serial, LONG_AGO[0], "2025-01-14T23:17:23Z", **more)
    parts += api.rows(path, serial, "2025-01-14T23:17:23Z", LONG_AGO[1], **more)
    assert parts == whole
    assert whole or path == "/data/events"


def test_another_seed_tells_another_history() -> None:
    with (
        SimulatedMyCirrus(fleet=1, seed=2, epoch=SimulatedMyCirrus.past) as other,
        SimulatedMyCirrus(fleet=1, epoch=SimulatedMyCirrus.past) as usual,
    ):
        rows = [Caller(s).rows("/data/noise/measurements", s.serials()[0], *LONG_AGO) for s in (usual, other)]
    assert rows[0][0]["instrument"] != rows[1][0]["instrument"]
    assert [row["LAeq"] for row in rows[0]] != [row["LAeq"] for row in rows[1]]


def energy_mean(levels: list[float]) -> float:
    return 10 * math.log10(sum(10 ** (level / 10) for level in levels) / len(levels))


def test_a_period_averages_by_energy_and_keeps_maxima(api: Caller, serial: str) -> None:
    span = ("2026-10-05T08:00:00Z", "2026-10-05T09:00:00Z")
    names = "LAeq,LAE,LAFMax,LCPeak"
    minutes = api.rows("/data/noise/measurements", serial, *span, values=names)
    (hour,) = api.rows("/data/noise/measurements", serial, *span, values=names, period="PT1H")
    assert len(minutes) == 60
    assert hour["LAeq"] == pytest.approx(energy_mean([row["LAeq"] for row in minutes]), abs=0.011)
    assert hour["LAE"] == pytest.approx(
        energy_mean([r["LAE"] for r in minutes]) + 10 * math.log10(60), abs=0.011
    )
    for name in ("LAFMax", "LCPeak"):
        assert hour[name] == max(row[name] for row in minutes)
    # The arithmetic mean would be lower: levels vary.
    assert hour["LAeq"] > sum(row["LAeq"] for row in minutes) / 60 + 0.1


def test_seconds_and_bands_add_up_to_the_measurement(api: Caller, serial: str) -> None:
    span = ("2026-10-05T08:00:00Z", "2026-10-05T08:10:00Z")
    minutes = api.rows("/data/noise/measurements", serial, *span)
    history = {
        s["type"]: s["blocks"][0]["values"] for s in api.rows("/data/noise/timehistory", serial, *span)
    }
    spectra = api.rows("/data/frequency/measurements", serial, *span, bands="Third", weighting="A")
    octaves = api.rows("/data/frequency/measurements", serial, *span, weighting="A")
    for place, row in enumerate(minutes):
        seconds = slice(60 * place, 60 * place + 60)
        assert energy_mean(history["LAeq"][seconds]) == pytest.approx(row["LAeq"], abs=0.02)
        assert max(history["LAFMax"][seconds]) == row["LAFMax"]
        assert all(a <= b for a, b in zip(history["LAeq"][seconds], history["LAFMax"][seconds], strict=True))
        bands = [band["value"] for band in spectra[place]["bands"]]
        assert energy_mean(bands) + 10 * math.log10(len(bands)) == pytest.approx(row["LAeq"], abs=0.02)
        assert len(octaves[place]["bands"]) == 10
        third = {band["name"]: band["value"] for band in spectra[place]["bands"]}
        joined = energy_mean([third[n] for n in ("800Hz", "1KHz", "1.25KHz")]) + 10 * math.log10(3)
        one = next(band["value"] for band in octaves[place]["bands"] if band["name"] == "1KHz")
        assert one == pytest.approx(joined, abs=0.02)


def test_values_of_a_row_are_in_order(api: Caller, serial: str) -> None:
    names = "LAeq,LCeq,LZeq,LAFMax,LASMax,LAIMax,LAPeak,LAF1,LAF5,LAF10,LAF50,LAF90,LAF95,LAF99"
    for row in api.rows("/data/noise/measurements", serial, *LONG_AGO, values=names):
        falling = [row[f"LAF{n}"] for n in ("Max", 1, 5, 10, 50, 90, 95, 99)]
        assert falling == sorted(falling, reverse=True)
        assert row["LASMax"] <= row["LAFMax"] <= row["LAIMax"] < row["LAPeak"]
        assert row["LAF99"] < row["LAeq"] < row["LAFMax"]


def test_days_are_louder_than_nights_and_weekends_quieter(api: Caller, mycirrus) -> None:
    works = next(row["serial"] for row in mycirrus.facts()["instruments"] if row["name"] == "Crane 4 North")
    hours = api.rows(
        "/data/noise/measurements", works, "2026-10-05T00:00:00Z", "2026-10-12T00:00:00Z", period="PT1H"
    )
    level = {row["startTime"][8:13]: row["LAeq"] for row in hours}
    monday, night, sunday = level["05T10"], level["05T03"], level["11T10"]
    assert monday > night + 15
    assert monday > sunday + 10


def test_there_are_gaps_and_no_row_inside_them(api: Caller, serial: str) -> None:
    rows = api.rows("/data/noise/measurements", serial, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
    starts = [row["startTime"] for row in rows]
    assert starts == sorted(set(starts))
    assert 31 * 1440 * 0.95 < len(rows) < 31 * 1440
    blocks = api.rows(
        "/data/noise/timehistory",
        serial,
        "2026-11-18T00:00:00Z",
        "2026-11-21T00:00:00Z",
        period="PT1M",
        values="LAeq",
    )[0]["blocks"]
    minutes = api.rows("/data/noise/measurements", serial, "2026-11-18T00:00:00Z", "2026-11-21T00:00:00Z")
    assert sum(len(block["values"]) for block in blocks) == len(minutes)


def test_nothing_comes_from_the_future(api: Caller, serial: str, mycirrus) -> None:
    for path in ("/data/noise/measurements", "/data/events", "/data/sic", "/data/weather"):
        assert api.rows(path, serial, "2031-01-01T00:00:00Z", "2031-01-02T00:00:00Z") == []
    known = mycirrus.facts(serial)["knownUntil"]
    # A minute after midnight today holds nothing yet.
    before = datetime.fromisoformat(known) - timedelta(days=1)
    rows = api.rows("/data/noise/measurements", serial, f"{before:%Y-%m-%d}T00:00:00Z", known)
    assert rows
    # As instants: written, "…00Z" comes after "…00.050Z".
    until = datetime.fromisoformat(mycirrus.facts(serial)["knownUntil"])
    assert all(datetime.fromisoformat(row["endTime"]) <= until for row in rows)


def test_the_cast_is_as_promised(api: Caller, mycirrus) -> None:
    failing, drifting = mycirrus.character("failing-sic"), mycirrus.character("drifting")
    nights = api.rows("/data/sic", failing, "2026-11-17T00:00:00Z", "2026-11-22T00:00:00Z")
    assert [row["status"] for row in nights] == ["Success"] * 3 + ["Failed"] * 2
    assert nights[-1]["_8KHz"] < 70 < 98 < nights[-1]["_1KHz"]
    healthy = mycirrus.facts()["demo"]
    year = api.rows("/data/sic", healthy, "2025-11-22T00:00:00Z", "2026-11-22T00:00:00Z")
    assert {row["status"] for row in year} == {"Success"}
    offsets = [
        row["offset"]
        for row in api.rows("/data/calibrations", drifting, "2026-04-01T00:00:00Z", "2026-11-22T00:00:00Z")
        if row["status"] == "Success"
    ]
    assert offsets == sorted(offsets)
    assert offsets[-1] - offsets[0] > 0.3
    weak = api.get("/data/monitor/current", {"instruments": mycirrus.character("weak-sim")}).json()[0]
    assert weak["simUsage"] > 0.9 * weak["simQuota"]
    gone = mycirrus.character("offline")
    assert api.get(f"/control/instruments/{gone}/status").json()["online"] is False
    rows = api.rows("/data/noise/measurements", gone, "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z")
    assert rows[-1]["endTime"] <= mycirrus.facts(gone)["knownUntil"] < "2026-11-22T00:00:00Z"


def test_weather_of_a_day_takes_the_mean_direction_round_north(api: Caller, serial: str) -> None:
    start, end = "2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"
    (day,) = api.rows("/data/weather", serial, start, end, period="P1D")
    minutes = api.rows("/data/weather", serial, start, end)
    assert day["temperature"] == pytest.approx(
        sum(r["temperature"] for r in minutes) / len(minutes), abs=0.01
    )
    assert 0 <= day["windDirection"] < 360
    assert all(0.9 < row["pressure"] < 1.1 for row in minutes)


def test_ten_thousand_instruments_are_listed_quickly() -> None:
    with SimulatedMyCirrus(fleet=10_000, epoch=SimulatedMyCirrus.past) as many:
        began = time.monotonic()
        rows = requests.get(
            many.base_url + "/control/instruments", headers={"X-Api-Key": many.key}, timeout=60, proxies={}
        ).json()
        assert time.monotonic() - began < 15
    assert len({row["serialNumber"] for row in rows}) == 10_000
