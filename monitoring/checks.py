"""Calibrations and SICs as rows to show, each beside the one it is compared with; it stores and decides nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from instruments.models import Instrument
from instruments.mycirrus.types import passed
from monitoring.acoustics.validity import FIELD_CHECK_STEP, calibration_step, step_is_large
from monitoring.models import Calibration, SystemIntegrityCheck

FREQUENCIES = (("500 Hz", "level_500hz_db"), ("1 kHz", "level_1khz_db"), ("8 kHz", "level_8khz_db"))


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A calibration and the step of its offset since the last one that did not fail, in dB."""

    check: Calibration
    passed: bool | None
    step: Decimal | None
    tolerance: Decimal = FIELD_CHECK_STEP

    @property
    def step_is_large(self) -> bool:
        """Whether it is beyond the tolerance in force (R10)."""
        return step_is_large(self.step, self.tolerance)


@dataclass(frozen=True, slots=True)
class SicLevel:
    """One frequency of a SIC in dB, and the difference to the last SIC that passed before."""

    name: str
    level_db: float | None
    difference_db: float | None
    # Of a failed SIC, the frequency that moved most: where to look first.
    stands_out: bool = False


@dataclass(frozen=True, slots=True)
class SicRow:
    """A SIC with its three frequencies."""

    check: SystemIntegrityCheck
    levels: list[SicLevel]


def calibration_rows(
    *, instrument: Instrument, before: datetime | None, most: int, tolerance: Decimal = FIELD_CHECK_STEP
) -> list[CalibrationRow]:
    """At most ``most`` calibrations before an instant, newest first, under a tolerance in dB. One query."""
    # More than are shown: the last row, too, has one before it, behind those that failed.
    found = _newest(Calibration, instrument, before, most + 10)
    rows = []
    for index, check in enumerate(found[:most]):
        previous = step_from(found[index + 1 :])
        step = calibration_step(check.offset_db, previous.offset_db if previous else None)
        rows.append(CalibrationRow(check, passed(check.status), step, tolerance))
    return rows


def step_from(earlier: Iterable[Calibration]) -> Calibration | None:
    """R10: of earlier calibrations, newest first, the one that a step is told from.

    One that failed left the meter as it was: told from there, the next good one would be a step of its own.
    """
    told = (each for each in earlier if each.offset_db is not None and passed(each.status) is not False)
    return next(told, None)


def sic_rows(*, instrument: Instrument, before: datetime | None, most: int) -> list[SicRow]:
    """At most ``most`` SICs before an instant, newest first. Two queries."""
    found = _newest(SystemIntegrityCheck, instrument, before, most)
    if not found:
        return []
    oldest = SystemIntegrityCheck.objects.filter(
        instrument=instrument, passed=True, at__lt=found[-1].at
    ).first()
    good = [check for check in [*found, oldest] if check is not None and check.passed]
    rows = []
    for check in found:
        previous = next((each for each in good if each.at < check.at), None)
        levels = [_level(check, previous, name, field) for name, field in FREQUENCIES]
        rows.append(SicRow(check, _worst_marked(levels) if check.passed is False else levels))
    return rows


def _newest(model, instrument: Instrument, before: datetime | None, most: int) -> Sequence:
    rows = model.objects.filter(instrument=instrument)
    if before is not None:
        rows = rows.filter(at__lt=before)
    return list(rows.order_by("-at")[:most])


def _level(
    check: SystemIntegrityCheck, previous: SystemIntegrityCheck | None, name: str, field: str
) -> SicLevel:
    level, reference = getattr(check, field), getattr(previous, field) if previous else None
    return SicLevel(name, level, None if level is None or reference is None else level - reference)


def _worst_marked(levels: list[SicLevel]) -> list[SicLevel]:
    most = max(
        (abs(level.difference_db) for level in levels if level.difference_db is not None), default=None
    )
    return [
        replace(level, stands_out=level.difference_db is not None and abs(level.difference_db) == most)
        for level in levels
    ]
