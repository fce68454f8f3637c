"""The registry of what can be watched: each kind's settings, what a new organisation starts with, how it groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitoring.models import AlertKind

R10 = "Step of at most 0.5 dB between field checks: ISO 1996-2:2017 clause 5.2, as a second-hand account quotes it."

R11 = "0.7 dB is what NorCloud advises for its own electrical check: manual.norsonic.com."


@dataclass(frozen=True, slots=True)
class Setting:
    """One number of a rule. ``default`` None: the person has to know it, we do not."""

    name: str
    label: Any
    unit: str
    default: float | None = None
    required: bool = False
    least: float = 0.0
    most: float = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alert. ``standard``: the settings that every organisation starts with; None: it starts without."""

    kind: AlertKind
    settings: tuple[Setting, ...] = ()
    standard: Mapping[str, Any] | None = None
    # Instruments of one site that fail within minutes of each other have one cause.
    by_site: bool = False
    source: str = ""
    # Of instruments, or of the organisation as a whole.
    of_instruments: bool = True
    # amber and red go by size: amber is reached first when values fall.
    falling: bool = False
    extra: tuple[str, ...] = field(default=())


def _minutes(amber: float | None, red: float | None) -> tuple[Setting, ...]:
    return (
        Setting("amber", _("Amber after"), "min", amber, most=525_600),
        Setting("red", _("Red after"), "min", red, most=525_600),
    )


def _limits(unit: str, *, least: float = 0.0, most: float = 1_000_000.0) -> tuple[Setting, ...]:
    return (
        Setting("amber", _("Amber limit"), unit, least=least, most=most),
        Setting("red", _("Red limit"), unit, least=least, most=most),
    )


KINDS: dict[str, Kind] = {
    kind.kind: kind
    for kind in (
        Kind(AlertKind.SIC_FAILED, standard={}, extra=("confirm",)),
        Kind(
            AlertKind.SIC_DRIFT,
            (
                Setting("tolerance_db", _("Tolerance"), "dB", 0.7, True, 0.1, 20),
                Setting("amber_days", _("Amber when it would be reached within"), "days", 30.0, True, 1, 365),
            ),
            source=R11,
        ),
        Kind(AlertKind.CALIBRATION_FAILED, standard={}),
        Kind(
            AlertKind.CALIBRATION_STEP,
            (Setting("limit_db", _("Largest step of the offset"), "dB", 0.5, True, 0.01, 10),),
            {"limit_db": 0.5},
            source=R10,
        ),
        Kind(
            AlertKind.CALIBRATION_OVERDUE,
            (
                Setting("amber", _("Amber after"), "days", most=3650),
                Setting("red", _("Red after"), "days", most=3650),
            ),
        ),
        Kind(AlertKind.OFFLINE, _minutes(15, 60), {"amber": 15, "red": 60}, by_site=True),
        Kind(AlertKind.NOT_MEASURING, _minutes(15, None), {"amber": 15}, by_site=True),
        Kind(AlertKind.NO_DATA, _minutes(60, None), {"amber": 60}, by_site=True),
        Kind(AlertKind.VOLTAGE, _limits("V", most=100), falling=True),
        Kind(AlertKind.SIGNAL, _limits("dBm", least=-150, most=0), falling=True),
        Kind(AlertKind.SIM, _limits("%"), {"amber": 80, "red": 95}),
        Kind(AlertKind.DISK, _limits("%", most=100), {"amber": 80, "red": 95}),
        Kind(AlertKind.TEMPERATURE, _limits("°C", least=-60, most=150)),
        Kind(AlertKind.SUBSCRIPTION, standard={}),
        Kind(AlertKind.LEVEL),
        Kind(AlertKind.KEY, standard={}, of_instruments=False),
        Kind(AlertKind.UNREACHABLE, _minutes(10, 60), {"amber": 10, "red": 60}, of_instruments=False),
        Kind(AlertKind.WEBHOOK_SILENT, standard={}, of_instruments=False),
        Kind(AlertKind.LATE, _minutes(2, 10), {"amber": 2, "red": 10}, of_instruments=False),
    )
}
# Of these a wish about a site or an instrument makes sense.
OF_INSTRUMENTS = frozenset(name for name, kind in KINDS.items() if kind.of_instruments)
PRESENCE = (AlertKind.OFFLINE, AlertKind.NOT_MEASURING, AlertKind.NO_DATA, AlertKind.SUBSCRIPTION)
HEALTH = (AlertKind.VOLTAGE, AlertKind.SIM, AlertKind.DISK, AlertKind.TEMPERATURE)
CALIBRATION = (
    AlertKind.CALIBRATION_FAILED,
    AlertKind.CALIBRATION_STEP,
    AlertKind.CALIBRATION_OVERDUE,
)
# An instrument is judged by these whenever something is heard of it, and when its time comes.
INSTRUMENT_KINDS = (*PRESENCE, *HEALTH, AlertKind.SIGNAL, *CALIBRATION, AlertKind.SIC_DRIFT)
# And by these with each row that comes.
BY_ROWS = (AlertKind.LEVEL, AlertKind.SIC_FAILED)
