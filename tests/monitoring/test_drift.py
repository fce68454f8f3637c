"""The trend of SICs and the periods of doubt between calibrations, against vectors worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.acoustics.drift import baseline, days_to_limit, difference, is_beyond, trend
from monitoring.acoustics.validity import (
    Suspect,
    Verdict,
    offset_is_large,
    step_is_large,
    suspects,
    verdict_of,
)

DAY0 = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


def d(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


def test_baseline_is_the_median_of_the_first_five() -> None:
    assert baseline(d("98.5", "98.4", "90.0", "98.6", "98.5", "60.0", "60.0")) == Decimal("98.5")
    assert baseline(d("98.5", "98.4", "98.6", "98.7")) == Decimal("98.55")
    assert baseline(d("98.5", "98.4")) is None


def test_tolerance_itself_is_within() -> None:
    # 98.4 − 97.7 is 0.7000000000000028 in binary.
    assert not is_beyond(difference(98.4, 97.7), Decimal("0.7"))
    assert is_beyond(difference(98.41, 97.7), Decimal("0.7"))
    assert is_beyond(difference(96.99, 97.7), Decimal("0.7"))
    assert not is_beyond(difference(None, 97.7), Decimal("0.7"))
    assert not step_is_large(Decimal("-0.50"))
    assert step_is_large(Decimal("0.51"))
    assert not step_is_large(Decimal("0.51"), Decimal("1.0"))
    assert not offset_is_large(-1.5)
    assert offset_is_large(1.51)


def test_trend_is_the_median_of_slopes() -> None:
    line = [(float(day), 98.0 + 0.05 * day) for day in range(10)]
    found = trend(line)
    assert found is not None
    assert found.per_day == pytest.approx(0.05)
    assert found.now == pytest.approx(98.45)
    # One check that went wild moves a robust line little, where least squares would follow it.
    wild = trend([*line, (10.0, 140.0)])
    assert wild is not None
    assert wild.per_day == pytest.approx(0.05, abs=0.001)
    assert wild.now == pytest.approx(98.5, abs=0.01)


def test_no_trend_is_said_where_there_is_none() -> None:
    assert trend([(float(day), 98.0 + 0.05 * day) for day in range(9)]) is None
    assert trend([(float(day), 98.0) for day in range(30)]) is None
    assert trend([(float(day), 98.0 + (0.1 if day % 2 else 0.0)) for day in range(30)]) is None
    # A single step at the end of a flat line: most slopes are nothing.
    assert trend([(float(day), 98.0 if day < 29 else 99.0) for day in range(30)]) is None


def test_significance_is_mann_and_kendalls() -> None:
    # Ten values, S = 45 − 2 × discordant pairs; σ = √125. |S| = 21 gives z = 1.79, |S| = 23 gives 1.97.
    order = {21: (4, 3, 2, 1, 0, 6, 5, 8, 7, 9), 23: (4, 3, 2, 1, 0, 6, 5, 7, 8, 9)}
    for score, values in order.items():
        pairs = [(a, b) for i, a in enumerate(values) for b in values[i + 1 :]]
        assert sum((b > a) - (b < a) for a, b in pairs) == score
        found = trend([(float(day), float(value)) for day, value in enumerate(values)])
        assert (found is not None) is (score == 23)


@given(st.lists(st.integers(-50, 50), min_size=10, max_size=25), st.integers(-1000, 1000))
def test_trend_knows_no_zero_and_no_sign(values: list[int], shift: int) -> None:
    points = [(float(day), value / 10) for day, value in enumerate(values)]
    found = trend(points)
    turned = trend([(day + shift, -value) for day, value in points])
    assert (found is None) is (turned is None)
    if found is not None and turned is not None:
        assert turned.per_day == pytest.approx(-found.per_day)
        assert turned.now == pytest.approx(-found.now)


def test_days_to_limit() -> None:
    rising = trend([(float(day), 98.0 + 0.01 * day) for day in range(21)])
    # At 98.2 after 20 days, 0.01 dB a day: 98.7 in another 50.
    assert days_to_limit(rising, centre=98.0, tolerance=0.7) == pytest.approx(50)
    assert days_to_limit(rising, centre=98.0, tolerance=0.1) == 0
    assert days_to_limit(None, centre=98.0, tolerance=0.7) is None
    falling = trend([(float(day), 98.0 - 0.02 * day) for day in range(21)])
    assert days_to_limit(falling, centre=98.0, tolerance=0.7) == pytest.approx(15)
    slow = trend([(float(day), 98.0 + 0.0001 * day) for day in range(21)])
    assert days_to_limit(slow, centre=98.0, tolerance=0.7) is None


def test_verdicts() -> None:
    most = {"most_step": Decimal("0.5"), "most_offset": Decimal("1.5")}
    assert verdict_of(True, Decimal("0.50"), 1.5, **most) is Verdict.GOOD
    assert verdict_of(True, None, None, **most) is Verdict.GOOD
    assert verdict_of(True, Decimal("-0.51"), 0.0, **most) is Verdict.MOVED
    assert verdict_of(True, Decimal("0.1"), -1.6, **most) is Verdict.MOVED
    assert verdict_of(False, Decimal("0.0"), 0.0, **most) is Verdict.FAILED
    assert verdict_of(None, Decimal("0.9"), 0.0, **most) is Verdict.NOT_SAID


def test_suspect_between_good_and_failed_and_void_until_the_next_good() -> None:
    def at(day: int) -> datetime:
        return DAY0 + timedelta(days=day)

    good, moved, failed, unsaid = Verdict.GOOD, Verdict.MOVED, Verdict.FAILED, Verdict.NOT_SAID
    assert suspects([(at(0), good), (at(1), good)]) == []
    assert suspects([(at(0), good), (at(1), moved), (at(2), good)]) == [Suspect(at(0), at(1), at(1))]
    assert suspects([(at(0), good), (at(1), failed), (at(2), failed), (at(3), unsaid), (at(4), good)]) == [
        Suspect(at(0), at(4), at(1))
    ]
    assert suspects([(at(1), failed)]) == [Suspect(None, None, at(1))]
    # Set right after a failure: one period, not two.
    assert suspects([(at(0), good), (at(1), failed), (at(2), moved)]) == [Suspect(at(0), at(2), at(1))]
