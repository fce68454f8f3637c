"""Wind, rain, warmth and air pressure of a region, minute by minute, as a function of time alone."""

import math
from array import array
from functools import lru_cache

from simulator.chance import signed, smooth

# One minute: wind speed m/s, wind direction degrees, temperature deg C, pressure bar, humidity %, rain mm/h.
FIELDS = ("windSpeed", "windDirection", "temperature", "pressure", "humidity", "precipitation")
Minute = tuple[float, float, float, float, float, float]
_WIDTH = len(FIELDS)


@lru_cache(maxsize=512)
def _hour(region: int, hour: int) -> "array[float]":
    """Sixty minutes in one flat array; slow curves are read at both ends of the hour and joined by a line."""

    def ends(salt: int, per_hours: float) -> tuple[float, float]:
        return smooth(region + salt, hour / per_hours), smooth(region + salt, (hour + 1) / per_hours)

    front, spell = ends(1, 30), ends(2, 5)
    turn, shower = ends(3, 18), ends(4, 2.5)
    air, warm = ends(5, 60), ends(6, 50)
    out = array("d")
    day_of_year = (hour / 24) % 365.25
    season = math.cos((day_of_year - 200) / 365.25 * 2 * math.pi)
    for minute in range(60):
        x = minute / 60
        gust = smooth(region + 7, hour * 30 + minute / 2)
        wind = max(0.2, 3.4 + 2.6 * _at(front, x) + 1.5 * _at(spell, x) + 0.9 * gust)
        wet = 0.55 * _at(spell, x) + 0.65 * _at(shower, x) - 0.25 * _at(air, x) - 0.52
        rain = 9.0 * wet if wet > 0 else 0.0
        clock = (hour % 24) + x
        daily = -math.cos((clock - 2.5) / 24 * 2 * math.pi)
        temperature = (
            10.5 + 7.0 * season + 3.2 * daily * (1 - 0.6 * (rain > 0)) + 3.5 * _at(warm, x) + 0.15 * gust
        )
        humidity = 76 - 9 * daily - 8 * _at(air, x) + 5 * _at(spell, x) + (12 if rain > 0 else 0)
        out.extend(
            (
                round(wind, 2),
                round((225 + 110 * _at(turn, x) + 14 * gust) % 360, 1),
                round(temperature, 2),
                round(1.0132 + 0.017 * _at(air, x) - 0.006 * _at(front, x), 4),
                round(min(100.0, max(28.0, humidity)), 1),
                round(rain, 2),
            )
        )
    return out


def _at(ends: tuple[float, float], x: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * x


def minute(region: int, at: float) -> Minute:
    """The weather of the minute that holds this instant."""
    hour, rest = divmod(int(at), 3600)
    place = rest // 60 * _WIDTH
    a, b, c, d, e, f = _hour(region, hour)[place : place + _WIDTH]
    return a, b, c, d, e, f


def noise_energy(region: int, at: float) -> float:
    """Energy that wind in the trees and rain on the ground add, as 10^(L/10)."""
    wind, _, _, _, _, rain = minute(region, at)
    energy = 10 ** ((18 + 24 * math.log10(1 + wind)) / 10)
    if rain > 0:
        energy += 10 ** ((40 + 9 * math.log10(0.1 + rain)) / 10)
    return energy


def local(value: float, salt: int, at: float, spread: float) -> float:
    """A regional value as one instrument sees it."""
    return value + signed(salt, int(at // 60)) * spread
