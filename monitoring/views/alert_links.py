"""What the signed addresses in messages open: a GET only ever shows, for mail scanners open every link."""

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from instruments.models import Membership
from instruments.models.people import people_addressed
from instruments.tenancy import organisation_scope
from monitoring.alerts.handling import HANDLES, incident_acknowledge, incident_comment
from monitoring.alerts.kinds import OF_INSTRUMENTS
from monitoring.alerts.links import DIGEST, INCIDENT_SALT, LASTS, WISH_SALT, Named, named
from monitoring.alerts.words import advice_of, head_of, lines_of
from monitoring.models import AlertKind, AlertPreference, DigestWish, Incident, IncidentChange


def _member(who: Named) -> Membership:
    """The membership, of the organisation in scope, of whom a link was sent to. Raises Http404 for who left."""
    member = (
        Membership.objects.select_related("user", "organisation")
        .filter(user_id=who.user_id, user__is_active=True)
        .first()
    )
    if member is None:
        raise Http404
    return member


@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def alert_link(request: HttpRequest, token: str) -> HttpResponse:
    """An incident for whom the mail was sent to, without signing in: what their role of this moment allows."""
    who = named(token, salt=INCIDENT_SALT, lasts=LASTS)
    if who is None:
        return render(request, "monitoring/alert_link.html", {"expired": True}, status=410)
    with organisation_scope(who.organisation_id):
        member = _member(who)
        person, organisation = str(member.user), member.organisation
        incident = (
            Incident.objects.select_related("instrument", "acknowledged_by")
            .filter(pk=int(who.subject))
            .first()
        )
        if incident is None:
            raise Http404
        incident.organisation = organisation
        zone = incident.zone_at(incident.opened_at)
        with timezone.override(zone), people_addressed(not organisation.is_demo):
            may_handle = member.covers(HANDLES)
            if request.method == "POST" and may_handle:
                now, text = timezone.now(), request.POST.get("text", "").replace("\0", "").strip()
                incident_acknowledge(incident=incident, actor=member.user, now=now)
                if text:
                    incident_comment(incident=incident, text=text, actor=member.user, now=now)
                incident.refresh_from_db()
            newest = (
                IncidentChange.objects.filter(incident=incident, step__in=("opened", "raised", "repeated"))
                .order_by("-pk")
                .first()
            )
            context = {
                "incident": incident,
                "head": head_of(incident),
                "advice": advice_of(incident),
                "lines": lines_of(newest) if newest else [],
                "organisation": organisation,
                "person": person,
                "may_handle": may_handle,
            }
            refused = request.method == "POST" and not may_handle
            return render(request, "monitoring/alert_link.html", context, status=403 if refused else None)


# Mail providers post to it on their own, with neither cookie nor token: the signed address is the proof.
@csrf_exempt
@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def alert_unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Stop one kind of alert, or the digest, for one person: a GET asks, a POST does it (RFC 8058)."""
    who = named(token, salt=WISH_SALT)
    if who is None or who.subject not in (DIGEST, *AlertKind.values):
        return render(request, "monitoring/alert_link.html", {"expired": True}, status=410)
    with organisation_scope(who.organisation_id):
        member = _member(who)
        if request.method == "POST" and who.subject == DIGEST:
            DigestWish.objects.filter(membership=member).delete()
        elif request.method == "POST":
            mine = AlertPreference.objects.filter(membership=member)
            # Whoever asked for everything, here or there, goes on hearing of everything else.
            for everything in mine.filter(kind=""):
                AlertPreference.objects.bulk_create(
                    [
                        AlertPreference(
                            organisation_id=who.organisation_id,
                            membership=member,
                            kind=kind,
                            minimum=everything.minimum,
                            instrument_id=everything.instrument_id,
                            site_id=everything.site_id,
                        )
                        for kind in AlertKind.values
                        if kind != who.subject and (kind in OF_INSTRUMENTS or everything.everywhere)
                    ],
                    ignore_conflicts=True,
                )
                everything.delete()
            mine.filter(kind=who.subject).delete()
        context = {
            "organisation": member.organisation,
            "person": member.user,
            "what": _("The digest") if who.subject == DIGEST else AlertKind(who.subject).label,
            "digest": who.subject == DIGEST,
            "unsubscribed": request.method == "POST",
        }
        return render(request, "monitoring/alert_unsubscribe.html", context)
