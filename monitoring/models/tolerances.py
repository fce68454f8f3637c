"""What an organisation holds its checks to: tolerances in dB and periods, each default with a printed source."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned
from monitoring.acoustics.drift import SIC_TOLERANCE
from monitoring.acoustics.validity import FACTORY_OFFSET, FIELD_CHECK_STEP


def _decibels(name: Any, default: Decimal, least: str, most: str) -> "models.DecimalField[Any, Any]":
    validators = [MinValueValidator(Decimal(least)), MaxValueValidator(Decimal(most))]
    return models.DecimalField(name, max_digits=4, decimal_places=2, default=default, validators=validators)


class Tolerances(OrgOwned):
    """One row for an organisation that has changed any; `tolerances_in_force` gives the defaults to the others."""

    # R10, ISO 1996-2:2017 5.2 (second-hand): consecutive checks without adjustment.
    step_db = _decibels(_("calibration step"), FIELD_CHECK_STEP, "0.05", "5")
    # R11, 10EaZy (second-hand): from the factory's calibration.
    offset_db = _decibels(_("calibration offset"), FACTORY_OFFSET, "0.05", "10")
    # R11, NorCloud (read), which lets 0.5 to 5 dB be chosen: each of a SIC's frequencies from its baseline.
    sic_db = _decibels(_("SIC difference"), SIC_TOLERANCE, "0.5", "5")
    # The organisation's own: no source gives one for permanent monitors. None: nothing is ever due.
    calibration_days = models.PositiveSmallIntegerField(
        _("calibration every"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
    )
    # R13, UK practice (read): within 24 and 12 months.
    meter_months = models.PositiveSmallIntegerField(
        _("meter's certificate"), default=24, validators=[MinValueValidator(1), MaxValueValidator(120)]
    )
    calibrator_months = models.PositiveSmallIntegerField(
        _("calibrator's certificate"), default=12, validators=[MinValueValidator(1), MaxValueValidator(120)]
    )

    class Meta:
        verbose_name_plural = "tolerances"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["organisation"], name="tolerances_once")]

    def __str__(self) -> str:
        return f"tolerances of {self.organisation_id}"


def tolerances_in_force() -> Tolerances:
    """Those of the organisation in scope; its defaults, unsaved, where it changed none. One query."""
    return Tolerances.objects.first() or Tolerances()


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last: 31 January and a month is 28 February."""
    years, month = divmod(day.month - 1 + months, 12)
    first_of_next = date(day.year + years + (month == 11), (month + 1) % 12 + 1, 1)
    last = date.fromordinal(first_of_next.toordinal() - 1)
    return last.replace(day=min(day.day, last.day))
