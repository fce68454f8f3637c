"""One supervised process: how it is started, told to stop and killed; when to do so is not decided here."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cirrusweb.supervisor.logfile import LogFile
from cirrusweb.supervisor.tether import tie_to_parent

LONGEST_PAUSE = 30.0
# A child that stood this long was healthy: its next death starts the pauses from the shortest again.
HEALTHY_AFTER = 60.0


@dataclass
class Child:
    """A command that is to be running: in its own session, so that a Ctrl-C in the terminal is ours to pass on.

    ``death_signal`` is what the kernel sends it when the supervisor is killed (Linux only).
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    log: LogFile
    # Lower numbers are stopped first: what is served before what serves it.
    stop_order: int = 0
    once: bool = False
    death_signal: int = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    deaths_in_a_row: int = 0
    started_at: float = 0.0
    start_due_at: float | None = None
    # What it writes, for its log.
    output: BinaryIO | None = field(default=None, repr=False)
    # What a command that ends by itself says on its standard output, which is for us and may hold a password:
    # a file without a name.
    _answer: BinaryIO | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def start(self) -> None:
        self.start_due_at = None
        self.exit_code = None
        if self.once:
            self._answer = tempfile.TemporaryFile()  # noqa: SIM115
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            self.process = subprocess.Popen(  # noqa: S603
                self.command,
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=self._answer or writing,
                stderr=writing,
                start_new_session=True,
                preexec_fn=tie_to_parent(self.death_signal),
            )
        finally:
            os.close(writing)
        self.started_at = time.monotonic()
        self.output = open(reading, "rb", buffering=0)  # noqa: SIM115

    def answer(self) -> list[str]:
        """The lines that a command that ends by itself has said so far."""
        if self._answer is None:
            return []
        return os.pread(self._answer.fileno(), 1_000_000, 0).decode("utf-8", "replace").splitlines()

    def reap(self) -> bool:
        """True once, when the process has ended; what it left running in its session is killed."""
        if self.process is None or self.process.poll() is None:
            return False
        self.exit_code = self.process.returncode
        self.signal_group(signal.SIGKILL)
        self.process = None
        return True

    def pause_before_restart(self) -> float:
        """Seconds to wait after a death: half a second, doubled at each of a row of deaths."""
        if time.monotonic() - self.started_at >= HEALTHY_AFTER:
            self.deaths_in_a_row = 0
        self.deaths_in_a_row += 1
        return min(0.5 * 2 ** (self.deaths_in_a_row - 1), LONGEST_PAUSE)

    def terminate(self) -> None:
        # The leader alone: gunicorn's master stops its workers itself, and a second signal would cut them short.
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        self.signal_group(signal.SIGKILL)

    def signal_group(self, number: int) -> None:
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def obituary(self) -> str:
        """How it ended, for the line that reports it."""
        if self.exit_code is not None and self.exit_code < 0:
            return f"was killed by {signal.Signals(-self.exit_code).name}"
        return f"ended with exit code {self.exit_code}"

    @property
    def crashed(self) -> bool:
        """Whether its last lines may tell why: a kill from outside leaves no message of its own."""
        return self.exit_code not in (-signal.SIGKILL, -signal.SIGTERM, 0)
