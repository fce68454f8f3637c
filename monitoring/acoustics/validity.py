"""What checks say of the levels between them. Pure: no ORM, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum

# R10, ISO 1996-2:2017 clause 5.2: two consecutive field checks without adjustment may differ by at most this, in dB.
FIELD_CHECK_STEP = Decimal("0.5")
# R11, as 10EaZy does it: a calibration further than this from the factory's is refused, in dB.
FACTORY_OFFSET = Decimal("1.5")


def calibration_step(offset: float | None, before: float | None) -> Decimal | None:
    """R10: how far the offset moved since the calibration before, in dB with its sign; None where either is unknown.

    In decimals, as the instrument wrote them: 0.50 exactly is within the rule, and binary floats would lose that.
    """
    if offset is None or before is None:
        return None
    return Decimal(str(offset)) - Decimal(str(before))


def step_is_large(step: Decimal | None, tolerance: Decimal = FIELD_CHECK_STEP) -> bool:
    """R10: whether results since the calibration before would have to be discarded under the field-check rule."""
    return step is not None and abs(step) > tolerance


def offset_is_large(offset: float | Decimal | None, tolerance: Decimal = FACTORY_OFFSET) -> bool:
    """R11: whether a calibration lies further from the factory's than a calibration should be accepted."""
    return offset is not None and abs(Decimal(str(offset))) > tolerance


class Verdict(Enum):
    """What a calibration says of the levels on either side of it."""

    GOOD = "good"
    # The meter had moved too far and was set right: what lies before it is in doubt, what follows is not.
    MOVED = "moved"
    FAILED = "failed"
    # A word that means neither: it ends nothing and begins nothing.
    NOT_SAID = "not said"


@dataclass(frozen=True, slots=True)
class Suspect:
    """Levels in doubt: from a good check (exclusive; None: from the very first) to a good one (None: until now).

    ``found_at`` is the check that found it out. What a reviewer took out of doubt lies between ``reviewed_from_at`` and
    ``since_at``.
    """

    since_at: datetime | None
    until_at: datetime | None
    found_at: datetime
    is_reviewed: bool = False
    reviewed_from_at: datetime | None = None


def verdict_of(
    passed: bool | None,
    step: Decimal | None,
    offset: float | Decimal | None,
    *,
    most_step: Decimal,
    most_offset: Decimal,
) -> Verdict:
    """A calibration's verdict under the tolerances in force, in dB: R10 for the step, R11 for the offset."""
    if passed is not True:
        return Verdict.NOT_SAID if passed is None else Verdict.FAILED
    if step_is_large(step, most_step) or offset_is_large(offset, most_offset):
        return Verdict.MOVED
    return Verdict.GOOD


def suspects(checks: Iterable[tuple[datetime, Verdict]]) -> list[Suspect]:
    """R12: the periods of doubt that a history of checks, oldest first, leaves behind; oldest first.

    Backwards to the last good check; after a failed one forwards to the next that is good, or that set it right.
    """
    found: list[Suspect] = []
    good_at: datetime | None = None
    failed_at: datetime | None = None
    for at, verdict in checks:
        if verdict is Verdict.FAILED:
            failed_at = failed_at or at
        elif verdict is not Verdict.NOT_SAID:
            if failed_at is not None:
                found.append(Suspect(good_at, at, failed_at))
            elif verdict is Verdict.MOVED:
                found.append(Suspect(good_at, at, at))
            good_at, failed_at = at, None
    if failed_at is not None:
        found.append(Suspect(good_at, None, failed_at))
    return found


def released(suspect: Suspect, good_until: datetime | None) -> Suspect:
    """R12's exception: the doubt begins where evidence ends. Never later than at the check that found it out."""
    if good_until is None or (suspect.since_at is not None and good_until <= suspect.since_at):
        return suspect
    since = min(good_until, suspect.found_at)
    return replace(suspect, since_at=since, is_reviewed=True, reviewed_from_at=suspect.since_at)
