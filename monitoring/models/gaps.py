"""The ledger of what is missing: asked for and absent, or not measured because the instrument was off."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.tenancy import OrgOwned


class Gap(OrgOwned):
    """A stretch that was asked for and has no rows. What was not asked for yet is told by the targets instead."""

    class Kind(models.TextChoices):
        ABSENT = "absent", _("MyCirrus has nothing")
        OFF = "off", _("Instrument was off")

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+", db_index=False)
    resource = models.CharField(max_length=16)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    found_at = models.DateTimeField()
    # When it was last asked for again as a whole.
    looked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-start_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "instrument", "resource", "start_at"], name="gap_once"
            )
        ]
        # By which the record page counts them.
        indexes = [models.Index(fields=["organisation", "resource", "kind"], name="gap_kinds")]

    def __str__(self) -> str:
        return f"{self.resource} of {self.instrument_id}, {self.start_at:%Y-%m-%d %H:%M}Z"
