"""Keeping rollups exact: what changed is summed anew from its own rows, never adjusted by a difference."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.models import NoiseMeasurement, NoiseRollup

_COLUMNS = '"energy", "valid_s", "count", "LAeq_min", "LAeq_max", "LAFMax", "LCPeak"'
_UPDATES = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", "))
_OF_ROWS = 'COUNT(*), MIN("LAeq"), MAX("LAeq"), MAX("LAFMax"), MAX("LCPeak")'
# Sums of sums, least of least: a bucket of buckets holds exactly what its measurements do.
_OF_BUCKETS = (
    'SUM("energy"), SUM("valid_s"), SUM("count"), '
    'MIN("LAeq_min"), MAX("LAeq_max"), MAX("LAFMax"), MAX("LCPeak")'
)


def weighed(usual_s: float) -> str:
    """Energy and valid seconds of measurements, for a SELECT; ``usual_s`` is for those that do not say their length."""
    seconds = f'COALESCE("duration_s", {float(usual_s)})'
    # What no instrument can have measured is stored as it came, and 10^(L/10) of it may be more than a number holds.
    level = 'CASE WHEN "LAeq" > 1000 THEN 1000 WHEN "LAeq" < -1000 THEN -1000 ELSE "LAeq" END'
    return f"""
        SUM(CASE WHEN "LAeq" IS NULL THEN 0 ELSE {seconds} * POWER(10, ({level}) / 10) END),
        SUM(CASE WHEN "LAeq" IS NULL THEN 0 ELSE {seconds} END)
    """


def _floor(at: datetime, bucket_s: int) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // bucket_s * bucket_s, tz=UTC)


def noise_rollups_refresh(
    *, instrument: Instrument, first: datetime, last: datetime, usual_s: float = 60.0
) -> None:
    """Sum anew every bucket that a measurement starting in [first, last] falls into.

    ``usual_s`` stands for the length of a measurement whose own MyCirrus did not give.
    """
    rolled = NoiseRollup._meta.db_table
    source, sums, within = NoiseMeasurement._meta.db_table, f"{weighed(usual_s)}, {_OF_ROWS}", ""
    with planned_cursor() as cursor:
        # Shortest first: only these read the measurements, each longer bucket is summed from those before it.
        for bucket_s in sorted(NoiseRollup.Bucket.values):
            start, end = _floor(first, bucket_s), _floor(last, bucket_s) + timedelta(seconds=bucket_s)
            bucket, common, stretches = _buckets(start, end, int(bucket_s))
            cursor.executemany(
                f"""
                INSERT INTO "{rolled}" ("organisation_id", "instrument_id", "bucket_s", "start_at", {_COLUMNS})
                SELECT "organisation_id", "instrument_id", {int(bucket_s)}, {bucket}, {sums}
                FROM "{source}"
                WHERE "start_at" >= %s AND "start_at" < %s AND "organisation_id" = %s AND "instrument_id" = %s {within}
                GROUP BY "organisation_id", "instrument_id" {common}
                ON CONFLICT ("organisation_id", "instrument_id", "bucket_s", "start_at")
                DO UPDATE SET {_UPDATES}
                """,  # noqa: S608 - every name is ours, every value is a parameter
                [(*stretch, instrument.organisation_id, instrument.pk) for stretch in stretches],
            )
            source, sums, within = rolled, _OF_BUCKETS, f'AND "bucket_s" = {int(bucket_s)}'


def _buckets(start: datetime, end: datetime, bucket_s: int) -> tuple[str, str, list[tuple[Any, ...]]]:
    """When the bucket of a row begins, what rows of one have in common, and what the statement is run with."""
    if connection.vendor == "postgresql":
        bucket = f"date_bin('{bucket_s} seconds', \"start_at\", timestamptz 'epoch')"
        return bucket, f", {bucket}", [(start, end)]
    # A bucket's rows lie side by side in the index: to find them there costs half of telling the bucket of each row
    # and sorting them by it.
    begun, length = start.replace(tzinfo=None), timedelta(seconds=bucket_s)
    # As Django writes instants on SQLite: UTC without a zone.
    told = [str(begun + number * length) for number in range((end - start) // length + 1)]
    return "%s", "", list(zip(told, told, told[1:], strict=False))
