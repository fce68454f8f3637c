"""Band levels for charts: the spectrum stored nearest to an instant, and spectrograms averaged by energy (R1).

Columns of up to ten minutes come from the spectra themselves, longer ones from the rollups, whose sums are exact.

Levels are Leq per band in dB, Z-weighted, as MyCirrus gives them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.acoustics.bands import band_hz, band_levels
from monitoring.acoustics.levels import coverage
from monitoring.charts.series import epoch_sql, organisation_of
from monitoring.models import BandRollup, Bucket, FrequencyMeasurement
from monitoring.possible import AHEAD

MOST_COLUMNS = 1000
_BUCKETS = (60, 120, 300, 600, *Bucket.values)
USUAL_S = 60.0
# exp(L x this) is 10^(L / 10), and quicker.
_NEPER = math.log(10) / 10
# In dB: what no instrument can have measured is stored as it came, and its energy may be more than a number holds.
_MOST_DB = 1000.0
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
    bucket_s = next((bucket for bucket in _BUCKETS if bucket >= shortest), _BUCKETS[-1])
    first = int(start.timestamp()) // bucket_s
    length = -(-int(end.timestamp()) // bucket_s) - first
    since = datetime.fromtimestamp(first * bucket_s, tz=UTC)
    until = since + timedelta(seconds=bucket_s * length)
    # Of each band: seconds times energy, and seconds, in each column.
    lanes: dict[str, tuple[list[float], list[float]] | None] = {}
    valid, count = 0.0, 0
    summed: Iterable[tuple[int, BandSums]]
    if bucket_s in Bucket:
        summed = _rolled(instrument, bands, since, until, bucket_s)
    else:
        summed = band_sums(instrument, bands, since, until, bucket_s, period_s).items()
    for epoch, told in summed:
        column = epoch // bucket_s - first
        for name, (energy, seconds) in told.sums.items():
            if name not in lanes:
                lanes[name] = None if band_hz(name) is None else ([0.0] * length, [0.0] * length)
            lane = lanes[name]
            if lane is not None:
                lane[0][column], lane[1][column] = energy, seconds
        valid += told.valid_s
        count += told.count
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


@dataclass(slots=True)
class BandSums:
    """Of some spectra together: how many, their seconds, and by band seconds × energy and the seconds with a level."""

    count: int = 0
    valid_s: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, levels: Mapping[str, float | None], seconds: float) -> None:
        """One spectrum that lasted so long."""
        sums = self.sums
        for name, level in levels.items():
            if level is None:
                continue
            energy = seconds * math.exp(max(min(level, _MOST_DB), -_MOST_DB) * _NEPER)
            if name in sums:
                sums[name][0] += energy
                sums[name][1] += seconds
            else:
                sums[name] = [energy, seconds]
        self.valid_s += seconds
        self.count += 1

    def join(self, count: int, valid_s: float, sums: Mapping[str, Sequence[float]]) -> None:
        """Others that were summed before."""
        for name, (energy, seconds) in sums.items():
            held = self.sums.setdefault(name, [0.0, 0.0])
            held[0] += energy
            held[1] += seconds
        self.valid_s += valid_s
        self.count += count


def band_sums(
    instrument: Instrument, bands: str, since: datetime, until: datetime, bucket_s: int, usual_s: float
) -> dict[int, BandSums]:
    """The sums of the spectra that start in [since, until), by the seconds since 1970 at which their bucket begins.

    ``usual_s`` stands for the length of one that MyCirrus did not give.
    """
    found: dict[int, BandSums] = defaultdict(BandSums)
    for epoch, duration, levels in _rows(instrument, bands, since, until):
        found[epoch // bucket_s * bucket_s].add(levels, duration or usual_s)
    return found


def _rolled(
    instrument: Instrument, bands: str, since: datetime, until: datetime, bucket_s: int
) -> Iterator[tuple[int, BandSums]]:
    rows = BandRollup.objects.filter(
        organisation_id=organisation_of(instrument),
        instrument=instrument,
        bands=bands,
        bucket_s=bucket_s,
        start_at__gte=since,
        start_at__lt=until,
    )
    for at, *told in rows.values_list("start_at", "count", "valid_s", "sums"):
        yield int(at.timestamp()), BandSums(*told)


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
