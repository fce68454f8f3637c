"""Percentiles as recorded, where every point is one measurement; they are never aggregated (R5)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.charts.series import LevelSeries, epoch_sql, organisation_of
from monitoring.models import NoiseMeasurement

PERCENTILES = ("LAF10", "LAF50", "LAF90")


def recorded_percentiles(
    *, instrument: Instrument, series: LevelSeries, period_s: float | None
) -> Mapping[str, list[float | None]]:
    """The percentiles of ``series``' buckets in dB, or nothing where a bucket may hold more than one measurement."""
    if series.bucket_s > (period_s or 60) or not series.count:
        return {}
    length = len(series.LAeq)
    first = int(series.start_at.timestamp()) // series.bucket_s
    until = series.start_at + timedelta(seconds=series.bucket_s * length)
    found: dict[str, list[float | None]] = {name: [None] * length for name in PERCENTILES}
    held: set[int] = set()
    for bucket, *values in _rows(instrument, series, until):
        place = int(bucket) - first
        for name, value in zip(PERCENTILES, values, strict=True):
            # Where the period was shorter for a while: two percentiles have no common one.
            found[name][place] = None if place in held else value
        held.add(place)
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def _rows(instrument: Instrument, series: LevelSeries, until: datetime) -> list[tuple[Any, ...]]:
    started = '"start_at"'
    columns = ", ".join(f'"{name}"' for name in PERCENTILES)
    sql = f"""
        SELECT {epoch_sql(started)} / {int(series.bucket_s)}, {columns}
        FROM "{NoiseMeasurement._meta.db_table}"
        WHERE "organisation_id" = %s AND "instrument_id" = %s AND "start_at" >= %s AND "start_at" < %s
    """  # noqa: S608 - every name is ours, every value is a parameter
    parameters = [
        organisation_of(instrument),
        instrument.pk,
        connection.ops.adapt_datetimefield_value(series.start_at),
        connection.ops.adapt_datetimefield_value(until),
    ]
    with planned_cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
