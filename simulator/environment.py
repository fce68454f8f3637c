"""Weather, particulates, gases and vibration: minute values, and their sums over a period (section 4)."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from simulator import sites, weather
from simulator.asked import Asked
from simulator.chance import mixed, signed, smooth, unit
from simulator.fleet import AIR_QUALITY, VIBRATION, Instrument
from simulator.presence import power_cuts_between
from simulator.wire import DAY, instant

_MINUTE = 60
Values = dict[str, float | None]
Minute = Callable[[Instrument, int], Values]
Together = Callable[[list[Values]], Values]


def weather_samples(asked: Asked) -> Iterator[dict[str, Any]]:
    rows = _rows(asked, lambda i: i.has_weather, _weather, _weather_together)
    return ({"time": instant(at), "instrument": serial, **values} for serial, at, _, values in rows)


def particulates(asked: Asked) -> Iterator[dict[str, Any]]:
    return _timed(_rows(asked, lambda i: i.type == AIR_QUALITY, _particulates, _mean))


def gases(asked: Asked) -> Iterator[dict[str, Any]]:
    return _timed(_rows(asked, lambda i: i.type == AIR_QUALITY, _gases, _mean))


def vibration(asked: Asked) -> Iterator[dict[str, Any]]:
    # The kind is matched ignoring case, like other words of a closed list.
    kind = asked.path["type"].upper()
    if kind == "PPV":
        return _timed(_rows(asked, lambda i: i.type == VIBRATION, _ppv, _ppv_together))
    return _timed(_rows(asked, lambda i: i.type == VIBRATION, _vdv, _vdv_together))


def _rows(
    asked: Asked, fits: Callable[[Instrument], bool], minute: Minute, together: Together
) -> Iterator[tuple[str, int, int, Values]]:
    instruments, (start, end) = asked.instruments(), asked.range(31)
    period = int(asked.period(_MINUTE, DAY) or _MINUTE)
    known = {i.serial: asked.world.known_until(i) for i in instruments}
    return (
        row
        for i in instruments
        if fits(i)
        for row in _of(i, (start, end), known[i.serial], period, minute, together)
    )


def _of(
    instrument: Instrument,
    span: tuple[float, float],
    known: float,
    period: int,
    minute: Minute,
    together: Together,
) -> Iterator[tuple[str, int, int, Values]]:
    first, last = math.ceil(span[0] / period), min(math.ceil(span[1] / period), int(known // period))
    for slot in range(first, last):
        at = slot * period
        minutes = range(-(-at // _MINUTE) * _MINUTE, at + period, _MINUTE)
        cuts = power_cuts_between(instrument, at, at + period)
        rows = [
            minute(instrument, m)
            for m in minutes
            if m >= instrument.installed and not any(a < m + _MINUTE and b > m for a, b in cuts)
        ]
        if rows:
            yield instrument.serial, at, period, rows[0] if len(rows) == 1 else together(rows)


def _timed(rows: Iterator[tuple[str, int, int, Values]]) -> Iterator[dict[str, Any]]:
    for serial, at, period, values in rows:
        yield {"startTime": instant(at), "duration": period, "instrument": serial, **values}


def _mean(rows: list[Values]) -> Values:
    """The mean of each member over the rows that have it."""
    out: Values = {}
    for name in rows[0]:
        present = [value for row in rows if (value := row[name]) is not None]
        out[name] = round(sum(present) / len(present), 4) if present else None
    return out


def _weather(instrument: Instrument, at: int) -> Values:
    wind, direction, temperature, pressure, humidity, rain = weather.minute(instrument.region, at)
    salt = instrument.salt
    return {
        "windSpeed": round(max(0.0, weather.local(wind, salt + 1, at, 0.4)), 2),
        "windDirection": round(weather.local(direction, salt + 2, at, 6) % 360, 1),
        "temperature": round(weather.local(temperature, salt + 3, at, 0.15), 2),
        "pressure": pressure,
        "humidity": humidity,
        "precipitation": rain,
    }


def _weather_together(rows: list[Values]) -> Values:
    """Means, but the direction as that of the mean wind vector: 359 and 1 degrees make 0, not 180."""
    out = _mean(rows)
    east = north = 0.0
    for row in rows:
        angle, speed = math.radians(row["windDirection"] or 0.0), (row["windSpeed"] or 0.0) + 0.01
        east += speed * math.sin(angle)
        north += speed * math.cos(angle)
    out["windDirection"] = round(math.degrees(math.atan2(east, north)) % 360, 1)
    return out


def _particulates(instrument: Instrument, at: int) -> Values:
    salt = instrument.salt
    wind = weather.minute(instrument.region, at)[0]
    load = (
        6
        + 9 * sites.working(instrument, at)
        + 5 * smooth(salt + 21, at / 14_400)
        + 1.5 * smooth(salt + 22, at / 900)
    )
    load = max(1.5, load * (1.25 - 0.05 * min(wind, 10))) * (1 + 0.06 * signed(salt, at, 23))
    names, shares = ("pM1", "pM2p5", "pM4p25", "pM10"), (0.45, 0.7, 0.9, 1.5)
    if unit(salt, at // 3600, 24) < 0.01:
        # The optics are cleaning themselves.
        return dict.fromkeys(names)
    return {name: round(load * share, 2) for name, share in zip(names, shares, strict=True)}


# Member, usual level, how far traffic and chance move it; units as in section 4.3.
_GASES = (
    ("co", 220.0, 260.0),
    ("cO2", 421.0, 35.0),
    ("h2S", 1.2, 0.8),
    ("no", 6.0, 22.0),
    ("nO2", 12.0, 24.0),
    ("o3", 28.0, -16.0),
    ("sO2", 1.5, 1.0),
    ("voc", 90.0, 60.0),
)


def _gases(instrument: Instrument, at: int) -> Values:
    salt, busy = instrument.salt, sites.working(instrument, at)
    out: Values = {}
    for place, (name, usual, move) in enumerate(_GASES):
        if name in ("h2S", "sO2") and unit(salt, place, 31) < 0.7:
            out[name] = None  # no such sensor fitted
            continue
        value = usual + move * busy + abs(move) * 0.25 * smooth(salt + 40 + place, at / 5400)
        out[name] = round(max(0.1, value * (1 + 0.02 * signed(salt, at, 50 + place))), 2)
    return out


def _ppv(instrument: Instrument, at: int) -> Values:
    salt, busy = instrument.salt, sites.working(instrument, at)
    shock = unit(salt, at, 61)
    strength = (
        0.03 + 0.25 * busy * unit(salt, at, 62) + (2.4 * busy * unit(salt, at, 63) if shock < 0.02 else 0)
    )
    out: Values = {}
    frequencies: Values = {}
    for place, axis in enumerate("XYZ"):
        value = round(strength * (0.5 + 0.5 * unit(salt, at, 64 + place)), 4)
        out[f"vMax{axis}"] = value
        # Too weak a movement has no frequency worth the name.
        frequencies[f"fDom{axis}"] = None if value < 0.05 else 2 + mixed(salt, at, 67 + place) % 80 / 2
    return {**out, **frequencies}


def _ppv_together(rows: list[Values]) -> Values:
    """The largest of each axis, with the frequency that went with it."""
    out: Values = {}
    frequencies: Values = {}
    for axis in "XYZ":
        largest = max(rows, key=lambda row: row[f"vMax{axis}"] or 0.0)
        out[f"vMax{axis}"], frequencies[f"fDom{axis}"] = largest[f"vMax{axis}"], largest[f"fDom{axis}"]
    return {**out, **frequencies}


def _vdv(instrument: Instrument, at: int) -> Values:
    ppv = _ppv(instrument, at)
    return {f"vdv{axis}": round((ppv[f"vMax{axis}"] or 0.0) * 0.011, 5) for axis in "XYZ"}


def _vdv_together(rows: list[Values]) -> Values:
    """Vibration doses add by their fourth powers."""
    return {name: round(sum((row[name] or 0.0) ** 4 for row in rows) ** 0.25, 5) for name in rows[0]}
