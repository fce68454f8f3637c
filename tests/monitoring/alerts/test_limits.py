"""Levels against limits: energy means with coverage, fixed and rolling, hours, clock changes, impossible values."""

import math
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.acoustics.levels import energy_mean
from monitoring.alerts.hours import Hours, OnHolidays, quiet_until
from monitoring.alerts.judges.levels import Limit, Over, Row, closes_at, explain, judge
from monitoring.alerts.judges.sense import nonsense
from monitoring.alerts.judges.verdict import State

LONDON = zoneinfo.ZoneInfo("Europe/London")
DAY = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def minutes(*levels: float | None, start: datetime = DAY + 8 * HOUR) -> list[Row]:
    return [Row(start + MINUTE * place, 60.0, level) for place, level in enumerate(levels)]


def judged(limit: Limit, rows: list[Row], **rest: Any) -> list[tuple[State, int, float | None]]:
    """(state, minutes since the first row, value to 0.01)."""
    return [
        (
            verdict.state,
            (verdict.at - rows[0].start) // MINUTE,
            None if window.value is None else round(window.value, 2),
        )
        for verdict, window in judge(limit, rows, LONDON, **rest)
    ]


def test_fixed_periods_are_energy_means() -> None:
    """R1's vector: 59 minutes at 50 and one at 90 is 72.24; the arithmetic mean of 50.67 would never alert."""
    limit = Limit("LAeq", Over.FIXED, HOUR, amber=70.0, red=73.0)
    assert judged(limit, minutes(*[50.0] * 59, 90.0)) == [(State.AMBER, 60, 72.24)]


def test_a_limit_that_is_lost_is_told_before_the_hour_ends() -> None:
    """R19: 90 dB for three minutes is over 75 dB for the hour whatever follows."""
    limit = Limit("LAeq", Over.FIXED, HOUR, amber=70.0, red=75.0)
    told = judged(limit, minutes(*[90.0] * 3, *[30.0] * 57))
    assert [(state, at) for state, at, _ in told] == [
        (State.AMBER, 1),
        (State.RED, 2),
        (State.RED, 60),
    ]


def test_what_was_told_early_hides_nothing_worse() -> None:
    """50 of 60 minutes at 70.5: amber is lost early, and at the end the mean of what was measured is over red."""
    limit = Limit("LAeq", Over.FIXED, HOUR, amber=65.0, red=70.0)
    told = judged(limit, minutes(*[70.5] * 50, *[None] * 10))
    assert [state for state, _, _ in told] == [State.AMBER, State.RED]
    assert told[-1] == (State.RED, 60, 70.5)


def by(minutes_each: int, *levels: float | None) -> list[Row]:
    return [
        Row(DAY + 8 * HOUR + minutes_each * place * MINUTE, 60.0 * minutes_each, level)
        for place, level in enumerate(levels)
    ]


def test_intervals_that_do_not_fit_the_period_count_by_the_part_that_does() -> None:
    """Ten minutes at 60 and five at 90 are 85.24 dB over the quarter of an hour (R1)."""
    fixed = Limit("LAeq", Over.FIXED, 15 * MINUTE, red=85.0)
    assert judged(fixed, by(10, 60.0, 90.0, 60.0)) == [
        (State.RED, 15, 85.24),
        (State.RED, 20, 90.0),
        (State.RED, 30, 85.24),
    ]
    rolling = Limit("LAeq", Over.ROLLING, 15 * MINUTE, red=86.0)
    told = judged(rolling, by(10, 60.0, 90.0, 60.0))
    assert told == [(State.NO_DATA, 10, 60.0), (State.RED, 20, 88.24), (State.CLEAR, 30, 85.24)]
    rows = by(10, 60.0, 90.0)
    window = list(judge(rolling, rows, LONDON))[-1][1]
    assert explain(rolling, window, rows)["intervals"] == 2


@pytest.mark.parametrize("over", [Over.FIXED, Over.ROLLING])
def test_a_mean_over_longer_than_the_period_says_nothing_of_it(over: Over) -> None:
    told = judged(Limit("LAeq", over, 5 * MINUTE, red=60.0), by(15, 90.0, 90.0))
    assert {state for state, _, _ in told} == {State.NO_DATA}


def test_nor_does_the_end_of_one_that_reaches_in_from_before() -> None:
    """A quarter of an hour at 90, and minutes at 50 since the period was changed."""
    rows = [*by(15, 90.0), *minutes(*[50.0] * 5, start=DAY + 8 * HOUR + 15 * MINUTE)]
    told = judged(Limit("LAeq", Over.ROLLING, 5 * MINUTE, red=60.0), rows)
    assert [(state, value) for state, _, value in told[-2:]] == [(State.CLEAR, 50.0)] * 2
    assert State.RED not in {state for state, _, _ in told}


