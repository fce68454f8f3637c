"""Rows that hold values which cannot be true: kept as they came, and flagged here."""

from django.db import models

from instruments.models import Instrument
from instruments.tenancy import OrgOwned


class ImpossibleRow(OrgOwned):
    """One stored row with at least one value beyond what is possible (monitoring/possible.py)."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+", db_index=False)
    table = models.CharField(max_length=16)
    start_at = models.DateTimeField()
    # By column; None is what was no number at all.
    values = models.JSONField()

    class Meta:
        ordering = ["-start_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "instrument", "table", "start_at"], name="impossible_row_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.table} of {self.instrument_id} at {self.start_at:%Y-%m-%d %H:%M:%S}Z"
