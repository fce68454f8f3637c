"""The organisation's events: the list with its timeline, and one event with its trace, bands and sound."""

from typing import Any

import orjson
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render, unchanged
from instruments.access import organisation_for
from monitoring.charts.ranges import Window
from monitoring.events.level_trace import TraceTable, band_bars, trace_figure, trace_table
from monitoring.events.search import EventFilter, event_told, neighbours
from monitoring.events.timeline import MOST_DAYS, event_days
from monitoring.export import utc_text
from monitoring.media.fetch import event_history
from monitoring.media.formats import FORMATS
from monitoring.media.refusal import NotFetched
from monitoring.models import Event
from monitoring.templatetags.levels import written
from monitoring.views.files import csv_file, line_writer
from monitoring.views.happenings import is_polled, listed
from monitoring.views.media import event_for
from monitoring.views.tags import tag_context
from monitoring.views.windows import ROWS_PER_PAGE


@require_safe
def events_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The list and its timeline; a poll without news costs a 204."""
    organisation = organisation_for(request)
    asked = EventFilter(request.GET)
    rows = asked.events()
    found = listed(
        request, rows=rows, related=("instrument", "tag"), asked=asked, order=asked.order, told=_told
    )
    if found is None:
        return unchanged()
    context: dict[str, Any] = {"organisation": organisation, **found}
    if is_polled(request):
        return render(request, "monitoring/events/list.html", context, fragment="event-list")
    context |= {"most_days": MOST_DAYS, "hours_of_day": range(24)}
    start, end = asked.period
    if found["before"] is None and found["shown"]:
        context["days"], context["days_cut"] = event_days(rows, start=start, end=end, now=timezone.now())
    return render(request, "monitoring/events/list.html", context, fragment="events-shown")


def _told(event: Event) -> list[Any]:
    return [*event_told(event), event.instrument.name]


@require_safe
def event_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One event: trace, sound, spectrum, tag, and the ones beside it in the list it was opened from."""
    asked = EventFilter(request.GET)
    # Asked for before the event: the list's days are the organisation's, and the event brings its place's clock along.
    rows = asked.events()
    event = event_for(request, pk)
    above, below = neighbours(rows, event, asked.order)
    document = event.document if isinstance(event.document, dict) else {}
    known = {str(name).lower(): value for name, value in document.items()}
    spectra = ((_("Octave bands"), "octave"), (_("Third-octave bands"), "thirdoctave"))
    overall = known.get("overall")
    context = {
        "organisation": organisation_for(request),
        "event": event,
        "above": above,
        "below": below,
        "order": asked.order,
        "query": asked.query,
        "spectra": [(title, drawn) for title, name in spectra if (drawn := band_bars(known.get(name)))],
        "overall": overall if isinstance(overall, list) else [],
        "formats": FORMATS,
        **tag_context(request, event),
    }
    return render(request, "monitoring/events/detail.html", context)


def _trace(event: Event) -> tuple[list[dict[str, Any]], str]:
    """The time history of an event, and why there is none where there is none."""
    series, why = [], _("MyCirrus holds no time history for this event.")
    try:
        series = event_history(event=event)
    except NotFetched as refused:
        if refused.code != "none":
            why = refused.message
    return series, why


def _trace_words(table: TraceTable) -> str:
    """The highest level of each line and when that was, by the clock of where it was measured."""
    told = [
        _("%(name)s at most %(level)s dB, at %(at)s")
        % {"name": name, "level": written(level, 1), "at": f"{timezone.localtime(at):%H:%M:%S (%Z)}"}
        for name, level, at in table.highest()
    ]
    return f"{'; '.join(told)}." if told else ""


@require_safe
def event_trace(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The level trace as the page's chart reads it; why there is none is said in the chart's place."""
    event = event_for(request, pk)
    series, why = _trace(event)
    figure = trace_figure(
        series,
        start=event.start_at,
        end=event.end_at,
        zone=timezone.get_current_timezone_name(),
        label=_("Event"),
        empty=why,
        summary=_trace_words(trace_table(series)),
    )
    return HttpResponse(
        orjson.dumps(figure), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


@require_safe
def event_trace_table(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The same values as a table: without JavaScript, for the ear and for print."""
    event = event_for(request, pk)
    series, why = _trace(event)
    table = trace_table(series)
    most = max(len(table.rows), 1) if "all" in request.GET else ROWS_PER_PAGE
    context = {
        "organisation": organisation_for(request),
        "event": event,
        "names": table.names,
        "page": Paginator(table.rows, most).get_page(request.GET.get("page")),
        "summary": _trace_words(table),
        "why": why,
    }
    return render(request, "monitoring/events/trace.html", context)


@require_safe
def event_trace_csv(request: HttpRequest, slug: str, pk: int) -> HttpResponseBase:
    """The same values as a file, in UTC."""
    event = event_for(request, pk)
    table, write = trace_table(_trace(event)[0]), line_writer()
    head = ["instrument", "startTime", *(f"{name} (dB)" for name in table.names)]
    lines = [write(head), *(write([event.instrument.serial, utc_text(at), *row]) for at, row in table.rows)]
    ends = (table.rows[0][0], table.rows[-1][0]) if table.rows else (event.start_at, event.start_at)
    return csv_file(lines, names=[event.instrument.serial, "event", str(event.pk)], window=Window(*ends))
