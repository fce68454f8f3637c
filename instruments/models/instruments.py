"""The mirror of MyCirrus' instruments."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import FilteredRelation, Q
from django.utils.translation import gettext_lazy as _

from instruments.constraints import SqliteTenantParent
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

from .keys import ApiKey


def deployment_at(at: datetime) -> FilteredRelation:
    """An instrument's deployment at an instant: the database holds that there is at most one."""
    return FilteredRelation(
        "deployments",
        condition=Q(deployments__start_at__lte=at)
        & (Q(deployments__end_at=None) | Q(deployments__end_at__gt=at)),
    )


class InstrumentQuerySet(ScopedQuerySet):
    """Instruments of the organisation in scope."""

    def present(self) -> "InstrumentQuerySet":
        """Those that MyCirrus still lists."""
        return self.filter(gone_at=None)

    def with_deployment(self, at: datetime) -> "InstrumentQuerySet":
        """Each with `deployed`, its deployment at that instant with its site; without one the attribute is not set.

        At most one row joins each, so counts and pages stay as they are, and `deployed__site` filters and sorts.
        """
        return self.annotate(deployed=deployment_at(at)).select_related("deployed__site")


InstrumentManager = ScopedManager.from_queryset(InstrumentQuerySet)


class Instrument(OrgOwned):
    """One monitor, as MyCirrus last described it. A gone one is marked, never deleted: its record stays."""

    class Kind(models.TextChoices):
        NOISE = "Noise", _("Noise")
        AIR_QUALITY = "AirQuality", _("Air quality")
        VIBRATION = "Vibration", _("Vibration")

    serial = models.CharField(_("serial number"), max_length=64)
    # Free text with known values: a new type at MyCirrus must not stop the mirror.
    type = models.CharField(_("type"), max_length=32, blank=True)
    model = models.CharField(_("model"), max_length=64, blank=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    image = models.URLField(max_length=500, blank=True)
    subscription_status = models.CharField(_("subscription"), max_length=32, blank=True)
    subscription_tier = models.CharField(_("tier"), max_length=32, blank=True)
    subscription_addons = models.JSONField(default=list, blank=True)
    features = models.JSONField(default=list, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    document = models.JSONField(default=dict, editable=False)
    # The key it is read with: of several that reach it the first, unless another lacks fewer of the scopes it needs.
    api_key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, related_name="+")
    # The list may be thinner than the single read; this is when the latter was last had.
    detailed_at = models.DateTimeField(null=True, blank=True)
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)
    # How it stands, the worst first, while MyCirrus is heard. The database keeps it, so that a fleet is sorted and
    # counted by an index: see monitoring/standing.py. The default says that nothing is known.
    standing = models.PositiveSmallIntegerField(default=5, editable=False)

    objects: ClassVar[InstrumentManager] = InstrumentManager()

    class Meta:
        ordering = ["name", "serial"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "serial"], name="instrument_serial_once"),
            SqliteTenantParent(fields=["organisation", "id"], name="instrument_tenant_key"),
        ]
        indexes = [
            models.Index(fields=["organisation", "standing", "name", "serial"], name="instrument_standing"),
            models.Index(fields=["organisation", "name", "serial"], name="instrument_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.serial})" if self.name else self.serial

    @property
    def type_label(self) -> str:
        """The type in words, or the vendor's own text where it is new to us."""
        return str(dict(self.Kind.choices).get(self.type, self.type)) or str(_("Unknown type"))

    @property
    def measures_noise(self) -> bool:
        """Whether noise levels can be asked for: MyCirrus may leave the type out."""
        return self.type in ("", self.Kind.NOISE)

    @property
    def takes_calibrator(self) -> bool:
        """Whether it has a microphone to calibrate: every type may, but those that measure something else."""
        return self.type not in (self.Kind.AIR_QUALITY, self.Kind.VIBRATION)

    @property
    def checks_itself(self) -> bool:
        """Whether it makes SICs. Its features are believed where there are any."""
        return self.takes_calibrator and (not self.features or "SIC" in self.features)

    def is_gone(self, now: datetime) -> bool:
        """Whether MyCirrus no longer lists it."""
        return self.gone_at is not None and self.gone_at <= now
