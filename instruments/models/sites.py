"""Places, and which instrument stood where from when to when, so that data belong to where they were measured."""

import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

from .instruments import Instrument
from .organisations import validate_time_zone

if TYPE_CHECKING:
    from typing import Self


class Site(OrgOwned):
    """A place where instruments stand."""

    class Placement(models.TextChoices):
        # R8: a façade reflects; the usual 3 dB are a person's decision and never taken off silently.
        NOT_SAID = "", _("Not stated")
        FREE_FIELD = "free_field", _("Free field")
        FACADE = "facade", _("At a façade")

    name = models.CharField(_("name"), max_length=120)
    address = models.CharField(_("address"), max_length=300, blank=True)
    latitude = models.FloatField(
        _("latitude"), null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        _("longitude"), null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )
    # Empty: the organisation's.
    timezone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[validate_time_zone])
    placement = models.CharField(
        _("microphone"), max_length=12, choices=Placement.choices, default=Placement.NOT_SAID, blank=True
    )
    notes = models.TextField(_("notes"), max_length=4000, blank=True)
    # The name of its file below DATA_DIR, a new one for each picture; the sizes let a page keep its place.
    photo = models.CharField(max_length=64, blank=True, editable=False)
    photo_width = models.PositiveIntegerField(null=True, editable=False)
    photo_height = models.PositiveIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                "organisation",
                Lower("name"),
                name="site_name_once",
                violation_error_message=_("There is a site of this name already."),
            ),
            models.CheckConstraint(
                condition=Q(latitude__isnull=True, longitude__isnull=True)
                | Q(latitude__isnull=False, longitude__isnull=False),
                name="site_position_whole",
                violation_error_message=_("A position needs both latitude and longitude."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo | None:
        """Its own time zone; None where the organisation's holds."""
        return zoneinfo.ZoneInfo(self.timezone) if self.timezone else None


class DeploymentQuerySet(ScopedQuerySet):
    """Deployments of the organisation in scope."""

    def at(self, instant: datetime) -> "Self":
        """Those that stand at ``instant``: at most one for each instrument."""
        return self.filter(Q(end_at=None) | Q(end_at__gt=instant), start_at__lte=instant)

    def within(self, start: datetime, end: datetime) -> "Self":
        """Those that have a part of [start, end)."""
        return self.filter(Q(end_at=None) | Q(end_at__gt=start), start_at__lt=end)


DeploymentManager = ScopedManager.from_queryset(DeploymentQuerySet)


class Deployment(OrgOwned):
    """One instrument at one site, from an instant to an instant; the database lets no two of one instrument overlap."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="deployments")
    # RESTRICT: a site with a history is not removed from under it, but goes with its organisation.
    site = models.ForeignKey(Site, on_delete=models.RESTRICT, related_name="deployments")
    start_at = models.DateTimeField(_("from"))
    # None: it stands there still.
    end_at = models.DateTimeField(_("until"), null=True, blank=True)
    note = models.CharField(_("where exactly"), max_length=200, blank=True)

    objects: ClassVar[DeploymentManager] = DeploymentManager()

    class Meta:
        ordering = ["-start_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(end_at__isnull=True) | Q(end_at__gt=F("start_at")),
                name="deployment_ends_after_start",
                violation_error_message=_("It has to end after it began."),
            )
        ]
        indexes = [models.Index(fields=["organisation", "instrument", "start_at"], name="deployment_time")]

    def __str__(self) -> str:
        return f"{self.instrument_id} at {self.site_id} from {self.start_at:%Y-%m-%d %H:%M}Z"

    def stands(self, at: datetime) -> bool:
        """Whether the instrument was there at that instant."""
        return self.start_at <= at and (self.end_at is None or self.end_at > at)
