"""Asking for a stretch of time history, taking it back, and letting go of what is old; it fetches nothing."""

import uuid
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from instruments.activity import activity_note
from instruments.models import Instrument, Organisation, User
from instruments.tenancy import active_organisation_id
from monitoring.models import HistoryKind, HistoryState, TimeHistoryHour, TimeHistoryRequest
from monitoring.templatetags.levels import period

log = structlog.get_logger(__name__)

# How many values one instant has, by what is asked for.
COLUMNS = {HistoryKind.NOISE: 3, HistoryKind.OCTAVE: 10, HistoryKind.THIRD_OCTAVE: 36}
# A week of three levels each second; a day and a half of third octaves.
MOST_VALUES = 6_000_000
MOST_OPEN = 10
# What instruments are set to, and whole multiples of it; contract 1.5 allows fractions of a second up to a minute.
STEPS_MS = (100, 125, 250, 500, 1000, 2000, 10_000, 60_000)
ACTIVITY_WORDS = {
    "time_history_requested": gettext_lazy("Time history asked for"),
    "time_history_removed": gettext_lazy("Time history removed"),
}


def longest_span(kind: str, step_ms: int) -> timedelta:
    """The longest stretch that may be asked for at once."""
    return timedelta(milliseconds=MOST_VALUES // COLUMNS[HistoryKind(kind)] * step_ms)


def history_request(
    *,
    instrument: Instrument,
    kind: str,
    start: datetime,
    end: datetime,
    step_ms: int,
    token: uuid.UUID,
    actor: User,
    now: datetime,
) -> TimeHistoryRequest:
    """Ask for the time history of ``instrument`` in [start, end); the tasks fetch it soon after the commit.

    The same ``token`` gives the request that is there already. Raises ValidationError, which says what to change.
    """
    known = TimeHistoryRequest.objects.filter(token=token).first()
    if known is not None:
        return known
    end = min(end, now)
    if end <= start:
        raise ValidationError(_("The end has to be after the beginning, and the beginning in the past."))
    if end - start > longest_span(kind, step_ms):
        raise ValidationError(
            _(
                "At most %(hours)s hours of this in steps of %(step)s: choose a shorter stretch or a longer step."
            ),
            params={
                "hours": int(longest_span(kind, step_ms) / timedelta(hours=1)),
                "step": period(step_ms / 1000),
            },
        )
    if TimeHistoryRequest.objects.open().count() >= MOST_OPEN:
        raise ValidationError(_("There are many being fetched already. Wait for one, or cancel one."))
    try:
        with transaction.atomic():
            made = TimeHistoryRequest.objects.create(
                organisation_id=instrument.organisation_id,
                instrument=instrument,
                kind=kind,
                start_at=start,
                end_at=end,
                step_ms=step_ms,
                token=token,
                requested_by=actor,
                requested_at=now,
                fetched_until=start,
                due_at=now,
            )
            _note(made, actor, "requested")
    except IntegrityError:
        # Of two clicks at once the other one was faster.
        return TimeHistoryRequest.objects.get(token=token)
    return made


def history_remove(*, request: TimeHistoryRequest, actor: User, now: datetime) -> None:
    """Cancel what is being fetched; let go of what has ended. Whoever is fetching finds its claim gone."""
    with transaction.atomic():
        # The row first: whoever is storing a window holds it, and what they store goes with the rest.
        cancelled = (
            TimeHistoryRequest.objects.open()
            .filter(pk=request.pk)
            .update(
                state=HistoryState.CANCELLED,
                finished_at=now,
                expires_at=now + timedelta(days=1),
                samples=0,
                bytes=0,
                lease_until=None,
                lease_token=None,
            )
        )
        TimeHistoryHour.objects.filter(request=request).delete()
        if not cancelled:
            TimeHistoryRequest.objects.filter(pk=request.pk).delete()
        _note(request, actor, "removed")


def histories_expire(*, now: datetime, most: int = 100) -> int:
    """Of the organisation in scope: let go of what has expired, then of the oldest beyond its limit; how many.

    ``most`` at one go: each is up to the limit by itself, and the rest goes in the next.
    """
    gone = 0
    for request in TimeHistoryRequest.objects.filter(expires_at__lte=now).order_by("expires_at")[:most]:
        gone += _let_go(request)
    while gone < most and _oldest_let_go():
        gone += 1
    return gone


def _oldest_let_go() -> bool:
    with transaction.atomic():
        # Of two who see too much at once the second would let go of one that may stay: it waits, and looks again.
        Organisation.objects.select_for_update(no_key=True).filter(pk=active_organisation_id() or 0).first()
        if stored_bytes() <= settings.TIME_HISTORY_MB * 1024 * 1024:
            return False
        ended = TimeHistoryRequest.objects.exclude(state=HistoryState.OPEN).filter(bytes__gt=0)
        oldest = ended.order_by("finished_at").first()
        return oldest is not None and _let_go(oldest) > 0


def stored_bytes() -> int:
    """What the organisation in scope has stored of time histories."""
    total: int | None = TimeHistoryRequest.objects.aggregate(total=Sum("bytes"))["total"]
    return total or 0


def _let_go(request: TimeHistoryRequest) -> int:
    with transaction.atomic():
        TimeHistoryHour.objects.filter(request=request).delete()
        count, _by_model = TimeHistoryRequest.objects.filter(pk=request.pk).delete()
    return 1 if count else 0


def _note(request: TimeHistoryRequest, actor: User, step: str) -> None:
    activity_note(
        organisation=request.organisation,
        actor=actor,
        verb=f"time_history_{step}",
        subject=str(request.instrument),
        detail=f"{request.start_at:%Y-%m-%d %H:%M} – {request.end_at:%Y-%m-%d %H:%M} UTC, {request.get_kind_display()}",
    )
