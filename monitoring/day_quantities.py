"""Which quantity tells the last day of which instrument, and on what scale. It reads nothing.

Units, decimals and how a quarter of an hour is formed (R4) are those of the charts. The scales only draw: they are no
limits, and come from no standard.
"""

from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from instruments.models import Instrument
from monitoring.charts.sample_kinds import KINDS, How, Panel
from monitoring.day_lines import Scale
from monitoring.models import NoiseMeasurement, Resource, SeriesRow


@dataclass(frozen=True, slots=True)
class DayQuantity:
    """One quantity: where its values are, and how they are drawn and told."""

    label: Any
    unit: str
    scale: Scale
    model: type[SeriesRow]
    # Its columns, of which the largest counts; None for levels, which are read from their rollups.
    panel: Panel | None = None

    @property
    def words(self) -> str:
        """Its name with how a quarter of an hour is formed."""
        if self.panel is None:
            return str(self.label)
        highest = self.panel.quantities[0].how == How.MAXIMUM
        return (_("highest %(quantity)s") if highest else _("mean %(quantity)s")) % {"quantity": self.label}


def _sampled(
    resource: str,
    panel: str,
    columns: tuple[str, ...],
    lowest: float,
    highest: float,
    *,
    label: str = "",
    ratios: bool = False,
) -> DayQuantity:
    kind, drawn = KINDS[resource], KINDS[resource].panels[panel]
    quantities = tuple(each for each in drawn.quantities if each.column in columns)
    return DayQuantity(
        label=label or quantities[0].label,
        unit=drawn.unit,
        scale=Scale(lowest, highest, drawn.places, ratios),
        model=kind.model,
        panel=replace(drawn, quantities=quantities),
    )


_PM, _GAS = (Resource.PARTICULATES, "pm"), (Resource.GASES, "trace")
# By the name in `InstrumentStatus.day_quantity`; where a tile shows the same value large, by that name.
QUANTITIES: dict[str, DayQuantity] = {
    "LAeq": DayQuantity("LAeq", "dB", Scale(30, 100), NoiseMeasurement),
    "PM2.5": _sampled(*_PM, ("pm2p5_ugm3",), 0, 50),
    "PM10": _sampled(*_PM, ("pm10_ugm3",), 0, 100),
    "PM1": _sampled(*_PM, ("pm1_ugm3",), 0, 50),
    "PM4.25": _sampled(*_PM, ("pm4p25_ugm3",), 0, 50),
    "NO2": _sampled(*_GAS, ("no2_ppb",), 0, 100),
    "O3": _sampled(*_GAS, ("o3_ppb",), 0, 100),
    "CO": _sampled(Resource.GASES, "co", ("co_ppb",), 0, 2_000),
    "CO2": _sampled(Resource.GASES, "co2", ("co2_ppm",), 400, 2_000),
    "NO": _sampled(*_GAS, ("no_ppb",), 0, 100),
    "SO2": _sampled(*_GAS, ("so2_ppb",), 0, 100),
    "H2S": _sampled(*_GAS, ("h2s_ppb",), 0, 100),
    "PPV": _sampled(
        Resource.PPV,
        "ppv",
        ("v_max_x_mms", "v_max_y_mms", "v_max_z_mms"),
        0.01,
        10,
        label="PPV",
        # From what nobody feels to what breaks: on even steps a day of small ones would be a flat line.
        ratios=True,
    ),
    "temperature": _sampled(Resource.WEATHER, "temperature", ("temperature_c",), -20, 40),
}
# VOC is left out for it has no published unit, VDV because doses of different lengths do not compare.
_AIR = ("PM2.5", "PM10", "PM1", "PM4.25", "NO2", "O3", "CO", "CO2", "NO", "SO2", "H2S")
_BY_TYPE: dict[str, tuple[str, ...]] = {
    Instrument.Kind.NOISE: ("LAeq",),
    Instrument.Kind.AIR_QUALITY: _AIR,
    Instrument.Kind.VIBRATION: ("PPV",),
    # MyCirrus may leave the type out.
    "": ("LAeq", "temperature"),
}


def day_order(type_: str) -> tuple[str, ...]:
    """What tells the last day of an instrument of this type: the first of these that has a value in it.

    Of a type that is new to us nothing is known to be measured but, perhaps, the weather.
    """
    return _BY_TYPE.get(type_, ("temperature",))
