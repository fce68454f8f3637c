"""The rows of the calibration board and the SIC board: what is wrong first, judged by the tolerances in force.

A row's rank is told twice, in SQL to sort and count by and in Python to say it in words; a test holds them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Abs, Coalesce, Lower, Trim
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.mycirrus.types import DECIDED
from instruments.statements import planned_cursor
from instruments.tenancy import active_organisation_id
from monitoring.acoustics.drift import Frequency
from monitoring.acoustics.validity import Suspect, offset_is_large, released, step_is_large
from monitoring.check_standings import sic_frequencies
from monitoring.conditions import Look
from monitoring.models import (
    Calibration,
    Certificate,
    CheckStanding,
    DoubtReview,
    FleetVersion,
    Tolerances,
)
from monitoring.standing import COUNTED

# Due within these is said beforehand.
CALIBRATION_SOON, CERTIFICATE_SOON = timedelta(days=14), timedelta(days=60)
# SICs run nightly: without one for this long something is wrong with them.
SIC_SILENT = timedelta(days=3)

# The states of each board, the worst first: the place in the tuple is the rank.
CALIBRATION_LOOKS = {
    "failed": Look(_("Failed"), "x-circle", "bad", True),
    "moved": Look(_("Beyond tolerance"), "exclamation-triangle", "bad", True),
    "overdue": Look(_("Overdue"), "clock", "warn", True),
    "certificate": Look(_("Certificate overdue"), "document-text", "warn", True),
    "never": Look(_("Never calibrated"), "question-mark-circle", "warn", True),
    "soon": Look(_("Due soon"), "calendar", "muted"),
    "unclear": Look(_("Not understood"), "question-mark-circle", "muted"),
    "good": Look(_("In order"), "check-circle", "good"),
}
SIC_LOOKS = {
    "failed": Look(_("Failed"), "x-circle", "bad", True),
    "moved": Look(_("Beyond tolerance"), "exclamation-triangle", "bad", True),
    "drifting": Look(_("Drifting"), "arrow-trending-up", "warn", True),
    "silent": Look(_("No recent SIC"), "clock", "warn", True),
    "unclear": Look(_("No baseline yet"), "question-mark-circle", "muted"),
    "good": Look(_("In order"), "check-circle", "good"),
}
BOARDS = {"calibrations": CALIBRATION_LOOKS, "sics": SIC_LOOKS}
# How each board can be sorted, the first of them unless something else is asked for.
WORST, LIMIT, STEP, OLDEST = "rank", "limit", "step", "oldest"
SORTS = {
    "calibrations": {
        WORST: _("Worst first"),
        STEP: _("Largest step first"),
        OLDEST: _("Oldest calibration first"),
    },
    "sics": {WORST: _("Worst first"), LIMIT: _("Nearest limit first")},
}
# What a standing is sorted by. A step counts by its size, whichever way it went.
_COLUMNS = {LIMIT: "sic_limit_at", STEP: "step_db", OLDEST: "calibrated_at"}
# What an address says of a row without such a value, and how long a number in one is at most.
NOWHERE = "-"
_DIGITS = {WORST: 8, LIMIT: 17, STEP: 8, OLDEST: 17}
# Steps are in thousandths there.
_THOUSANDTHS = 1000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class BoardTime:
    """Now, and the day that it is for the organisation: certificates run out at the end of a day, not at an instant."""

    now: datetime
    today: date


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One instrument on a board; until its first check ``standing`` is an empty one."""

    instrument: Instrument
    standing: CheckStanding
    tolerances: Tolerances
    time: BoardTime
    looks: dict[str, Look]

    @property
    def state(self) -> str:
        """The name of its state."""
        return list(self.looks)[self.instrument.rank]  # type: ignore[attr-defined]

    @property
    def look(self) -> Look:
        """Its sign."""
        return self.looks[self.state]

    @property
    def step_is_large(self) -> bool:
        """R10, under the tolerance in force."""
        return step_is_large(self.standing.step_db, self.tolerances.step_db)

    @property
    def offset_is_large(self) -> bool:
        """R11, under the tolerance in force."""
        return offset_is_large(self.standing.offset_db, self.tolerances.offset_db)

    @property
    def suspect(self) -> Suspect | None:
        """R12: the levels that the newest calibration leaves in doubt."""
        standing = self.standing
        if standing.calibrated_at is None or self.state not in ("failed", "moved"):
            return None
        until = standing.calibrated_at if self.state == "moved" else None
        suspect = Suspect(standing.good_before_at, until, self.instrument.found_at)  # type: ignore[attr-defined]
        return released(suspect, self.instrument.good_until_at)  # type: ignore[attr-defined]

    @property
    def due_at(self) -> datetime | None:
        """When the next calibration is due; None where the organisation set no period or none was good."""
        days, good_at = self.tolerances.calibration_days, self.standing.good_calibration_at
        return good_at + timedelta(days=days) if days and good_at is not None else None

    @property
    def is_overdue(self) -> bool:
        """Whether that has passed."""
        return self.due_at is not None and self.due_at < self.time.now

    @property
    def certificate_due_on(self) -> date | None:
        """The day on which the newest laboratory certificate runs out (R13)."""
        return self.instrument.certificate_due_on  # type: ignore[attr-defined]

    @property
    def certificate_is_overdue(self) -> bool:
        """Whether that day has passed."""
        return self.certificate_due_on is not None and self.certificate_due_on < self.time.today

    @property
    def baseline_words(self) -> Any:
        """Which baseline the SICs are told from."""
        told = self.standing.sic
        if told.get("source") == "set":
            return _("set by hand")
        return _("median of the first %(count)s since calibration") % {"count": told.get("of", 0)}

    @property
    def frequencies(self) -> list[Frequency]:
        """The last SIC's three, against their baseline and tolerance."""
        return sic_frequencies(self.standing.sic, self.tolerances.sic_db)

    @property
    def limit_is_reached(self) -> bool:
        """Whether the last SIC found one beyond the tolerance, or its trend there."""
        limit_at, last_at = self.standing.sic_limit_at, self.standing.sic_at
        return limit_at is not None and limit_at == last_at

    @property
    def limit_days(self) -> int | None:
        """In how many days the first of them would be beyond it, by the calendar; 0 where that has come."""
        limit_at = self.standing.sic_limit_at
        return None if limit_at is None else max((timezone.localdate(limit_at) - self.time.today).days, 0)


