"""The page of what is registered with MyCirrus, and the wishes to register and to compare; the work is a task's."""

from functools import partial

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from cirrusweb.htmx import render, unchanged, wants_fragment
from instruments.access import organisation_for, person_for, require_role
from instruments.activity import activity_note
from instruments.models import Organisation, Role
from webhooks.addresses import address_is_deliverable, address_is_registrable
from webhooks.coverage import MOST_FOREIGN, foreign, instruments_page, lines_of, stamp, totals
from webhooks.doorbell import ring_registrations
from webhooks.messages import KINDS
from webhooks.models import Registration, Subscription
from webhooks.notices import registrations_in_use, webhook_notices
from webhooks.schedule import registrations_ask
from webhooks.silence import silent_webhooks

_TONES = {
    Registration.Outcome.OK: "good",
    Registration.Outcome.NEVER: "muted",
    Registration.Outcome.TRANSIENT: "muted",
}


@require_safe
@require_role(Role.VIEWER)
def registration(request: HttpRequest, slug: str) -> HttpResponse:
    """Every instrument's webhooks, those that lack the most first; asked again by itself while work goes on."""
    now, organisation = timezone.now(), organisation_for(request)
    registrations = registrations_in_use()
    registrable = address_is_registrable()
    page = instruments_page(request.GET.get("page"))
    lines = lines_of(list(page), registrations=registrations, registrable=registrable)
    counts, silent = totals(), silent_webhooks(now=now)
    working = any(row.working(now) for row in registrations)
    shown = {
        "page": page.number,
        "lines": [(line.instrument.pk, line.placed, line.why, line.known) for line in lines],
        "totals": counts,
        "silent": silent,
    }
    seen = stamp(shown, registrations, now)
    if wants_fragment(request) and request.GET.get("seen") == seen:
        return unchanged()
    manages = request.membership.can_manage  # type: ignore[attr-defined]
    return render(
        request,
        "webhooks/registration.html",
        {
            "page": page,
            "lines": lines,
            "kinds": len(KINDS),
            "totals": counts,
            "silent": silent,
            "foreign": foreign(),
            "most_foreign": MOST_FOREIGN,
            "retired": Subscription.objects.filter(state=Subscription.State.RETIRED)
            .exclude(message="")
            .first(),
            "keys": [
                (row, _TONES.get(Registration.Outcome(row.outcome), "warn"), row.working(now))
                for row in registrations
            ],
            "notices": webhook_notices(
                organisation=organisation,
                now=now,
                can_manage=manages,
                registrations=registrations,
                silent=silent,
            ),
            "working": working,
            "stamp": seen,
            "can_manage": manages,
            "registrable": registrable,
            "deliverable": address_is_deliverable(),
        },
        fragment="registration",
    )


@require_POST
@require_role(Role.ADMIN)
def registration_start(request: HttpRequest, slug: str) -> HttpResponse:
    """Have every message type of every instrument registered now."""
    if not address_is_registrable():
        messages.error(request, _("MyCirrus sends to https addresses only: nothing was registered."))
    elif _ask(request, creates=True):
        messages.success(request, _("The webhooks are being registered."))
    else:
        messages.error(request, _("There is no key in use to register webhooks with."))
    return redirect("webhooks:registration", slug=slug)


@require_POST
@require_role(Role.ADMIN)
def registration_compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Have what is known here compared with MyCirrus now."""
    if _ask(request, creates=False):
        messages.success(request, _("The webhooks are being compared with MyCirrus."))
    else:
        messages.error(request, _("There is no key in use to ask MyCirrus with."))
    return redirect("webhooks:registration", slug=slug)


@transaction.atomic
def _ask(request: HttpRequest, *, creates: bool) -> list[int]:
    organisation = organisation_for(request)
    found = registrations_ask(now=timezone.now(), creates=creates)
    if found and creates:
        activity_note(
            organisation=organisation,
            actor=person_for(request),
            verb="webhooks_registration_asked",
            subject="",
        )
    transaction.on_commit(partial(ring_registrations, organisation.pk, *found))
    return found


def ring_due(organisation: Organisation) -> None:
    """Have taken up soon what a verb has just made due for the organisation in scope."""
    due = Registration.objects.due(timezone.now()).values_list("pk", flat=True)
    transaction.on_commit(partial(ring_registrations, organisation.pk, *due))
