"""How an instrument's checks stand, made anew from its calibrations and SICs; the limit alone knows a tolerance."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from instruments.activity import activity_note
from instruments.models import Instrument, User
from instruments.mycirrus.types import passed
from monitoring.acoustics import drift
from monitoring.acoustics.validity import calibration_step
from monitoring.checks import FREQUENCIES, step_from
from monitoring.models import Calibration, CheckStanding, SicBaseline, SystemIntegrityCheck
from monitoring.models.tolerances import tolerances_in_force
from monitoring.possible import AHEAD

# A trend is looked for in this many of the newest good SICs since the calibration: a quarter of a year, nightly.
TREND_OF = 90
_LEVELS = tuple(name for _words, name in FREQUENCIES)
_DAY_S = 86_400
# What the columns hold, in dB; a check itself keeps whatever came.
_FARTHEST = 9999.999


def standing_refresh(*, instrument: Instrument) -> CheckStanding:
    """Make the standing anew. To be called in the transaction that stored a check of ``instrument``."""
    until = timezone.now() + AHEAD
    calibrations = list(Calibration.objects.filter(instrument=instrument, at__lte=until)[:20])
    last = calibrations[0] if calibrations else None
    before = step_from(calibrations[1:])
    good = next((each for each in calibrations if passed(each.status)), None)
    said = next((word for each in calibrations if (word := passed(each.status)) is not None), None)
    sics = _sics(instrument, good.at if good else None, until)
    values: dict[str, Any] = {
        "calibrated_at": last.at if last else None,
        "calibration_status": last.status if last else "",
        # R12: one that was broken off ends no failure.
        "calibration_passed": passed(last.status) if last and said is not False else said,
        "good_calibration_at": good.at if good else None,
        "good_before_at": next((each.at for each in calibrations[1:] if passed(each.status)), None),
        "level_db": _decimal(last.level_db) if last else None,
        "offset_db": _decimal(last.offset_db) if last else None,
        "step_db": _decimal(calibration_step(last.offset_db, before.offset_db)) if last and before else None,
        "updated_at": timezone.now(),
        **sics,
        "sic_limit_at": limit_of(sics["sic"], sics["sic_at"], tolerances_in_force().sic_db),
    }
    standing, _made = CheckStanding.objects.update_or_create(
        instrument=instrument, defaults={"organisation_id": instrument.organisation_id, **values}
    )
    return standing


def sic_limits_refresh() -> None:
    """Tell all of them anew under the tolerance in force; no check is read for it."""
    held, rows = tolerances_in_force().sic_db, list(CheckStanding.objects.exclude(sic_at=None))
    for row in rows:
        row.sic_limit_at = limit_of(row.sic, row.sic_at, held)
    CheckStanding.objects.bulk_update(rows, ["sic_limit_at"], batch_size=500)


def sic_frequencies(told: dict[str, Any], tolerance: Decimal) -> list[drift.Frequency]:
    """The three of `CheckStanding.sic`, under a tolerance in dB."""
    levels = told.get("levels", {})
    return [drift.frequency_of(words, levels.get(name, {}), tolerance) for words, name in FREQUENCIES]


def limit_of(told: dict[str, Any], last_at: datetime | None, tolerance: Decimal) -> datetime | None:
    """What `CheckStanding.sic_limit_at` holds."""
    days = drift.first_reached(sic_frequencies(told, tolerance))
    return None if days is None or last_at is None else last_at + timedelta(days=days)


def _sics(instrument: Instrument, since: datetime | None, until: datetime) -> dict[str, Any]:
    rows = SystemIntegrityCheck.objects.filter(instrument=instrument, at__lte=until)
    last = rows.first()
    decided = rows.filter(passed__isnull=False).first()
    failed = rows.filter(passed=False).first()
    good = rows.filter(passed=True, **({"at__gt": since} if since else {}))
    first, newest = list(good.order_by("at")[: drift.BASELINE_OF]), list(good[:TREND_OF])
    chosen = SicBaseline.objects.filter(instrument=instrument).first()
    told = sic_levels(last, first, newest, chosen)
    moved = [Decimal(each["difference"]) for each in told.values() if each["difference"] is not None]
    ahead = [each["year"] for each in told.values() if each["year"] is not None]
    return {
        "sic_at": last.at if last else None,
        "sic_status": last.status if last else "",
        "sic_passed": decided.passed if decided else None,
        "sic_failed_at": failed.at if failed else None,
        "sic_difference_db": _decimal(max(moved, key=abs, default=None)),
        "sic_year_db": _decimal(max(ahead, default=None)),
        "sic": {
            "source": "set" if chosen else "median",
            "of": len(first),
            "since": since.isoformat() if since else None,
            "levels": told,
        },
    }


def sic_levels(
    last: SystemIntegrityCheck | None,
    first: Sequence[SystemIntegrityCheck],
    newest: Sequence[SystemIntegrityCheck],
    chosen: SicBaseline | None,
) -> dict[str, dict[str, Any]]:
    """What `CheckStanding.sic` holds of each frequency, by its column.

    ``first`` and ``newest`` are good SICs since the last good calibration: the oldest few, oldest first, and the
    newest, newest first.
    """
    return {name: _frequency(name, last, first, newest, chosen) for name in _LEVELS}


def _frequency(
    name: str,
    last: SystemIntegrityCheck | None,
    first: Sequence[SystemIntegrityCheck],
    newest: Sequence[SystemIntegrityCheck],
    chosen: SicBaseline | None,
) -> dict[str, Any]:
    """One frequency's level, baseline, difference and trend; texts of decimals, so that 0.70 stays 0.70."""
    level = _decimal(getattr(last, name, None))
    levels = [value for each in first if (value := _decimal(getattr(each, name))) is not None]
    base = getattr(chosen, name) if chosen else drift.baseline(levels)
    end = newest[0].at if newest else None
    points = [
        ((each.at - end).total_seconds() / _DAY_S, float(_within(getattr(each, name))))
        for each in newest
        if end is not None and getattr(each, name) is not None
    ]
    line = drift.trend(points)
    moved = drift.difference(level, base)
    return {
        "level": None if level is None else str(level),
        "baseline": None if base is None else str(base),
        "difference": None if moved is None else str(moved),
        "per_day": line.per_day if line else None,
        "now": line.now if line else None,
        "year": drift.year_ahead(line, centre=float(base)) if base is not None else None,
    }


