"""Moods: each fault and each spelling anomaly can be switched on, limited, and switched off."""

import re
import time
from typing import Any

import pytest
import requests

from tests.simulated import SimulatedMyCirrus
from tests.simulator.conftest import Caller

LIST = "/control/instruments"


@pytest.fixture(scope="module")
def moody():
    """One simulator for the module; each test begins with no mood."""
    with SimulatedMyCirrus(epoch=SimulatedMyCirrus.past) as simulated:
        yield simulated


@pytest.fixture
def mood(moody: SimulatedMyCirrus):
    moody.moods()
    return moody.moods


@pytest.fixture
def api(moody: SimulatedMyCirrus) -> Caller:
    return Caller(moody)


@pytest.fixture
def serial(moody: SimulatedMyCirrus) -> str:
    return moody.serials()[0]


def test_latency_delays(mood: Any, api: Caller) -> None:
    mood(latency=0.3)
    began = time.monotonic()
    assert api.get(LIST).status_code == 200
    assert time.monotonic() - began > 0.3


@pytest.mark.parametrize("wait", [None, 7, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_429_comes_with_and_without_retry_after(mood: Any, api: Caller, wait: Any) -> None:
    mood(too_many_requests=True if wait is None else wait)
    answer = api.get(LIST)
    assert (answer.status_code, answer.json()["error"]) == (429, "TooManyRequests")
    assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))


def test_500_is_not_json(mood: Any, api: Caller) -> None:
    mood(server_error=True)
    answer = api.get(LIST)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (500, "text/html")
    mood(server_error=503)
    assert api.get(LIST).status_code == 503


def test_hang_never_answers(mood: Any, api: Caller) -> None:
    mood(hang=True, count=1)
    with pytest.raises(requests.Timeout):
        api.session.get(api.mycirrus.base_url + LIST, timeout=0.3)
    assert api.get(LIST).status_code == 200


@pytest.mark.parametrize("days", [1, 20])
def test_a_cut_body_promises_more_than_it_sends(mood: Any, api: Caller, serial: str, days: int) -> None:
    mood(cut_body=True)
    query = {
        "instruments": serial,
        "start": "2026-10-01T00:00:00Z",
        "end": f"2026-10-{days + 1:02}T00:00:00Z",
    }
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api.get("/data/noise/measurements", query)


def test_bad_json_is_whole_but_wrong(mood: Any, api: Caller) -> None:
    mood(bad_json=True)
    answer = api.get(LIST)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_an_expired_key_and_a_missing_scope(mood: Any, api: Caller, serial: str) -> None:
    mood(expired_key=True)
    assert (api.get(LIST).status_code, api.get(LIST).json()["error"]) == (401, "TokenExpired")
    mood(expired_key=False, missing_scope="data.system:read")
    assert api.get(LIST).status_code == 200
    query = {"instruments": serial, "start": "2026-10-01T00:00:00Z", "end": "2026-10-02T00:00:00Z"}
    assert api.get("/data/sic", query).status_code == 403


def test_moods_can_be_limited_and_listed(mood: Any, api: Caller, serial: str) -> None:
    mood(server_error=True, path="/v1/control/instruments/", count=2)
    statuses = [api.get(path).status_code for path in (LIST, *[f"{LIST}/{serial}"] * 3)]
    assert statuses == [200, 500, 500, 200]
    mood(server_error=True, probability=0.5)
    seen = {api.get(LIST).status_code for _ in range(40)}
    assert seen == {200, 500}
    listed = mood(latency=0.001)
    assert {row["name"] for row in listed} == {"500", "latency"}
    with pytest.raises(AssertionError, match="InvalidMood"):
        mood(sulking=True)


def test_the_truth_can_be_had_in_any_mood(mood: Any, moody: SimulatedMyCirrus) -> None:
    mood(server_error=True, sic_names="lower", expired_key=True)
    assert len(moody.get(LIST)) == 12


