"""What happened to an instrument in a stretch of time, to be marked beside its levels; it draws and judges nothing.

Marks come in layers that a reader can take away. A layer says when it holds more than it shows.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from instruments.joined import Listed
from instruments.models import Instrument
from instruments.mycirrus.types import passed
from instruments.sites import Stays, stays_of
from monitoring.charts.series import organisation_of
from monitoring.doubt import Check, Checked, checks_around, doubts, newest
from monitoring.models import DoubtReview, Event, EventTag, InstrumentAction
from monitoring.models.tolerances import tolerances_in_force
from monitoring.templatetags.levels import signed, written

# Of one layer: more would hide the levels that they are about.
MOST = 300


class _Event(NamedTuple):
    """What marks say of an event; nothing was said of one without a tag."""

    start_at: datetime
    end_at: datetime | None
    name: str
    level_db: float | None
    cause: str | None
    excluded: bool | None


def _newest(condition: str, most: int | None) -> Listed[_Event]:
    """The newest events of organisation, instrument and stretch. By hand: the ORM took longer than the database."""
    limit = "" if most is None else f"LIMIT {most}"
    statement = f"""
        SELECT event.start_at, event.end_at, event.name, event.level_db, tag.cause, tag.excluded
        FROM "{Event._meta.db_table}" AS event
        LEFT JOIN "{EventTag._meta.db_table}" AS tag ON tag.event_id = event.id
        WHERE event.organisation_id = %(organisation)s AND event.instrument_id = %(instrument)s
          AND event.start_at >= %(earliest)s AND event.start_at < %(end)s
          AND (event.start_at >= %(start)s OR event.end_at > %(start)s) {condition}
        ORDER BY event.start_at DESC {limit}
    """  # noqa: S608 - every name is ours, every value is a parameter
    times = {name: Event._meta.get_field(name) for name in ("start_at", "end_at")}
    return Listed(_Event, statement, **times, excluded=EventTag._meta.get_field("excluded"))


_EVENTS, _EXCLUDED = _newest("", MOST + 1), _newest("AND tag.excluded", None)
# How long before a stretch an event that reaches into it may have begun: no index knows when events end.
_LONGEST_EVENT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing, at an instant or until another. ``failed`` gives it another sign than colour alone."""

    layer: str
    at: datetime
    label: str
    until: datetime | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Marked:
    """The marks of a stretch by time, and the layers of which only the newest `MOST` are there."""

    marks: list[Mark]
    cut: list[str]

    def touched(self, layer: str) -> "Touched":
        """The stretches of a layer, to be asked for each of very many rows."""
        return Touched(mark for mark in self.marks if mark.layer == layer)


class Touched:
    """The stretches that marks cover."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        for mark in sorted(marks, key=lambda mark: mark.at):
            if mark.until is None:
                continue
            if self._ends and mark.at <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], mark.until)
            else:
                self._starts.append(mark.at)
                self._ends.append(mark.until)

    def by(self, at: datetime, seconds: float) -> bool:
        """Whether an interval from ``at`` on has any part of one."""
        place = bisect_left(self._starts, at + timedelta(seconds=seconds)) - 1
        return place >= 0 and self._ends[place] > at


class _Stretch:
    """An instrument's rows of a stretch: each kind is read once, whichever layers ask for it."""

    def __init__(
        self, instrument: Instrument, start: datetime, end: datetime, stays: Stays | None = None
    ) -> None:
        self.instrument, self.start, self.end = instrument, start, end
        self._stays = stays

    @property
    def stays(self) -> Stays:
        return self._stays or stays_of(instrument=self.instrument, start=self.start, end=self.end)

    @cached_property
    def checked(self) -> Checked:
        return checks_around(instrument=self.instrument, start=self.start, end=self.end)

    @cached_property
    def events(self) -> list[_Event]:
        return self.told(_EVENTS)

    def told(self, events: Listed[_Event]) -> list[_Event]:
        """Its events, newest first."""
        return events.rows(
            organisation=organisation_of(self.instrument),
            instrument=self.instrument.pk,
            earliest=self.start - _LONGEST_EVENT,
            start=self.start,
            end=self.end,
        )

    def within(self, checks: Iterable[Any]) -> list[Any]:
        """Those inside of the stretch, newest first."""
        return [check for check in checks if self.start <= check.at < self.end][::-1][: MOST + 1]


def _calibrations(stretch: _Stretch) -> list[Mark]:
    found = []
    for check in stretch.within(stretch.checked.calibrations):
        told = [_("Calibration"), check.status] if passed(check.status) is not True else [_("Calibration")]
        if check.offset_db is not None:
            told.append(_("offset %(offset)s dB") % {"offset": signed(check.offset_db)})
        failed = passed(check.status) is False
        found.append(Mark("calibrations", check.at, ", ".join(filter(None, told)), failed=failed))
    return found


def _sics(stretch: _Stretch) -> list[Mark]:
    return [
        Mark("sics", check.at, _sic_words(check), failed=check.passed is False)
        for check in stretch.within(stretch.checked.sics)
    ]


def _sic_words(check: Check) -> str:
    if check.passed is None:
        # A word of MyCirrus that means neither is told as it came.
        return _("SIC: %(status)s") % {"status": check.status or "–"}
    return _("SIC passed") if check.passed else _("SIC failed")


def _events(stretch: _Stretch) -> list[Mark]:
    return [
        Mark("events", event.start_at, _event_words(event), until=event.end_at)
        for event in stretch.events
        if event.start_at >= stretch.start
    ]


