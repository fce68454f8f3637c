"""The pages of rules: what is watched, and the editor that rehearses a rule before it can be saved."""

import json
from typing import Any

from django.contrib import messages
from django.core import signing
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for, person_for, require_role
from instruments.activity import activity_note
from instruments.models import Instrument, Role, Site
from monitoring.alerts.kinds import KINDS
from monitoring.alerts.presets import PRESETS
from monitoring.alerts.rehearsal import DAYS, rehearse
from monitoring.alerts.rule_forms import RuleForm, rule_initial
from monitoring.alerts.rules import Draft, rule_pause, rule_remove, rule_resume, rule_save
from monitoring.alerts.versions import Told, versions_told
from monitoring.models import AlertKind, AlertRule, AlertRuleVersion

_SALT = "monitoring.alerts.rehearsed"
# Of the lives that a rehearsal found, and of the versions, as many are listed.
MOST_LISTED = 20


@require_safe
def alert_rules_page(request: HttpRequest, slug: str) -> HttpResponse:
    """What is watched, by kind, and what could be."""
    rules = list(AlertRule.objects.filter(removed_at=None))
    versions = {
        version.rule_id: version
        for version in AlertRuleVersion.objects.filter(current=True, rule__in=rules).select_related("made_by")
    }
    watched = {rule.kind for rule in rules}
    context = {
        "organisation": organisation_for(request),
        "rules": [(rule, versions.get(rule.pk)) for rule in rules],
        "kinds": [(kind.kind, kind.kind in watched) for kind in KINDS.values()],
        "presets": PRESETS.values(),
    }
    return render(request, "monitoring/alert_rules.html", context)


def rule_for(request: HttpRequest, pk: int) -> AlertRule:
    """The rule of the organisation in the path. Raises Http404."""
    organisation_for(request)
    try:
        return AlertRule.objects.get(pk=pk, removed_at=None)
    except (AlertRule.DoesNotExist, OverflowError):
        raise Http404 from None


@require_http_methods(["GET", "POST"])
@require_role(Role.ADMIN)
def alert_rule_add(request: HttpRequest, slug: str) -> HttpResponse:
    """A new rule of a kind, from nothing or from a preset."""
    kind = request.GET.get("kind", AlertKind.LEVEL)
    if kind not in KINDS:
        raise Http404
    preset = PRESETS.get(request.GET.get("preset", "")) if kind == AlertKind.LEVEL else None
    initial = rule_initial(KINDS[kind].standard or {}, name=AlertKind(kind).label)
    if preset is not None:
        initial = rule_initial(preset.settings, name=str(preset.name))
    return _editor(request, kind, None, initial, preset.source if preset else KINDS[kind].source)


@require_http_methods(["GET", "POST"])
@require_role(Role.ADMIN)
def alert_rule_page(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change a rule: its next version."""
    rule = rule_for(request, pk)
    version = AlertRuleVersion.objects.filter(rule=rule, current=True).first()
    initial = rule_initial(
        version.settings if version else {},
        name=rule.name,
        serials=version.serials if version else [],
        sites=version.sites if version else [],
    )
    return _editor(request, rule.kind, rule, initial, version.source if version else "")


def _editor(
    request: HttpRequest, kind: str, rule: AlertRule | None, initial: dict[str, Any], source: str
) -> HttpResponse:
    organisation, now = organisation_for(request), timezone.now()
    form = RuleForm(
        kind,
        request.POST or None,
        initial=initial,
        instruments=list(Instrument.objects.present().with_deployment(now)),
        sites=list(Site.objects.all()),
    )
    rehearsal, rehearsed = None, ""
    if request.method == "POST" and form.is_valid():
        draft = form.draft(source)
        rehearsed = _seal(organisation.pk, draft)
        if request.POST.get("do") == "save" and request.POST.get("rehearsed") == rehearsed:
            with transaction.atomic():
                saved = rule_save(draft=draft, rule=rule, actor=person_for(request), now=now)
                _note(request, "alert_rule_saved", saved)
            messages.success(request, _("Saved. It judges from now on."))
            return redirect("monitoring:alert-rules", slug=organisation.slug)
        rehearsal = rehearse(draft=draft, now=now)
    context = {
        "organisation": organisation,
        "kind": AlertKind(kind),
        "rule": rule,
        "form": form,
        "source": source,
        "days": DAYS,
        "rehearsal": rehearsal,
        "listed": rehearsal.lives[:MOST_LISTED] if rehearsal else [],
        "rehearsed": rehearsed,
        "versions": _versions(rule) if rule else [],
    }
    invalid = request.method == "POST" and not form.is_valid()
    return render(request, "monitoring/alert_rule.html", context, status=422 if invalid else None)


def _versions(rule: AlertRule) -> list[Told]:
    # One more than is shown, for the last to be compared with.
    versions = AlertRuleVersion.objects.filter(rule=rule).select_related("made_by")[: MOST_LISTED + 1]
    sites = {site.pk: site.name for site in Site.objects.all()}
    return versions_told(rule.kind, list(versions), sites=sites)[:MOST_LISTED]


def _seal(organisation_id: int, draft: Draft) -> str:
    """What was rehearsed, so that nothing else is saved than what was shown."""
    said = [draft.kind, draft.name, draft.settings, list(draft.serials), list(draft.sites)]
    return signing.Signer(salt=_SALT).signature(f"{organisation_id}:{json.dumps(said, sort_keys=True)}")


@require_POST
@require_role(Role.ADMIN)
def alert_rule_switch(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Pause a rule, let it go on, or take it out of use."""
    rule, now = rule_for(request, pk), timezone.now()
    with transaction.atomic():
        match request.POST.get("do"):
            case "pause":
                if rule_pause(rule=rule, now=now):
                    _note(request, "alert_rule_paused", rule)
                messages.success(
                    request, _("Paused. What it had open is closed, and whoever was told of it hears so.")
                )
            case "resume":
                if rule_resume(rule=rule, actor=person_for(request), now=now):
                    _note(request, "alert_rule_resumed", rule)
                messages.success(request, _("It judges again."))
            case "remove":
                if rule_remove(rule=rule, now=now):
                    _note(request, "alert_rule_removed", rule)
                messages.success(
                    request,
                    _("Taken out of use. What it had open is closed, and whoever was told of it hears so."),
                )
    return redirect("monitoring:alert-rules", slug=slug)


def _note(request: HttpRequest, verb: str, rule: AlertRule) -> None:
    activity_note(
        organisation=organisation_for(request), actor=person_for(request), verb=verb, subject=rule.name
    )
