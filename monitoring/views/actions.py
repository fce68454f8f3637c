"""Acting on an instrument: asking, confirming, and following what becomes of it. MyCirrus is never called from here."""

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from cirrusweb.htmx import STOP_POLLING, render, unchanged, wants_fragment
from instruments.access import instrument_for, organisation_for, person_for, require_role
from instruments.models import Instrument, Role
from monitoring.actions.doorbell import ring
from monitoring.actions.expectation import last_good_calibration
from monitoring.actions.forms import FORMS, ActionForm
from monitoring.actions.panel import Told, panel_of
from monitoring.actions.refusal import action_refusal, scope_of
from monitoring.actions.requests import ActionRefused, action_request
from monitoring.actions.words import refusal_words
from monitoring.models import ActionKind, InstrumentAction, InstrumentStatus
from monitoring.views.activity import entry_before

PER_PAGE = 50


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def action_page(request: HttpRequest, slug: str, serial: str, kind: ActionKind) -> HttpResponse:
    """Say what will happen and ask for it. A calibration is asked for twice: first prepared, then confirmed."""
    instrument = instrument_for(request, serial)
    if request.method != "POST":
        initial = {"name": instrument.name} if kind == ActionKind.RENAME else {}
        return _page(request, instrument, kind, FORMS[kind](instrument=instrument, initial=initial))
    form = FORMS[kind](request.POST, instrument=instrument)
    if not form.is_valid():
        return _page(request, instrument, kind, form)
    if kind == ActionKind.CALIBRATION and request.POST.get("confirmed") != "yes":
        return _page(request, instrument, kind, form, confirm=True)
    try:
        with transaction.atomic():
            action_request(
                instrument=instrument,
                kind=kind,
                actor=person_for(request),
                now=timezone.now(),
                **form.asked,
            )
            transaction.on_commit(ring)
    except ActionRefused as refusal:
        form.add_error(None, refusal)
        return _page(request, instrument, kind, form)
    page = reverse("monitoring:instrument", kwargs={"slug": slug, "serial": serial})
    return redirect(f"{page}#instrument-actions")


def _page(
    request: HttpRequest, instrument: Instrument, kind: ActionKind, form: ActionForm, *, confirm: bool = False
) -> HttpResponse:
    refusal = action_refusal(instrument=instrument, kind=kind, now=timezone.now())
    context: dict[str, Any] = {
        "organisation": organisation_for(request),
        "instrument": instrument,
        "kind": kind,
        "form": form,
        "confirm": confirm,
        "refusal": refusal_words(refusal, scope_of(kind)) if refusal else "",
        "present": InstrumentStatus.objects.filter(instrument=instrument).first(),
    }
    if kind == ActionKind.CALIBRATION:
        context["expected"] = last_good_calibration(instrument=instrument)
    return render(request, "monitoring/actions/ask.html", context, status=422 if form.errors else None)


@require_safe
@require_role(Role.MEMBER)
def actions_page(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """Every action of one instrument; as a fragment the panel alone, which is polled until nothing is under way."""
    instrument = instrument_for(request, serial)
    panel = panel_of(instrument=instrument, now=timezone.now())
    context: dict[str, Any] = {
        "organisation": organisation_for(request),
        "instrument": instrument,
        "panel": panel,
    }
    if wants_fragment(request):
        if panel.open and request.GET.get("version") == panel.version:
            return unchanged()
        # 286: htmx takes the last piece and asks no more.
        status = None if panel.open else STOP_POLLING
        return render(
            request, "monitoring/actions/list.html", context, fragment="instrument-actions", status=status
        )
    before = entry_before(request.GET.get("before", ""))
    rows = (
        InstrumentAction.objects.filter(instrument=instrument).select_related("requested_by").order_by("-pk")
    )
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = [Told(action) for action in rows[: PER_PAGE + 1]]
    context |= {
        "rows": found[:PER_PAGE],
        "older": found[PER_PAGE - 1].action.pk if len(found) > PER_PAGE else "",
        "continued": before is not None,
    }
    return render(request, "monitoring/actions/list.html", context)
