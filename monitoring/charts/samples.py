"""Weather, air-quality and vibration series for charts, each quantity by its own rule; it judges no value.

How each quantity is formed is said once, in `sample_kinds` (R4). Up to a day and a half comes from the recorded rows,
longer ranges from their rollups, whose sums are exact; both in SQL.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.acoustics.levels import coverage
from monitoring.charts.sample_kinds import How, Kind, Panel, Quantity
from monitoring.charts.sample_sums import USUAL_S, lasted, of_bucket, of_rows, panel_of_bucket, panel_of_rows
from monitoring.charts.series import bucket_for, epoch_sql, organisation_of
from monitoring.models import Bucket, OfSeries, SampleRollup, SeriesRow


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity's value per bucket, None where nothing was recorded; `lower` and `upper` are its extremes there."""

    quantity: Quantity
    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    # R9: the seconds of each bucket that had this quantity.
    valid: list[float]
    # Of the whole range: by the quantity's own rule, and the highest.
    total: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class SampleSeries:
    """Equal buckets of `bucket_s` seconds from `start_at`. `count` are the rows that held any of the quantities."""

    panel: Panel
    start_at: datetime
    bucket_s: int
    lines: list[Line]
    # R9: the seconds of each bucket that had any value.
    valid: list[float]
    coverage_pct: float
    valid_s: float
    count: int
    # The length of a recorded period, by the newest one.
    period_s: float


