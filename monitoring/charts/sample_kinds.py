"""Which quantities are drawn of weather, air quality and vibration, and how each is formed (R4). It reads nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

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

    resource: str
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
        Resource.PARTICULATES,
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
        Resource.GASES,
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
        Resource.PPV,
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
        Resource.VDV,
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
        Resource.WEATHER,
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
        Resource.STATS,
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
