"""How each instrument is now, and every change of it."""

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.tenancy import OrgOwned


class InstrumentStatus(OrgOwned):
    """The present of one instrument: one row that a fleet page reads instead of asking five histories."""

    instrument = models.OneToOneField(
        Instrument, on_delete=models.CASCADE, primary_key=True, related_name="status"
    )
    online = models.BooleanField(null=True)
    measuring = models.BooleanField(null=True)
    calibration_in_progress = models.BooleanField(null=True)
    sic_in_progress = models.BooleanField(null=True)
    # When MyCirrus last told us, and since when it has been as it is.
    observed_at = models.DateTimeField(null=True)
    online_since_at = models.DateTimeField(null=True)
    measuring_since_at = models.DateTimeField(null=True)
    # The newest stored measurement (LAeq in dB over level_seconds, starting at level_at).
    level_at = models.DateTimeField(null=True)
    level_seconds = models.PositiveIntegerField(null=True)
    LAeq = models.FloatField(null=True)
    LAFMax = models.FloatField(null=True)
    LCPeak = models.FloatField(null=True)
    # Since when what it measures comes without any value, as from a dead microphone; None while there is one.
    empty_since_at = models.DateTimeField(null=True)
    # The quarter hours of the day that ends with the one of day_at, and of what: see monitoring/day_lines.py.
    day_quantity = models.CharField(max_length=16, blank=True)
    day_values = models.CharField(max_length=800, blank=True)
    day_at = models.DateTimeField(null=True)
    # The newest stored sample of a monitor that measures something else: {"PM10": 21.4, …}, None where it is missing.
    latest = models.JSONField(default=dict)
    latest_at = models.DateTimeField(null=True)
    latest_seconds = models.PositiveIntegerField(null=True)
    # The newest calibration and SIC, so that the page needs no join to their histories.
    calibrated_at = models.DateTimeField(null=True)
    calibration_status = models.CharField(max_length=32, blank=True)
    calibration_offset = models.FloatField(null=True)
    sic_at = models.DateTimeField(null=True)
    sic_status = models.CharField(max_length=32, blank=True)
    sic_passed = models.BooleanField(null=True)
    document = models.JSONField(default=dict)
    # The monitor's own health now, units in the names; empty where it does not tell.
    health = models.JSONField(default=dict)
    health_at = models.DateTimeField(null=True)
    # Moves when something that a page shows has changed, and only then: a poll for news compares this alone.
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name = _("instrument status")
        verbose_name_plural = _("instrument statuses")
        # Who was heard last before an instant: silence is found by it.
        indexes = [models.Index(fields=["organisation", "observed_at"], name="status_observed")]

    def __str__(self) -> str:
        return f"status of {self.instrument_id}"

    @property
    def offline_told_at(self) -> datetime | None:
        """When MyCirrus last told that it is offline; None where that is not its newest word."""
        return self.observed_at if self.online is False else None


class StatusChange(OrgOwned):
    """An immutable note that an instrument went on- or offline, began or stopped measuring."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    online = models.BooleanField(null=True)
    measuring = models.BooleanField(null=True)

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "instrument", "at"], name="status_change_once")
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} at {self.at:%Y-%m-%d %H:%M:%S}Z"
