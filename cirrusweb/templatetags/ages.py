"""Ages, in the very words that app.js keeps them growing with, so that nothing on the page jumps; and days."""

from datetime import datetime
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

register = template.Library()


# Minutes, hours and days are few: a page of a fleet tells hundreds of ages in a handful of words.
@lru_cache(maxsize=2_000)
def _words(count: int, unit: str, past: bool, language: str | None) -> str:
    match unit:
        case "second":
            told = ngettext("%(count)s second", "%(count)s seconds", count)
        case "minute":
            told = ngettext("%(count)s minute", "%(count)s minutes", count)
        case "hour":
            told = ngettext("%(count)s hour", "%(count)s hours", count)
        case _:
            told = ngettext("%(count)s day", "%(count)s days", count)
    words = {"age": told % {"count": count}}
    return _("%(age)s ago") % words if past else _("in %(age)s") % words


@register.filter
def age(at: datetime) -> str:
    """How long ago, or how soon: "3 minutes ago", "in 2 hours"."""
    seconds = (timezone.now() - at).total_seconds()
    whole, language = int(abs(seconds)), get_language()
    for below, unit, length in ((60, "second", 1), (3600, "minute", 60), (86400, "hour", 3600)):
        if whole < below:
            return _words(whole // length, unit, seconds >= 0, language)
    return _words(whole // 86400, "day", seconds >= 0, language)


@register.filter
def day(at: datetime) -> str:
    """The local day, with its year only where it is not the present one."""
    local, now = timezone.localtime(at), timezone.localtime()
    return date_format(local, "j M" if local.year == now.year else "j M Y")


@register.filter
def ago(at: datetime) -> SafeString:
    """A <time> that shows its age, which app.js keeps growing, and tells its clock time to whoever points at it."""
    return SafeString(f"{_opening(at, *_here())} data-relative>{age(at)}</time>")


@register.filter
def on(at: datetime) -> SafeString:
    """A <time> that shows its day, and tells its clock time to whoever points at it."""
    return _on(at, timezone.localtime().year, *_here())


@lru_cache(maxsize=10_000)
def _on(at: datetime, year: int, zone: str, language: str | None) -> SafeString:
    # The year is part of the key: at new year every day gets one.
    return SafeString(f"{_opening(at, zone, language)}>{day(at)}</time>")


def _here() -> tuple[str, str | None]:
    return timezone.get_current_timezone_name(), get_language()


# Most instants of a fleet are whole minutes that many monitors share, and to write one costs most of a tile.
@lru_cache(maxsize=10_000)
def _opening(at: datetime, zone: str, language: str | None) -> str:
    local = timezone.localtime(at)
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}"',
        local.isoformat(),
        date_format(local, "j M Y, H:i:s T"),
    )
