"""Level series for charts: LAeq by energy, extremes by extreme, a gap where nothing is.

Up to a day and a half comes from the measurements themselves, longer ranges from the rollups, whose sums are exact.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from instruments.models import Instrument
from instruments.tenancy import active_organisation_id
from monitoring.acoustics.levels import coverage, energy_mean
from monitoring.models import NoiseMeasurement, NoiseRollup

MOST_POINTS = 1500
# Bucket lengths in seconds: the first from measurements, the others are the rollups.
_FROM_ROWS = (60, 120, 300)
BUCKETS = (*_FROM_ROWS, *NoiseRollup.Bucket.values)


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


@dataclass(frozen=True, slots=True)
class _Bucket:
    index: int
    energy: float
    valid_s: float
    LAeq_min: float | None
    LAeq_max: float | None
    LAFMax: float | None
    LCPeak: float | None
    count: int


def bucket_for(span: timedelta, period_s: float | None) -> int:
    """The bucket length in seconds for a range: few enough points, and never shorter than one measurement."""
    # One point more where neither end of the range lies on the grid.
    shortest = max(span.total_seconds() / (MOST_POINTS - 1), period_s or 60)
    return next((bucket for bucket in BUCKETS if bucket >= shortest), BUCKETS[-1])


def epoch_sql(column: str) -> str:
    """Whole seconds since 1970 of a column of instants, in the words of the database in use."""
    if connection.vendor == "postgresql":
        return f"CAST(FLOOR(EXTRACT(EPOCH FROM {column})) AS BIGINT)"
    return f"CAST(strftime('%%s', {column}) AS INTEGER)"


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
    lists: dict[str, list[float | None]] = {
        name: [None] * length for name in ("LAeq", "LAeq_min", "LAeq_max", "LAFMax", "LCPeak")
    }
    weights: list[tuple[float | None, float]] = []
    valid, count = [0.0] * length, 0
    # A measurement whose length MyCirrus did not give weighs as one usual period.
    for bucket in _buckets(instrument, since, until, bucket_s, period_s or 60.0):
        place = bucket.index - first
        level = _level(bucket.energy, bucket.valid_s)
        lists["LAeq"][place] = level
        for name in ("LAeq_min", "LAeq_max", "LAFMax", "LCPeak"):
            lists[name][place] = getattr(bucket, name)
        weights.append((level, bucket.valid_s))
        valid[place] = bucket.valid_s
        count += bucket.count
    return LevelSeries(
        start_at=since,
        bucket_s=bucket_s,
        **lists,
        valid=valid,
        LAeq_total=energy_mean(weights),
        LAFMax_total=max((value for value in lists["LAFMax"] if value is not None), default=None),
        LCPeak_total=max((value for value in lists["LCPeak"] if value is not None), default=None),
        coverage_pct=coverage(sum(valid), (min(until, now) - since).total_seconds()),
        valid_s=sum(valid),
        count=count,
    )


def _buckets(
    instrument: Instrument, since: datetime, until: datetime, bucket_s: int, usual_s: float
) -> Iterator[_Bucket]:
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
        seconds = f'COALESCE("duration_s", {float(usual_s)})'
        sql = f"""
            SELECT {index} AS bucket,
                   SUM(CASE WHEN "LAeq" IS NULL THEN 0 ELSE {seconds} * POWER(10, "LAeq" / 10) END),
                   SUM(CASE WHEN "LAeq" IS NULL THEN 0 ELSE {seconds} END),
                   MIN("LAeq"), MAX("LAeq"), MAX("LAFMax"), MAX("LCPeak"), COUNT(*)
            FROM "{NoiseMeasurement._meta.db_table}" WHERE {where} GROUP BY bucket
        """  # noqa: S608 - every name is ours, every value is a parameter
    else:
        sql = f"""
            SELECT {index}, "energy", "valid_s", "LAeq_min", "LAeq_max", "LAFMax", "LCPeak", "count"
            FROM "{NoiseRollup._meta.db_table}" WHERE {where} AND "bucket_s" = {int(bucket_s)}
        """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        for place, energy, valid_s, *rest in cursor:
            yield _Bucket(int(place), float(energy), float(valid_s), *rest)


def _level(energy: float, seconds: float) -> float | None:
    """LAeq in dB of a summed energy over its valid seconds, None for nothing."""
    return 10 * math.log10(energy / seconds) if energy > 0 and seconds > 0 else None


def organisation_of(instrument: Instrument) -> int:
    """The organisation to read for: raw SQL passes the manager by, so the scope is checked here."""
    active = active_organisation_id()
    if active is not None and active != instrument.organisation_id:
        raise NoiseMeasurement.DoesNotExist
    return instrument.organisation_id
