"""The recordings that MyCirrus holds: their list, and one with its player. The sound itself is views.media's."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render, unchanged
from instruments.access import organisation_for
from monitoring.events.search import NEWEST_FIRST, EventFilter
from monitoring.media.formats import FORMATS
from monitoring.views.happenings import listed
from monitoring.views.media import recording_for


@require_safe
def recordings_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The recordings that MyCirrus holds, newest first; a poll without news costs a 204."""
    asked = EventFilter(request.GET)
    found = listed(
        request,
        rows=asked.recordings(),
        related=["instrument"],
        asked=asked,
        order=NEWEST_FIRST,
        told=lambda row: [row.pk, row.end_at, row.trigger_name, row.instrument.name],
    )
    if found is None:
        return unchanged()
    context = {"organisation": organisation_for(request), **found}
    return render(request, "monitoring/events/recordings.html", context, fragment="recording-list")


@require_safe
def recording_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One recording and its player."""
    context = {
        "organisation": organisation_for(request),
        "recording": recording_for(request, pk),
        "formats": FORMATS,
    }
    return render(request, "monitoring/events/recording.html", context)
