"""The address that streams an instrument's live levels to a page; it never asks MyCirrus anything itself."""

from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from instruments.access import instrument_for, organisation_for, signed_in_still
from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from monitoring.live.audience import audience
from monitoring.live.refusal import live_refusal
from monitoring.live.stream import Stream
from monitoring.live.watch import GROUPS, Watched
from monitoring.threads import Full

_BUSY_SECONDS = "15"


@require_GET
def live_stream(request: HttpRequest, slug: str, serial: str) -> HttpResponseBase:
    """Server-sent events: `levels`, `status` and `state` objects. ?values=levels,octaves chooses the groups.

    204 where the instrument cannot be watched, which tells a browser not to come again; 503 when too many watch.
    """
    organisation = organisation_for(request)
    instrument = instrument_for(request, serial)
    if live_refusal(instrument, timezone.now()):
        return HttpResponse(status=204)
    asked = request.GET.get("values", "levels").split(",")
    groups = [group for group in GROUPS if group in asked] or ["levels"]
    try:
        viewer = audience().join(Watched(organisation.pk, instrument.serial), groups)
    except Full:
        return HttpResponse(status=503, headers={"Retry-After": _BUSY_SECONDS, "Cache-Control": "no-store"})
    admitted = partial(_admitted, request, viewer.watched)
    stream = Stream(audience(), viewer, admitted, request.META.get("gunicorn.socket"))
    # X-Accel-Buffering: nginx would otherwise keep the events until it has a page of them.
    return StreamingHttpResponse(
        stream,
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _admitted(request: HttpRequest, watched: Watched) -> bool:
    """Whether the view would still let this viewer in. Three statements; opens the scope itself."""
    if not signed_in_still(request, organisation_for(request).slug):
        return False
    with organisation_scope(watched.organisation_id):
        instrument = Instrument.objects.select_related("api_key").filter(serial=watched.serial).first()
        return instrument is not None and not live_refusal(instrument, timezone.now())
