"""Things that happened, as MyCirrus recorded them: events, recordings, notes in the calibration log."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q

from instruments.models import Instrument
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class HappeningQuerySet(ScopedQuerySet):
    """Things with a start, in the organisation in scope, as lists go through them."""

    def newest_first(self) -> "Self":
        """In the order of the list; the key tells two of one instant apart."""
        return self.order_by("-start_at", "-pk")

    def older_than(self, row: Any) -> "Self":
        """Those that the list has below ``row``."""
        # The first condition alone lets the database begin at the right place of the index.
        later = Q(start_at__lt=row.start_at) | Q(pk__lt=row.pk)
        return self.filter(later, start_at__lte=row.start_at)

    def newer_than(self, row: Any) -> "Self":
        """Those that the list has above ``row``."""
        earlier = Q(start_at__gt=row.start_at) | Q(pk__gt=row.pk)
        return self.filter(earlier, start_at__gte=row.start_at)

    def starting(self, start: datetime, end: datetime) -> "Self":
        """Those that begin in [start, end)."""
        return self.filter(start_at__gte=start, start_at__lt=end)


class EventQuerySet(HappeningQuerySet):
    """Events of the organisation in scope."""

    def excluded(self) -> "Self":
        """Those that somebody has set aside: to be marked on charts and said in reports, never taken out unsaid."""
        return self.filter(tag__excluded=True)


EventManager = ScopedManager.from_queryset(EventQuerySet)
HappeningManager = ScopedManager.from_queryset(HappeningQuerySet)


class Event(OrgOwned):
    """A noise event. MyCirrus gives it no id: instrument, start and name are its identity."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+", db_index=False)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField(null=True)
    name = models.CharField(max_length=100, blank=True)
    type = models.CharField(max_length=32, blank=True)
    level_db = models.FloatField(null=True)
    audio_at = models.DateTimeField(null=True)
    time_history_id = models.CharField(max_length=200, blank=True)
    audio_id = models.CharField(max_length=200, blank=True)
    # The columns of `overall` have no published names, so the arrays stay as they came.
    document = models.JSONField(default=dict)

    objects: ClassVar[EventManager] = EventManager()

    class Meta:
        ordering = ["-start_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "instrument", "start_at", "name"], name="event_once"
            )
        ]
        indexes = [models.Index(fields=["organisation", "start_at", "id"], name="event_time")]

    @property
    def duration(self) -> timedelta | None:
        """How long it was, None where MyCirrus gave no end."""
        return self.end_at - self.start_at if self.end_at is not None else None

    def __str__(self) -> str:
        return f"{self.name} of {self.instrument_id} at {self.start_at:%Y-%m-%d %H:%M:%S}Z"


class AudioRecording(OrgOwned):
    """A recording that MyCirrus holds; the sound itself is fetched when somebody listens."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+", db_index=False)
    remote_id = models.CharField(max_length=200)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField(null=True)
    trigger_name = models.CharField(max_length=100, blank=True)
    document = models.JSONField(default=dict)

    objects: ClassVar[HappeningManager] = HappeningManager()

    class Meta:
        ordering = ["-start_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "instrument", "remote_id"], name="audio_recording_once"
            )
        ]
        indexes = [
            models.Index(fields=["organisation", "instrument", "start_at"], name="audio_recording_time"),
            models.Index(fields=["organisation", "start_at", "id"], name="audio_recording_newest"),
        ]

    @property
    def duration(self) -> timedelta | None:
        """How long it is, None where MyCirrus gave no end."""
        return self.end_at - self.start_at if self.end_at is not None else None

    def __str__(self) -> str:
        return f"recording of {self.instrument_id} at {self.start_at:%Y-%m-%d %H:%M:%S}Z"


class CalibrationLogEntry(OrgOwned):
    """A note that somebody left in the calibration log."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    user = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True)
    # SHA-256 over user and message: two notes of one instant are two rows, the same note twice is one.
    digest = models.CharField(max_length=64)
    document = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "calibration log entries"
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "instrument", "at", "digest"], name="calibration_log_once"
            )
        ]

    def __str__(self) -> str:
        return f"note on {self.instrument_id} at {self.at:%Y-%m-%d %H:%M:%S}Z"
