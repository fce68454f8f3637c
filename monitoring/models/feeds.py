"""A member's own address of the calendar: it dies with the membership."""

import secrets

from django.db import models

from instruments.models import Membership
from instruments.tenancy import OrgOwned


def feed_secret() -> str:
    """What makes an address unguessable and this one: 192 bits. A new one ends the old address."""
    return secrets.token_urlsafe(24)


class CalendarFeed(OrgOwned):
    """That a member made an address of the calendar. The address itself is signed: the row alone opens nothing."""

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="+")
    secret = models.CharField(max_length=40, default=feed_secret, editable=False)
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"calendar of {self.membership_id}"
