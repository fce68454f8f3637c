"""Tolerances in force, laboratory certificates, and the organisation's calibrators."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for, person_for, require_role
from instruments.activity import activity_note
from instruments.models import Role
from monitoring.check_standings import sic_limits_refresh
from monitoring.forms import CalibratorForm, CertificateForm, TolerancesForm
from monitoring.models import Calibrator, Certificate
from monitoring.models.tolerances import tolerances_in_force

PER_PAGE = 50


@require_safe
def tolerances_page(request: HttpRequest, slug: str) -> HttpResponse:
    """What checks are held to, for everybody to read."""
    return _tolerances(request, TolerancesForm(instance=tolerances_in_force()))


def _tolerances(request: HttpRequest, form: TolerancesForm) -> HttpResponse:
    context = {
        "organisation": organisation_for(request),
        "form": form,
        "can_manage": request.membership.can_manage,  # type: ignore[attr-defined]
    }
    return render(request, "monitoring/tolerances.html", context, status=422 if form.errors else None)


@require_POST
@require_role(Role.ADMIN)
def tolerances_change(request: HttpRequest, slug: str) -> HttpResponse:
    """Change it; the activity log keeps from what to what."""
    organisation, held = organisation_for(request), tolerances_in_force()
    before = {name: getattr(held, name) for name in TolerancesForm.Meta.fields}
    form = TolerancesForm(request.POST, instance=held)
    if not form.is_valid():
        return _tolerances(request, form)
    with transaction.atomic():
        held.organisation = organisation
        held.save()
        if "sic_db" in form.changed_data:
            sic_limits_refresh()
        changed = [
            f"{form.fields[name].label}: {before[name]} → {getattr(held, name)}" for name in form.changed_data
        ]
        if changed:
            activity_note(
                organisation=organisation,
                actor=person_for(request),
                verb="tolerances_changed",
                subject=organisation.name,
                detail="; ".join(changed),
            )
    messages.success(request, _("Saved. The boards hold the checks to it from now on."))
    return redirect("monitoring:checks-tolerances", slug=slug)


@require_safe
def certificates_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Every certificate, of those in force the first to run out first, and the calibrators."""
    organisation = organisation_for(request)
    return render(request, "monitoring/certificates.html", _certificates(request, organisation))


def _certificates(request: HttpRequest, organisation: Any, **more: Any) -> dict[str, Any]:
    today = timezone.localdate()
    # An older certificate is no longer in force, however long it would have been good for.
    newer = Certificate.objects.filter(
        Q(instrument=OuterRef("instrument")) | Q(calibrator=OuterRef("calibrator")),
        Q(issued_on__gt=OuterRef("issued_on")) | Q(issued_on=OuterRef("issued_on"), pk__gt=OuterRef("pk")),
    )
    rows = (
        Certificate.objects.select_related("instrument", "calibrator")
        .annotate(is_replaced=Exists(newer))
        .order_by("is_replaced", "due_on", "pk")
    )
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return {
        "organisation": organisation,
        "page": page,
        "rows": [(row, row.is_overdue(today)) for row in page],
        "calibrators": list(Calibrator.objects.all()),
        "can_act": request.membership.can_act,  # type: ignore[attr-defined]
        "calibrator_form": CalibratorForm(),
        **more,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def certificate_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Record a laboratory certificate; ``?of=`` names the instrument by its serial number."""
    organisation = organisation_for(request)
    form = CertificateForm(
        request.POST if request.method == "POST" else None,
        instance=Certificate(organisation=organisation),
        tolerances=tolerances_in_force(),
        initial={"instrument": request.GET.get("of", "").replace("\0", "")},
    )
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            row = form.save()
            _note(request, "certificate_added", row)
        messages.success(request, _("Recorded: %(certificate)s.") % {"certificate": row})
        return redirect("monitoring:checks-certificates", slug=slug)
    context = {"organisation": organisation, "form": form}
    return render(request, "monitoring/certificate_add.html", context, status=422 if form.errors else None)


@require_POST
@require_role(Role.MEMBER)
def certificate_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take back a certificate that was entered by mistake; the activity log keeps that it was there."""
    organisation_for(request)
    row = Certificate.objects.select_related("instrument", "calibrator").filter(pk=pk).first()
    if row is None:
        raise Http404
    with transaction.atomic():
        _note(request, "certificate_removed", row)
        row.delete()
    messages.success(request, _("Removed. The activity log keeps that it was there."))
    return redirect("monitoring:checks-certificates", slug=slug)


@require_POST
@require_role(Role.MEMBER)
def calibrator_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a calibrator, so that its certificates can be recorded."""
    organisation = organisation_for(request)
    form = CalibratorForm(request.POST, instance=Calibrator(organisation=organisation))
    if not form.is_valid():
        context = _certificates(request, organisation, calibrator_form=form)
        return render(request, "monitoring/certificates.html", context, status=422)
    with transaction.atomic():
        made = form.save()
        activity_note(
            organisation=organisation, actor=person_for(request), verb="calibrator_added", subject=str(made)
        )
    messages.success(request, _("Added: %(calibrator)s.") % {"calibrator": made})
    return redirect("monitoring:checks-certificates", slug=slug)


def _note(request: HttpRequest, verb: str, row: Certificate) -> None:
    activity_note(
        organisation=organisation_for(request),
        actor=person_for(request),
        verb=verb,
        subject=str(row.instrument or row.calibrator),
        detail=f"{row}, {row.issued_on} – {row.due_on}",
    )
