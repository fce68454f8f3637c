"""Maintenance and escalation of one organisation: when nobody is told, and who is told next."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cirrusweb.htmx import render
from instruments.access import key_of, organisation_for, person_for, require_role
from instruments.models import Role
from monitoring.alerts.forms import EscalationForm, MaintenanceForm
from monitoring.models import EscalationStep, Maintenance

_MOST = 50


@require_http_methods(["GET", "POST"])
@require_role(Role.MEMBER)
def alert_settings_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Two lists with a form each; escalation is the admins'."""
    organisation, now = organisation_for(request), timezone.now()
    may_manage = request.membership.covers(Role.ADMIN)  # type: ignore[attr-defined]
    do = request.POST.get("do", "")
    if do.startswith("escalation") and not may_manage:
        raise PermissionDenied
    maintenance = MaintenanceForm(
        request.POST if do == "maintenance" else None,
        instance=Maintenance(organisation=organisation, made_by=person_for(request)),
        now=now,
        prefix="maintenance",
    )
    escalation = EscalationForm(
        request.POST if do == "escalation" else None,
        instance=EscalationStep(organisation=organisation),
        prefix="escalation",
    )
    row = key_of(request.POST.get("row", ""))
    done = ""
    if do == "maintenance" and maintenance.is_valid():
        maintenance.save()
        done = _("Noted. Incidents are recorded and tagged, and nobody is told.")
    elif do == "escalation" and escalation.is_valid():
        escalation.save()
        done = _("Saved. It holds from the next incident on.")
    elif do == "maintenance-end" and row:
        Maintenance.objects.filter(pk=row, end_at__gt=now, start_at__lt=now).update(end_at=now)
        Maintenance.objects.filter(pk=row, start_at__gte=now).delete()
        done = _("Ended. What is still open is told within seconds.")
    elif do == "escalation-remove" and row:
        EscalationStep.objects.filter(pk=row).delete()
        done = _("Removed.")
    if done:
        messages.success(request, done)
        return redirect("monitoring:alert-settings", slug=slug)
    context = {
        "organisation": organisation,
        "maintenance": maintenance,
        "escalation": escalation,
        "windows": Maintenance.objects.select_related("instrument", "site", "made_by")[:_MOST],
        "steps": EscalationStep.objects.select_related("membership__user"),
        "now": now,
        "may_manage": may_manage,
    }
    return render(request, "monitoring/alert_settings.html", context, status=422 if do else None)
