"""A SIC or Identify for several instruments at once: asked once more, then one action for each."""

import uuid
from dataclasses import dataclass

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from cirrusweb.htmx import render
from instruments.access import organisation_for, person_for, require_role
from instruments.models import Instrument, Role
from monitoring.actions.doorbell import ring
from monitoring.actions.forms import ActionForm
from monitoring.actions.refusal import action_refusal, scope_of
from monitoring.actions.requests import ActionRefused, action_request
from monitoring.actions.words import refusal_words
from monitoring.models import ActionKind, InstrumentAction
from monitoring.views.fleet import fleet_address, query_of

# What needs nobody at the instrument and no value of its own: a calibration or a name is asked for one by one.
KINDS = (ActionKind.SIC, ActionKind.IDENTIFY)
MOST = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """One instrument that was chosen, and why it cannot be asked, if so."""

    instrument: Instrument
    refusal: str


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def deed_page(request: HttpRequest, slug: str, kind: ActionKind) -> HttpResponse:
    """Say what will happen to which instruments; then ask each of them that can be asked."""
    serials = request.POST.getlist("chosen") or request.GET.getlist("chosen")
    query = query_of(request.POST.get("query") or request.GET.get("query", "")) or "view=table"
    wanted = _wanted(serials[: MOST + 1], kind)
    able = [each.instrument for each in wanted if not each.refusal]
    form = ActionForm(request.POST or None, instrument=Instrument())
    if request.method == "POST" and form.is_valid() and able and len(wanted) <= MOST:
        refused = _ask(request, able, kind, form)
        _tell(request, len(able) - len(refused), refused)
        return redirect(fleet_address(slug, query))
    context = {
        "organisation": organisation_for(request),
        "kind": kind,
        "query": query,
        "back": fleet_address(slug, query),
        "form": form,
        "wanted": wanted,
        "able": able,
        "most": MOST,
        "too_many": len(wanted) > MOST,
    }
    return render(request, "monitoring/actions/deed.html", context, status=422 if form.errors else None)


def _wanted(serials: list[str], kind: ActionKind) -> list[Wanted]:
    """The instruments of these serials, by name. Two queries, however many they are."""
    rows = list(
        Instrument.objects.select_related("api_key", "status")
        .filter(serial__in=[serial for serial in serials if "\0" not in serial])
        .order_by("name", "serial")
    )
    busy: set[int] = set()
    if kind == ActionKind.SIC:
        checks = (ActionKind.SIC, ActionKind.CALIBRATION)
        busy = set(
            InstrumentAction.objects.open()
            .filter(instrument__in=rows, kind__in=checks)
            .values_list("instrument_id", flat=True)
        )
    now, found = timezone.now(), []
    for row in rows:
        word = action_refusal(instrument=row, kind=kind, now=now) or ("busy" if row.pk in busy else "")
        found.append(Wanted(row, refusal_words(word, scope_of(kind)) if word else ""))
    return found


def _ask(
    request: HttpRequest, instruments: list[Instrument], kind: ActionKind, form: ActionForm
) -> list[str]:
    """One action for each; who could not be asked after all is told."""
    refused = []
    for instrument in instruments:
        # The form's number and the serial: sent twice, it is still one action for each.
        token = uuid.uuid5(form.cleaned_data["token"], instrument.serial)
        try:
            with transaction.atomic():
                action_request(
                    instrument=instrument,
                    kind=kind,
                    actor=person_for(request),
                    token=token,
                    now=timezone.now(),
                    why=form.cleaned_data["why"],
                )
        except ActionRefused as refusal:
            refused.append(f"{instrument}: {refusal.messages[0]}")
    ring()
    return refused


def _tell(request: HttpRequest, asked: int, refused: list[str]) -> None:
    if asked:
        told = ngettext(
            "%(count)s instrument is asked. Its page follows what becomes of it.",
            "%(count)s instruments are asked. Their pages follow what becomes of it.",
            asked,
        )
        messages.success(request, told % {"count": asked})
    for words in refused[:5]:
        messages.error(request, words)
    if len(refused) > 5:
        messages.error(request, _("And %(count)s more could not be asked.") % {"count": len(refused) - 5})
