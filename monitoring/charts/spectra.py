"""Band levels for charts: the spectrum stored nearest to an instant, and spectrograms averaged by energy (R1).

Levels are Leq per band in dB, Z-weighted, as MyCirrus gives them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.acoustics.bands import band_hz, band_levels
from monitoring.acoustics.levels import coverage
from monitoring.charts.series import epoch_sql, organisation_of
from monitoring.models import FrequencyMeasurement
from monitoring.possible import AHEAD

MOST_COLUMNS = 1000
# Every row of the stretch is read: of a longer one only its end is drawn.
LONGEST = timedelta(days=31)
_BUCKETS = (60, 120, 300, 600, 900, 1800, 3600)
USUAL_S = 60.0
# exp(L x this) is 10^(L / 10), and quicker.
_NEPER = math.log(10) / 10
Bands = FrequencyMeasurement.Bands


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One stored row: its levels by centre frequency in Hz, and whether it covers the instant asked for."""

    at: datetime
    duration_s: float
    levels: dict[float, float | None]
    covers: bool


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """Equal columns of ``bucket_s`` seconds from ``start_at``: for each band, low to high, a level or None in each."""

    start_at: datetime
    bucket_s: int
    bands: list[float]
    levels: list[list[float | None]]
    coverage_pct: float
    count: int


def spectrum_at(*, instrument: Instrument, bands: str, at: datetime | None, now: datetime) -> Spectrum | None:
    """The row that covers ``at``, else the one stored nearest to it; without an instant the newest up to ``now``."""
    rows = FrequencyMeasurement.objects.filter(instrument=instrument, bands=bands)
    if at is None:
        row = rows.filter(start_at__lte=now + AHEAD).order_by("-start_at").first()
        return _spectrum(row, row.start_at) if row else None
    before = rows.filter(start_at__lte=at).order_by("-start_at").first()
    if before is not None and at < _end(before):
        return _spectrum(before, at)
    after = rows.filter(start_at__gt=at).order_by("start_at").first()
    found = [row for row in (before, after) if row is not None]
    if not found:
        return None
    return _spectrum(min(found, key=lambda row: max(row.start_at - at, at - _end(row))), at)


def _end(row: FrequencyMeasurement) -> datetime:
    return row.start_at + timedelta(seconds=row.duration_s or USUAL_S)


def _spectrum(row: FrequencyMeasurement, at: datetime) -> Spectrum:
    covers = row.start_at <= at < _end(row)
    return Spectrum(row.start_at, row.duration_s or USUAL_S, band_levels(row.levels), covers)


def spectrogram(
    *, instrument: Instrument, bands: str, start: datetime, end: datetime, now: datetime
) -> Spectrogram:
    """The band levels from ``start`` to ``end``, each column an energy mean over the time it was measured in.

    A row belongs to the column in which it starts; only time that has passed counts for coverage (R9).
    """
    rows = FrequencyMeasurement.objects.filter(instrument=instrument, bands=bands, start_at__lt=end)
    period_s = rows.order_by("-start_at").values_list("duration_s", flat=True).first() or USUAL_S
    shortest = max((end - start).total_seconds() / (MOST_COLUMNS - 1), period_s)
    bucket_s = next((bucket for bucket in _BUCKETS if bucket >= shortest), math.ceil(shortest))
    first = int(start.timestamp()) // bucket_s
    length = -(-int(end.timestamp()) // bucket_s) - first
    since = datetime.fromtimestamp(first * bucket_s, tz=UTC)
    until = since + timedelta(seconds=bucket_s * length)
    # Of each band: seconds times energy, and seconds, in each column. Found by name, for a month has a million values.
    lanes: dict[str, tuple[list[float], list[float]] | None] = {}
    valid, count = 0.0, 0
    for epoch, duration, levels in _rows(instrument, bands, since, until):
        column, weight = epoch // bucket_s - first, duration or period_s
        for name, level in levels.items():
            if name not in lanes:
                lanes[name] = None if band_hz(name) is None else ([0.0] * length, [0.0] * length)
            lane = lanes[name]
            if lane is None or level is None:
                continue
            lane[0][column] += weight * math.exp(level * _NEPER)
            lane[1][column] += weight
        valid += weight
        count += 1
    held = {band_hz(name) or 0.0: lane for name, lane in lanes.items() if lane is not None}
    ordered = sorted(held)
    return Spectrogram(
        start_at=since,
        bucket_s=bucket_s,
        bands=ordered,
        levels=[
            [
                10 * math.log10(energy / seconds) if energy > 0 and seconds > 0 else None
                for energy, seconds in zip(*held[hz], strict=True)
            ]
            for hz in ordered
        ],
        coverage_pct=coverage(valid, (min(until, now) - since).total_seconds()),
        count=count,
    )


def _rows(
    instrument: Instrument, bands: str, since: datetime, until: datetime
) -> Iterator[tuple[int, float | None, dict[str, float | None]]]:
    """(epoch seconds, duration, levels by name), without the cost of a model for each of tens of thousands."""
    started = '"start_at"'
    levels = '"levels"::text' if connection.vendor == "postgresql" else '"levels"'
    sql = f"""
        SELECT {epoch_sql(started)}, "duration_s", {levels}
        FROM "{FrequencyMeasurement._meta.db_table}"
        WHERE "organisation_id" = %s AND "instrument_id" = %s AND "bands" = %s
          AND "start_at" >= %s AND "start_at" < %s
    """  # noqa: S608 - every name is ours, every value is a parameter
    parameters: list[Any] = [
        organisation_of(instrument),
        instrument.pk,
        bands,
        connection.ops.adapt_datetimefield_value(since),
        connection.ops.adapt_datetimefield_value(until),
    ]
    with planned_cursor() as cursor:
        cursor.execute(sql, parameters)
        for epoch, duration, text in cursor:
            yield int(epoch), duration, orjson.loads(text)
