"""How complete the organisation's record is."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from cirrusweb.htmx import render
from instruments.access import organisation_for
from monitoring.models import DoubtReview
from monitoring.record import record_of

# Of the newest reviews of levels in doubt.
REVIEWS = 50


def record_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Each resource with its rows, its history and its gaps; polled while history is still being fetched."""
    organisation = organisation_for(request)
    now = timezone.now()
    record = record_of(now=now)
    context = {
        "organisation": organisation,
        "record": record,
        "reviews": list(DoubtReview.objects.select_related("instrument").order_by("-pk")[:REVIEWS]),
        "ready_at": None if record.left is None else now + record.left,
        "busy": record.total is not None and not record.total.done,
    }
    return render(request, "monitoring/record.html", context, fragment="record-table")
