"""Tagging an event, and the organisation's list of causes; the rules are monitoring.events.tags'."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from cirrusweb.htmx import render, wants_fragment
from instruments.access import organisation_for, person_for, require_role
from instruments.models import Role
from monitoring.events.search import EventFilter
from monitoring.events.tags import MOST_CAUSES, cause_names, causes_set, event_tag
from monitoring.models import Event
from monitoring.views.media import event_for

# As many causes as there are digits to press.
KEYS = "123456789"


def tag_context(request: HttpRequest, event: Event, problem: str = "") -> dict[str, Any]:
    """What the panel of tags shows of ``event``."""
    names = cause_names()
    tag = getattr(event, "tag", None)
    if tag is not None and tag.cause and tag.cause not in names:
        names.append(tag.cause)
    return {
        "tag": tag,
        "causes": [(name, KEYS[place : place + 1]) for place, name in enumerate(names)],
        "problem": problem,
        "can_tag": request.membership.covers(Role.MEMBER),  # type: ignore[attr-defined]
    }


@require_POST
@require_role(Role.MEMBER)
def tag_event(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Set what the form names: cause, comment or excluded. Answers with the panel, or back to the event's page."""
    event = event_for(request, pk)
    excluded = request.POST.get("excluded")
    problem = ""
    try:
        event_tag(
            event=event,
            actor=person_for(request),
            now=timezone.now(),
            cause=request.POST.get("cause"),
            comment=request.POST.get("comment"),
            excluded=None if excluded is None else excluded == "yes",
        )
    except ValidationError as refused:
        problem = " ".join(refused.messages)
    query = EventFilter(request.GET).query
    if not wants_fragment(request):
        if problem:
            messages.error(request, problem)
        page = reverse("monitoring:event-detail", kwargs={"slug": slug, "pk": event.pk})
        return redirect(f"{page}?{query}#event-tag" if query else f"{page}#event-tag")
    event = event_for(request, pk)
    context = {
        "organisation": organisation_for(request),
        "event": event,
        "query": query,
        **tag_context(request, event, problem),
    }
    return render(
        request,
        "monitoring/events/detail.html",
        context,
        fragment="event-tag",
        status=422 if problem else None,
    )


class CausesForm(forms.Form):
    """The list of causes, one a line."""

    names = forms.CharField(
        label=gettext_lazy("Causes"),
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text=gettext_lazy(
            "One a line, the most frequent first: the first nine can be chosen with the keys 1 to 9. "
            "Events keep the cause that they have when it is taken off the list."
        ),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def causes_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The organisation's list of causes, to be edited as lines of text."""
    organisation = organisation_for(request)
    form = CausesForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if form.is_valid():
            try:
                causes_set(
                    organisation=organisation,
                    names=form.cleaned_data["names"].splitlines(),
                    actor=person_for(request),
                )
            except ValidationError as refused:
                form.add_error("names", refused)
            else:
                return redirect("monitoring:events", slug=slug)
    else:
        form.initial = {"names": "\n".join(cause_names())}
    context = {"organisation": organisation, "form": form, "most": MOST_CAUSES}
    return render(request, "monitoring/events/causes.html", context, status=422 if form.errors else None)
