"""Webhooks that say nothing although there was something to say: data that came by poll and that none announced."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Case, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce

from instruments.models import Instrument
from monitoring.alerts.connections import subject_told
from monitoring.alerts.judges.verdict import State
from monitoring.alerts.leaving import LEFT_AFTER
from monitoring.models import (
    ActionKind,
    ActionState,
    AlertKind,
    Event,
    GasSample,
    InstrumentAction,
    InstrumentStatus,
    ParticulateSample,
    PeakParticleVelocity,
    VibrationDose,
)
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

# An instrument, until when something of it is stored, and how long that lasted.
Stored = tuple[Instrument, datetime, timedelta]
Newest = Callable[[Any, datetime], Iterable[Stored]]
# By serial: since when a webhook had nothing to say, and when it was heard.
Heard = Mapping[str, tuple[datetime, datetime | None]]


@dataclass(frozen=True, slots=True)
class Silent:
    """One webhook that should have spoken: of what, since when, and how far the data has come without it."""

    serial: str
    name: str
    type: str
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
    """The webhooks in place, of the organisation in scope, that did not announce what was stored since."""
    placed = Subscription.objects.in_place()
    found = list(_silent(ANNOUNCED_BY, _newest, _heard(placed.filter(type=ANNOUNCED_BY)), now))
    for type_, serials in _suspects(placed, now).items():
        heard = _heard(placed.filter(type=type_, serial__in=serials))
        found += _silent(type_, partial(_happened, _LATEST[type_](now)), heard, now)
    return found


def _suspects(placed: Any, now: datetime) -> Mapping[str, set[str]]:
    """The serials whose webhook of a type may have kept still, by that type.

    Most say nothing for hours because nothing happens: the database tells the few, of all types in one query.
    """
    latest = Case(*(When(type=type_, then=latest(now)) for type_, latest in _LATEST.items()))
    rows = placed.annotate(latest_at=latest).filter(
        latest_at__gt=Coalesce("delivered_at", "registered_at", "created_at"),
        latest_at__lt=now - SHORTEST,
    )
    found: dict[str, set[str]] = {}
    for type_, serial in rows.values_list("type", "serial"):
        found.setdefault(type_, set()).add(serial)
    return found


def _heard(placed: Any) -> Heard:
    rows = placed.values_list("serial", "delivered_at", "registered_at", "created_at")
    # By the best heard of several: one of two webhooks of an instrument is enough.
    heard: dict[str, tuple[datetime, datetime | None]] = {}
    for serial, delivered_at, registered_at, created_at in rows:
        # Nobody announces what was measured before there was a webhook.
        known = (max(delivered_at or registered_at or created_at, registered_at or created_at), delivered_at)
        heard[serial] = max(heard.get(serial, known), known, key=lambda each: each[0])
    return heard


def _silent(type_: str, newest: Newest, heard: Heard, now: datetime) -> Iterable[Silent]:
    # Whoever was heard a moment ago is not silent, whatever is stored: in a healthy fleet few are left to ask about.
    quiet = sorted(serial for serial, (since, _) in heard.items() if now - since > SHORTEST)
    deaf = away(now=now) if quiet else []
    found: dict[str, Silent] = {}
    for start in range(0, len(quiet), _TOGETHER):
        for instrument, stored_until, period in newest(_listed(quiet[start : start + _TOGETHER], now), now):
            since, delivered_at = heard[instrument.serial]
            if is_silent(stored_until=stored_until, period=period, heard_at=since, deaf=deaf):
                told = Silent(instrument.serial, instrument.name, type_, delivered_at, stored_until)
                found[told.serial] = max(
                    found.get(told.serial, told), told, key=lambda each: each.stored_until
                )
    return found.values()


def silence_judge(*, now: datetime) -> None:
    """Tell monitoring whether webhooks of the organisation in scope keep silent: one cause, however many do."""
    silent = silent_webhooks(now=now)
    facts = {"serials": sorted({each.serial for each in silent})}
    subject_told(
        kind=AlertKind.WEBHOOK_SILENT,
        subject="o",
        title="",
        state=State.AMBER if silent else State.CLEAR,
        facts=facts,
        now=now,
    )


def _listed(serials: list[str], now: datetime) -> Any:
    # Nobody speaks again because a list of MyCirrus is short.
    listed = Q(gone_at=None) | Q(gone_at__gt=now - LEFT_AFTER)
    return Instrument.objects.filter(listed, serial__in=serials).select_related("status")


def _newest(instruments: Any, now: datetime) -> Iterable[Stored]:
    """The end and the length of the newest stored measurement of these instruments, once for each series."""
    until = now + AHEAD
    for instrument in instruments.filter(status__level_at__lte=until):
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


def _happened(latest: Any, instruments: Any, now: datetime) -> Iterable[Stored]:
    """When something happened last, by ``latest`` of an instrument's row, where it should have been announced by now.

    What an instrument uploads when it is back is announced when it is back.
    """
    for instrument in instruments.annotate(latest_at=latest):
        present, at = getattr(instrument, "status", None), instrument.latest_at
        back_at = present.online_since_at if present is not None else None
        if at is not None and max(at, back_at or at) < now - SHORTEST:
            yield instrument, at, timedelta(0)


def _event(now: datetime) -> Any:
    stored = Event.objects.filter(instrument__serial=OuterRef("serial"), start_at__lte=now)
    return Subquery(stored.order_by("-start_at").values("start_at")[:1])


def _return(now: datetime) -> Any:
    present = InstrumentStatus.objects.filter(instrument__serial=OuterRef("serial"))
    return Subquery(present.values("online_since_at")[:1])


def _result(kind: ActionKind) -> Any:
    """Of what was asked for here: nobody says whether MyCirrus announces the checks of each night, too."""
    ended = InstrumentAction.objects.filter(
        instrument__serial=OuterRef("serial"),
        kind=kind,
        state=ActionState.SUCCEEDED,
        result_at__isnull=False,
    )
    return Subquery(ended.order_by("-result_at").values("result_at")[:1])


# What else is announced, and when it happened last, for a row that has a serial.
_LATEST: dict[str, Callable[[datetime], Any]] = {
    "NewEvent": _event,
    "InstrumentStatus": _return,
    "CalibrationFinished": lambda now: _result(ActionKind.CALIBRATION),
    "SicFinished": lambda now: _result(ActionKind.SIC),
}
