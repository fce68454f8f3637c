"""The viewers of this web process: one Redis listener for all of them, and a short queue for each.

A viewer that reads slowly loses its oldest messages; it never holds up the others.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache

import orjson
import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitoring.live import watch
from monitoring.live.watch import Watched
from monitoring.threads import VIEWERS, Places

logger = structlog.get_logger(__name__)

UNAVAILABLE = orjson.dumps({"type": "state", "state": "unavailable"})
CONNECTING = orjson.dumps({"type": "state", "state": "connecting"})
_QUEUE = 32
_RETRY_SECONDS = 2.0
# How long the listener outlives the last viewer: a page that is reloaded finds it still there.
_LINGER_SECONDS = 20.0


class Viewer:
    """One browser's queue."""

    def __init__(self, watched: Watched, groups: Iterable[str]) -> None:
        self.watched, self.groups = watched, tuple(groups)
        self._waiting: deque[bytes] = deque(maxlen=_QUEUE)
        self._arrived = threading.Condition()

    def put(self, frame: bytes) -> None:
        with self._arrived:
            self._waiting.append(frame)
            self._arrived.notify()

    def take(self, seconds: float) -> list[bytes]:
        """All that has arrived; waits for at most ``seconds`` when that is nothing."""
        with self._arrived:
            if not self._waiting:
                self._arrived.wait(seconds)
            frames = list(self._waiting)
            self._waiting.clear()
            return frames


class Audience:
    """Who in this process watches what."""

    def __init__(self, redis_url: str, places: Places) -> None:
        self._places = places
        # Told by the web server: streams end then.
        self.stopping: Callable[[], bool] = lambda: False
        self._channels = watch.Channels(redis_url)
        # A page waits for `join`, and viewers for news of Redis: neither waits for retries.
        self._redis = redis.Redis.from_url(
            redis_url,
            socket_timeout=2.0,
            socket_connect_timeout=1.0,
            health_check_interval=10,
            retry=Retry(NoBackoff(), 0),
        )
        self._renew = self._redis.register_script(watch.RENEW_WATCH)
        self._lock = threading.Lock()
        self._viewers: dict[Watched, set[Viewer]] = {}
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._left_at = time.monotonic()
        # Whether Redis and a hub answer, as the viewers were told last.
        self._served = True

    def __len__(self) -> int:
        return sum(map(len, self._viewers.values()))

    def join(self, watched: Watched, groups: Iterable[str]) -> Viewer:
        """A queue that begins with what is known already. Raises Full."""
        viewer = Viewer(watched, groups)
        self._places.take(watched.organisation_id)
        with self._lock:
            self._viewers.setdefault(watched, set()).add(viewer)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live-audience", daemon=True)
                self._thread.start()
        # What the hub says first would otherwise be said before anybody here listens. Redis away: said below.
        self._listening.wait(1.0)
        try:
            self._watch([viewer])
            self._redis.publish(self._channels.bell, b"")
            last = self._redis.get(watched.last)
            for event in orjson.loads(last) if isinstance(last, bytes) else ():
                viewer.put(orjson.dumps(event))
            if not last:
                viewer.put(CONNECTING if self._redis.exists(watch.ALIVE) else UNAVAILABLE)
        except (redis.RedisError, OSError):
            viewer.put(UNAVAILABLE)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Twice is as good as once. The hub's lease on what it watched runs out by itself."""
        with self._lock:
            viewers = self._viewers.get(viewer.watched, set())
            if viewer not in viewers:
                return
            viewers.remove(viewer)
            if not viewers:
                del self._viewers[viewer.watched]
            self._left_at = time.monotonic()
        self._places.give_back(viewer.watched.organisation_id)

    def _everybody(self) -> list[Viewer]:
        with self._lock:
            return [viewer for viewers in self._viewers.values() for viewer in viewers]

    def _watch(self, viewers: list[Viewer]) -> None:
        members = {viewer.watched.member(group) for viewer in viewers for group in viewer.groups}
        if members:
            self._renew(keys=[watch.WATCHED], args=[watch.WATCH_SECONDS, *sorted(members)])

    def _tell(self, frame: bytes) -> None:
        for viewer in self._everybody():
            viewer.put(frame)

    def _serve(self, served: bool) -> None:
        if served != self._served:
            self._served = served
            self._tell(CONNECTING if served else UNAVAILABLE)

    def _run(self) -> None:
        while True:
            try:
                self._listen()
                return
            except (redis.RedisError, OSError) as failure:
                self._listening.clear()
                if self._served:
                    logger.warning("live_redis_away", error=type(failure).__name__)
                self._serve(False)
                if self._finished():
                    return
                time.sleep(_RETRY_SECONDS)

    def _listen(self) -> None:
        """Fan out until nobody has been here for a while."""
        with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            # All of them: a subscription per instrument would have to be changed from other threads, and only
            # watched instruments are published at all.
            channel.psubscribe(self._channels.pattern)
            self._listening.set()
            renew_at = 0.0
            while True:
                if time.monotonic() >= renew_at:
                    self._watch(self._everybody())
                    renew_at = time.monotonic() + watch.RENEW_SECONDS
                    self._serve(bool(self._redis.exists(watch.ALIVE)))
                message = channel.get_message(timeout=min(1.0, max(0.0, renew_at - time.monotonic())))
                if message is not None and message["type"] == "pmessage":
                    # A hub speaks: should it be gone by the next look, that is to be told.
                    self._served = True
                    with self._lock:
                        viewers = list(self._viewers.get(self._channels.watched(message["channel"]), ()))
                    for viewer in viewers:
                        viewer.put(message["data"])
                elif self._finished():
                    return

    def _finished(self) -> bool:
        with self._lock:
            if self._viewers or time.monotonic() - self._left_at < _LINGER_SECONDS:
                return False
            # Under the lock: who joins from here on starts a new listener.
            self._thread = None
            self._listening.clear()
            return True


@cache
def audience() -> Audience:
    """This process's own."""
    return Audience(settings.REDIS_URL, VIEWERS)
