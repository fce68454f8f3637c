"""Each judge against facts whose verdict is known, limits included."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from monitoring.acoustics.drift import Frequency, frequency_of
from monitoring.alerts.judges import checks, connection, presence, vitals
from monitoring.alerts.judges.verdict import State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LIMITS: Any = {"amber": 15 * MINUTE, "red": 60 * MINUTE, "stale": 15 * MINUTE}


def seen(**fields: Any) -> presence.Presence:
    return presence.Presence(**{"observed_at": NOW - MINUTE, **fields})


def test_data_are_missed_from_when_the_next_were_due() -> None:
    """Of an hour's measurement the next is there an hour later, and nothing is missing until then."""
    end = NOW - 61 * MINUTE
    known = {"online": True, "measuring": True, "data_until": end}
    limits: Any = {**LIMITS, "amber": 60 * MINUTE, "red": None}
    assert presence.no_data(seen(**known), NOW, **limits).state == State.AMBER
    hourly = presence.no_data(seen(**known, period=60 * MINUTE), NOW, **limits)
    assert hourly.state == State.CLEAR
    assert hourly.look_at == end + 120 * MINUTE


@pytest.mark.parametrize(
    ("minutes", "state", "next_minutes"),
    [
        (14, State.CLEAR, 15),
        (15, State.AMBER, 60),
        (59, State.AMBER, 60),
        (60, State.RED, None),
    ],
)
def test_offline_counts_from_when_it_went(minutes: int, state: State, next_minutes: int | None) -> None:
    since = NOW - minutes * MINUTE
    verdict = presence.offline(seen(online=False, online_since=since), NOW, **LIMITS)
    assert verdict.state == state
    assert verdict.look_at == (None if next_minutes is None else since + next_minutes * MINUTE)


def test_what_mycirrus_does_not_tell_is_not_known() -> None:
    off = seen(online=False, online_since=NOW - DAY, observed_at=NOW - 16 * MINUTE)
    assert presence.offline(off, NOW, **LIMITS).state == State.NO_DATA
    assert presence.offline(seen(), NOW, **LIMITS).state == State.NO_DATA
    assert presence.offline(presence.Presence(), NOW, **LIMITS).state == State.NO_DATA


def test_not_measuring_is_of_who_is_online_and_not_checking() -> None:
    facts = {"measuring": False, "measuring_since": NOW - 20 * MINUTE}
    assert presence.not_measuring(seen(online=True, **facts), NOW, **LIMITS).state == State.AMBER
    assert (
        presence.not_measuring(seen(online=True, checking=True, **facts), NOW, **LIMITS).state == State.CLEAR
    )
    assert presence.not_measuring(seen(online=False, **facts), NOW, **LIMITS).state == State.NO_DATA


def test_no_data_counts_from_the_last_reason_to_expect_any() -> None:
    quiet = {"online": True, "measuring": True, "data_until": NOW - DAY}
    assert presence.no_data(seen(**quiet), NOW, **LIMITS).state == State.RED
    back = seen(**quiet, online_since=NOW - 5 * MINUTE)
    assert presence.no_data(back, NOW, **LIMITS).state == State.CLEAR
    assert presence.no_data(seen(online=True, measuring=True), NOW, **LIMITS).state == State.NO_DATA


@pytest.mark.parametrize(
    ("kind", "value", "amber", "red", "state"),
    [
        ("voltage", 11.8, 11.8, 11.0, State.CLEAR),
        ("voltage", 11.7, 11.8, 11.0, State.AMBER),
        ("voltage", 10.9, 11.8, 11.0, State.RED),
        ("voltage", 900.0, 11.8, 11.0, State.NO_DATA),
        ("voltage", -1.0, 11.8, 11.0, State.NO_DATA),
        ("signal", -111.0, -110.0, None, State.AMBER),
        ("disk", 80.0, 80.0, 95.0, State.CLEAR),
        ("disk", 96.0, 80.0, 95.0, State.RED),
        ("sim", 130.0, 80.0, 95.0, State.RED),
        ("temperature", None, 60.0, 70.0, State.NO_DATA),
    ],
)
def test_vitals(kind: str, value: float | None, amber: float, red: float | None, state: State) -> None:
    assert vitals.vital(kind, value, NOW, amber=amber, red=red).state == state


def test_a_sim_without_a_quota_is_not_used_up() -> None:
    assert vitals.sim_used(900.0, 0.0) is None
    assert vitals.sim_used(None, 1000.0) is None
    assert vitals.sim_used(900.0, 1000.0) == pytest.approx(90.0)


@pytest.mark.parametrize(
    ("word", "state"),
    [("Active", State.CLEAR), ("Cancelled", State.AMBER), ("expired", State.RED), ("", State.NO_DATA)],
)
def test_subscriptions(word: str, state: State) -> None:
    assert vitals.subscription(word, NOW).state == state


