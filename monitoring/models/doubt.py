"""What reviewers found of levels in doubt (R12's exception): who, by what evidence, until when they were good."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument, User
from instruments.tenancy import OrgOwned


class DoubtReview(OrgOwned):
    """One judgement about what one check threw in doubt. Rows are only added; of one check the newest holds."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    # The instant of the check: its row is written anew whenever MyCirrus is read.
    found_at = models.DateTimeField()
    # None: an earlier judgement was taken back.
    good_until_at = models.DateTimeField(_("good until"), null=True)
    evidence = models.CharField(_("evidence"), max_length=1000)
    reviewed_at = models.DateTimeField()
    reviewed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    # As they were called then: it outlives the account.
    reviewed_by_name = models.CharField(max_length=254)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["organisation", "instrument", "found_at"], name="doubt_review")]

    def __str__(self) -> str:
        return f"review of instrument {self.instrument_id}, {self.found_at:%Y-%m-%d %H:%M:%S}Z"
