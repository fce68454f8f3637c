"""The live socket speaks the protocol of section 9 of the contract."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.loops import run_async
from tests.simulated import SimulatedMyCirrus


class Client:
    """One open socket; `until` reads on to the first message that fits."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def say(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                message = json.loads(await self.socket.receive_str())
                self.heard.append(message)
                if fits(message):
                    return message


def talk(mycirrus: SimulatedMyCirrus, serial: str, talking: Callable[[Client], Any], **options: Any) -> Any:
    options.setdefault("headers", {"X-Api-Key": mycirrus.key})

    async def run() -> Any:
        address = mycirrus.base_url.replace("http", "ws", 1) + f"/live/{serial}"
        async with aiohttp.ClientSession() as session, session.ws_connect(address, **options) as socket:
            return await talking(Client(socket))

    return run_async(run())


def of(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message.get("type") == kind


def test_status_comes_first_and_keep_alive_is_echoed(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    async def talking(client: Client) -> None:
        first = await client.until(lambda _: True)
        time = first.pop("time")
        assert time.endswith("Z")
        assert first == {
            "type": "InstrumentStatus",
            "online": True,
            "measuring": True,
            "calibrationInProgress": False,
            "sicInProgress": False,
        }
        await client.say(action="KeepAlive")
        assert await client.until(lambda _: True) == {"action": "KeepAlive"}

    talk(mycirrus, serial, talking)


def test_levels_come_each_second_until_stopped(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    async def talking(client: Client) -> None:
        await client.say(
            action="StartLiveData", types=["LAeq", "laf", "LAeq,5m", "Ln90", "1KHz", "1KHz3", "Loudness"]
        )
        data = await client.until(of("LiveData"))
        assert [value["name"] for value in data["values"]] == [
            "LAeq",
            "LAF",
            "LAeq,5m",
            "Ln90",
            "1KHz",
            "1KHz3",
        ]
        assert all(20 < value["value"] < 120 for value in data["values"])
        # Sent again, the types replace the first ones.
        await client.say(action="StartLiveData", types=["LCPeak"])
        data = await client.until(lambda m: of("LiveData")(m) and len(m["values"]) == 1)
        assert data["values"][0]["name"] == "LCPeak"
        await client.say(action="StopLiveData")
        await client.say(action="KeepAlive")
        await client.until(lambda m: m.get("action") == "KeepAlive")
        count = len(client.heard)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.receive_str(), 1.3)
        assert len(client.heard) == count

    talk(mycirrus, serial, talking)


def test_what_cannot_be_done_is_an_error_without_a_type(mycirrus: SimulatedMyCirrus, serial: str) -> None:
    async def talking(client: Client) -> None:
        await client.say(action="Dance")
        error = await client.until(lambda m: "error" in m)
        assert error == {"error": "InvalidAction", "description": "Unknown action (Dance)"}
        for types in ([], ["Loudness"]):
            await client.say(action="StartLiveData", types=types)
            assert "type" not in await client.until(lambda m: "error" in m)
        await client.socket.send_str("not json")
        assert (await client.until(lambda m: "error" in m))["error"] == "InvalidAction"

    talk(mycirrus, serial, talking)


def test_an_action_is_followed_to_its_end(own: SimulatedMyCirrus) -> None:
    serial = own.serials()[0]

    async def talking(client: Client) -> None:
        await client.say(action="Identify")
        assert (await client.until(of("ActionStatus")))["status"] == "Success"
        await client.say(action="SIC")
        begun = await client.until(of("ActionStatus"))
        assert (begun["action"], begun["status"]) == ("SIC", "InProgress")
        done = await client.until(of("ActionStatus"))
        assert done["status"] == done["data"]["status"] == "Success"
        assert {"_500Hz", "_1KHz", "_8KHz"} < set(done["data"])
        await client.until(lambda m: of("InstrumentStatus")(m) and m["measuring"])

    talk(own, serial, talking)


def test_the_socket_closes_when_the_instrument_goes(own: SimulatedMyCirrus) -> None:
    serial = own.serials()[0]

    async def talking(client: Client) -> None:
        await client.until(of("InstrumentStatus"))
        await asyncio.to_thread(own.offline, serial)
        last = await client.until(of("InstrumentStatus"))
        assert last["online"] is False
        async with asyncio.timeout(60):
            assert (await client.socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert client.socket.closed or client.socket.close_code == 1000

    talk(own, serial, talking)


async def _nothing(_: Client) -> None:
    return None


@pytest.mark.parametrize(("character", "status"), [("offline", 400), ("nobody", 404)])
def test_an_instrument_that_is_not_there_is_refused(
    mycirrus: SimulatedMyCirrus, character: str, status: int
) -> None:
    serial = "NOBODY" if character == "nobody" else mycirrus.character(character)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        talk(mycirrus, serial, _nothing)
    assert refused.value.status == status


def test_only_noise_instruments_are_live(mycirrus: SimulatedMyCirrus) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError):
        talk(mycirrus, mycirrus.serials("Vibration")[0], _nothing)


def test_the_key_may_be_in_the_query_and_its_scopes_count(own: SimulatedMyCirrus) -> None:
    serial = own.serials()[0]
    own.add_key("reader", scopes=["instruments:read"])

    async def talking(client: Client) -> None:
        for message in ({"action": "StartLiveData", "types": ["LAeq"]}, {"action": "SIC"}):
            await client.say(**message)
            assert (await client.until(lambda m: "error" in m))["error"] == "AccessDenied"

    talk(own, serial, talking, headers={}, params={"x-api-key": "reader"})
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        talk(own, serial, _nothing, headers={})
    assert refused.value.status == 401
    assert own.requests()["recent"][0]["key"] == "ader"
    assert "reader" not in str(own.requests())
