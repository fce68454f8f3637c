"""What processes cost: resident memory and processor time, as Linux tells them; it starts and ends none."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """``pid`` and every process below it."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name in brackets may hold anything, spaces and brackets included.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found


def memory_mb(pid: int) -> float:
    """Proportional set size: pages that processes share count once in the sum over all of them."""
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def cpu_seconds(pid: int) -> float:
    """Processor time of ``pid`` so far, user and system."""
    try:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def name_of(pid: int) -> str:
    """The role of a process in its command line."""
    try:
        command = (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "ended"
    roles = (
        "gunicorn",
        "celery -A cirrusweb worker",
        "celery -A cirrusweb beat",
        "simulator",
        "redis",
        "live",
        "serve",
    )
    found = next((role for role in roles if role in command), "valkey" if "valkey" in command else "other")
    return found.rpartition(" ")[2]
