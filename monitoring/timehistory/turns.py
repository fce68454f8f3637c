"""One turn of one claimed request: windows are asked for and stored one after another. The tasks come here."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from instruments import mycirrus
from instruments.credentials import SecretUnreadable
from instruments.keys import client_for
from instruments.models import ApiKey
from instruments.mycirrus import Client
from monitoring.media import refusal
from monitoring.models import HistoryKind, HistoryState, TimeHistoryHour, TimeHistoryRequest
from monitoring.timehistory.claims import Claim, lease
from monitoring.timehistory.grid import (
    LONGEST_FREQUENCY,
    LONGEST_NOISE,
    Hour,
    OtherStep,
    hours_of,
    next_window,
)
from monitoring.timehistory.packing import packed
from monitoring.timehistory.requests import COLUMNS, histories_expire, stored_bytes

log = structlog.get_logger(__name__)

SCOPE = "data.noise:read"
NOISE_NAMES = ("LAeq", "LAFMax", "LCPeak")
# A day of trouble: pauses double to an hour, and nobody has to ask again for what a long night interrupted.
MOST_FAILURES = 32
LONGEST_PAUSE_S = 3600.0
# Well within a task's time: the window that is being fetched has to end, too.
TURN_S = 30.0


def history_turn(*, claim: Claim) -> HistoryState | None:
    """Fetch for a while, inside the organisation's scope. None where the claim no longer holds."""
    now = timezone.now()
    request = (
        TimeHistoryRequest.objects.held(claim.token, now)
        .filter(pk=claim.request_id)
        .select_related("instrument__api_key", "organisation")
        .first()
    )
    if request is None:
        return None
    with structlog.contextvars.bound_contextvars(
        organisation=request.organisation.slug, serial=request.instrument.serial
    ):
        try:
            return _windows(request, _key(request))
        except refusal.NotFetched as refused:
            if refused.status == 503:
                return _later(request, refused, timezone.now())
            return _end(request, HistoryState.FAILED, refused.message, timezone.now())


def _key(request: TimeHistoryRequest) -> ApiKey:
    key = request.instrument.api_key
    if key is None or key.revoked_at is not None or key.state == ApiKey.State.REFUSED:
        raise refusal.no_key()
    if not key.allows(SCOPE):
        raise refusal.missing_scopes([SCOPE])
    if key.paused_until is not None and key.pausing(now := timezone.now()):
        wait = (key.paused_until - now).total_seconds()
        raise refusal.NotFetched("slow", refusal.slow_words(), 503, wait)
    return key


def _windows(request: TimeHistoryRequest, api_key: ApiKey) -> HistoryState | None:
    noise = request.kind == HistoryKind.NOISE
    longest = LONGEST_NOISE if noise else LONGEST_FREQUENCY
    columns = COLUMNS[HistoryKind(request.kind)]
    until = time.monotonic() + TURN_S
    try:
        with client_for(api_key) as client:
            while request.fetched_until < request.end_at:
                if time.monotonic() >= until:
                    return _go_on(request, timezone.now())
                start = request.fetched_until
                end = next_window(
                    start, request.end_at, step_ms=request.step_ms, columns=columns, longest=longest
                )
                hours = hours_of(
                    _runs(client, request, start, end), start=start, end=end, step_ms=request.step_ms
                )
                if not _store(request, hours, end, timezone.now()):
                    return None
    except SecretUnreadable:
        raise refusal.unreadable_key() from None
    except OtherStep as other:
        raise refusal.NotFetched(
            "step",
            _("MyCirrus answered in steps of %(step)s s. Ask for that step.")
            % {"step": f"{other.args[0]:g}"},
            409,
        ) from None
    except mycirrus.BadRequest as error:
        words = _("MyCirrus did not accept this stretch or step: %(reason)s") % {"reason": error.message}
        raise refusal.NotFetched("range", words, 409) from None
    except mycirrus.MyCirrusError as error:
        log.warning("time_history_not_fetched", error=type(error).__name__, status=error.status)
        raise refusal.of_error(error, [SCOPE]) from None
    return _end(request, HistoryState.DONE, "", timezone.now())


