"""The cache of fetched bytes: whole or nothing, within its limit, alone, and never across organisations."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction

from monitoring.media import fetch
from monitoring.media.cache import LockTimeout, MediaCache, TooLarge
from tests.conftest import People


@pytest.fixture
def cache(tmp_path: Path) -> MediaCache:
    return MediaCache(tmp_path / "media", limit=1000, secret=b"a secret")


def kept(cache: MediaCache, place: Path) -> bytes | None:
    handle = cache.open(place)
    if handle is None:
        return None
    with handle:
        return handle.read()


def test_what_was_written_is_read(cache: MediaCache) -> None:
    place = cache.place(1, "QT1", "event", "abc", "FLAC")
    assert cache.open(place) is None
    assert cache.write(place, [b"one ", b"two"], most=100) == 7
    assert kept(cache, place) == b"one two"
    assert cache.size() == 7


def test_places_differ_by_organisation_and_by_each_part(cache: MediaCache) -> None:
    places = {
        cache.place(1, "x", "yz"),
        cache.place(2, "x", "yz"),
        cache.place(1, "xy", "z"),
        MediaCache(cache.root, 1000, b"another secret").place(1, "x", "yz"),
    }
    assert len(places) == 4
    assert all("x" not in str(place.relative_to(cache.root)) for place in places)


def test_a_broken_source_leaves_nothing(cache: MediaCache) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 500
        raise ConnectionError("cut")

    place = cache.place(1, "a")
    with pytest.raises(ConnectionError):
        cache.write(place, pieces(), most=1000)
    assert kept(cache, place) is None
    assert cache.size() == 0


def test_too_much_leaves_nothing(cache: MediaCache) -> None:
    place = cache.place(1, "a")
    for most in (10, 100_000):
        with pytest.raises(TooLarge):
            cache.write(place, [b"x" * 11] * 100, most=most)
    assert cache.size() == 0


def test_the_least_recently_used_goes_first(cache: MediaCache) -> None:
    places = [cache.place(1, str(number)) for number in range(3)]
    for age, place in zip((300, 200, 100), places, strict=True):
        cache.write(place, [b"x" * 400], most=1000)
        used = time.time() - age
        if place.exists():
            os.utime(place, (used, used))
    # The first was let go of to make room for the third.
    assert [place.exists() for place in places] == [False, True, True]
    assert kept(cache, places[1]) is not None
    cache.write(places[0], [b"x" * 400], most=1000)
    assert [place.exists() for place in places] == [True, True, False]
    assert cache.size() <= cache.limit


def test_who_reads_goes_on_reading_what_is_let_go(cache: MediaCache) -> None:
    place = cache.place(1, "a")
    cache.write(place, [b"x" * 900], most=1000)
    handle = cache.open(place)
    assert handle is not None
    cache.write(cache.place(1, "b"), [b"y" * 900], most=1000)
    assert not place.exists()
    with handle:
        assert handle.read() == b"x" * 900


def test_the_rests_of_a_killed_process_go(cache: MediaCache) -> None:
    place = cache.place(1, "a")
    cache.write(place, [b"x"], most=10)
    rest = place.parent / ".part-killed"
    rest.write_bytes(b"half")
    old = time.time() - 7200
    os.utime(rest, (old, old))
    cache.write(place, [b"x"], most=10)
    assert not rest.exists()


def test_a_place_is_held_alone(cache: MediaCache) -> None:
    place, inside, order = cache.place(1, "a"), threading.Event(), []

    def first() -> None:
        with cache.alone(place, until=time.monotonic() + 30):
            inside.set()
            with pytest.raises(LockTimeout), cache.alone(place, until=time.monotonic()):
                order.append("never")
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(30)
    with cache.alone(place, until=time.monotonic() + 30):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_what_is_kept_of_one_organisation_goes_as_a_whole(cache: MediaCache) -> None:
    ours, theirs = cache.place(1, "sound"), cache.place(2, "sound")
    for place in (ours, cache.place(1, "other"), theirs):
        cache.write(place, [b"x"], most=10)
    cache.clear(1)
    assert not ours.parent.exists()
    assert kept(cache, theirs) == b"x"
    cache.clear(1)


@pytest.mark.django_db(transaction=True)
def test_a_deleted_organisation_leaves_no_sound_and_no_photo(people: People) -> None:
    ours, theirs = people.organisation, people.other
    photos = {each.pk: Path(settings.DATA_DIR) / "photos" / str(each.pk) for each in (ours, theirs)}
    sounds = {each.pk: fetch.cache().place(each.pk, "sound") for each in (ours, theirs)}
    for each in (ours, theirs):
        photos[each.pk].mkdir(parents=True)
        (photos[each.pk] / "a.jpg").write_bytes(b"x")
        fetch.cache().write(sounds[each.pk], [b"x"], most=10)
    gone = ours.pk
    with transaction.atomic():
        ours.delete()
        # Only with the row itself: a deletion that is taken back has taken nothing.
        assert sounds[gone].exists()
    assert not photos[gone].exists()
    assert not sounds[gone].exists()
    assert (photos[theirs.pk] / "a.jpg").exists()
    assert sounds[theirs.pk].exists()
