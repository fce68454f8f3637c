"""Levels over time: the worked examples of the field, and what must hold for any levels."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.acoustics.levels import coverage, energy_mean, exposure

LEVELS = st.floats(min_value=-20, max_value=200)
SECONDS = st.floats(min_value=0.1, max_value=86_400)
INTERVALS = st.lists(st.tuples(LEVELS, SECONDS), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        # R1's published worked answer, and the hour whose arithmetic mean would be 50.67.
        ([(60, 1800), (90, 900), (75, 1800)], 83.28),
        ([(50, 59 * 60), (90, 60)], 72.24),
        ([(65, 1)], 65.0),
    ],
)
def test_worked_examples_of_laeq(intervals: list[tuple[float, float]], expected: float) -> None:
    mean = energy_mean(intervals)
    assert mean is not None
    assert round(mean, 2) == expected


def test_worked_example_of_exposure() -> None:
    assert round(exposure(60, 3600), 2) == 95.56


def test_nothing_measured_has_no_level() -> None:
    assert energy_mean([]) is None
    assert energy_mean([(None, 60), (None, 60)]) is None
    assert energy_mean([(70, 0)]) is None


@given(INTERVALS)
def test_the_mean_lies_between_the_extremes(intervals: list[tuple[float, float]]) -> None:
    mean = energy_mean(intervals)
    levels = [level for level, _ in intervals]
    assert mean is not None
    assert min(levels) - 1e-9 <= mean <= max(levels) + 1e-9
    arithmetic = sum(level * seconds for level, seconds in intervals) / sum(s for _, s in intervals)
    assert mean >= arithmetic - 1e-9


@given(INTERVALS, st.data())
def test_cutting_an_interval_changes_nothing(
    intervals: list[tuple[float, float]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(intervals) - 1))
    share = data.draw(st.floats(min_value=0.01, max_value=0.99))
    level, seconds = intervals[place]
    cut = [
        *intervals[:place],
        (level, seconds * share),
        (level, seconds * (1 - share)),
        *intervals[place + 1 :],
    ]
    whole, parts = energy_mean(intervals), energy_mean(cut)
    assert whole is not None
    assert parts == pytest.approx(whole, abs=1e-6)


@given(INTERVALS, SECONDS)
def test_a_missing_interval_is_no_quiet_one(intervals: list[tuple[float, float]], seconds: float) -> None:
    assert energy_mean([*intervals, (None, seconds)]) == energy_mean(intervals)


@given(LEVELS, SECONDS)
def test_exposure_and_mean_agree(level: float, seconds: float) -> None:
    assert exposure(level, seconds) - 10 * math.log10(seconds) == pytest.approx(level)


def test_levels_beyond_all_measure_do_not_overflow() -> None:
    assert energy_mean([(5000, 60), (60, 60)]) == pytest.approx(5000 - 10 * math.log10(2))


@pytest.mark.parametrize(
    ("valid", "period", "expected"),
    [(1800, 3600, 50), (0, 3600, 0), (4000, 3600, 100), (60, 0, 0), (60, -5, 0)],
)
def test_coverage_is_a_share_of_the_time(valid: float, period: float, expected: float) -> None:
    assert coverage(valid, period) == expected
