"""Threads are left for pages whoever watches and fetches, and places for whoever comes later."""

import pytest

from monitoring import threads
from monitoring.threads import FETCHES, VIEWERS, Full, Places, share_out


def filled(places: Places, organisation_id: int) -> int:
    """How many more one organisation gets."""
    for taken in range(1000):
        try:
            places.take(organisation_id)
        except Full:
            return taken
    raise AssertionError("there is no end to them")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VIEWERS, "most", VIEWERS.most)
    monkeypatch.setattr(FETCHES, "most", FETCHES.most)


@pytest.mark.parametrize(
    ("server", "viewers", "fetches"), [(4, 1, 1), (8, 5, 1), (64, 48, 8), (160, 120, 20)]
)
def test_an_eighth_is_left_for_pages(server: int, viewers: int, fetches: int) -> None:
    threads.share_out(server)
    assert (VIEWERS.most, FETCHES.most) == (viewers, fetches)
    assert server - viewers - fetches >= max(2, server // 8)


def test_no_organisation_takes_the_last_place() -> None:
    share_out(160)
    places = Places(VIEWERS.most)
    # A hundred of `make run` may be of one.
    assert filled(places, 1) == 106
    assert [filled(places, newcomer) for newcomer in range(2, 5)] == [12, 1, 1]
    with pytest.raises(Full):
        places.take(5)


def test_what_is_given_back_is_there_again() -> None:
    places = Places(3)
    assert filled(places, 1) == 2
    with pytest.raises(ZeroDivisionError), places.held(2):
        raise ZeroDivisionError
    places.give_back(1)
    assert filled(places, 2) == 1
    assert filled(places, 1) == 0
