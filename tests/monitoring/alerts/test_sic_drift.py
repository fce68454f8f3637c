"""A rule about drifting SICs tells what the board tells: from the baseline since the last good calibration."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from instruments import mycirrus
from instruments.models import Instrument, User
from instruments.tenancy import organisation_scope
from monitoring.alerts.facts import verdict_of
from monitoring.alerts.judges.verdict import State
from monitoring.alerts.rehearsal import rehearse
from monitoring.alerts.rules import Draft
from monitoring.check_standings import sic_baseline_set
from monitoring.models import AlertKind, AlertRule, AlertRuleVersion, Calibration
from monitoring.sync.ingest import calibrations_store, sics_store
from tests.conftest import People, make_instrument

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS = {"tolerance_db": 0.7, "amber_days": 30}


@pytest.fixture
def unit(people: People) -> Any:
    made = make_instrument(people.organisation, first_seen_at=NOW - 400 * DAY)
    with organisation_scope(people.organisation.pk):
        yield made


def nightly(unit: Instrument, levels: Iterable[float], *, status: str = "Success") -> None:
    """One SIC a night up to yesterday's, with these levels at 1 kHz; ``status`` is of the last."""
    levels = list(levels)
    rows = [
        mycirrus.Sic("QT000001", NOW - (len(levels) - night) * DAY, "Success", 98.5, level, 62.1, {})
        for night, level in enumerate(levels)
    ]
    sics_store(instrument=unit, rows=[*rows[:-1], replace(rows[-1], status=status)], now=NOW)


def calibrated(unit: Instrument, days_ago: float) -> None:
    row = mycirrus.Calibration("QT000001", NOW - days_ago * DAY, "Success", 93.7, 0.0, {})
    calibrations_store(instrument=unit, rows=[row], now=NOW)


def state(unit: Instrument) -> State:
    rule = AlertRule(kind=AlertKind.SIC_DRIFT, name="Drift")
    return verdict_of(AlertRuleVersion(rule=rule, settings=SETTINGS, made_at=NOW), unit, None, NOW).state


def rehearsed() -> list[tuple[int, int]]:
    """(severity, nights ago) of what would have opened."""
    told = rehearse(draft=Draft(AlertKind.SIC_DRIFT, "Drift", SETTINGS), now=NOW)
    return [(each.worst, (NOW - each.opened_at) // DAY) for each in told.lives]


def test_a_slow_drift_is_told_from_where_it_began(unit: Instrument) -> None:
    """0.005 dB a night is nothing within the nights of a trend, and 1.3 dB within 260."""
    nightly(unit, [98.5 - 0.005 * night for night in range(260)])
    assert state(unit) == State.RED
    # Amber a month before, and before the ninety days that are rehearsed.
    assert rehearsed() == [(2, 90)]


def test_a_calibration_begins_anew(unit: Instrument) -> None:
    """A new microphone moves the level by 1 dB, and that is no drift."""
    calibrated(unit, 50.5)
    nightly(unit, [98.5] * 50 + [99.5] * 50)
    assert state(unit) == State.CLEAR
    assert rehearsed() == []
    calibrated(unit, 0.5)
    assert state(unit) == State.NO_DATA
    assert Calibration.objects.count() == 2


def test_the_baseline_that_somebody_set_counts(unit: Instrument, people: People) -> None:
    nightly(unit, [98.5] * 20)
    assert state(unit) == State.CLEAR
    mary: User = people.mary
    levels = {"level_1khz_db": Decimal("97.7")}
    sic_baseline_set(instrument=unit, levels=levels, note="", actor=mary, now=NOW)
    assert state(unit) == State.RED
    assert rehearsed() == [(2, 20)]


def test_a_failed_check_is_no_drift(unit: Instrument) -> None:
    nightly(unit, [98.5] * 20 + [90.0], status="Failed")
    assert state(unit) == State.NO_DATA
    assert rehearsed() == []
