"""Every process of an installation, real, over the test's own database: to be killed, frozen, starved and restarted."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis
import requests
from django.db import connection

from cirrusweb import embedded_redis
from cirrusweb.supervisor.installation import ROOT, Installation, free_port
from cirrusweb.supervisor.plan import Plan
from cirrusweb.supervisor.tether import tie_to_parent

# Polls come often. A lease is longer than a turn takes on a busy machine: a test ends it, nobody waits for it.
HURRIED = {
    "POLL_STATUS_SECONDS": "4",
    "POLL_NOISE_SECONDS": "3",
    "POLL_SIC_SECONDS": "4",
    "POLL_CALIBRATIONS_SECONDS": "8",
    "POLL_INSTRUMENTS_SECONDS": "8",
    "POLL_OTHER_SECONDS": "3600",
    "HISTORY_DAYS": "3",
    "SYNC_TASK_SECONDS": "40",
    "SYNC_LEASE_SECONDS": "60",
    "MYCIRRUS_CONNECT_TIMEOUT": "1",
    "MYCIRRUS_READ_TIMEOUT": "10",
}


def database_url() -> str:
    """The database that this test uses, as an installation is told of it."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    return f"postgres://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"


class Processes:
    """Redis, web server, worker and beat, started exactly as `manage.py serve` starts them.

    A name may carry a number: "worker-2" is a second worker, as on a second machine, with a folder of its own.
    """

    names = ("redis", "web", "worker", "beat")

    def __init__(
        self, data_dir: Path, logs: Path, environment: Mapping[str, str], python_path: Path | None = None
    ) -> None:
        self._data_dir, self._logs = data_dir, logs
        self.port = free_port()
        self.redis_url = embedded_redis.url(data_dir)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        self._environment = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "cirrusweb.settings",
            "DATABASE_URL": database_url(),
            "REDIS_URL": self.redis_url,
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, (python_path, ROOT)))),
            **HURRIED,
            **environment,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        for name in names or self.names:
            kind, _, number = name.partition("-")
            folder = self._data_dir / name if number else self._data_dir
            folder.mkdir(exist_ok=True)
            installation = Installation(folder, port=self.port)
            plan = Plan(installation, {**self._environment, "DATA_DIR": str(folder)})
            child = plan.redis(embedded_redis.find_server()) if kind == "redis" else getattr(plan, kind)()
            with (self._logs / f"{name}.out").open("ab") as log:
                self._running[name] = subprocess.Popen(
                    child.command,
                    env=dict(child.environment),
                    cwd=child.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    # A test run that is killed leaves none of them behind.
                    preexec_fn=tie_to_parent(signal.SIGKILL),
                )
            if kind == "redis":
                path = embedded_redis.socket_path(self._data_dir)
                until(lambda path=path: embedded_redis.answers(path), "Redis to answer", 30, self.said)
            if kind == "web":
                until(self._web_answers, "the web server to answer", 60, self.said)

    def kill(self, *names: str) -> None:
        """Kill -9, as a power cut or the kernel's own out-of-memory killer would."""
        for name in names or list(self._running):
            process = self._running.pop(name)
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    def signal(self, number: int, *names: str) -> None:
        """Freeze with SIGSTOP, wake with SIGCONT."""
        for name in names:
            os.killpg(self._running[name].pid, number)

    def ended(self) -> list[str]:
        """Those that have ended by themselves."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def log(self, name: str) -> str:
        return (self._logs / f"{name}.out").read_text(errors="replace")

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url)

    def close(self) -> None:
        self.kill()
        # Elsewhere than in the test's folder where that has a long name.
        shutil.rmtree(embedded_redis.socket_path(self._data_dir).parent, ignore_errors=True)

    def said(self) -> str:
        """The end of what they wrote, for the message of a test that fails."""
        return "\n".join(
            f"--- {path.stem}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self._logs.glob("*.out"))
        )

    def _web_answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


def until(condition: Callable[[], Any], what: str, seconds: float, said: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}\n{said()}")
        time.sleep(0.1)
