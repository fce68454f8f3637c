"""Laboratory certificates of instruments and of the calibrators that they are checked with (R13)."""

from datetime import date

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.tenancy import OrgOwned


class Calibrator(OrgOwned):
    """A sound calibrator of the organisation; MyCirrus knows none."""

    serial = models.CharField(_("serial number"), max_length=64)
    model = models.CharField(_("model"), max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["serial"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "serial"],
                name="calibrator_once",
                violation_error_message=_("There is a calibrator of this serial number already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.serial}".strip()


class Certificate(OrgOwned):
    """One laboratory certificate, of an instrument or of a calibrator."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, related_name="+")
    calibrator = models.ForeignKey(Calibrator, on_delete=models.CASCADE, null=True, related_name="+")
    number = models.CharField(_("certificate number"), max_length=80)
    laboratory = models.CharField(_("laboratory"), max_length=120)
    issued_on = models.DateField(_("calibrated on"))
    due_on = models.DateField(_("due on"))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-issued_on", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(instrument__isnull=True, calibrator__isnull=False)
                | Q(instrument__isnull=False, calibrator__isnull=True),
                name="certificate_of_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(due_on__gt=F("issued_on")),
                name="certificate_due_after_issue",
                violation_error_message=_("It has to fall due after it was issued."),
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "instrument", "-issued_on"], name="certificate_instrument"),
            models.Index(fields=["organisation", "calibrator", "-issued_on"], name="certificate_calibrator"),
        ]

    def __str__(self) -> str:
        return f"{self.laboratory} {self.number}"

    def is_overdue(self, today: date) -> bool:
        """Whether the day on which it fell due has passed."""
        return self.due_on < today
