"""The live socket of one noise instrument, held open through every fault; must never show the key or redirect it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from .answer import retry_after_of
from .folded import Folded, number
from .transport import Key

OCTAVES = ("31.5Hz", "63Hz", "125Hz", "250Hz", "500Hz", "1KHz", "2KHz", "4KHz", "8KHz", "16KHz")
_LARGEST_MESSAGE = 1024 * 1024
_USER_AGENT = "cirrusweb"


class LinkState(StrEnum):
    """How the connection stands; each but the first two is followed by another try after a pause."""

    CONNECTING = "connecting"
    OPEN = "open"
    # Broke off or could not be made: tried again soon.
    INTERRUPTED = "interrupted"
    # MyCirrus has nothing to say of this instrument now: tried again slowly.
    OFFLINE = "offline"
    # The key is wrong or may not: only a person can change that, tried again rarely.
    REFUSED = "refused"


@dataclass(frozen=True)
class Levels:
    """Levels of one moment in dB, by the names that were asked for. What was not a number is absent: a gap."""

    at: datetime | None
    values: dict[str, float]


@dataclass(frozen=True)
class LiveStatus:
    """What the instrument does now; None where MyCirrus did not say."""

    at: datetime | None
    online: bool | None
    measuring: bool | None
    calibrating: bool | None
    checking: bool | None


@dataclass(frozen=True)
class Problem:
    """MyCirrus refused something that was said on the socket; it does not say what."""

    code: str
    description: str

    @property
    def forbids(self) -> bool:
        """Whether the key may not do it."""
        return self.code.lower() in ("accessdenied", "tokenexpired")


@dataclass(frozen=True)
class Link:
    """A change of the connection; `reason` is for the log, `key` says that a refusal is the key's and not a scope's."""

    state: LinkState
    reason: str = ""
    key: bool = False
    retry_after: float | None = None


LiveMessage = Levels | LiveStatus | Problem
Tell = Callable[[LiveMessage | Link], Any]


def live_message(text: str, names: Iterable[str] = ()) -> LiveMessage | None:
    """What MyCirrus said, or None for an echo, a message of an unknown type and anything that is not understood.

    `names` gives the spelling in which values are returned, however MyCirrus spells them.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    message = Folded(document)
    kind = message.text("type").lower()
    # An ActionStatus holds `action` and may hold `error`, so neither means anything beside a `type`.
    if not kind:
        if message.text("action") or message.raw("error") is None:
            return None
        return Problem(message.text("error"), message.text("description"))
    at = message.time("time")
    if kind == "livedata":
        return Levels(at, _values(message.raw("values"), names))
    if kind == "instrumentstatus":
        return LiveStatus(
            at,
            message.flag("online"),
            message.flag("measuring"),
            message.flag("calibrationInProgress"),
            message.flag("sicInProgress"),
        )
    return None


def _values(given: Any, names: Iterable[str]) -> dict[str, float]:
    spelling = {name.lower(): name for name in names}
    if isinstance(given, dict):
        given = [{"name": name, "value": value} for name, value in given.items()]
    found: dict[str, float] = {}
    for item in given if isinstance(given, list) else []:
        if not isinstance(item, dict):
            continue
        value = Folded(item)
        name, level = value.text("name"), number(value.raw("value"))
        if name and level is not None:
            found[spelling.get(name.lower(), name)] = level
    return found


@dataclass(frozen=True)
class Pace:
    """Times in seconds. None is published by MyCirrus but the 30 s of the keep-alive in its examples."""

    handshake: float = 15.0
    keep_alive: float = 30.0
    # No word at all, not even an echo, and, while levels flow, no further one: the line is dead.
    silence: float = 75.0
    stall: float = 20.0
    first_retry: float = 1.0
    longest_retry: float = 30.0
    offline_retry: float = 30.0
    refused_retry: float = 300.0

    def pause(self, link: Link, failures: int) -> float:
        """How long to wait before the next try; spread, so that a fleet does not come back in one instant."""
        if link.state is LinkState.OFFLINE:
            wait = self.offline_retry
        elif link.state is LinkState.REFUSED:
            wait = self.refused_retry
        else:
            wait = min(self.longest_retry, self.first_retry * 2 ** min(failures, 10))
        return max(wait * random.uniform(0.7, 1.3), link.retry_after or 0.0)  # noqa: S311


class _Redirected(Exception):
    """MyCirrus points elsewhere."""


async def _refuse_redirect(*_: Any) -> None:
    # aiohttp would carry the key's header to wherever the answer points.
    raise _Redirected


