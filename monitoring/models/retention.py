"""How long an organisation keeps what. Without a rule everything is kept."""

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned


class Retention(OrgOwned):
    """One resource's rows are let go after so many days; the rollups of noise stay, other kinds have none."""

    resource = models.CharField(max_length=16)
    days = models.PositiveIntegerField(
        _("days"),
        # Shorter than the sweep looks back, rows would be fetched and deleted in turns.
        validators=[MinValueValidator(31)],
    )

    class Meta:
        ordering = ["resource"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "resource"], name="retention_once"),
            models.CheckConstraint(condition=models.Q(days__gte=31), name="retention_month_or_more"),
        ]

    def __str__(self) -> str:
        return f"{self.resource}: {self.days} days"
