"""The charts of an instrument's weather, particulates, gases and vibration: their cards, their data, table and file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from cirrusweb.htmx import render
from instruments.access import instrument_for, organisation_for
from instruments.models import Instrument, Organisation
from instruments.sites import Stays, stays_of
from monitoring.charts.figures import covered, sample_figure
from monitoring.charts.marks import Mark, marks_of
from monitoring.charts.ranges import Window
from monitoring.charts.sample_kinds import KINDS, How, Kind, Panel
from monitoring.charts.samples import SampleSeries, sample_series
from monitoring.export import utc_text
from monitoring.fetching import not_let
from monitoring.models import Resource
from monitoring.sync.wanted import resources_of
from monitoring.templatetags.levels import period, written
from monitoring.vendor_columns import SERIES
from monitoring.views.files import csv_file, line_writer, recorded_lines, refusal
from monitoring.views.levels import answer_json, places_words
from monitoring.views.windows import Asked, rows_page, window_asked


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a card: what `_chart.html` asks for."""

    id: str
    title: Any
    source: str
    # The name of its picture.
    file: str
    # Whether its legend leaves room for a drawing at little height.
    small: bool


@dataclass(frozen=True, slots=True)
class Card:
    """The charts of one kind, under one row of range buttons."""

    name: str
    kind: Kind
    charts: list[Chart]

    @property
    def heading(self) -> str:
        """The id of its heading, to which links lead."""
        return "health-heading" if self.name == Resource.STATS else f"{self.name}-heading"

    @property
    def chart_ids(self) -> str:
        """Which charts its range buttons are for."""
        return " ".join(chart.id for chart in self.charts)


def sample_cards(*, organisation: Organisation, instrument: Instrument) -> list[Card]:
    """A card for each kind of sample that MyCirrus can be asked for of ``instrument``."""
    has = resources_of(instrument)
    cards = []
    for name, kind in KINDS.items():
        if name not in has:
            continue
        source = reverse("monitoring:samples", args=[organisation.slug, instrument.serial, name])
        charts = [
            Chart(
                id=f"{name}-{panel}-chart",
                title=told.title if len(kind.panels) > 1 else kind.title,
                file=f"{instrument.serial}-{name}-{panel}",
                source=f"{source}?panel={panel}",
                small=len(told.quantities) <= 3,
            )
            for panel, told in kind.panels.items()
        ]
        cards.append(Card(str(name), kind, charts))
    return cards


@dataclass(frozen=True, slots=True)
class Shown:
    """What of one kind is drawn, tabled or written: the same numbers in each."""

    instrument: Instrument
    kind: Kind
    asked: Asked
    series: list[SampleSeries]
    stays: Stays

    @property
    def window(self) -> Window:
        """What is asked for."""
        return self.asked.window

    @property
    def places(self) -> str:
        """Where it was measured, in a sentence."""
        return places_words(self.stays, self.window)

    def marks(self) -> list[Mark]:
        """Where the instrument was moved."""
        stretch: Any = {"start": self.window.start, "end": self.window.end, "stays": self.stays}
        return marks_of(instrument=self.instrument, layers=["moves"], **stretch).marks


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise Http404
    return KINDS[name]


def shown_samples(request: HttpRequest, serial: str, kind: Kind, panels: Iterable[Panel]) -> Shown:
    """The quantities of ``panels`` in the range asked for; two queries each, whatever its length."""
    instrument = instrument_for(request, serial)
    asked = window_asked(request, instrument)
    stretch: Any = {"instrument": instrument, "start": asked.window.start, "end": asked.window.end}
    series = [sample_series(kind=kind, panel=panel, now=asked.now, **stretch) for panel in panels]
    return Shown(instrument, kind, asked, series, stays_of(**stretch))


def samples_json(request: HttpRequest, slug: str, serial: str, kind: str) -> HttpResponse:
    """A chart's data for the range asked for, of the kind's ?panel= or its first."""
    told = _kind(kind)
    panel = told.panels.get(request.GET.get("panel", next(iter(told.panels))))
    if panel is None:
        raise Http404
    shown = shown_samples(request, serial, told, [panel])
    if shown.asked.error:
        return answer_json({"error": shown.asked.error}, status=400)
    (series,) = shown.series
    figure = sample_figure(
        series,
        start=shown.window.start,
        end=shown.window.end,
        now=shown.asked.now,
        zone=str(shown.asked.zone),
        summary=" ".join(filter(None, (_summary(series), shown.places if series.count else ""))),
        empty=""
        if series.count
        else not_let(kind, shown.instrument) or _("Nothing was recorded in this range."),
        band=_("{} range"),
        marks=shown.marks(),
    )
    return answer_json(figure)


