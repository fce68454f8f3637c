"""Holds one vendor socket per watched instrument for all viewers together; it stores nothing and knows no page."""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import structlog
from django.db import connections
from django.utils import timezone
from redis import RedisError
from redis.asyncio import Redis

from instruments.credentials import SecretUnreadable
from instruments.models import Instrument
from instruments.mycirrus import AuthenticationFailed
from instruments.mycirrus.live import (
    Levels,
    Link,
    LinkState,
    LiveMessage,
    LiveSocket,
    LiveStatus,
    Pace,
    Problem,
)
from instruments.tenancy import organisation_scope
from monitoring.live import watch
from monitoring.live.refusal import live_refusal
from monitoring.live.watch import Watched

logger = structlog.get_logger(__name__)

_LOOK_SECONDS = 2.0
_RECHECK_SECONDS = 60.0
_REDIS_PAUSE_SECONDS = 1.0
_REDIS_SECONDS = 3.0


@dataclass(frozen=True)
class Target:
    """Where and with which key an instrument is listened to; or, with `refusal`, why it is not."""

    base_url: str = ""
    secret: str = field(default="", repr=False)
    refusal: str = ""


Find = Callable[[Watched], Awaitable[Target]]


def target_of(watched: Watched) -> Target:
    """What the database says now. Opens the organisation's scope itself; blocking, for a thread."""
    try:
        with organisation_scope(watched.organisation_id):
            instrument = Instrument.objects.select_related("api_key").filter(serial=watched.serial).first()
            if instrument is None or instrument.api_key is None:
                return Target(refusal="key" if instrument else "gone")
            if refusal := live_refusal(instrument, timezone.now()):
                return Target(refusal=refusal)
            return Target(instrument.api_key.base_url, instrument.api_key.secret_reveal())
    except SecretUnreadable:
        return Target(refusal="key")


async def find_target(watched: Watched) -> Target:
    """`target_of` without holding up the hub."""

    def look() -> Target:
        try:
            return target_of(watched)
        finally:
            # The thread goes back to a pool that knows nothing of requests: nobody else would close it.
            connections.close_all()

    return await asyncio.to_thread(look)


