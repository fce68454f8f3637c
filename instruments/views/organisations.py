"""Choosing, making and setting up an organisation."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import yesno
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for, person_for, require_role
from instruments.activity import activity_note
from instruments.demo import demo
from instruments.forms import OrganisationForm, SettingsForm
from instruments.models import Membership, Organisation, Role
from instruments.organisations import organisation_create

# Where anybody may sign up, one person must not fill the installation.
MOST_OWNED = 10


def _may_create(request: HttpRequest) -> bool:
    return settings.SIGN_UP_OPEN or person_for(request).is_superuser


def _demo_to_join(memberships: list[Membership]) -> Organisation | None:
    there = demo()
    joined = there is not None and any(each.organisation_id == there.pk for each in memberships)
    return None if joined else there


@require_safe
def organisations(request: HttpRequest) -> HttpResponse:
    """The start: straight to the fleet of somebody's only organisation, else a choice, or what to do without any.

    ``?all`` shows the choice even of one.
    """
    memberships = list(request.memberships)  # type: ignore[attr-defined]
    if len(memberships) == 1 and "all" not in request.GET:
        return redirect("monitoring:fleet", slug=memberships[0].organisation.slug)
    context = {
        "memberships": memberships,
        "demo": _demo_to_join(memberships),
        "may_create": _may_create(request),
    }
    return render(request, "instruments/organisations.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def organisation_new(request: HttpRequest) -> HttpResponse:
    """The operator, or anybody where sign-up is open, makes an organisation and is its first owner."""
    if not _may_create(request):
        raise PermissionDenied
    form = OrganisationForm(request.POST or None)
    memberships = list(request.memberships)  # type: ignore[attr-defined]
    owned = sum(membership.role == Role.OWNER for membership in memberships)
    if request.method == "POST" and owned >= MOST_OWNED and not person_for(request).is_superuser:
        form.add_error(
            None,
            _("You own %(most)d organisations already, and more is the operator's to make.")
            % {"most": MOST_OWNED},
        )
    if request.method == "POST" and form.is_valid():
        organisation = organisation_create(**form.cleaned_data, owner=person_for(request))
        messages.success(request, _("%(name)s is there. Add its MyCirrus key.") % {"name": organisation.name})
        return redirect("start", slug=organisation.slug)
    status = 422 if form.errors else None
    return render(request, "instruments/organisation_create.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def organisation_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Name, time zone, the hours of day, evening and night, webhooks."""
    organisation = organisation_for(request)
    before = {name: getattr(organisation, name) for name in SettingsForm.Meta.fields}
    form = SettingsForm(request.POST or None, instance=organisation)
    if request.method == "POST" and form.is_valid():
        changed = [
            f"{form.fields[name].label}: {_said(name, before[name])} → {_said(name, getattr(organisation, name))}"
            for name in form.changed_data
        ]
        with transaction.atomic():
            organisation.save(update_fields=form.Meta.fields)
            if changed:
                activity_note(
                    organisation=organisation,
                    actor=person_for(request),
                    verb="organisation_changed",
                    subject=organisation.name,
                    detail="; ".join(changed),
                )
        messages.success(request, _("Saved."))
        return redirect("instruments:organisation-settings", slug=organisation.slug)
    if form.errors:
        # The form has written into it, and the page's header shows it.
        organisation.refresh_from_db()
    status = 422 if form.errors else None
    return render(request, "instruments/organisation_settings.html", {"form": form}, status=status)


def _said(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(yesno(value))
    choices = Organisation._meta.get_field(name).flatchoices  # type: ignore[union-attr]
    return str(dict(choices).get(value, value))