def board(kind: str, *, tolerances: Tolerances, time: BoardTime, sort: str = WORST) -> QuerySet[Any, Any]:
    """The instruments of a board, sorted, with `rank`, `certificate_due_on`, `found_at` and `good_until_at`.

    Those that measure noise, and whatever else was ever checked; none that MyCirrus no longer lists.
    """
    # The first that says anything since the last good one: by it a doubt is known, however many failed after it.
    found = (
        Calibration.objects.alias(word=Lower(Trim("status")))
        .filter(
            instrument=OuterRef("pk"),
            word__in=DECIDED,
            at__gt=Coalesce(OuterRef("check_standing__good_before_at"), Value(_EPOCH)),
        )
        .order_by("at")
    )
    # R12's exception.
    review = DoubtReview.objects.filter(instrument=OuterRef("pk"), found_at=OuterRef("found_at")).order_by(
        "-pk"
    )
    newest = Certificate.objects.filter(instrument=OuterRef("pk")).order_by("-issued_on", "-pk")
    rows = (
        Instrument.objects.present()
        .with_deployment(time.now)
        .filter(Q(type__in=["", Instrument.Kind.NOISE]) | Q(check_standing__isnull=False))
        .select_related("check_standing")
        .annotate(
            certificate_due_on=Subquery(newest.values("due_on")[:1]),
            found_at=Subquery(found.values("at")[:1]),
        )
        .annotate(
            good_until_at=Subquery(review.values("good_until_at")[:1]),
        )
    )
    rules = _calibration_rules(tolerances, time) if kind == "calibrations" else _sic_rules(tolerances, time)
    order = list(BOARDS[kind])
    ranked = Case(
        *(When(condition, then=Value(order.index(state))) for state, condition in rules),
        default=Value(order.index("good")),
        output_field=IntegerField(),
    )
    return rows.annotate(rank=ranked).order_by(_first(sort), "name", "serial")


def _first(sort: str) -> Any:
    if sort == WORST:
        return "rank"
    column = f"check_standing__{_COLUMNS[sort]}"
    return Abs(column).desc(nulls_last=True) if sort == STEP else F(column).asc(nulls_last=True)


def _beyond(column: str, tolerance: Decimal) -> Q:
    # Not ABS(): SQLite compares an expression with a parameter as text.
    return Q(**{f"{column}__gt": tolerance}) | Q(**{f"{column}__lt": -tolerance})


def _calibration_rules(tolerances: Tolerances, time: BoardTime) -> list[tuple[str, Q]]:
    rules = [
        ("failed", Q(check_standing__calibration_passed=False)),
        (
            "moved",
            Q(check_standing__calibration_passed=True)
            & (
                _beyond("check_standing__step_db", tolerances.step_db)
                | _beyond("check_standing__offset_db", tolerances.offset_db)
            ),
        ),
    ]
    soon = Q(certificate_due_on__lt=time.today + CERTIFICATE_SOON)
    if tolerances.calibration_days:
        due = time.now - timedelta(days=tolerances.calibration_days)
        rules.append(("overdue", Q(check_standing__good_calibration_at__lt=due)))
        soon |= Q(check_standing__good_calibration_at__lt=due + CALIBRATION_SOON)
    return [
        *rules,
        ("certificate", Q(certificate_due_on__lt=time.today)),
        ("never", Q(check_standing__calibrated_at__isnull=True)),
        ("unclear", Q(check_standing__calibration_passed__isnull=True)),
        ("soon", soon),
    ]


