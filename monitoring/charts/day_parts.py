"""Day, evening and night of an instrument, day by day, out of its quarters of an hour; what they mean is acoustics'."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.acoustics.day_periods import Hours, Measured, Part, lden, pooled
from monitoring.charts.series import epoch_sql, organisation_of
from monitoring.models import Bucket, NoiseRollup


@dataclass(frozen=True, slots=True)
class Levels:
    """The three parts of a day, or of many as one."""

    parts: dict[Part, Measured]
    hours: Hours
    # The highest LAF,max of a measurement, in dB.
    LAFMax: float | None
    # Measured intervals, and whether all of it has passed.
    count: int = 0
    ended: bool = True

    @property
    def lden(self) -> float | None:
        """In dB; None where a part has too little measured, or is still to come."""
        if not self.ended:
            return None
        return lden({part: each.level for part, each in self.parts.items()}, self.hours)


@dataclass(frozen=True, slots=True)
class Day:
    """One day from when its day begins until its night ends."""

    date: date
    start_at: datetime
    end_at: datetime
    levels: Levels


def day_parts(
    *, instrument: Instrument, first: date, last: date, hours: Hours, zone: ZoneInfo, now: datetime
) -> list[Day]:
    """The days from ``first`` to ``last`` by the clock of ``zone``, those without a level among them. One query.

    A measurement belongs to the part in which it starts; only time that has passed counts for coverage.
    """
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    begins = [hours.begins(day, zone) for day in days]
    edges = [int(at.timestamp()) for each in begins for at in each[:-1]] + [int(begins[-1][-1].timestamp())]
    energy, valid = [0.0] * len(edges), [0.0] * len(edges)
    counts = [0] * len(days)
    most: list[float | None] = [None] * len(days)
    for at, its_energy, valid_s, highest, count in _quarters(instrument, begins[0][0], begins[-1][-1]):
        place = bisect_right(edges, at) - 1
        energy[place] += its_energy
        valid[place] += valid_s
        number = place // len(Part)
        counts[number] += count
        if highest is not None:
            before = most[number]
            most[number] = highest if before is None else max(highest, before)
    until, told = now.timestamp(), []
    for number, day in enumerate(days):
        places = range(number * len(Part), (number + 1) * len(Part))
        parts = {
            part: Measured(energy[place], valid[place], max(0.0, min(edges[place + 1], until) - edges[place]))
            for part, place in zip(Part, places, strict=True)
        }
        start_at, end_at = begins[number][0], begins[number][-1]
        levels = Levels(parts, hours, most[number], counts[number], ended=end_at <= now)
        told.append(Day(day, start_at, end_at, levels))
    return told


def all_days(days: Sequence[Day], hours: Hours) -> Levels:
    """R7: the whole stretch as one, each part pooled by valid time and Lden made once."""
    return Levels(
        {part: pooled(day.levels.parts[part] for day in days) for part in Part},
        hours,
        max((day.levels.LAFMax for day in days if day.levels.LAFMax is not None), default=None),
        sum(day.levels.count for day in days),
    )


def _quarters(
    instrument: Instrument, start: datetime, end: datetime
) -> list[tuple[int, float, float, float | None, int]]:
    """Begin in seconds since 1970, energy, valid seconds, highest LAF,max and number of measurements of each.

    The clocks of all places are whole quarters of an hour apart, so that each quarter lies in one part of a day.
    """
    sql = f"""
        SELECT {epoch_sql('"start_at"')}, "energy", "valid_s", "LAFMax", "count" FROM "{NoiseRollup._meta.db_table}"
        WHERE "organisation_id" = %s AND "instrument_id" = %s AND "bucket_s" = {Bucket.QUARTER.value}
          AND "start_at" >= %s AND "start_at" < %s
    """  # noqa: S608 - every name is ours, every value is a parameter
    span = [connection.ops.adapt_datetimefield_value(at.astimezone(UTC)) for at in (start, end)]
    with planned_cursor() as cursor:
        cursor.execute(sql, [organisation_of(instrument), instrument.pk, *span])
        return cursor.fetchall()
