"""Time history that people asked for: the request with its progress, and what came, an hour packed into each row."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument, User
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class HistoryKind(models.TextChoices):
    """What can be asked for."""

    NOISE = "noise", _("Levels: LAeq, LAF,max and LC,peak")
    OCTAVE = "octave", _("Octave bands")
    THIRD_OCTAVE = "third_octave", _("Third-octave bands")


class HistoryState(models.TextChoices):
    """How a request stands."""

    OPEN = "open", _("Being fetched")
    DONE = "done", _("Fetched")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class TimeHistoryRequestQuerySet(ScopedQuerySet):
    """Requests of the organisation in scope."""

    def open(self) -> "Self":
        """Those that have not ended."""
        return self.filter(state=HistoryState.OPEN)

    def free(self, now: datetime) -> "Self":
        """Those whose next step is due and that nobody holds. It reads this table alone, so that a claim is one row."""
        return self.open().filter(Q(lease_until=None) | Q(lease_until__lte=now), due_at__lte=now)

    def held(self, token: str, now: datetime) -> "Self":
        """The one that whoever knows the token still holds."""
        return self.open().filter(lease_token=token, lease_until__gt=now)


TimeHistoryRequestManager = ScopedManager.from_queryset(TimeHistoryRequestQuerySet)


class TimeHistoryRequest(OrgOwned):
    """A stretch of one instrument's time history, from the wish to the day on which it is let go again."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(_("what"), max_length=16, choices=HistoryKind.choices)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    step_ms = models.PositiveIntegerField()
    # The form's own number: sent twice, it is still one request.
    token = models.UUIDField()
    requested_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=HistoryState.choices, default=HistoryState.OPEN)
    message = models.CharField(max_length=300, blank=True)
    # Everything before this instant is stored; written in the transaction of the rows.
    fetched_until = models.DateTimeField()
    # Of stored values, and the bytes that they take.
    samples = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)

    objects: ClassVar[TimeHistoryRequestManager] = TimeHistoryRequestManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "token"], name="time_history_request_once")
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="open"), name="time_history_request_due"),
            models.Index(fields=["organisation", "instrument", "-id"], name="time_history_request_newest"),
            models.Index(
                fields=["-id"],
                condition=Q(state="open") | Q(state="failed") | Q(state="cancelled"),
                name="time_history_request_not_done",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.instrument_id} from {self.start_at:%Y-%m-%d %H:%M}Z, {self.state}"

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state == HistoryState.OPEN

    @property
    def step_s(self) -> float:
        """The length of a sample in seconds."""
        return self.step_ms / 1000

    @property
    def span(self) -> timedelta:
        """How long a stretch it is."""
        return self.end_at - self.start_at

    @property
    def done_pct(self) -> int:
        """How much of the stretch has been asked for, in percent."""
        return int(100 * ((self.fetched_until - self.start_at) / self.span))


class TimeHistoryHour(OrgOwned):
    """The samples of one hour, packed: see monitoring.timehistory.packing. An hour without any has no row."""

    request = models.ForeignKey(TimeHistoryRequest, on_delete=models.CASCADE, related_name="+")
    start_at = models.DateTimeField()
    # The columns in order, under MyCirrus' own names.
    names = models.JSONField()
    data = models.BinaryField()

    class Meta:
        ordering = ["start_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "request", "start_at"], name="time_history_hour_once"
            )
        ]

    def __str__(self) -> str:
        return f"hour of {self.request_id} at {self.start_at:%Y-%m-%d %H:%M}Z"
