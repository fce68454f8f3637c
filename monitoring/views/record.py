"""How complete the organisation's record is."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cirrusweb.htmx import render
from instruments.access import organisation_for
from monitoring.models import DoubtReview, Gap, Resource, UnreadRow
from monitoring.record import NOT_FETCHED, missing_of, record_of, under_way

# Of the newest reviews of levels in doubt.
REVIEWS = 50
PER_PAGE = 50
# Of the newest documents that are not understood; an export has them all.
UNREAD = 20
KINDS = {**dict(Gap.Kind.choices), NOT_FETCHED: _("Not fetched yet")}


def record_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Each resource with its rows, its history and its gaps; polled, more often while something is fetched."""
    organisation = organisation_for(request)
    now = timezone.now()
    record, held = record_of(now=now), under_way(now=now)
    context = {
        "organisation": organisation,
        "record": record,
        "reviews": list(DoubtReview.objects.select_related("instrument").order_by("-pk")[:REVIEWS]),
        "ready_at": None if record.left is None else now + record.left,
        "under_way": held,
        "troubled": sum(1 for each in record.held if each.not_allowed or each.failing),
        "busy": bool(held) or (record.total is not None and not record.total.done),
    }
    return render(request, "monitoring/record.html", context, fragment="record-table")


def missing_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The stretches of ?resource= that are not stored, the newest first, each with why."""
    organisation, resource = organisation_for(request), request.GET.get("resource", Resource.NOISE)
    if resource not in Resource.values:
        raise Http404
    page = Paginator(missing_of(resource, now=timezone.now()), PER_PAGE).get_page(request.GET.get("page"))
    unread = UnreadRow.objects.filter(resource=resource).select_related("instrument")
    context = {
        "organisation": organisation,
        "resource": Resource(resource),
        "page": page,
        "rows": [(each, KINDS[each["kind"]]) for each in page],
        "unread": [] if page.number > 1 else list(unread.order_by("-found_at", "-pk")[:UNREAD]),
        "unread_count": unread.count(),
    }
    return render(request, "monitoring/missing.html", context)
