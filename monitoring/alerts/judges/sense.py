"""Whether a limit can ever be exceeded, or would always be: told before it is saved. Pure."""

from monitoring.alerts.judges.levels import Limit, Over
from monitoring.alerts.judges.metrics import Means

# What instruments of these kinds hear or feel at least and at most, by unit; beyond it a limit is a slip of the pen.
_REACH = {"dB": (20.0, 140.0), "mm/s": (0.01, 500.0), "µg/m³": (0.1, 100_000.0), "m/s": (0.1, 75.0)}
# The same of a monitor's own signs, by kind of alert: what lies beyond is never reached, or always.
_SIGNS = {
    "voltage": (1.0, 60.0),
    "signal": (-140.0, -40.0),
    "sim": (0.0, 1_000.0),
    "disk": (0.0, 100.0),
    "temperature": (-40.0, 125.0),
}


def nonsense_sign(kind: str, amber: float | None, red: float | None, *, falling: bool) -> str:
    """The same for a monitor's own sign, whose limits may lie below (``falling``): never | always | empty."""
    limits = [value for value in (amber, red) if value is not None]
    if kind not in _SIGNS or not limits:
        return ""
    least, most = _SIGNS[kind]
    if falling:
        first = max(limits)
        return "never" if first <= least else "always" if first >= most else ""
    first = min(limits)
    return "never" if first >= most else "always" if first <= least else ""


def nonsense(limit: Limit) -> str:
    """Why this limit makes no sense, as a word: never | always | order | none | means | hours; empty where it does."""
    if limit.amber is None and limit.red is None:
        return "none"
    if limit.amber is not None and limit.red is not None and limit.red <= limit.amber:
        return "order"
    metric = limit.quantity
    if limit.over != Over.RECORDED and metric.means == Means.NONE:
        return "means"
    hours = limit.hours
    if not any(day in hours.days for day in range(7)) and not hours.holidays:
        return "hours"
    if hours.on_holidays == "only" and not hours.holidays:
        return "hours"
    least, most = _REACH.get(metric.unit, metric.bounds)
    if metric.name in ("LCPeak", "LZPeak"):
        most = 180.0
    lowest = min(value for value in (limit.amber, limit.red) if value is not None)
    if lowest >= most:
        return "never"
    if lowest < least:
        return "always"
    return ""
