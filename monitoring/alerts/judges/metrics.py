"""What can be limited: its unit, where it is stored, how it aggregates (R4) and what it cannot be. Pure."""

import math
from dataclasses import dataclass
from enum import StrEnum

from monitoring.possible import BOUNDS, is_impossible


class Means(StrEnum):
    """How values of a longer time come from those of shorter ones: R1, R4, R5."""

    ENERGY = "energy"
    ARITHMETIC = "arithmetic"
    # Maxima and percentiles: only as recorded, for a percentile does not aggregate.
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity. ``fields``: the columns of ``table``, of which the largest counts."""

    name: str
    label: str
    unit: str
    table: str
    fields: tuple[str, ...]
    means: Means = Means.NONE

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most that can be true."""
        return BOUNDS[self.table].get(self.fields[0], (-math.inf, math.inf))

    def impossible(self, value: float) -> bool:
        """Whether no instrument can truly have measured it: kept and flagged, never an alert."""
        return is_impossible(self.table, self.fields[0], value)


def _level(name: str, means: Means = Means.NONE) -> Metric:
    return Metric(name, name, "dB", "noise", (name,), means)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _level("LAeq", Means.ENERGY),
        _level("LCeq", Means.ENERGY),
        _level("LAFMax"),
        _level("LASMax"),
        _level("LCPeak"),
        _level("LZPeak"),
        _level("LAF1"),
        _level("LAF5"),
        _level("LAF10"),
        _level("LAF50"),
        _level("LAF90"),
        _level("LAF95"),
        _level("LAF99"),
        Metric("PPV", "PPV, largest axis", "mm/s", "ppv", ("v_max_x_mms", "v_max_y_mms", "v_max_z_mms")),
        Metric("PM1", "PM1", "µg/m³", "pm", ("pm1_ugm3",), Means.ARITHMETIC),
        Metric("PM2.5", "PM2.5", "µg/m³", "pm", ("pm2p5_ugm3",), Means.ARITHMETIC),
        Metric("PM10", "PM10", "µg/m³", "pm", ("pm10_ugm3",), Means.ARITHMETIC),
        Metric("CO", "CO", "ppb", "gas", ("co_ppb",), Means.ARITHMETIC),
        Metric("CO2", "CO₂", "ppm", "gas", ("co2_ppm",), Means.ARITHMETIC),
        Metric("H2S", "H₂S", "ppb", "gas", ("h2s_ppb",), Means.ARITHMETIC),
        Metric("NO", "NO", "ppb", "gas", ("no_ppb",), Means.ARITHMETIC),
        Metric("NO2", "NO₂", "ppb", "gas", ("no2_ppb",), Means.ARITHMETIC),
        Metric("O3", "O₃", "ppb", "gas", ("o3_ppb",), Means.ARITHMETIC),
        Metric("SO2", "SO₂", "ppb", "gas", ("so2_ppb",), Means.ARITHMETIC),
        Metric("wind", "Wind speed", "m/s", "weather", ("wind_speed_ms",), Means.ARITHMETIC),
    )
}
