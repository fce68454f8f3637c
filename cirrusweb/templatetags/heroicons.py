"""The icons of the package heroicons under the name of its own library: its tags build an XML tree at each use."""

from functools import cache
from typing import Any

from django import template
from django.utils.safestring import SafeString
from heroicons.templatetags import heroicons

register = template.Library()


@cache
def _drawn(style: str, name: str, attributes: tuple[tuple[str, Any], ...]) -> SafeString:
    return SafeString(getattr(heroicons, f"heroicon_{style}")(name, **dict(attributes)))


@register.simple_tag(name="heroicon_outline")
def icon(name: str, **attributes: Any) -> SafeString:
    """The outline of an icon as inline SVG, drawn once a process. Raises heroicons.IconDoesNotExist."""
    return _drawn("outline", name, tuple(attributes.items()))


@register.simple_tag
def heroicon_mini(name: str, **attributes: Any) -> SafeString:
    """The same as a filled one for small places."""
    return _drawn("mini", name, tuple(attributes.items()))


@register.simple_tag
def heroicon_micro(name: str, **attributes: Any) -> SafeString:
    """The same as a filled one for the smallest places."""
    return _drawn("micro", name, tuple(attributes.items()))


@register.simple_tag
def heroicon_solid(name: str, **attributes: Any) -> SafeString:
    """The same, filled."""
    return _drawn("solid", name, tuple(attributes.items()))
