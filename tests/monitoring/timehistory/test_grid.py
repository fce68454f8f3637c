"""Packing and placing samples: nothing is lost, nothing moves, a gap stays one, and means are by energy."""

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.timehistory.grid import (
    OtherStep,
    bucket_of,
    drawing,
    hour_of,
    hours_of,
    next_window,
    samples_of,
)
from monitoring.timehistory.packing import MISSING, hundredths, levels, packed, unpacked

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Run:
    start_at: datetime
    sample_s: float | None = 1.0


@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.floats(-20, 200)), min_size=5, max_size=5), min_size=1, max_size=4
    )
)
def test_what_is_packed_comes_back_to_the_hundredth(columns: list[list[float | None]]) -> None:
    data = packed([array("h", map(hundredths, column)) for column in columns])
    back = [list(levels(column)) for column in unpacked(data, len(columns))]
    for column, again in zip(columns, back, strict=True):
        for value, found in zip(column, again, strict=True):
            assert (value is None) == (found is None)
            assert value is None or found == pytest.approx(value, abs=0.0051)


def test_what_does_not_fit_is_no_level() -> None:
    assert hundredths(1e9) == hundredths(None) == hundredths(-327.68) == MISSING


def test_samples_lie_where_they_were_measured() -> None:
    runs = [
        ("LAeq", Run(NOON + timedelta(minutes=59, seconds=58)), [50.0, 51.0, None, 53.0]),
        ("LAFMax", Run(NOON + timedelta(minutes=59, seconds=58)), [60.0]),
    ]
    hours = hours_of(runs, start=NOON, end=NOON + 2 * HOUR, step_ms=1000)
    assert [(hour.start_at, hour.names, hour.count) for hour in hours] == [
        (NOON, ["LAeq", "LAFMax"], 3),
        (NOON + HOUR, ["LAeq"], 1),
    ]
    assert list(samples_of(hours, step_ms=1000)) == [
        (NOON + timedelta(minutes=59, seconds=58), {"LAeq": 50.0, "LAFMax": 60.0}),
        (NOON + timedelta(minutes=59, seconds=59), {"LAeq": 51.0}),
        (NOON + timedelta(hours=1, seconds=1), {"LAeq": 53.0}),
    ]


def test_only_what_was_asked_for_is_taken() -> None:
    runs = [("LAeq", Run(NOON - timedelta(seconds=1)), [1.0, 2.0, 3.0])]
    hours = hours_of(runs, start=NOON, end=NOON + timedelta(seconds=1), step_ms=1000)
    assert [values for _, values in samples_of(hours, step_ms=1000)] == [{"LAeq": 2.0}]


def test_another_step_is_refused() -> None:
    with pytest.raises(OtherStep) as other:
        hours_of([("LAeq", Run(NOON, 60.0), [1.0])], start=NOON, end=NOON + HOUR, step_ms=1000)
    assert other.value.args == (60.0,)


def test_a_missing_length_is_a_second() -> None:
    assert hours_of([("LAeq", Run(NOON, None), [1.0])], start=NOON, end=NOON + HOUR, step_ms=1000)


@pytest.mark.parametrize(
    ("start", "step_ms", "columns", "days", "wanted"),
    [
        # Three levels each second: 46 whole hours hold half a million of them.
        (NOON, 1000, 3, 7, NOON + 46 * HOUR),
        (NOON, 60_000, 3, 7, NOON + timedelta(days=7)),
        (NOON, 60_000, 36, 1, NOON + timedelta(days=1)),
        # From the middle of an hour to the end of one.
        (NOON + timedelta(minutes=30), 100, 36, 1, NOON + HOUR),
    ],
)
def test_windows_are_whole_hours_within_the_contract(
    start: datetime, step_ms: int, columns: int, days: int, wanted: datetime
) -> None:
    far = NOON + timedelta(days=40)
    longest = timedelta(days=days)
    found = next_window(start, far, step_ms=step_ms, columns=columns, longest=longest)
    assert found == wanted
    assert found == hour_of(found)
    assert found - start <= longest
    assert next_window(
        start, start + timedelta(seconds=5), step_ms=step_ms, columns=columns, longest=longest
    ) == (start + timedelta(seconds=5))


def test_a_bucket_is_an_energy_mean_or_a_maximum_and_a_gap_is_a_gap() -> None:
    # R1's vector: 59 minutes at 50 dB and one at 90 dB are 72.24 dB.
    quiet, loud = [50.0] * 59, [90.0]
    runs = [
        ("LAeq", Run(NOON, 60.0), quiet + loud),
        ("LAFMax", Run(NOON, 60.0), quiet + loud),
        ("LAeq", Run(NOON + 2 * HOUR, 60.0), [60.0]),
    ]
    hours = hours_of(runs, start=NOON, end=NOON + 3 * HOUR, step_ms=60_000)
    drawn = drawing(
        hours, start=NOON, end=NOON + 3 * HOUR, step_ms=60_000, most=3, maxima=frozenset({"LAFMax"})
    )
    assert drawn.bucket_ms == 3_600_000
    assert {line.name: line.levels for line in drawn.lines} == {
        "LAeq": [72.24, None, 60.0],
        "LAFMax": [90.0, None, None],
    }
    assert drawn.coverage == pytest.approx(121 / 360)


def test_as_fine_as_it_was_measured_where_there_is_room() -> None:
    start = NOON + timedelta(minutes=30)
    runs = [("LAeq", Run(start), [50.0, None, 52.0])]
    hours = hours_of(runs, start=start, end=start + timedelta(seconds=3), step_ms=1000)
    drawn = drawing(
        hours, start=start, end=start + timedelta(seconds=3), step_ms=1000, most=1500, maxima=frozenset()
    )
    assert (drawn.start_at, drawn.bucket_ms) == (start, 1000)
    assert drawn.lines[0].levels == [50.0, None, 52.0]


@given(st.integers(1, 31 * 24 * 3600), st.sampled_from([100, 1000, 10_000, 60_000]))
def test_buckets_divide_the_hour(seconds: int, step_ms: int) -> None:
    bucket = bucket_of(timedelta(seconds=seconds), step_ms, 1500)
    assert 3_600_000 % bucket == 0
    assert bucket % step_ms == 0
    assert seconds * 1000 / bucket <= 1500
