"""Beat rings on through a clock that is turned back and a disk that is full."""

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import time_machine
from celery import Celery

from cirrusweb import embedded_redis
from cirrusweb import settings as installed
from cirrusweb.beat import QUEUE_FULL, Scheduler, app

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Rung(Scheduler):
    """It notes what it would send."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.rung: list[str] = []
        super().__init__(*args, **kwargs)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.rung.append(entry.name)

    def ring(self) -> set[str]:
        """Tick until nothing is due, and say what was."""
        self.rung = []
        for _ in range(20):
            if self.tick() > 0:
                break
        return set(self.rung)


@pytest.fixture
def celery() -> Celery:
    made = Celery("test", fixups=[])
    # Celery adds a clean-up of its own where results expire.
    made.conf.result_expires = None
    made.conf.beat_schedule = {
        name: {"task": f"tests.{name}", "schedule": every} for name, every in (("short", 5.0), ("long", 60.0))
    }
    return made


def scheduler(celery: Celery, folder: Path) -> Rung:
    return Rung(celery, schedule_filename=str(folder / "schedule"))


def test_the_installation_uses_it() -> None:
    assert app.conf.beat_scheduler == "cirrusweb.beat:Scheduler"


def test_an_hour_back_costs_no_tick(celery: Celery, tmp_path: Path) -> None:
    with time_machine.travel(START, tick=False) as clock:
        beat = scheduler(celery, tmp_path)
        clock.move_to(START + timedelta(seconds=61))
        assert beat.ring() == {"short", "long"}
        assert beat.ring() == set()
        clock.move_to(START - HOUR)
        assert beat.ring() == {"short", "long"}
        assert beat.ring() == set()
        clock.move_to(START - HOUR + timedelta(seconds=6))
        assert beat.ring() == {"short"}


def test_a_schedule_written_by_a_clock_that_was_ahead_is_not_believed(celery: Celery, tmp_path: Path) -> None:
    with time_machine.travel(START + HOUR, tick=False) as clock:
        before = scheduler(celery, tmp_path)
        clock.move_to(START + HOUR + timedelta(seconds=61))
        before.ring()
        before.close()
        clock.move_to(START)
        assert scheduler(celery, tmp_path).ring() == {"short", "long"}


def test_an_hour_ahead_rings_once(celery: Celery, tmp_path: Path) -> None:
    with time_machine.travel(START, tick=False) as clock:
        beat = scheduler(celery, tmp_path)
        clock.move_to(START + HOUR)
        assert beat.ring() == {"short", "long"}
        assert sorted(beat.rung) == ["long", "short"]


def test_while_nobody_takes_messages_none_are_added(
    celery: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sent(Scheduler):
        def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> None:
            rung.append(entry.name)

    rung: list[str] = []
    with embedded_redis.running() as address, redis.Redis.from_url(address) as client:
        monkeypatch.setattr(installed, "REDIS_URL", address)
        beat = Sent(celery, schedule_filename=str(tmp_path / "schedule"))
        entry = next(iter(beat.schedule.values()))
        client.rpush("celery", *["message"] * QUEUE_FULL)
        beat.apply_entry(entry)
        assert len(rung) == 1
        client.rpush("celery", "one more")
        beat.apply_entry(entry)
        assert len(rung) == 1
        client.delete("celery")
        beat.apply_entry(entry)
        assert len(rung) == 2
    # Whether it can be rung at all, Celery itself finds out.
    monkeypatch.setattr(installed, "REDIS_URL", "redis://127.0.0.1:1/0")
    Sent(celery, schedule_filename=str(tmp_path / "other")).apply_entry(entry)
    assert len(rung) == 3


def test_a_full_disk_does_not_end_it(celery: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with time_machine.travel(START, tick=False) as clock:
        beat = scheduler(celery, tmp_path)

        def full() -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(beat._store, "sync", full)
        beat.sync()
        clock.move_to(START + timedelta(seconds=6))
        assert beat.ring() == {"short"}
