"""The organisation's events: the list with its timeline, and one event with its trace, bands and sound."""

from collections.abc import Sequence
from typing import Any

import orjson
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render, unchanged, wants_fragment
from instruments.access import key_of, organisation_for
from monitoring.events.level_trace import band_bars, trace_figure
from monitoring.events.search import (
    EventFilter,
    event_page,
    events_shown,
    events_since,
    events_version,
    neighbours,
)
from monitoring.events.timeline import MOST_DAYS, event_days
from monitoring.media.fetch import event_history
from monitoring.media.formats import FORMATS
from monitoring.media.refusal import NotFetched
from monitoring.models import Event
from monitoring.views.activity import entry_before
from monitoring.views.media import event_for
from monitoring.views.tags import tag_context

PER_PAGE = 50
# More news than this is told as "more than".
MOST_NEWS = 100


@require_safe
def events_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The list and its timeline; `before` continues below an event without counting.

    A poll names the events that it shows: they stay where they are, and what is new is told above them.
    """
    organisation = organisation_for(request)
    before = _before(request)
    asked = EventFilter(request.GET)
    rows = asked.events()
    if wants_fragment(request) and "version" in request.GET:
        return _renewed(request, asked, rows, before)
    found = event_page(rows, before=before, most=PER_PAGE + 1)
    start, end = asked.period
    context: dict[str, Any] = {
        "organisation": organisation,
        "filter": asked,
        **_list(found[:PER_PAGE], asked, before, goes_on=len(found) > PER_PAGE),
        "most_days": MOST_DAYS,
        "hours_of_day": range(24),
    }
    if before is None and found:
        context["days"], context["days_cut"] = event_days(rows, start=start, end=end, now=timezone.now())
    return render(request, "monitoring/events/list.html", context, fragment="events-shown")


def _renewed(request: HttpRequest, asked: EventFilter, rows: Any, before: Event | None) -> HttpResponse:
    keys = [key_of(each) for each in request.GET.get("shown", "").split(",")[:PER_PAGE]]
    shown, goes_on = events_shown(keys), "on" in request.GET
    news = events_since(rows, shown=shown, before=before, full=goes_on, most=MOST_NEWS)
    context = _list(shown, asked, before, goes_on=goes_on, news=news)
    if request.GET["version"] == context["version"]:
        return unchanged()
    context |= {"organisation": organisation_for(request), "filter": asked}
    return render(request, "monitoring/events/list.html", context, fragment="event-list")


def _list(
    events: Sequence[Event], asked: EventFilter, before: Event | None, *, goes_on: bool, news: int = 0
) -> dict[str, Any]:
    polled = QueryDict(asked.query, mutable=True)
    version = events_version(events, news, *(event.instrument.name for event in events))
    polled.update({"shown": ",".join(str(event.pk) for event in events), "version": version})
    if before is not None:
        polled["before"] = str(before.pk)
    if goes_on:
        polled["on"] = "1"
    return {
        "events": events,
        "older": events[-1].pk if goes_on and events else "",
        "continued": before is not None,
        "query": asked.query,
        "news": news,
        "most_news": MOST_NEWS,
        "version": version,
        "before": before,
        "poll_query": polled.urlencode(safe=","),
    }


def _before(request: HttpRequest) -> Event | None:
    key = entry_before(request.GET.get("before", ""))
    if key is None:
        return None
    event = Event.objects.filter(pk=key).first()
    if event is None:
        raise Http404
    return event


@require_safe
def event_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One event: trace, sound, spectrum, tag, and the ones beside it in the list it was opened from."""
    asked = EventFilter(request.GET)
    # Asked for before the event: the list's days are the organisation's, and the event brings its place's clock along.
    listed = asked.events()
    event = event_for(request, pk)
    newer, older = neighbours(listed, event)
    document = event.document if isinstance(event.document, dict) else {}
    known = {str(name).lower(): value for name, value in document.items()}
    spectra = ((_("Octave bands"), "octave"), (_("Third-octave bands"), "thirdoctave"))
    overall = known.get("overall")
    context = {
        "organisation": organisation_for(request),
        "event": event,
        "newer": newer,
        "older": older,
        "query": asked.query,
        "spectra": [(title, drawn) for title, name in spectra if (drawn := band_bars(known.get(name)))],
        "overall": overall if isinstance(overall, list) else [],
        "formats": FORMATS,
        **tag_context(request, event),
    }
    return render(request, "monitoring/events/detail.html", context)


@require_safe
def event_trace(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The level trace as the page's chart reads it; why there is none is said in the chart's place."""
    event = event_for(request, pk)
    series, why = [], _("MyCirrus holds no time history for this event.")
    try:
        series = event_history(event=event)
    except NotFetched as refused:
        if refused.code != "none":
            why = refused.message
    figure = trace_figure(
        series,
        start=event.start_at,
        end=event.end_at,
        zone=timezone.get_current_timezone_name(),
        label=_("Event"),
        empty=why,
    )
    return HttpResponse(
        orjson.dumps(figure), content_type="application/json", headers={"Cache-Control": "no-store"}
    )
