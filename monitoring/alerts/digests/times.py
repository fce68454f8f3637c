"""When a digest comes by somebody's clock, and which whole days it is about. Pure: no ORM, no clock."""

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta

DAY = timedelta(days=1)
MONDAY = 0


def occurs_at(day: date, hour: int, zone: zoneinfo.ZoneInfo) -> datetime:
    """That hour of that local day. One that the clocks skip is an hour later, one that comes twice is its first."""
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def next_after(at: datetime, *, weekly: bool, hour: int, zone: zoneinfo.ZoneInfo) -> datetime:
    """The first time past ``at``."""
    day = at.astimezone(zone).date()
    while (weekly and day.weekday() != MONDAY) or occurs_at(day, hour, zone) <= at:
        day += DAY
    return occurs_at(day, hour, zone)


def last_until(at: datetime, *, weekly: bool, hour: int, zone: zoneinfo.ZoneInfo) -> date:
    """The local day of the newest time up to ``at``."""
    day = at.astimezone(zone).date()
    while (weekly and day.weekday() != MONDAY) or occurs_at(day, hour, zone) > at:
        day -= DAY
    return day


def whole_days(until: datetime, days: int, zone: zoneinfo.ZoneInfo) -> tuple[datetime, datetime]:
    """The last ``days`` whole local days before ``until``, as instants: a day of a clock change has 23 or 25 hours."""
    end = until.astimezone(zone).date()
    return occurs_at(end - days * DAY, 0, zone), occurs_at(end, 0, zone)
