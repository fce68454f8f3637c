"""How levels are written: signs, period lengths, positions. It formats and never judges."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def signed(value: float | Decimal | None, places: int = 2) -> str:
    """A difference in dB with its sign, a real minus; nothing for None."""
    if value is None:
        return ""
    rounded = round(float(value), places)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"
    return f"{sign}{number_format(abs(rounded), places)}"


@register.filter
def period(seconds: float | None) -> str:
    """The length of a measurement period as the field writes it: 30 s, 1 min, 15 min, 1 h."""
    if not seconds:
        return ""
    whole = round(seconds)
    if whole % 3600 == 0:
        return _("%(count)s h") % {"count": whole // 3600}
    if whole % 60 == 0:
        return _("%(count)s min") % {"count": whole // 60}
    return _("%(count)s s") % {"count": whole}


@register.filter
def latitude(degrees: float, places: int = 5) -> str:
    """52.95939 as 52.95939° N."""
    return f"{number_format(round(abs(degrees), places), places)}° {_('N') if degrees >= 0 else _('S')}"


@register.filter
def longitude(degrees: float, places: int = 5) -> str:
    """-1.19885 as 1.19885° W."""
    return f"{number_format(round(abs(degrees), places), places)}° {_('E') if degrees >= 0 else _('W')}"


@register.filter
def distance(metres: float) -> str:
    """500.0 as 500 m, 20000.0 as 20 km."""
    return (
        f"{number_format(round(metres / 1000))} km" if metres >= 1000 else f"{number_format(round(metres))} m"
    )
