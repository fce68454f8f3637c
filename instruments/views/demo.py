"""Joining the demo with one click, and leaving it with another."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from instruments.access import person_for
from instruments.demo import demo, demo_join, demo_leave
from instruments.models import Organisation


def _demo() -> Organisation:
    organisation = demo()
    if organisation is None:
        raise Http404
    return organisation


@require_POST
def join(request: HttpRequest) -> HttpResponse:
    """To the demo's fleet."""
    organisation = _demo()
    demo_join(organisation=organisation, user=person_for(request))
    return redirect("monitoring:fleet", slug=organisation.slug)


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Back to one's own organisations."""
    if demo_leave(organisation=_demo(), user=person_for(request)):
        messages.success(request, _("You have left the demo."))
    else:
        messages.info(request, _("Only viewers leave the demo: whoever runs it stays."))
    return redirect("instruments:organisations")
