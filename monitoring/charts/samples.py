"""Weather, air-quality and vibration series for charts, each quantity by its own rule; it judges no value.

How each quantity is put together is said once, in `KINDS` (R4). Every bucket is made of the recorded rows, in SQL.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.statements import planned_cursor
from monitoring.acoustics.levels import coverage
from monitoring.charts.series import bucket_for, epoch_sql, organisation_of
from monitoring.models import (
    GasSample,
    MonitorStats,
    ParticulateSample,
    PeakParticleVelocity,
    Resource,
    SeriesRow,
    VibrationDose,
    WeatherSample,
)

USUAL_S = 60.0


class How(StrEnum):
    """How the values of one bucket become one."""

    # Arithmetic, each value weighted by the length of its period.
    MEAN = "mean"
    MAXIMUM = "maximum"
    # Of what is bad when it is low, and must not be averaged because it is in decibels.
    MINIMUM = "minimum"
    # Of a wind: that of the mean of its vectors.
    DIRECTION = "direction"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One line of a chart; `colour` is that of the page's series, `shown` whether it is drawn at first."""

    column: str
    label: Any
    how: How
    colour: int
    shown: bool = True
    # A mean's lowest and highest value, drawn as a band around it.
    spread: bool = False
    # The column of the speed that goes with a direction.
    speed: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """Quantities that share an axis because they share a unit."""

    title: Any
    unit: Any
    places: int
    quantities: tuple[Quantity, ...]
    from_zero: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """One table of samples, and how it is told on a page."""

    title: Any
    model: type[SeriesRow]
    # By the name that an address has for them; the first is meant when none is named.
    panels: dict[str, Panel]
    note: Any


_MEANS = _(
    "Each point is an arithmetic mean weighted by time. Where it covers several values, a band runs from the "
    "lowest to the highest."
)