def sample_series(
    *, instrument: Instrument, kind: Kind, panel: Panel, start: datetime, end: datetime, now: datetime
) -> SampleSeries:
    """The quantities of ``panel`` from ``start`` to ``end``, in whole buckets aligned to UTC.

    A row belongs to the bucket in which it starts. Only time that has passed counts for coverage.
    """
    # Raw SQL below passes the manager by: this refuses another organisation's instrument.
    organisation_id = organisation_of(instrument)
    period_s = _period(kind.model, instrument, end)
    bucket_s = bucket_for(end - start, period_s)
    first = int(start.timestamp()) // bucket_s
    length = -(-int(end.timestamp()) // bucket_s) - first
    since = datetime.fromtimestamp(first * bucket_s, tz=UTC)
    until = since + timedelta(seconds=bucket_s * length)
    stretch = instrument.pk, organisation_id, since, until, bucket_s
    if bucket_s in Bucket:
        buckets = list(rolled_buckets(kind, panel, *stretch))
    else:
        buckets = list(sample_buckets(kind.model, panel, *stretch, period_s))
    valid = [0.0] * length
    for bucket in buckets:
        valid[bucket[0] - first] = bucket[1]
    return SampleSeries(
        panel=panel,
        start_at=since,
        bucket_s=bucket_s,
        lines=[
            line_of(quantity, [(bucket[0] - first, bucket[3 + place]) for bucket in buckets], length)
            for place, quantity in enumerate(panel.quantities)
        ],
        valid=valid,
        coverage_pct=coverage(sum(valid), (min(until, now) - since).total_seconds()),
        valid_s=sum(valid),
        count=sum(bucket[2] for bucket in buckets),
        period_s=period_s,
    )


# Sum of value x seconds, seconds, lowest, highest. Of a direction: the wind's way east and north, seconds, nothing.
_Sums = tuple[float, float, float | None, float | None]
# In metres: less is what rounding leaves of winds that undo each other.
_NOWHERE = 1e-6


def _direction(east: float, north: float) -> float | None:
    """Of a wind that went so far, in degrees clockwise from north; None for none."""
    if math.hypot(east, north) <= _NOWHERE:
        return None
    # A hair west of north would be 360.
    return round(math.degrees(math.atan2(east, north)), 6) % 360


def line_of(quantity: Quantity, buckets: Sequence[tuple[int, _Sums]], length: int) -> Line:
    """The line of one quantity over ``length`` buckets, from the sums of those that have any, by their places."""
    values: list[float | None] = [None] * length
    lower: list[float | None] = [None] * length
    upper: list[float | None] = [None] * length
    valid = [0.0] * length
    weighted, seconds = 0.0, 0.0
    if quantity.how == How.DIRECTION:
        for place, (east, north, valid_s, _nothing) in buckets:
            values[place], valid[place] = _direction(east, north), float(valid_s or 0)
            weighted, seconds = weighted + east, seconds + north
        return Line(quantity, values, lower, upper, valid, _direction(weighted, seconds), None)
    for place, (product, valid_s, lowest, highest) in buckets:
        if highest is None or valid_s <= 0:
            continue
        mean = product / valid_s
        values[place] = {How.MEAN: mean, How.MAXIMUM: highest, How.MINIMUM: lowest}[quantity.how]
        lower[place], upper[place], valid[place] = lowest, highest, float(valid_s)
        weighted += product
        seconds += valid_s
    most = max((value for value in upper if value is not None), default=None)
    least = min((value for value in lower if value is not None), default=None)
    whole = weighted / seconds if seconds > 0 else None
    total = {How.MEAN: whole, How.MAXIMUM: most, How.MINIMUM: least}[quantity.how]
    return Line(quantity, values, lower, upper, valid, total, most)


def _period(model: type[SeriesRow], instrument: Instrument, end: datetime) -> float:
    rows = model._default_manager.filter(instrument=instrument, start_at__lt=end).order_by("-start_at")
    seconds: float | None = rows.values_list("duration_s", flat=True).first()
    return seconds or USUAL_S


def sample_buckets(
    model: type[SeriesRow],
    panel: Panel,
    instrument_id: int,
    organisation_id: int,
    since: datetime,
    until: datetime,
    bucket_s: int,
    usual_s: float,
) -> Iterator[tuple[Any, ...]]:
    """(bucket, valid seconds, rows, sums of the first quantity, of the second, …).

    The caller answers for the instrument being the organisation's.
    """
    seconds = lasted(usual_s)
    told = panel_of_rows(panel, seconds), *(of_rows(quantity, seconds) for quantity in panel.quantities)
    yield from _read(model, told, instrument_id, organisation_id, since, until, bucket_s, "GROUP BY bucket")


def rolled_buckets(
    kind: Kind,
    panel: Panel,
    instrument_id: int,
    organisation_id: int,
    since: datetime,
    until: datetime,
    bucket_s: int,
) -> Iterator[tuple[Any, ...]]:
    """The same as they were summed when their rows were stored, which may be gone by now."""
    (name,) = (name for name, each in kind.panels.items() if each is panel)
    told = panel_of_bucket(name), *map(of_bucket, panel.quantities)
    only = f'AND "resource" = \'{kind.resource}\' AND "bucket_s" = {int(bucket_s)}'
    yield from _read(SampleRollup, told, instrument_id, organisation_id, since, until, bucket_s, only)


def _read(
    model: type[OfSeries],
    told: Iterable[Sequence[str]],
    instrument_id: int,
    organisation_id: int,
    since: datetime,
    until: datetime,
    bucket_s: int,
    ending: str,
) -> Iterator[tuple[Any, ...]]:
    started = '"start_at"'
    sql = f"""
        SELECT {epoch_sql(started)} / {int(bucket_s)} AS bucket, {", ".join(chain.from_iterable(told))}
        FROM "{model._meta.db_table}"
        WHERE "organisation_id" = %s AND "instrument_id" = %s AND "start_at" >= %s AND "start_at" < %s {ending}
    """  # noqa: S608 - every name is ours, every value is a parameter
    parameters: list[Any] = [
        organisation_id,
        instrument_id,
        connection.ops.adapt_datetimefield_value(since),
        connection.ops.adapt_datetimefield_value(until),
    ]
    with planned_cursor() as cursor:
        cursor.execute(sql, parameters)
        for bucket, valid_s, count, *flat in cursor:
            yield (
                int(bucket),
                float(valid_s),
                int(count),
                *(tuple(flat[place : place + 4]) for place in range(0, len(flat), 4)),
            )
