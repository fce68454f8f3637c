"""The whole way through real processes: gunicorn, Redis and a worker; with Redis away, nothing is lost."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from cirrusweb import embedded_redis
from tests.webhooks.conftest import HOOK_ID, MEASUREMENT, SECRET, SIC, mac

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("webhooks-server")]

PREPARE = f"""
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.utils import timezone
from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import organisation_scope
from webhooks.models import Subscription
organisation = Organisation.objects.create(name="Harbour", slug="harbour")
with organisation_scope(organisation.pk):
    subscription = Subscription(organisation=organisation, remote_id={HOOK_ID!r})
    subscription.secret_set({SECRET!r})
    subscription.save()
print(organisation.webhook_token)
"""

TICK = "from webhooks.tasks import tick; tick()"


@dataclass
class Installation:
    """A database of its own with one organisation, and processes over it."""

    data_dir: Path
    token: str = ""

    @property
    def database(self) -> Path:
        return self.data_dir / "hooks.sqlite3"

    def environment(self, redis_url: str) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "cirrusweb.settings",
            "DATA_DIR": str(self.data_dir),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_URL": redis_url,
        }

    def run(self, code: str, redis_url: str = "redis://127.0.0.1:1/0") -> str:
        """What a management shell prints."""
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment(redis_url),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def serving(self, redis_url: str) -> Iterator[str]:
        """gunicorn as `make run` starts it; yields the address that takes webhooks."""
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        arguments = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "4"]
        command = ["-m", "gunicorn", "cirrusweb.wsgi", *arguments, "--access-logfile", "-"]
        command += ["--no-control-socket"]
        with self._process(command, redis_url):
            until(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
            yield f"http://127.0.0.1:{port}/hooks/{self.token}/"

    @contextmanager
    def working(self, redis_url: str) -> Iterator[None]:
        """A Celery worker."""
        with self._process(
            ["-m", "celery", "-A", "cirrusweb", "worker", "--pool", "threads", "--concurrency", "2"],
            redis_url,
        ):
            yield

    @contextmanager
    def _process(self, command: list[str], redis_url: str) -> Iterator[None]:
        with (self.data_dir / f"{command[1]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environment(redis_url), stdout=log, stderr=log
            )
            try:
                yield
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def deliveries(self) -> list[tuple[Any, ...]]:
        """(state, effect, body) of all that is stored."""
        with closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute("SELECT state, effect, body FROM webhooks_delivery ORDER BY id")
            return rows.fetchall()


def until(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Poll until the condition gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came to it"
        time.sleep(0.05)
    return found


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def post(address: str, body: bytes, *, data: Any = None) -> requests.Response:
    headers = {"X-Webhook-Id": HOOK_ID, "X-Webhook-Signature": mac(body).hex()}
    return requests.post(address, data=data if data is not None else body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = Installation(tmp_path_factory.mktemp("webhooks"))
    made.token = made.run(PREPARE).splitlines()[-1]
    return made


def test_from_socket_to_effect_and_a_chunked_body_is_read(installation: Installation) -> None:
    body = json.dumps(SIC).encode()
    with embedded_redis.running() as url, installation.serving(url) as address:
        before = len(installation.deliveries())
        # requests chunks what it is given piece by piece, and then names no length.
        assert post(address, body, data=iter([body[:20], body[20:]])).status_code == 200
        too_much = b"[" + b" " * 300_000 + b"]"
        assert post(address, too_much, data=iter([too_much])).status_code == 413
        stored = post(address, b"not json")
        assert (stored.status_code, stored.headers["Content-Length"]) == (200, str(len(stored.content)))
        assert [row[2] for row in installation.deliveries()[before:]] == [body, b"not json"]
        with installation.working(url):
            rows = until(lambda: _finished(installation, before))
    assert [row[0] for row in rows] == ["processed", "failed"]
    assert "No instrument QT000001 is known here" in rows[0][1]


def test_with_the_broker_down_it_is_stored_and_a_later_tick_finds_it(installation: Installation) -> None:
    body = json.dumps(MEASUREMENT).encode()
    before = len(installation.deliveries())
    with installation.serving("redis://127.0.0.1:1/0") as address:
        post(address, b"{}")  # the first request of a process pays for its imports
        began = time.monotonic()
        assert [post(address, body).status_code for _ in range(5)] == [200] * 5
        assert time.monotonic() - began < 9
    assert [row[0] for row in installation.deliveries()[before:]] == ["received"] * 6
    with embedded_redis.running() as url:
        installation.run("from webhooks.tasks import tick; tick()", url)
        with redis.Redis.from_url(url) as client:
            assert client.llen("celery") == 1
        with installation.working(url):
            # As beat does: what was queued above may be too old by the time that a busy machine's worker stands.
            until(lambda: _finished(installation, before) or installation.run(TICK, url))
        assert _finished(installation, before)


def _finished(installation: Installation, before: int) -> list[tuple[Any, ...]]:
    rows = installation.deliveries()[before:]
    return [] if any(row[0] == "received" for row in rows) else rows


def test_the_access_log_holds_no_address_that_is_a_password(installation: Installation) -> None:
    key = "MQ:1xXuQi:plain-key_plain-key"
    paths = [
        f"/accounts/confirm-email/{key}/",
        f"/accounts/confirm-email/{key.replace(':', '%3A')}/",
        f"/accounts/password/reset/key/{key}/",
        f"/alerts/{key}/",
        f"/calendar/{key}.ics",
        f"/invitations/{key}/",
        f"/accounts/login/?next=%2Finvitations%2F{key}%2F",
    ]
    with installation.serving("redis://127.0.0.1:1/0") as address:
        requests.post(address, data=b"{}", timeout=10)
        base = address.partition("/hooks/")[0]
        for path in paths:
            requests.get(base + path, timeout=10, headers={"Referer": base + path})
    log = (installation.data_dir / "gunicorn.log").read_text()
    assert log.count("HTTP/1.1") >= 1 + len(paths)
    assert "plain-key" not in log
    assert installation.token not in log
    assert "POST /hooks/[redacted]" in log
