"""When to ask next: bounds that hold whatever chance says and however often it failed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitoring.sync.schedule import FIRST_RETRY, LONGEST_RETRY, next_regular, next_retry, windows

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(CHANCE, st.integers(1, 86_400))
def test_a_good_turn_is_followed_within_a_tenth(chance: float, seconds: int) -> None:
    every = timedelta(seconds=seconds)
    wait = next_regular(NOW, every, chance) - NOW
    assert every * 0.9 - timedelta(microseconds=1) <= wait <= every * 1.1 + timedelta(microseconds=1)


def test_a_fleet_added_together_drifts_apart() -> None:
    waits = {next_regular(NOW, timedelta(minutes=1), step / 10) for step in range(10)}
    assert len(waits) == 10


@given(CHANCE, st.integers(-5, 100_000))
def test_a_retry_is_never_before_half_the_first_nor_after_the_longest(chance: float, failures: int) -> None:
    wait = next_retry(NOW, failures, chance) - NOW
    assert FIRST_RETRY / 2 <= wait <= LONGEST_RETRY


def test_retries_double_and_then_stay() -> None:
    waits = [next_retry(NOW, failures, 0.999_999_9) - NOW for failures in range(1, 12)]
    assert [round(wait.total_seconds()) for wait in waits] == [30, 60, 120, 240, 480, 960, 1920, *[3600] * 4]
    assert next_retry(NOW, 10**9, 0) - NOW == LONGEST_RETRY / 2


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_windows_cover_the_range_once_and_in_order(hours: int, longest: int) -> None:
    end = NOW + timedelta(hours=hours)
    cut = list(windows(NOW, end, timedelta(hours=longest)))
    if not hours:
        assert cut == []
        return
    assert (cut[0][0], cut[-1][1]) == (NOW, end)
    assert all(first[1] == second[0] for first, second in pairwise(cut))
    assert all(timedelta(0) < stop - start <= timedelta(hours=longest) for start, stop in cut)