def _sic_rules(tolerances: Tolerances, time: BoardTime) -> list[tuple[str, Q]]:
    return [
        ("failed", Q(check_standing__sic_passed=False)),
        ("moved", _beyond("check_standing__sic_difference_db", tolerances.sic_db)),
        ("drifting", Q(check_standing__sic_year_db__gt=tolerances.sic_db)),
        (
            "silent",
            Q(check_standing__sic_at__isnull=True) | Q(check_standing__sic_at__lt=time.now - SIC_SILENT),
        ),
        ("unclear", Q(check_standing__sic_difference_db__isnull=True)),
    ]


_VERSION = f"""
    SELECT (SELECT sum(number) FROM {FleetVersion._meta.db_table}
            WHERE organisation_id = %s AND topic = {FleetVersion.Topic.CHECKS:d}){{forget}}
"""  # noqa: S608 - every name is ours, every value is a parameter


def board_version(*, now: datetime) -> str:
    """Changes when anything on a board could have: one query that costs the same whatever the fleet.

    What changes by time alone (a check that is due, a night without one, a move that was planned) takes days to come:
    it may be told a quarter of an hour late.
    """
    # Only where this reads what its own transaction has written; see monitoring/standing.py.
    counted = COUNTED[FleetVersion.Topic.CHECKS]
    forget = f", set_config('{counted}', '', true)" if connection.vendor == "postgresql" else ""
    with planned_cursor() as cursor:
        cursor.execute(_VERSION.format(forget=forget), [active_organisation_id()])
        return f"{cursor.fetchone()[0] or 0}.{int(now.timestamp()) // 900}"


def board_counts(rows: QuerySet[Any, Any], kind: str) -> dict[str, int]:
    """How many instruments are in which state, the worst first. One query."""
    counted = dict(rows.order_by().values_list("rank").annotate(Count("pk")).order_by("rank"))
    return {state: counted[rank] for rank, state in enumerate(BOARDS[kind]) if rank in counted}


def board_filtered(rows: QuerySet[Any, Any], kind: str, *, text: str, state: str) -> QuerySet[Any, Any]:
    """The rows with this text in name, serial, model or site, in this state."""
    if text:
        rows = rows.filter(
            Q(name__icontains=text)
            | Q(serial__icontains=text)
            | Q(model__icontains=text)
            | Q(deployed__site__name__icontains=text)
        )
    if state in BOARDS[kind]:
        rows = rows.filter(rank=list(BOARDS[kind]).index(state))
    return rows


def board_page(rows: QuerySet[Any, Any], *, after: str, most: int, sort: str = WORST) -> Sequence[Any]:
    """At most ``most`` instruments below the one that ``after`` names; two queries, no counting."""
    stood, _dot, serial = after.partition(".")
    below = _below(stood, sort)
    if below is not None and serial:
        name = Coalesce(
            Subquery(Instrument.objects.filter(serial=serial).order_by().values("name")[:1]), Value("")
        )
        later, beside = below
        rows = rows.annotate(after_name=name).filter(
            later | (beside & (Q(name__gt=name) | Q(name=name, serial__gt=serial)))
        )
    return list(rows[:most])


def board_after(instrument: Any, sort: str) -> str:
    """How `board_page` is told to go on below ``instrument``: what it is sorted by, and its serial number."""
    if sort == WORST:
        return f"{instrument.rank}.{instrument.serial}"
    standing = getattr(instrument, "check_standing", None)
    value = getattr(standing, _COLUMNS[sort]) if standing else None
    if value is None:
        return f"{NOWHERE}.{instrument.serial}"
    stood = int(abs(value) * _THOUSANDTHS) if sort == STEP else (value - _EPOCH) // _MICROSECOND
    return f"{stood}.{instrument.serial}"


def _below(stood: str, sort: str) -> tuple[Q, Q] | None:
    """What stands below a row by that which the board is sorted by alone, and what beside it; None for no such row."""
    column = f"check_standing__{_COLUMNS[sort]}" if sort != WORST else "rank"
    missing = Q(**{f"{column}__isnull": True})
    if sort != WORST and stood == NOWHERE:
        return Q(pk__in=[]), missing
    if not stood.isdecimal() or len(stood) > _DIGITS[sort]:
        return None
    if sort == WORST:
        return Q(rank__gt=int(stood)), Q(rank=int(stood))
    if sort == STEP:
        size = Decimal(int(stood)) / _THOUSANDTHS
        smaller = Q(**{f"{column}__gt": -size, f"{column}__lt": size})
        return smaller | missing, Q(**{f"{column}__in": [size, -size]})
    at = _EPOCH + int(stood) * _MICROSECOND
    return Q(**{f"{column}__gt": at}) | missing, Q(**{column: at})


def board_row(instrument: Any, kind: str, *, tolerances: Tolerances, time: BoardTime) -> BoardRow:
    """A row as the page shows it."""
    standing = getattr(instrument, "check_standing", None) or CheckStanding()
    return BoardRow(instrument, standing, tolerances, time, BOARDS[kind])
