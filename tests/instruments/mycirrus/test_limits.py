"""The shared pace of a key, on the real Redis, with a clock of our own only where nothing is slept."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from instruments.mycirrus import RateLimited, RateLimiter

URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/15"


@pytest.fixture
def connection() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(URL) as connection:
        yield connection


@pytest.fixture
def prefix(connection: redis.Redis) -> Iterator[str]:
    prefix = f"test:{uuid.uuid4()}"
    yield prefix
    for key in connection.scan_iter(f"{prefix}:*"):
        connection.delete(key)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Which thread was made to wait, and for how many seconds: a busy machine takes longer, but asks for no more."""
    sleeps, sleep = [], time.sleep

    def noted(seconds: float) -> None:
        sleeps.append((threading.get_ident(), seconds))
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    return sleeps


def timed(limiter: RateLimiter, times: int) -> float:
    begun = time.monotonic()
    for _ in range(times):
        limiter.acquire()
    return time.monotonic() - begun


def test_a_burst_passes_and_then_the_pace_holds(
    connection: redis.Redis, prefix: str, slept: list[tuple[int, float]]
) -> None:
    limiter = RateLimiter(connection, 1, start=20, recovery=0, burst=4, prefix=prefix)
    took = timed(limiter, 4)
    assert slept == []
    assert took + timed(limiter, 10) > 0.45
    assert sum(seconds for _, seconds in slept) < 0.55


def test_workers_share_one_pace_and_keys_do_not(
    connection: redis.Redis, prefix: str, slept: list[tuple[int, float]]
) -> None:
    def limiter(key: int) -> RateLimiter:
        return RateLimiter.from_url(URL, key, start=20, recovery=0, burst=1, longest_wait=30, prefix=prefix)

    workers = [threading.Thread(target=timed, args=(limiter(1), 4)) for _ in range(4)]
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    timed(limiter(2), 1)
    for worker in workers:
        worker.join(60)
    assert time.monotonic() - begun > 0.65
    assert threading.get_ident() not in {thread for thread, _ in slept}


def test_a_long_wait_is_refused_and_takes_no_place(connection: redis.Redis, prefix: str) -> None:
    pace = {"start": 0.1, "recovery": 0, "burst": 1, "longest_wait": 0.5}
    limiter = RateLimiter(connection, 1, **pace, prefix=prefix)
    limiter.acquire()
    waits = []
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            limiter.acquire()
        waits.append(caught.value.retry_after)
    assert all(5 < wait <= 10 for wait in waits)
    assert caught.value.status is None


def refused_for(limiter: RateLimiter) -> float:
    """In how many seconds an ordinary request would have its slot."""
    with pytest.raises(RateLimited) as caught:
        limiter.acquire()
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def test_what_goes_ahead_waits_for_nobody_and_slows_the_rest(connection: redis.Redis, prefix: str) -> None:
    limiter = RateLimiter(connection, 1, start=1, recovery=0, burst=1, longest_wait=0.1, prefix=prefix)
    limiter.acquire()
    assert refused_for(limiter) <= 1
    assert timed(limiter.ahead(), 1) < 0.3
    # The rate is kept: what went ahead is taken from those who wait.
    assert 1.2 < refused_for(limiter) <= 2


def test_what_goes_ahead_leaves_a_quarter_to_the_rest(connection: redis.Redis, prefix: str) -> None:
    limiter = RateLimiter(connection, 1, start=20, recovery=0, burst=1, longest_wait=30, prefix=prefix)
    ended = threading.Event()

    def flood() -> None:
        ahead = limiter.ahead()
        while not ended.is_set():
            ahead.acquire()

    floods = [threading.Thread(target=flood) for _ in range(3)]
    for thread in floods:
        thread.start()
    try:
        # Five a second are left of twenty: without a share of its own this would never end.
        assert timed(limiter, 5) < 8
    finally:
        ended.set()
        for thread in floods:
            thread.join(10)


def test_a_block_holds_what_goes_ahead_too(connection: redis.Redis, prefix: str) -> None:
    limiter = RateLimiter(connection, 1, prefix=prefix)
    limiter.penalise(20)
    with pytest.raises(RateLimited):
        limiter.ahead().acquire()


def test_a_429_halves_once_for_all_in_flight_and_blocks(connection: redis.Redis, prefix: str) -> None:
    here, there = (RateLimiter(connection, 1, start=8, recovery=0, prefix=prefix) for _ in range(2))
    here.penalise(20)
    there.penalise(3)
    assert here.rate() == there.rate() == 4
    assert 19 < there.blocked_for() <= 20, "the longest block stands"
    with pytest.raises(RateLimited) as caught:
        there.acquire()
    assert 19 < (caught.value.retry_after or 0) <= 60


def age(connection: redis.Redis, key: str, seconds: float) -> None:
    """Let the state look `seconds` older: Redis' clock cannot be moved, what it wrote can."""
    for field in ("next_at", "touched_at", "blocked_until", "halved_at"):
        if (value := connection.hget(key, field)) is not None:
            connection.hset(key, field, f"{float(value) - seconds:.6f}")


