"""The webhooks at MyCirrus: those that send here, each with its secret, and those that somebody else made."""

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instruments import credentials
from instruments.models import ApiKey
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class SubscriptionQuerySet(ScopedQuerySet):
    """Webhooks of the organisation in scope."""

    def in_place(self) -> "Self":
        """Those of which we know from MyCirrus that they send here."""
        known = Q(created_by_us=True) | Q(checked_at__isnull=False)
        return self.filter(known, state=Subscription.State.REGISTERED, host="")

    def stored_by_hand(self) -> "Self":
        """Those whose secret a person has entered, or that a person made at MyCirrus for our address."""
        return self.filter(created_by_us=False).exclude(ciphertext="")


SubscriptionManager = ScopedManager.from_queryset(SubscriptionQuerySet)


class Subscription(OrgOwned):
    """One webhook at MyCirrus: one message type of one instrument. An empty remote id stands for every webhook."""

    class State(models.TextChoices):
        WANTED = "wanted", _("Being registered")
        REGISTERED = "registered", _("In place")
        FAILED = "failed", _("Not accepted by MyCirrus")
        REMOVED = "removed", _("No longer at MyCirrus")
        RETIRED = "retired", _("At an address of before")
        FOREIGN = "foreign", _("Foreign")

    # NULL until MyCirrus has given one: an empty id is taken, and means something.
    remote_id = models.CharField(  # noqa: DJ001
        _("webhook id"),
        max_length=100,
        blank=True,
        null=True,
        default="",
        help_text=_("As MyCirrus shows it. Leave empty where all webhooks share one secret."),
    )
    type = models.CharField(_("message type"), max_length=32, blank=True)
    serial = models.CharField(_("serial number"), max_length=64, blank=True)
    # Empty without a secret: not registered yet, or foreign, whose secret is none of our business.
    ciphertext = models.TextField(editable=False)
    # Which of the allowed spellings of a signature this sender was first seen to use.
    encoding_seen = models.CharField(max_length=16, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # The key that it was last seen with at MyCirrus, or is to be registered with.
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.REGISTERED, editable=False
    )
    created_by_us = models.BooleanField(default=False, editable=False)
    # Where it sends instead, the host only: the rest of somebody's address may be as secret as ours.
    host = models.CharField(max_length=255, blank=True, editable=False)
    registered_at = models.DateTimeField(null=True, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When it was last found to be gone; it stays when the webhook has been made again.
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)
    message = models.CharField(max_length=300, blank=True, editable=False)

    objects: ClassVar[SubscriptionManager] = SubscriptionManager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "remote_id"],
                name="subscription_once",
                violation_error_message=_("This webhook id has a secret already."),
            ),
            models.UniqueConstraint(
                fields=["organisation", "serial", "type"],
                condition=Q(created_by_us=True) & ~Q(state__in=["retired", "foreign"]),
                name="subscription_slot_once",
            ),
        ]
        indexes = [models.Index(fields=["organisation", "serial", "type"], name="subscription_serial")]

    def __str__(self) -> str:
        if self.remote_id is None:
            return f"{self.type} of {self.serial}"
        return self.remote_id or "every webhook"

    def secret_set(self, secret: str) -> None:
        """Take the secret that MyCirrus signs with."""
        self.ciphertext = credentials.encrypt(secret)

    def secret_reveal(self) -> str:
        """The secret, for checking a signature only. Raises SecretUnreadable."""
        return credentials.decrypt(self.ciphertext)

    def secret_is(self, secret: str) -> bool:
        """Whether ``secret`` is the one that is stored; one that cannot be read is not."""
        try:
            return bool(self.ciphertext) and self.secret_reveal() == secret
        except credentials.SecretUnreadable:
            return False
