"""What a result depends on: processor count, versions, mode. No name and no path of the machine."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psycopg

from bench.stage import postgresql_url


def facts(*, quick: bool) -> dict[str, Any]:
    """The facts that are written beside every result."""
    return {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "mode": "quick" if quick else "full",
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "django": version("django"),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": _postgresql(),
    }


def _postgresql() -> str | None:
    try:
        with psycopg.connect(postgresql_url(), connect_timeout=3) as connection:
            number = connection.info.server_version
    except psycopg.OperationalError:
        return None
    return f"{number // 10000}.{number % 10000}"
