"""The panel of live levels for the page of one instrument; without a query of its own."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils import timezone

from instruments.models import Instrument
from instruments.mycirrus.live import OCTAVES
from monitoring.live.refusal import live_refusal
from monitoring.models import InstrumentStatus

register = template.Library()


@register.inclusion_tag("monitoring/_live.html", takes_context=True)
def live_panel(context: Any, instrument: Instrument) -> dict[str, Any]:
    """Shows nothing where live levels can never be; says why where they could be but are not."""
    slug = context["request"].organisation.slug
    present: InstrumentStatus | None = getattr(instrument, "status", None)
    return {
        "offline_at": present.offline_told_at if present else None,
        "refusal": live_refusal(instrument, timezone.now()),
        "source": reverse("monitoring:live", kwargs={"slug": slug, "serial": instrument.serial}),
        "name": instrument.name or instrument.serial,
        "bands": list(zip(OCTAVES, [_short(band) for band in OCTAVES], strict=True)),
    }


def _short(band: str) -> str:
    """ "1KHz" as it stands under a bar whose axis says Hz: "1k"."""
    return band.removesuffix("Hz").replace("K", "k")