# R4. Concentrations and weather are means over time, wind direction that of the mean vector; PPV is a maximum. Left
# out on purpose: dominant frequencies, which belong to single peaks.
KINDS: dict[str, Kind] = {
    Resource.PARTICULATES: Kind(
        _("Particulates"),
        ParticulateSample,
        {
            "pm": Panel(
                _("Particulate matter"),
                "µg/m³",
                1,
                (
                    Quantity("pm2p5_ugm3", "PM2.5", How.MEAN, 1, spread=True),
                    Quantity("pm10_ugm3", "PM10", How.MEAN, 2, spread=True),
                    Quantity("pm1_ugm3", "PM1", How.MEAN, 3, shown=False),
                    Quantity("pm4p25_ugm3", "PM4.25", How.MEAN, 4, shown=False),
                ),
            )
        },
        _MEANS,
    ),
    Resource.GASES: Kind(
        _("Gases"),
        GasSample,
        {
            "trace": Panel(
                "NO₂, O₃, NO, SO₂, H₂S",
                "ppb",
                1,
                (
                    Quantity("no2_ppb", "NO₂", How.MEAN, 1, spread=True),
                    Quantity("o3_ppb", "O₃", How.MEAN, 2, spread=True),
                    Quantity("no_ppb", "NO", How.MEAN, 3, shown=False),
                    Quantity("so2_ppb", "SO₂", How.MEAN, 4, shown=False),
                    Quantity("h2s_ppb", "H₂S", How.MEAN, 5, shown=False),
                ),
            ),
            "co": Panel("CO", "ppb", 0, (Quantity("co_ppb", "CO", How.MEAN, 1, spread=True),)),
            "co2": Panel(
                "CO₂", "ppm", 0, (Quantity("co2_ppm", "CO₂", How.MEAN, 1, spread=True),), from_zero=False
            ),
            # MyCirrus publishes no unit for it.
            "voc": Panel(
                _("VOC, in MyCirrus' own unit"), "", 1, (Quantity("voc", "VOC", How.MEAN, 1, spread=True),)
            ),
        },
        _MEANS,
    ),
    Resource.PPV: Kind(
        _("Peak particle velocity"),
        PeakParticleVelocity,
        {
            "ppv": Panel(
                "PPV",
                "mm/s",
                3,
                (
                    Quantity("v_max_x_mms", _("PPV x, highest"), How.MAXIMUM, 1),
                    Quantity("v_max_y_mms", _("PPV y, highest"), How.MAXIMUM, 2),
                    Quantity("v_max_z_mms", _("PPV z, highest"), How.MAXIMUM, 3),
                ),
            )
        },
        _("Each point is the highest PPV of its interval, per axis."),
    ),
    Resource.VDV: Kind(
        _("Vibration dose value"),
        VibrationDose,
        {
            "vdv": Panel(
                "VDV",
                "m/s¹·⁷⁵",
                4,
                # Doses add up by their fourth powers, but only over the same exposure: until a rule for that has
                # been read in its standard, the highest recorded dose is shown and said to be that.
                (
                    Quantity("vdv_x", _("VDV x, highest"), How.MAXIMUM, 1),
                    Quantity("vdv_y", _("VDV y, highest"), How.MAXIMUM, 2),
                    Quantity("vdv_z", _("VDV z, highest"), How.MAXIMUM, 3),
                ),
            )
        },
        _(
            "Each point is the highest VDV of a single recorded period; doses of several periods are not added up."
        ),
    ),
    Resource.WEATHER: Kind(
        _("Weather"),
        WeatherSample,
        {
            "wind": Panel(
                _("Wind speed"),
                "m/s",
                1,
                (
                    # The mean lies above the highest, which hides it where a bucket holds one value.
                    Quantity("wind_speed_ms", _("Wind, highest"), How.MAXIMUM, 2),
                    Quantity("wind_speed_ms", _("Wind, mean"), How.MEAN, 1),
                ),
            ),
            "direction": Panel(
                _("Wind direction"),
                "°",
                0,
                (Quantity("wind_direction_deg", _("Wind from"), How.DIRECTION, 1, speed="wind_speed_ms"),),
            ),
            "temperature": Panel(
                _("Temperature"),
                "°C",
                1,
                (Quantity("temperature_c", _("Temperature"), How.MEAN, 1, spread=True),),
                from_zero=False,
            ),
            "humidity": Panel(
                _("Humidity"), "%", 0, (Quantity("humidity_pct", _("Humidity"), How.MEAN, 1, spread=True),)
            ),
            "pressure": Panel(
                _("Air pressure"),
                "hPa",
                1,
                (Quantity("pressure_hpa", _("Pressure"), How.MEAN, 1, spread=True),),
                from_zero=False,
            ),
            "precipitation": Panel(
                _("Precipitation"),
                "mm/h",
                2,
                (Quantity("precipitation_mmh", _("Mean rate"), How.MEAN, 1),),
            ),
        },
        _(
            "Means are arithmetic and weighted by time; the highest wind is the highest recorded value, "
            "not a gust within it. Wind direction is where the mean wind comes from, clockwise from north; "
            "a calm has none."
        ),
    ),
    # Last, because it is about the monitor and not about its surroundings.
    Resource.STATS: Kind(
        _("Health of the monitor"),
        MonitorStats,
        {
            "voltage": Panel(
                _("Input voltage"),
                "V",
                2,
                (Quantity("voltage_v", _("Voltage"), How.MEAN, 1, spread=True),),
                from_zero=False,
            ),
            "temperature": Panel(
                _("Temperature inside"),
                "°C",
                1,
                (Quantity("temperature_c", _("Temperature"), How.MEAN, 2, spread=True),),
                from_zero=False,
            ),
            # MyCirrus names no units; by their definition RSRP is in dBm, RSRQ and SINR are ratios in dB.
            "rsrp": Panel(
                _("Signal strength"),
                "dBm",
                0,
                (Quantity("lte_rsrp", _("RSRP, weakest"), How.MINIMUM, 1),),
                from_zero=False,
            ),
            "quality": Panel(
                _("Signal quality"),
                "dB",
                0,
                (
                    Quantity("lte_sinr", _("SINR, lowest"), How.MINIMUM, 3),
                    Quantity("lte_rsrq", _("RSRQ, lowest"), How.MINIMUM, 4),
                ),
                from_zero=False,
            ),
            "ping": Panel(_("Ping"), "ms", 0, (Quantity("ping_ms", _("Ping"), How.MEAN, 5, spread=True),)),
            "memory": Panel(
                _("Memory used"), "MB", 0, (Quantity("mem_mb", _("Memory"), How.MEAN, 1, spread=True),)
            ),
            "disk": Panel(
                _("Disk used"), "MB", 0, (Quantity("disk_mb", _("Disk"), How.MEAN, 2, spread=True),)
            ),
        },
        _(
            "Signal values are the lowest of each interval, because decibels are not averaged arithmetically; "
            "the others are means weighted by time. Units of signal values are those of LTE; MyCirrus names none."
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity's value per bucket, None where nothing was recorded; `lower` and `upper` are its extremes there."""

    quantity: Quantity
    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
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
    buckets = list(
        _buckets(kind.model, panel, instrument.pk, organisation_id, since, until, bucket_s, period_s)
    )
    valid = sum(bucket[1] for bucket in buckets)
    return SampleSeries(
        panel=panel,
        start_at=since,
        bucket_s=bucket_s,
        lines=[
            _line(quantity, [(bucket[0] - first, bucket[3 + place]) for bucket in buckets], length)
            for place, quantity in enumerate(panel.quantities)
        ],
        coverage_pct=coverage(valid, (min(until, now) - since).total_seconds()),
        valid_s=valid,
        count=sum(bucket[2] for bucket in buckets),
        period_s=period_s,
    )


# Sum of value x seconds, seconds, lowest, highest. Of a direction: the wind's way to the east and to the north.
_Sums = tuple[float, float, float | None, float | None]
# In metres: less is what rounding leaves of winds that undo each other.
_NOWHERE = 1e-6


def _direction(east: float, north: float) -> float | None:
    """Of a wind that went so far, in degrees clockwise from north; None for none."""
    if math.hypot(east, north) <= _NOWHERE:
        return None
    # A hair west of north would be 360.
    return round(math.degrees(math.atan2(east, north)), 6) % 360


def _line(quantity: Quantity, buckets: Sequence[tuple[int, _Sums]], length: int) -> Line:
    values: list[float | None] = [None] * length
    lower: list[float | None] = [None] * length
    upper: list[float | None] = [None] * length
    weighted, seconds = 0.0, 0.0
    if quantity.how == How.DIRECTION:
        for place, (east, north, _lowest, _highest) in buckets:
            values[place] = _direction(east, north)
            weighted, seconds = weighted + east, seconds + north
        return Line(quantity, values, lower, upper, _direction(weighted, seconds), None)
    for place, (product, valid_s, lowest, highest) in buckets:
        if highest is None or valid_s <= 0:
            continue
        mean = product / valid_s
        values[place] = {How.MEAN: mean, How.MAXIMUM: highest, How.MINIMUM: lowest}[quantity.how]
        lower[place], upper[place] = lowest, highest
        weighted += product
        seconds += valid_s
    most = max((value for value in upper if value is not None), default=None)
    least = min((value for value in lower if value is not None), default=None)
    whole = weighted / seconds if seconds > 0 else None
    total = {How.MEAN: whole, How.MAXIMUM: most, How.MINIMUM: least}[quantity.how]
    return Line(quantity, values, lower, upper, total, most)


def _period(model: type[SeriesRow], instrument: Instrument, end: datetime) -> float:
    rows = model._default_manager.filter(instrument=instrument, start_at__lt=end).order_by("-start_at")
    seconds: float | None = rows.values_list("duration_s", flat=True).first()
    return seconds or USUAL_S


def _sums(quantity: Quantity, seconds: str) -> str:
    """The SQL of one quantity's `_Sums`, where a row lasts ``seconds``."""
    name = quantity.column
    parts = [f'{seconds} * "{name}"', seconds]
    known = f'"{name}" IS NOT NULL'
    if quantity.how == How.DIRECTION:
        parts = [f'{seconds} * "{quantity.speed}" * {turn}(RADIANS("{name}"))' for turn in ("SIN", "COS")]
        known += f' AND "{quantity.speed}" IS NOT NULL'
    summed = [f"SUM(CASE WHEN {known} THEN {part} ELSE 0 END)" for part in parts]
    return ", ".join([*summed, f'MIN("{name}")', f'MAX("{name}")'])


def _buckets(
    model: type[SeriesRow],
    panel: Panel,
    instrument_id: int,
    organisation_id: int,
    since: datetime,
    until: datetime,
    bucket_s: int,
    usual_s: float,
) -> Iterator[tuple[Any, ...]]:
    """(bucket, valid seconds, rows, sums of the first quantity, of the second, …)."""
    # A row whose length MyCirrus did not give weighs as one usual period.
    seconds = f'COALESCE("duration_s", {float(usual_s)})'
    columns = [quantity.column for quantity in panel.quantities]
    any_value = " OR ".join(f'"{name}" IS NOT NULL' for name in columns)
    sums = ", ".join(_sums(quantity, seconds) for quantity in panel.quantities)
    started = '"start_at"'
    sql = f"""
        SELECT {epoch_sql(started)} / {int(bucket_s)} AS bucket,
               SUM(CASE WHEN {any_value} THEN {seconds} ELSE 0 END),
               SUM(CASE WHEN {any_value} THEN 1 ELSE 0 END), {sums}
        FROM "{model._meta.db_table}"
        WHERE "organisation_id" = %s AND "instrument_id" = %s AND "start_at" >= %s AND "start_at" < %s
        GROUP BY bucket
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
