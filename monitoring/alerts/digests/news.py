"""What a digest says: what is wrong first, then in one line what is in order. A handful of queries for any fleet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, F, FloatField, Q, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from instruments.models import Instrument
from monitoring.acoustics.levels import coverage
from monitoring.alerts.words import head_of
from monitoring.boards import CALIBRATION_LOOKS, BoardRow, BoardTime, board, board_counts, board_row
from monitoring.fleet import fleet, state_counts
from monitoring.models import (
    Bucket,
    Incident,
    NoiseRollup,
    ParticulateSample,
    PeakParticleVelocity,
    SeriesRow,
    Severity,
)
from monitoring.models.tolerances import tolerances_in_force
from monitoring.status import State
from monitoring.tiles import Tile, tile_of

# Of each list as many are named; the page has the rest.
MOST_NAMED = 10
# R9: the usual floor below which a value of the period says nothing.
COVERAGE_FLOOR_PCT = 75.0
# On the calibration board these want somebody: the worst, and what falls due soon.
_CHECKS = [state for state, look in CALIBRATION_LOOKS.items() if look.needs_attention or state == "soon"]
_AWAY = (State.OFFLINE, State.NOT_MEASURING, State.STALE, State.EMPTY)
# The rows of other types, and what of them counts as a value.
_SAMPLES: tuple[tuple[str, type[SeriesRow], tuple[str, ...]], ...] = (
    (Instrument.Kind.AIR_QUALITY, ParticulateSample, ("pm1_ugm3", "pm2p5_ugm3", "pm4p25_ugm3", "pm10_ugm3")),
    (Instrument.Kind.VIBRATION, PeakParticleVelocity, ("v_max_x_mms", "v_max_y_mms", "v_max_z_mms")),
)
_USUAL_S = 60.0


@dataclass(frozen=True, slots=True)
class Listed:
    """The worst of a list, and how many there are in all."""

    rows: list[Any] = field(default_factory=list)
    total: int = 0

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class Thin:
    """An instrument that measured too little of the period (R9)."""

    instrument: Instrument
    coverage_pct: float


@dataclass(frozen=True, slots=True)
class News:
    """Everything that a digest says of [start, end) and of now."""

    start: datetime
    end: datetime
    incidents: Listed
    unacknowledged: int
    checks: Listed
    away: Listed
    thin: Listed
    # What was fine: how many stand well, how many covered enough and how well on the whole, what came and went.
    instruments: int
    standing_well: int
    covered: int
    coverage_pct: float | None
    ended: int

    @property
    def until(self) -> datetime:
        """A moment within the last day: the end itself is the midnight after it."""
        return self.end - timedelta(seconds=1)

    @property
    def wrong(self) -> int:
        """How many things somebody should look at."""
        return self.incidents.total + self.checks.total + self.away.total + self.thin.total


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """One incident in a digest."""

    incident: Incident
    head: str

    @property
    def red(self) -> bool:
        """Whether it is red now."""
        return self.incident.severity == Severity.RED


def news_of(*, start: datetime, end: datetime, now: datetime) -> News:
    """The news of the organisation in scope, to be asked in its time zone."""
    incidents = Incident.objects.open().select_related("instrument", "acknowledged_by", "assigned_to")
    # Nobody has it in hand: first, and of these the worst.
    ordered = incidents.order_by(
        Case(When(acknowledged_at=None, then=0), default=1), "-severity", "opened_at"
    )
    shown = [OpenIncident(incident, head_of(incident)) for incident in ordered[:MOST_NAMED]]
    unacknowledged = incidents.filter(acknowledged_at=None).count()
    total = incidents.count()
    thin, covered, mean = _coverage(start, end)
    away, well, instruments = _away(now)
    return News(
        start=start,
        end=end,
        incidents=Listed(shown, total),
        unacknowledged=unacknowledged,
        checks=_checks(now),
        away=away,
        thin=thin,
        instruments=instruments,
        standing_well=well,
        covered=covered,
        coverage_pct=mean,
        ended=Incident.objects.filter(closed_at__gte=start, closed_at__lt=end).count(),
    )


def _checks(now: datetime) -> Listed:
    """Calibrations and certificates as the board ranks them."""
    tolerances, time = tolerances_in_force(), BoardTime(now, timezone.localdate(now))
    rows = board("calibrations", tolerances=tolerances, time=time)
    order = list(CALIBRATION_LOOKS)
    wanted = rows.filter(rank__in=[order.index(state) for state in _CHECKS])
    counts = board_counts(rows, "calibrations")
    found: list[BoardRow] = [
        board_row(each, "calibrations", tolerances=tolerances, time=time) for each in wanted[:MOST_NAMED]
    ]
    return Listed(found, sum(counts.get(state, 0) for state in _CHECKS))


def _away(now: datetime) -> tuple[Listed, int, int]:
    """Who is offline, silent, not measuring or without values; how many stand well; how many there are."""
    counts = state_counts(now=now)
    ranks = [state.severity for state in _AWAY]
    total = sum(counts.get(state, 0) for state in _AWAY)
    ranked: Any = fleet(now=now)
    rows = ranked.filter(rank__in=ranks)[:MOST_NAMED] if total else []
    found: list[Tile] = [tile_of(each, now) for each in rows]
    well = counts.get(State.MEASURING, 0) + counts.get(State.CHECKING, 0)
    everybody = sum(count for state, count in counts.items() if state != State.GONE)
    return Listed(found, total), well, everybody


def _coverage(start: datetime, end: datetime) -> tuple[Listed, int, float | None]:
    """Who measured too little of the period, the worst first; how many enough; and the mean over all in percent."""
    period_s = (end - start).total_seconds()
    seconds = _measured(start, end)
    found = [
        Thin(each, coverage(seconds.get(each.pk, 0.0), period_s))
        for each in Instrument.objects.present()
        # Whoever is new has no past of its own until its history has been fetched.
        if each.type in ("", *Instrument.Kind.values) and (each.first_seen_at < end or each.pk in seconds)
    ]
    thin = sorted(
        (each for each in found if each.coverage_pct < COVERAGE_FLOOR_PCT), key=lambda each: each.coverage_pct
    )
    mean = sum(each.coverage_pct for each in found) / len(found) if found else None
    return Listed(thin[:MOST_NAMED], len(thin)), len(found) - len(thin), mean


def _measured(start: datetime, end: datetime) -> Mapping[int, float]:
    """Seconds with a value in [start, end) by instrument: noise from its quarter hours, the others from their rows."""
    rolled = NoiseRollup.objects.filter(bucket_s=Bucket.QUARTER, start_at__gte=start, start_at__lt=end)
    found = dict(rolled.order_by().values_list("instrument_id").annotate(seconds=Sum("valid_s")))
    for kind, model, values in _SAMPLES:
        theirs = Instrument.objects.present().filter(type=kind).values("pk")
        said = Q(*((f"{name}__isnull", False) for name in values), _connector=Q.OR)
        rows = model.objects.filter(said, instrument__in=theirs, start_at__gte=start, start_at__lt=end)
        length = Sum(Coalesce(F("duration_s"), Value(_USUAL_S), output_field=FloatField()))
        found |= dict(rows.order_by().values_list("instrument_id").annotate(seconds=length))
    return found
