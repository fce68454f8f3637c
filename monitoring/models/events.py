"""Things that happened, as MyCirrus recorded them: events, recordings, notes in the calibration log."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models.functions import Coalesce
from django.db.models.lookups import GreaterThan, LessThan

from instruments.models import Instrument
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


def _keys(column: str) -> tuple[str, ...]:
    """What a list by ``column`` is sorted by, which tells any two rows apart."""
    return tuple(dict.fromkeys((column, "start_at", "pk")))


def _compared(row: Any, column: str) -> tuple[models.Func, models.Func]:
    # As one row value each: by it the database begins at the right place of the index, however many are alike.
    names = _keys(column)
    return _Together(*names), _Together(*(models.Value(getattr(row, name)) for name in names))


class _Together(models.Func):
    template = "(%(expressions)s)"
    output_field = models.BooleanField()


class HappeningQuerySet(ScopedQuerySet):
    """Things with a start, in the organisation in scope, as lists go through them."""

    def sorted_by(self, column: str, *, rising: bool = False) -> "Self":
        """In the order of a list: by ``column``, then the newest first; the key tells two of one instant apart."""
        return self.order_by(*(f"{'' if rising else '-'}{name}" for name in _keys(column)))

    def newest_first(self) -> "Self":
        """In the usual order of a list."""
        return self.sorted_by("start_at")

    def below(self, row: Any, column: str = "start_at") -> "Self":
        """Those that the list has below ``row``."""
        return self.filter(LessThan(*_compared(row, column)))

    def above(self, row: Any, column: str = "start_at") -> "Self":
        """Those that the list has above ``row``."""
        return self.filter(GreaterThan(*_compared(row, column)))

    def starting(self, start: datetime, end: datetime) -> "Self":
        """Those that begin in [start, end)."""
        return self.filter(start_at__gte=start, start_at__lt=end)


class Seconds(models.Func):
    """From one instant to another, to the millisecond: without time zones, so that a column can be made of it."""

    arity = 2
    output_field = models.FloatField()
    template = "ROUND(EXTRACT(EPOCH FROM (%(expressions)s))::numeric, 3)::double precision"
    arg_joiner = " - "

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        end, start = (models.Func(each, function="julianday") for each in self.get_source_expressions())
        return compiler.compile(
            models.Func((end - start) * 86_400, 3, function="ROUND", output_field=self.output_field)
        )


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
    # What a list is sorted by: without a level, or an end, an event comes last.
    level_order = models.GeneratedField(
        expression=Coalesce("level_db", models.Value(-1e9)), output_field=models.FloatField(), db_persist=True
    )
    length_order = models.GeneratedField(
        expression=Coalesce(Seconds("end_at", "start_at"), models.Value(-1e9)),
        output_field=models.FloatField(),
        db_persist=True,
    )
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
        indexes = [
            models.Index(fields=["organisation", "start_at", "id"], name="event_time"),
            models.Index(fields=["organisation", "level_order", "start_at", "id"], name="event_level"),
            models.Index(fields=["organisation", "length_order", "start_at", "id"], name="event_length"),
        ]

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
