"""How long an organisation keeps what. Without a rule everything is kept."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned


class Retention(OrgOwned):
    """One resource's rows are let go after so many days; their rollups stay."""

    resource = models.CharField(max_length=16)
    days = models.PositiveIntegerField(
        _("days"),
        # Shorter than the sweep looks back, rows would be fetched and deleted in turns; a century is for ever, and
        # still a date.
        validators=[MinValueValidator(31), MaxValueValidator(36_500)],
    )

    class Meta:
        ordering = ["resource"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "resource"], name="retention_once"),
            models.CheckConstraint(
                condition=models.Q(days__range=(31, 36_500)), name="retention_month_to_century"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource}: {self.days} days"
