"""Webhooks: registration, signed deliveries, retries, and messages as time passes."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.simulated import SimulatedMyCirrus
from tests.simulator import openapi
from tests.simulator.conftest import Caller
from tests.simulator.receiver import Received, Receiver

SECRET = "a-secret-of-ours"


def register(mycirrus: SimulatedMyCirrus, serial: str, kind: str, url: str) -> dict[str, Any]:
    wish = {"type": kind, "instrument": serial, "url": url, "secret": SECRET}
    answer = Caller(mycirrus)("POST", "/webhooks", json=wish)
    assert answer.status_code == 201, answer.text
    return answer.json()


def mac(received: Received) -> bytes:
    return hmac.new(SECRET.encode(), received.body, hashlib.sha256).digest()


def test_a_delivery_is_signed_over_its_raw_body(silent: SimulatedMyCirrus) -> None:
    serial = silent.serials()[0]
    with Receiver() as receiver:
        hook = register(silent, serial, "SicFinished", receiver.url)
        (outcome,) = silent.deliver("SicFinished", serial)
        assert outcome["delivered"] is True
        (got,) = receiver.wait_for(1)
    assert got.headers["X-Webhook-Id"] == hook["id"]
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["X-Webhook-Signature"] == mac(got).hex()
    body = json.loads(got.body)
    openapi.message(body)
    assert body["instrument"] == serial
    assert body["data"] == Caller(silent).get(f"/control/instruments/{serial}/sic").json()


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("hex", lambda m: m.hex()),
        ("HEX", lambda m: m.hex().upper()),
        ("base64", lambda m: base64.b64encode(m).decode()),
        ("base64url", lambda m: base64.urlsafe_b64encode(m).decode().rstrip("=")),
        ("sha256-prefix", lambda m: "sha256=" + m.hex()),
    ],
)
def test_the_signature_is_written_as_the_mood_says(
    silent: SimulatedMyCirrus, encoding: str, written: Any
) -> None:
    serial = silent.serials()[0]
    silent.moods(signature=encoding)
    with Receiver() as receiver:
        register(silent, serial, "InstrumentStatus", receiver.url)
        silent.deliver("InstrumentStatus", serial)
        (got,) = receiver.wait_for(1)
    assert got.headers["X-Webhook-Signature"] == written(mac(got))


def test_a_failed_delivery_is_tried_six_times_with_growing_pauses(silent: SimulatedMyCirrus) -> None:
    serial = silent.serials()[0]
    silent.moods(retry_spacing=0.03)
    with Receiver(lambda _: 500) as receiver:
        register(silent, serial, "NewMeasurement", receiver.url)
        (outcome,) = silent.deliver("NewMeasurement", serial)
        tries = receiver.wait_for(6)
    assert outcome["delivered"] is False
    assert [attempt["status"] for attempt in outcome["attempts"]] == [500] * 6
    assert len({got.body for got in tries}) == 1
    pauses = [later.at - earlier.at for earlier, later in pairwise(tries)]
    assert pauses[4] > pauses[1] * 2


def test_only_200_counts_and_the_first_ends_the_retries(silent: SimulatedMyCirrus) -> None:
    serial = silent.serials()[0]
    silent.moods(retry_spacing=0.01)
    with Receiver(lambda number: 200 if number == 2 else 204) as receiver:
        register(silent, serial, "NewMeasurement", receiver.url)
        (outcome,) = silent.deliver("NewMeasurement", serial)
        receiver.wait_for(3)
    assert [attempt["status"] for attempt in outcome["attempts"]] == [204, 204, 200]
    assert outcome["delivered"] is True


def test_a_webhook_that_keeps_failing_is_removed(silent: SimulatedMyCirrus) -> None:
    serial = silent.serials()[0]
    silent.moods(retry_spacing=0)
    with Receiver(lambda _: 503) as receiver:
        register(silent, serial, "NewMeasurement", receiver.url)
        for _ in range(20):
            silent.deliver("NewMeasurement", serial)
    assert Caller(silent).get("/webhooks").json() == []


def test_nobody_there_is_a_failure_and_not_a_crash(own: SimulatedMyCirrus) -> None:
    own.moods(retry_spacing=0)
    (outcome,) = own.deliver_to("http://127.0.0.1:9/hook", message={"type": "NewEvent"})
    assert len(outcome["attempts"]) == 6
    assert all("error" in attempt for attempt in outcome["attempts"])


def test_a_delivery_may_be_sent_with_a_wrong_signature_or_any_bytes(own: SimulatedMyCirrus) -> None:
    with Receiver() as receiver:
        own.deliver_to(receiver.url, secret=SECRET, raw="not json", signature="bogus", id="hook-1")
        (got,) = receiver.wait_for(1)
    assert (got.body, got.headers["X-Webhook-Signature"]) == (b"not json", "bogus")
    assert got.headers["X-Webhook-Id"] == "hook-1"


def test_moods_lose_and_repeat_messages(silent: SimulatedMyCirrus) -> None:
    serial = silent.serials()[0]
    with Receiver() as receiver:
        register(silent, serial, "InstrumentStatus", receiver.url)
        silent.moods(webhook_lost=True, count=1)
        assert silent.deliver("InstrumentStatus", serial) == []
        silent.moods(webhook_twice=True, count=1)
        assert len(silent.deliver("InstrumentStatus", serial)) == 2
        first, second = receiver.wait_for(2)
    assert first.body == second.body


def test_urls_must_be_https_or_of_this_machine(own: SimulatedMyCirrus) -> None:
    api, serial = Caller(own), own.serials()[0]
    for url in ("http://example.com/hook", "ftp://example.com", "nonsense", "http://10.0.0.1/"):
        wish = {"type": "NewEvent", "instrument": serial, "url": url}
        assert api("POST", "/webhooks", json=wish).status_code == 400, url
    missing = api("POST", "/webhooks", json={"type": "NewEvent", "instrument": serial})
    assert missing.json()["error"] == "MissingParam"
    unknown = {"type": "NewEvent", "instrument": "NOBODY", "url": "https://example.com"}
    assert api("POST", "/webhooks", json=unknown).json()["error"] == "NotFound"
    assert api("POST", "/webhooks", data=b"{").status_code == 400


def test_changes_can_be_switched_off(own: SimulatedMyCirrus) -> None:
    api = Caller(own)
    hook = register(own, own.serials()[0], "NewEvent", "https://example.com/hook")
    own.moods(no_webhook_changes=True)
    assert api("DELETE", f"/webhooks/{hook['id']}").status_code == 405
    assert api("PUT", f"/webhooks/{hook['id']}", json=hook).status_code == 405
    assert api.get("/webhooks").json() == [hook]


def test_an_action_that_ends_is_told(silent: SimulatedMyCirrus) -> None:
    serial = silent.facts()["demo"]
    with Receiver() as receiver:
        register(silent, serial, "SicFinished", receiver.url)
        register(silent, serial, "CalibrationFinished", receiver.url)
        assert silent.run_sic()["status"] == "InProgress"
        status = Caller(silent).get(f"/control/instruments/{serial}/status").json()
        assert (status["sicInProgress"], status["measuring"]) == (True, False)
        failed = json.loads(receiver.wait_for(1)[0].body)
        openapi.message(failed)
        assert failed["status"] == failed["data"]["status"] == "Failed"
        assert failed["error"]
        Caller(silent)("POST", f"/control/instruments/{serial}/action", params={"action": "Calibration"})
        done = json.loads(receiver.wait_for(2)[1].body)
        openapi.message(done)
    assert (done["type"], done["status"]) == ("CalibrationFinished", "Success")
    # The journal and the history endpoints agree with what was told.
    assert Caller(silent).get(f"/control/instruments/{serial}/sic").json() == failed["data"]
    begun = done["data"]["time"]
    after = f"{datetime.fromisoformat(begun) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    rows = Caller(silent).rows("/data/calibrations", serial, begun, after)
    assert {**done["data"], "instrument": serial} in rows


def messages(receiver: Receiver, kind: str) -> list[dict[str, Any]]:
    bodies = [json.loads(got.body) for got in receiver.received]
    return [body for body in bodies if body["type"] == kind]


def test_offline_and_online_again_are_told_and_late_rows_arrive(own: SimulatedMyCirrus) -> None:
    api, serial = Caller(own), own.serials()[0]
    with Receiver() as receiver:
        register(own, serial, "InstrumentStatus", receiver.url)
        register(own, serial, "NewMeasurement", receiver.url)
        own.offline(serial)
        (gone,) = own.until(lambda: messages(receiver, "InstrumentStatus"))
        openapi.message(gone)
        assert gone["online"] is False
        assert api.get(f"/control/instruments/{serial}/status").json()["online"] is False
        failed = api("POST", f"/control/instruments/{serial}/action", params={"action": "SIC"})
        assert failed.json() == {"action": "SIC", "status": "Failed"}
        # Three minutes pass, unheard; they arrive when it is back.
        before = own.facts(serial)["knownUntil"]
        own.clock(180)
        assert own.facts(serial)["knownUntil"] == before
        own.offline(serial, False)
        # A minute may have ended before it went, and been told.
        new = own.until(
            lambda: [one for one in messages(receiver, "NewMeasurement") if one["endTime"] > before]
        )[-1]
        openapi.message(new)
        back = own.until(lambda: messages(receiver, "InstrumentStatus")[1:])
    assert back[0]["online"] is True
    until = own.facts(serial)["knownUntil"]
    rows = api.rows("/data/noise/measurements", serial, f"{before[:11]}00:00:00Z", until)
    assert [row for row in rows if row["endTime"] == new["endTime"]]


def test_messages_of_history_stay_unsent_when_not_wanted(silent: SimulatedMyCirrus) -> None:
    serial = silent.serials()[0]
    with Receiver() as receiver:
        register(silent, serial, "NewMeasurement", receiver.url)
        silent.clock(86_400)
        # A new webhook has its instrument looked at at once.
        register(silent, serial, "NewEvent", receiver.url)
        silent.deliver("InstrumentStatus", serial)
        silent.deliver("NewMeasurement", serial)
    assert [json.loads(got.body)["type"] for got in receiver.received] == ["NewMeasurement"]


def test_messages_of_history_come_as_it_becomes_the_present(own: SimulatedMyCirrus) -> None:
    """The clock is put forward over two in the night: the SIC, the events and the measurements are told."""
    serial = own.serials()[0]
    now = own.facts()["now"]
    to_midnight = 86_400 - int(now[11:13]) * 3600 - int(now[14:16]) * 60 - int(now[17:19])
    own.clock(to_midnight + 2 * 3600 - 30)
    with Receiver() as receiver:
        for kind in ("SicFinished", "NewEvent", "NewMeasurement"):
            register(own, serial, kind, receiver.url)
        own.clock(to_midnight + 2 * 3600 + 240)
        (sic,) = own.until(lambda: messages(receiver, "SicFinished"))
        assert own.until(lambda: messages(receiver, "NewMeasurement"))
        own.clock(to_midnight + 20 * 3600)
        event = own.until(lambda: messages(receiver, "NewEvent"))[-1]
    openapi.message(sic)
    openapi.message(event)
    assert sic["data"]["time"][11:13] == "02"
    api = Caller(own)
    rows = api.rows("/data/events", serial, event["eventTime"], own.facts()["now"])
    assert rows[0]["startTime"] == event["eventTime"]
