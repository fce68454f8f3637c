"""How events are written: durations, hours of a timeline, and the newest of an instrument for its page."""

from datetime import date, timedelta
from typing import Any

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cirrusweb.htmx import version_of
from instruments.models import Instrument
from monitoring.events.search import event_told, newest_events
from monitoring.events.timeline import Hour
from monitoring.templatetags.levels import written

register = template.Library()


@register.filter
def lasting(duration: timedelta | None) -> str:
    """A length of time to the second: 0.4 s, 12 s, 2 min 5 s, 1 h 3 min."""
    if duration is None:
        return "–"
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 1:
        return _("%(count)s s") % {"count": written(seconds, 1)}
    whole = round(seconds)
    if whole < 60:
        return _("%(count)s s") % {"count": whole}
    if whole < 3600:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": whole // 60, "seconds": whole % 60}
    return _("%(hours)s h %(minutes)s min") % {"hours": whole // 3600, "minutes": whole % 3600 // 60}


@register.filter
def hour_words(hour: Hour) -> str:
    """What one hour of the timeline says: how many, and how loud."""
    told = ngettext("%(count)d event", "%(count)d events", hour.count) % {"count": hour.count}
    if hour.loudest_db is None:
        return told
    return _("%(told)s, loudest %(level)s dB") % {"told": told, "level": written(hour.loudest_db, 1)}


@register.filter
def day_query(on: date, asked: Any) -> str:
    """The filters ``asked`` narrowed to one day, as in an address."""
    return str(asked.query_on(on))


@register.inclusion_tag("monitoring/events/_newest.html", takes_context=True)
def events_panel(context: template.Context, instrument: Instrument) -> dict[str, Any]:
    """The newest events of ``instrument``. One query."""
    newest = newest_events(instrument)
    return {
        "instrument": instrument,
        "newest": newest,
        "version": version_of(*map(event_told, newest)),
        "slug": context["request"].organisation.slug,
    }