def test_a_period_ends_without_a_row_to_say_so() -> None:
    limit, rows = Limit("LAeq", Over.FIXED, HOUR, red=60.0), minutes(*[70.0] * 50)
    assert judged(limit, rows)[-1][0] == State.RED
    quiet = minutes(*[50.0] * 50)
    assert judged(limit, quiet) == []
    assert judged(limit, quiet, until=DAY + 9 * HOUR) == [(State.CLEAR, 60, 50.0)]
    assert judged(limit, quiet, until=DAY + 9 * HOUR - MINUTE) == []
    assert closes_at(limit, quiet, LONDON) == DAY + 9 * HOUR
    assert closes_at(limit, minutes(*[50.0] * 60), LONDON) is None


def test_a_value_with_too_little_coverage_is_no_data() -> None:
    limit = Limit("LAeq", Over.FIXED, HOUR, red=60.0)
    assert judged(limit, minutes(*[50.0] * 45, *[None] * 15))[-1] == (State.CLEAR, 60, 50.0)
    assert judged(limit, minutes(*[50.0] * 44, *[None] * 16))[-1] == (State.NO_DATA, 60, 50.0)
    # But what was lost by the measured part alone no gap undoes.
    assert judged(limit, minutes(*[90.0] * 10, *[None] * 50))[-1][0] == State.RED


def test_rolling_waits_until_enough_is_there() -> None:
    limit = Limit("LAeq", Over.ROLLING, 15 * MINUTE, red=60.0)
    told = judged(limit, minutes(*[61.0] * 16))
    assert [state for state, _, _ in told] == [State.NO_DATA] * 11 + [State.RED] * 5
    assert told[-1][2] == 61.0


@given(st.lists(st.one_of(st.none(), st.floats(20, 120)), min_size=20, max_size=60))
def test_rolling_is_the_energy_mean_of_its_window(levels: list[float | None]) -> None:
    limit, rows = Limit("LAeq", Over.ROLLING, 15 * MINUTE, red=60.0, coverage_pct=0.0), minutes(*levels)
    for verdict, window in judge(limit, rows, LONDON):
        inside = [(row.value, row.seconds) for row in rows if window.start <= row.start < verdict.at]
        expected = energy_mean(inside)
        if expected is None:
            assert window.value is None
        else:
            assert window.value == pytest.approx(expected, abs=0.001)


@given(st.lists(st.one_of(st.none(), st.floats(20, 120)), min_size=2, max_size=60), st.integers(1, 59))
def test_in_two_batches_it_says_what_it_says_in_one(levels: list[float | None], cut: int) -> None:
    rows = minutes(*levels)
    for over in (Over.ROLLING, Over.RECORDED, Over.FIXED):
        limit = Limit("LAeq", over, 5 * MINUTE, amber=50.0, red=60.0, minimum=2 * MINUTE)
        whole = [verdict for verdict, _ in judge(limit, rows, LONDON)]
        first = [verdict for verdict, _ in judge(limit, rows[:cut], LONDON)]
        after = first[-1].at if first else None
        second = [verdict for verdict, _ in judge(limit, rows, LONDON, after=after)]
        assert [*first, *second] == whole


def test_a_peak_has_to_last_as_long_as_the_rule_says() -> None:
    limit = Limit("LAFMax", amber=80.0, red=90.0, minimum=3 * MINUTE)
    told = judged(limit, minutes(85, 85, 70, 85, 95, 95, 95, 70))
    assert [state for state, _, _ in told] == [
        State.CLEAR,
        State.CLEAR,
        State.CLEAR,
        State.CLEAR,
        State.CLEAR,
        State.AMBER,
        State.RED,
        State.CLEAR,
    ]
    # A hole breaks it.
    rows = minutes(85, 85, 85)
    holed = [rows[0], rows[1], rows[2]._replace(start=rows[2].start + HOUR)]
    assert judged(limit, holed)[-1][0] == State.CLEAR


@pytest.mark.parametrize(
    ("metric", "value"), [("LCPeak", 200.1), ("LCPeak", math.inf), ("wind", -0.1), ("PPV", -1.0)]
)
def test_impossible_values_are_never_levels(metric: str, value: float) -> None:
    limit, rows = Limit(metric, red=1.0), minutes(value)
    ((verdict, window),) = judge(limit, rows, LONDON)
    assert verdict.state == State.NO_DATA
    assert explain(limit, window, rows)["impossible"] == 1
    assert rows[0].value == value


def test_outside_its_hours_a_limit_does_not_hold() -> None:
    works = Hours(frozenset(range(5)), time(8), time(18))
    limit = Limit("LAeq", Over.RECORDED, red=60.0, hours=works)
    assert judged(limit, minutes(90, start=DAY + 8 * HOUR))[0][0] == State.RED
    assert judged(limit, minutes(90, start=DAY + 7 * HOUR))[0][0] == State.CLEAR
    saturday = DAY + timedelta(days=5)
    assert judged(limit, minutes(90, start=saturday + 9 * HOUR))[0][0] == State.CLEAR
    # Local: in July eight o'clock in London is seven o'clock UTC.
    july = datetime(2026, 7, 20, 7, tzinfo=UTC)
    assert judged(limit, minutes(90, start=july))[0][0] == State.RED


