"""The public page behind an invitation's link: who is invited where, and the next step, or why there is none."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cirrusweb.htmx import render
from instruments.access import person_for
from instruments.accounts import INVITATION_SESSION_KEY
from instruments.models import Invitation, User
from instruments.models.people import invitation_digest
from instruments.people import (
    InvitationClosed,
    WrongPerson,
    invitation_accept,
    invitation_with,
    is_addressed_to,
)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """One clear page for each of: unknown, used, revoked, run out, another's, to sign in, to sign up, to accept."""
    digest = invitation_digest(token)
    found = invitation_with(digest)
    if found is None:
        return _page(request, "unknown", None, status=404)
    if not found.is_open(timezone.now()):
        return _page(request, _closed_because(found), found, status=410)
    if not request.user.is_authenticated:
        # The digest opens the sign-up; the token itself stays out of the session's row.
        request.session[INVITATION_SESSION_KEY] = digest
        known = User.objects.filter(email__iexact=found.email).exists()
        return _page(request, "sign-in" if known else "sign-up", found)
    if request.method == "POST":
        return _accept(request, found)
    return _page(request, "accept" if is_addressed_to(found, person_for(request)) else "another", found)


def _accept(request: HttpRequest, found: Invitation) -> HttpResponse:
    try:
        membership = invitation_accept(digest=found.digest, user=person_for(request), now=timezone.now())
    except WrongPerson:
        return _page(request, "another", found, status=403)
    except InvitationClosed:
        return _page(request, "used", found, status=410)
    request.session.pop(INVITATION_SESSION_KEY, None)
    organisation = membership.organisation
    messages.success(request, _("Welcome to %(organisation)s.") % {"organisation": organisation.name})
    return redirect("monitoring:fleet", slug=organisation.slug)


def _closed_because(found: Invitation) -> str:
    if found.accepted_at is not None:
        return "used"
    return "revoked" if found.revoked_at is not None else "expired"


def _page(request: HttpRequest, state: str, found: Invitation | None, status: int = 200) -> HttpResponse:
    context = {"state": state, "invitation": found}
    return render(request, "instruments/invitation.html", context, status=status)
