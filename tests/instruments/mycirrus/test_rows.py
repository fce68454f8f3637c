"""Every payload and anomaly of the contract's section 11, over a real socket."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.mycirrus import NOISE_VALUES, Client, UnexpectedResponse

from .served import Reply, Served

START = datetime(2023, 1, 1, tzinfo=UTC)
END = datetime(2023, 1, 2, tzinfo=UTC)
SERIAL = "QT123456"
RANGE = [("start", "2023-01-01T00:00:00Z"), ("end", "2023-01-02T00:00:00Z")]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_list_of_instruments_with_empties(served: Served, client: Client) -> None:
    thin = {"type": "Noise", "serialNumber": "QT1", "subscription": {}, "position": {}, "feature": []}
    served.say([thin, {"SerialNumber": "QT2", "position": None, "subscription": None, "feature": None}])
    first, second = client.instruments()
    assert (first.serial, first.type, first.name, first.model, first.image) == ("QT1", "Noise", "", "", "")
    assert (first.subscription_status, first.subscription_tier, first.subscription_addons) == ("", "", ())
    assert (first.latitude, first.longitude, first.features) == (None, None, ())
    assert second.serial == "QT2"
    assert first.document == thin
    asked = served.asked[0]
    assert (asked.method, asked.path) == ("GET", "/v1/control/instruments")
    assert asked.headers["X-Api-Key"] == "mycirrus-123456-AABBCCDD11223344"
    assert asked.headers["User-Agent"] == "cirrusweb"


def test_one_instrument_with_everything(served: Served, client: Client) -> None:
    served.say(
        {
            "type": "Noise",
            "serialNumber": SERIAL,
            "model": "CR:900",
            "name": "My Quantum",
            "image": "https://images.mycirrus.cloud/x.jpg",
            "subscription": {"status": "Active", "tier": "Pro", "addons": ["Audio", "Telepathy"]},
            "position": {"latitude": 54.2, "longitude": -0.4},
            "feature": ["SIC", "Modem", "Antigravity"],
            "unheardOf": {"kept": True},
        }
    )
    found = client.instrument(SERIAL)
    assert (found.type, found.model, found.name) == ("Noise", "CR:900", "My Quantum")
    assert (found.subscription_tier, found.subscription_addons) == ("Pro", ("Audio", "Telepathy"))
    assert (found.latitude, found.longitude) == (54.2, -0.4)
    assert found.features == ("SIC", "Modem", "Antigravity")
    assert found.document["unheardOf"] == {"kept": True}


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ({"lat": 51.5, "long": -0.1}, (51.5, -0.1)),
        ({"Latitude": 51, "Longitude": 0}, (51.0, 0.0)),
        ({"lat": 0, "long": 0}, (None, None)),
        ({"lat": 0.0, "long": 7.5}, (0.0, 7.5)),
        ({"lat": 51.5}, (None, None)),
        ({"lat": 91, "long": 0}, (None, None)),
        ({"lat": "51.5", "long": "..."}, (None, None)),
        ([], (None, None)),
    ],
)
def test_positions(served: Served, client: Client, position: Any, expected: Any) -> None:
    served.say({"serialNumber": SERIAL, "position": position})
    found = client.instrument(SERIAL)
    assert (found.latitude, found.longitude) == expected
    assert found.document["position"] == position


def test_an_instrument_without_serial_is_kept_as_skipped(served: Served, client: Client) -> None:
    served.say([{"serialNumber": "QT1"}, {"name": "nameless"}, "...", None])
    rows = client.instruments()
    assert [row.serial for row in rows] == ["QT1"]
    assert rows.skipped == [{"name": "nameless"}, "...", None]
    assert not rows.is_whole
    served.say([{"serialNumber": "QT1"}, "...", None])
    assert client.instruments().is_whole


def test_a_list_of_webhooks_of_which_a_part_is_not_understood_is_none(served: Served, client: Client) -> None:
    served.say([{"id": "w1", "url": "https://example.org/hook"}, {"url": "https://example.org/hook"}])
    with pytest.raises(UnexpectedResponse, match="1 of the rows"):
        client.webhooks()


@pytest.mark.parametrize("name", ["noise_measurements", "weather", "events", "monitor_stats"])
def test_rows_of_which_none_is_understood_are_not_nothing(served: Served, client: Client, name: str) -> None:
    """A stretch of them would be noted as one of which MyCirrus has nothing, and never be asked for again."""
    read = getattr(client, name)
    served.say([{"began": "2026-01-01T00:00:00Z", "LAeq": 50.0}] * 3)
    with pytest.raises(UnexpectedResponse, match="3 of the rows"):
        read(["QT1"], at(2026, 1, 1), at(2026, 1, 2))
    for nothing in ([], ["..."]):
        served.say(nothing)
        assert list(read(["QT1"], at(2026, 1, 1), at(2026, 1, 2))) == []


@pytest.mark.parametrize(
    ("serial", "path"),
    [
        ("QT1", "QT1"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("a?b#c d", "a%3Fb%23c%20d"),
        ("é", "%C3%A9"),
        ("../webhooks", "..%2Fwebhooks"),
    ],
)
def test_serials_are_escaped_in_paths(served: Served, client: Client, serial: str, path: str) -> None:
    served.say({})
    client.status(serial)
    assert served.asked[0].target == f"/v1/control/instruments/{path}/status"


def test_rename_takes_an_empty_204(served: Served, client: Client) -> None:
    served.say(Reply(status=204))
    client.instrument_rename(SERIAL, "Gate 3 – north")
    asked = served.asked[0]
    assert (asked.method, asked.path) == ("PUT", f"/v1/control/instruments/{SERIAL}")
    assert asked.body == b'{"name": "Gate 3 \\u2013 north"}'


def test_status(served: Served, client: Client) -> None:
    served.say(
        {
            "online": True,
            "measuring": False,
            "calibrationInProgress": False,
            "sicInProgress": True,
            "lastCalibration": {
                "time": "2020-01-01T00:00:00Z",
                "status": "Success",
                "level": 93.7,
                "offset": 0.04,
            },
            "lastSic": {"time": "2020-01-02T00:00:00Z", "status": "Success"},
        }
    )
    found = client.status(SERIAL)
    assert (found.online, found.measuring) == (True, False)
    assert (found.calibration_in_progress, found.sic_in_progress) == (False, True)
    assert found.last_calibration is not None
    assert (found.last_calibration.level_db, found.last_calibration.offset_db) == (93.7, 0.04)
    assert found.last_calibration.serial == SERIAL
    assert found.last_sic is not None
    assert (found.last_sic.at, found.last_sic.passed) == (at(2020, 1, 2), True)
    assert found.last_sic.level_500hz_db is None


@pytest.mark.parametrize(
    "sub", [{}, {"lastCalibration": None, "lastSic": None}, {"lastSic": {}, "lastCalibration": {}}]
)
def test_status_of_an_instrument_that_never_ran_anything(
    served: Served, client: Client, sub: dict[str, Any]
) -> None:
    served.say({"Online": False, **sub})
    found = client.status(SERIAL)
    assert (found.online, found.measuring, found.last_calibration, found.last_sic) == (
        False,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("names", [("_500hz", "_1khz", "_8khz"), ("_500Hz", "_1KHz", "_8KHz")])
def test_sic_levels_in_either_spelling(served: Served, client: Client, names: tuple[str, str, str]) -> None:
    served.say(
        {
            "time": "2020-01-01T00:00:00Z",
            "status": "Success",
            **dict(zip(names, (98.5, 98.3, 98.4), strict=True)),
        }
    )
    found = client.sic(SERIAL)
    assert found is not None
    assert (found.level_500hz_db, found.level_1khz_db, found.level_8khz_db) == (98.5, 98.3, 98.4)


@pytest.mark.parametrize("never", [{}, {"time": None, "status": None}, {"time": "0001-01-01T00:00:00"}])
def test_no_calibration_yet(served: Served, client: Client, never: dict[str, Any]) -> None:
    served.say(never)
    assert client.calibration(SERIAL) is None
    assert client.sic(SERIAL) is None


def test_a_calibration_without_a_time_is_not_taken_for_none(served: Served, client: Client) -> None:
    served.say({"status": "Failed", "level": 80})
    with pytest.raises(UnexpectedResponse) as caught:
        client.calibration(SERIAL)
    assert "Failed" in caught.value.body


@pytest.mark.parametrize(
    ("status", "passed"),
    [
        ("Success", True),
        ("success", True),
        ("Failed", False),
        ("Error", False),
        ("InProgress", None),
        ("Fine, mostly", None),
        ("", None),
    ],
)
def test_status_texts(served: Served, client: Client, status: str, passed: bool | None) -> None:
    served.say(
        [
            {
                "time": "2023-06-14T14:00:00.2074974Z",
                "instrument": "QT800002",
                "status": status,
                "_500Hz": 55.3829,
            }
        ]
    )
    [found] = client.sics(["QT800002"], START, END)
    assert (found.status, found.passed, found.level_500hz_db) == (status, passed, 55.3829)
    assert found.at == at(2023, 6, 14, 14, 0, 0, 207497)


def test_failed_action_is_an_answer(served: Served, client: Client) -> None:
    served.say({"action": "SIC", "status": "Failed"})
    found = client.action(SERIAL, "SIC")
    assert (found.action, found.status, found.passed) == ("SIC", "Failed", False)
    asked = served.asked[0]
    assert (asked.method, asked.target) == ("POST", f"/v1/control/instruments/{SERIAL}/action?action=SIC")
    assert asked.body == b""


def test_calibrations_in_pascal_case(served: Served, client: Client) -> None:
    pascal = {
        "Time": "2022-06-07T14:45:22Z",
        "Status": "Success",
        "Instrument": SERIAL,
        "Level": 93.7,
        "Offset": 0.12,
    }
    served.say([pascal, {key.lower(): value for key, value in pascal.items()}])
    first, second = client.calibrations([SERIAL, "QT2"], START, END)
    assert first == second
    assert (first.serial, first.at, first.status) == (SERIAL, at(2022, 6, 7, 14, 45, 22), "Success")
    assert (first.level_db, first.offset_db, first.document) == (93.7, 0.12, pascal)


def test_rows_without_instrument_belong_to_the_only_one_asked(served: Served, client: Client) -> None:
    served.say(
        [{"time": "2022-06-07T11:18:42.814Z", "user": "Quantum Demo", "message": "Installed and working"}]
    )
    [entry] = client.calibration_log(SERIAL, START, END)
    assert (entry.serial, entry.user, entry.message) == (SERIAL, "Quantum Demo", "Installed and working")
    served.say(
        [{"cpu": 12.2, "mem": 8.3, "disk": 0.2, "temp": 51.1, "uptime": 900, "network": 3.7, "voltage": 11.5}]
    )
    assert client.monitor_current([SERIAL])[0].serial == SERIAL
    [found] = client.monitor_current([SERIAL, "QT2"])
    assert found.serial is None
    assert (found.mem_pct, found.disk_pct, found.uptime_s, found.sim_quota_mb) == (8.3, 0.2, 900, None)
    assert served.asked[-1].query == [("instruments", SERIAL), ("instruments", "QT2")]


def test_arrays_times_and_values_as_sent(served: Served) -> None:
    one_hour = timedelta(hours=1)
    with Client("mycirrus-123456-AABBCCDD11223344", served.url) as client:
        client.noise_measurements(["QT1", "QT2"], START, END, one_hour, ["LAeq", "LCPeak"])
    assert served.asked[-1].query == [
        *[("instruments", "QT1"), ("instruments", "QT2"), *RANGE],
        *[("period", "PT1H"), ("values", "LAeq,LCPeak")],
    ]
    with Client("mycirrus-123456-AABBCCDD11223344", served.url, array_encoding="comma") as client:
        client.weather(["QT1", "QT2"], START, END, "P1D")
    assert served.asked[-1].query == [("instruments", "QT1,QT2"), *RANGE, ("period", "P1D")]


def test_a_naive_time_is_not_sent(served: Served, client: Client) -> None:
    with pytest.raises(ValueError, match="zone"):
        client.events([SERIAL], START.replace(tzinfo=None), END)
    assert not served.asked


def test_a_single_text_is_not_a_list_of_serials(served: Served, client: Client) -> None:
    for wrong in (SERIAL, []):
        with pytest.raises(ValueError, match="serial"):
            client.events(wrong, START, END)
    assert not served.asked


@pytest.mark.parametrize(
    "form",
    [
        {
            "instrument": SERIAL,
            "startTime": "2023-01-01T00:00:00Z",
            "duration": 900,
            "LAeq": 55.1,
            "LCPeak": 80,
        },
        {
            "Instrument": SERIAL,
            "time": "2023-01-01T00:00:00",
            "endTime": "2023-01-01T00:15:00",
            "lAeq": 55.1,
            "lcPeak": 80,
        },
        {
            "serialNumber": SERIAL,
            "start": "2023-01-01T00:00:00.0000000Z",
            "duration": "PT15M",
            "laeq": 55.1,
            "LCPEAK": 80,
        },
        {"startTime": "2023-01-01T00:00:00Z", "duration": 900, "values": {"LAeq": 55.1, "LCPeak": 80}},
        {
            "end": "2023-01-01T00:15:00Z",
            "duration": 900,
            "values": [{"name": "LAeq", "value": 55.1}, {"name": "LCPeak", "value": 80}],
        },
    ],
)
def test_noise_measurements_in_every_likely_form(
    served: Served, client: Client, form: dict[str, Any]
) -> None:
    served.say([form])
    [row] = client.noise_measurements([SERIAL], START, END)
    assert (row.serial, row.start_at, row.end_at) == (SERIAL, START, at(2023, 1, 1, 0, 15))
    assert row.duration_s == 900
    assert row.values == {"LAeq": 55.1, "LCPeak": 80.0}
    assert row.document == form


def test_noise_measurements_as_blocks(served: Served, client: Client) -> None:
    def series(name: str, *values: Any) -> dict[str, Any]:
        ends = {"start": "2023-01-01T00:00:00Z", "end": "2023-01-01T00:30:00Z"}
        return {
            "type": name,
            "instrument": SERIAL,
            "blocks": [{**ends, "sampleDuration": 900_000, "values": values}],
        }

    served.say([series("LAeq", 55.1, 56.2), series("lafMax", 70, "..."), {"type": "LAeq", "blocks": ["..."]}])
    rows = client.noise_measurements([SERIAL], START, END)
    assert [(row.start_at, row.duration_s, row.values) for row in rows] == [
        (START, 900, {"LAeq": 55.1, "LAFMax": 70.0}),
        (at(2023, 1, 1, 0, 15), 900, {"LAeq": 56.2}),
    ]
    assert rows.skipped == ["..."]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("lAeq", "LAeq"),
        ("lcPeak", "LCPeak"),
        ("lafMax", "LAFMax"),
        ("LAFmax", "LAFMax"),
        ("lae", "LAE"),
        ("laF10", "LAF10"),
        ("leX8", "LEX8"),
        ("leqT1Max", "LeqT1Max"),
    ],
)
def test_value_names_in_the_servers_camel_case(served: Served, client: Client, sent: str, name: str) -> None:
    served.say([{"startTime": "2023-01-01T00:00:00Z", sent: 50.5}])
    assert client.noise_measurements([SERIAL], START, END)[0].values == {name: 50.5}


def test_all_28_values_in_any_case(served: Served, client: Client) -> None:
    served.say(
        [{"startTime": "2023-01-01T00:00:00Z", **{name.swapcase(): i for i, name in enumerate(NOISE_VALUES)}}]
    )
    [row] = client.noise_measurements([SERIAL], START, END)
    assert row.values == {name: float(i) for i, name in enumerate(NOISE_VALUES)}
    assert len(row.values) == 28


def test_missing_values_labels_and_unknown_names(served: Served, client: Client) -> None:
    raw = (
        b'[{"startTime":"2023-01-01T00:00:00Z","LAeq":null,"LCPeak":"...","LAFMax":NaN,"LAF10":true,"LAF90":1e999,'
        b'"LAE":0,"LeqT1Max":61.5,"leqT1Type":"LAeq,5m","Lnew":12,"type":"Noise"},{"LAeq":50}]'
    )
    served.say(Reply(raw=raw))
    rows = client.noise_measurements([SERIAL], START, END)
    assert rows[0].values == {"LAE": 0.0, "LeqT1Max": 61.5, "Lnew": 12.0}
    assert rows[0].labels == {"LeqT1Type": "LAeq,5m"}
    assert (rows[0].end_at, rows[0].duration_s) == (None, None)
    assert rows.skipped == [{"LAeq": 50}]


def test_time_history_from_the_mock(served: Served, client: Client) -> None:
    block = {
        "start": "2019-08-24T14:15:00Z",
        "end": "2019-08-24T14:30:00Z",
        "values": [55.3, 43.1, 45.6, "..."],
        "sampleDuration": 1000,
    }
    series = {"type": "LAeq", "blocks": [block, "..."], "instrument": SERIAL}
    served.say([series])
    rows = client.event_time_history("asliuh-fufks87s/oqkusd7")
    assert served.asked[0].target == "/v1/data/events/timehistory/asliuh-fufks87s%2Foqkusd7"
    [found] = rows
    assert (found.serial, found.name) == (SERIAL, "LAeq")
    [only] = found.blocks
    assert (only.start_at, only.end_at) == (at(2019, 8, 24, 14, 15), at(2019, 8, 24, 14, 30))
    assert (only.sample_s, only.values) == (1.0, (55.3, 43.1, 45.6, None))
    assert rows.skipped == ["..."]
    assert found.document == {"type": "LAeq", "instrument": SERIAL}


@pytest.mark.parametrize("told", [{"sampleDuration": 1000}, {"sampleDuration": 1}, {}, {"sampleDuration": 0}])
def test_sample_duration_is_in_whichever_unit_fits(
    served: Served, client: Client, told: dict[str, Any]
) -> None:
    block = {"start": "2023-01-01T00:00:00Z", "end": "2023-01-01T00:01:00Z", "values": [50.5] * 60, **told}
    served.say([{"type": "laeq", "instrument": SERIAL, "blocks": [block]}])
    [found] = client.noise_time_history([SERIAL], START, END, "PT1S", ["LAeq"])
    assert found.name == "LAeq"
    assert found.blocks[0].sample_s == 1.0


def test_tenths_of_a_second(served: Served, client: Client) -> None:
    block = {
        "start": "2023-01-01T00:00:00Z",
        "end": "2023-01-01T00:00:01Z",
        "values": [50] * 10,
        "sampleDuration": 100,
    }
    served.say([{"type": "LAF", "blocks": [block]}])
    [found] = client.noise_time_history([SERIAL], START, END, timedelta(milliseconds=100))
    assert (found.name, found.serial, found.blocks[0].sample_s) == ("LAF", SERIAL, 0.1)
    assert ("period", "PT0.1S") in served.asked[0].query


def test_frequency_time_history(served: Served, client: Client) -> None:
    bands = [
        {"name": "31.5Hz", "values": [55.3, "..."]},
        {"name": "1khz3", "values": [40, 41]},
        "...",
        {"values": []},
    ]
    block = {
        "start": "2019-08-24T14:15:00Z",
        "end": "2019-08-24T14:15:02Z",
        "sampleDuration": 1000,
        "bands": bands,
    }
    served.say([{"type": "Octave", "blocks": [block]}])
    rows = client.frequency_time_history([SERIAL], START, END, bands="Third", weighting="A")
    [found] = rows
    assert (found.kind, found.serial) == ("Octave", SERIAL)
    assert found.blocks[0].bands == {"31.5Hz": (55.3, None), "1KHz": (40.0, 41.0)}
    assert found.blocks[0].sample_s == 1.0
    assert rows.skipped == ["...", {"values": []}]
    assert served.asked[0].query[-2:] == [("bands", "Third"), ("weighting", "A")]


@pytest.mark.parametrize(
    "form",
    [
        {"bands": [{"name": "31.5Hz", "value": 50}, {"name": "1KHz", "value": 60.5}]},
        {
            "bands": [
                {"name": "31.5Hz", "values": [50]},
                {"name": "1KHz", "level": 60.5},
                {"name": "2KHz", "value": "..."},
            ]
        },
        {"bands": {"31.5Hz": 50, "1KHz": 60.5, "2KHz": None}},
        {"31.5Hz": 50, "1khz": 60.5},
        {"values": {"31.5Hz": 50, "1KHz": 60.5}},
    ],
)
def test_frequency_measurements_in_every_likely_form(
    served: Served, client: Client, form: dict[str, Any]
) -> None:
    served.say(
        [{"startTime": "2023-01-01T00:00:00Z", "duration": 900, "type": "Octave", **form}, {"31.5Hz": 1}]
    )
    rows = client.frequency_measurements([SERIAL], START, END)
    assert (rows[0].kind, rows[0].bands, rows[0].duration_s) == (
        "Octave",
        {"31.5Hz": 50.0, "1KHz": 60.5},
        900,
    )
    assert rows.skipped == [{"31.5Hz": 1}]


def test_frequency_measurements_as_blocks(served: Served, client: Client) -> None:
    bands = [{"name": "31.5Hz", "values": [50, 51]}, {"name": "1KHz", "values": [60, None]}]
    ends = {"start": "2023-01-01T00:00:00Z", "end": "2023-01-01T00:30:00Z"}
    served.say([{"type": "Octave", "blocks": [{**ends, "sampleDuration": 900_000, "bands": bands}]}])
    first, second = client.frequency_measurements([SERIAL], START, END)
    assert (first.kind, first.bands) == ("Octave", {"31.5Hz": 50.0, "1KHz": 60.0})
    assert (second.start_at, second.bands) == (at(2023, 1, 1, 0, 15), {"31.5Hz": 51.0})


def test_weather(served: Served, client: Client) -> None:
    served.say(
        [
            {
                "time": "2023-06-09T01:00:00Z",
                "instrument": SERIAL,
                "windSpeed": 1.55,
                "windDirection": 140.37,
                "temperature": 10.48,
                "pressure": 1.012,
                "humidity": 82,
                "precipitation": None,
            }
        ]
    )
    [row] = client.weather([SERIAL], START, END)
    assert (row.at, row.wind_speed_ms, row.wind_direction_deg) == (at(2023, 6, 9, 1), 1.55, 140.37)
    assert (row.temperature_c, row.pressure_bar, row.humidity_pct, row.precipitation_mmh) == (
        10.48,
        1.012,
        82.0,
        None,
    )


def test_particulates_and_gases(served: Served, client: Client) -> None:
    frame = {"startTime": "2023-06-09T01:00:00Z", "duration": 60, "instrument": "AQ1"}
    served.say([{**frame, "pM1": 1.5, "PM2p5": 2.5, "pM4p25": None, "pM10": 10}])
    [dust] = client.particulates(["AQ1"], START, END)
    assert (dust.pm1_ugm3, dust.pm2p5_ugm3, dust.pm4p25_ugm3, dust.pm10_ugm3) == (1.5, 2.5, None, 10.0)
    assert (dust.start_at, dust.duration_s) == (at(2023, 6, 9, 1), 60.0)
    served.say([{**frame, "co": 1, "cO2": 415, "h2S": 2, "no": 3, "nO2": 4, "o3": 5, "sO2": None, "voc": 6}])
    [gas] = client.gases(["AQ1"], START, END)
    assert (gas.co_ppb, gas.co2_ppm, gas.h2s_ppb, gas.no_ppb, gas.no2_ppb) == (1, 415, 2, 3, 4)
    assert (gas.o3_ppb, gas.so2_ppb, gas.voc) == (5, None, 6)


def test_vibration_of_either_kind(served: Served, client: Client) -> None:
    frame = {"duration": 60, "startTime": "2023-07-07T03:19:00Z", "instrument": "AABBCC"}
    served.say(
        [{**frame, "fDomX": 5, "fDomY": None, "fDomZ": 13.5, "vMaxX": 0.6442, "vMaxY": None, "vMaxZ": 0.3546}]
    )
    [ppv] = client.vibration("PPV", ["AABBCC"], START, END)
    assert (ppv.v_max_x_mms, ppv.v_max_y_mms, ppv.v_max_z_mms) == (0.6442, None, 0.3546)
    assert (ppv.f_dom_x_hz, ppv.f_dom_y_hz, ppv.f_dom_z_hz) == (5.0, None, 13.5)
    served.say([{**frame, "vdvX": 0.0008, "vdvY": 0.0006, "vdvZ": 0.0022}])
    [vdv] = client.vibration("VDV", ["AABBCC"], START, END)
    assert (vdv.vdv_x, vdv.vdv_y, vdv.vdv_z) == (0.0008, 0.0006, 0.0022)
    assert [asked.path for asked in served.asked] == ["/v1/data/vibration/PPV", "/v1/data/vibration/VDV"]


def test_events(served: Served, client: Client) -> None:
    full = {
        "name": "LAeq",
        "type": "Noise",
        "level": 65,
        "octave": None,
        "thirdOctave": None,
        "instrument": SERIAL,
        "audioId": "soqu-qkxi",
        "timeHistoryId": "asli-oqku",
        "overall": [57.67, 82.53, 55.4, 60.5, "...", None],
        "startTime": "2023-06-16T11:35:20Z",
        "endTime": "2023-06-16T11:35:40Z",
        "audioTime": "2023-06-16T11:35:25Z",
    }
    served.say(
        [full, {"startTime": "2023-06-16T11:35:20Z", "audioTime": None, "audioId": None, "octave": [1, 2]}]
    )
    first, bare = client.events([SERIAL], START, END)
    assert (first.name, first.type, first.level_db, first.audio_id) == ("LAeq", "Noise", 65.0, "soqu-qkxi")
    assert (first.start_at, first.end_at) == (at(2023, 6, 16, 11, 35, 20), at(2023, 6, 16, 11, 35, 40))
    assert first.overall == (57.67, 82.53, 55.4, 60.5, None, None)
    assert (first.octave, first.third_octave, first.audio_at) == (None, None, at(2023, 6, 16, 11, 35, 25))
    assert (bare.audio_id, bare.time_history_id, bare.audio_at, bare.overall) == ("", "", None, None)
    assert (bare.octave, bare.level_db, bare.name) == ((1.0, 2.0), None, "")


def test_audio_list_reads_missing_zones_as_utc(served: Served, client: Client) -> None:
    served.say(
        [
            {
                "id": "3uCL/gmZ",
                "endTime": "2023-06-12T10:28:00",
                "startTime": "2023-06-12T10:27:41",
                "instrument": SERIAL,
                "triggerName": "Default",
                "triggerEndTime": "2023-06-12T10:27:55Z",
                "triggerStartTime": "2023-06-12T10:27:42Z",
            },
            {"startTime": "2023-06-12T10:27:41"},
        ]
    )
    rows = client.audio_list([SERIAL], START, END)
    assert (rows[0].id, rows[0].start_at, rows[0].end_at) == (
        *("3uCL/gmZ", at(2023, 6, 12, 10, 27, 41)),
        at(2023, 6, 12, 10, 28),
    )
    assert (rows[0].trigger_name, rows[0].trigger_start_at) == ("Default", at(2023, 6, 12, 10, 27, 42))
    assert len(rows.skipped) == 1


def test_audio_is_streamed(served: Served, client: Client) -> None:
    sound = bytes(range(256)) * 1024
    served.say(Reply(raw=sound, headers={"Content-Type": "application/octet-stream"}))
    with client.audio("3uCL/gmZ", "WAV") as stream:
        assert stream.length == len(sound)
        pieces = list(stream)
    assert len(pieces) > 1
    assert b"".join(pieces) == sound
    assert served.asked[-1].target == "/v1/data/audio/3uCL%2FgmZ?format=WAV"
    with client.event_audio("soqu") as stream:
        assert b"".join(stream) == sound
    assert served.asked[-1].target == "/v1/data/events/audio/soqu?format=FLAC"


def test_monitor_stats_and_events(served: Served, client: Client) -> None:
    stats = {
        "time": "2023-06-09T01:00:00Z",
        "instrument": SERIAL,
        "period": 60,
        "cpu": 5,
        "mem": 210,
        "disk": 900,
    }
    served.say(
        [
            {
                **stats,
                "mTot": 512,
                "dTot": 4000,
                "lteRsrp": None,
                "lteSignal": -71,
                "netRx": 12,
                "ping": 48,
                "temp": 40,
            }
        ]
    )
    [row] = client.monitor_stats([SERIAL], START, END)
    assert (row.period_s, row.mem_mb, row.disk_mb, row.mem_total_mb, row.disk_total_mb) == (
        60,
        210,
        900,
        512,
        4000,
    )
    assert (row.lte_rsrp, row.lte_signal, row.net_rx_kbit, row.ping_ms, row.temperature_c) == (
        None,
        -71,
        12,
        48,
        40,
    )
    served.say([{"time": "2023-06-09T01:00:00Z", "type": "Reboot", "description": "Power"}, {"what": "?"}])
    events = client.monitor_events([SERIAL], START, END)
    assert [(each.serial, each.type, each.message) for each in events] == [(SERIAL, "Reboot", "Power")]
    assert events.skipped == [{"what": "?"}]


def test_webhooks_and_their_hidden_secrets(served: Served, client: Client) -> None:
    hook = {
        "id": "x1",
        "url": "https://example.com/h",
        "type": "NewMeasurement",
        "secret": "s3cr3t-text",
        "instrument": SERIAL,
    }
    served.say([hook, {**hook, "id": "x2", "type": "SomethingNew"}])
    first, second = client.webhooks()
    assert (first.id, first.type, first.serial, first.url) == (
        "x1",
        "NewMeasurement",
        SERIAL,
        "https://example.com/h",
    )
    assert (first.secret, second.type) == ("s3cr3t-text", "SomethingNew")
    assert "s3cr3t" not in repr(first) + repr(first.document)
    served.say(Reply(hook, status=201))
    made = client.webhook_create(type="NewMeasurement", serial=SERIAL, url="https://example.com/h")
    assert (made.id, made.secret) == ("x1", "s3cr3t-text")
    assert served.asked[-1].body == (
        b'{"type": "NewMeasurement", "instrument": "QT123456", "url": "https://example.com/h"}'
    )
    served.say(hook)
    assert client.webhook("x/1").id == "x1"
    assert served.asked[-1].path == "/v1/webhooks/x%2F1"


def test_webhook_changes_with_and_without_a_body(served: Served, client: Client) -> None:
    served.say(Reply(status=204))
    changed = client.webhook_update(
        "x1", type="NewEvent", serial=SERIAL, url="https://example.com/n", secret="abc"
    )
    assert (changed.id, changed.type, changed.url, changed.secret) == (
        "x1",
        "NewEvent",
        "https://example.com/n",
        "abc",
    )
    assert "abc" not in repr(changed.document)
    client.webhook_delete("x1")
    assert [(asked.method, asked.path) for asked in served.asked] == [
        ("PUT", "/v1/webhooks/x1"),
        ("DELETE", "/v1/webhooks/x1"),
    ]


def test_scopes_are_found_by_harmless_calls(served: Served, client: Client) -> None:
    denied = Reply({"error": "AccessDenied"}, status=403)
    served.say(
        [
            {"serialNumber": "AQ1", "type": "AirQuality"},
            {"serialNumber": SERIAL, "type": "Noise"},
        ],  # instruments
        denied,  # webhooks
        [],  # noise
        denied,  # weather
        Reply({"error": "NotFound"}, status=400),  # events
        [],  # audio
        denied,  # calibrations
    )
    assert client.probe_scopes() == {
        "instruments:read": True,
        "instruments:write": None,
        "instruments:action": None,
        "data.live:read": None,
        "data.noise:read": True,
        "data.enviro:read": False,
        "data.events:read": None,
        "data.audio:read": True,
        "data.system:read": False,
        "webhooks:read": False,
        "webhooks:write": None,
    }
    assert {asked.method for asked in served.asked} == {"GET"}
    asked = {asked.path.removeprefix("/v1"): dict(asked.query).get("instruments") for asked in served.asked}
    assert asked["/data/noise/measurements"] == SERIAL
    assert asked["/data/weather"] == "AQ1"


def test_scopes_of_a_key_that_may_list_nothing(served: Served, client: Client) -> None:
    served.say(Reply({"error": "AccessDenied"}, status=403))
    found = client.probe_scopes()
    assert (found["instruments:read"], found["webhooks:read"], found["data.noise:read"]) == (
        False,
        False,
        None,
    )
    assert len(served.asked) == 2


def test_success_without_anything_to_read_is_success(served: Served, client: Client) -> None:
    for reply in (Reply(raw=b"OK"), Reply(raw=b"<html>"), Reply(raw=b""), Reply(status=204)):
        served.say(reply)
        client.instrument_rename(SERIAL, "Gate 3")
        client.webhook_delete("x1")


def test_what_no_database_can_hold_is_taken_out(served: Served, client: Client) -> None:
    served.say(
        Reply(
            raw=rb'[{"serialNumber":"QT1","name":"a\u0000b\ud800c","x":[1e999,NaN,-Infinity,1.5,"\ud83d\ude00"]}]'
        )
    )
    [found] = client.instruments()
    assert found.name == "ab?c"
    assert found.document["x"] == [None, None, None, 1.5, "\U0001f600"]


def test_blocks_of_a_value_that_we_do_not_know(served: Served, client: Client) -> None:
    block = {"start": "2023-01-01T00:00:00Z", "sampleDuration": 60_000, "values": [1, 2]}
    served.say([{"type": "Lnew", "instrument": SERIAL, "blocks": [block]}])
    rows = client.noise_measurements([SERIAL], START, END)
    assert [(row.serial, row.duration_s, row.values) for row in rows] == [
        (SERIAL, 60, {"Lnew": 1.0}),
        (SERIAL, 60, {"Lnew": 2.0}),
    ]


@pytest.mark.parametrize("name", ["noise_measurements", "weather", "sics"])
def test_rows_that_name_another_instrument_are_not_taken_for_the_one_that_was_asked_for(
    served: Served, client: Client, name: str
) -> None:
    read = getattr(client, name)
    row = {"startTime": "2023-01-01T00:00:00Z", "time": "2023-01-01T00:00:00Z", "status": "Success"}
    row |= {"LAeq": 50.0, "temperature": 4.0} if name != "sics" else {}
    mine, foreign = {**row, "instrument": SERIAL.lower()}, {**row, "instrument": "QT999999"}
    served.say([mine, foreign, row])
    rows = read([SERIAL], START, END)
    assert [each.serial for each in rows] == [SERIAL.lower(), SERIAL]
    assert rows.skipped == [foreign]
    served.say([foreign])
    with pytest.raises(UnexpectedResponse, match="name another instrument"):
        read([SERIAL], START, END)
    # Of several that were asked for each may come.
    rows = read([SERIAL, "QT999999"], START, END)
    assert [each.serial for each in rows] == ["QT999999"]
