"""The web application: finds the operation, checks the key, lets the moods spoil it and writes the answer."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import orjson
from aiohttp import web

from simulator.asked import Answer, Asked
from simulator.backstage import Backstage, RequestLog
from simulator.happenings import Happenings
from simulator.keys import Keys
from simulator.live import LiveSockets
from simulator.moods import Moods
from simulator.routes import Route, routes_of
from simulator.spelling import respelled, respelled_rows
from simulator.webhooks import Webhooks
from simulator.wire import Refused
from simulator.world import World

_BATCH = 1500  # rows built and written at a time, so that a month of minutes needs little memory


class Simulator:
    """Everything that one process holds."""

    def __init__(
        self,
        world: World,
        keys: Keys,
        moods: Moods,
        *,
        allow_http_webhooks: bool = False,
        tells_happenings: bool = True,
    ) -> None:
        self.world, self.keys, self.moods = world, keys, moods
        self.log = RequestLog()
        self.webhooks = Webhooks(world.state, moods, allow_http=allow_http_webhooks)
        self.happenings = Happenings(world, self.webhooks) if tells_happenings else None
        self.live = LiveSockets(world, keys, moods)
        world.listeners.append(self.webhooks.send)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 20)
        for route in routes_of(self.webhooks, self.moods):
            app.router.add_route(route.method, "/v1" + route.path, self._handler(route))
        app.router.add_get("/v1/live/{serial}", self._live)
        Backstage(self).add_routes(app)
        app.router.add_route("*", "/{anything:.*}", self._nowhere)
        app.cleanup_ctx.append(self._lifetime)
        app.on_shutdown.append(lambda _: self.live.close())
        return app

    async def _lifetime(self, _: web.Application) -> Any:
        ticking = asyncio.create_task(self.happenings.run()) if self.happenings else None
        yield
        if ticking is not None:
            ticking.cancel()
        await self.webhooks.close()

    async def _live(self, request: web.Request) -> web.StreamResponse:
        self.log.add(request, "live", 101)
        try:
            if (spoilt := _spoilt(self.moods, request.path)) is not None:
                return spoilt
            return await self.live.connect(request)
        except Refused as refusal:
            return _json(refusal)

    def _handler(self, route: Route) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            # A test that wants the truth while a mood is on asks for it by this header.
            moods = Moods() if "X-Sim-Plain" in request.headers else self.moods
            status = 0
            try:
                answer = await self._answer(route, request, moods)
                status = answer.status
                return answer
            finally:
                self.log.add(request, route.operation_id, status)

        return handle

    async def _answer(self, route: Route, request: web.Request, moods: Moods) -> web.StreamResponse:
        path = request.path
        if (seconds := moods.take("latency", path)) is not None:
            await asyncio.sleep(seconds)
        if moods.take("hang", path) is not None:
            # Until the client gives up or the process ends.
            await asyncio.Event().wait()
        if (spoilt := _spoilt(moods, path)) is not None:
            return spoilt
        spellings = moods.spellings(path)
        cut = moods.take("cut-body", path) is not None
        bad = moods.take("bad-json", path) is not None
        try:
            if moods.take("expired-key", path) is not None:
                key = self.keys.require(None)
            else:
                key = self.keys.require(request.headers.get("X-Api-Key"))
            key.require(route.scopes, moods.take("missing-scope", path))
            query: dict[str, list[str]] = {}
            for name, value in request.query.items():
                query.setdefault(name, []).append(value)
            _lists_read(query, moods.take("lists", path))
            asked = Asked(self.world, key, request.match_info, query, await request.read())
            result = await asyncio.to_thread(route.run, asked) if route.threaded else route.run(asked)
        except Refused as refusal:
            return _refusal(refusal, moods, path, spellings)
        if isinstance(result, Iterator):
            if spellings:
                result = respelled_rows(result, route.operation_id, spellings)
            first = await _batch(result)
            if len(first) == _BATCH and not cut and not bad:
                return await _streamed(request, first, result)
            while len(more := await _batch(result)):
                first += more
            answer = Answer(200, first)
        else:
            answer = result if isinstance(result, Answer) else Answer(200, result)
            if spellings and answer.document is not None:
                answer = Answer(answer.status, respelled(answer.document, route.operation_id, spellings))
        if answer.content is not None:
            body, kind = answer.content, "application/octet-stream"
        elif answer.document is None:
            return web.Response(status=answer.status)
        else:
            body, kind = orjson.dumps(answer.document), "application/json"
        if bad:
            body = body[: len(body) * 2 // 3] + b"<!-- "
        if cut:
            return await _cut_short(request, body, kind)
        return web.Response(status=answer.status, body=body, content_type=kind)

    async def _nowhere(self, request: web.Request) -> web.Response:
        self.log.add(request, "nowhere", 404)
        return _json(Refused(404, "NotFound", f"There is nothing at {request.path}."))


async def _batch(rows: Iterator[Any]) -> list[Any]:
    return await asyncio.to_thread(lambda: list(islice(rows, _BATCH)))


async def _streamed(request: web.Request, batch: list[Any], rows: Iterator[Any]) -> web.StreamResponse:
    """A long array in pieces."""
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    opening = b"["
    while batch:
        await response.write(opening + orjson.dumps(batch)[1:-1])
        opening = b","
        batch = await _batch(rows)
    await response.write(b"]")
    await response.write_eof()
    return response


async def _cut_short(request: web.Request, body: bytes, kind: str) -> web.StreamResponse:
    """Promise the whole body, send half of it and hang up."""
    response = web.StreamResponse()
    response.content_type, response.content_length = kind, max(len(body), 2)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _spoilt(moods: Moods, path: str) -> web.Response | None:
    """The answer of a mood that asks for no work at all."""
    if (wait := moods.take("429", path)) is not None:
        refusal = Refused(
            429,
            "TooManyRequests",
            "You have made too many requests in a short time. Please wait before trying again.",
        )
        response = _json(refusal)
        if wait is not True:
            response.headers["Retry-After"] = str(wait)
        return response
    if (status := moods.take("500", path)) is not None:
        status = 500 if status is True else int(status)
        page = f"<html><body><h1>{status}</h1><p>The server had a bad day.</p></body></html>"
        return web.Response(status=status, text=page, content_type="text/html")
    return None


def _lists_read(query: dict[str, list[str]], reading: Any) -> None:
    """Read a list of serials in one of its two spellings only, as the other half of the documentation would."""
    serials = query.get("instruments", [])
    if reading == "comma":
        query["instruments"] = serials[:1]
    elif reading == "repeat":
        query["instruments"] = [serial.replace(",", "\N{FULLWIDTH COMMA}") for serial in serials]


def _refusal(refusal: Refused, moods: Moods, path: str, spellings: dict[str, Any]) -> web.Response:
    if refusal.error == "NotFound" and "not-found-400" in spellings:
        refusal = Refused(400, refusal.error, refusal.description)
    if moods.take("no-error-body", path) is not None:
        return web.Response(status=refusal.status)
    return _json(refusal)


def _json(refusal: Refused) -> web.Response:
    return web.Response(
        status=refusal.status, body=orjson.dumps(refusal.body()), content_type="application/json"
    )
