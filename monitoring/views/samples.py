"""The charts of an instrument's weather, particulates, gases and vibration: their cards and their data."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from instruments.access import instrument_for
from instruments.models import Instrument, Organisation
from monitoring.charts.figures import sample_figure
from monitoring.charts.ranges import RANGES
from monitoring.charts.samples import KINDS, Kind, SampleSeries, sample_series
from monitoring.sync.wanted import resources_of
from monitoring.templatetags.levels import period
from monitoring.views.levels import answer_json
from monitoring.views.windows import window_asked

# Buckets are summed from the rows themselves: of longer ranges only the end is drawn, and said to be that.
LONGEST = RANGES["30d"]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a card: what `_chart.html` asks for."""

    id: str
    title: Any
    source: str
    # Whether its legend leaves room for a drawing at little height.
    small: bool


@dataclass(frozen=True, slots=True)
class Card:
    """The charts of one kind, under one row of range buttons."""

    name: str
    kind: Kind
    charts: list[Chart]

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
                title=told.title,
                source=f"{source}?panel={panel}",
                small=len(told.quantities) <= 3,
            )
            for panel, told in kind.panels.items()
        ]
        cards.append(Card(str(name), kind, charts))
    return cards


def samples_json(request: HttpRequest, slug: str, serial: str, kind: str) -> HttpResponse:
    """A chart's data for the range asked for, of the kind's ?panel= or its first."""
    instrument = instrument_for(request, serial)
    if kind not in KINDS:
        raise Http404
    told = KINDS[kind]
    panel = told.panels.get(request.GET.get("panel", next(iter(told.panels))))
    if panel is None:
        raise Http404
    asked = window_asked(request, instrument)
    if asked.error:
        return answer_json({"error": asked.error}, status=400)
    window = asked.window.last(LONGEST)
    series = sample_series(
        instrument=instrument, kind=told, panel=panel, start=window.start, end=window.end, now=asked.now
    )
    summary = _summary(series)
    if window != asked.window:
        summary = f"{_('The last 30 days of the range.')} {summary}".strip()
    figure = sample_figure(
        series,
        start=window.start,
        end=window.end,
        zone=str(asked.zone),
        summary=summary,
        empty=_("Nothing was recorded in this range."),
        band=_("{} range"),
    )
    return answer_json(figure)


def _summary(series: SampleSeries) -> str:
    """Of the lines that are shown at first: the whole range's value and the highest, and of how many rows."""
    if not series.count:
        return ""
    places, unit = series.panel.places, str(series.panel.unit)

    def written(value: float) -> str:
        return f"{number_format(value, places)} {unit}".strip()

    told = []
    for line in series.lines:
        if line.total is None or not line.quantity.shown:
            continue
        words = {"name": line.quantity.label, "value": written(line.total)}
        if line.quantity.spread and line.highest is not None:
            words["highest"] = written(line.highest)
            told.append(_("%(name)s mean %(value)s, highest %(highest)s") % words)
        else:
            told.append(_("%(name)s %(value)s") % words)
    if not told:
        return ""
    values = {"told": "; ".join(told), "count": series.count, "period": period(series.period_s)}
    return _("%(told)s; from %(count)s recorded values (%(period)s).") % values
