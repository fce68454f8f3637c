"""What no instrument can truly have measured, by table and column, and when. Pure: no ORM, no clock.

Such values are kept as they came and flagged; they alert as no level. Bounds are wide: for faults, not for surprises.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any

from msgspec import Meta, ValidationError, convert

Bounds = tuple[float, float]
_POSITIVE: Bounds = (0.0, math.inf)
# The client's POSSIBLE_DB, which this room cannot import: the client knows Redis.
_LEVELS = (
    *("LAeq", "LCeq", "LZeq", "LAE", "LCE", "LZE", "LEX8", "LAPeak", "LCPeak", "LZPeak"),
    *("LAFMax", "LASMax", "LAIMax", "LCFMax", "LCSMax", "LCIMax", "LZFMax", "LZSMax", "LZIMax"),
    *("LAF1", "LAF5", "LAF10", "LAF50", "LAF90", "LAF95", "LAF99", "LeqT1Max", "LeqT2Max"),
)
_LEVEL: Bounds = (-20.0, 200.0)
# Least and most. A column that is left out can be anything: gases drift below zero, voc has no published unit.
BOUNDS: dict[str, dict[str, Bounds]] = {
    "noise": dict.fromkeys(_LEVELS, _LEVEL),
    "ppv": dict.fromkeys(
        ("v_max_x_mms", "v_max_y_mms", "v_max_z_mms", "f_dom_x_hz", "f_dom_y_hz", "f_dom_z_hz"), _POSITIVE
    ),
    "pm": dict.fromkeys(("pm1_ugm3", "pm2p5_ugm3", "pm4p25_ugm3", "pm10_ugm3"), _POSITIVE),
    "gas": {"co2_ppm": _POSITIVE},
    "weather": {
        # The strongest gust that was ever measured: 113 m/s.
        "wind_speed_ms": (0.0, 120.0),
        "wind_direction_deg": (-180.0, 360.0),
        "temperature_c": (-90.0, 70.0),
        "pressure_hpa": (300.0, 1100.0),
        "humidity_pct": (0.0, 110.0),
        "precipitation_mmh": _POSITIVE,
    },
}

# So far ahead of ours an instrument's clock may be. What begins later is kept, and is not the present.
AHEAD = timedelta(minutes=5)


def is_ahead(at: datetime, now: datetime) -> bool:
    """Whether ``at`` is yet to come: only a clock that is set wrong can say it of something measured."""
    return at > now + AHEAD


def newest_of(starts: Sequence[datetime], now: datetime) -> datetime | None:
    """The newest of ``starts`` that can be of the present; None where there is none."""
    newest = max(starts, default=None)
    if newest is not None and is_ahead(newest, now):
        return max((at for at in starts if not is_ahead(at, now)), default=None)
    return newest


def is_impossible(table: str, column: str, value: float | None) -> bool:
    """Whether ``value`` of this column cannot be; None is missing, and possible."""
    if value is None:
        return False
    least, most = BOUNDS.get(table, {}).get(column, (-math.inf, math.inf))
    return not math.isfinite(value) or not least <= value <= most


@cache
def _in_order(least: float, most: float) -> Any:
    """The type of a column whose values are all possible or missing: checked in half the time of min and max."""
    # What is no number is neither above nor below anything; infinity is above every number.
    return list[Annotated[float, Meta(ge=least, le=min(most, sys.float_info.max))] | None]


def impossible_of(
    table: str, columns: Mapping[str, Sequence[float | None]]
) -> dict[int, dict[str, float | None]]:
    """The impossible values by the place of their row and by column; what is no number at all is None."""
    found: dict[int, dict[str, float | None]] = {}
    for name, (least, most) in BOUNDS.get(table, {}).items():
        column = columns.get(name) or ()
        # Nearly every column is.
        with suppress(ValidationError):
            convert(column, _in_order(least, most))
            continue
        for place, value in enumerate(column):
            if is_impossible(table, name, value):
                told = value if value is not None and math.isfinite(value) else None
                found.setdefault(place, {})[name] = told
    return found
