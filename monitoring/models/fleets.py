"""What belongs to a whole fleet: how often it has changed, and how people like to look at it."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instruments.models import Membership
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet


class FleetVersion(OrgOwned):
    """A count that the database moves by one whenever something is written that the pages of a topic show.

    The sum over the shards is the topic's version. They are several so that workers which write for one organisation at
    the same time do not wait for each other; monitoring/standing.py has the triggers.
    """

    class Topic(models.IntegerChoices):
        FLEET = 0, _("Fleet")
        CHECKS = 1, _("Checks")

    topic = models.PositiveSmallIntegerField(choices=Topic, default=Topic.FLEET)
    shard = models.PositiveSmallIntegerField()
    number = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "topic", "shard"], name="fleet_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.organisation_id}.{self.topic}.{self.shard}: {self.number}"


class FleetColumns(OrgOwned):
    """Which columns of the fleet's table somebody chose to see."""

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="+")
    columns = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"columns of {self.membership_id}"


class FleetViewQuerySet(ScopedQuerySet):
    """Saved views of the organisation in scope."""

    def visible_to(self, membership: Membership) -> "FleetViewQuerySet":
        """Everybody's, and this member's own."""
        return self.filter(Q(membership=None) | Q(membership=membership))


FleetViewManager = ScopedManager.from_queryset(FleetViewQuerySet)


class FleetView(OrgOwned):
    """A name for a question to the fleet: its filters, order and kind of view, as an address has them."""

    name = models.CharField(_("name"), max_length=80)
    query = models.CharField(max_length=1000, blank=True)
    # Whose alone it is; everybody's without one.
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[FleetViewManager] = FleetViewManager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "name"], condition=Q(membership=None), name="fleet_view_shared_once"
            ),
            models.UniqueConstraint(
                fields=["organisation", "membership", "name"], name="fleet_view_own_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name
