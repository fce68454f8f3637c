"""Keeping rollups exact: what changed is summed anew from its own rows, never adjusted by a difference."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.charts.sample_kinds import KINDS
from monitoring.charts.sample_sums import (
    USUAL_S,
    document,
    lasted,
    of_buckets,
    of_rows,
    panel_of_buckets,
    panel_of_rows,
)
from monitoring.models import Bucket, NoiseMeasurement, NoiseRollup, OfSeries, SampleRollup, SeriesRow

_COLUMNS = '"energy", "valid_s", "count", "LAeq_min", "LAeq_max", "LAFMax", "LCPeak"'
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


def bucket_start(at: datetime, bucket_s: int) -> datetime:
    """When the bucket of UTC time begins that ``at`` falls into."""
    return datetime.fromtimestamp(int(at.timestamp()) // bucket_s * bucket_s, tz=UTC)


def noise_rollups_refresh(
    *, instrument: Instrument, first: datetime, last: datetime, usual_s: float = USUAL_S
) -> None:
    """Sum anew every bucket that a measurement starting in [first, last] falls into.

    ``usual_s`` stands for the length of a measurement whose own MyCirrus did not give.
    """
    sums = Sums(NoiseRollup, {}, NoiseMeasurement, _COLUMNS, f"{weighed(usual_s)}, {_OF_ROWS}", _OF_BUCKETS)
    _sum_anew(sums, instrument, first, last)


def sample_rollups_refresh(
    *,
    instrument: Instrument,
    model: type[SeriesRow],
    first: datetime,
    last: datetime,
    usual_s: float = USUAL_S,
) -> None:
    """The same of the samples that are kept in ``model``."""
    kind, seconds = _KINDS[model], lasted(usual_s)
    quantities = {each.column: each for panel in kind.panels.values() for each in panel.quantities}
    rows = (
        "COUNT(*)",
        document((name, of_rows(each, seconds)) for name, each in quantities.items()),
        document((name, panel_of_rows(panel, seconds)) for name, panel in kind.panels.items()),
    )
    buckets = (
        'SUM("count")',
        document((name, of_buckets(each)) for name, each in quantities.items()),
        document((name, panel_of_buckets(name)) for name in kind.panels),
    )
    key, columns = {"resource": kind.resource}, '"count", "sums", "valid"'
    _sum_anew(
        Sums(SampleRollup, key, model, columns, ", ".join(rows), ", ".join(buckets)), instrument, first, last
    )


_KINDS = {kind.model: kind for kind in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Sums:
    """What is summed into which table, in SQL: out of the rows of `source`, and out of its own shorter buckets.

    `key` is what its rows are told apart by beside instrument, bucket and instant.
    """

    table: type[OfSeries]
    key: Mapping[str, str]
    source: type[SeriesRow]
    columns: str
    of_rows: str
    of_buckets: str


def _sum_anew(told: Sums, instrument: Instrument, first: datetime, last: datetime) -> None:
    rolled, source, sums, within = told.table._meta.db_table, told.source._meta.db_table, told.of_rows, ""
    names = "".join(f'"{name}", ' for name in told.key)
    values = "".join(f"'{value}', " for value in told.key.values())
    same = "".join(f" AND \"{name}\" = '{value}'" for name, value in told.key.items())
    updates = ", ".join(f"{name} = excluded.{name}" for name in told.columns.split(", "))
    with planned_cursor() as cursor:
        # Shortest first: only these read the measurements, each longer bucket is summed from those before it.
        for bucket_s in sorted(Bucket.values):
            start, end = (
                bucket_start(first, bucket_s),
                bucket_start(last, bucket_s) + timedelta(seconds=bucket_s),
            )
            bucket, common, stretches = _buckets(start, end, int(bucket_s))
            cursor.executemany(
                f"""
                INSERT INTO "{rolled}"
                    ("organisation_id", "instrument_id", {names}"bucket_s", "start_at", {told.columns})
                SELECT "organisation_id", "instrument_id", {values}{int(bucket_s)}, {bucket}, {sums}
                FROM "{source}"
                WHERE "start_at" >= %s AND "start_at" < %s AND "organisation_id" = %s AND "instrument_id" = %s{within}
                GROUP BY "organisation_id", "instrument_id"{common}
                ON CONFLICT ("organisation_id", "instrument_id", {names}"bucket_s", "start_at")
                DO UPDATE SET {updates}
                """,  # noqa: S608 - every name is ours, every value is a parameter
                [(*stretch, instrument.organisation_id, instrument.pk) for stretch in stretches],
            )
            source, sums, within = rolled, told.of_buckets, f'{same} AND "bucket_s" = {int(bucket_s)}'


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
