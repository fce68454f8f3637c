"""How far the webhooks of each key have been compared with MyCirrus, when again, and who is at it."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instruments.models import ApiKey
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class RegistrationQuerySet(ScopedQuerySet):
    """Registrations of the organisation in scope."""

    def free(self, now: datetime) -> "Self":
        """Those whose time has come and that nobody holds. It reads this table alone: it stands in an UPDATE."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lte=now), due_at__lte=now)

    def due(self, now: datetime) -> "Self":
        """Those to take up now: free, and their key may be used."""
        return self.free(now).filter(
            Q(api_key__paused_until=None) | Q(api_key__paused_until__lte=now), api_key__revoked_at=None
        )


RegistrationManager = ScopedManager.from_queryset(RegistrationQuerySet)


class Registration(OrgOwned):
    """One key's webhooks at MyCirrus against those that are wanted here: compared daily, and when somebody asks."""

    class Outcome(models.TextChoices):
        NEVER = "never", _("Not compared yet")
        OK = "ok", _("Compared")
        NO_ADDRESS = "no_address", _("No address that MyCirrus sends to")
        MISSING_READ = "missing_read", _("The key lacks webhooks:read")
        MISSING_WRITE = "missing_write", _("The key lacks webhooks:write")
        REFUSED = "refused", _("The key is refused")
        TRANSIENT = "transient", _("Tried again")
        FAILED = "failed", _("Not understood")

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    # A person has asked for everything to be registered, and it is not done yet.
    creates = models.BooleanField(default=False)
    # When MyCirrus' list was last taken in whole; None where a call's end is unknown, so that it must be again.
    listed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.NEVER)
    outcome_at = models.DateTimeField(null=True, blank=True)
    # When the comparison was last whole; it stays when a later one fails.
    checked_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)

    objects: ClassVar[RegistrationManager] = RegistrationManager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "api_key"], name="registration_key_once")
        ]
        indexes = [models.Index(fields=["due_at"], name="registration_due")]

    def __str__(self) -> str:
        return f"webhooks of {self.api_key}"

    def working(self, now: datetime) -> bool:
        """Whether somebody is at it, or will be in a moment."""
        return self.due_at <= now or (self.lease_until is not None and self.lease_until > now)
