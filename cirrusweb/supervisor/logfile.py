"""A log file that never grows past its bound; it does not interpret what it is given."""

from collections import deque
from pathlib import Path

BOUND = 5_000_000


class LogFile:
    """Appends what a process wrote; the full file becomes ``<name>.1`` and a new one is begun."""

    def __init__(self, path: Path, bound: int = BOUND) -> None:
        self.path = path
        self.bound = bound
        self.last_lines: deque[str] = deque(maxlen=15)
        self._unfinished = b""

    def write(self, data: bytes) -> None:
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        self._unfinished = self._unfinished[-10_000:]
        self.last_lines.extend(line.decode("utf-8", "replace") for line in lines)
        try:
            if self.path.exists() and self.path.stat().st_size + len(data) > self.bound:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            with self.path.open("ab") as file:
                file.write(data)
        except OSError:
            # A full disk must not take the processes down with it; the last lines are still in memory.
            pass

    def tail(self, count: int = 8) -> list[str]:
        lines = [*self.last_lines, self._unfinished.decode("utf-8", "replace")]
        return [line for line in lines if line.strip()][-count:]
