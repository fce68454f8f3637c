"""How each instrument's checks stand, so that a board sorts a whole fleet without reading its histories."""

from typing import Any

from django.db import models

from instruments.models import Instrument, User
from instruments.tenancy import OrgOwned


def _decibels(blank: bool = False) -> "models.DecimalField[Any, Any]":
    """To the thousandth, in decimals: 0.50 is compared as 0.50 (R10)."""
    return models.DecimalField(max_digits=7, decimal_places=3, null=True, blank=blank)


class CheckStanding(OrgOwned):
    """The numbers of an instrument's calibrations and SICs; a tolerance is in `sic_limit_at` alone.

    Derived: `monitoring.check_standings` makes it anew from the checks whenever one of them comes or is corrected.
    """

    instrument = models.OneToOneField(
        Instrument, on_delete=models.CASCADE, primary_key=True, related_name="check_standing"
    )
    calibrated_at = models.DateTimeField(null=True)
    calibration_status = models.CharField(max_length=32, blank=True)
    # False also where it says neither and the last that says either failed.
    calibration_passed = models.BooleanField(null=True)
    # The last that passed: what is due is counted from it, and a SIC never moves it (R14).
    good_calibration_at = models.DateTimeField(null=True)
    # The last that passed before the newest: from it on levels are suspect if the newest finds a fault (R12).
    good_before_at = models.DateTimeField(null=True)
    level_db = _decibels()
    offset_db = _decibels()
    step_db = _decibels()
    sic_at = models.DateTimeField(null=True)
    sic_status = models.CharField(max_length=32, blank=True)
    # Of the last that says either.
    sic_passed = models.BooleanField(null=True)
    sic_failed_at = models.DateTimeField(null=True)
    # The largest difference of the last SIC's frequencies from their baseline, with its sign.
    sic_difference_db = _decibels()
    # Where the steepest trend would have it a year after the last SIC, as a difference; None without a trend.
    sic_year_db = _decibels()
    # When the first frequency is beyond the tolerance in force: at the last SIC where one is already, None where no
    # trend says so. A fleet is sorted by it.
    sic_limit_at = models.DateTimeField(null=True)
    # {"source": "median" | "set", "of": 5, "since": "2026-05-01T…Z", "levels": {"level_1khz_db": {"level": 98.3,
    # "baseline": 98.4, "difference": -0.1, "per_day": -0.002, "now": 98.31}}}
    sic = models.JSONField(default=dict)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"checks of {self.instrument_id}"


class SicBaseline(OrgOwned):
    """The levels that somebody set for an instrument's SICs to be told from, in place of the median of the first."""

    instrument = models.OneToOneField(
        Instrument, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    level_500hz_db = _decibels(blank=True)
    level_1khz_db = _decibels(blank=True)
    level_8khz_db = _decibels(blank=True)
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"SIC baseline of {self.instrument_id}"
