"""What people asked an instrument to do, and what became of it: the truth that the broker only rings for."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument, User
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class ActionKind(models.TextChoices):
    """What can be asked; the first three are MyCirrus' own words for it."""

    IDENTIFY = "Identify", _("Identify")
    CALIBRATION = "Calibration", _("Calibration")
    SIC = "SIC", _("SIC")
    RENAME = "Rename", _("Rename")


class ActionState(models.TextChoices):
    """How it stands. Unknown, too, may still be watched: `finished_at` says whether it ended."""

    REQUESTED = "requested", _("Waiting to be sent")
    # Written before the call leaves: from here on it may have been sent and is never sent again.
    STARTED = "started", _("Being sent")
    IN_PROGRESS = "in_progress", _("In progress")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    UNKNOWN = "unknown", _("Not known")


class InstrumentActionQuerySet(ScopedQuerySet):
    """Actions of the organisation in scope."""

    def open(self) -> "Self":
        """Those that have not ended."""
        return self.filter(finished_at=None)

    def due(self, now: datetime) -> "Self":
        """Those whose next step is due and that nobody holds."""
        return self.open().filter(Q(lease_until=None) | Q(lease_until__lte=now), due_at__lte=now)

    def held(self, token: str, now: datetime) -> "Self":
        """The one that whoever knows the token still holds."""
        return self.open().filter(lease_token=token, lease_until__gt=now)


InstrumentActionManager = ScopedManager.from_queryset(InstrumentActionQuerySet)


class InstrumentAction(OrgOwned):
    """One Identify, Calibration, SIC or rename, from the request to its end."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(_("action"), max_length=16, choices=ActionKind.choices)
    # The form's own number: sent twice, it is still one action.
    token = models.UUIDField()
    # Nobody: the installation itself asked.
    requested_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField()
    why = models.CharField(_("why"), max_length=300, blank=True)
    # Of a rename: the name that is wanted.
    name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=ActionState.choices, default=ActionState.REQUESTED)
    started_at = models.DateTimeField(null=True)
    # MyCirrus' own word, as it came.
    remote_status = models.CharField(max_length=64, blank=True)
    message = models.CharField(max_length=300, blank=True)
    finished_at = models.DateTimeField(null=True)
    # The time of the calibration or SIC that it brought about.
    result_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)

    objects: ClassVar[InstrumentActionManager] = InstrumentActionManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "token"], name="action_once"),
            # Two at once could not be told apart by their results, and the second would fail as busy.
            models.UniqueConstraint(
                fields=["organisation", "instrument"],
                condition=Q(finished_at=None, kind__in=["Calibration", "SIC"]),
                name="action_check_alone",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(finished_at=None), name="action_due"),
            models.Index(fields=["organisation", "instrument", "-id"], name="action_newest"),
            models.Index(
                fields=["-id"],
                condition=Q(state="requested")
                | Q(state="started")
                | Q(state="in_progress")
                | Q(state="failed")
                | Q(state="unknown"),
                name="action_not_succeeded",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.instrument_id}, {self.state}"

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.finished_at is None

    @property
    def is_check(self) -> bool:
        """Whether it ends with a row among the calibrations or SICs."""
        return self.kind in (ActionKind.CALIBRATION, ActionKind.SIC)

    def result_from(self) -> datetime:
        """The earliest time that its result may carry. Checks are stored to the whole second."""
        return (self.started_at or self.requested_at).replace(microsecond=0)

    def age(self, now: datetime) -> timedelta:
        """How long it has been waiting."""
        return now - self.requested_at
