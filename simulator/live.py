"""The live socket of one instrument (section 9 of the contract): levels each second, status, actions, keep-alive."""

import asyncio
import contextlib
import json
from array import array
from typing import Any

from aiohttp import WSMsgType, web

from simulator import levels
from simulator.actions import ACTIONS, action_start
from simulator.chance import signed
from simulator.control import flags
from simulator.fleet import Instrument
from simulator.keys import Key, Keys
from simulator.moods import Moods
from simulator.seconds import second_at
from simulator.spectrum import OCTAVES, THIRDS, spectrum
from simulator.wire import Refused, instant, not_found
from simulator.world import World

_TICK = 0.25
_PLAIN = ("LAeq", "LCeq", "LZeq", "LAPeak", "LCPeak", "LZPeak")
# Live name to the recorded value that it follows.
_FOLLOWS = {
    **{name: name for name in _PLAIN},
    "LAeqI": "LAeq",
    "LAeqT": "LAeq",
    "LAeq,5m": "LeqT1Max",
    "LAeq,60m": "LeqT2Max",
    **{f"L{weighting}{time}": f"L{weighting}{time}Max" for weighting in "ACZ" for time in "FSI"},
    **{f"Ln{n}": f"LAF{n}" for n in (1, 5, 10, 50, 90, 95, 99)},
}
_BANDS = {name: ("Octave", place) for place, name in enumerate(OCTAVES)}
_BANDS |= {name + "3": ("Third", place) for place, name in enumerate(THIRDS)}
TYPES = {name.lower(): name for name in (*_FOLLOWS, *_BANDS)}


