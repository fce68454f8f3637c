"""How complete an organisation's record is: for each resource what is stored, what comes yet, what is missing."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import CharField, Count, DateTimeField, F, Min, Sum, Value

from instruments.models import Instrument
from monitoring.models import Gap, Lane, Resource, SyncTarget, UnreadRow
from monitoring.sync.backfill import history_stretches
from monitoring.sync.histories import HISTORIES
from monitoring.sync.progress import Progress, resource_progress, time_left, total_progress
from monitoring.sync.sharing import ASKED_UNTIL
from monitoring.sync.wanted import SCOPES, every

# Workers hold a few dozen at once; more would not be read.
MOST_UNDER_WAY = 100


@dataclass(frozen=True, slots=True)
class Held:
    """One resource over all instruments: none where it is a key's, as their list is.

    `not_allowed` names the scope that the key was found not to have.
    """

    resource: Resource
    instruments: int
    rows: int
    history: Progress | None
    absent: int
    off: int
    unread: int
    late: int
    failing: int
    not_allowed: str

    @property
    def waits(self) -> bool:
        """Whether some of it is still to be fetched: of its history, or of what is new."""
        return bool(self.late) or (self.history is not None and not self.history.done)

    @property
    def first_look(self) -> timedelta | None:
        """How far back it is read at first; None for what has no past."""
        history = HISTORIES.get(self.resource)
        return history.first_look if history is not None else None


@dataclass(frozen=True, slots=True)
class Record:
    """Every resource, the back-fill as a whole, and how long the rest of it may take (None: cannot be told)."""

    held: list[Held]
    total: Progress | None
    left: timedelta | None


def record_of(*, now: datetime) -> Record:
    """The record of the organisation in scope, in a handful of queries whatever the size of its fleet."""
    stretches = history_stretches()
    history = {progress.resource: progress for progress in resource_progress(stretches, now)}
    gaps: Counter[tuple[str, str]] = Counter(
        {
            (row["resource"], row["kind"]): row["count"]
            # Of rows, not of their keys: PostgreSQL reads them from the index alone.
            for row in Gap.objects.order_by().values("resource", "kind").annotate(count=Count("*"))
        }
    )
    unread = dict(UnreadRow.objects.order_by().values_list("resource").annotate(count=Count("*")))
    targets = SyncTarget.objects.filter(instrument__gone_at=None)
    rows = dict(targets.order_by().values_list("resource").annotate(rows=Sum("rows")))
    live: dict[str, list[Any]] = {}
    for target in targets.filter(lane=Lane.LIVE).values(
        "resource", "failures", "parked_at", "api_key__scopes", asked_until=ASKED_UNTIL
    ):
        live.setdefault(target["resource"], []).append(target)
    held = []
    for resource in Resource:
        if resource not in live:
            continue
        scope, since = SCOPES[resource], now - late_by(resource)
        refused = any((target["api_key__scopes"] or {}).get(scope) is False for target in live[resource])
        held.append(
            Held(
                resource=resource,
                instruments=0 if resource == Resource.INSTRUMENTS else len(live[resource]),
                rows=rows.get(resource, 0),
                history=history.get(resource),
                absent=gaps[(resource, Gap.Kind.ABSENT)],
                off=gaps[(resource, Gap.Kind.OFF)],
                unread=unread.get(resource, 0),
                late=sum(bool(at := target["asked_until"]) and at < since for target in live[resource]),
                failing=sum(bool(target["failures"] or target["parked_at"]) for target in live[resource]),
                not_allowed=scope if refused else "",
            )
        )
    total = total_progress(stretches, now)
    return Record(held, total, _left(total, now))


# What the targets tell of; the ledger's kinds are a gap's own.
NOT_FETCHED = "waiting"


def late_by(resource: str) -> timedelta:
    """How long ago new rows were asked for at most where all goes well; what came since is not fetched yet."""
    return max(timedelta(hours=1), 2 * every(resource))


def missing_of(resource: str, *, now: datetime) -> Any:
    """The stretches of ``resource`` that are not stored, the newest first: dicts of start_at, end_at, kind, instrument.

    What was asked for and is absent, what was not measured, and of each instrument what is not fetched yet: of its
    history, and of what is new where its key is refused, slowed down or out of reach.
    """
    about = {"name": F("instrument__name"), "serial": F("instrument__serial")}
    known = Gap.objects.filter(resource=resource).order_by().values("start_at", "end_at", "kind", **about)
    kind = Value(NOT_FETCHED, CharField())
    targets = SyncTarget.objects.filter(resource=resource, instrument__gone_at=None, done_at=None).order_by()
    history = targets.filter(lane=Lane.BACKFILL, floor_at__lt=F("watermark_at"))
    late = targets.filter(lane=Lane.LIVE).annotate(asked_until=ASKED_UNTIL, until=Value(now, DateTimeField()))
    rows: Any = known.union(
        history.values("floor_at", "watermark_at", kind=kind, **about),
        late.filter(asked_until__lt=now - late_by(resource)).values(
            "asked_until", "until", kind=kind, **about
        ),
        all=True,
    )
    return rows.order_by("-end_at", "serial", "start_at")


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What a worker holds, and since when; ``instrument`` is None for a key's list of instruments."""

    resource: Resource
    lane: Lane
    instrument: Instrument | None
    since_at: datetime


def under_way(*, now: datetime) -> list[UnderWay]:
    """What the workers fetch at this moment for the organisation in scope, what began first at the top. One query."""
    lease = timedelta(seconds=settings.SYNC_LEASE_SECONDS)
    held = SyncTarget.objects.filter(lease_until__gt=now).select_related("instrument")
    return [
        UnderWay(Resource(each.resource), Lane(each.lane), each.instrument, each.lease_until - lease)
        for each in held.order_by("lease_until", "pk")[:MOST_UNDER_WAY]
        if each.lease_until is not None
    ]


def _left(total: Progress | None, now: datetime) -> timedelta | None:
    """At the pace since the first instrument was seen: history was asked for from then on."""
    if total is None:
        return None
    began = Instrument.objects.present().aggregate(began=Min("first_seen_at"))["began"]
    if began is None:
        return None
    # A first look is not history: it was there at once.
    at_first = total.days_wanted - total.instruments
    return time_left(total.days_left, max(at_first, total.days_left), now - began)