def _within(value: float | Decimal) -> float | Decimal:
    return max(-_FARTHEST, min(value, _FARTHEST))


def _decimal(value: float | Decimal | None) -> Decimal | None:
    """As the instrument wrote it, to the thousandth and as far as the columns hold."""
    if value is None:
        return None
    return round(Decimal(str(_within(value))), 3).normalize() + Decimal("0")


def sic_baseline_set(
    *, instrument: Instrument, levels: dict[str, Decimal | None], note: str, actor: User, now: datetime
) -> SicBaseline:
    """Tell the SICs of ``instrument`` from ``levels`` (dB by column) instead of from the median of the first."""
    with transaction.atomic():
        chosen, _made = SicBaseline.objects.update_or_create(
            instrument=instrument,
            defaults={
                "organisation_id": instrument.organisation_id,
                **{name: levels.get(name) for name in _LEVELS},
                "set_at": now,
                "set_by": actor,
                "note": note,
            },
        )
        told = ", ".join(f"{words} {levels.get(name) or '–'} dB" for words, name in FREQUENCIES)
        _note(instrument, actor, "sic_baseline_set", f"{told}. {note}".rstrip(". "))
        standing_refresh(instrument=instrument)
    return chosen


def sic_baseline_clear(*, instrument: Instrument, actor: User) -> None:
    """Tell them from the median of the first good ones again."""
    with transaction.atomic():
        removed, _each = SicBaseline.objects.filter(instrument=instrument).delete()
        if removed:
            _note(instrument, actor, "sic_baseline_cleared", "")
            standing_refresh(instrument=instrument)


def _note(instrument: Instrument, actor: User, verb: str, detail: str) -> None:
    activity_note(
        organisation=instrument.organisation, actor=actor, verb=verb, subject=str(instrument), detail=detail
    )
