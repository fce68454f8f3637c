"""What people say of events: cause, comment, and that one is set aside. MyCirrus' own rows are never changed."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.models import User
from instruments.tenancy import OrgOwned

from .events import Event


class EventCause(OrgOwned):
    """A word of the organisation's short list of causes, in the order of the keys that choose them."""

    name = models.CharField(_("name"), max_length=60)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="event_cause_once")]

    def __str__(self) -> str:
        return self.name


class EventTag(OrgOwned):
    """What was said of one event. A row of its own: the event's is written anew whenever MyCirrus is read."""

    event = models.OneToOneField(Event, on_delete=models.CASCADE, related_name="tag")
    # The word itself: an event keeps its cause when the list is changed later.
    cause = models.CharField(_("cause"), max_length=60, blank=True)
    comment = models.CharField(_("comment"), max_length=1000, blank=True)
    excluded = models.BooleanField(_("excluded"), default=False)
    excluded_at = models.DateTimeField(null=True)
    excluded_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    # As they were called then: it outlives the account.
    excluded_by_name = models.CharField(max_length=254, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "event"], condition=models.Q(excluded=True), name="event_tag_excluded"
            )
        ]

    def __str__(self) -> str:
        return f"tag of event {self.event_id}"
