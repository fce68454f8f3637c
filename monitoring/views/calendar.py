"""The calendar of due dates: a member's own address of it, and what that address answers without signing in."""

import hashlib
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for
from instruments.models import Membership
from instruments.tenancy import organisation_scope
from monitoring.alerts.links import calendar_link, calendar_named
from monitoring.calendar import EVERY, calendar_of
from monitoring.models import CalendarFeed
from monitoring.models.feeds import feed_secret
from monitoring.models.tolerances import tolerances_in_force


@require_http_methods(["GET", "POST"])
def calendar_page(request: HttpRequest, slug: str) -> HttpResponse:
    """One's own address: made, shown, renewed, given up."""
    organisation = organisation_for(request)
    membership: Membership = request.membership  # type: ignore[attr-defined]
    mine = CalendarFeed.objects.filter(membership=membership)
    match request.POST.get("do"):
        case "make":
            CalendarFeed.objects.get_or_create(
                membership=membership, defaults={"organisation": organisation, "made_at": timezone.now()}
            )
            messages.success(request, _("Here is your address. Add it to your calendar program."))
        case "renew":
            mine.update(secret=feed_secret(), made_at=timezone.now())
            messages.success(request, _("A new address. The old one answers no more."))
        case "stop":
            mine.delete()
            messages.success(request, _("The address answers no more."))
        case _:
            feed = mine.first()
            context: dict[str, Any] = {
                "organisation": organisation,
                "feed": feed,
                "tolerances": tolerances_in_force(),
                "can_manage": membership.can_manage,
            }
            if feed is not None:
                address = calendar_link(
                    organisation_id=organisation.pk, user_id=membership.user_id, secret=feed.secret
                )
                # Calendar programs of telephones take up a webcal address by a tap.
                context |= {"address": address, "webcal": "webcal:" + address.partition(":")[2]}
            return render(request, "monitoring/calendar.html", context)
    return redirect("monitoring:checks-calendar", slug=slug)


@login_not_required
@require_safe
def calendar_feed(request: HttpRequest, token: str) -> HttpResponse:
    """The calendar for whoever holds a member's address; 404 to everything else, whatever is wrong with it."""
    named = calendar_named(token)
    if named is None:
        raise Http404
    with organisation_scope(named.organisation_id):
        feed = (
            CalendarFeed.objects.select_related("organisation")
            .filter(membership__user_id=named.user_id, membership__user__is_active=True, secret=named.subject)
            .first()
        )
        if feed is None:
            raise Http404
        body = calendar_of(feed.organisation, now=timezone.now())
    etag = quote_etag(hashlib.sha256(body).hexdigest()[:32])
    response = HttpResponse(body, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = f'inline; filename="calibrations-{feed.organisation.slug}.ics"'
    response["ETag"] = etag
    patch_cache_control(response, private=True, max_age=int(EVERY.total_seconds()) // 6)
    return get_conditional_response(request, etag=etag, response=response) or response
