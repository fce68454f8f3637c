"""The pages of alerts: what is open, worst first, what was, one incident with all its numbers, and what people do."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from cirrusweb.htmx import render
from instruments.access import key_of, organisation_for, person_for, require_role
from instruments.models import Instrument, Membership
from monitoring.alerts.handling import (
    HANDLES,
    incident_acknowledge,
    incident_assign,
    incident_cause,
    incident_close_by_hand,
    incident_comment,
)
from monitoring.alerts.words import advice_of, head_of, lines_of, standing_of, state_of
from monitoring.models import (
    AlertDelivery,
    AlertKind,
    AlertRule,
    Incident,
    IncidentChange,
    IncidentSubject,
    Severity,
)

PER_PAGE = 50
TONES = {Severity.RED: "bad", Severity.AMBER: "warn", Severity.CLEAR: "good"}


@require_safe
def alerts_page(request: HttpRequest, slug: str) -> HttpResponse:
    """What is open, worst first, or the history; filtered by kind, severity and instrument."""
    organisation = organisation_for(request)
    history = request.GET.get("view") == "history"
    incidents = Incident.objects.select_related("instrument", "assigned_to", "acknowledged_by")
    kind, severity = request.GET.get("kind", ""), request.GET.get("severity", "")
    text = request.GET.get("text", "").strip()[:100].replace("\0", "")
    if kind in AlertKind.values:
        incidents = incidents.filter(kind=kind)
    if severity in ("1", "2"):
        incidents = incidents.filter(worst=int(severity))
    if text:
        found = Instrument.objects.filter(serial__icontains=text) | Instrument.objects.filter(
            name__icontains=text
        )
        touched = IncidentSubject.objects.filter(instrument__in=found.values("pk"))
        incidents = incidents.filter(pk__in=touched.values("incident_id")) | incidents.filter(
            title__icontains=text
        )
    if history:
        incidents = incidents.exclude(closed_at=None).order_by("-closed_at", "-pk")
    else:
        incidents = incidents.open().order_by("-severity", "acknowledged_at", "-opened_at", "-pk")
    page = Paginator(incidents, PER_PAGE).get_page(request.GET.get("page"))
    subjects: dict[int, list[Instrument]] = {}
    for subject in IncidentSubject.objects.filter(
        incident__in=[incident.pk for incident in page]
    ).select_related("instrument"):
        subjects.setdefault(subject.incident_id, []).append(subject.instrument)
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "organisation": organisation,
        "rows": [
            {
                "incident": incident,
                "head": head_of(incident),
                "tone": TONES[Severity(incident.severity if not history else incident.worst)],
                "instruments": subjects.get(incident.pk, []),
            }
            for incident in page
        ],
        "page": page,
        "query": query.urlencode(),
        "history": history,
        "kinds": AlertKind.choices,
        "kind": kind,
        "severity": severity,
        "text": text,
        "filtered": bool(kind or severity or text),
        "rules": AlertRule.objects.filter(removed_at=None).count(),
    }
    return render(request, "monitoring/alerts.html", context, fragment="alerts-list")


def incident_for(request: HttpRequest, pk: int) -> Incident:
    """The incident of the organisation in the path. Raises Http404.

    Times are told as its messages tell them from here on, in the zone of the place.
    """
    organisation = organisation_for(request)
    try:
        incident = Incident.objects.select_related(
            "instrument__status", "version__rule", "version__made_by", "assigned_to", "acknowledged_by"
        ).get(pk=pk)
    except (Incident.DoesNotExist, OverflowError):
        raise Http404 from None
    incident.organisation = organisation
    timezone.activate(incident.zone_at(incident.opened_at))
    return incident


def timeline(incident: Incident) -> list[dict[str, Any]]:
    """Every step with its numbers and who was told of it, when, with what answer. Two queries."""
    told: dict[int, list[AlertDelivery]] = {}
    for delivery in AlertDelivery.objects.filter(change__incident=incident).select_related(
        "recipient", "target"
    ):
        told.setdefault(delivery.change_id, []).append(delivery)
    steps = (
        IncidentChange.objects.filter(incident=incident).select_related("actor").order_by("created_at", "pk")
    )
    return [
        {
            "change": change,
            "state": state_of(change),
            "lines": lines_of(change),
            "tone": TONES[Severity(change.severity)],
            "told": told.get(change.pk, []),
            "cause": Incident.CauseCode(change.facts["code"]).label
            if change.step == change.Step.CAUSE
            else "",
        }
        for change in steps
    ]


@require_safe
def incident_page(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One incident: how it stands, its numbers, the rule's version, its timeline, and what can be done."""
    incident = incident_for(request, pk)
    steps = timeline(incident)
    context = {
        "organisation": organisation_for(request),
        "incident": incident,
        "head": head_of(incident),
        "advice": advice_of(incident),
        "tone": TONES[Severity(incident.severity)] if incident.closed_at is None else "muted",
        "steps": steps,
        "standing": standing_of(incident, [each["change"] for each in steps], timezone.now()),
        "present": getattr(incident.instrument, "status", None),
        "subjects": IncidentSubject.objects.filter(incident=incident).select_related("instrument"),
        "members": Membership.objects.select_related("user").order_by("user__email"),
        "causes": Incident.CauseCode.choices,
    }
    return render(request, "monitoring/incident.html", context)


def handle(request: HttpRequest, incident: Incident, now: datetime) -> str:
    """Do what the form asks; the words of what was done, empty where nothing was."""
    actor, text = person_for(request), request.POST.get("text", "").replace("\0", "").strip()
    match request.POST.get("do"):
        case "acknowledge":
            incident_acknowledge(incident=incident, actor=actor, now=now)
            return _("Acknowledged. Nobody is reminded any more.")
        case "assign":
            member = Membership.objects.filter(pk=key_of(request.POST.get("member", ""))).first()
            incident_assign(incident=incident, member=member, actor=actor, now=now)
            return _("Assigned.") if member else _("Assigned to nobody.")
        case "comment" if text:
            incident_comment(incident=incident, text=text, actor=actor, now=now)
            return _("Noted.")
        case "cause" if request.POST.get("code", "") in Incident.CauseCode.values:
            incident_cause(incident=incident, code=request.POST["code"], actor=actor, now=now)
            return _("The cause is noted.")
        case "close":
            incident_close_by_hand(incident=incident, text=text, actor=actor, now=now)
            return _("Closed.")
    return ""


@require_POST
@require_role(HANDLES)
def incident_handle(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One wish of a person about one incident."""
    done = handle(request, incident_for(request, pk), timezone.now())
    if done:
        messages.success(request, done)
    else:
        messages.error(request, _("Nothing was done: write something, or choose one."))
    return redirect("monitoring:incident", slug=slug, pk=pk)
