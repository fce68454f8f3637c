"""What was turned away at the door: one row a reason, so that no sender can fill the disk by being wrong."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet, active_organisation_id

if TYPE_CHECKING:
    from typing import Self

# One count covers at most this long; then it begins anew.
COUNTED_TOGETHER = timedelta(hours=1)


class RefusalQuerySet(ScopedQuerySet):
    """Refusals of the organisation in scope."""

    def note(self, *, reason: str, webhook_id: str, now: datetime) -> None:
        """Count one more delivery that was turned away for ``reason``."""
        row = self.filter(reason=reason)
        newest = {"last_at": now, "webhook_id": webhook_id[:100]}
        if row.filter(since_at__gt=now - COUNTED_TOGETHER).update(count=F("count") + 1, **newest):
            return
        if row.update(count=1, since_at=now, **newest):
            return
        # Two first refusals at once make one row; the count that is lost changes nothing that it says.
        self.bulk_create(
            [
                self.model(
                    organisation_id=active_organisation_id(), reason=reason, count=1, since_at=now, **newest
                )
            ],
            ignore_conflicts=True,
        )

    def recent(self, now: datetime) -> "Self":
        """Those of the last day, the newest first."""
        return self.filter(last_at__gt=now - timedelta(days=1)).order_by("-last_at")


RefusalManager = ScopedManager.from_queryset(RefusalQuerySet)


class Refusal(OrgOwned):
    """How many deliveries were turned away for one reason, since when, and which webhook sent the last."""

    class Reason(models.TextChoices):
        UNSIGNED = "unsigned", _("The signature was missing")
        WRONG_SIGNATURE = "wrong_signature", _("The signature did not match the secret stored here")
        NO_SECRET = "no_secret", _("No secret is stored here for the webhook that sent it")
        UNREADABLE_SECRET = (
            "unreadable_secret",
            _("The stored secret cannot be decrypted: the operator has to put the encryption key back"),
        )
        LEGACY = "legacy", _("Unsigned legacy notifications are not accepted by this organisation")
        TOO_LARGE = "too_large", _("The message was too large")

    reason = models.CharField(max_length=20, choices=Reason.choices)
    count = models.PositiveIntegerField()
    since_at = models.DateTimeField()
    last_at = models.DateTimeField()
    webhook_id = models.CharField(max_length=100, blank=True)

    objects: ClassVar[RefusalManager] = RefusalManager()

    class Meta:
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["organisation", "reason"], name="refusal_once")]

    def __str__(self) -> str:
        return f"{self.count} × {self.reason}"
