"""The recordings that MyCirrus holds: their list, and one with its player. The sound itself is views.media's."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for
from monitoring.events.search import EventFilter
from monitoring.media.formats import FORMATS
from monitoring.models import AudioRecording
from monitoring.views.activity import entry_before
from monitoring.views.media import recording_for

PER_PAGE = 50


@require_safe
def recordings_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The recordings that MyCirrus holds, newest first; `before` continues below one without counting."""
    organisation = organisation_for(request)
    asked = EventFilter(request.GET)
    rows = asked.recordings()
    key = entry_before(request.GET.get("before", ""))
    if key is not None:
        last = AudioRecording.objects.filter(pk=key).first()
        if last is None:
            raise Http404
        rows = rows.older_than(last)
    found = list(rows.select_related("instrument").newest_first()[: PER_PAGE + 1])
    context = {
        "organisation": organisation,
        "filter": asked,
        "recordings": found[:PER_PAGE],
        "older": found[PER_PAGE - 1].pk if len(found) > PER_PAGE else "",
        "continued": key is not None,
        "query": asked.query,
    }
    return render(request, "monitoring/events/recordings.html", context)


@require_safe
def recording_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One recording and its player."""
    context = {
        "organisation": organisation_for(request),
        "recording": recording_for(request, pk),
        "formats": FORMATS,
    }
    return render(request, "monitoring/events/recording.html", context)
