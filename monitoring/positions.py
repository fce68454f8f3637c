"""A map of positions without tiles: where the marks stand, which are one, what lies around them. Pure.

Equirectangular around the middle of what is shown, so that distances are true there in both directions. Places in
the picture are percents of its width and height, which keep one proportion whatever the screen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.status import State

# Width by height of the picture; css/monitors.css draws it so.
PROPORTION = 1.5
# What is nearer together than this, in percent of the width, could not be told apart by a finger on a phone.
NEAR = 7.0
METRES_PER_DEGREE = 111_320.0
# Below this a cluster cannot be taken apart by looking closer, in metres.
CLOSEST = 30.0
_MARGIN = 0.12
_SMALLEST_M = 200.0


@dataclass(frozen=True, slots=True)
class Position:
    """One instrument; degrees."""

    serial: str
    name: str
    latitude: float
    longitude: float
    state: State


@dataclass(frozen=True, slots=True)
class Mark:
    """One instrument, or several near together: left and top in percent, the worst state, the box around them."""

    left: float
    top: float
    state: State
    members: tuple[Position, ...]
    box: tuple[float, float, float, float]
    apart: bool

    @property
    def count(self) -> int:
        """How many instruments it is."""
        return len(self.members)


@dataclass(frozen=True, slots=True)
class Grid:
    """A line of equal longitude or latitude, in degrees, at a percent of width or height."""

    at: float
    degrees: float
    # As many decimals as tell it from its neighbours.
    places: int


@dataclass(frozen=True, slots=True)
class Map:
    """The picture: marks, lines, and a bar of ``bar_m`` metres that is ``bar`` percent of the width."""

    marks: list[Mark]
    meridians: list[Grid]
    parallels: list[Grid]
    bar: float
    bar_m: float

    @property
    def bar_start(self) -> float:
        """Where the bar begins, which ends at 97 percent."""
        return 97 - self.bar


def is_placed(latitude: float | None, longitude: float | None) -> bool:
    """Whether this is a position. MyCirrus writes 0, 0 for one that it does not know, and not the Gulf of Guinea."""
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return False
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def map_of(positions: Sequence[Position]) -> Map | None:
    """The picture that holds all of ``positions``; None without any."""
    if not positions:
        return None
    south, north = _span([each.latitude for each in positions])
    west, east = _span([each.longitude for each in positions])
    middle_lat, middle_lon = (south + north) / 2, (west + east) / 2
    narrowing = max(math.cos(math.radians(middle_lat)), 0.01)
    # In degrees of latitude, which are as long everywhere.
    width = max((east - west) * narrowing, (north - south) * PROPORTION, _SMALLEST_M / METRES_PER_DEGREE)
    width *= 1 + 2 * _MARGIN
    height = width / PROPORTION

    def left(longitude: float) -> float:
        return 50 + 100 * (longitude - middle_lon) * narrowing / width

    def top(latitude: float) -> float:
        return 50 - 100 * (latitude - middle_lat) / height

    bar_m = _round_below(width * METRES_PER_DEGREE / 4)
    wide = width / narrowing
    return Map(
        marks=_marks([(left(each.longitude), top(each.latitude), each) for each in positions]),
        meridians=[
            Grid(left(degrees), degrees, places) for degrees, places in _lines(middle_lon, wide, wide / 3)
        ],
        parallels=[
            Grid(top(degrees), degrees, places) for degrees, places in _lines(middle_lat, height, width / 3)
        ],
        bar=100 * bar_m / METRES_PER_DEGREE / width,
        bar_m=bar_m,
    )


def _span(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _round_below(value: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above ``value``."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(digit * power for digit in (5, 2, 1) if digit * power <= value * (1 + 1e-9))


def _lines(middle: float, extent: float, apart: float) -> list[tuple[float, int]]:
    """Round degrees within ``extent`` around ``middle``, at most ``apart`` from each other, and their decimals."""
    step = _round_below(apart)
    places = max(-math.floor(math.log10(step) + 1e-9), 0)
    first, last = math.ceil((middle - extent / 2) / step), math.floor((middle + extent / 2) / step)
    return [(round(number * step, places), places) for number in range(first, last + 1)]


def _marks(placed: list[tuple[float, float, Position]]) -> list[Mark]:
    """Those in one cell of a lattice are one mark, and so are marks whose middles are nearer than a cell is wide."""
    cells: dict[tuple[int, int], list[tuple[float, float, Position]]] = {}
    for left, top, position in placed:
        cells.setdefault((int(left // NEAR), int(top // (NEAR * PROPORTION))), []).append(
            (left, top, position)
        )
    groups = [cells[key] for key in sorted(cells)]
    merged = True
    while merged:
        merged = False
        for number, group in enumerate(groups):
            for other in groups[number + 1 :]:
                if _distance(_middle(group), _middle(other)) < NEAR:
                    group.extend(other)
                    groups.remove(other)
                    merged = True
                    break
            if merged:
                break
    return [_mark(group) for group in groups]


def _middle(group: list[tuple[float, float, Position]]) -> tuple[float, float]:
    return sum(left for left, _, _ in group) / len(group), sum(top for _, top, _ in group) / len(group)


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return math.hypot(one[0] - other[0], (one[1] - other[1]) / PROPORTION)


def _mark(group: list[tuple[float, float, Position]]) -> Mark:
    members = tuple(
        sorted((position for _, _, position in group), key=lambda each: (each.state.severity, each.name))
    )
    (south, north), (west, east) = (
        _span([each.latitude for each in members]),
        _span([each.longitude for each in members]),
    )
    extent = max(north - south, (east - west) * math.cos(math.radians(south))) * METRES_PER_DEGREE
    left, top = _middle(group)
    # A hair wider than its members, so that none is lost to rounding.
    box = (south - 1e-5, west - 1e-5, north + 1e-5, east + 1e-5)
    return Mark(left, top, members[0].state, members, box, extent > CLOSEST)
