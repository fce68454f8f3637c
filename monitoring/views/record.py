"""How complete the organisation's record is."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cirrusweb.htmx import render
from instruments.access import organisation_for
from monitoring.models import DoubtReview, Gap, Resource
from monitoring.record import NOT_FETCHED, missing_of, record_of, under_way

# Of the newest reviews of levels in doubt.
REVIEWS = 50
PER_PAGE = 50
KINDS = {**dict(Gap.Kind.choices), NOT_FETCHED: _("Not fetched yet")}


def record_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Each resource with its rows, its history and its gaps; polled while history is still being fetched."""
    organisation = organisation_for(request)
    now = timezone.now()
    record, held = record_of(now=now), under_way(now=now)
    context = {
        "organisation": organisation,
        "record": record,
        "reviews": list(DoubtReview.objects.select_related("instrument").order_by("-pk")[:REVIEWS]),
        "ready_at": None if record.left is None else now + record.left,
        "under_way": held,
        "busy": bool(held) or (record.total is not None and not record.total.done),
    }
    return render(request, "monitoring/record.html", context, fragment="record-table")


def missing_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The stretches of ?resource= that are not stored, the newest first, each with why."""
    organisation, resource = organisation_for(request), request.GET.get("resource", Resource.NOISE)
    if resource not in Resource.values:
        raise Http404
    page = Paginator(missing_of(resource), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "organisation": organisation,
        "resource": Resource(resource),
        "page": page,
        "rows": [(each, KINDS[each["kind"]]) for each in page],
    }
    return render(request, "monitoring/missing.html", context)
