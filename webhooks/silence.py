"""Webhooks that say nothing although there was something to say: data that came by poll and that none announced."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from instruments.models import Instrument
from monitoring.alerts.connections import subject_told
from monitoring.alerts.judges.verdict import State
from monitoring.alerts.leaving import LEFT_AFTER
from monitoring.models import AlertKind, GasSample, ParticulateSample, PeakParticleVelocity, VibrationDose
from monitoring.possible import AHEAD
from monitoring.sync.beat import Stretch, away
from webhooks.models import Subscription

ANNOUNCED_BY = "NewMeasurement"
SHORTEST = timedelta(minutes=15)
PERIODS = 3
# Where the present of an instrument does not hold its newest measurement.
_SERIES = {
    Instrument.Kind.AIR_QUALITY: (ParticulateSample, GasSample),
    Instrument.Kind.VIBRATION: (PeakParticleVelocity, VibrationDose),
}
_TOGETHER = 400


@dataclass(frozen=True, slots=True)
class Silent:
    """One webhook that should have spoken: since when, and how far the data has come without it."""

    serial: str
    name: str
    heard_at: datetime | None
    stored_until: datetime


def is_silent(
    *, stored_until: datetime, period: timedelta, heard_at: datetime, deaf: Sequence[Stretch] = ()
) -> bool:
    """Whether data ends so long after a webhook was last heard that it must have kept still. Pure.

    What ends in a stretch in which nobody of ours listened counts for nothing: it may have been announced.
    """
    missed = (min(end, stored_until) - max(start, heard_at) for start, end in deaf)
    deaf_for = sum((each for each in missed if each > timedelta()), timedelta())
    return stored_until - heard_at - deaf_for > max(SHORTEST, PERIODS * period)


def silent_webhooks(*, now: datetime) -> list[Silent]:
    """The measurement webhooks in place, of the organisation in scope, that did not announce what was stored since."""
    rows = (
        Subscription.objects.in_place()
        .filter(type=ANNOUNCED_BY)
        .values_list("serial", "delivered_at", "registered_at", "created_at")
    )
    # By the best heard of several: one of two webhooks of an instrument is enough.
    heard: dict[str, tuple[datetime, datetime | None]] = {}
    for serial, delivered_at, registered_at, created_at in rows:
        # Nobody announces what was measured before there was a webhook.
        known = (max(delivered_at or registered_at or created_at, registered_at or created_at), delivered_at)
        heard[serial] = max(heard.get(serial, known), known, key=lambda each: each[0])
    # Whoever was heard a moment ago is not silent, whatever is stored: in a healthy fleet few are left to ask about.
    quiet = sorted(serial for serial, (since, _) in heard.items() if now - since > SHORTEST)
    deaf = away(now=now) if quiet else []
    found: dict[str, Silent] = {}
    for start in range(0, len(quiet), _TOGETHER):
        for instrument, stored_until, period in _newest(quiet[start : start + _TOGETHER], now):
            since, delivered_at = heard[instrument.serial]
            if is_silent(stored_until=stored_until, period=period, heard_at=since, deaf=deaf):
                told = Silent(instrument.serial, instrument.name, delivered_at, stored_until)
                found[told.serial] = max(
                    found.get(told.serial, told), told, key=lambda each: each.stored_until
                )
    return list(found.values())


def silence_judge(*, now: datetime) -> None:
    """Tell monitoring whether webhooks of the organisation in scope keep silent: one cause, however many do."""
    silent = silent_webhooks(now=now)
    facts = {"serials": sorted(each.serial for each in silent)}
    subject_told(
        kind=AlertKind.WEBHOOK_SILENT,
        subject="o",
        title="",
        state=State.AMBER if silent else State.CLEAR,
        facts=facts,
        now=now,
    )


def _newest(serials: list[str], now: datetime) -> Iterable[tuple[Instrument, datetime, timedelta]]:
    """The end and the length of the newest stored measurement of these instruments, once for each series."""
    # Nobody speaks again because a list of MyCirrus is short.
    listed, until = Q(gone_at=None) | Q(gone_at__gt=now - LEFT_AFTER), now + AHEAD
    instruments: Any = Instrument.objects.filter(listed, serial__in=serials)
    noise = instruments.filter(status__level_at__lte=until).select_related("status")
    for instrument in noise:
        period = timedelta(seconds=instrument.status.level_seconds or 0)
        yield instrument, instrument.status.level_at + period, period
    for kind, models in _SERIES.items():
        for model in models:
            stored = model.objects.filter(instrument_id=OuterRef("pk"), start_at__lte=until)
            newest = stored.order_by("-start_at")
            for instrument in instruments.filter(type=kind).annotate(
                newest_at=Subquery(newest.values("start_at")[:1]),
                newest_s=Subquery(newest.values("duration_s")[:1]),
            ):
                if instrument.newest_at is not None:
                    period = timedelta(seconds=instrument.newest_s or 0)
                    yield instrument, instrument.newest_at + period, period
