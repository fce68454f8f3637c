"""Limits that were verified in their source (domain rules R16), to begin a rule from. None is our own guess."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

WEEKDAYS = [0, 1, 2, 3, 4]


@dataclass(frozen=True, slots=True)
class Preset:
    """A limit with the words of where it comes from."""

    slug: str
    name: Any
    settings: Mapping[str, Any]
    source: str


def _hours(days: list[int], start: str, end: str) -> dict[str, Any]:
    return {"days": days, "start": start, "end": end}


def _leq(red: float, days: list[int], start: str, end: str, **rest: Any) -> dict[str, Any]:
    return {"metric": "LAeq", "over": "hours", "red": red, "hours": _hours(days, start, end), **rest}


_OLDER = "UK construction, older fixed limits outside the nearest occupied window: campbell-associates.co.uk."
_LIVERPOOL = "Liverpool City Council, construction hours of work and noise levels: liverpool.gov.uk."
_ORDER = "A development consent order, SI 2020/511 Schedule 2 paragraph 21."

PRESETS: dict[str, Preset] = {
    preset.slug: preset
    for preset in (
        Preset(
            "uk-70",
            _("70 dB LAeq, 07–19, away from main roads and industry"),
            _leq(70.0, list(range(7)), "07:00", "19:00"),
            _OLDER,
        ),
        Preset(
            "uk-75",
            _("75 dB LAeq, 07–19, near main roads or heavy industry"),
            _leq(75.0, list(range(7)), "07:00", "19:00"),
            _OLDER,
        ),
        Preset(
            "liverpool-day",
            _("Liverpool, dwellings and offices: 75 dB LAeq, 07–19"),
            _leq(75.0, WEEKDAYS, "07:00", "19:00"),
            _LIVERPOOL,
        ),
        Preset(
            "liverpool-evening",
            _("Liverpool, dwellings and offices: 65 dB LAeq, 19–23"),
            _leq(65.0, list(range(7)), "19:00", "23:00"),
            _LIVERPOOL,
        ),
        Preset(
            "order-weekday",
            _("Consent order: 65 dB LAeq, weekdays 07:00–18:30"),
            _leq(65.0, WEEKDAYS, "07:00", "18:30"),
            _ORDER,
        ),
        Preset(
            "order-saturday",
            _("Consent order: 65 dB LAeq, Saturdays 08–13"),
            _leq(65.0, [5], "08:00", "13:00"),
            _ORDER,
        ),
    )
}
