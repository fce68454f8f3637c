"""The rows of the fleet page: one query for a page of instruments with their present, whatever the fleet's size."""

import json
import re
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Value, When

from instruments.access import key_of
from instruments.models import ApiKey, Deployment, Instrument, Site
from instruments.statements import planned_cursor
from instruments.tenancy import active_organisation_id
from monitoring.models import FleetVersion, InstrumentStatus, Lane, Outcome, Resource, SyncTarget
from monitoring.standing import COUNTED
from monitoring.status import STALE_AFTER_POLLS, State
from monitoring.tiles import poll_every


def _silent_before(now: datetime) -> datetime:
    """Who was last heard before this is silent: `state_of` in reverse."""
    return now - poll_every() * STALE_AFTER_POLLS


def _rank(now: datetime) -> Case:
    """`state_of` in SQL: the standing that the database keeps, with silence laid over it."""
    silent = Q(status__observed_at__lt=_silent_before(now))
    untouched = Q(standing__in=(State.SIC_FAILED.severity, State.GONE.severity))
    return Case(
        When(silent & ~untouched, then=Value(State.STALE.severity)),
        default=F("standing"),
        output_field=IntegerField(),
    )


@dataclass(frozen=True, slots=True)
class Filters:
    """What a fleet is narrowed to; "" everywhere is all that MyCirrus still lists."""

    text: str = ""
    type: str = ""
    state: str = ""
    model: str = ""
    feature: str = ""
    subscription: str = ""
    # The key of a site; where an instrument stands now.
    site: str = ""
    # "south,west,north,east" in degrees, as a place on the map asks for what is in it.
    box: str = ""

    @property
    def narrowed(self) -> bool:
        """Whether the totals by state are of a part of the fleet."""
        return any(getattr(self, field.name) for field in fields(self) if field.name != "state")

    @property
    def any(self) -> bool:
        """Whether something is left out."""
        return bool(self.state) or self.narrowed

    def _narrow(self, rows: Any, now: datetime) -> Any:
        if self.text:
            rows = rows.filter(
                Q(name__icontains=self.text) | Q(serial__icontains=self.text) | Q(model__icontains=self.text)
            )
        for name in ("type", "model"):
            if value := getattr(self, name):
                rows = rows.filter(**{name: value})
        if self.subscription:
            rows = rows.filter(subscription_status=self.subscription)
        if self.feature:
            # Both databases hold the list as JSON text; a whole word of it is quoted.
            rows = rows.filter(features__icontains=json.dumps(self.feature))
        if self.site:
            standing = Deployment.objects.at(now).filter(site_id=key_of(self.site))
            rows = rows.filter(pk__in=standing.values("instrument_id"))
        if self.box:
            rows = rows.filter(_within(self.box))
        return rows