@dataclass
class LiveSocket:
    """One connection for one instrument: `run` holds it open until cancelled and tells what is heard.

    `secret` goes into a header only. `tell` is called in the event loop, and awaited where it returns an awaitable.
    """

    secret: str = field(repr=False)
    base_url: str
    serial: str
    types: tuple[str, ...]
    tell: Tell
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("the address of MyCirrus must be http(s)://host/path")
        self._key = Key(self.secret)
        self.secret = ""
        # http(s) rather than ws(s): the same connection, and the proxy that the environment names for it.
        self._url = f"{self.base_url.rstrip('/')}/live/{quote(self.serial, safe='')}"
        self._proxy = None if proxy_bypass(parts.hostname) else getproxies().get(parts.scheme)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        # When the first levels of this connection came, on the monotonic clock.
        self._flowing_since: float | None = None
        self._online: bool | None = None
        self._measuring: bool | None = None

    async def replace(self, types: tuple[str, ...]) -> None:
        """Ask for other values from now on."""
        self.types = types
        if self._socket is not None and not self._socket.closed:
            await self._start()

    async def run(self) -> None:
        """Connect, listen, connect again. Ends only by being cancelled."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        failures = 0
        # No cookie is kept and no .netrc read: the key is all that MyCirrus gets to know.
        async with aiohttp.ClientSession(
            trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": _USER_AGENT}
        ) as session:
            while True:
                await self._say(Link(LinkState.CONNECTING))
                self._flowing_since, self._online, self._measuring = None, None, None
                link = await self._once(session)
                # A line that gives a value and falls is no better than one that gives none: it has to outlast a pause.
                held = 0.0 if self._flowing_since is None else time.monotonic() - self._flowing_since
                failures = 0 if held >= self.pace.longest_retry else failures + 1
                await self._say(link)
                await asyncio.sleep(self.pace.pause(link, failures))

    async def _once(self, session: aiohttp.ClientSession) -> Link:
        """One connection from handshake to its end, and how it ended."""
        try:
            async with asyncio.timeout(self.pace.handshake):
                socket = await session.ws_connect(
                    self._url,
                    headers=self._key.header(),
                    proxy=self._proxy,
                    max_msg_size=_LARGEST_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                )
        except aiohttp.WSServerHandshakeError as refusal:
            # Never logged or chained as it is: it holds the request, and so the key.
            return _refused(refusal.status, refusal.headers)
        except _Redirected:
            return Link(LinkState.REFUSED, "MyCirrus redirects; redirects are not followed")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as failure:
            return Link(LinkState.INTERRUPTED, type(failure).__name__)
        self._socket = socket
        keeping = asyncio.create_task(self._keep_alive(socket))
        try:
            await self._start()
            await self._say(Link(LinkState.OPEN))
            return await self._listen(socket)
        except (aiohttp.ClientError, ConnectionError) as failure:
            return Link(LinkState.INTERRUPTED, type(failure).__name__)
        finally:
            self._socket = None
            keeping.cancel()
            with contextlib.suppress(Exception):
                await socket.close()

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> Link:
        while True:
            stalls = self._flowing_since is not None and self._measuring is not False
            try:
                # Fragments are joined below this: a message is whole here, however it was cut.
                async with asyncio.timeout(self.pace.stall if stalls else self.pace.silence):
                    frame = await socket.receive()
            except TimeoutError:
                return Link(LinkState.INTERRUPTED, "silence")
            if frame.type is aiohttp.WSMsgType.TEXT:
                message = live_message(frame.data, self.types)
                if message is not None:
                    await self._hear(message)
            elif frame.type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSING,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.ERROR,
            ):
                # Close codes are not documented; that the instrument went offline was said before in a status.
                state = LinkState.OFFLINE if self._online is False else LinkState.INTERRUPTED
                return Link(state, f"closed {socket.close_code or ''}".strip())

    async def _hear(self, message: LiveMessage) -> None:
        if isinstance(message, LiveStatus):
            self._online, self._measuring = message.online, message.measuring
        elif isinstance(message, Levels):
            self._flowing_since = self._flowing_since or time.monotonic()
        else:
            message = Problem(self._key.redact(message.code), self._key.redact(message.description))
        await self._say(message)

    async def _start(self) -> None:
        if self._socket is not None:
            await self._socket.send_str(json.dumps({"action": "StartLiveData", "types": list(self.types)}))

    async def _keep_alive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while True:
                await asyncio.sleep(self.pace.keep_alive)
                await socket.send_str('{"action": "KeepAlive"}')

    async def _say(self, message: LiveMessage | Link) -> None:
        told = self.tell(message)
        if asyncio.iscoroutine(told):
            await told


def _refused(status: int, headers: Any) -> Link:
    """What a handshake's status means; none is documented, so a 4xx that is not the key's is "nothing here now"."""
    if status == 401:
        return Link(LinkState.REFUSED, "HTTP 401", key=True)
    if status == 403:
        return Link(LinkState.REFUSED, "HTTP 403")
    if status == 429 or status >= 500 or status in (200, 408):
        told = retry_after_of(headers or {})
        return Link(LinkState.INTERRUPTED, f"HTTP {status}", retry_after=min(told, 3600.0) if told else None)
    return Link(LinkState.OFFLINE, f"HTTP {status}")
