"""Time history in fine steps: asking for a stretch, following how it comes, looking at it and taking it home."""

from datetime import UTC
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cirrusweb.htmx import STOP_POLLING, render, unchanged, wants_fragment
from instruments.access import instrument_for, organisation_for, person_for, place_activate, require_role
from instruments.models import Role
from monitoring.models import TimeHistoryRequest
from monitoring.timehistory.doorbell import ring
from monitoring.timehistory.forms import TimeHistoryForm
from monitoring.timehistory.reading import csv_lines, history_figure
from monitoring.timehistory.requests import history_remove, history_request

# Older ones have expired, or are beyond what anybody looks for.
SHOWN = 50


def history_for(request: HttpRequest, pk: int) -> TimeHistoryRequest:
    """A request of the organisation in the path. Raises Http404.

    Times are told in the zone of where its instrument stood when it begins from here on.
    """
    organisation_for(request)
    # Beyond what the column holds a database would answer with an error.
    found = (
        TimeHistoryRequest.objects.select_related("instrument", "requested_by", "organisation")
        .filter(pk=pk)
        .first()
        if pk < 2**63
        else None
    )
    if found is None:
        raise Http404
    place_activate(request, found.instrument, found.start_at)
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def histories_page(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """What was asked for of one instrument, and, for members, the form to ask for more."""
    organisation, instrument = organisation_for(request), instrument_for(request, serial)
    may_ask = request.membership.covers(Role.MEMBER)  # type: ignore[attr-defined]
    now = timezone.now()
    form = TimeHistoryForm(initial=TimeHistoryForm.beginning(now, request.GET))
    if request.method == "POST":
        form = TimeHistoryForm(request.POST)
        if not may_ask:
            form.add_error(None, _("Members ask for time histories; you may look at what they asked for."))
        if form.is_valid():
            try:
                with transaction.atomic():
                    made = history_request(
                        instrument=instrument, actor=person_for(request), now=now, **form.cleaned_data
                    )
                    transaction.on_commit(ring)
            except ValidationError as refused:
                form.add_error(None, refused)
            else:
                return redirect("monitoring:history-detail", slug=slug, pk=made.pk)
    rows = TimeHistoryRequest.objects.filter(instrument=instrument).select_related("requested_by")
    context: dict[str, Any] = {
        "organisation": organisation,
        "instrument": instrument,
        "form": form,
        "may_ask": may_ask and instrument.measures_noise,
        "rows": rows.order_by("-pk")[:SHOWN],
    }
    status = 422 if form.errors else None
    return render(request, "monitoring/timehistory/list.html", context, status=status)


@require_safe
def history_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One request: its progress, polled until it ends, then its chart and its file."""
    history = history_for(request, pk)
    version = f"{history.state}.{history.fetched_until.timestamp()}.{history.message}"
    if wants_fragment(request) and request.GET.get("version") == version:
        return unchanged()
    context = {
        "organisation": organisation_for(request),
        "history": history,
        "instrument": history.instrument,
        "version": version,
        "can_remove": request.membership.covers(Role.MEMBER),  # type: ignore[attr-defined]
    }
    # 286: htmx takes the last piece and asks no more.
    status = STOP_POLLING if wants_fragment(request) and not history.is_open else None
    return render(
        request, "monitoring/timehistory/detail.html", context, fragment="history-progress", status=status
    )


@require_safe
def history_json(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The chart's data of what has come so far."""
    history = history_for(request, pk)
    figure = history_figure(
        history,
        zone=timezone.get_current_timezone_name(),
        summary="",
        empty=_("Nothing has come yet.") if history.is_open else _("MyCirrus has nothing in this stretch."),
    )
    return HttpResponse(
        orjson.dumps(figure), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


@require_safe
def history_csv(request: HttpRequest, slug: str, pk: int) -> StreamingHttpResponse:
    """Every sample as a line of CSV, in UTC."""
    history = history_for(request, pk)
    response = StreamingHttpResponse(csv_lines(history), content_type="text/csv; charset=utf-8")
    start = history.start_at.astimezone(UTC)
    name = f"{history.instrument.serial} {history.kind} {start:%Y-%m-%d %H-%M}Z.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@require_role(Role.MEMBER)
def history_remove_page(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Cancel what is being fetched, or let go of what has ended."""
    history = history_for(request, pk)
    serial, was_open = history.instrument.serial, history.is_open
    history_remove(request=history, actor=person_for(request), now=timezone.now())
    if was_open:
        return redirect("monitoring:history-detail", slug=slug, pk=pk)
    return redirect("monitoring:histories", slug=slug, serial=serial)
