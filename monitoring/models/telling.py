"""Who is told of what, when and by which way, and every message that is owed or was sent."""

import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument, Membership, Site, User
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

from .alerts import AlertKind, IncidentChange, Severity
from .channels import AlertChannel

if TYPE_CHECKING:
    from typing import Self


class AlertPreference(OrgOwned):
    """That a member or a channel is to hear of one kind of alert, or of all: everywhere, or of one site or instrument.

    Wishes add up: who asked for red everywhere and for amber at one site hears of both.
    """

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, null=True, related_name="+")
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, null=True, related_name="+")
    # Empty: every kind.
    kind = models.CharField(max_length=32, choices=AlertKind.choices, blank=True)
    # Neither: everywhere. Of a site: whatever stands there at the time.
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, related_name="+")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, null=True, related_name="+")
    minimum = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.AMBER)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "membership", "kind"],
                condition=Q(instrument=None, site=None),
                name="alert_preference_once",
            ),
            models.UniqueConstraint(
                fields=["organisation", "membership", "kind", "instrument"],
                condition=Q(instrument__isnull=False),
                name="alert_preference_instrument_once",
            ),
            models.UniqueConstraint(
                fields=["organisation", "membership", "kind", "site"],
                condition=Q(site__isnull=False),
                name="alert_preference_site_once",
            ),
            models.UniqueConstraint(
                fields=["organisation", "channel", "kind"],
                condition=Q(channel__isnull=False, site=None),
                name="alert_preference_channel_once",
            ),
            models.UniqueConstraint(
                fields=["organisation", "channel", "kind", "site"],
                condition=Q(channel__isnull=False, site__isnull=False),
                name="alert_preference_channel_site_once",
            ),
            models.CheckConstraint(
                condition=Q(membership__isnull=False, channel=None)
                | Q(membership=None, channel__isnull=False),
                name="alert_preference_whose",
            ),
            models.CheckConstraint(
                condition=Q(instrument=None) | Q(site=None), name="alert_preference_one_place"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id or self.channel_id}: {self.kind}"

    @property
    def everywhere(self) -> bool:
        """Whether it is about the whole organisation."""
        return self.instrument_id is None and self.site_id is None


class AlertHours(OrgOwned):
    """When a member wants to be left alone, in a time zone of their own."""

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="+")
    timezone = models.CharField(_("time zone"), max_length=64)
    quiet_from = models.TimeField(_("quiet from"))
    quiet_until = models.TimeField(_("quiet until"))
    red_breaks = models.BooleanField(_("red may wake me"), default=True)

    def __str__(self) -> str:
        return f"{self.quiet_from:%H:%M}–{self.quiet_until:%H:%M} {self.timezone}"

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The zone that the clock times are in."""
        return zoneinfo.ZoneInfo(self.timezone)


class EscalationStep(OrgOwned):
    """Who is told when nobody acknowledged for so long; each incident climbs the steps in their order."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="+")
    after_minutes = models.PositiveIntegerField(_("after"))
    minimum = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.RED)

    class Meta:
        ordering = ["after_minutes", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "membership"], name="escalation_step_once")
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} after {self.after_minutes} min"


class MaintenanceQuerySet(ScopedQuerySet):
    """Maintenance of the organisation in scope."""

    def at(self, instant: datetime) -> "Self":
        """What goes on at ``instant``."""
        return self.filter(start_at__lte=instant, end_at__gt=instant)


MaintenanceManager = ScopedManager.from_queryset(MaintenanceQuerySet)


class Maintenance(OrgOwned):
    """A time in which incidents are recorded and tagged and nobody is told."""

    # Neither: the whole organisation. Of a site: whatever stands there at the time.
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, related_name="+")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, null=True, related_name="+")
    start_at = models.DateTimeField(_("from"))
    end_at = models.DateTimeField(_("until"))
    reason = models.CharField(_("why"), max_length=200)
    made_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    objects: ClassVar[MaintenanceManager] = MaintenanceManager()

    class Meta:
        verbose_name_plural = "maintenance"
        ordering = ["-start_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(end_at__gt=models.F("start_at")),
                name="maintenance_ends_after_start",
                violation_error_message=_("It has to end after it began."),
            ),
            models.CheckConstraint(condition=Q(instrument=None) | Q(site=None), name="maintenance_one_place"),
        ]

    def __str__(self) -> str:
        return self.reason


class OwedQuerySet(ScopedQuerySet):
    """Messages of the organisation in scope."""

    def due(self, now: datetime) -> "Self":
        """Those still to be sent that nobody holds."""
        return self.filter(
            Q(lease_until=None) | Q(lease_until__lte=now), sent_at=None, failed_at=None, due_at__lte=now
        )

    def turns(self, now: datetime) -> "Self":
        """Those whose turn it is, in the order of their turns."""
        return self.due(now).order_by("pk")


OwedManager = ScopedManager.from_queryset(OwedQuerySet)


class Owed(OrgOwned):
    """A message that is claimed with a lease, sent, then marked: at least once, never zero."""

    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    # What went wrong, or what the other side answered.
    message = models.CharField(max_length=300, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[OwedManager] = OwedManager()

    class Meta:
        abstract = True


class AlertDeliveryQuerySet(OwedQuerySet):
    """Messages of the organisation in scope that people or channels are owed."""

    def turns(self, now: datetime) -> "Self":
        """Fairly: the first of each organisation's mails and of each channel, then the second mails, and so on.

        To one channel one at a time: a receiver that is slow on purpose holds up one worker and no more.
        """
        under_way = self.filter(lease_until__gt=now, sent_at=None, failed_at=None, target__isnull=False)
        return (
            self.due(now)
            .exclude(target__in=list(under_way.values_list("target_id", flat=True)))
            .annotate(
                turn=Window(
                    RowNumber(),
                    partition_by=[F("organisation_id"), F("target_id")],
                    order_by=[F("pk").asc()],
                )
            )
            .filter(Q(target=None) | Q(turn=1))
            .order_by("turn", "pk")
        )


AlertDeliveryManager = ScopedManager.from_queryset(AlertDeliveryQuerySet)


class AlertDelivery(Owed):
    """One message owed to a person or channel for one step."""

    change = models.ForeignKey(IncidentChange, on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=16, default="email")
    # None where a channel of the organisation is told, which is then the target.
    recipient = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    target = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, null=True, related_name="+")

    objects: ClassVar[AlertDeliveryManager] = AlertDeliveryManager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "alert deliveries"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "change", "channel", "recipient"],
                condition=Q(target=None),
                name="alert_delivery_once",
            ),
            models.UniqueConstraint(
                fields=["organisation", "change", "target"],
                condition=Q(target__isnull=False),
                name="alert_delivery_target_once",
            ),
            models.CheckConstraint(
                condition=Q(recipient__isnull=False) | Q(target__isnull=False), name="alert_delivery_to_whom"
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(sent_at=None, failed_at=None), name="alert_delivery_due"
            ),
            models.Index(
                fields=["target", "-id"], condition=Q(target__isnull=False), name="alert_delivery_log"
            ),
            models.Index(
                fields=["-id"],
                condition=Q(sent_at=None) | ~Q(failed_at=None),
                name="alert_delivery_unsent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.change_id} to {self.target_id or self.recipient_id}"