def test_strikes_in_a_row_wait_longer_and_the_floor_holds(connection: redis.Redis, prefix: str) -> None:
    limiter = RateLimiter(connection, 1, start=4, floor=1, recovery=0, prefix=prefix)
    seen = []
    for _ in range(7):
        told = limiter.penalise()
        assert told == round(limiter.blocked_for())
        seen.append((limiter.rate(), told))
        age(connection, f"{prefix}:1", 70)
    assert seen == [(2, 2), (1, 4), (1, 8), (1, 16), (1, 32), (1, 60), (1, 60)]
    age(connection, f"{prefix}:1", 120)
    limiter.penalise()
    assert round(limiter.blocked_for()) == 2, "old strikes are forgotten"


def test_the_rate_recovers_gently_to_its_ceiling_and_idling_does_not_count(
    connection: redis.Redis, prefix: str
) -> None:
    limiter = RateLimiter(connection, 1, start=4, ceiling=5, recovery=0.1, prefix=prefix)
    limiter.penalise(0)
    assert limiter.rate() == pytest.approx(2, abs=0.02)
    rates = []
    for _ in range(4):
        age(connection, f"{prefix}:1", 3600)
        limiter.acquire()
        rates.append(limiter.rate())
    assert rates == pytest.approx([3, 4, 5, 5], abs=0.05)


def test_a_block_that_comes_while_waiting_is_obeyed(connection: redis.Redis, prefix: str) -> None:
    limiter = RateLimiter(connection, 1, start=2, recovery=0, burst=1, longest_wait=1, prefix=prefix)
    limiter.acquire()
    caught: list[RateLimited] = []

    def wait() -> None:
        try:
            limiter.acquire()
        except RateLimited as limited:
            caught.append(limited)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.1)
    RateLimiter(connection, 1, prefix=prefix).penalise(30)
    waiter.join(60)
    assert caught
    assert (caught[0].retry_after or 0) > 28


def test_the_state_expires(connection: redis.Redis, prefix: str) -> None:
    limiter = RateLimiter(connection, 1, prefix=prefix)
    limiter.acquire()
    assert 0 < connection.ttl(f"{prefix}:1") <= 86_400
    limiter.penalise(100_000)
    assert connection.ttl(f"{prefix}:1") > 100_000


def test_redis_emptied_in_between_does_no_harm(connection: redis.Redis, prefix: str) -> None:
    limiter = RateLimiter(connection, 1, prefix=prefix)
    limiter.acquire()
    connection.delete(f"{prefix}:1")
    connection.script_flush()
    limiter.acquire()
    assert limiter.rate() == pytest.approx(4, abs=0.1)


def test_without_redis_the_work_goes_on_slowly(
    prefix: str, caplog: pytest.LogCaptureFixture, slept: list[tuple[int, float]]
) -> None:
    limiter = RateLimiter.from_url("redis://127.0.0.1:1/0", 1, start=20, longest_wait=0.5, prefix=prefix)
    assert limiter.rate() == 5
    assert timed(limiter, 3) > 0.35
    assert sum(seconds for _, seconds in slept) < 0.45
    limiter.penalise(9)
    limiter = RateLimiter.from_url("redis://127.0.0.1:1/0", 1, start=20, longest_wait=0.5, prefix=prefix)
    assert 8 < limiter.blocked_for() <= 9, "a limiter made anew goes on at the same pace"
    with pytest.raises(RateLimited) as caught:
        limiter.acquire()
    assert 8 < (caught.value.retry_after or 0) <= 9
    assert caplog.text.count("pacing without Redis") == 1, "said once, not at each request"


def test_redis_is_asked_again_when_it_is_back(connection: redis.Redis, prefix: str, monkeypatch: Any) -> None:
    limiter = RateLimiter(redis.Redis(host="127.0.0.1", port=1, retry=None), 1, start=8, prefix=prefix)
    assert limiter.rate() == 2
    limiter._look.registered_client = connection
    assert limiter.rate() == 2
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 6)
    assert limiter.rate() == 8


@pytest.mark.parametrize(
    "options", [{"floor": 0}, {"start": 50}, {"floor": 5}, {"burst": 0}, {"recovery": -1}]
)
def test_a_pace_that_makes_no_sense_is_refused(connection: redis.Redis, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="pace"):
        RateLimiter(connection, 1, **options)


def test_a_clock_that_is_turned_back_holds_no_key_up(connection: redis.Redis, prefix: str) -> None:
    """Redis' own clock, which cannot be moved here: what it noted is an hour ahead of it instead."""
    limiter = RateLimiter(connection, 1, start=8, recovery=0, longest_wait=0.5, prefix=prefix)
    limiter.acquire()
    ahead = time.time() + 3600
    noted = dict.fromkeys(("touched_at", "next_at", "blocked_until", "halved_at"), ahead)
    connection.hset(f"{prefix}:1", mapping=noted)
    assert limiter.blocked_for() == 0
    limiter.acquire()
    limiter.penalise(60)
    assert limiter.rate() == 4
    assert 5 < limiter.blocked_for() <= 60
