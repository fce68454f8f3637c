"""Finds what a killed supervisor left running; it kills only what it can prove to be its own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path


def identity(pid: int) -> str | None:
    """Tells this process from a later one of the same number; None when there is none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name in field 2 may hold spaces and brackets, so count from behind its last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie has ended; only its parent has not yet looked.
        return None if fields[0] == "Z" else f"{boot} {fields[19]}"
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None  # noqa: S603


def remember(path: Path, pids: Iterable[int]) -> None:
    """Writes down who is running, for the sweep of the next start."""
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(json.dumps({str(pid): identity(pid) for pid in pids}))
        temporary.replace(path)
    except OSError:
        # A full disk: the kernel's own death signal still ties the children to us.
        pass


def sweep(path: Path, seconds: float = 5.0) -> int:
    """Ends the sessions of processes remembered in ``path``; returns how many there were."""
    try:
        remembered = json.loads(path.read_text())
    except (OSError, ValueError):
        return 0
    left = [int(pid) for pid, was in remembered.items() if was and identity(int(pid)) == was]
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 2.0)):
        for pid in left:
            _signal_session(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(identity(pid) == remembered[str(pid)] for pid in left):
            time.sleep(0.05)
    path.unlink(missing_ok=True)
    return len(left)


def _signal_session(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass
