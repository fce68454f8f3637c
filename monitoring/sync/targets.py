"""What is to be fetched: the targets of each instrument and of each key's list, made once and kept in step."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q

from instruments.models import ApiKey, Instrument
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.models import Lane, Resource, SyncTarget
from monitoring.sync.claims import chance
from monitoring.sync.floors import Floors, floors_follow, floors_of
from monitoring.sync.histories import HISTORIES
from monitoring.sync.wanted import SWEEP_EVERY, lanes_of, resources_of

# Other resources come with a type or a feature and stay when it is lost: their history is still to be had.
_CHECKS = (Resource.SIC, Resource.CALIBRATIONS)


def targets_ensure(*, instruments: Iterable[Instrument], now: datetime) -> None:
    """Give every instrument its targets, read with its present key; those it has keep their state."""
    by_key: dict[int, list[Instrument]] = {}
    for instrument in instruments:
        if instrument.api_key_id is not None:
            by_key.setdefault(instrument.api_key_id, []).append(instrument)
    for api_key_id, listed in by_key.items():
        theirs = SyncTarget.objects.filter(instrument__in=listed)
        theirs.exclude(api_key_id=api_key_id).update(api_key_id=api_key_id, parked_at=None, due_at=now)
        # Asked first, because a list comes every ten minutes and hardly ever names anything new.
        known = {
            (instrument_id, resource, lane): floor_at
            for instrument_id, resource, lane, floor_at in theirs.values_list(
                "instrument_id", "resource", "lane", "floor_at"
            )
        }
        floors = floors_of(listed[0].organisation_id, now)
        # The floor of a live lane is its first look, and no history.
        if any(
            floors.moved(resource, at)
            for (_, resource, lane), at in known.items()
            if lane != Lane.LIVE and at is not None
        ):
            floors_follow(targets=theirs, floors=floors, now=now)
        # A first list may name neither type nor features: more is asked for then than there is.
        has = {instrument.pk: set(resources_of(instrument)) for instrument in listed}
        for pk, resource, _ in known:
            if pk is not None and resource in _CHECKS and resource not in has[pk]:
                theirs.filter(instrument_id=pk, resource=resource).delete()
        SyncTarget.objects.bulk_create(
            [
                target
                for instrument in listed
                for target in _targets_of(instrument, api_key_id, floors, now)
                if (instrument.pk, target.resource, target.lane) not in known
            ],
            ignore_conflicts=True,
            batch_size=500,
        )


def _targets_of(
    instrument: Instrument, api_key_id: int, floors: Floors, now: datetime
) -> Iterator[SyncTarget]:
    resources = resources_of(instrument)
    for rank, resource in enumerate(resources):
        history, floor = HISTORIES.get(resource), floors.of(resource)
        for lane in lanes_of(resource):
            target = SyncTarget(
                organisation_id=instrument.organisation_id,
                api_key_id=api_key_id,
                instrument=instrument,
                resource=resource,
                lane=lane,
                # A little earlier for what a page shows first.
                due_at=now - timedelta(seconds=len(resources) - rank),
            )
            if lane == Lane.SWEEP:
                target.due_at = now + SWEEP_EVERY * chance()
                target.floor_at = floor
            if lane == Lane.LIVE and history is not None:
                # Fixed now, not at the first turn: what an instrument uploads that is off today must be found, and
                # the back-fill begins where this ends.
                if history.overlap:
                    target.floor_at = now - history.first_look
                else:
                    target.watermark_at = now - history.first_look
            if lane == Lane.BACKFILL and history is not None:
                if now - history.first_look <= floor:
                    continue
                # An hour into the live lane's first look, so that nothing falls between them.
                target.watermark_at = now - history.first_look + timedelta(hours=1)
                target.floor_at = floor
            yield target


def key_targets_refresh(*, api_key: ApiKey, now: datetime) -> None:
    """Start, or start again, everything that is read with this key."""
    if api_key.revoked_at is not None:
        return
    SyncTarget.objects.get_or_create(
        organisation_id=api_key.organisation_id,
        api_key=api_key,
        instrument=None,
        resource=Resource.INSTRUMENTS,
        defaults={"due_at": now},
    )
    SyncTarget.objects.filter(api_key=api_key).filter(
        Q(parked_at__isnull=False) | Q(resource=Resource.INSTRUMENTS)
    ).update(parked_at=None, due_at=now, failures=0)


def keys_catch_up(*, now: datetime) -> int:
    """Start what no signal has started: a process can end between the commit and the signal. Returns how many keys."""
    with all_organisations(reason="the tick serves every organisation"):
        mine = {"organisation": OuterRef("organisation"), "api_key": OuterRef("pk"), "instrument": None}
        lists = SyncTarget.objects.filter(**mine, resource=Resource.INSTRUMENTS)
        # What was parked after the key was verified is parked for what MyCirrus said after it.
        parked = SyncTarget.objects.parked().filter(parked_at__lt=F("api_key__verified_at"))
        woken = Q(pk__in=parked.values("api_key_id"), verified_at__lte=now) & ~Q(state=ApiKey.State.REFUSED)
        keys = list(ApiKey.objects.usable().filter(~Exists(lists) | woken))
    for api_key in keys:
        with organisation_scope(api_key.organisation_id):
            key_targets_refresh(api_key=api_key, now=now)
    return len(keys)
