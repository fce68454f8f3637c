"""Which processes an installation consists of and how each is started; it starts none of them."""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cirrusweb import embedded_redis
from cirrusweb.supervisor.child import Child
from cirrusweb.supervisor.installation import ROOT, Installation
from cirrusweb.supervisor.logfile import LogFile

# What is stopped first: whatever starts work, then what answers it, then what keeps it.
WORK, PEER, STORE = range(3)
# Seconds until tonight's failed self-check, so that a visitor of the demo sees one.
DEMO_FAILURE_AFTER = 75


@dataclass(frozen=True)
class Plan:
    """The children of one installation, all with the same environment."""

    installation: Installation
    environment: Mapping[str, str]

    def child(
        self,
        name: str,
        *arguments: str | Path,
        stop_order: int = WORK,
        once: bool = False,
        death_signal: int = signal.SIGTERM,
    ) -> Child:
        """A child that runs a Python module or file with the Python that runs this."""
        # Never a script from .venv/bin: their first line breaks where the folder's name holds a space.
        command = [sys.executable, *map(str, arguments)]
        return self._child(name, command, stop_order, once, death_signal)

    def _child(
        self, name: str, command: Sequence[str], stop_order: int, once: bool, death_signal: int
    ) -> Child:
        return Child(
            name=name,
            command=command,
            environment=self.environment,
            directory=ROOT,
            log=LogFile(self.installation.logs / f"{name}.log"),
            stop_order=stop_order,
            once=once,
            death_signal=death_signal,
        )

    def redis(self, server: embedded_redis.RedisServer) -> Child:
        command = embedded_redis.command(server, self.installation.data_dir)
        return self._child("redis", command, STORE, False, signal.SIGTERM)

    def simulator(self, *, port: int) -> Child:
        return self.child(
            "simulator",
            *("-m", "simulator", "--port", str(port), "--fleet", "12", "--seed", "1"),
            *("--state", self.installation.data_dir / "simulator.json"),
            *("--allow-http-webhooks", "--demo-sic-after", str(DEMO_FAILURE_AFTER)),
            stop_order=PEER,
        )

    def preparation(self, *, simulator_url: str) -> Child:
        """Migrations and, with a simulator, the demo; see the command `prepare` for what it answers."""
        demo = ("--demo", simulator_url) if simulator_url else ()
        return self.child("preparation", ROOT / "manage.py", "prepare", *demo, once=True)

    def web(self) -> Child:
        """One process of many threads: each page that shows live levels keeps one of them."""
        host, port = self.installation.host, self.installation.port
        return self.child(
            "web",
            *(
                "-m",
                "gunicorn",
                "cirrusweb.wsgi",
                "--worker-class",
                "gthread",
                "--workers",
                "1",
                "--threads",
                # Each viewer of live levels holds one; gunicorn starts them only when they are needed. Three quarters
                # are for viewers (monitoring/threads.py), a hundred of which may be of one organisation.
                "160",
            ),
            *("--bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"),
            *("--timeout", "60", "--graceful-timeout", "4", "--keep-alive", "5"),
            *("--access-logfile", "-", "--no-control-socket"),
        )

    def worker(self) -> Child:
        # Two tasks at a time: each may hold a week of one-minute levels, and a small machine has as many processors.
        # Killed outright with its parent: a warm shutdown would wait for its tasks with nobody watching, and
        # what is cut short is delivered again.
        return self.child(
            "worker",
            *("-m", "celery", "-A", "cirrusweb", "worker", "--pool", "threads", "--concurrency", "2"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"),
            death_signal=signal.SIGKILL,
        )

    def live(self) -> Child:
        return self.child("live", ROOT / "manage.py", "live")

    def beat(self) -> Child:
        # No pid file: the lock on the data folder already keeps a second beat away.
        return self.child(
            "beat", "-m", "celery", "-A", "cirrusweb.beat", "beat", "--pidfile", "", "--loglevel", "INFO"
        )


def environment(
    installation: Installation,
    *,
    inherited: Mapping[str, str],
    secrets: Mapping[str, str],
    redis_url: str,
    simulator_url: str,
) -> dict[str, str]:
    """What the children are told: what the user set stands, the rest are the embedded defaults."""
    defaults = {
        "PUBLIC_URL": installation.address,
        "ALLOWED_HOSTS": ",".join(
            dict.fromkeys(["localhost", "127.0.0.1", "[::1]", installation.host, socket.gethostname()])
        ),
        # A demo on this machine is served over plain http, and from the checkout without `collectstatic`.
        "INSECURE_HTTP": "1",
        "SERVE_STATIC_FROM_SOURCE": "1",
        "PYTHONUNBUFFERED": "1",
        # One of the worker's two threads is always free for what is new.
        "SYNC_BACKFILLS_AT_ONCE": "1",
        # Nor are both of them to wait for a mail server that says nothing.
        "SENDS_AT_ONCE": "1",
        # glibc gives each thread an arena of its own; two are enough here and halve the worker's memory.
        "MALLOC_ARENA_MAX": "2",
    }
    allowed = [url for url in (inherited.get("MYCIRRUS_EXTRA_BASE_URLS", ""), simulator_url) if url]
    settled = {
        **secrets,
        "DATA_DIR": str(installation.data_dir),
        "REDIS_URL": redis_url,
        "MYCIRRUS_EXTRA_BASE_URLS": ",".join(allowed),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [inherited.get("PYTHONPATH", "")])]),
    }
    return {**defaults, **inherited, **settled}