def test_holidays_can_be_left_out_or_be_the_only_days() -> None:
    christmas = frozenset({date(2026, 12, 25)})
    at = datetime(2026, 12, 25, 12, tzinfo=LONDON)
    assert Hours(holidays=christmas, on_holidays=OnHolidays.NEVER).day_of(at) is None
    assert Hours(holidays=christmas, on_holidays=OnHolidays.ONLY).day_of(at) == at.date()
    assert Hours(holidays=christmas, on_holidays=OnHolidays.ONLY).day_of(at + timedelta(days=1)) is None


def test_a_night_belongs_to_the_evening_it_began_on() -> None:
    night = Hours(frozenset({4}), time(23), time(7))
    friday = datetime(2026, 11, 27, 23, 30, tzinfo=LONDON)
    assert night.day_of(friday) == friday.date()
    assert night.day_of(friday + 6 * HOUR) == friday.date()
    assert night.day_of(friday + timedelta(days=1)) is None


@pytest.mark.parametrize(("evening", "hours"), [(date(2026, 10, 24), 9), (date(2027, 3, 27), 7)])
def test_a_night_of_a_clock_change_has_its_true_length(evening: date, hours: int) -> None:
    start, end = Hours(start=time(23), end=time(7)).span_on(evening, LONDON)
    assert end - start == hours * HOUR


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [(time(22), time(1, 30), 210), (time(1, 30), time(5), 270), (time(0), time(0), 360)],
)
def test_hours_that_begin_or_end_in_the_hour_that_autumn_repeats(start: time, end: time, inside: int) -> None:
    """01:30 is told twice that night: hours end at the first, begin at the first, and hold once."""
    evening = datetime(2026, 10, 24, 21, tzinfo=UTC)
    if start < end:
        evening = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    hours = Hours(start=start, end=end)
    rows = minutes(*[50.0] * 360, start=evening)
    held = [hours.day_of(row.start.astimezone(LONDON)) for row in rows]
    assert sum(day is not None for day in held) == inside
    assert held[:inside].count(None) == 0
    told = [window for _, window in judge(Limit("LAeq", Over.HOURS, red=65.0, hours=hours), rows, LONDON)]
    assert all(window.start < window.end for window in told)
    blocks = [window for window in told if (window.start, window.end) == hours.span_on(held[0], LONDON)]
    assert len(blocks) == 1


def test_the_whole_of_the_hours_is_one_value() -> None:
    """R16's consent: Leq over 07:00-18:30 is what the consent says, not eleven hours."""
    hours = Hours(start=time(7), end=time(18, 30))
    limit = Limit("LAeq", Over.HOURS, red=65.0, hours=hours)
    rows = minutes(*[64.0] * 690, 64.0, start=datetime(2026, 11, 23, 7, tzinfo=UTC))
    told = [(verdict, window) for verdict, window in judge(limit, rows, LONDON)]
    assert told[0][0].state == State.CLEAR
    assert told[0][1].end - told[0][1].start == timedelta(hours=11, minutes=30)


def test_the_numbers_of_a_verdict_are_kept() -> None:
    limit = Limit("LAeq", Over.FIXED, 15 * MINUTE, amber=60.0, red=65.0)
    rows = minutes(*[66.0] * 13, None, None)
    told = list(judge(limit, rows, LONDON))
    facts = explain(limit, told[-1][1], rows)
    assert facts["intervals"] == 13
    assert facts["missing"] == 2
    assert facts["coverage_pct"] == pytest.approx(100 * 13 / 15)
    assert round(facts["value"], 2) == 66.0
    assert facts["points"][-1][1] is None
    assert len(explain(limit, told[-1][1], rows * 40)["points"]) <= 60


@pytest.mark.parametrize(
    ("limit", "word"),
    [
        (Limit("LAeq"), "none"),
        (Limit("LAeq", amber=70.0, red=70.0), "order"),
        (Limit("LAeq", red=200.0), "never"),
        (Limit("LCPeak", red=150.0), ""),
        (Limit("LAeq", red=5.0), "always"),
        (Limit("LAF90", Over.ROLLING, red=50.0), "means"),
        (Limit("LAeq", red=70.0, hours=Hours(days=frozenset())), "hours"),
        (Limit("PPV", red=10.0), ""),
        (Limit("LAeq", amber=65.0, red=70.0), ""),
    ],
)
def test_a_limit_that_can_never_or_would_always_fire_says_so(limit: Limit, word: str) -> None:
    assert nonsense(limit) == word


def test_quiet_hours_end_by_the_persons_own_clock() -> None:
    sydney = zoneinfo.ZoneInfo("Australia/Sydney")
    # 13:00 UTC is midnight in Sydney.
    at = datetime(2026, 11, 23, 13, tzinfo=UTC)
    assert quiet_until(at, sydney, time(22), time(7)) == datetime(2026, 11, 24, 7, tzinfo=sydney)
    assert quiet_until(at, LONDON, time(22), time(7)) is None
    assert quiet_until(at, LONDON, time(0), time(0)) is None
