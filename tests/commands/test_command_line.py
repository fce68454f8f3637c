"""A stranger sets an installation up with nothing but commands: real processes, real database, simulated MyCirrus."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.simulated import SimulatedMyCirrus


@pytest.fixture
def environment(tmp_path: Path, simulated: SimulatedMyCirrus) -> dict[str, str]:
    """An installation of its own, on SQLite whatever the tests run on: its tables must not meet theirs."""
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "REDIS_URL", "LANG")
    }
    return kept | {
        "SECRET_KEY": "tests-only",
        "FIELD_ENCRYPTION_KEYS": os.environ["FIELD_ENCRYPTION_KEYS"],
        "DATA_DIR": str(tmp_path),
        "INSECURE_HTTP": "1",
        "SERVE_STATIC_FROM_SOURCE": "1",
        "MYCIRRUS_EXTRA_BASE_URLS": simulated.base_url,
        "HISTORY_DAYS": "2",
        "LOG_LEVEL": "WARNING",
    }


def manage(environment: dict[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=settings.BASE_DIR,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def answer(environment: dict[str, str], *words: str, stdin: str = "") -> Any:
    done = manage(environment, *words, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_from_nothing_to_a_file_of_levels(
    environment: dict[str, str], simulated: SimulatedMyCirrus, tmp_path: Path
) -> None:
    early = manage(environment, "organisation_create", "Harbour", "--owner", "alice@example.com")
    assert early.returncode == 1
    assert "migrate" in early.stderr
    assert "Traceback" not in early.stderr
    assert manage(environment, "migrate", "-v0").returncode == 0

    made = answer(environment, "organisation_create", "Harbour Works", "--owner", "alice@example.com")
    assert made["organisation"] == "harbour-works"
    assert "/accounts/password/reset/key/" in made["password_link"]

    add = ("api_key_add", "harbour-works", "--base-url", simulated.base_url, "--json")
    added = manage(environment, *add, stdin=f"{simulated.key}\n")
    assert added.returncode == 0, added.stderr
    assert simulated.key not in added.stdout + added.stderr
    assert json.loads(added.stdout)["state"] == "good"

    synced = answer(environment, "sync", "harbour-works")
    assert synced["failed"] == 0, synced

    output = tmp_path / "noise.csv"
    exported = answer(environment, "export", "harbour-works", "noise", "--output", str(output))
    with output.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == exported["rows"] > 100
    assert {row["instrument"] for row in rows} <= set(simulated.serials())
    assert all(
        row["startTime"].endswith("Z") and 20 < float(row["LAeq"]) < 120 for row in rows if row["LAeq"]
    )

    export = [sys.executable, "manage.py", "export", "harbour-works", "noise"]
    reader = subprocess.Popen(
        export, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    assert reader.stdout.readline().startswith(b"instrument,startTime")
    # As `head -1` does: no more is read, and nothing is complained of.
    reader.stdout.close()
    assert reader.stderr.read() == b""
    assert reader.wait(30) in (0, 141)


def test_help_says_what_and_shows_how(environment: dict[str, str]) -> None:
    commands = (
        "organisation_create",
        "api_key_add",
        "sync",
        "backfill",
        "export",
        "doctor",
        "encryption_rotate",
    )
    for command in commands:
        shown = manage(environment, command, "--help").stdout
        assert "--json" in shown
        assert f"examples:\n  manage.py {command}" in shown
