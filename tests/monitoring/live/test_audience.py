"""The viewers of one web process: nobody waits for anybody, and Redis may come and go."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
import redis
from django.conf import settings
from django.db import OperationalError

from cirrusweb import embedded_redis
from monitoring.live import audience as module
from monitoring.live import watch
from monitoring.live.audience import Audience
from monitoring.live.stream import Stream
from monitoring.live.watch import Channels, Watched
from monitoring.threads import Full, Places
from tests.monitoring.live.conftest import Watcher, until

ONE = Watched(5, "QT000005")


def publish(store: redis.Redis, watched: Watched, number: int) -> None:
    store.publish(Channels(settings.REDIS_URL).of(watched), orjson.dumps({"type": "levels", "at": number}))


def test_everybody_hears_their_own_and_nothing_else(audience: Audience, store: redis.Redis) -> None:
    here, there = Watcher(audience, ONE), Watcher(audience, Watched(6, ONE.serial))
    publish(store, ONE, 1)
    assert here.levels()["at"] == 1
    publish(store, there.viewer.watched, 2)
    assert there.levels()["at"] == 2
    assert [event["at"] for event in there.heard if event["type"] == "levels"] == [2]


def test_a_slow_viewer_loses_its_oldest_and_holds_nobody_up(audience: Audience, store: redis.Redis) -> None:
    slow, quick = Watcher(audience, ONE), Watcher(audience, ONE)
    for number in range(500):
        publish(store, ONE, number)
        if number % 20 == 0:
            quick.until(lambda event, wanted=number: event.get("at") == wanted)
    quick.until(lambda event: event.get("at") == 499)
    kept = [orjson.loads(frame) for frame in slow.viewer.take(0)]
    assert [event["at"] for event in kept] == list(range(468, 500))


def test_a_full_house(audience: Audience) -> None:
    audience._places.most = 6
    watchers = [Watcher(audience, ONE) for _ in range(5)]
    with pytest.raises(Full):
        audience.join(ONE, ["levels"])
    watchers[0].leave()
    watchers[0].leave()
    Watcher(audience, ONE)
    with pytest.raises(Full):
        audience.join(ONE, ["levels"])
    Watcher(audience, Watched(6, ONE.serial))


def test_the_watch_is_a_lease_that_is_kept(
    audience: Audience, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 2.0)
    monkeypatch.setattr(watch, "RENEW_SECONDS", 0.1)
    watcher = Watcher(audience, ONE)
    read = store.register_script(watch.READ_WATCHED)
    until_at = time.monotonic() + 3.0
    while time.monotonic() < until_at:
        assert read(keys=[watch.WATCHED]) == [b"5:levels:QT000005"]
        time.sleep(0.1)
    watcher.leave()
    until(lambda: read(keys=[watch.WATCHED]) == [])


def test_the_listener_ends_after_the_last_and_begins_again(
    audience: Audience, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER_SECONDS", 0.0)
    Watcher(audience, ONE).leave()
    until(lambda: audience._thread is None)
    again = Watcher(audience, ONE)
    publish(store, ONE, 3)
    assert again.levels()["at"] == 3


def test_a_stream_that_never_began_lets_its_viewer_leave(audience: Audience) -> None:
    stream = Stream(audience, audience.join(ONE, ["levels"]), lambda: True)
    assert len(audience) == 1
    stream.close()
    assert len(audience) == 0


def test_a_stream_ends_by_itself_and_when_the_server_stops(audience: Audience) -> None:
    stream = Stream(audience, audience.join(ONE, ["levels"]), lambda: True, life=0.2)
    assert next(stream).startswith(b"retry:")
    began = time.monotonic()
    assert b"".join(stream).startswith(b"data: {")
    assert time.monotonic() - began < 60
    audience.stopping = lambda: True
    stopped = Stream(audience, audience.join(ONE, ["levels"]), lambda: True)
    assert len(list(stopped)) == 1


def test_a_stream_goes_on_while_the_database_is_away(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.live.stream.ADMISSION_SECONDS", 0.0)
    answers: list[bool | Exception] = [True, OperationalError("away"), False]

    def admitted() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    stream = Stream(audience, audience.join(ONE, ["levels"]), admitted)
    assert next(stream).startswith(b"retry:")
    assert next(stream).startswith(b"data:")
    # Perhaps one more word of the hub that is not there; the answer after the trouble ends it.
    assert all(frame.startswith(b"data:") for frame in stream)
    assert answers == []


def test_a_quiet_stream_beats(audience: Audience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.live.stream.HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("monitoring.live.stream._LOOK_SECONDS", 0.1)
    stream = Stream(audience, audience.join(ONE, ["levels"]), lambda: True)
    assert b":\n\n" in [next(stream) for _ in range(4)]


# --- Redis comes and goes


class OwnRedis:
    """A Redis of this test alone, on a port, to be killed."""

    def __init__(self, folder: Path) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self._port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = str(embedded_redis.find_server().binary)
        command = [
            binary,
            "--port",
            str(self._port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path)
    yield server
    server.kill()


def test_redis_away_is_said_and_its_return_too(own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(watch, "RENEW_SECONDS", 0.3)
    audience = Audience(own_redis.url, Places(100))
    early = Watcher(audience, ONE)
    early.state("unavailable", 3)

    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as store:
        store.set(watch.ALIVE, "hub")
        early.state("connecting")
        # Watched again without being asked to.
        until(lambda: store.zcard(watch.WATCHED) == 1)
        store.publish(Channels(own_redis.url).of(ONE), b'{"type":"levels","at":1}')
        early.levels()

    own_redis.kill()
    early.state("unavailable")
    late = Watcher(audience, ONE)
    late.state("unavailable", 3)
    for watcher in (early, late):
        watcher.leave()
