"""The panel of actions for the page of one instrument; whether the person may act is asked of the membership here."""

from typing import Any

from django import template
from django.utils import timezone

from instruments.models import Instrument
from monitoring.actions.panel import panel_of

register = template.Library()


@register.inclusion_tag("monitoring/_actions.html", takes_context=True)
def actions_panel(context: Any, instrument: Instrument) -> dict[str, Any]:
    """Shows nothing to those who may not act."""
    request = context["request"]
    if not request.membership.can_act:
        return {}
    return {"panel": panel_of(instrument=instrument, now=timezone.now()), "request": request}
