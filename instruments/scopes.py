"""What each scope of a MyCirrus key is for, in the words of those who use it; it asks nothing of anybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from instruments.mycirrus.scopes import SCOPES

# Without it nothing can be read at all.
NEEDED = "instruments:read"

# scope: (what it gives, what is missed without it)
_WORDS: dict[str, tuple[Any, Any]] = {
    "instruments:read": (
        _("See the instruments, their status, last calibration and last SIC"),
        _("Nothing works without it: no instrument can be seen."),
    ),
    "instruments:write": (_("Rename instruments"), _("Instruments cannot be renamed from here.")),
    "instruments:action": (
        _("Start Identify, Calibration and SIC"),
        _("Calibrations and SICs cannot be started from here."),
    ),
    "data.live:read": (_("Live levels"), _("Levels are not shown as they happen, only as measurements end.")),
    "data.noise:read": (
        _("Noise levels and spectra"),
        _("No levels: charts stay empty and level limits cannot be watched."),
    ),
    "data.enviro:read": (
        _("Weather, particulates, gases and vibration"),
        _("No weather beside the levels, and no dust, gas or vibration readings."),
    ),
    "data.events:read": (_("Noise events"), _("Events and their level traces are not listed.")),
    "data.audio:read": (_("Recordings"), _("Events cannot be listened to.")),
    "data.system:read": (
        _("Calibration and SIC history, power, signal and storage"),
        _(
            "Only the last calibration and SIC are known: no history, and failures between two polls are missed."
        ),
    ),
    "webhooks:read": (
        _("See the webhooks at MyCirrus"),
        _("It cannot be checked which webhooks are in place."),
    ),
    "webhooks:write": (
        _("Register webhooks"),
        _("Webhooks cannot be registered from here, so news waits for the next poll."),
    ),
}


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One scope of one key: held is None where no harmless call could tell."""

    scope: str
    held: bool | None
    gives: Any
    cost: Any


def scope_lines(found: Mapping[str, bool | None]) -> list[ScopeLine]:
    """Every scope there is, in the documentation's order, with what a probe ``found`` of it."""
    return [ScopeLine(scope, found.get(scope), *_WORDS[scope]) for scope in SCOPES]
