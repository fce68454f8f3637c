"""A hub at work in a thread of the test, over a real Redis and a real simulated MyCirrus."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import redis
from django.conf import settings

from instruments.mycirrus.live import Pace
from monitoring.live import hub as hub_module
from monitoring.live import watch
from monitoring.live.audience import Audience, Viewer
from monitoring.live.audience import audience as process_audience
from monitoring.live.hub import Find, Hub, Target
from monitoring.live.watch import Watched
from monitoring.threads import Places
from tests.simulated import SimulatedMyCirrus

QUICK = Pace(first_retry=0.05, longest_retry=0.2, offline_retry=0.2, refused_retry=0.5)


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Poll until the condition gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came to it"
        time.sleep(0.02)
    return found


class WorkingHub:
    """A hub with an event loop and a thread of its own."""

    def __init__(self, redis_url: str, find: Find) -> None:
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, args=(redis_url, find), daemon=True)
        self._thread.start()

    def _run(self, redis_url: str, find: Find) -> None:
        async def work() -> None:
            hub = Hub(redis_url, find=find, pace=QUICK)
            self._task = asyncio.create_task(hub.run())
            await asyncio.wait({self._task})

        self._loop.run_until_complete(work())
        self._loop.close()

    def stop(self) -> None:
        """As on SIGTERM."""
        until(lambda: self._task is not None)
        assert self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert self._task.cancelled(), self._task.exception()


class Watcher:
    """One viewer, and what it has been told."""

    def __init__(self, audience: Audience, watched: Watched, *groups: str) -> None:
        self.audience = audience
        self.viewer: Viewer = audience.join(watched, groups or ("levels",))
        self.heard: list[dict[str, Any]] = []
        self._waiting: list[bytes] = []

    def until(self, fits: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
        """The next event that fits."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._waiting += self.viewer.take(0 if self._waiting else 0.1)
            while self._waiting:
                self.heard.append(orjson.loads(self._waiting.pop(0)))
                if fits(self.heard[-1]):
                    return self.heard[-1]
        raise AssertionError(f"it never came: {self.heard[-10:]}")

    def levels(self) -> dict[str, Any]:
        return self.until(lambda event: event["type"] == "levels")

    def state(self, state: str, seconds: float = 60.0) -> dict[str, Any]:
        return self.until(lambda event: event["type"] == "state" and event["state"] == state, seconds)

    def leave(self) -> None:
        self.audience.leave(self.viewer)


@pytest.fixture(scope="module")
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(epoch=None) as simulated:
        yield simulated


@pytest.fixture
def watched(mycirrus: SimulatedMyCirrus) -> Iterator[Watched]:
    """An instrument that measures; 77 is nobody's organisation."""
    serial = mycirrus.facts()["demo"]
    yield Watched(77, serial)
    mycirrus.moods()
    mycirrus.offline(serial, None)


@pytest.fixture
def store() -> Iterator[redis.Redis]:
    """This test process' Redis, with nothing of earlier watchers in it."""
    # A page of an earlier browser test is missed only when something is sent to it, and watches until then.
    until(lambda: not len(process_audience()))
    with redis.Redis.from_url(settings.REDIS_URL) as connection:
        for key in connection.keys("live:*"):
            connection.delete(key)
        yield connection


@pytest.fixture
def find(mycirrus: SimulatedMyCirrus) -> Find:
    async def everything(_: Watched) -> Target:
        return Target(mycirrus.base_url, mycirrus.key)

    return everything


StartHub = Callable[..., WorkingHub]


@pytest.fixture
def start_hub(store: redis.Redis, find: Find, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartHub]:
    """Starts hubs, with shorter leases than in life, and stops those that still run at the end."""
    monkeypatch.setattr(watch, "WATCH_SECONDS", 1.5)
    monkeypatch.setattr(watch, "RENEW_SECONDS", 0.5)
    monkeypatch.setattr(watch, "HUB_SECONDS", 1.5)
    monkeypatch.setattr(hub_module, "_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(hub_module, "_RECHECK_SECONDS", 0.3)
    hubs: list[WorkingHub] = []

    def start(looking: Find = find) -> WorkingHub:
        hubs.append(WorkingHub(settings.REDIS_URL, looking))
        until(lambda: store.exists(watch.ALIVE))
        return hubs[-1]

    yield start
    for hub in hubs:
        if hub._thread.is_alive():
            hub.stop()


@pytest.fixture
def audience(store: redis.Redis) -> Iterator[Audience]:
    made = Audience(settings.REDIS_URL, Places(100))
    yield made
    for viewer in made._everybody():
        made.leave(viewer)
