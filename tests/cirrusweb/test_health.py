"""Health answers: alive, ready, and honest about what is missing."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from cirrusweb import embedded_redis, health


@pytest.fixture(autouse=True)
def _not_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)


def test_alive_without_a_database(client: Client) -> None:
    # No database fixture: a query would fail the test.
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer["Cache-Control"]


def test_ready(db: None, client: Client, settings: Any) -> None:
    with embedded_redis.running() as address:
        settings.REDIS_URL = address
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": True, "migrations": True, "redis": True, "disk": True}


@pytest.mark.parametrize("address", ["redis://:secret@127.0.0.1:1/0", "unix:///nowhere.sock", "nonsense"])
def test_without_redis_pages_are_still_served(db: None, client: Client, settings: Any, address: str) -> None:
    settings.REDIS_URL = address
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (200, False)
    assert b"secret" not in answer.content


def test_not_ready_before_migrations(db: None, client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("monitoring", "0001_initial")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, False)
    MigrationRecorder(connection).record_applied("monitoring", "0001_initial")
    assert client.get("/readyz").status_code == 200


def test_anybody_may_ask_and_learns_nothing(db: None, client: Client) -> None:
    assert set(client.get("/readyz").json()) == {"database", "migrations", "redis", "disk"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_and_pages_are_still_served(
    db: None, client: Client, settings: Any, tmp_path: Path
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    subprocess.run(mount, check=True)
    try:
        settings.DATA_DIR = tmp_path
        answer = client.get("/readyz")
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
    assert (answer.status_code, answer.json()["disk"]) == (200, False)


def test_a_folder_that_is_gone_is_told(db: None, client: Client, settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "nowhere"
    assert client.get("/readyz").json()["disk"] is False
