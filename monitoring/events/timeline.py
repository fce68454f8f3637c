"""Days against hours: how many events began when, and how loud the loudest was. Local time of the organisation."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, Max
from django.db.models.functions import TruncHour
from django.utils import timezone

MOST_DAYS = 14
USUAL_DAYS = 7
# Bars have so many heights; the highest is the busiest hour shown.
HEIGHTS = 5


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of one day; `height` is 0 where nothing began."""

    count: int = 0
    loudest_db: float | None = None
    height: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """One local day and its 24 hours."""

    on: date
    hours: list[Hour]

    @property
    def count(self) -> int:
        """All events of the day."""
        return sum(hour.count for hour in self.hours)

    @property
    def loudest_db(self) -> float | None:
        """The highest level of the day (R4: a maximum)."""
        return max((hour.loudest_db for hour in self.hours if hour.loudest_db is not None), default=None)


def event_days(
    rows: Any, *, start: datetime | None, end: datetime | None, now: datetime
) -> tuple[list[Day], bool]:
    """The days of [start, end), newest first, and whether older ones of it were left out. One query.

    Without a start it is the last week up to the end; never more than MOST_DAYS. Where the clocks go back the
    repeated hour is one column.
    """
    zone = timezone.get_current_timezone()
    last = timezone.localtime((end or now) - timedelta(microseconds=1 if end else 0)).date()
    first = timezone.localtime(start).date() if start else last - timedelta(days=USUAL_DAYS - 1)
    shown = max(first, last - timedelta(days=MOST_DAYS - 1))
    begins = timezone.make_aware(datetime.combine(shown, time.min))
    ends = timezone.make_aware(datetime.combine(last + timedelta(days=1), time.min))
    found = (
        rows.starting(begins, ends)
        .annotate(hour=TruncHour("start_at", tzinfo=zone))
        .values("hour")
        .annotate(count=Count("pk"), loudest=Max("level_db"))
        .order_by()
    )
    by_hour: dict[tuple[date, int], tuple[int, float | None]] = {}
    for row in found:
        place = (row["hour"].date(), row["hour"].hour)
        count, loudest = by_hour.get(place, (0, None))
        levels = [level for level in (loudest, row["loudest"]) if level is not None]
        by_hour[place] = (count + row["count"], max(levels, default=None))
    busiest = max((count for count, _ in by_hour.values()), default=1)
    days = []
    for back in range((last - shown).days + 1):
        on = last - timedelta(days=back)
        hours = [
            Hour(count, loudest, max(1, round(HEIGHTS * count / busiest)) if count else 0)
            for count, loudest in (by_hour.get((on, hour), (0, None)) for hour in range(24))
        ]
        days.append(Day(on, hours))
    return days, shown > first
