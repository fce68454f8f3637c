"""An installation under `manage.py serve` for a test: started, listened to and stopped as a person would."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
# What the test run sets for itself and an installation must find out alone.
OWN = {
    *(
        "SECRET_KEY",
        "FIELD_ENCRYPTION_KEYS",
        "DATA_DIR",
        "DATABASE_URL",
        "REDIS_URL",
        "DJANGO_SETTINGS_MODULE",
    ),
    *("INSECURE_HTTP", "SERVE_STATIC_FROM_SOURCE", "MYCIRRUS_EXTRA_BASE_URLS", "PORT", "HOST", "EMAIL_URL"),
    *("PUBLIC_URL", "ALLOWED_HOSTS", "DEBUG"),
}


def clean_environment(**changes: str) -> dict[str, str]:
    """The environment of somebody who has set nothing but ``changes``."""
    # What the browser tests allow themselves in this process is nobody's setting.
    hidden = {*OWN, "DJANGO_ALLOW_ASYNC_UNSAFE"}
    return {**{name: value for name, value in os.environ.items() if name not in hidden}, **changes}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], *, seconds: float = 30, what: str = "the condition") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)


def processes_of(data_dir: Path) -> dict[int, str]:
    """Every process on this machine that was started for ``data_dir``, with its command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            directory = (folder / "cwd").readlink()
        except OSError:
            continue
        # A zombie has no command line any more. Redis writes its title over its environment, but lives in its data.
        if command and (f"DATA_DIR={data_dir}".encode() in environment or directory.is_relative_to(data_dir)):
            found[int(folder.name)] = command
    return found


class Served:
    """One run of `manage.py serve`; ``lines`` is what it has printed so far."""

    def __init__(self, data_dir: Path, *arguments: str, port: int | None = None, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "serve", *arguments],
            cwd=data_dir.parent,
            env=clean_environment(DATA_DIR=str(data_dir), PORT=str(self.port), **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, *, seconds: float = 180, after: int = 0) -> str:
        """The first line, from number ``after`` on, that holds ``text``."""
        deadline = time.monotonic() + seconds
        while True:
            for line in self.lines[after:]:
                if text in line:
                    return line
            assert self.process.poll() is None, f"it ended before it said {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"it did not say {text!r}:\n{self.output}"
            time.sleep(0.05)

    def wait_until_ready(self) -> str:
        """The address that it printed."""
        self.wait_for("Ready after")
        return self.wait_for("http://localhost").strip()

    def answers(self) -> bool:
        try:
            return requests.get(f"http://localhost:{self.port}/healthz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def pid_of(self, pattern: str) -> int:
        """The leader whose command line matches: the one whose parent is the supervisor."""
        for pid, command in processes_of(self.data_dir).items():
            if re.search(pattern, command):
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    return pid
        raise AssertionError(f"no child matches {pattern!r}: {processes_of(self.data_dir)}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10) -> int:
        """Sends the signal; the exit code, which must come within ``seconds``."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def destroy(self) -> None:
        """Leaves nothing behind, however the test went."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(12)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in processes_of(self.data_dir):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
