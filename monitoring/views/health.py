"""The health of a fleet: what may stop a monitor from measuring, worst first."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from cirrusweb.htmx import render
from instruments.access import organisation_for
from instruments.models import ApiKey, Instrument
from monitoring.flags import flagged
from monitoring.health import VITAL_WORDS, bound_words, fleet_health, health_notices
from monitoring.notices import key_notices
from monitoring.vitals import BOUNDS, Vital

PER_PAGE = 100


def health_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Every monitor that tells of itself; ?vital= leaves those that have trouble with it. Polled each minute."""
    organisation = organisation_for(request)
    now = timezone.now()
    monitors = fleet_health(now=now)
    asked = request.GET.get("vital", "")
    vital = asked if asked in Vital.__members__.values() else ""
    shown = [each for each in monitors if each.concerned(vital)] if vital else monitors
    keys = list(ApiKey.objects.usable())
    can_manage = request.membership.can_manage  # type: ignore[attr-defined]
    context = {
        "organisation": organisation,
        "page": Paginator(shown, PER_PAGE).get_page(request.GET.get("page")),
        "notices": key_notices(keys, now=now, slug=slug, can_manage=can_manage) + health_notices(monitors),
        "vital": vital,
        "vitals": [(name, words, vital == name) for name, words in VITAL_WORDS.items()],
        "bounds": [
            (VITAL_WORDS[name], bound_words(name, limits.watch), bound_words(name, limits.act))
            for name, limits in BOUNDS.items()
        ],
        "total": len(monitors),
        "silent": Instrument.objects.present().count() - len(monitors),
        "flagged": flagged(),
        "query": f"vital={vital}" if vital else "",
    }
    return render(request, "monitoring/health.html", context, fragment="health-table")
