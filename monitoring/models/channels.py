"""Channels that several people read, whose addresses are passwords: encrypted, and never shown again."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments import credentials
from instruments.models import User
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True, repr=False)
class ChannelSecret:
    """What opens a channel. Without a repr: an address in a log is an open door."""

    address: str
    # What a webhook's messages are signed with; empty for the others, whose address is their only secret.
    signing: str = ""


class AlertChannelQuerySet(ScopedQuerySet):
    """Channels of the organisation in scope."""

    def kept(self) -> "Self":
        """Those that were not removed."""
        return self.filter(removed_at=None)

    def on(self) -> "Self":
        """Those that are told of anything."""
        return self.kept().filter(off_at=None)


AlertChannelManager = ScopedManager.from_queryset(AlertChannelQuerySet)


class AlertChannel(OrgOwned):
    """A place where several people read: told of what its preferences say, switched off when it refuses for good."""

    class Kind(models.TextChoices):
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"
        DISCORD = "discord", "Discord"
        WEBHOOK = "webhook", _("Signed webhook")

    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    name = models.CharField(_("name"), max_length=120)
    # Its address and what it signs with; encrypted because whoever has the address can write there.
    ciphertext = models.TextField(editable=False)
    host = models.CharField(max_length=255, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    off_at = models.DateTimeField(null=True, blank=True, editable=False)
    off_reason = models.CharField(max_length=300, blank=True, editable=False)
    # The newest test: None where there was none.
    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    test_passed = models.BooleanField(null=True, editable=False)
    test_answer = models.CharField(max_length=300, blank=True, editable=False)
    made_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+", editable=False)
    made_at = models.DateTimeField(auto_now_add=True)
    # Its secret is forgotten then; what was sent there stays on record.
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[AlertChannelManager] = AlertChannelManager()

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_on(self) -> bool:
        """Whether it is told of anything."""
        return self.off_at is None and self.removed_at is None

    def secret_set(self, secret: ChannelSecret) -> None:
        """Take a new address, encrypted; host and last four characters stay to know it by."""
        self.ciphertext = credentials.encrypt(json.dumps([secret.address, secret.signing]))
        self.host = (urlsplit(secret.address).hostname or "")[:255]
        self.last_four = secret.address[-4:]

    def secret_reveal(self) -> ChannelSecret:
        """The address and its key, for the sender only. Raises SecretUnreadable."""
        return ChannelSecret(*json.loads(credentials.decrypt(self.ciphertext)))

    def __getstate__(self) -> dict[str, Any]:
        # Channels travel by id, never pickled into a broker or a cache.
        raise TypeError("An AlertChannel is not to be pickled: pass its id.")
