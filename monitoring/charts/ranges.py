"""The stretch of time that a chart is asked for, as its address says it; it knows nothing of what is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from urllib.parse import urlencode

from instruments.years import YEARS

RANGES: dict[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
    "2y": timedelta(days=730),
}
DEFAULT_RANGE = "24h"
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=732)
# What moving and zooming by one step does; the shortest that zooming reaches holds ten measurements of a minute.
STEP, ZOOM, CLOSEST = 0.5, 2.0, timedelta(minutes=10)


class Fault(StrEnum):
    """Why a stretch cannot be shown."""

    UNREADABLE = "unreadable"
    NO_START = "no start"
    ORDER = "order"
    LONG = "long"


class BadWindow(ValueError):
    """What was asked for is no stretch of time that can be shown."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` to ``end``, in UTC; `name` is that of a range that ends now, empty for a fixed one."""

    start: datetime
    end: datetime
    name: str = ""

    @property
    def span(self) -> timedelta:
        """Its length."""
        return self.end - self.start

    @property
    def query(self) -> str:
        """The part of an address that asks for it."""
        return urlencode({"range": self.name}) if self.name else self.fixed

    @property
    def fixed(self) -> str:
        """The part of an address that will show this stretch tomorrow, too."""
        return urlencode({"from": _text(self.start), "to": _text(self.end)}, safe=":")

    def moved(self, steps: int, now: datetime) -> "Window":
        """The same length, half of it earlier (-1) or later (1), never beyond ``now``."""
        end = min(self.end + steps * STEP * self.span, max(now, self.end))
        return Window(end - self.span, end)

    def zoomed(self, steps: int, now: datetime) -> "Window":
        """Half as long (1) or twice as long (-1) around its middle, never beyond ``now``."""
        span = min(max(self.span * ZOOM**-steps, CLOSEST), LONGEST)
        end = min(self.start + self.span / 2 + span / 2, max(now, self.end))
        return Window(end - span, end)

    def last(self, longest: timedelta) -> "Window":
        """Its end, where it is longer than ``longest``."""
        return self if self.span <= longest else Window(self.end - longest, self.end)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def instant(text: str, zone: tzinfo) -> datetime:
    """An ISO 8601 instant; without a zone, as a form has it, the wall clock of ``zone``."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadWindow(Fault.UNREADABLE) from None
    if at.year not in YEARS:
        raise BadWindow(Fault.UNREADABLE)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def range_window(name: str, now: datetime) -> Window:
    """The range of that name up to ``now``, the default for a name that is none."""
    name = name if name in RANGES else DEFAULT_RANGE
    return Window(now - RANGES[name], now, name)


def window_of(
    asked: Mapping[str, str], *, now: datetime, zone: tzinfo, default: str = DEFAULT_RANGE
) -> Window:
    """The stretch of ?from= and ?to= (up to now without one), else of ?range=. Raises BadWindow."""
    start, end = asked.get("from", ""), asked.get("to", "")
    if not start and not end:
        return range_window(asked.get("range") or default, now)
    if not start:
        raise BadWindow(Fault.NO_START)
    window = Window(instant(start, zone), instant(end, zone) if end else now)
    if window.span < SHORTEST:
        raise BadWindow(Fault.ORDER)
    if window.span > LONGEST:
        raise BadWindow(Fault.LONG)
    return window
