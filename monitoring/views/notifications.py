"""What the signed-in member wants to hear of, when, and in which digest: everybody chooses for themselves."""

from datetime import datetime, time
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cirrusweb.htmx import render
from instruments.access import key_of, organisation_for, person_for
from instruments.models import Membership, Organisation, User
from monitoring.alerts.digests.turns import digest_wish
from monitoring.alerts.forms import NEVER, DigestForm, HoursForm, PlacePreferenceForm
from monitoring.models import (
    AlertDelivery,
    AlertHours,
    AlertKind,
    AlertPreference,
    Digest,
    DigestWish,
    Severity,
)

MOST_SENT = 20


@require_http_methods(["GET", "POST"])
def notifications_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The kinds of alert, one's quiet hours and one's digest, a form for each; below them, what was sent."""
    organisation, now = organisation_for(request), timezone.now()
    membership = request.membership  # type: ignore[attr-defined]
    asked = request.POST.get("form", "kinds") if request.method == "POST" else ""
    hours = AlertHours.objects.filter(membership=membership).first()
    wish = DigestWish.objects.filter(membership=membership).first()
    hours_form = _hours_form(request.POST if asked == "hours" else None, hours, organisation, membership)
    digest_form = _digest_form(request.POST if asked == "digest" else None, wish, hours, organisation)
    place_form = PlacePreferenceForm(request.POST if asked == "place" else None, prefix="place")
    mine = AlertPreference.objects.filter(membership=membership)
    done = ""
    if asked == "hours" and "none" in request.POST:
        AlertHours.objects.filter(membership=membership).delete()
        done = _("Saved. It holds from the next alert on.")
    elif asked == "hours" and hours_form.is_valid():
        hours_form.save()
        done = _("Saved. It holds from the next alert on.")
    elif asked == "digest" and digest_form.is_valid():
        done = _digest_take(digest_form.cleaned_data, organisation, membership, now)
    elif asked == "place" and place_form.is_valid():
        _place_take(place_form.cleaned_data, organisation, membership)
        done = _("Saved. It holds from the next alert on.")
    elif asked == "place-remove" and (row := key_of(request.POST.get("row", ""))):
        mine.filter(pk=row).exclude(instrument=None, site=None).delete()
        done = _("Removed. What you asked for everywhere still holds.")
    elif asked == "kinds":
        _kinds_take(request, organisation, membership)
        done = _("Saved. It holds from the next alert on.")
    if done:
        messages.success(request, done)
        return redirect("monitoring:notifications", slug=slug)
    kinds = dict(mine.filter(instrument=None, site=None).values_list("kind", "minimum"))
    context = {
        "organisation": organisation,
        "kinds": [(kind, "" in kinds or kind in kinds) for kind in AlertKind],
        "red_only": bool(kinds) and Severity.AMBER not in kinds.values(),
        "form": hours_form,
        "hours": hours,
        "place_form": place_form,
        "places": mine.exclude(instrument=None, site=None).select_related("instrument", "site"),
        "digest_form": digest_form,
        "wish": wish,
        "sent": _sent(person_for(request)),
    }
    return render(request, "monitoring/notifications.html", context, status=422 if asked else None)


def _sent(person: User) -> list[AlertDelivery | Digest]:
    """The newest alerts and digests that this person is owed or was sent."""
    alerts = AlertDelivery.objects.filter(recipient=person).select_related("change__incident__instrument")
    digests = Digest.objects.filter(recipient=person)
    owed: list[AlertDelivery | Digest] = [
        *alerts.order_by("-pk")[:MOST_SENT],
        *digests.order_by("-pk")[:MOST_SENT],
    ]
    return sorted(owed, key=_owed_at, reverse=True)[:MOST_SENT]


def _owed_at(mail: AlertDelivery | Digest) -> datetime:
    return mail.asked_at if isinstance(mail, Digest) else mail.change.created_at


def _hours_form(
    data: Any, hours: AlertHours | None, organisation: Organisation, membership: Membership
) -> HoursForm:
    fresh = AlertHours(
        organisation=organisation,
        membership=membership,
        timezone=organisation.timezone,
        quiet_from=time(22),
        quiet_until=time(7),
    )
    return HoursForm(data, instance=hours or fresh)


def _digest_form(
    data: Any, wish: DigestWish | None, hours: AlertHours | None, organisation: Organisation
) -> DigestForm:
    zone = wish.timezone if wish else hours.timezone if hours else organisation.timezone
    initial = {"rhythm": wish.rhythm if wish else NEVER, "hour": wish.hour if wish else 7, "timezone": zone}
    return DigestForm(data, initial=initial, prefix="digest")


def _digest_take(
    asked: dict[str, Any], organisation: Organisation, membership: Membership, now: datetime
) -> str:
    if asked["rhythm"] == NEVER:
        DigestWish.objects.filter(membership=membership).delete()
        return _("Saved. No digest is sent to you.")
    digest_wish(membership=membership, organisation=organisation, now=now, **asked)
    return _("Saved. When the next one comes stands below.")


def _kinds_take(request: HttpRequest, organisation: Organisation, membership: Membership) -> None:
    mine = AlertPreference.objects.filter(membership=membership, instrument=None, site=None)
    wanted = set(request.POST.getlist("kind")) & set(AlertKind.values)
    minimum = Severity.RED if request.POST.get("minimum") == "2" else Severity.AMBER
    mine.exclude(kind__in=wanted).delete()
    mine.update(minimum=minimum)
    AlertPreference.objects.bulk_create(
        [
            AlertPreference(organisation=organisation, membership=membership, kind=kind, minimum=minimum)
            for kind in sorted(wanted)
        ],
        ignore_conflicts=True,
    )


def _place_take(asked: dict[str, Any], organisation: Organisation, membership: Membership) -> None:
    instrument, site = asked["place"]
    AlertPreference.objects.update_or_create(
        organisation=organisation,
        membership=membership,
        kind=asked["kind"],
        instrument=instrument,
        site=site,
        defaults={"minimum": asked["minimum"]},
    )
