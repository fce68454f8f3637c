"""Every operation of the contract answers as the OpenAPI file says, and says no as it says."""

import pytest

from tests.simulated import SimulatedMyCirrus
from tests.simulator import openapi
from tests.simulator.conftest import Caller

DAY = {"start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z"}
HOUR = {"start": "2026-11-20T09:00:00Z", "end": "2026-11-20T10:00:00Z"}
YEAR = {"start": "2026-01-01T00:00:00Z", "end": "2026-11-21T00:00:00Z"}

# Operation, range, type of instrument, further parameters, at least so many rows.
LISTS = [
    ("getmeasurements", DAY, "Noise", {}, 1300),
    ("getmeasurements", DAY, "Noise", {"values": "LAeq,LeqT1Max,LAF90"}, 1300),
    ("getmeasurements", DAY, "Noise", {"period": "PT1H"}, 20),
    ("gettimehistory", HOUR, "Noise", {"values": "LAeq,LAFMax"}, 2),
    ("getfrequencymeasurements", HOUR, "Noise", {"bands": "Third", "weighting": "A"}, 60),
    ("getfrequencytimehist", HOUR, "Noise", {}, 1),
    ("getaudiolist", DAY, "Noise", {}, 1),
    ("getweather", DAY, "Noise", {}, 1300),
    ("getparticulates", DAY, "AirQuality", {}, 1300),
    ("getgases", DAY, "AirQuality", {"period": "PT15M"}, 90),
    ("getevents", DAY, "Noise", {}, 2),
    ("getcalibrations", YEAR, "Noise", {}, 8),
    ("getcalibrationslog", YEAR, "Noise", {}, 8),
    ("getsic", YEAR, "Noise", {}, 250),
    ("getmonitorstats", DAY, "Noise", {}, 250),
    ("getmonitorcurrentstatus", {}, "Noise", {}, 1),
]


@pytest.mark.parametrize(("operation", "span", "kind", "more", "least"), LISTS)
def test_data_operation_answers_as_described(
    mycirrus: SimulatedMyCirrus, api: Caller, operation: str, span: dict, kind: str, more: dict, least: int
) -> None:
    path = openapi.operations()[operation]["path"]
    answer = api.get(path, {"instruments": mycirrus.serials(kind)[0], **span, **more})
    assert answer.status_code == 200, answer.text
    openapi.check(operation, answer)
    assert len(answer.json()) >= least


@pytest.mark.parametrize("kind", ["PPV", "VDV"])
def test_vibration_answers_as_described(mycirrus: SimulatedMyCirrus, api: Caller, kind: str) -> None:
    answer = api.get(f"/data/vibration/{kind}", {"instruments": mycirrus.serials("Vibration")[0], **DAY})
    openapi.check("getvibration", answer)
    assert ("vMaxX" in answer.json()[0]) == (kind == "PPV")


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("getinstrument", ""),
        ("getinstrumentstatus", "/status"),
        ("getcalibrationstatus", "/calibration"),
        ("getsicstatus", "/sic"),
    ],
)
def test_instrument_reads_answer_as_described_for_the_whole_fleet(
    mycirrus: SimulatedMyCirrus, api: Caller, operation: str, path: str
) -> None:
    for fact in mycirrus.facts()["instruments"]:
        answer = api.get(f"/control/instruments/{fact['serial']}{path}")
        assert answer.status_code == 200
        openapi.check(operation, answer)


def test_instrument_list_answers_as_described(api: Caller) -> None:
    answer = api.get("/control/instruments")
    openapi.check("getinstruments", answer)
    rows = answer.json()
    assert len(rows) == 12
    assert {row["type"] for row in rows} == {"Noise", "AirQuality", "Vibration"}
    assert [row["subscription"] for row in rows].count({}) == 1
    assert sum(row["subscription"].get("status") == "Expired" for row in rows) == 1


