"""Calibrations and System Integrity Checks: failed, stepped, overdue, drifting. Pure: no ORM, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from monitoring.acoustics.drift import Frequency
from monitoring.acoustics.validity import calibration_step
from monitoring.alerts.judges.verdict import State, Verdict, over, worst


@dataclass(frozen=True, slots=True)
class Check:
    """A calibration: what MyCirrus said of it and the offset from the factory calibration in dB."""

    at: datetime
    passed: bool | None
    offset_db: float | None = None


def calibration_failed(checks: Sequence[Check], now: datetime) -> Verdict:
    """By the newest that says anything. ``checks``: oldest first."""
    said = [check for check in checks if check.passed is not None]
    if not said:
        return Verdict(State.NO_DATA, now)
    last = said[-1]
    return Verdict(State.CLEAR if last.passed else State.RED, last.at, {"calibrated_at": last.at.isoformat()})


def calibration_stepped(checks: Sequence[Check], now: datetime, *, limit_db: float) -> Verdict:
    """R10: the step of the offset between the two newest good calibrations; exactly at the limit passes.

    The next good calibration within the limit ends it; the levels between the two stay in doubt (R12).
    """
    good = [check for check in checks if check.passed and check.offset_db is not None]
    if len(good) < 2:
        return Verdict(State.NO_DATA, now)
    last, before = good[-1], good[-2]
    step = calibration_step(last.offset_db, before.offset_db)
    assert step is not None  # noqa: S101 - both have an offset
    state = State.RED if abs(step) > Decimal(str(limit_db)) else State.CLEAR
    facts = {
        "calibrated_at": last.at.isoformat(),
        "before_at": before.at.isoformat(),
        "offset_db": last.offset_db,
        "before_db": before.offset_db,
        "step_db": float(step),
        "limit_db": limit_db,
    }
    return Verdict(state, last.at, facts)


def calibration_overdue(
    checks: Sequence[Check], now: datetime, *, amber: timedelta | None, red: timedelta | None
) -> Verdict:
    """Too long since the last good calibration. R14: a SIC is none and resets nothing."""
    good = [check for check in checks if check.passed]
    if not good:
        # Never calibrated as far as is known; the record may simply begin later.
        return Verdict(State.NO_DATA, now)
    last = good[-1].at
    days = (now - last) / timedelta(days=1)
    in_days = [None if limit is None else limit / timedelta(days=1) for limit in (amber, red)]
    state = over(days, in_days[0], in_days[1])
    ahead = [last + limit for limit in (amber, red) if limit is not None and last + limit > now]
    facts = {"calibrated_at": last.isoformat(), "days": round(days, 1)}
    # A moment past the limit: exactly at it is still within.
    look_at = min(ahead, default=None)
    return Verdict(state, now, facts, look_at and look_at + timedelta(seconds=1))


def sic_drift(
    frequencies: Sequence[Frequency], now: datetime, *, amber_days: float, tolerance_db: float
) -> Verdict:
    """Red when a frequency is past the tolerance, amber when it would be within ``amber_days``.

    One without a level or a baseline says nothing: until there are a few good checks since a calibration, no data.
    """
    known = [
        (each, each.level_db, each.baseline_db)
        for each in frequencies
        if each.level_db is not None and each.baseline_db is not None
    ]
    states = [
        State.RED
        if each.beyond
        else State.AMBER
        if each.days_left is not None and each.days_left <= amber_days
        else State.CLEAR
        for each, _, _ in known
    ]
    if not states:
        return Verdict(State.NO_DATA, now)
    facts = {
        "tolerance_db": tolerance_db,
        "frequencies": [
            {
                "frequency": each.name,
                "reference_db": float(base),
                "level_db": float(level),
                "slope_db_day": None if each.per_month_db is None else round(each.per_month_db / 30, 5),
                "days_left": None if each.days_left is None else round(each.days_left, 1),
            }
            for each, level, base in known
        ],
    }
    return Verdict(worst(states), now, facts)