def samples_table(request: HttpRequest, slug: str, serial: str, kind: str) -> HttpResponse:
    """The charts' values as a table: the same numbers without JavaScript, for the ear and for print."""
    told = _kind(kind)
    shown = shown_samples(request, serial, told, told.panels.values())
    # Its times are told where it was measured, which may be another place than today's.
    timezone.activate(shown.asked.zone)
    marks = shown.marks()
    context: dict[str, Any] = {
        "organisation": organisation_for(request),
        "instrument": shown.instrument,
        "kind": told,
        "name": kind,
        "shown": shown,
        "asked": shown.asked,
        "window": shown.asked.window,
        "lines": [(line, series.panel) for series in shown.series for line in series.lines],
        # The newest is what is asked for first.
        **rows_page(request, [row for row in _rows(shown) if row["measured"]][::-1], shown.asked),
        "bucket_s": shown.series[0].bucket_s,
        "marks": marks[::-1],
    }
    return render(request, "monitoring/samples_table.html", context)


def samples_csv(request: HttpRequest, slug: str, serial: str, kind: str) -> HttpResponseBase:
    """What the charts show as CSV in the vendor's names and UTC; ?rows=recorded gives every stored row."""
    told = _kind(kind)
    recorded = request.GET.get("rows") == "recorded"
    shown = shown_samples(request, serial, told, [] if recorded else told.panels.values())
    if shown.asked.error:
        return refusal(shown.asked)
    if recorded:
        window = shown.asked.window
        lines = recorded_lines(kind, instrument=shown.instrument, window=window)
        return csv_file(lines, names=[serial, kind, "recorded"], window=window)
    return csv_file(_shown_lines(kind, shown, list(_rows(shown))), names=[serial, kind], window=shown.window)


def _rows(shown: Shown) -> Iterator[dict[str, Any]]:
    """A row for each bucket, gaps among them, with a cell for each line: (value, lowest, highest, covered, panel).

    Sensors fail one by one, so each quantity has a coverage of its own. `coverage` is the least and the best of those
    that have a value in the row.
    """
    first, lines = shown.series[0], [(line, each) for each in shown.series for line in each.lines]
    parts = [covered(each, shown.asked.now, line.valid) for line, each in lines]
    for place in range(len(first.valid)):
        at = first.start_at + timedelta(seconds=first.bucket_s * place)
        cells = [
            (line.values[place], line.lower[place], line.upper[place], 100 * part[place], each.panel)
            for (line, each), part in zip(lines, parts, strict=True)
        ]
        told = [cell[3] for cell in cells if cell[0] is not None]
        yield {
            "at": at,
            "cells": cells,
            "measured": bool(told),
            "coverage": (min(told), max(told)) if told else (0.0, 0.0),
            "site": "; ".join(shown.stays.during(at, at + timedelta(seconds=first.bucket_s))),
        }


# What a column of a file adds to the vendor's name; a plain mean adds nothing.
_SUFFIXES = {How.MAXIMUM: "Highest", How.MINIMUM: "Lowest"}


def _shown_lines(name: str, shown: Shown, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Behind each quantity its coverage in percent of the interval (R9), and of a mean with a band the ends before."""
    named = {column: vendors for vendors, column in SERIES[name].columns.items()}
    lines = [(line.quantity, each.panel) for each in shown.series for line in each.lines]
    header = []
    for quantity, panel in lines:
        ends = ("", "Lowest", "Highest") if quantity.spread else (_SUFFIXES.get(quantity.how, ""),)
        unit = f" ({panel.unit})" if panel.unit else ""
        header += [f"{named[quantity.column]}{end}{unit}" for end in ends]
        header.append(f"{named[quantity.column]}Coverage (%)")
    write = line_writer()
    yield write(["instrument", "startTime", "duration", *header, "site"])
    serial, seconds = shown.instrument.serial, shown.series[0].bucket_s
    for row in rows:
        values: list[Any] = []
        for (quantity, _panel), (value, lower, upper, part, panel) in zip(lines, row["cells"], strict=True):
            told = (value, lower, upper) if quantity.spread else (value,)
            values += ["" if each is None else round(each, panel.places + 1) for each in told]
            values.append(round(part, 1))
        yield write([serial, utc_text(row["at"]), seconds, *values, row["site"]])


def _summary(series: SampleSeries) -> str:
    """Of the lines that are shown at first: the whole range's value and the highest, and of how many rows."""
    if not series.count:
        return ""
    places, unit = series.panel.places, str(series.panel.unit)

    def valued(value: float) -> str:
        return f"{written(value, places)} {unit}".strip()

    told = []
    for line in series.lines:
        if line.total is None or not line.quantity.shown:
            continue
        words = {"name": line.quantity.label, "value": valued(line.total)}
        if line.quantity.spread and line.highest is not None:
            words["highest"] = valued(line.highest)
            told.append(_("%(name)s mean %(value)s, highest %(highest)s") % words)
        else:
            told.append(_("%(name)s %(value)s") % words)
    if not told:
        return ""
    values = {"told": "; ".join(told), "count": series.count, "period": period(series.period_s)}
    return _("%(told)s; from %(count)s recorded values (%(period)s).") % values
