"""T9: the second start of `make run`, its memory in all and what it takes of a processor when nobody looks."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Row, judged
from bench.processes import cpu_seconds, descendants, memory_mb, name_of
from bench.stage import ROOT
from cirrusweb.supervisor.installation import free_port

# Whatever names an installation of the shell's own.
_OWN = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "HOST")


def measure(*, quick: bool) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="cirrusweb-bench-"))
    try:
        with _served(folder) as (_, first):
            pass
        seconds = []
        for _ in range(0 if quick else 2):
            with _served(folder) as (_, taken):
                seconds.append(taken)
        with _served(folder) as (pid, taken):
            seconds.append(taken)
            # The demo's last day is being fetched at first.
            settled = _settled(pid, at_most=75 if quick else 240)
            idle = [_share_of_a_core(pid, seconds=5) for _ in range(3 if quick else 12)]
            sizes: dict[str, float] = {}
            for child in descendants(pid):
                name = name_of(child)
                sizes[name] = sizes.get(name, 0.0) + memory_mb(child)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    state = "" if settled else "it had not calmed down yet"
    return [
        judged(
            "T9", "start of an empty installation", unit="s", ours=[first], note="packages installed already"
        ),
        judged("T9", "second start", unit="s", ours=seconds, at_most=10),
        judged("T9", "memory in all (PSS)", unit="MB", ours=[sum(sizes.values())], at_most=600, note=told),
        judged("T9", "idle", unit="% of a core", ours=idle, at_most=5 if settled else None, note=state),
    ]


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, float]]:
    """One run of what `make run` runs; yields its process id and the seconds until it says that it is ready."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OWN}
    # Without years of history to fetch, which is work and not idling.
    chosen = {"DATA_DIR": str(folder), "PORT": str(free_port()), "HISTORY_DAYS": "1"}
    environment = {**inherited, **chosen}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ready"):
                break
        else:
            raise RuntimeError(f"it never became ready: {''.join(said)[-2000:]}")
        taken = time.perf_counter() - began
        # A full pipe would stop it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process.pid, taken
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _share_of_a_core(pid: int, *, seconds: float) -> float:
    """Percent of one core that the whole installation takes over some seconds."""
    before = {child: cpu_seconds(child) for child in descendants(pid)}
    began = time.perf_counter()
    time.sleep(seconds)
    passed = time.perf_counter() - began
    after = {child: cpu_seconds(child) for child in descendants(pid)}
    return 100 * sum(used - before.get(child, 0.0) for child, used in after.items()) / passed


def _settled(pid: int, *, at_most: float) -> bool:
    """Wait until it has calmed down, for a while."""
    deadline = time.monotonic() + at_most
    while time.monotonic() < deadline:
        if _share_of_a_core(pid, seconds=5) < 10:
            return True
    return False
