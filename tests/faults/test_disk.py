"""The disk is full: what cannot be stored is not lost but asked for again, and the log says why in plain words."""

import itertools
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from tests.faults.stage import Stage, staged

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults-2"),
    pytest.mark.skipif(
        "sqlite3" not in django_settings.DATABASES["default"]["ENGINE"],
        reason="PostgreSQL has a disk of its own",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk"),
]
SIZE = "64m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=750", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def stage(tmp_path: Path, disk: Path, settings: object) -> Iterator[Stage]:
    """The installation with all that it keeps on the small disk, the database too."""
    usual, there = connection.settings_dict["NAME"], disk / "cirrusweb.sqlite3"
    connection.close()
    with closing(sqlite3.connect(usual)) as source, closing(sqlite3.connect(there)) as copy:
        source.backup(copy)
    connection.settings_dict["NAME"] = str(there)
    try:
        with staged(tmp_path, data_dir=disk) as made:
            yield made
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is free."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        # Unbuffered: what does not fit any more is an error at once.
        filler.writelines(itertools.repeat(b"x" * 4096))
    try:
        yield
    finally:
        file.unlink()


def _says_full(log: str) -> bool:
    """In the database's words or in Redis', which cannot write down what is queued."""
    return "database or disk is full" in log or "No space left on device" in log


def test_a_full_disk_in_mid_sync_and_mid_webhook(stage: Stage, disk: Path) -> None:
    stage.mycirrus.moods()
    stage.mycirrus.moods(**{"retry-spacing": 2})
    with filled(disk):
        stage.check_fails()
        stage.messages()
        stage.until(lambda: _says_full(stage.processes.log("worker")), "the worker to say so")
        stage.until(lambda: _says_full(stage.processes.log("web")), "the web server to say so")
    stage.time_passes()
    stage.settle("everything to be there once there is room again")
    # Redis could not write either, and is asked by every process.
    assert not stage.processes.ended()
