"""Level series for charts: LAeq by energy, extremes by extreme, a gap where nothing is.

Up to a day and a half comes from the measurements themselves, longer ranges from the rollups, whose sums are exact.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from instruments.tenancy import active_organisation_id
from monitoring.acoustics.levels import coverage, level_of
from monitoring.models import Bucket, NoiseMeasurement, NoiseRollup
from monitoring.sync.rollups import weighed

MOST_POINTS = 1500
# Bucket lengths in seconds: the first from measurements, the others are the rollups.
_FROM_ROWS = (60, 120, 300, 600)
# For measurements as long alone: of shorter ones a week's rows are too many, and a quarter of an hour is as good.
_TEN_MINUTES = 600
BUCKETS = (*_FROM_ROWS, *Bucket.values)


@dataclass(frozen=True, slots=True)
class LevelSeries:
    """Equal buckets from ``start_at``; each list has a value in dB per bucket, None where nothing was measured.

    `LAeq_min` and `LAeq_max` are the lowest and highest LAeq of a single measurement within the bucket.
    """

    start_at: datetime
    bucket_s: int
    LAeq: list[float | None]
    LAeq_min: list[float | None]
    LAeq_max: list[float | None]
    LAFMax: list[float | None]
    LCPeak: list[float | None]
    # R9: the seconds of each bucket that had an LAeq.
    valid: list[float]
    # Of the whole range: LAeq by energy, the maxima, and the part of the elapsed time that was measured.
    LAeq_total: float | None
    LAFMax_total: float | None
    LCPeak_total: float | None
    coverage_pct: float
    valid_s: float
    count: int
    # The longest measurement, where it is made from measurements; 0 where from rollups.
    longest_s: float = 0.0


def bucket_for(span: timedelta, period_s: float | None) -> int:
    """The bucket length in seconds for a range: few enough points, and never shorter than one measurement."""
    # One point more where neither end of the range lies on the grid.
    shortest = max(span.total_seconds() / (MOST_POINTS - 1), period_s or 60)
    skipped = None if (period_s or 60) > 300 else _TEN_MINUTES
    return next((bucket for bucket in BUCKETS if bucket >= shortest and bucket != skipped), BUCKETS[-1])


def epoch_sql(column: str) -> str:
    """Whole seconds since 1970 of a column of instants, in the words of the database in use."""
    if connection.vendor == "postgresql":
        return f"CAST(FLOOR(EXTRACT(EPOCH FROM {column})) AS BIGINT)"
    # SQLite counts milliseconds: half of one keeps a whole second from becoming the one before. To have it written
    # as a text of seconds takes three times as long.
    return f"CAST((julianday({column}) - 2440587.5) * 86400 + 0.0005 AS INTEGER)"


def level_series(
    *, instrument: Instrument, start: datetime, end: datetime, period_s: float | None, now: datetime
) -> LevelSeries:
    """The levels of ``instrument`` from ``start`` to ``end``, in whole buckets aligned to UTC.

    A measurement belongs to the bucket in which it starts. Only time that has passed counts for coverage.
    """
    bucket_s = bucket_for(end - start, period_s)
    first = int(start.timestamp()) // bucket_s
    length = -(-int(end.timestamp()) // bucket_s) - first
    since = datetime.fromtimestamp(first * bucket_s, tz=UTC)
    until = since + timedelta(seconds=bucket_s * length)
    # A measurement whose length MyCirrus did not give weighs as one usual period.
    buckets = _buckets(instrument, since, until, bucket_s, period_s or 60.0)
    # By column: a bucket at a time takes three times as long.
    indices, energy, valid, lowest, highest, most, peak, counts, *longest = (
        zip(*buckets, strict=True) if buckets else [()] * 8
    )
    places, valid_s = [index - first for index in indices], sum(valid)
    unbroken = places == list(range(length))

    def placed(values: Iterable[Any], absent: Any = None) -> list[Any]:
        if unbroken:
            return list(values)
        line = [absent] * length
        for place, value in zip(places, values, strict=True):
            line[place] = value
        return line

    return LevelSeries(
        start_at=since,
        bucket_s=bucket_s,
        LAeq=placed(map(level_of, energy, valid)),
        LAeq_min=placed(lowest),
        LAeq_max=placed(highest),
        LAFMax=placed(most),
        LCPeak=placed(peak),
        valid=placed(valid, 0.0),
        LAeq_total=level_of(sum(energy), valid_s),
        LAFMax_total=_highest(most),
        LCPeak_total=_highest(peak),
        coverage_pct=coverage(valid_s, (min(until, now) - since).total_seconds()),
        valid_s=valid_s,
        count=sum(counts),
        longest_s=_highest(*longest) or 0.0,
    )


def _highest(values: Iterable[float | None] = ()) -> float | None:
    return max([value for value in values if value is not None], default=None)


def _buckets(
    instrument: Instrument, since: datetime, until: datetime, bucket_s: int, usual_s: float
) -> list[tuple[Any, ...]]:
    """Place since 1970, energy, valid seconds, lowest and highest LAeq, LAFMax, LCPeak, measurements, and of those
    themselves the longest: a rollup does not tell it.

    Plain tuples: there are up to `MOST_POINTS` of them in every answer.
    """
    where = '"organisation_id" = %s AND "instrument_id" = %s AND "start_at" >= %s AND "start_at" < %s'
    parameters: list[Any] = [
        organisation_of(instrument),
        instrument.pk,
        connection.ops.adapt_datetimefield_value(since),
        connection.ops.adapt_datetimefield_value(until),
    ]
    started = '"start_at"'
    index = f"{epoch_sql(started)} / {int(bucket_s)}"
    if bucket_s in _FROM_ROWS:
        sql = f"""
            SELECT {index} AS bucket, {weighed(usual_s)},
                   MIN("LAeq"), MAX("LAeq"), MAX("LAFMax"), MAX("LCPeak"), COUNT(*), MAX("duration_s")
            FROM "{NoiseMeasurement._meta.db_table}" WHERE {where} GROUP BY bucket
        """  # noqa: S608 - every name is ours, every value is a parameter
    else:
        sql = f"""
            SELECT {index}, "energy", "valid_s", "LAeq_min", "LAeq_max", "LAFMax", "LCPeak", "count"
            FROM "{NoiseRollup._meta.db_table}" WHERE {where} AND "bucket_s" = {int(bucket_s)}
        """  # noqa: S608
    with planned_cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def organisation_of(instrument: Instrument) -> int:
    """The organisation to read for: raw SQL passes the manager by, so the scope is checked here."""
    active = active_organisation_id()
    if active is not None and active != instrument.organisation_id:
        raise NoiseMeasurement.DoesNotExist
    return instrument.organisation_id
