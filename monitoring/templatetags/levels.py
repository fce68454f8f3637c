"""How levels are written: rounding, signs, period lengths, positions. It formats and never judges."""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext as _

register = template.Library()
# Wide enough for every float: what cannot be true is kept, and shown.
_WIDE = Context(prec=400)


def _rounded(value: float | Decimal, places: int) -> Decimal:
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _WIDE)


@register.filter
def written(value: float | Decimal, places: int = 1) -> str:
    """A number with ``places`` decimals in the reader's language: halves upwards, a real minus, no sign at zero.

    The one way to write a number: Django's ``number_format`` cuts the digits of a float off.
    """
    if not Decimal(str(value)).is_finite():
        return str(value)
    shown = _rounded(value, int(places))
    return f"{'−' if shown < 0 else ''}{number_format(shown.copy_abs(), int(places))}"


@register.filter
def share(percent: float) -> str:
    """A part in percent, cut to one decimal (R9): 99.97 is 99.9, for only what is whole is 100.

    What is more than nothing is not told as 0.
    """
    # To a millionth first: a sum of floats that should be 75 may be a hair less.
    told = Decimal(str(round(percent, 6)))
    if told in (0, 100):
        return written(told, 0)
    return written(max(told.quantize(Decimal("0.1"), ROUND_DOWN), Decimal("0.1")))


@register.filter
def signed(value: float | Decimal | None, places: int = 2) -> str:
    """A difference in dB with its sign, a real minus; nothing for None."""
    if value is None:
        return ""
    rounded = _rounded(value, places)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"
    return f"{sign}{written(rounded.copy_abs(), places)}"


@register.filter
def period(seconds: float | None) -> str:
    """The length of a measurement period as the field writes it: 0.125 s, 30 s, 1 min, 15 min, 1 h."""
    if not seconds:
        return ""
    whole = round(seconds)
    if abs(seconds) < 1:
        fraction = Decimal(f"{seconds:.3f}").normalize()
        return _("%(count)s s") % {"count": number_format(fraction)}
    if whole % 3600 == 0:
        return _("%(count)s h") % {"count": whole // 3600}
    if whole % 60 == 0:
        return _("%(count)s min") % {"count": whole // 60}
    return _("%(count)s s") % {"count": whole}


@register.filter
def latitude(degrees: float, places: int = 5) -> str:
    """52.95939 as 52.95939° N."""
    return f"{written(abs(degrees), places)}° {_('N') if degrees >= 0 else _('S')}"


@register.filter
def longitude(degrees: float, places: int = 5) -> str:
    """-1.19885 as 1.19885° W."""
    return f"{written(abs(degrees), places)}° {_('E') if degrees >= 0 else _('W')}"


@register.filter
def distance(metres: float) -> str:
    """500.0 as 500 m, 20000.0 as 20 km."""
    return f"{written(metres / 1000, 0)} km" if metres >= 1000 else f"{written(metres, 0)} m"
