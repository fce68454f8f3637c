"""What a monitor tells of itself, judged for the order of a list. Pure: no ORM, no clock.

The bounds are this project's own: neither Cirrus nor a standard gives any. They sort and colour; they wake nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from operator import ge, le


class Vital(StrEnum):
    """One of the things that keep a monitor measuring."""

    VOLTAGE = "voltage"
    SIGNAL = "signal"
    SIM = "sim"
    DISK = "disk"
    TEMPERATURE = "temperature"


class Concern(IntEnum):
    """How much it matters; the higher comes first."""

    NONE = 0
    WATCH = 1
    ACT = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """From where on a value is to be watched, and to be acted on; `low` where small values are the bad ones."""

    watch: float
    act: float
    unit: str
    places: int
    low: bool = False

    def concern(self, value: float | None) -> Concern:
        """None is no concern: what is not told is shown as missing."""
        if value is None:
            return Concern.NONE
        beyond = le if self.low else ge
        if beyond(value, self.act):
            return Concern.ACT
        return Concern.WATCH if beyond(value, self.watch) else Concern.NONE


# Input voltage is that of a 12 V supply; signal is RSRP.
BOUNDS: dict[Vital, Bounds] = {
    Vital.VOLTAGE: Bounds(11.8, 11.0, "V", 1, low=True),
    Vital.SIGNAL: Bounds(-110.0, -120.0, "dBm", 0, low=True),
    Vital.SIM: Bounds(80.0, 95.0, "%", 0),
    Vital.DISK: Bounds(80.0, 95.0, "%", 0),
    Vital.TEMPERATURE: Bounds(70.0, 85.0, "°C", 0),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A vital of one monitor; None is a gap."""

    vital: Vital
    value: float | None
    concern: Concern

    @property
    def unit(self) -> str:
        """Its unit."""
        return BOUNDS[self.vital].unit

    @property
    def places(self) -> int:
        """Its decimals."""
        return BOUNDS[self.vital].places


def sim_used_pct(health: Mapping[str, float]) -> float | None:
    """The used part of the SIM's quota in percent; None without a quota, which may mean that there is no limit."""
    quota, used = health.get("sim_quota_mb"), health.get("sim_usage_mb")
    return 100 * used / quota if quota and used is not None else None


def readings_of(health: Mapping[str, float], rsrp_dbm: float | None) -> list[Reading]:
    """The vitals of what a monitor tells of its present, and of its newest signal strength in dBm."""
    values = {
        Vital.VOLTAGE: health.get("voltage_v"),
        Vital.SIGNAL: rsrp_dbm,
        Vital.SIM: sim_used_pct(health),
        Vital.DISK: health.get("disk_pct"),
        Vital.TEMPERATURE: health.get("temperature_c"),
    }
    return [Reading(vital, value, BOUNDS[vital].concern(value)) for vital, value in values.items()]