def _runs(
    client: Client, request: TimeHistoryRequest, start: datetime, end: datetime
) -> list[tuple[str, Any, Sequence[float | None]]]:
    serials, step = [request.instrument.serial], timedelta(milliseconds=request.step_ms)
    if request.kind == HistoryKind.NOISE:
        rows = client.noise_time_history(serials, start, end, step, NOISE_NAMES)
        return [(row.name, block, block.values) for row in rows for block in row.blocks]
    bands = client.frequency_time_history(
        serials, start, end, step, "Octave" if request.kind == HistoryKind.OCTAVE else "Third"
    )
    return [
        (name, block, values) for row in bands for block in row.blocks for name, values in block.bands.items()
    ]


def _store(request: TimeHistoryRequest, hours: Sequence[Hour], end: datetime, now: datetime) -> bool:
    """Store one window and move the mark, in one transaction; False where somebody else took the request over."""
    rows = [
        TimeHistoryHour(
            organisation_id=request.organisation_id,
            request=request,
            start_at=hour.start_at,
            names=hour.names,
            data=packed(hour.columns),
        )
        for hour in hours
    ]
    size, samples = sum(len(row.data) for row in rows), sum(hour.count for hour in hours)
    if request.bytes + size > settings.TIME_HISTORY_MB * 1024 * 1024:
        raise refusal.too_large(settings.TIME_HISTORY_MB)
    with transaction.atomic():
        moved = _change(
            request,
            fetched_until=end,
            samples=F("samples") + samples,
            bytes=F("bytes") + size,
            failures=0,
            message="",
            lease_until=lease(now),
        )
        if not moved:
            return False
        TimeHistoryHour.objects.bulk_create(rows, batch_size=100)
    request.refresh_from_db(fields=["samples", "bytes"])
    if stored_bytes() > settings.TIME_HISTORY_MB * 1024 * 1024:
        histories_expire(now=now)
    return True


def _go_on(request: TimeHistoryRequest, now: datetime) -> HistoryState | None:
    held = _change(request, due_at=now, lease_until=None, lease_token=None)
    return HistoryState.OPEN if held else None


def _later(request: TimeHistoryRequest, refused: refusal.NotFetched, now: datetime) -> HistoryState | None:
    # To be asked to wait is no failure: it may go on for as long as the key is paced.
    failures = request.failures + (refused.code != "slow")
    if failures >= MOST_FAILURES:
        return _end(request, HistoryState.FAILED, refused.message, now)
    pause = min(5.0 * 2**failures, LONGEST_PAUSE_S)
    wait = timedelta(seconds=max(refused.retry_after or 0.0, pause))
    held = _change(
        request,
        failures=failures,
        message=refused.message[:300],
        due_at=now + wait,
        lease_until=None,
        lease_token=None,
    )
    return HistoryState.OPEN if held else None


def _end(
    request: TimeHistoryRequest, state: HistoryState, message: str, now: datetime
) -> HistoryState | None:
    held = _change(
        request,
        state=state,
        message=message[:300],
        finished_at=now,
        expires_at=now + timedelta(days=settings.TIME_HISTORY_DAYS),
        lease_until=None,
        lease_token=None,
    )
    return state if held else None


def _change(request: TimeHistoryRequest, **fields: Any) -> bool:
    """Write where the claim still holds; False where it was cancelled or taken over."""
    mine = TimeHistoryRequest.objects.open().filter(pk=request.pk, lease_token=request.lease_token)
    if not mine.update(**fields):
        return False
    for name, value in fields.items():
        if not hasattr(value, "resolve_expression"):
            setattr(request, name, value)
    return True
