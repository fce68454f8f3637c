"""Parameters: what is required, how long a range may be, which periods and values there are, arrays."""

import pytest

from tests.simulator.conftest import Caller

FROM = "2026-10-01T00:00:00Z"
LIMITS = [
    ("/data/noise/measurements", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
    ("/data/noise/timehistory", "2026-10-08T00:00:00Z", "2026-10-08T00:00:01Z"),
    ("/data/frequency/measurements", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
    ("/data/frequency/timehistory", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
    ("/data/weather", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
    ("/data/particulates", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
    ("/data/gases", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
    ("/data/vibration/PPV", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
    ("/data/events", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
    ("/data/calibrations", "2027-10-01T00:00:00Z", "2027-10-01T00:00:01Z"),
    ("/data/calibrations/log", "2027-10-01T00:00:00Z", "2027-10-01T00:00:01Z"),
    ("/data/monitor/stats", "2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"),
]


@pytest.mark.parametrize(("path", "longest", "longer"), LIMITS)
def test_a_range_is_refused_only_when_too_long(
    api: Caller, mycirrus, path: str, longest: str, longer: str
) -> None:
    # An instrument of another type: nothing to compute, the limit is the same.
    serial = mycirrus.serials(
        "Noise" if "vibration" in path or "part" in path or "gas" in path else "Vibration"
    )[0]
    assert api.get(path, {"instruments": serial, "start": FROM, "end": longest}).status_code == 200
    refused = api.get(path, {"instruments": serial, "start": FROM, "end": longer})
    assert (refused.status_code, refused.json()["error"]) == (400, "InvalidRange")


@pytest.mark.parametrize(
    ("missing", "named"), [("start", "StartTime"), ("end", "EndTime"), ("instruments", "Instruments")]
)
def test_a_missing_parameter_is_named(api: Caller, serial: str, missing: str, named: str) -> None:
    query = {"instruments": serial, "start": FROM, "end": "2026-10-02T00:00:00Z"}
    del query[missing]
    answer = api.get("/data/noise/measurements", query)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "MissingParam",
        "description": f"The required parameter {named} was missing from the request.",
    }


@pytest.mark.parametrize(
    "start", ["yesterday", "2026-10-01", "2026-10-01T00:00:00", "2026-10-01T00:00:00+02:00"]
)
def test_only_utc_instants_are_read(api: Caller, serial: str, start: str) -> None:
    query = {"instruments": serial, "start": start, "end": "2026-10-02T00:00:00Z"}
    assert api.get("/data/noise/measurements", query).status_code == 400


@pytest.mark.parametrize("fraction", ["", ".5", ".123", ".1234567"])
def test_fractions_of_a_second_are_read(api: Caller, serial: str, fraction: str) -> None:
    rows = api.rows(
        "/data/noise/measurements", serial, f"2026-10-01T00:00:00{fraction}Z", "2026-10-01T00:02:00Z"
    )
    assert len(rows) == (2 if not fraction else 1)


@pytest.mark.parametrize(
    ("path", "period", "status"),
    [
        ("/data/noise/measurements", "PT1M", 200),
        ("/data/noise/measurements", "P1D", 200),
        ("/data/noise/measurements", "PT30S", 400),
        ("/data/noise/measurements", "P1DT1S", 400),
        ("/data/noise/measurements", "an hour", 400),
        ("/data/noise/timehistory", "PT1S", 200),
        ("/data/noise/timehistory", "PT1M", 200),
        ("/data/noise/timehistory", "PT61S", 400),
        ("/data/noise/timehistory", "PT0.1S", 400),
        ("/data/weather", "PT1M", 200),
        ("/data/weather", "PT59S", 400),
    ],
)
def test_period_has_bounds(api: Caller, serial: str, path: str, period: str, status: int) -> None:
    query = {"instruments": serial, "start": FROM, "end": "2026-10-01T01:00:00Z", "period": period}
    assert api.get(path, query).status_code == status


def test_tenths_of_a_second_come_from_an_instrument_set_to_them(api: Caller, mycirrus) -> None:
    fine = mycirrus.facts()["demo"]
    span = ("2026-10-01T00:00:00Z", "2026-10-01T00:01:00Z")
    block = api.rows("/data/noise/timehistory", fine, *span, period="PT0.1S", values="LAeq")[0]["blocks"][0]
    assert (block["sampleDuration"], len(block["values"])) == (100, 600)


def test_arrays_are_read_in_each_encoding(api: Caller, mycirrus) -> None:
    first, second = mycirrus.serials()[:2]
    tail = "start=2026-10-01T00:00:00Z&end=2026-10-01T00:10:00Z"
    answers = [
        api.get(f"/data/noise/measurements?{query}&{tail}").json()
        for query in (
            f"instruments={first}&instruments={second}&values=LAeq&values=LAFMax",
            f"instruments={first},{second}&values=LAeq,LAFMax",
            f"instruments={first}%2C{second}&values=LAeq%2CLAFMax",
        )
    ]
    assert answers[0] == answers[1] == answers[2]
    assert {row["instrument"] for row in answers[0]} == {first, second}


def test_values_are_chosen_ignoring_case_and_unknown_ones_are_dropped(api: Caller, serial: str) -> None:
    span = ("2026-10-01T00:00:00Z", "2026-10-01T00:01:00Z")
    fixed = {"instrument", "startTime", "endTime", "duration"}

    def values(**more: str) -> set[str]:
        return set(api.rows("/data/noise/measurements", serial, *span, **more)[0]) - fixed

    assert values() == {"LAeq", "LCPeak", "LAFMax"}
    assert values(values="laeq,LAFmax,Loudness") == {"LAeq", "LAFMax"}
    assert values(values="LeqT1Max") == {"LeqT1Max", "LeqT1Type"}
    assert values(values="LAF10,LAeq", period="PT1M") == {"LAeq"}
    query = {"instruments": serial, "start": span[0], "end": span[1]}
    assert api.get("/data/noise/measurements", {**query, "values": "Loudness"}).status_code == 400
    assert (
        api.get("/data/noise/measurements", {**query, "values": "LAF10", "period": "PT1H"}).status_code == 400
    )


@pytest.mark.parametrize("wrong", [{"bands": "Twelfth"}, {"weighting": "B"}])
def test_an_unavailable_band_or_weighting_is_an_error(api: Caller, serial: str, wrong: dict) -> None:
    query = {"instruments": serial, "start": FROM, "end": "2026-10-01T00:10:00Z", **wrong}
    assert api.get("/data/frequency/measurements", query).status_code == 400
