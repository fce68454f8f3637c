"""The inbox page, one delivery in full, and its replay; what a message means is decided elsewhere."""

from dataclasses import replace
from functools import partial

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from cirrusweb.htmx import render, unchanged, wants_fragment
from instruments.access import organisation_for, person_for, require_role
from instruments.activity import activity_note
from instruments.models import Instrument, Role
from webhooks.addresses import address_is_deliverable, hook_address
from webhooks.doorbell import ring
from webhooks.inbox import LEGACY, PAGE, Wanted, page_of
from webhooks.messages import KINDS, readable
from webhooks.models import Delivery, Refusal
from webhooks.notices import webhook_notices
from webhooks.processing import MOST_REPLAYED, deliveries_replay, delivery_replay


@require_safe
@require_role(Role.VIEWER)
def inbox(request: HttpRequest, slug: str) -> HttpResponse:
    """What arrived, newest first; a poll that finds the same as before costs a 204."""
    wanted = Wanted.of(request.GET)
    page = page_of(wanted)
    now = timezone.now()
    refusals = list(Refusal.objects.recent(now))
    stamp = page.stamp(refusals)
    if wants_fragment(request) and request.GET.get("seen") == stamp:
        return unchanged()
    organisation = organisation_for(request)
    serials = {delivery.serial for delivery in page.deliveries}
    manages = request.membership.can_manage  # type: ignore[attr-defined]
    wanted = replace(wanted, choosing=wanted.choosing and manages)
    return render(
        request,
        "webhooks/inbox.html",
        {
            "page": page,
            "wanted": wanted,
            "live_query": replace(wanted, choosing=False).query,
            "stamp": stamp,
            "refusals": refusals,
            "known": set(Instrument.objects.filter(serial__in=serials).values_list("serial", flat=True)),
            "kinds": [*((kind, kind) for kind in KINDS), (LEGACY, _("Legacy notification"))],
            "states": Delivery.State.choices,
            "can_manage": manages,
            # The address is the key to the inbox: only those who may change it see it.
            "address": hook_address(organisation) if manages else "",
            "address_label": _("address"),
            "deliverable": address_is_deliverable(),
            # Beside the list, not in it: a poll for news of the list does not ask for them.
            "notices": []
            if wants_fragment(request)
            else webhook_notices(organisation=organisation, now=now, can_manage=manages),
        },
        fragment="deliveries",
    )


@require_safe
@require_role(Role.ADMIN)
def delivery_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One delivery with its raw body."""
    delivery = _delivery(pk)
    return render(
        request,
        "webhooks/delivery.html",
        {"delivery": delivery, "body": readable(bytes(delivery.body)), "size": len(delivery.body)},
    )


@require_POST
@require_role(Role.ADMIN)
def delivery_again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Have one delivery processed once more."""
    delivery = _delivery(pk)
    if delivery_replay(delivery=delivery, now=timezone.now()):
        _noted(request, 1)
        transaction.on_commit(partial(ring, delivery.organisation_id, delivery.pk))
        messages.success(request, _("The delivery is processed once more."))
    else:
        messages.info(request, _("The delivery is waiting to be processed already."))
    return redirect("webhooks:delivery-detail", slug=slug, pk=pk)


@require_POST
@require_role(Role.ADMIN)
def deliveries_again(request: HttpRequest, slug: str) -> HttpResponse:
    """Have the ticked deliveries processed once more, or every failed one that the filters let through."""
    wanted = Wanted.of(request.POST)
    if request.POST.get("what") == "failed":
        chosen = wanted.matching().filter(state=Delivery.State.FAILED)
    else:
        ticked = [
            pk for pk in request.POST.getlist("delivery") if pk.isascii() and pk.isdigit() and len(pk) < 19
        ]
        chosen = Delivery.objects.filter(pk__in=ticked[:PAGE])
    found = deliveries_replay(deliveries=chosen, now=timezone.now())
    if found:
        _noted(request, len(found))
    # The rest is found by the tick, fairly beside what arrives.
    for organisation_id, pk in found[:PAGE]:
        transaction.on_commit(partial(ring, organisation_id, pk))
    if not found:
        messages.info(request, _("No delivery was chosen that is not waiting already."))
    else:
        text = ngettext(
            "%d delivery is processed once more.", "%d deliveries are processed once more.", len(found)
        )
        more = " " + _("There are more: ask again for those.") if len(found) == MOST_REPLAYED else ""
        messages.success(request, text % len(found) + more)
    address = reverse("webhooks:inbox", args=[slug])
    query = replace(wanted, choosing=False).query
    return redirect(f"{address}?{query}" if query else address)


def _noted(request: HttpRequest, count: int) -> None:
    activity_note(
        organisation=organisation_for(request),
        actor=person_for(request),
        verb="webhook_deliveries_replayed",
        subject=str(count),
    )


def _delivery(pk: int) -> Delivery:
    try:
        return Delivery.objects.get(pk=pk)
    except Delivery.DoesNotExist:
        raise Http404 from None
