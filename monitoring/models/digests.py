"""Who wants the digest when, and every digest that is owed or was sent."""

import zoneinfo

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.models import Membership, User
from instruments.tenancy import OrgOwned

from .telling import Owed


class DigestWish(OrgOwned):
    """That a member wants the organisation's digest; nobody gets one who has no such row."""

    class Rhythm(models.TextChoices):
        DAILY = "daily", _("Every day")
        WEEKLY = "weekly", _("Every Monday")

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="+")
    rhythm = models.CharField(_("how often"), max_length=8, choices=Rhythm.choices, default=Rhythm.DAILY)
    # By the person's own clock, which need not be the organisation's.
    hour = models.PositiveSmallIntegerField(_("at"), default=7, validators=[MaxValueValidator(23)])
    timezone = models.CharField(_("time zone"), max_length=64)
    next_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.rhythm} at {self.hour} ({self.timezone})"

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The zone that the hour is in."""
        return zoneinfo.ZoneInfo(self.timezone)


class Digest(Owed):
    """One digest owed to one person: the row is the only one of its day or week, whoever rings how often."""

    recipient = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    rhythm = models.CharField(max_length=8, choices=DigestWish.Rhythm.choices)
    # The person's own day on which it comes; of a weekly one the Monday.
    on = models.DateField()
    # The instant that it was asked for, whenever it is sent.
    asked_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "recipient", "rhythm", "on"], name="digest_once")
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(sent_at=None, failed_at=None), name="digest_due"
            ),
            models.Index(
                fields=["-id"],
                condition=models.Q(sent_at=None) | ~models.Q(failed_at=None),
                name="digest_unsent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rhythm} of {self.on} to {self.recipient_id}"