def _within(box: str) -> Q:
    try:
        south, west, north, east = (float(part) for part in box.split(","))
    except ValueError:
        return Q(pk=None)
    return Q(latitude__gte=south, latitude__lte=north, longitude__gte=west, longitude__lte=east)


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to filter by beyond the type."""

    models: list[str]
    features: list[str]
    subscriptions: list[str]
    sites: list[tuple[str, str]]

    @classmethod
    def now(cls) -> "Choices":
        """Four queries over the fleet: asked only when somebody wants to choose."""
        rows = Instrument.objects.present().order_by()
        lists = rows.values_list("features", flat=True).distinct()
        return cls(
            models=sorted(set(rows.exclude(model="").values_list("model", flat=True).distinct())),
            features=sorted({str(feature) for features in lists for feature in features}),
            subscriptions=sorted(
                set(
                    rows.exclude(subscription_status="")
                    .values_list("subscription_status", flat=True)
                    .distinct()
                )
            ),
            sites=[(str(pk), name) for pk, name in Site.objects.values_list("pk", "name")],
        )


ALL = Filters()

SORTS = {
    "state": ("rank", "name", "serial"),
    "name": ("name", "serial"),
    "serial": ("serial",),
    "type": ("type", "name", "serial"),
    "level": ("-status__LAeq", "name", "serial"),
}
# What a tile or a row of the table shows: whole documents of MyCirrus stay where they are.
_SHOWN = (
    *("serial", "name", "type", "model", "standing", "gone_at", "organisation_id"),
    *("features", "subscription_status", "subscription_tier"),
    *(
        f"status__{name}"
        for name in (
            *("online", "measuring", "calibration_in_progress", "sic_in_progress"),
            *("observed_at", "online_since_at"),
            *("level_at", "level_seconds", "LAeq", "LAFMax", "LCPeak", "empty_since_at"),
            *("day_quantity", "day_values", "day_at"),
            *("latest", "latest_at", "latest_seconds"),
            *("calibrated_at", "calibration_status", "calibration_offset"),
            *("sic_at", "sic_status", "sic_passed"),
        )
    ),
)


def fleet(
    *, now: datetime, filters: Filters = ALL, sort: str = "state", silence: bool = True
) -> QuerySet[Instrument, Instrument]:
    """The organisation's instruments, filtered and sorted, what is wrong first by default.

    Those that are gone are left out until they are asked for, by state or by name. ``silence`` False says that
    nobody is silent (see `Version`): then an index alone sorts the fleet.
    """
    rank = "rank" if silence else "standing"
    rows = filters._narrow(Instrument.objects.select_related("status").only(*_SHOWN), now)
    if silence:
        rows = rows.annotate(rank=_rank(now))
    if filters.state in set(State):
        rows = rows.filter(**{rank: State(filters.state).severity})
    elif not filters.text:
        rows = rows.filter(standing__lt=State.GONE.severity)
    ordering: list[Any] = [
        F(name.lstrip("-")).desc(nulls_last=True)
        if name.startswith("-")
        else rank
        if name == "rank"
        else name
        for name in SORTS.get(sort, SORTS["state"])
    ]
    return rows.order_by(*ordering)


def positions(*, now: datetime, filters: Filters) -> list[tuple[str, str, float | None, float | None, State]]:
    """Serial, name, latitude and longitude in degrees, and state of all that the filters leave. One query."""
    ranked = list(State)
    found: Any = fleet(now=now, filters=filters)
    rows = found.values_list("serial", "name", "latitude", "longitude", "rank")
    return [(*row, ranked[rank]) for *row, rank in rows]


def state_counts(*, now: datetime, filters: Filters = ALL, silence: bool = True) -> dict[State, int]:
    """How many instruments stand how, within all filters but the state, the worst first; ``silence`` as for `fleet`."""
    rank = _rank(now) if silence else F("standing")
    rows = filters._narrow(Instrument.objects.annotate(rank=rank), now)
    counted = dict(rows.values_list("rank").annotate(count=Count("*")).order_by("rank"))
    return {state: counted[state.severity] for state in State if state.severity in counted}


@dataclass(frozen=True, slots=True)
class Version:
    """What a poll compares. ``silence``: whether any instrument has not been heard for too long."""

    text: str
    silence: bool

    def __str__(self) -> str:
        return self.text


_VERSION = f"""
    SELECT (SELECT sum(number) FROM {FleetVersion._meta.db_table}
            WHERE organisation_id = %s AND topic = {FleetVersion.Topic.FLEET:d}),
           (SELECT max(observed_at) FROM {InstrumentStatus._meta.db_table}
            WHERE organisation_id = %s AND observed_at < %s),
           (SELECT max(paused_until) FROM {ApiKey._meta.db_table}
            WHERE organisation_id = %s AND paused_until <= %s){{forget}}
"""  # noqa: S608 - every name is ours, every value is a parameter


def fleet_version(*, now: datetime) -> Version:
    """Changes when anything on the fleet page could have: one query that costs the same whatever the fleet.

    Two things change by time alone, without a row being written. Whoever falls silent next was heard after all
    that are silent already, so the newest of these tells them apart; and a key's pause ends the same way.
    """
    organisation_id = active_organisation_id()
    instant = connection.ops.adapt_datetimefield_value
    silent_before = instant(_silent_before(now))
    # Only where this reads what its own transaction has written; see monitoring/standing.py.
    forget = (
        f", set_config('{COUNTED[FleetVersion.Topic.FLEET]}', '', true)"
        if connection.vendor == "postgresql"
        else ""
    )
    with planned_cursor() as cursor:
        cursor.execute(
            _VERSION.format(forget=forget),
            [organisation_id, organisation_id, silent_before, organisation_id, instant(now)],
        )
        counted, silent, paused = cursor.fetchone()[:3]
    return Version(".".join(_stamp(part) for part in (counted, silent, paused)), silent is not None)


def _stamp(part: Any) -> str:
    """As it may stand in an address; SQLite gives instants as text, PostgreSQL does not."""
    return re.sub(r"\D", "", str(part)) if part is not None else "-"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the first reading of a fleet has come, in instruments. History comes later and holds nothing up."""

    waiting: int
    total: int

    @classmethod
    def now(cls) -> "Progress":
        """One query, and one more while there is something to wait for."""
        rows = SyncTarget.objects.filter(
            instrument__gone_at=None, resource=Resource.STATUS, lane=Lane.LIVE, parked_at=None
        )
        waiting = rows.filter(outcome=Outcome.NEVER).count()
        return cls(waiting, rows.count() if waiting else 0)

    @property
    def done(self) -> int:
        """How many were asked for at least once."""
        return self.total - self.waiting