def test_actions_rename_and_webhooks_answer_as_described(own: SimulatedMyCirrus) -> None:
    api, serial = Caller(own), own.serials()[0]
    one = f"/control/instruments/{serial}"
    renamed = api("PUT", one, json={"name": "Pier Head"})
    assert renamed.status_code == 204
    openapi.check("setinstrument", renamed)
    assert api.get(one).json()["name"] == "Pier Head"
    for action, status in (("Identify", "Success"), ("Calibration", "InProgress")):
        answer = api("POST", one + "/action", params={"action": action})
        openapi.check("doinstrumentaction", answer)
        assert answer.json() == {"action": action, "status": status}

    wish = {"type": "SicFinished", "instrument": serial, "url": "https://example.com/hook"}
    made = api("POST", "/webhooks", json=wish)
    assert made.status_code == 201
    openapi.check("addwebhook", made)
    hook = made.json()
    assert hook["secret"]
    openapi.check("getwebhooks", api.get("/webhooks"))
    assert api.get("/webhooks").json() == [hook]
    openapi.check("getwebhook", api.get(f"/webhooks/{hook['id']}"))
    changed = api("PUT", f"/webhooks/{hook['id']}", json={**hook, "url": "https://example.com/other"})
    openapi.check("updatewebhook", changed)
    assert changed.json()["secret"] == hook["secret"]
    openapi.check("deletewebhook", api("DELETE", f"/webhooks/{hook['id']}"))
    assert api.get("/webhooks").json() == []


def test_event_and_its_audio_and_history_can_be_fetched(api: Caller, serial: str) -> None:
    events = api.rows("/data/events", serial, **DAY)
    event = next(row for row in events if row["audioId"])
    history = api.get(f"/data/events/timehistory/{event['timeHistoryId']}")
    openapi.check("geteventtimehistory", history)
    block = history.json()[0]["blocks"][0]
    assert block["start"] < event["startTime"] < event["endTime"] < block["end"]
    openapi.check("geteventaudio", api.get(f"/data/events/audio/{event['audioId']}"))
    recording = api.rows("/data/audio", serial, **DAY)[0]
    openapi.check("getaudio", api.get(f"/data/audio/{recording['id']}"))
    # An id belongs to its own path.
    assert api.get(f"/data/audio/{event['audioId']}").status_code == 404
    assert api.get(f"/data/events/audio/{recording['id']}").status_code == 404


def test_every_known_operation_is_served_and_guarded_by_its_scope(own: SimulatedMyCirrus) -> None:
    own.add_key("no-scope-at-all", scopes=[])
    nobody, powerless, serial = (
        Caller(own, key="nonsense"),
        Caller(own, key="no-scope-at-all"),
        own.serials()[0],
    )
    for operation_id, operation in openapi.operations().items():
        if operation["x-status"] == "UNKNOWN" and operation_id == "getmonitorevents":
            continue
        path = operation["path"].replace("{serial}", serial).replace("{type}", "PPV")
        path = path.replace("{id}", "x").replace("{recordingId}", "x").replace("{webhookId}", "x")
        refused = nobody(operation["method"], path)
        assert (refused.status_code, refused.json()["error"]) == (401, "TokenExpired"), operation_id
        openapi.check(operation_id, refused)
        denied = powerless(operation["method"], path)
        assert (denied.status_code, denied.json()["error"]) == (403, "AccessDenied"), operation_id
        openapi.check(operation_id, denied)
        for scope in operation["x-scopes"]:
            own.add_key("one-scope-less", scopes=[s for s in ALL_SCOPES if s != scope])
            lacking = Caller(own, key="one-scope-less")(operation["method"], path)
            assert lacking.status_code == 403, f"{operation_id} does not ask for {scope}"


ALL_SCOPES = [
    "instruments:read",
    "instruments:write",
    "instruments:action",
    "data.live:read",
    "data.noise:read",
    "data.enviro:read",
    "data.events:read",
    "data.audio:read",
    "data.system:read",
    "webhooks:read",
    "webhooks:write",
]


def test_a_key_reaches_only_its_instruments(own: SimulatedMyCirrus) -> None:
    mine, other = own.serials()[:2]
    own.add_key("narrow", instruments=[mine])
    api = Caller(own, key="narrow")
    assert [row["serialNumber"] for row in api.get("/control/instruments").json()] == [mine]
    answer = api.get(f"/control/instruments/{other}")
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    both = api.get("/data/noise/measurements", {"instruments": [mine, other], **HOUR})
    assert both.json() == {"error": "NotFound", "description": f"The instrument {other} could not be found."}
    own.revoke_key("narrow")
    assert api.get("/control/instruments").status_code == 401