def test_error_bodies_may_be_missing_and_not_found_may_be_400(mood: Any, api: Caller) -> None:
    mood(not_found_400=True)
    answer = api.get(f"{LIST}/NOBODY")
    assert (answer.status_code, answer.json()["error"]) == (400, "NotFound")
    mood(no_error_body=True)
    assert api.get(f"{LIST}/NOBODY").content == b""


def test_spellings_of_sics_and_calibrations(mood: Any, api: Caller, moody: SimulatedMyCirrus) -> None:
    failing = moody.character("failing-sic")
    span = ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")
    true = api.rows("/data/sic", failing, *span)[0]
    mood(sic_names="lower", status_word=True, fraction=7)
    row = api.rows("/data/sic", failing, *span)[0]
    assert row["_8khz"] == true["_8KHz"]
    assert "_8KHz" not in row
    assert row["status"] == "Error"
    assert row["time"] == true["time"].replace("Z", ".0000000Z")
    mood(sic_names="absent", status_word="Indeterminate", fraction=0, no_zone=True)
    row = api.rows("/data/sic", failing, *span)[0]
    assert set(row) == {"time", "status", "instrument"}
    assert row["status"] == "Indeterminate"
    assert row["time"] == true["time"].removesuffix("Z")
    mood(calibrations="pascal")
    row = api.rows("/data/calibrations", failing, "2026-01-01T00:00:00Z", "2026-11-20T00:00:00Z")[0]
    assert set(row) == {"Time", "Status", "Level", "Offset", "Instrument"}


def test_spellings_of_instruments(mood: Any, api: Caller, serial: str) -> None:
    one = f"{LIST}/{serial}"
    for form, names in (
        ("empty", set()),
        ("lat-long", {"lat", "long"}),
        ("latitude-longitude", {"latitude", "longitude"}),
    ):
        mood(position=form)
        assert set(api.get(one).json()["position"]) == names
    mood(unknown_words=True)
    row = api.get(one).json()
    assert (row["subscription"]["tier"], row["feature"][-1]) == ("Galactic", "Sonar")
    mood(bare_instruments=True, unknown_words=False)
    assert set(api.get(one).json()) == {"type", "serialNumber", "model", "name"}
    assert "lastSic" not in api.get(one + "/status").json()


def test_spellings_of_measurements(mood: Any, api: Caller, serial: str) -> None:
    span = ("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z")

    def rows() -> list[dict[str, Any]]:
        return api.rows("/data/noise/measurements", serial, *span, values="LAeq,LCPeak,LAFMax,LAF10,LAE")

    true = rows()
    mood(camel_values=True)
    assert {"lAeq", "lcPeak", "lafMax", "laF10", "lae"} < set(rows()[0])
    mood(camel_values=False, measurements="time")
    assert {"startTime", "endTime", "duration"}.isdisjoint(rows()[0])
    assert [row["time"] for row in rows()] == [row["startTime"] for row in true]
    mood(measurements="start")
    assert {"start", "end", "duration"} < set(rows()[0])
    mood(measurements="blocks", dots=True)
    series = {row["type"]: row for row in rows()}
    assert set(series) == {"LAeq", "LCPeak", "LAFMax", "LAF10", "LAE"}
    first, *_, dots = series["LAeq"]["blocks"]
    assert dots == "..."
    assert first["values"] == [*(row["LAeq"] for row in true), "..."]
    mood()
    mood(no_instrument=True, nulls=True)
    assert "instrument" not in rows()[0]
    assert [value for value in rows()[0].values() if value is None]
    assert not re.search("null", str(true))
    mood()
    assert rows() == true


def test_a_mood_may_be_given_on_the_command_line() -> None:
    with SimulatedMyCirrus(
        "--mood", "429=3", "--mood", "latency=0.01", fleet=1, epoch=SimulatedMyCirrus.past
    ) as simulated:
        assert Caller(simulated).get(LIST).headers["Retry-After"] == "3"
