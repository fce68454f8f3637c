"""An instrument's days: the levels of day, evening and night, and Lden, as a page and as a file."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from cirrusweb.htmx import render
from instruments.access import instrument_for, organisation_for
from instruments.models import Deployment, Instrument, Site
from instruments.sites import Stays, stays_of
from monitoring.acoustics.day_periods import SHOWN_FROM, Hours, Part, is_lopsided
from monitoring.charts.day_parts import Day, Levels, all_days, day_parts
from monitoring.charts.marks import Touched, marks_of
from monitoring.charts.ranges import Window
from monitoring.views.files import csv_file, line_writer, refusal
from monitoring.views.levels import FILE_WORDS, JUDGEMENTS, JUDGING
from monitoring.views.windows import Asked, window_asked

DEFAULT = "30d"
# Of whole days alone.
RANGES = ("7d", "30d", "90d", "1y", "2y")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page and the file are made of: the same numbers in both."""

    instrument: Instrument
    asked: Asked
    hours: Hours
    days: list[Day]
    stays: Stays
    judges: Mapping[str, Touched]

    @property
    def span(self) -> Window:
        """All of its days, from the first's morning to the end of the last's night."""
        return Window(self.days[0].start_at, self.days[-1].end_at)

    def judgement(self, day: Day) -> str:
        """What is said of a day's levels, the strongest word; they stay as they are."""
        if not day.levels.count:
            return "missing"
        length = (day.end_at - day.start_at).total_seconds()
        return next((word for word, found in self.judges.items() if found.by(day.start_at, length)), "valid")


def _shown(request: HttpRequest, serial: str) -> Shown:
    instrument = instrument_for(request, serial)
    asked = window_asked(request, instrument, default=DEFAULT, ranges=RANGES)
    organisation, zone = organisation_for(request), asked.zone
    hours = Hours(organisation.day_hour, organisation.evening_hour, organisation.night_hour)
    first, last = (
        _day_of(at.astimezone(zone), hours) for at in (asked.window.start, asked.window.end - _MOMENT)
    )
    days = day_parts(instrument=instrument, first=first, last=last, hours=hours, zone=zone, now=asked.now)
    stretch: Any = {"instrument": instrument, "start": days[0].start_at, "end": days[-1].end_at}
    stays = stays_of(**stretch)
    marked = marks_of(**stretch, layers=JUDGING, whole=JUDGING, stays=stays)
    judges = {word: marked.touched(layer) for word, layer in JUDGEMENTS.items()}
    return Shown(instrument, asked, hours, days, stays, judges)


# Before it: a stretch that ends at midnight has nothing of the day that begins.
_MOMENT = timedelta(microseconds=1)


def _day_of(at: Any, hours: Hours) -> date:
    """The day that an instant by the local clock belongs to: the small hours are of the evening before."""
    return at.date() if at.hour >= hours.day else at.date() - timedelta(days=1)


def days_page(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """Each day's Lday, Levening, Lnight and Lden, and those of all of them as one."""
    shown = _shown(request, serial)
    timezone.activate(shown.asked.zone)
    whole, parts = all_days(shown.days, shown.hours), _parts(shown.hours)
    context = {
        "organisation": organisation_for(request),
        "instrument": shown.instrument,
        "asked": shown.asked,
        "window": shown.asked.window,
        "span": shown.span,
        "parts": parts,
        "measured": whole.count > 0,
        "whole": whole,
        "whole_parts": list(zip(parts, _cells(whole), strict=True)),
        "lopsided": whole.count > 0 and is_lopsided(whole.parts),
        "facade": _at_facades(shown),
        "sites": shown.stays.during(shown.span.start, shown.span.end),
        "shown_from": SHOWN_FROM,
        # The newest is what is asked for first.
        "rows": [
            {
                "day": day,
                "parts": list(zip(parts, _cells(day.levels), strict=True)),
                "says": shown.judgement(day),
                "so_far": not day.levels.ended,
            }
            for day in reversed(_from_first_to_last_measured(shown.days))
        ],
    }
    return render(request, "monitoring/days.html", context)


def _from_first_to_last_measured(days: list[Day]) -> list[Day]:
    """Without the days before it was there and after it left; those between stay, as gaps."""
    measured = [place for place, day in enumerate(days) if day.levels.count]
    return days[measured[0] : measured[-1] + 1] if measured else []


def _cells(levels: Levels) -> list[Any]:
    return [levels.parts[part] for part in Part]


def _parts(hours: Hours) -> list[tuple[str, str, str]]:
    """Of each part: its name, the sign of its level, and its hours."""
    words = {
        Part.DAY: (_("Day"), "Lday"),
        Part.EVENING: (_("Evening"), "Levening"),
        Part.NIGHT: (_("Night"), "Lnight"),
    }
    ends = [hours.day, hours.evening, hours.night, hours.day]
    return [(*words[part], f"{ends[place]:02}–{ends[place + 1]:02}") for place, part in enumerate(Part)]


def _at_facades(shown: Shown) -> list[str]:
    """R8: the sites of the stretch whose microphone was at a façade; nothing is taken off for it."""
    span = shown.span
    stays = Deployment.objects.filter(
        instrument=shown.instrument, site__placement=Site.Placement.FACADE, start_at__lt=span.end
    ).exclude(end_at__lte=span.start)
    return list(dict.fromkeys(stays.order_by("start_at").values_list("site__name", flat=True)))


def days_csv(request: HttpRequest, slug: str, serial: str) -> HttpResponseBase:
    """The same as CSV: a line for each day, those without a level among them."""
    shown = _shown(request, serial)
    if shown.asked.error:
        return refusal(shown.asked)
    return csv_file(list(_lines(shown)), names=[serial, "days"], window=shown.span)


def _lines(shown: Shown) -> Iterator[str]:
    """Levels in dB; empty below `SHOWN_FROM` percent, and Lden where a part is. Coverage in percent (R9)."""
    write = line_writer()
    signs = [sign for _name, sign, _hours in _parts(shown.hours)]
    names = [name for sign in signs for name in (sign, f"{sign}Hours", f"{sign}Coverage")]
    yield write(["instrument", "date", "timeZone", *names, "Lden", "LAFMax", "validity", "site"])
    told = [hours for _name, _sign, hours in _parts(shown.hours)]
    for day in shown.days:
        cells = [
            cell
            for hours, each in zip(told, _cells(day.levels), strict=True)
            for cell in (_number(each.level), hours, _cut(each.covered))
        ]
        said = shown.judgement(day)
        rest = [_number(day.levels.lden), _number(day.levels.LAFMax), FILE_WORDS.get(said, said)]
        site = "; ".join(shown.stays.during(day.start_at, day.end_at))
        yield write(
            [shown.instrument.serial, day.date.isoformat(), shown.asked.zone.key, *cells, *rest, site]
        )


def _number(value: float | None) -> float | str:
    return "" if value is None else round(value, 2)


def _cut(percent: float) -> float:
    """To one decimal and never upwards, as pages write it (`share`): only what is whole is 100."""
    return math.floor(percent * 10 + 1e-6) / 10