def _exclusions(stretch: _Stretch) -> list[Mark]:
    """Events that somebody set aside, as the stretches that a reader has to know of; nothing is taken out."""
    rows = [event for event in stretch.events if event.excluded]
    if len(stretch.events) > MOST:
        # Of very many events the older are not among those that were read.
        rows = stretch.told(_EXCLUDED)
    return [
        Mark(
            "exclusions",
            max(event.start_at, stretch.start),
            _("Excluded: %(event)s") % {"event": _event_words(event, set_aside=False)},
            # One that has not ended yet is marked where it began.
            until=event.end_at or event.start_at + timedelta(seconds=1),
        )
        for event in rows
    ]


def _event_words(event: _Event, *, set_aside: bool = True) -> str:
    """Name, level and what was said of it; ``set_aside`` where the mark itself does not tell that it is excluded."""
    told = [_("Event %(name)s") % {"name": event.name} if event.name else _("Event")]
    if event.level_db is not None:
        told.append(f"{written(event.level_db, 1)} dB")
    if event.cause:
        told.append(event.cause)
    if set_aside and event.excluded:
        told.append(_("excluded"))
    return ", ".join(told)


def _actions(stretch: _Stretch) -> list[Mark]:
    rows = InstrumentAction.objects.filter(
        instrument=stretch.instrument, requested_at__gte=stretch.start, requested_at__lt=stretch.end
    )
    return [
        Mark(
            "actions",
            action.requested_at,
            f"{action.get_kind_display()}: {action.get_state_display()}",
            until=action.finished_at,
        )
        for action in rows.order_by("-requested_at")[: MOST + 1]
    ]


def _moves(stretch: _Stretch) -> list[Mark]:
    """Where it came to a site or left one: beside the levels, for they belong to the place."""
    came = {stay.start_at: stay.site for stay in stretch.stays.all}
    left = {stay.end_at: stay.site for stay in stretch.stays.all if stay.end_at is not None}
    marks = []
    for at in came.keys() | left.keys():
        told = {"before": left.get(at), "after": came.get(at)}
        if at not in came:
            words = _("Taken down at %(before)s")
        elif at not in left:
            words = _("Put up at %(after)s")
        else:
            words = _("Moved from %(before)s to %(after)s")
        marks.append(Mark("moves", at, words % told))
    # What begins with the stretch is no change within it.
    return [mark for mark in marks if stretch.start < mark.at < stretch.end]


def _suspect(stretch: _Stretch) -> list[Mark]:
    """What is in doubt under the organisation's tolerances, and what a reviewer took out of it."""
    checked, marks = stretch.checked, []
    # Without any check nothing can be in doubt: nothing more is asked.
    if not checked.calibrations and not checked.sics:
        return []
    held = tolerances_in_force()
    if not doubts(checked=checked, held=held):
        return []
    reviews = newest(DoubtReview.objects.filter(instrument=stretch.instrument))
    by_check = {review.found_at: review for review in reviews}
    for each in doubts(checked=checked, held=held, reviews=reviews):
        since, until = each.since_at or stretch.start, each.until_at or stretch.end
        marks += _stretch_mark(stretch, "suspect", _("Levels in doubt"), since, until)
        if each.is_reviewed:
            told = {
                "name": by_check[each.found_at].reviewed_by_name,
                "evidence": by_check[each.found_at].evidence,
            }
            words = _("Out of doubt: %(evidence)s (%(name)s)") % told
            marks += _stretch_mark(stretch, "reviewed", words, each.reviewed_from_at or stretch.start, since)
    return marks


def _stretch_mark(stretch: _Stretch, layer: str, label: str, at: datetime, until: datetime) -> list[Mark]:
    """One mark, no longer than the stretch; none outside of it."""
    at, until = max(at, stretch.start), min(until, stretch.end)
    return [Mark(layer, at, label, until=until)] if at < until else []


# By name: what the reader calls it, how it is read, whether only those who may act see it.
LAYERS: dict[str, tuple[Any, Any, bool]] = {
    "calibrations": (gettext_lazy("Calibrations"), _calibrations, False),
    "sics": (gettext_lazy("SICs"), _sics, False),
    "events": (gettext_lazy("Events"), _events, False),
    "actions": (gettext_lazy("Actions"), _actions, True),
    "exclusions": (gettext_lazy("Exclusions"), _exclusions, False),
    "suspect": (gettext_lazy("Levels in doubt"), _suspect, False),
    "moves": (gettext_lazy("Moves"), _moves, False),
}


def layers_for(*, can_act: bool) -> list[tuple[str, Any]]:
    """The layers that a person may see: (name, title)."""
    return [(name, title) for name, (title, _read, acting) in LAYERS.items() if can_act or not acting]


def marks_of(
    *,
    instrument: Instrument,
    start: datetime,
    end: datetime,
    layers: Iterable[str] = LAYERS,
    whole: Collection[str] = (),
    stays: Stays | None = None,
) -> Marked:
    """Everything of ``layers`` between ``start`` and ``end``, a few queries whatever the range.

    ``stays`` are those of the stretch, where they are known already.
    Of a layer the newest `MOST`, but of ``whole`` ones all: rows are judged by them, and none may be missing.
    """
    stretch = _Stretch(instrument, start, end, stays)
    marks: list[Mark] = []
    cut = []
    for layer in layers:
        found = LAYERS[layer][1](stretch)
        if len(found) > MOST and layer not in whole:
            cut.append(layer)
            found = sorted(found, key=lambda mark: mark.at)[-MOST:]
        marks += found
    return Marked(sorted(marks, key=lambda mark: mark.at), cut)
