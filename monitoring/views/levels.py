"""An instrument's levels over a stretch of time: as a chart's data, as a table, and as a file."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from cirrusweb.htmx import render
from instruments.access import instrument_for, instrument_joined, organisation_for
from instruments.models import Instrument
from instruments.sites import Stays, stays_of
from instruments.tenancy import organisation_scope
from monitoring.charts.figures import LINES, PERCENTILE_LINES, covered, level_figure
from monitoring.charts.marks import Marked, Touched, layers_for, marks_of
from monitoring.charts.percentiles import PERCENTILES, recorded_percentiles
from monitoring.charts.ranges import Window
from monitoring.charts.series import LevelSeries, level_series
from monitoring.export import IMPOSSIBLE, columns, csv_value, export_rows, utc_text
from monitoring.fetching import not_let
from monitoring.models import InstrumentStatus, Resource
from monitoring.templatetags.levels import period
from monitoring.views.files import csv_file, line_writer, refusal
from monitoring.views.windows import Asked, rows_page, window_asked

VALUES = ("LAeq", "LAFMax", "LCPeak")


# What is said of an interval, the strongest first, by the marks that say so: the levels in it stay as they are.
JUDGEMENTS = {"suspect": "suspect", "excluded": "exclusions", "reviewed": "reviewed"}
# In a file as on the pages.
FILE_WORDS = {"suspect": "in doubt", "reviewed": "out of doubt"}
# The layers that hold those marks.
JUDGING = ("suspect", "exclusions")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn, tabled or written: the same numbers in each."""

    instrument: Instrument
    asked: Asked
    series: LevelSeries
    # The usual length of a measurement in seconds, where it is known.
    period_s: float | None
    marked: Marked
    stays: Stays

    @property
    def summary(self) -> str:
        """The whole range in a sentence, with what it is made of."""
        series = self.series
        if series.LAeq_total is None:
            return ""
        # R1 and R4: the whole range's LAeq is an energy mean, its maximum a maximum; how much was measured is said too.
        told = {
            "LAeq": f"{series.LAeq_total:.1f}",
            "LAFMax": f"{series.LAFMax_total:.1f}" if series.LAFMax_total is not None else "–",
            "count": series.count,
            "length": period(series.bucket_s),
        }
        words = _("LAeq %(LAeq)s dB, highest LAF,max %(LAFMax)s dB, from %(count)s measurements.") % told
        words = f"{words} {places_words(self.stays, self.asked.window)}".rstrip()
        if series.bucket_s > (self.period_s or 60):
            words += " " + _("Each point covers %(length)s; zoom in for finer ones.") % told
        if self.marked.cut:
            words += " " + _("Only the newest marks of a kind are drawn where there are very many.")
        return words

    def judges(self) -> dict[str, Touched]:
        """What is said of which stretches."""
        return {word: self.marked.touched(layer) for word, layer in JUDGEMENTS.items()}

    def percentiles(self) -> Any:
        """As recorded, by name; empty where a point holds several measurements (R5)."""
        return recorded_percentiles(instrument=self.instrument, series=self.series, period_s=self.period_s)