def calibrations(*offsets: float | None) -> list[checks.Check]:
    return [
        checks.Check(NOW - (len(offsets) - place) * DAY, offset is not None, offset)
        for place, offset in enumerate(offsets)
    ]


def test_a_step_of_exactly_the_limit_passes() -> None:
    """R10: 0.50 dB passes, compared as decimals: in binary floats 0.8 - 0.3 is more than 0.5."""
    assert checks.calibration_stepped(calibrations(0.3, 0.8), NOW, limit_db=0.5).state == State.CLEAR
    verdict = checks.calibration_stepped(calibrations(0.3, 0.81), NOW, limit_db=0.5)
    assert verdict.state == State.RED
    assert verdict.facts["step_db"] == pytest.approx(0.51)
    # The failed one between them is not compared with.
    assert checks.calibration_stepped(calibrations(0.3, None, 0.4), NOW, limit_db=0.5).state == State.CLEAR
    assert checks.calibration_stepped(calibrations(0.3), NOW, limit_db=0.5).state == State.NO_DATA


def test_a_failed_calibration_is_ended_by_a_good_one() -> None:
    assert checks.calibration_failed(calibrations(0.3, None), NOW).state == State.RED
    assert checks.calibration_failed(calibrations(None, 0.3), NOW).state == State.CLEAR
    assert checks.calibration_failed([], NOW).state == State.NO_DATA


def test_overdue_counts_from_the_last_good_one() -> None:
    late = [checks.Check(NOW - 40 * DAY, True), checks.Check(NOW - DAY, False)]
    limits: Any = {"amber": 30 * DAY, "red": 60 * DAY}
    verdict = checks.calibration_overdue(late, NOW, **limits)
    assert verdict.state == State.AMBER
    assert verdict.look_at is not None
    assert verdict.look_at - NOW == 20 * DAY + timedelta(seconds=1)
    assert checks.calibration_overdue(late, NOW + 21 * DAY, **limits).state == State.RED
    assert checks.calibration_overdue([], NOW, **limits).state == State.NO_DATA


def drifting(level: str, per_day: float | None = None, *, tolerance: str = "2.0") -> Frequency:
    """1 kHz against a baseline of 98.1 dB."""
    moved = str(Decimal(level) - Decimal("98.1"))
    told = {"level": level, "baseline": "98.1", "difference": moved, "per_day": per_day, "now": float(level)}
    return frequency_of("1 kHz", told, Decimal(tolerance))


def test_drift_says_in_how_many_days_the_tolerance_is_reached() -> None:
    # 0.9 dB are used up, and at 0.05 dB a day 1.1 dB last 22 days.
    verdict = checks.sic_drift([drifting("99.0", 0.05)], NOW, amber_days=30, tolerance_db=2.0)
    assert verdict.state == State.AMBER
    assert verdict.facts["frequencies"][0]["days_left"] == 22.0
    assert verdict.facts["frequencies"][0]["slope_db_day"] == 0.05
    assert (
        checks.sic_drift([drifting("99.0", 0.05)], NOW, amber_days=10, tolerance_db=2.0).state == State.CLEAR
    )
    beyond = drifting("99.0", 0.05, tolerance="0.8")
    assert checks.sic_drift([beyond], NOW, amber_days=10, tolerance_db=0.8).state == State.RED
    # Exactly as far as the tolerance is within it.
    within = drifting("99.0", tolerance="0.9")
    assert checks.sic_drift([within], NOW, amber_days=10, tolerance_db=0.9).state == State.CLEAR


def test_a_drift_without_a_baseline_is_no_data() -> None:
    unknown = frequency_of("1 kHz", {"level": "98.0"}, Decimal(1))
    assert checks.sic_drift([unknown], NOW, amber_days=10, tolerance_db=1.0).state == State.NO_DATA
    known = checks.sic_drift([unknown, drifting("99.0")], NOW, amber_days=10, tolerance_db=1.0)
    assert (known.state, len(known.facts["frequencies"])) == (State.CLEAR, 1)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("refused", State.RED),
        ("missing_scope", State.AMBER),
        ("good", State.CLEAR),
        ("unreachable", State.NO_DATA),
        ("unverified", State.NO_DATA),
    ],
)
def test_keys(word: str, state: State) -> None:
    assert connection.key(word, [], NOW).state == state


def test_late_is_the_longer_of_the_two_waits() -> None:
    limits: Any = {"amber": 2 * MINUTE, "red": 10 * MINUTE}
    assert connection.late(5.0, 601.0, NOW, **limits).state == State.RED
    assert connection.late(121.0, None, NOW, **limits).state == State.AMBER
    assert connection.late(None, None, NOW, **limits).state == State.NO_DATA
