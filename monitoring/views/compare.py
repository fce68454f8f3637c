"""Instruments side by side, and one instrument now against before, at an address that can be sent to a colleague."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cirrusweb.htmx import render
from instruments.access import organisation_for, place_activate
from instruments.models import Instrument
from instruments.sites import stays_of
from monitoring.charts.comparison import BEFORE, MOST, Compared, compared_instruments, compared_periods
from monitoring.charts.figures import comparison_figure, covered
from monitoring.export import utc_text
from monitoring.models import InstrumentStatus
from monitoring.templatetags.levels import share, written
from monitoring.views.files import csv_file, line_writer, refusal
from monitoring.views.levels import answer_json
from monitoring.views.windows import Asked, window_asked

VALUES = {"LAeq": "LAeq", "LAFMax": "LAF,max", "LCPeak": "LC,peak"}
BEFORE_WORDS = {
    "1d": gettext_lazy("the day before"),
    "7d": gettext_lazy("the week before"),
    "28d": gettext_lazy("four weeks before"),
    "364d": gettext_lazy("52 weeks before"),
}
FOUND = 8
# MyCirrus may leave the type out; noise monitors are what it was made for.
_NOISE = Q(type="") | Q(type=Instrument.Kind.NOISE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, in which value, over which stretch."""

    chosen: list[Instrument]
    value: str
    # "" compares instruments, else the name of how far back the other stretch of the first one lies.
    before: str
    asked: Asked

    def query(self, **changes: Any) -> str:
        """Its address with these changes: i (serials), value, before."""
        serials = changes.get("i", [each.serial for each in self.chosen])
        pairs = [("i", serial) for serial in serials]
        pairs += [("value", changes.get("value", self.value))]
        before = changes.get("before", self.before)
        pairs += [("before", before)] if before else []
        return urlencode(pairs)

    def lines(self) -> list[Compared]:
        """The levels; two queries for each line whatever their length."""
        if not self.chosen:
            return []
        known = InstrumentStatus.objects.filter(instrument__in=self.chosen).values_list(
            "level_seconds", flat=True
        )
        period_s = float(max((seconds for seconds in known if seconds), default=60))
        common: Any = {"window": self.asked.window, "period_s": period_s, "now": self.asked.now}
        if not self.before:
            return compared_instruments(instruments=self.chosen, **common)
        return compared_periods(
            instrument=self.chosen[0], days=BEFORE[self.before], zone=self.asked.zone, **common
        )

    def name(self, line: Compared) -> str:
        """What a line is called: its instrument, or its stretch where there is only one instrument."""
        if not self.before:
            return line.instrument.name or line.instrument.serial
        start, end = (timezone.localtime(at, self.asked.zone) for at in (line.window.start, line.window.end))
        return f"{date_format(start, 'j M Y')} – {date_format(end, 'j M Y')}"


def comparison_asked(request: HttpRequest) -> Comparison:
    """What the address asks for; serials that are nobody's here are left out."""
    serials = [serial for serial in dict.fromkeys(request.GET.getlist("i")) if "\0" not in serial]
    rows = Instrument.objects.filter(_NOISE, serial__in=serials[:MOST])
    held = {each.serial: each for each in rows}
    value = request.GET.get("value", "LAeq")
    before = request.GET.get("before", "")
    chosen = [held[serial] for serial in serials if serial in held]
    if chosen:
        place_activate(request, chosen[0], timezone.now())
    # Of the first, where it stood then: a local clock is needed, and there is one axis.
    asked = window_asked(request, chosen[0] if chosen else None, keep=("i", "value", "before"))
    timezone.activate(asked.zone)
    return Comparison(
        chosen=chosen,
        value=value if value in VALUES else "LAeq",
        before=before if before in BEFORE else "",
        asked=asked,
    )


def _found(request: HttpRequest, comparison: Comparison) -> tuple[str, list[Instrument]]:
    """What the search finds beside those that are compared already; without words, the first by name."""
    text = request.GET.get("text", "").replace("\0", "").strip()
    if len(comparison.chosen) >= MOST:
        return text, []
    rows = Instrument.objects.present().filter(_NOISE)
    rows = rows.exclude(pk__in=[each.pk for each in comparison.chosen]).order_by("name", "serial")
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(serial__icontains=text))
    return text, list(rows[:FOUND])