def places_words(stays: Stays, window: Window) -> str:
    """The sites where it was measured, in a sentence; empty where none is known."""
    places = stays.during(window.start, window.end)
    return _("Measured at %(places)s.") % {"places": ", ".join(places)} if places else ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A line or layer of the chart's legend; `colour` is that of the page's series, 0 for a layer."""

    name: str
    label: Any
    shown: bool
    colour: int = 0
    dash: str = ""
    # A percentile: there where every point is one measurement.
    recorded: bool = False


def legend(request: HttpRequest) -> dict[str, list[Choice]]:
    """The lines and layers for whoever asks, those of ?lines= checked or what is shown at first."""
    chosen = set(request.GET["lines"].split()) if "lines" in request.GET else None

    def shown(name: str, before: bool) -> bool:
        return before if chosen is None else name in chosen

    can_act = request.membership.can_act  # type: ignore[attr-defined]
    return {
        "lines": [
            Choice(name, label, shown(name, before), colour, dash, recorded=name in PERCENTILES)
            for name, label, colour, dash, before in LINES + PERCENTILE_LINES
        ],
        "layers": [Choice(name, title, shown(name, True)) for name, title in layers_for(can_act=can_act)],
    }


# What a chart is made of, and no more: whole rows of an instrument and its present take longer than its levels.
_INSTRUMENT = instrument_joined(
    f'LEFT JOIN "{InstrumentStatus._meta.db_table}" AS present ON present.instrument_id = instrument.id',
    only={
        "instrument": ("id", "organisation_id", "serial", "name"),
        "present": ("instrument_id", "level_seconds"),
    },
    present=InstrumentStatus,
)


def shown_levels(request: HttpRequest, serial: str, *, whole: Collection[str] = ()) -> Shown:
    """The levels that the request asks for, and what is marked beside them for whoever asks."""
    instrument = instrument_for(request, serial, _INSTRUMENT)
    asked = window_asked(request, instrument)
    present: InstrumentStatus | None = instrument.present  # type: ignore[attr-defined]
    period_s = float(present.level_seconds) if present and present.level_seconds else None
    window = asked.window
    series = level_series(
        instrument=instrument, start=window.start, end=window.end, period_s=period_s, now=asked.now
    )
    if series.longest_s > series.bucket_s:
        # The period was changed: in its new one what was measured before would seem to have holes.
        period_s = series.longest_s
        series = level_series(
            instrument=instrument, start=window.start, end=window.end, period_s=period_s, now=asked.now
        )
    can_act = request.membership.can_act  # type: ignore[attr-defined]
    layers = [name for name, _title in layers_for(can_act=can_act)]
    stretch: Any = {"instrument": instrument, "start": window.start, "end": window.end}
    stays = stays_of(**stretch)
    marked = marks_of(**stretch, layers=layers, whole=whole, stays=stays)
    return Shown(instrument, asked, series, period_s, marked, stays)


def answer_json(document: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A chart's data, never kept by anybody on the way."""
    return HttpResponse(
        orjson.dumps(document),
        content_type="application/json",
        status=status,
        headers={"Cache-Control": "no-store"},
    )


