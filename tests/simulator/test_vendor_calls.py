"""The calls that the vendor's public Node example programs make, byte for byte, answered as those read them."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import requests

from tests.loops import run_async
from tests.simulated import SimulatedMyCirrus


def fetched(mycirrus: SimulatedMyCirrus, path: str) -> Any:
    """As `fetch` asks: one header of ours, and no word about what is accepted."""
    answer = requests.get(
        mycirrus.base_url + path, headers={"X-Api-Key": mycirrus.key, "Accept": "*/*"}, timeout=60, proxies={}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_basic_example(mycirrus: SimulatedMyCirrus) -> None:
    serial = fetched(mycirrus, "/control/instruments")[0]["serialNumber"]
    status = fetched(mycirrus, f"/control/instruments/{serial}/status")
    assert isinstance(status["online"], bool)
    # Of today, from midnight to midnight, in JavaScript's spelling: toISOString and URLSearchParams.
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    start, end = (f"{at:%Y-%m-%dT%H%%3A%M%%3A%S}.000Z" for at in (midnight, midnight + timedelta(days=2)))
    query = f"instruments={serial}&start={start}&end={end}&values=LAeq%2CLCPeak%2CLAFmax"
    measurements = fetched(mycirrus, f"/data/noise/measurements?{query}")
    assert len(measurements) > 60
    for row in measurements:
        assert row["instrument"] == serial
        assert {"startTime", "endTime", "duration", "LAeq", "LCPeak"} <= row.keys()
        # Whether the real one answers to its example's own spelling is not known; ours does, in the documented one.
        assert row.keys() & {"LAFMax", "LAFmax"}


@pytest.mark.parametrize("in_header", [True, False])
def test_the_live_example(own: SimulatedMyCirrus, in_header: bool) -> None:
    serial = own.facts()["demo"]
    # The programs' own bytes.
    said = ['{ "action":"KeepAlive" }', '{ "action":"StartLiveData", "types":["LAeq", "LAF"] }']
    acted = [f'{{ "action":"{action}" }}' for action in ("Identify", "Calibration", "SIC")]
    heard: list[dict[str, Any]] = []

    async def until(socket: aiohttp.ClientWebSocketResponse, fits: Any) -> None:
        async with asyncio.timeout(60):
            while not heard or not fits(heard[-1]):
                heard.append(json.loads(await socket.receive_str()))

    async def run() -> aiohttp.ClientWebSocketResponse:
        address = own.base_url.replace("http", "ws", 1) + f"/live/{serial}"
        headers, query = ({"X-Api-Key": own.key}, "") if in_header else ({}, f"?x-api-key={own.key}")
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address + query, headers=headers) as socket,
        ):
            await until(socket, lambda message: message.get("type") == "InstrumentStatus")
            for line in said:
                await socket.send_str(line)
            await until(socket, lambda message: message.get("type") == "LiveData")
            assert {"action": "KeepAlive"} in heard
            assert [value["name"] for value in heard[-1]["values"]] == ["LAeq", "LAF"]
            for line in acted[:2]:
                await socket.send_str(line)
            await until(socket, lambda message: "data" in message)
            await socket.send_str('{ "action":"StopLiveData" }')
            own.offline(serial)
            async with asyncio.timeout(60):
                while (frame := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
                    heard.append(json.loads(frame.data))
            # Which the program prints after "Disconnected:".
            assert frame.extra
            return socket

    run_async(run())
    # What the program does not know it prints as an unknown message: there is none.
    kinds = {message.get("type", message.get("action")) for message in heard}
    assert kinds == {"InstrumentStatus", "LiveData", "ActionStatus", "KeepAlive"}
