"""How far history is and how long it takes yet, as figures; what cannot be told is not told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.sync.progress import Stretch, resource_progress, time_left, total_progress

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def stretch(resource: str = "noise", **values: Any) -> Stretch:
    fields = {
        "floor_at": NOW - 100 * DAY,
        "reached_at": NOW - 40 * DAY,
        "newest_at": NOW,
        "rows": 1000,
        "done": False,
        "parked": False,
    }
    return Stretch(resource=resource, **{**fields, **values})


def test_one_history() -> None:
    progress = total_progress([stretch()], NOW)
    assert progress is not None
    assert (progress.days_wanted, progress.days_done, progress.days_left) == (100, 40, 60)
    assert (progress.rows, progress.complete, progress.instruments, progress.done) == (1000, 0, 1, False)
    assert (progress.oldest_at, progress.newest_at) == (NOW - 40 * DAY, NOW)


def test_a_finished_one_has_nothing_left_wherever_its_watermark_stopped() -> None:
    progress = total_progress([stretch(done=True, reached_at=NOW - 99 * DAY)], NOW)
    assert progress is not None
    assert progress.done
    assert (progress.days_left, progress.days_done) == (0, 100)
    assert progress.oldest_at == NOW - 100 * DAY


def test_instruments_are_summed_by_resource() -> None:
    octave = stretch("octave", newest_at=None, parked=True)
    noise, bands = resource_progress([stretch(), octave, stretch(done=True, newest_at=NOW - DAY)], NOW)
    assert (noise.resource, noise.instruments, noise.complete, noise.parked) == ("noise", 2, 1, 0)
    assert (noise.days_wanted, noise.days_done) == (200, 140)
    assert (noise.oldest_at, noise.newest_at) == (NOW - 100 * DAY, NOW)
    assert (bands.resource, bands.parked, bands.newest_at) == ("octave", 1, None)


def test_nothing_is_nothing() -> None:
    assert total_progress([], NOW) is None
    assert resource_progress([], NOW) == []


@pytest.mark.parametrize(
    ("left", "before", "elapsed", "expected"),
    [
        (60.0, 61.0, timedelta(seconds=10), timedelta(minutes=10)),
        (0.0, 5.0, timedelta(seconds=10), timedelta(0)),
        (60.0, 60.0, timedelta(seconds=10), None),
        (60.0, 50.0, timedelta(seconds=10), None),
        (60.0, 90.0, timedelta(milliseconds=10), None),
    ],
)
def test_time_left(left: float, before: float, elapsed: timedelta, expected: timedelta | None) -> None:
    assert time_left(left, before, elapsed) == expected


@given(st.lists(st.tuples(st.floats(0, 800), st.floats(0, 800), st.booleans()), min_size=1, max_size=20))
def test_done_and_left_make_what_is_wanted(cases: list[tuple[float, float, bool]]) -> None:
    stretches = [
        replace(stretch(done=done), floor_at=NOW - max(a, b) * DAY, reached_at=NOW - min(a, b) * DAY)
        for a, b, done in cases
    ]
    progress = total_progress(stretches, NOW)
    assert progress is not None
    assert progress.days_done + progress.days_left == pytest.approx(progress.days_wanted, abs=1e-6)
    assert 0 <= progress.days_left <= progress.days_wanted + 1e-6
