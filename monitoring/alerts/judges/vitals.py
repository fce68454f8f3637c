"""Supply, signal, SIM, disk, heat and subscription of a monitor. Pure: no ORM, no clock."""

from datetime import datetime
from typing import Any

from monitoring.alerts.judges.verdict import State, Verdict, over

# What a monitor cannot say truly; it is kept as it came and judged by nobody.
_POSSIBLE = {
    "voltage": (0.0, 100.0),
    "signal": (-150.0, 0.0),
    "disk": (0.0, 100.0),
    "temperature": (-60.0, 150.0),
}
UNITS = {"voltage": "V", "signal": "dBm", "sim": "%", "disk": "%", "temperature": "°C"}
BELOW = frozenset({"voltage", "signal"})


def sim_used(usage_mb: float | None, quota_mb: float | None) -> float | None:
    """Percent of the SIM's data used; None without a quota, which MyCirrus gives as 0."""
    if usage_mb is None or not quota_mb or quota_mb < 0 or usage_mb < 0:
        return None
    return 100.0 * usage_mb / quota_mb


def part_pct(used: float | None, total: float | None) -> float | None:
    """Percent of ``total`` that is used; None where either is not told."""
    return 100.0 * used / total if used is not None and total else None


def vital(
    kind: str, value: float | None, now: datetime, *, amber: float | None, red: float | None
) -> Verdict:
    """One vital sign against its limits: volts, dBm, percent or °C by ``kind``."""
    least, most = _POSSIBLE.get(kind, (None, None))
    if value is not None and ((least is not None and value < least) or (most is not None and value > most)):
        return Verdict(State.NO_DATA, now, {"impossible": value})
    state = over(value, amber, red, below=kind in BELOW)
    return Verdict(
        state,
        now,
        {"value": value, "unit": UNITS[kind], "amber": amber, "red": red, "below": kind in BELOW},
    )


def subscription(status: str, now: datetime) -> Verdict:
    """Expired is red, cancelled amber: it still runs out. A word that is not known says nothing."""
    facts: dict[str, Any] = {"status": status}
    match status.casefold():
        case "active":
            return Verdict(State.CLEAR, now, facts)
        case "cancelled" | "canceled":
            return Verdict(State.AMBER, now, facts)
        case "expired":
            return Verdict(State.RED, now, facts)
    return Verdict(State.NO_DATA, now, facts)
