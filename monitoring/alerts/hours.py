"""Times of day, weekdays and holidays in local time: when a limit holds, and when a person is left alone. Pure."""

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

EVERY_DAY = frozenset(range(7))


class OnHolidays(StrEnum):
    """What the dates of a list of holidays mean for a limit."""

    SAME = "same"
    NEVER = "never"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Hours:
    """From ``start`` to ``end`` by the local clock, 0 Monday to 6 Sunday; the same twice: all day.

    Past midnight it belongs to the day on which it began, as nights do (R6: the evening's date).
    """

    days: frozenset[int] = EVERY_DAY
    start: time = time(0)
    end: time = time(0)
    holidays: frozenset[date] = frozenset()
    on_holidays: OnHolidays = OnHolidays.SAME

    @property
    def all_day(self) -> bool:
        """Whether the clock does not matter."""
        return self.start == self.end

    def day_of(self, local: datetime) -> date | None:
        """The day whose hours hold ``local``, an instant in the place's zone; None outside them."""
        clock, day = local.time(), local.date()
        if local.fold:
            # The hour that autumn repeats: by its clock alone it would lie past its day's own end, or before its start.
            return next((each for each in (day - timedelta(days=1), day) if self._holds(each, local)), None)
        if not self.all_day:
            if self.start < self.end:
                if not self.start <= clock < self.end:
                    return None
            elif clock < self.end:
                day -= timedelta(days=1)
            elif clock < self.start:
                return None
        return day if self.holds_on(day) else None

    def holds_on(self, day: date) -> bool:
        """Whether the hours hold on the day on which they begin."""
        if day in self.holidays and self.on_holidays != OnHolidays.SAME:
            return self.on_holidays == OnHolidays.ONLY
        if self.on_holidays == OnHolidays.ONLY:
            return False
        return day.weekday() in self.days

    def _holds(self, day: date, local: datetime) -> bool:
        assert isinstance(local.tzinfo, zoneinfo.ZoneInfo)  # noqa: S101 - only a zone repeats an hour
        start, end = self.span_on(day, local.tzinfo)
        return self.holds_on(day) and start <= local.astimezone(UTC) < end

    def span_on(self, day: date, zone: zoneinfo.ZoneInfo) -> tuple[datetime, datetime]:
        """The true instants of that day's hours: 23 or 25 hours long where clocks change."""
        start = datetime.combine(day, self.start, zone)
        later = day if self.start < self.end else day + timedelta(days=1)
        # In UTC: between two times of one zone Python counts by the wall clock.
        return start.astimezone(UTC), datetime.combine(later, self.end, zone).astimezone(UTC)


def quiet_until(at: datetime, zone: zoneinfo.ZoneInfo, start: time, end: time) -> datetime | None:
    """When the quiet hours that hold at ``at`` end; None outside them. No hours where both are the same."""
    if start == end:
        return None
    hours = Hours(start=start, end=end)
    day = hours.day_of(at.astimezone(zone))
    return None if day is None else hours.span_on(day, zone)[1]
