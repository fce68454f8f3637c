"""Saved views of the fleet and the columns of its table: plain forms that lead back to the page."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from instruments.access import organisation_for
from instruments.models import Membership
from monitoring.fleet_views import fleet_columns_choose, fleet_view_remove, fleet_view_save
from monitoring.models import FleetView
from monitoring.views.fleet import fleet_address, query_of


def _membership(request: HttpRequest) -> Membership:
    organisation_for(request)
    membership: Membership = request.membership  # type: ignore[attr-defined]
    return membership


def _view(request: HttpRequest, pk: int) -> FleetView:
    view = FleetView.objects.visible_to(_membership(request)).filter(pk=pk).first()
    if view is None:
        # Somebody else's own view is as unknown as none.
        raise Http404
    return view


@require_safe
def view_page(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The address of a saved view, which can be sent to a colleague."""
    return redirect(fleet_address(slug, _view(request, pk).query))


@require_POST
def view_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep what is shown under a name."""
    query = query_of(request.POST.get("query", ""))
    try:
        view = fleet_view_save(
            membership=_membership(request),
            name=request.POST.get("name", ""),
            query=query,
            shared=request.POST.get("shared") == "on",
        )
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, _("The view “%(name)s” is kept.") % {"name": view.name})
    return redirect(fleet_address(slug, query))


@require_POST
def view_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a saved view away."""
    view = _view(request, pk)
    try:
        fleet_view_remove(membership=_membership(request), view=view)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, _("The view “%(name)s” is removed.") % {"name": view.name})
    return redirect(fleet_address(slug, query_of(request.POST.get("query", ""))))


@require_POST
def columns_choose(request: HttpRequest, slug: str) -> HttpResponse:
    """Choose what the table shows oneself."""
    fleet_columns_choose(membership=_membership(request), columns=request.POST.getlist("column"))
    return redirect(fleet_address(slug, query_of(request.POST.get("query", ""))))
