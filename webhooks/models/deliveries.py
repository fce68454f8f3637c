"""Raw deliveries: what arrived, byte for byte, before anybody tried to understand it."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class DeliveryQuerySet(ScopedQuerySet):
    """Deliveries of the organisation in scope."""

    def due(self, now: datetime) -> "Self":
        """Those still to be processed that nobody holds."""
        return self.filter(
            Q(lease_until=None) | Q(lease_until__lte=now),
            state=Delivery.State.RECEIVED,
            due_at__lte=now,
        )


DeliveryManager = ScopedManager.from_queryset(DeliveryQuerySet)


class Delivery(OrgOwned):
    """One message as it was received. It is processed at least once and takes effect once."""

    class Signature(models.TextChoices):
        VALID = "valid", _("Signed")
        LEGACY = "legacy", _("Unsigned legacy notification")

    class State(models.TextChoices):
        RECEIVED = "received", _("Waiting")
        PROCESSED = "processed", _("Processed")
        IGNORED = "ignored", _("Nothing to do")
        FAILED = "failed", _("Failed")

    received_at = models.DateTimeField()
    webhook_id = models.CharField(max_length=100, blank=True)
    signature = models.CharField(max_length=16, choices=Signature.choices)
    encoding = models.CharField(max_length=16, blank=True)
    body = models.BinaryField()
    digest = models.CharField(max_length=64)
    # Read from the body for the list; empty where the body does not say.
    type = models.CharField(max_length=32, blank=True)
    serial = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.RECEIVED)
    effect = models.CharField(max_length=300, blank=True)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    processed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[DeliveryManager] = DeliveryManager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-received_at", "-pk"]
        indexes = [
            models.Index(fields=["organisation", "-received_at", "-id"], name="delivery_newest"),
            models.Index(fields=["due_at"], condition=Q(state="received"), name="delivery_due"),
            # What the operator looks for among a million: an ordinary delivery is in neither while it is stored.
            models.Index(
                fields=["-id"],
                condition=Q(state="failed") | Q(state="ignored") | Q(signature="legacy"),
                name="delivery_odd",
            ),
            models.Index(
                fields=["type", "-id"],
                condition=Q(type="NewEvent")
                | Q(type="InstrumentStatus")
                | Q(type="CalibrationFinished")
                | Q(type="SicFinished"),
                name="delivery_type",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type or 'message'} of {self.received_at:%Y-%m-%d %H:%M:%S}Z"
