"""Calibrations and System Integrity Checks, as MyCirrus recorded them. A SIC is not a calibration (R14)."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.tenancy import OrgOwned


class Calibration(OrgOwned):
    """One calibration: level and offset from the factory calibration, in dB."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    # To the whole second: the API gives one calibration with 0, 3 or 7 digits, and it must stay one row.
    at = models.DateTimeField(_("time"))
    status = models.CharField(_("status"), max_length=32, blank=True)
    level_db = models.FloatField(_("level"), null=True)
    offset_db = models.FloatField(_("offset"), null=True)
    document = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "instrument", "at"], name="calibration_once")
        ]

    def __str__(self) -> str:
        return f"calibration of {self.instrument_id} at {self.at:%Y-%m-%d %H:%M:%S}Z"


class SystemIntegrityCheck(OrgOwned):
    """One SIC: the levels in dB at three frequencies and MyCirrus' own word for the result."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(_("time"))
    status = models.CharField(_("status"), max_length=32, blank=True)
    # None: a word that is not known to mean either. It is shown as it came and alerts nobody.
    passed = models.BooleanField(null=True)
    level_500hz_db = models.FloatField(_("500 Hz"), null=True)
    level_1khz_db = models.FloatField(_("1 kHz"), null=True)
    level_8khz_db = models.FloatField(_("8 kHz"), null=True)
    document = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("System Integrity Check")
        ordering = ["-at"]
        constraints = [models.UniqueConstraint(fields=["organisation", "instrument", "at"], name="sic_once")]
        indexes = [
            models.Index(
                fields=["-id"],
                condition=models.Q(passed=False) | models.Q(passed=None),
                name="sic_not_passed",
            )
        ]

    def __str__(self) -> str:
        return f"SIC of {self.instrument_id} at {self.at:%Y-%m-%d %H:%M:%S}Z"
