"""Levers for people and tests under /_sim: moods, keys, forced states, deliveries and what was asked; not MyCirrus."""

import asyncio
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from simulator import checks
from simulator.actions import action_start, finished_message
from simulator.fleet import Instrument, demo_unit
from simulator.wire import Refused, instant, instant_read, missing_param, not_found

if TYPE_CHECKING:
    from simulator.app import Simulator


class RequestLog:
    """What was asked lately. Of a key only the last four characters are kept."""

    def __init__(self) -> None:
        self.recent: deque[dict[str, Any]] = deque(maxlen=2000)
        self.counts: Counter[str] = Counter()

    def add(self, request: web.Request, operation: str, status: int) -> None:
        self.counts[operation] += 1
        key = request.headers.get("X-Api-Key") or request.query.get("x-api-key") or ""
        query = [[name, value] for name, value in request.query.items() if name.lower() != "x-api-key"]
        self.recent.append(
            {
                "time": time.time(),
                "operation": operation,
                "method": request.method,
                "path": request.path,
                "query": query,
                "key": key[-4:],
                "status": status,
            }
        )

    def clear(self) -> None:
        self.recent.clear()
        self.counts.clear()


class Backstage:
    """The /_sim pages. All answer JSON; errors have the form of the API's own."""

    def __init__(self, simulator: "Simulator") -> None:
        self._sim = simulator

    def add_routes(self, app: web.Application) -> None:
        for method, path, handler in (
            ("GET", "moods", self.moods),
            ("POST", "moods", self.change_moods),
            ("DELETE", "moods", self.clear_moods),
            ("POST", "keys", self.add_key),
            ("DELETE", "keys", self.revoke_key),
            ("GET", "requests", self.requests),
            ("DELETE", "requests", self.clear_requests),
            ("GET", "deliveries", self.deliveries),
            ("POST", "deliver", self.deliver),
            ("POST", "offline", self.offline),
            ("POST", "sic", self.run_sic),
            ("POST", "clock", self.clock),
            ("GET", "facts", self.facts),
        ):
            app.router.add_route(method, f"/_sim/{path}", _guarded(handler))

    async def moods(self, _: web.Request) -> Any:
        return self._sim.moods.documents()

    async def change_moods(self, request: web.Request) -> Any:
        self._sim.moods.change(await _object(request))
        return self._sim.moods.documents()

    async def clear_moods(self, request: web.Request) -> Any:
        self._sim.moods.clear(request.query.get("name"))
        return self._sim.moods.documents()

    async def add_key(self, request: web.Request) -> Any:
        body = await _object(request)
        if not body.get("key"):
            raise missing_param("key")
        self._sim.keys.add(str(body["key"]), body.get("scopes"), body.get("instruments"))
        return {"added": str(body["key"])[-4:]}

    async def revoke_key(self, request: web.Request) -> Any:
        body = await _object(request)
        return {"revoked": self._sim.keys.revoke(str(body.get("key", "")))}

    async def requests(self, _: web.Request) -> Any:
        log = self._sim.log
        return {"total": sum(log.counts.values()), "counts": dict(log.counts), "recent": list(log.recent)}

    async def clear_requests(self, _: web.Request) -> Any:
        self._sim.log.clear()
        return {}

    async def deliveries(self, _: web.Request) -> Any:
        return list(self._sim.webhooks.deliveries)

    async def deliver(self, request: web.Request) -> Any:
        """Send a message now and answer how it went, after all tries unless `wait` is false."""
        body = await _object(request)
        sender = self._sim.webhooks
        message = body.get("message")
        if "url" in body:
            hook = {
                "id": str(body.get("id", "none")),
                "url": body["url"],
                "secret": str(body.get("secret", "")),
            }
            raw = str(body["raw"]).encode() if "raw" in body else orjson.dumps(message or {})
            tasks = [sender.start(hook, raw, body.get("signature"))]
        else:
            instrument = self._instrument(body.get("instrument"))
            tasks = sender.send(
                instrument, {**self._sample(instrument, str(body.get("type"))), **(message or {})}
            )
        if body.get("wait") is False:
            return {"started": len(tasks)}
        return await asyncio.gather(*tasks)

    async def offline(self, request: web.Request) -> Any:
        """Force an instrument off or on; `offline` null gives it back to its history."""
        body = await _object(request)
        instrument = self._instrument(body.get("serial"))
        world, wish = self._sim.world, body.get("offline", True)
        if wish is None:
            world.forced.pop(instrument.serial, None)
        else:
            world.forced[instrument.serial] = (not wish, world.now())
        return self._facts(instrument)

    async def run_sic(self, request: web.Request) -> Any:
        """Run a SIC now, failing if told so, on the named instrument or the demo unit."""
        body = await _object(request)
        named = body.get("serial")
        instrument = self._instrument(named) if named else demo_unit(self._sim.world.fleet)
        if instrument is None:
            raise not_found("demo unit")
        outcome = action_start(self._sim.world, instrument, "SIC", failing=bool(body.get("failing")))
        return {"serial": instrument.serial, **outcome}

    async def clock(self, request: web.Request) -> Any:
        """Shift the simulator's clock from ours by `ahead` seconds."""
        self._sim.world.ahead = float((await _object(request)).get("ahead", 0))
        return {"now": instant(self._sim.world.now())}

    async def facts(self, request: web.Request) -> Any:
        """What is true of one instrument, or of all; with `start` and `end`, how many rows there are."""
        world, serial = self._sim.world, request.query.get("serial")
        if serial is None:
            return {
                "seed": world.seed,
                "epoch": instant(world.epoch),
                "now": instant(world.now()),
                "demo": getattr(demo_unit(world.fleet), "serial", None),
                "live": len(self._sim.live.open),
                "instruments": [self._facts(instrument) for instrument in world.fleet[:200]],
            }
        instrument = self._instrument(serial)
        facts = self._facts(instrument)
        if "start" in request.query and "end" in request.query:
            start, end = (instant_read(request.query[name], name) for name in ("start", "end"))
            facts["calibrations"] = [row.document() for row in world.calibrations(instrument, start, end)]
            facts["sics"] = [row.document() for row in world.sics(instrument, start, end)]
        return facts

    def _instrument(self, serial: Any) -> Instrument:
        found = self._sim.world.by_serial.get(str(serial))
        if found is None:
            raise not_found(f"instrument {serial}")
        return found

    def _facts(self, instrument: Instrument) -> dict[str, Any]:
        world = self._sim.world
        return {
            "serial": instrument.serial,
            "name": world.name(instrument),
            "type": instrument.type,
            "character": instrument.character,
            "site": instrument.site,
            "period": instrument.period,
            "installed": instant(instrument.installed),
            "online": world.online(instrument),
            "knownUntil": instant(world.known_until(instrument)),
        }

    def _sample(self, instrument: Instrument, kind: str) -> dict[str, Any]:
        """A message that is true now."""
        world = self._sim.world
        now = world.now()
        base: dict[str, Any] = {"type": kind, "instrument": instrument.serial, "time": instant(int(now))}
        match kind:
            case "NewMeasurement":
                end = int(world.known_until(instrument) // instrument.period) * instrument.period
                return {**base, "endTime": instant(end)}
            case "NewEvent":
                return {**base, "eventTime": instant(int(now) - 60)}
            case "InstrumentStatus":
                return {**base, "online": world.online(instrument)}
            case "CalibrationFinished":
                calibration = world.last_calibration(instrument) or checks.calibration_at(
                    instrument, int(now)
                )
                return finished_message(world, instrument, kind, calibration.document())
            case "SicFinished":
                sic = world.last_sic(instrument) or checks.sic_at(instrument, int(now))
                return finished_message(world, instrument, kind, sic.document())
        return base


def _guarded(handler: Any) -> Any:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.Response(body=orjson.dumps(await handler(request)), content_type="application/json")
        except Refused as refusal:
            body = orjson.dumps(refusal.body())
            return web.Response(status=refusal.status, body=body, content_type="application/json")

    return handle


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        document = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError:
        raise Refused(400, "InvalidParam", "The body is not JSON.") from None
    if not isinstance(document, dict):
        raise Refused(400, "InvalidParam", "The body is not a JSON object.")
    return document