class LiveSockets:
    """Opens and feeds the sockets."""

    def __init__(self, world: World, keys: Keys, moods: Moods) -> None:
        self._world, self._keys, self._moods = world, keys, moods
        self.open: set[web.WebSocketResponse] = set()

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Answer the handshake; what MyCirrus answers to one that fails is not known, so it is as for REST."""
        path = request.path
        if self._moods.take("expired-key", path) is not None:
            raise Refused(
                401, "TokenExpired", "Your access token is invalid or has expired. Try refreshing the token."
            )
        key = self._keys.require(request.headers.get("X-Api-Key") or request.query.get("x-api-key"))
        lacking = self._moods.take("missing-scope", path)
        key.require(("instruments:read",), lacking)
        serial = request.match_info["serial"]
        instrument = self._world.by_serial.get(serial)
        if instrument is None or not key.reaches(serial):
            raise not_found(f"instrument {serial}")
        if not instrument.is_noise:
            raise Refused(400, "InvalidInstrument", "Live data come from noise instruments only.")
        if not self._world.online(instrument):
            raise Refused(400, "InstrumentOffline", f"The instrument {serial} is offline.")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.open.add(socket)
        try:
            await _Session(self._world, instrument, key, socket, lacking).run()
        finally:
            self.open.discard(socket)
        return socket

    async def close(self) -> None:
        for socket in list(self.open):
            with contextlib.suppress(ConnectionError):
                await socket.close(code=1001, message=b"Going away")


class _Session:
    def __init__(
        self,
        world: World,
        instrument: Instrument,
        key: Key,
        socket: web.WebSocketResponse,
        lacking: str | None,
    ) -> None:
        self._world, self._instrument, self._key, self._socket = world, instrument, key, socket
        self._lacking = lacking
        self._types: list[str] = []
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        self._world.listeners.append(self._listen)
        feeding = asyncio.create_task(self._feed())
        try:
            async for frame in self._socket:
                if frame.type is WSMsgType.TEXT:
                    await self._hear(frame.data)
        finally:
            self._world.listeners.remove(self._listen)
            feeding.cancel()

    def _listen(self, instrument: Instrument, message: dict[str, Any]) -> None:
        if instrument is self._instrument and message["type"] == "ActionStatus":
            self._waiting.put_nowait(message)

    async def _feed(self) -> None:
        """Status at once and at each change, levels at each new second, and the end when the instrument goes."""
        told: dict[str, bool] | None = None
        second = int(self._world.now())
        with contextlib.suppress(ConnectionError):
            while not self._socket.closed:
                state = flags(self._world, self._instrument)
                while not self._waiting.empty():
                    await self._say(self._waiting.get_nowait())
                now = int(self._world.now())
                if state != told:
                    told = state
                    await self._say({"type": "InstrumentStatus", "time": instant(now), **state})
                if not state["online"]:
                    await self._socket.close(code=1000, message=b"Instrument offline")
                    return
                if now != second and self._types and state["measuring"]:
                    await self._levels(now)
                second = now
                # Awake at the turn of the second: a message's time is then also when it left.
                pause = min(_TICK, now + 1 - self._world.now() + 0.001)
                with contextlib.suppress(TimeoutError):
                    self._waiting.put_nowait(await asyncio.wait_for(self._waiting.get(), pause))

    async def _levels(self, now: int) -> None:
        values = live_values(self._instrument, now - 1, self._types)
        if values:
            await self._say({"type": "LiveData", "time": instant(now), "values": values})

    async def _hear(self, text: str) -> None:
        try:
            command = json.loads(text)
        except ValueError:
            command = None
        if not isinstance(command, dict) or not isinstance(command.get("action"), str):
            await self._refuse("InvalidAction", "The message is not an action")
            return
        action = command["action"]
        try:
            if action == "KeepAlive":
                await self._say({"action": "KeepAlive"})
            elif action in ACTIONS:
                self._key.require(("instruments:action",), self._lacking)
                action_start(self._world, self._instrument, action)
            elif action == "StartLiveData":
                self._key.require(("data.live:read",), self._lacking)
                await self._start(command.get("types"))
            elif action == "StopLiveData":
                self._key.require(("data.live:read",), self._lacking)
                self._types = []
            else:
                await self._refuse("InvalidAction", f"Unknown action ({action})")
        except Refused as refusal:
            await self._refuse(refusal.error, refusal.description)

    async def _start(self, types: Any) -> None:
        wanted = types if isinstance(types, list) else []
        valid = [TYPES[t.lower()] for t in wanted if isinstance(t, str) and t.lower() in TYPES]
        if valid:
            self._types = list(dict.fromkeys(valid))
        else:
            await self._refuse("InvalidParam", "None of the types asked for is available")

    async def _refuse(self, error: str, description: str) -> None:
        await self._say({"error": error, "description": description})

    async def _say(self, message: dict[str, Any]) -> None:
        await self._socket.send_str(json.dumps(message))


def live_values(instrument: Instrument, second: int, types: list[str]) -> list[dict[str, Any]]:
    """Name and level of each type in one second."""
    found = second_at(instrument, second)
    if found is None:
        return []
    level, row = found
    return [{"name": name, "value": round(_value(instrument, name, level, row, second), 1)} for name in types]


def _value(instrument: Instrument, name: str, level: float, row: "array[int]", second: int) -> float:
    lift = level - row[0] / 100
    if name in _BANDS:
        bands, place = _BANDS[name]
        begin = second // instrument.period * instrument.period
        shares = spectrum(instrument, begin, bands, "Z") or []
        return shares[place] + lift
    follows = _FOLLOWS[name]
    if name.startswith(("Ln", "LAeq,")) or name == "LAeqT":
        # These look back over a long time and hardly move.
        return row[levels.NAMES.index(follows)] / 100
    if follows in levels.MAXIMA:
        # The level now, not its maximum: a fast one moves about the LAeq more than a slow one.
        weighted = row[levels.NAMES.index(f"L{name[1]}eq")] / 100 + lift
        sway = {"F": 1.8, "S": 0.7, "I": 2.2}[name[2]]
        return weighted + sway * signed(instrument.salt, second, ord(name[2]))
    return row[levels.NAMES.index(follows)] / 100 + lift
