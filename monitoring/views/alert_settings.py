"""Maintenance and escalation of one organisation: when nobody is told, and who is told next."""

from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cirrusweb.htmx import render
from instruments.access import key_of, organisation_for, person_for, require_role
from instruments.activity import activity_note
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
    with transaction.atomic():
        done = _done(request, do, maintenance, escalation, now)
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


def _done(
    request: HttpRequest, do: str, maintenance: MaintenanceForm, escalation: EscalationForm, now: datetime
) -> str:
    """Do and note what was asked for; in words what that was, nothing where nothing could be done."""
    row = key_of(request.POST.get("row", ""))
    if do == "maintenance" and maintenance.is_valid():
        _note_maintenance(request, "maintenance_added", maintenance.save())
        return _("Noted. Incidents are recorded and tagged, and nobody is told.")
    if do == "escalation" and escalation.is_valid():
        _note_step(request, "escalation_step_added", escalation.save())
        return _("Saved. It holds from the next incident on.")
    if do == "maintenance-end" and row:
        window = (
            Maintenance.objects.select_related("instrument", "site").filter(pk=row, end_at__gt=now).first()
        )
        if window is not None and window.start_at < now:
            window.end_at = now
            window.save(update_fields=["end_at"])
            _note_maintenance(request, "maintenance_ended", window)
        elif window is not None:
            _note_maintenance(request, "maintenance_removed", window)
            window.delete()
        return _("Ended. What is still open is told within seconds.")
    if do == "escalation-remove" and row:
        step = EscalationStep.objects.select_related("membership__user").filter(pk=row).first()
        if step is not None:
            _note_step(request, "escalation_step_removed", step)
            step.delete()
        return _("Removed.")
    return ""


def _note_maintenance(request: HttpRequest, verb: str, window: Maintenance) -> None:
    organisation = organisation_for(request)
    start, end = (timezone.localtime(at, organisation.zone) for at in (window.start_at, window.end_at))
    activity_note(
        organisation=organisation,
        actor=person_for(request),
        verb=verb,
        subject=str(window.instrument or window.site or organisation),
        detail=f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M} {organisation.timezone}. {window.reason}",
    )


def _note_step(request: HttpRequest, verb: str, step: EscalationStep) -> None:
    told = {"minutes": step.after_minutes, "severity": step.get_minimum_display()}
    activity_note(
        organisation=organisation_for(request),
        actor=person_for(request),
        verb=verb,
        subject=str(step.membership.user),
        detail=_("after %(minutes)s min, from %(severity)s on") % told,
    )