def levels_json(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The level chart's data for ?range= or ?from= and ?to=; 400 with a sentence for what is no range."""
    shown = shown_levels(request, serial)
    if shown.asked.error:
        return answer_json({"error": shown.asked.error}, status=400)
    window = shown.asked.window
    figure = level_figure(
        shown.series,
        start=window.start,
        end=window.end,
        now=shown.asked.now,
        zone=str(shown.asked.zone),
        summary=shown.summary,
        empty=""
        if shown.series.count
        else not_let(Resource.NOISE, shown.instrument) or _("No levels were measured in this range."),
        band=_("LAeq, lowest to highest"),
        percentiles=shown.percentiles(),
        period=period(shown.period_s or 60).replace(" ", ""),
        marks=shown.marked.marks,
    )
    return answer_json(figure)


def levels_table(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The chart's values as a table: the same numbers without JavaScript, for the ear and for print."""
    shown = shown_levels(request, serial, whole=JUDGING)
    # Its times are told where the levels were measured, which may be another place than today's.
    timezone.activate(shown.asked.zone)
    # The newest is what is asked for first.
    rows = [row for row in _rows(shown) if row["measured"]][::-1]
    context: dict[str, Any] = {
        "organisation": organisation_for(request),
        "instrument": shown.instrument,
        **rows_page(request, rows, shown.asked),
        "series": shown.series,
        "summary": shown.summary,
        "marks": shown.marked.marks[::-1],
        "moved": any(mark.layer == "moves" for mark in shown.marked.marks),
        "asked": shown.asked,
        "window": shown.asked.window,
        "percentiles": list(shown.percentiles()),
    }
    return render(request, "monitoring/levels_table.html", context)


def _rows(shown: Shown) -> Iterator[dict[str, Any]]:
    """A row for each bucket, gaps among them."""
    series, parts = shown.series, covered(shown.series, shown.asked.now)
    judges = shown.judges()
    percentiles = shown.percentiles()
    for place, part in enumerate(parts):
        at = series.start_at + timedelta(seconds=series.bucket_s * place)
        values = {name: getattr(series, name)[place] for name in VALUES}
        measured = any(value is not None for value in values.values())
        yield {
            "at": at,
            **values,
            "lowest": series.LAeq_min[place],
            "highest": series.LAeq_max[place],
            "recorded": [percentiles[name][place] for name in percentiles],
            "by_name": {name: percentiles[name][place] for name in percentiles},
            "coverage": 100 * part,
            "measured": measured,
            # A point that holds a move belongs to both.
            "site": "; ".join(shown.stays.during(at, at + timedelta(seconds=series.bucket_s))),
            **{word: measured and found.by(at, series.bucket_s) for word, found in judges.items()},
        }


def _judgement(row: dict[str, Any]) -> str:
    """What a file says of one of `_rows`."""
    if not row["measured"]:
        return "missing"
    return next((FILE_WORDS.get(word, word) for word in JUDGEMENTS if row[word]), "valid")


def levels_csv(request: HttpRequest, slug: str, serial: str) -> HttpResponseBase:
    """What the chart shows as CSV in the vendor's names and UTC; ?rows=recorded gives every stored measurement."""
    shown = shown_levels(request, serial, whole=JUDGING)
    if shown.asked.error:
        return refusal(shown.asked)
    recorded = request.GET.get("rows") == "recorded"
    # The rows that are shown are read now: the request's own scope is closed by the time that lines are asked for.
    lines = _recorded_lines(shown) if recorded else _shown_lines(shown, list(_rows(shown)))
    names = [serial, "levels", *(["recorded"] if recorded else [])]
    return csv_file(lines, names=names, window=shown.asked.window)


def _shown_lines(shown: Shown, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Validity: valid, in doubt (R10, R12, R14), excluded (touched by an event set aside), out of doubt (R12's
    exception: a named person took it out) or missing; the table's page tells a reader of it.

    Coverage is in percent of the interval (R9).
    """
    write = line_writer()
    aggregates = [*VALUES, "LAeqLowest", "LAeqHighest"]
    told = ["coverage", "validity", "site"]
    yield write(["instrument", "startTime", "duration", *aggregates, *PERCENTILES, *told])
    serial, seconds = shown.instrument.serial, shown.series.bucket_s
    for row in rows:
        values = [*(row[name] for name in VALUES), row["lowest"], row["highest"]]
        values += [row["by_name"].get(name) for name in PERCENTILES]
        yield write(
            [serial, utc_text(row["at"]), seconds]
            + ["" if value is None else round(value, 2) for value in values]
            + [round(row["coverage"], 1), _judgement(row), row["site"]]
        )


def _recorded_lines(shown: Shown) -> Iterator[str]:
    """Every stored measurement of the stretch with all its values, a page in memory at a time."""
    window, instrument = shown.asked.window, shown.instrument
    write = line_writer()
    names = columns("noise")
    place, flags = names.index("LAeq"), names.index(IMPOSSIBLE)
    judges = shown.judges()
    yield write([*names, "coverage", "validity"])
    with organisation_scope(instrument.organisation_id):
        rows = export_rows(resource="noise", start=window.start, end=window.end, serials=[instrument.serial])
        for row in rows:
            at, seconds = row[1], row[2] or shown.period_s or 60
            measured = row[place] is not None
            said = {word: found.by(at, seconds) for word, found in judges.items()}
            judged = "impossible" if row[flags] else _judgement({**said, "measured": measured})
            yield write([*map(csv_value, row), 100 if measured else 0, judged])