class Hub:
    """Several may run: each instrument is held by the one that claimed it, and claimed anew when that one dies."""

    def __init__(
        self, redis_url: str, *, find: Find = find_target, pace: Pace | None = None, name: str = ""
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._find, self._pace = find, pace or Pace()
        self._channels = watch.Channels(redis_url)
        # Without a timeout of its own: redis-py would wait with asyncio.wait_for, which before Python 3.12 loses a
        # cancellation that comes as it ends, and a hub that was told to stop would go on.
        self._redis = Redis.from_url(redis_url, socket_timeout=None, socket_connect_timeout=2.0)
        self._hold = self._redis.register_script(watch.HOLD)
        self._release = self._redis.register_script(watch.RELEASE)
        self._read = self._redis.register_script(watch.READ_WATCHED)
        self._listeners: dict[Watched, Listener] = {}
        self._held_at = time.monotonic()

    async def run(self) -> None:
        """Follow the viewers until cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except (RedisError, OSError) as failure:
                    logger.warning("live_redis_away", error=type(failure).__name__)
                    # Claims may have run out: another hub may hold these instruments by now.
                    if time.monotonic() - self._held_at > watch.HUB_SECONDS - _LOOK_SECONDS:
                        await self._stop(list(self._listeners))
                    await asyncio.sleep(_REDIS_PAUSE_SECONDS)
        finally:
            held = list(self._listeners)
            await self._stop(held)
            with contextlib.suppress(RedisError, OSError):
                for watched in held:
                    await self._let_go(watched)
                if await _soon(self._redis.get(watch.ALIVE)) == self.name.encode():
                    await _soon(self._redis.delete(watch.ALIVE))
            await self._redis.aclose()

    async def _follow(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as bell:
            await _soon(bell.subscribe(self._channels.bell))
            while True:
                await self._look()
                await bell.get_message(timeout=_LOOK_SECONDS)

    async def _look(self) -> None:
        """Hold what is watched, let go of what is not."""
        await _soon(self._redis.set(watch.ALIVE, self.name, px=int(watch.HUB_SECONDS * 1000)))
        wanted = watch.watched_groups(await _soon(self._read(keys=[watch.WATCHED])))
        gone = [watched for watched in self._listeners if watched not in wanted]
        await self._stop(gone)
        for watched in gone:
            await self._let_go(watched)
        started = time.monotonic()
        for watched, types in wanted.items():
            claim = self._hold(
                keys=[watched.claim, watched.last], args=[self.name, int(watch.HUB_SECONDS * 1000)]
            )
            held = await _soon(claim)
            listener = self._listeners.get(watched)
            if not held:
                if listener is not None:
                    await self._stop([watched])
            elif listener is None:
                self._listeners[watched] = Listener(watched, types, self._find, self._publish, self._pace)
            else:
                await listener.replace(types)
        self._held_at = started

    async def _let_go(self, watched: Watched) -> None:
        await _soon(self._release(keys=[watched.claim, watched.last], args=[self.name]))

    async def _stop(self, stopped: list[Watched]) -> None:
        listeners = [self._listeners.pop(watched) for watched in stopped]
        await asyncio.gather(*(listener.stop() for listener in listeners))

    async def _publish(self, watched: Watched, frame: bytes, last: bytes | None) -> None:
        """To whoever listens now; `last` is kept for who comes later. Redis away: the moment is gone, by design."""
        with contextlib.suppress(RedisError, OSError):
            if last is not None:
                await _soon(self._redis.set(watched.last, last, px=int(watch.HUB_SECONDS * 1000)))
            await _soon(self._redis.publish(self._channels.of(watched), frame))


async def _soon(answer: Awaitable[Any]) -> Any:
    """What Redis answers. Raises TimeoutError, an OSError, where it takes too long."""
    async with asyncio.timeout(_REDIS_SECONDS):
        return await answer


Publish = Callable[[Watched, bytes, bytes | None], Awaitable[None]]


class Listener:
    """One instrument: its socket, restarted when the key behind it changes, and what pages are told of it."""

    def __init__(
        self, watched: Watched, types: tuple[str, ...], find: Find, publish: Publish, pace: Pace
    ) -> None:
        self._watched, self._types, self._find, self._publish, self._pace = (
            watched,
            types,
            find,
            publish,
            pace,
        )
        self._socket: LiveSocket | None = None
        self._state: dict[str, Any] = {"type": "state", "state": "connecting"}
        self._status: dict[str, Any] | None = None
        self._log = logger.bind(organisation_id=watched.organisation_id, serial=watched.serial)
        self._task = asyncio.create_task(self._run())

    async def replace(self, types: tuple[str, ...]) -> None:
        """Ask for the values that the viewers want by now."""
        if types != self._types:
            self._types = types
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    await self._socket.replace(types)

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        self._log.info("live_started")
        try:
            while True:
                try:
                    await self._follow(await self._find(self._watched))
                except Exception as failure:
                    # One instrument's trouble, the database's say, must not end the others'. Never the traceback:
                    # the frames below hold the key.
                    self._log.error("live_failed", error=type(failure).__name__)
                    await self._told(state="interrupted")
                    await asyncio.sleep(5.0)
        finally:
            self._log.info("live_stopped")

    async def _follow(self, target: Target) -> None:
        """Listen until the database says something else about the key."""
        if target.refusal:
            await self._told(state="refused", reason=target.refusal)
            await asyncio.sleep(_RECHECK_SECONDS)
            return
        try:
            self._socket = LiveSocket(
                target.secret, target.base_url, self._watched.serial, self._types, self._hear, self._pace
            )
        except AuthenticationFailed:
            await self._told(state="refused", reason="key")
            await asyncio.sleep(_RECHECK_SECONDS)
            return
        running = asyncio.create_task(self._socket.run())
        try:
            while True:
                await asyncio.wait({running}, timeout=_RECHECK_SECONDS)
                if running.done():
                    running.result()
                if await self._find(self._watched) != target:
                    return
        finally:
            self._socket = None
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def _hear(self, message: LiveMessage | Link) -> None:
        if isinstance(message, Levels):
            at = _milliseconds(message.at or timezone.now())
            frame = orjson.dumps({"type": "levels", "at": at, "values": message.values})
            await self._publish(self._watched, frame, None)
        elif isinstance(message, LiveStatus):
            self._status = {
                "type": "status",
                "online": message.online,
                "measuring": message.measuring,
                "calibrating": message.calibrating,
                "checking": message.checking,
            }
            await self._publish(self._watched, orjson.dumps(self._status), self._last())
        elif isinstance(message, Problem):
            self._log.warning("live_refused", code=message.code, description=message.description[:200])
            if message.forbids:
                await self._told(state="refused", reason="scope")
        else:
            await self._linked(message)

    async def _linked(self, link: Link) -> None:
        if link.state is LinkState.CONNECTING:
            # A state that stands, such as offline, is not blinked away by each new try.
            if self._state["state"] == "connecting":
                await self._told(state="connecting")
            return
        if link.state is not LinkState.OPEN:
            self._status = None
            self._log.info("live_link", state=link.state, reason=link.reason)
        if link.state is LinkState.REFUSED:
            await self._told(state="refused", reason="key" if link.key else "scope")
        else:
            await self._told(state="live" if link.state is LinkState.OPEN else link.state.value)

    async def _told(self, **state: str) -> None:
        self._state = {"type": "state", **state}
        await self._publish(self._watched, orjson.dumps(self._state), self._last())

    def _last(self) -> bytes:
        return orjson.dumps([event for event in (self._state, self._status) if event])


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
