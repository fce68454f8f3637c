"""What is to be fetched, when it is due, who holds it and how it went: the truth that the broker only rings for."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Case, F, Q, Value, When, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext_lazy as _

from instruments.models import ApiKey, Instrument
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class Resource(models.TextChoices):
    """What one target fetches."""

    INSTRUMENTS = "instruments", _("Instrument list")
    STATUS = "status", _("Status")
    CALIBRATIONS = "calibrations", _("Calibrations")
    SIC = "sic", _("System Integrity Checks")
    NOISE = "noise", _("Noise levels")
    OCTAVE = "octave", _("Octave bands")
    THIRD_OCTAVE = "third_octave", _("Third-octave bands")
    EVENTS = "events", _("Events")
    AUDIO = "audio", _("Recordings")
    CALIBRATION_LOG = "calibration_log", _("Calibration log")
    WEATHER = "weather", _("Weather")
    PARTICULATES = "particulates", _("Particulates")
    GASES = "gases", _("Gases")
    PPV = "ppv", _("Vibration, PPV")
    VDV = "vdv", _("Vibration, VDV")
    STATS = "stats", _("Monitor health")
    NOW = "now", _("Monitor health now")


class Lane(models.IntegerChoices):
    """Why a target runs; the lower number goes first, so that history never holds up the present."""

    LIVE = 0, _("what is new")
    SWEEP = 5, _("late rows of the recent past")
    BACKFILL = 9, _("history, newest first")


class Outcome(models.TextChoices):
    """How the last try ended, by what has to happen next."""

    NEVER = "never", _("Not tried yet")
    OK = "ok", _("Fetched")
    UNCHANGED = "unchanged", _("Nothing new")
    TRANSIENT = "transient", _("Failed for now")
    RATE_LIMITED = "rate_limited", _("Asked to wait")
    NEEDS_ATTENTION = "needs_attention", _("Needs somebody's attention")
    BUG = "bug", _("Not understood")


_URGENCY = Case(
    When(resource__in=(Resource.SIC, Resource.CALIBRATIONS, Resource.STATUS), then=Value(0)), default=Value(1)
)


class SyncTargetQuerySet(ScopedQuerySet):
    """Targets of the organisation in scope."""

    def free(self, now: datetime) -> "Self":
        """Those whose time has come and that nobody holds.

        It reads this table alone. An UPDATE over a join becomes one over a subquery, which PostgreSQL does not
        look at again after waiting for a row: two dispatchers would then claim the same target.
        """
        return self.filter(
            Q(lease_until=None) | Q(lease_until__lte=now), due_at__lte=now, parked_at=None, done_at=None
        )

    def due(self, now: datetime) -> "Self":
        """Those to fetch now: free, their key may be used, and MyCirrus still lists their instrument."""
        return self.free(now).filter(
            Q(api_key__paused_until=None) | Q(api_key__paused_until__lte=now),
            api_key__revoked_at=None,
            instrument__gone_at=None,
        )

    def hinted(self) -> "Self":
        """Those that something happened to: a webhook rang, or the status named a check that is not known here."""
        return self.exclude(hinted_at=None)

    def urgent_first(self, turns: int) -> Any:
        """Hinted ones, at most ``turns`` for each key: checks and status first, because a mail may hang on them."""
        order = [_URGENCY.asc(), F("hinted_at").asc()]
        return self.annotate(
            urgency=_URGENCY, turn=Window(RowNumber(), partition_by=F("api_key_id"), order_by=order)
        ).filter(turn__lte=turns)

    def parked(self) -> "Self":
        """Those that wait for a person."""
        return self.exclude(parked_at=None)


SyncTargetManager = ScopedManager.from_queryset(SyncTargetQuerySet)


class SyncTarget(OrgOwned):
    """One resource of one instrument (or of one key), with its due time, lease and watermark."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, related_name="+")
    resource = models.CharField(max_length=16, choices=Resource.choices)
    lane = models.PositiveSmallIntegerField(choices=Lane.choices, default=Lane.LIVE)
    due_at = models.DateTimeField()
    # Something happened: it goes before every poll, until a turn that began after it went well.
    hinted_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    # Live: everything up to here is stored. Back-fill: everything from here on is. Sweep: it goes on from here.
    # Below floor_at nothing is asked for.
    watermark_at = models.DateTimeField(null=True, blank=True)
    floor_at = models.DateTimeField(null=True, blank=True)
    # Live: from the watermark up to here there was nothing when it was asked for last.
    silent_until_at = models.DateTimeField(null=True, blank=True)
    rows = models.PositiveBigIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.NEVER)
    outcome_at = models.DateTimeField(null=True, blank=True)
    ok_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)
    parked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[SyncTargetManager] = SyncTargetManager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "instrument", "resource", "lane"],
                condition=Q(instrument__isnull=False),
                name="sync_target_once",
            ),
            models.UniqueConstraint(
                fields=["organisation", "api_key", "resource"],
                condition=Q(instrument__isnull=True),
                name="sync_target_key_once",
            ),
        ]
        indexes = [
            # Of a fleet that was read once this is empty, and an empty index is asked for by every page.
            models.Index(
                fields=["organisation", "resource"], condition=Q(outcome="never"), name="sync_target_never"
            ),
            # What a key is asked for next: read from its beginning, never sorted.
            models.Index(
                fields=["api_key", "lane", "due_at"],
                condition=Q(parked_at=None, done_at=None),
                name="sync_target_due",
            ),
            # A few dozen rows each, whatever the fleet.
            models.Index(fields=["api_key"], condition=Q(lease_until__isnull=False), name="sync_target_held"),
            models.Index(fields=["api_key"], condition=Q(hinted_at__isnull=False), name="sync_target_hinted"),
            # What the operator looks for. Written as the admin's filters are: SQLite compares the conditions as text.
            models.Index(
                fields=["-id"],
                condition=~Q(parked_at=None)
                | Q(failures__gt=0)
                | Q(outcome="transient")
                | Q(outcome="rate_limited")
                | Q(outcome="needs_attention")
                | Q(outcome="bug"),
                name="sync_target_trouble",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_resource_display()} of {self.instrument or self.api_key}"
