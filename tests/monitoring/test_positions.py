"""The map of positions: true distances, marks that can be told apart, and nothing where nothing is known."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.positions import METRES_PER_DEGREE, NEAR, PROPORTION, Position, is_placed, map_of
from monitoring.status import State

DEGREES = st.floats(min_value=-80, max_value=80)
PLACES = st.lists(st.tuples(DEGREES, st.floats(min_value=-179, max_value=179)), min_size=1, max_size=25)


def _at(*places: tuple[float, float], state: State = State.MEASURING) -> list[Position]:
    return [
        Position(f"QT{number:06}", f"Monitor {number}", latitude, longitude, state)
        for number, (latitude, longitude) in enumerate(places)
    ]


@pytest.mark.parametrize(
    ("latitude", "longitude", "placed"),
    [(0, 0, False), (None, 1.0, False), (1.0, None, False), (91, 0, False), (0, 181, False), (0, 0.1, True)],
)
def test_a_placeholder_is_no_position(latitude: float | None, longitude: float | None, placed: bool) -> None:
    assert is_placed(latitude, longitude) is placed


def test_nothing_known_is_no_map() -> None:
    assert map_of([]) is None


@given(PLACES)
def test_every_instrument_is_on_the_map_once_and_inside(places: list[tuple[float, float]]) -> None:
    drawn = map_of(_at(*places))
    assert drawn is not None
    assert sorted(each.serial for mark in drawn.marks for each in mark.members) == [
        each.serial for each in _at(*places)
    ]
    for mark in drawn.marks:
        assert 0 <= mark.left <= 100
        assert 0 <= mark.top <= 100
        south, west, north, east = mark.box
        assert all(
            south <= each.latitude <= north and west <= each.longitude <= east for each in mark.members
        )
    for one, other in combinations(drawn.marks, 2):
        apart = math.hypot(one.left - other.left, (one.top - other.top) / PROPORTION)
        assert apart >= NEAR * 0.999


def test_distances_are_true_in_both_directions() -> None:
    # 1 km to the east and 1 km to the north of a place at 60 degrees, where a degree of longitude is half as long.
    degree = 1000 / METRES_PER_DEGREE
    drawn = map_of(_at((60.0, 10.0), (60.0, 10.0 + 2 * degree), (60.0 + degree, 10.0)))
    assert drawn is not None
    here, east, north = (
        next(mark for mark in drawn.marks if mark.members[0].serial == f"QT{number:06}")
        for number in range(3)
    )
    metres = drawn.bar_m / drawn.bar
    assert (east.left - here.left) * metres == pytest.approx(1000, rel=1e-3)
    assert (here.top - north.top) / PROPORTION * metres == pytest.approx(1000, rel=1e-3)
    assert f"{drawn.bar_m:.0f}"[0] in "125"
    assert 5 <= drawn.bar <= 26


def test_those_near_together_are_one_mark_that_shows_the_worst() -> None:
    near = [*_at((52.0, -1.0)), *_at((52.0001, -1.0), state=State.OFFLINE), *_at((53.0, -1.0))]
    drawn = map_of(near)
    assert drawn is not None
    many = next(mark for mark in drawn.marks if mark.count == 2)
    assert many.state == State.OFFLINE
    # Eleven metres: to look closer would not take them apart.
    assert not many.apart


def test_one_place_alone_has_a_map_of_its_surroundings() -> None:
    drawn = map_of(_at((52.95939, -1.19885)))
    assert drawn is not None
    assert (drawn.marks[0].left, drawn.marks[0].top) == (50, 50)
    assert drawn.meridians
    assert drawn.parallels