def compare_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Up to four instruments on one axis, or one against an earlier stretch; the totals follow the chart."""
    organisation = organisation_for(request)
    comparison = comparison_asked(request)
    text, found = _found(request, comparison)
    serials = [each.serial for each in comparison.chosen]
    window = comparison.asked.window
    context = {
        "organisation": organisation,
        "comparison": comparison,
        "asked": comparison.asked,
        "window": window,
        "chosen": [
            (each, comparison.query(i=[serial for serial in serials if serial != each.serial]))
            for each in comparison.chosen
        ],
        "found": [(each, comparison.query(i=[*serials, each.serial])) for each in found],
        "text": text,
        "values": [(value, words, comparison.query(value=value)) for value, words in VALUES.items()],
        "befores": [("", _("instruments"), comparison.query(before=""))]
        + [(name, words, comparison.query(before=name)) for name, words in BEFORE_WORDS.items()],
        "totals": _totals(comparison),
        "value_words": VALUES[comparison.value],
        "source": f"{reverse('monitoring:compare-json', args=[slug])}?{comparison.query()}",
        "csv": f"{reverse('monitoring:compare-csv', args=[slug])}?{comparison.query()}&",
        "most": MOST,
    }
    return render(request, "monitoring/compare.html", context, fragment="compare-totals")


def _totals(comparison: Comparison) -> list[dict[str, Any]]:
    """Each line in numbers: the energy mean of the stretch, the maxima, and how much of it was measured (R9)."""
    return [{"name": comparison.name(line), "line": line} for line in comparison.lines()]


def compare_json(request: HttpRequest, slug: str) -> HttpResponse:
    """The chart's data."""
    comparison = comparison_asked(request)
    if comparison.asked.error:
        return answer_json({"error": comparison.asked.error}, status=400)
    lines = comparison.lines()
    window = comparison.asked.window
    figure = comparison_figure(
        [
            (
                comparison.name(line),
                line.x,
                getattr(line.series, comparison.value),
                covered(line.series, comparison.asked.now),
            )
            for line in lines
        ],
        start=window.start,
        end=window.end,
        bucket_s=lines[0].series.bucket_s if lines else None,
        zone=str(comparison.asked.zone),
        summary=_summary(comparison, lines),
        empty=_("No levels were measured in this range.")
        if lines
        else _("Choose an instrument to begin with."),
    )
    return answer_json(figure)


def compare_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Every line as CSV in the vendor's names and UTC, one below the other, each at the time it was measured at."""
    comparison = comparison_asked(request)
    if comparison.asked.error:
        return refusal(comparison.asked)
    rows = [row for line in comparison.lines() for row in _rows(line, comparison.asked.now)]
    write = line_writer()
    head = write(["instrument", "startTime", "duration", *VALUES, "coverage", "site"])
    names = ["compare", *(each.serial for each in comparison.chosen)]
    return csv_file([head, *map(write, rows)], names=names, window=comparison.asked.window)


def _rows(line: Compared, now: datetime) -> Iterator[list[Any]]:
    """A row for each point of a line; coverage is in percent of it (R9). One query."""
    series, window = line.series, line.window
    stays = stays_of(instrument=line.instrument, start=window.start, end=window.end)
    for place, part in enumerate(covered(series, now)):
        at = series.start_at + timedelta(seconds=series.bucket_s * place)
        levels = [getattr(series, value)[place] for value in VALUES]
        yield [
            line.instrument.serial,
            utc_text(at),
            series.bucket_s,
            *("" if level is None else round(level, 2) for level in levels),
            round(100 * part, 1),
            "; ".join(stays.during(at, at + timedelta(seconds=series.bucket_s))),
        ]


def _summary(comparison: Comparison, lines: list[Compared]) -> str:
    told = []
    for line in lines:
        if line.series.LAeq_total is None:
            continue
        words = {
            "name": comparison.name(line),
            "level": written(line.series.LAeq_total, 1),
            "covered": share(line.series.coverage_pct),
        }
        told.append(_("%(name)s: LAeq %(level)s dB (%(covered)s %% covered)") % words)
    return "; ".join(told)
