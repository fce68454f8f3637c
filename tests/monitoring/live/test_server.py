"""Live levels through the processes of an installation: hub, web server, Redis, MyCirrus; and through their deaths."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from cirrusweb import embedded_redis
from monitoring.live.stream import ADMISSION_SECONDS, WRITE_SECONDS
from tests.monitoring.live.conftest import until
from tests.simulated import SimulatedMyCirrus

ROOT: Path = settings.BASE_DIR
THREADS, GRACE, SOUNDS = 8, 30, 8
PREPARE = """
import json
from datetime import UTC, datetime
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from instruments.models import ApiKey, Instrument, Membership, Organisation, User
from instruments.tenancy import organisation_scope
from monitoring.models import Event

def session(email):
    user = User.objects.create_user(email, "a password")
    store = SessionStore()
    store[SESSION_KEY], store[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    store[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    store.save()
    return user, store.session_key

now = datetime.now(UTC)
cookies = {}
for slug, email in (("harbour", "bob@example.com"), ("quarry", "charlie@example.com")):
    organisation = Organisation.objects.create(name=slug.title(), slug=slug)
    user, cookies[email.partition("@")[0]] = session(email)
    with organisation_scope(organisation.pk):
        Membership.objects.create(organisation=organisation, user=user, role="viewer")
        key = ApiKey(organisation=organisation, label="Main", state="good", base_url=BASE_URL)
        key.secret_set(SECRET)
        key.save()
        if slug == "quarry":
            Instrument.objects.create(
                organisation=organisation, serial="QUARRY", type="Noise", api_key=key, first_seen_at=now, seen_at=now
            )
        else:
            for serial, kind in SERIALS:
                instrument = Instrument.objects.create(
                    organisation=organisation, serial=serial, type=kind, api_key=key, first_seen_at=now, seen_at=now
                )
            for number in range(1, SOUNDS + 1):
                sound = f"sound {number}"
                Event.objects.create(pk=number, instrument=instrument, start_at=now, name=sound, audio_id=sound)
            leaver, cookies["dora"] = session("dora@example.com")
            Membership.objects.create(organisation=organisation, user=leaver, role="viewer")
print(json.dumps(cookies))
"""
REMOVE = """
from instruments.models import Membership, Organisation
from instruments.tenancy import organisation_scope

with organisation_scope(Organisation.objects.get(slug="harbour").pk):
    Membership.objects.get(user__email="dora@example.com").delete()
"""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


@dataclass
class Installation:
    """A database and a Redis of its own, and processes over them."""

    folder: Path
    redis_url: str
    mycirrus: SimulatedMyCirrus
    port: int = field(default_factory=free_port)
    cookies: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "cirrusweb.settings",
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": f"sqlite:///{self.folder / 'live.sqlite3'}",
            "REDIS_URL": self.redis_url,
            "MYCIRRUS_EXTRA_BASE_URLS": self.mycirrus.base_url,
        }

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            # A machine that runs other things beside it migrates several times as slowly.
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def prepare(self, serials: list[tuple[str, str]]) -> None:
        self.manage("migrate", "--no-input", "-v", "0")
        values = (self.mycirrus.base_url, self.mycirrus.key, serials, SOUNDS)
        given = f"BASE_URL, SECRET, SERIALS, SOUNDS = {values!r}\n"
        printed = self.manage("shell", "--no-imports", "-v", "0", "-c", given + PREPARE)
        self.cookies = json.loads(printed.splitlines()[-1])

    @contextmanager
    def process(self, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environment(), stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def hub(self) -> Any:
        return self.process("hub", "manage.py", "live")

    @contextmanager
    def web(self) -> Iterator[subprocess.Popen[bytes]]:
        command = ["-m", "gunicorn", "cirrusweb.wsgi", "--worker-class", "gthread", "--threads", str(THREADS)]
        command += [
            "--bind",
            f"127.0.0.1:{self.port}",
            "--graceful-timeout",
            str(GRACE),
            "--no-control-socket",
        ]
        with self.process("web", *command) as process:
            until(lambda: self.answers(), 120)
            yield process

    def answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def get(self, path: str, who: str = "bob", **options: Any) -> requests.Response:
        return requests.get(
            f"http://127.0.0.1:{self.port}{path}",
            cookies={"sessionid": self.cookies[who]} if who else None,
            timeout=60,
            allow_redirects=False,
            **options,
        )

    def sound(self, number: int) -> requests.Response:
        return self.get(f"/o/harbour/events/{number}/audio/", headers={"Accept": "application/json"})

    def sockets(self, number: int) -> None:
        """So many are open, once the pages of an earlier test are not watched any more."""
        self.mycirrus.until(lambda: self.mycirrus.live_sockets() == number)

    def log(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


class Browser:
    """One page that watches, in a thread; `heard` is (when, event)."""

    def __init__(
        self, installation: Installation, serial: str, values: str = "levels", who: str = "bob"
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", installation.port), timeout=90)
        self._lines = self._socket.makefile("rb")
        slug = "quarry" if who == "charlie" else "harbour"
        head = f"GET /o/{slug}/i/{serial}/live/?values={values} HTTP/1.1\r\nHost: localhost\r\n"
        self._socket.sendall(f"{head}Cookie: sessionid={installation.cookies[who]}\r\n\r\n".encode())
        self.status = int(self._lines.readline().split()[1])
        self.headers = {}
        while line := self._lines.readline().decode().strip():
            name, _, value = line.partition(": ")
            self.headers[name] = value
        self.heard: list[tuple[float, dict[str, Any]]] = []
        self.ended = threading.Event()
        if self.status == 200:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            # The sizes of chunks stand on lines of their own.
            for line in self._lines:
                if line.startswith(b"data: "):
                    self.heard.append((time.time(), json.loads(line[6:])))
                elif line == b"0\r\n":
                    break
        except (OSError, ValueError):
            pass
        finally:
            self.ended.set()

    def until(self, fits: Callable[[dict[str, Any]], Any], *, seconds: float = 90, after: int = 0) -> Any:
        return until(lambda: next((event for _, event in self.heard[after:] if fits(event)), None), seconds)

    def levels(self, *, seconds: float = 90, fresh: bool = False) -> dict[str, Any]:
        after = len(self.heard) if fresh else 0
        return self.until(lambda event: event["type"] == "levels", seconds=seconds, after=after)

    def state(self, state: str, *, seconds: float = 90) -> dict[str, Any]:
        return self.until(lambda event: event.get("state") == state, seconds=seconds)

    def close_if_let_in(self) -> bool:
        self.close()
        return self.status == 200

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with SimulatedMyCirrus(epoch=None) as mycirrus, embedded_redis.running() as redis_url:
        made = Installation(tmp_path_factory.mktemp("live"), redis_url, mycirrus)
        noise, other = mycirrus.serials(), mycirrus.serials("Vibration")
        made.prepare([(serial, "Noise") for serial in noise] + [(serial, "Vibration") for serial in other])
        with made.web():
            yield made


@pytest.fixture(scope="module")
def serials(installation: Installation) -> list[str]:
    """Instruments that measure now: the demo unit and the one that fails its SIC at night."""
    facts = installation.mycirrus.facts()["instruments"]
    steady = [row["serial"] for row in facts if row["type"] == "Noise" and row["character"] == "failing-sic"]
    demo = installation.mycirrus.facts()["demo"]
    return [demo, *steady]


@pytest.fixture
def browse(installation: Installation) -> Iterator[Callable[..., Browser]]:
    opened: list[Browser] = []

    def start(serial: str, values: str = "levels", who: str = "bob") -> Browser:
        opened.append(Browser(installation, serial, values, who))
        return opened[-1]

    yield start
    for browser in opened:
        browser.close()
    # A page that is closed gives its place back although nobody measures and nothing is sent.
    assert until(lambda: Browser(installation, installation.mycirrus.facts()["demo"]).close_if_let_in(), 60)
    installation.mycirrus.moods()
    for row in installation.mycirrus.facts()["instruments"]:
        installation.mycirrus.offline(row["serial"], None)


Browse = Callable[..., Browser]


def test_levels_reach_a_page_within_the_second(
    installation: Installation, serials: list[str], browse: Browse
) -> None:
    with installation.hub():
        first, second = _let_in(browse, serials[0]), _let_in(browse, serials[0], values="levels,octaves")
        assert first.headers["Content-Type"] == "text/event-stream"
        assert first.headers["Cache-Control"] == "no-store"
        assert first.headers["X-Accel-Buffering"] == "no"
        first.levels()
        second.until(lambda event: "1KHz" in event.get("values", {}))
        installation.sockets(1)
        # The simulated MyCirrus sends at the turn of the second that the message names.
        until(lambda: len(first.heard) > 6, 90)
        late = sorted(at * 1000 - event["at"] for at, event in first.heard if event["type"] == "levels")
        assert late[len(late) // 2] < 1000
        # Another instrument is another connection, and stays apart.
        other = _let_in(browse, serials[1])
        other.levels()
        installation.sockets(2)
    assert installation.mycirrus.key not in installation.log()
    assert "live_started" in installation.log()


def test_who_may_not_watch(installation: Installation, serials: list[str]) -> None:
    path = f"/o/harbour/i/{serials[0]}/live/"
    assert installation.get(path, "charlie").status_code == 404
    assert installation.get("/o/quarry" + path.removeprefix("/o/harbour"), "charlie").status_code == 404
    assert installation.get("/o/harbour/i/nothing/live/").status_code == 404
    anonymous = installation.get(path, "")
    assert (anonymous.status_code, anonymous.headers["Location"][:16]) == (302, "/accounts/login/")
    vibration = installation.mycirrus.serials("Vibration")[0]
    assert installation.get(f"/o/harbour/i/{vibration}/live/").status_code == 204


def test_a_full_house_keeps_threads_for_pages(
    installation: Installation, serials: list[str], browse: Browse
) -> None:
    until(lambda: browse(serials[0]).status == 503)
    refused = browse(serials[0])
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    # Another organisation still finds a place.
    assert browse("QUARRY", who="charlie").status == 200
    installation.mycirrus.moods(hang=True, path="/v1/data/events/audio")
    with ThreadPoolExecutor(SOUNDS) as pool:
        sounds = [pool.submit(installation.sound, number) for number in range(1, SOUNDS + 1)]
        # One waits for MyCirrus, and so does nobody else.
        until(lambda: sum(sound.done() for sound in sounds) == SOUNDS - 1)
        told = [sound.result() for sound in sounds if sound.done()]
        assert {(answer.status_code, answer.json()["code"]) for answer in told} == {(503, "busy")}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in told)
        assert installation.get("/o/harbour/").status_code == 200
        assert installation.get("/readyz", "").ok
        assert sum(sound.done() for sound in sounds) == SOUNDS - 1


def test_a_page_that_stops_reading_holds_nobody_up(
    installation: Installation, serials: list[str], browse: Browse
) -> None:
    stuck = until(lambda: _reads_no_further(installation, serials[0]))
    with installation.hub(), stuck:
        quick = _let_in(browse, serials[0])
        quick.levels()
        # Less than the server waits for the stuck one.
        quick.levels(fresh=True, seconds=WRITE_SECONDS - 5)
        quick.levels(fresh=True, seconds=WRITE_SECONDS - 5)


def _let_in(browse: Browse, serial: str, who: str = "bob", values: str = "levels") -> Browser:
    """A house that was full a moment ago lets people in one by one, and the last test's leave it within seconds."""
    let_in: Browser = until(lambda: (page := browse(serial, values, who)).status == 200 and page)
    return let_in


def _reads_no_further(installation: Installation, serial: str) -> socket.socket | None:
    stuck = socket.create_connection(("127.0.0.1", installation.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    head = f"GET /o/harbour/i/{serial}/live/?values=levels,octaves HTTP/1.1\r\nHost: localhost\r\n"
    stuck.sendall(f"{head}Cookie: sessionid={installation.cookies['bob']}\r\n\r\n".encode())
    if stuck.recv(12) == b"HTTP/1.1 200":
        return stuck
    stuck.close()
    return None


def test_the_hub_is_killed(installation: Installation, serials: list[str], browse: Browse) -> None:
    browser = _let_in(browse, serials[0])
    with installation.hub() as hub:
        browser.levels()
        hub.send_signal(signal.SIGKILL)
        hub.wait()
        installation.sockets(0)
    with installation.hub():
        # The same page goes on: the dead one's claim runs out by itself.
        browser.levels(fresh=True)
        assert not browser.ended.is_set()
        installation.sockets(1)


def test_offline_is_said_and_so_is_its_end(
    installation: Installation, serials: list[str], browse: Browse
) -> None:
    with installation.hub():
        browser = _let_in(browse, serials[0])
        browser.levels()
        installation.mycirrus.offline(serials[0])
        browser.state("offline")
        # Who comes now is told at once, without MyCirrus being asked.
        installation.mycirrus.forget_requests()
        assert _let_in(browse, serials[0]).state("offline")
        assert installation.mycirrus.requests()["total"] == 0


def test_who_is_removed_hears_nothing_more(
    installation: Installation, serials: list[str], browse: Browse
) -> None:
    with installation.hub():
        stays, leaves = _let_in(browse, serials[0]), _let_in(browse, serials[0], who="dora")
        leaves.levels()
        installation.manage("shell", "-v", "0", "--no-imports", "-c", REMOVE)
        assert leaves.ended.wait(ADMISSION_SECONDS + 60)
        stays.levels(fresh=True)
    assert browse(serials[0], who="dora").status == 404


def test_a_stopping_server_ends_its_streams(
    installation: Installation, serials: list[str], tmp_path: Path
) -> None:
    second = Installation(
        tmp_path, installation.redis_url, installation.mycirrus, cookies=installation.cookies
    )
    (tmp_path / "live.sqlite3").write_bytes((installation.folder / "live.sqlite3").read_bytes())
    with second.web() as web:
        browser = Browser(second, serials[0])
        assert browser.status == 200
        began = time.monotonic()
        web.terminate()
        assert web.wait(60) == 0
        # Before the grace that it has is over.
        assert time.monotonic() - began < GRACE
        assert browser.ended.wait(20)
