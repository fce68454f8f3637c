"""The hub: one connection for all viewers of an instrument, from the first to the last, whatever dies between."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import redis
from django.conf import settings

from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from monitoring.live import hub as hub_module
from monitoring.live import watch
from monitoring.live.audience import Audience
from monitoring.live.hub import Find, Hub, Target, target_of
from monitoring.live.watch import Channels, Watched, watched_groups
from tests.conftest import SECRET, People, make_instrument, make_key
from tests.monitoring.live.conftest import StartHub, Watcher, until
from tests.simulated import SimulatedMyCirrus


def test_first_viewer_starts_and_last_ends(
    start_hub: StartHub, audience: Audience, watched: Watched, mycirrus: SimulatedMyCirrus, store: redis.Redis
) -> None:
    start_hub()
    assert mycirrus.live_sockets() == 0
    first, second = Watcher(audience, watched), Watcher(audience, watched)

    # Both hear the same, over one connection.
    event = first.levels()
    assert set(event["values"]) == {"LAeq", "LAF", "LCPeak"}
    assert abs(datetime.now(UTC).timestamp() * 1000 - event["at"]) < 5000
    assert second.until(lambda heard: heard == event)
    assert mycirrus.live_sockets() == 1

    first.leave()
    second.levels()
    assert mycirrus.live_sockets() == 1

    second.leave()
    mycirrus.until(lambda: mycirrus.live_sockets() == 0)
    until(lambda: not store.exists(watched.claim, watched.last))


def test_later_viewers_are_told_the_state_at_once(
    start_hub: StartHub, audience: Audience, watched: Watched
) -> None:
    start_hub()
    Watcher(audience, watched).levels()
    later = Watcher(audience, watched)
    assert later.until(lambda _: True) == {"type": "state", "state": "live"}
    assert later.until(lambda _: True, 0.5)["measuring"] is True


def test_octaves_for_whoever_asks(start_hub: StartHub, audience: Audience, watched: Watched) -> None:
    start_hub()
    plain = Watcher(audience, watched)
    plain.levels()
    full = Watcher(audience, watched, "levels", "octaves")
    assert full.until(lambda event: "1KHz" in event.get("values", {}))["values"].keys() >= {"LAeq", "16KHz"}
    full.leave()
    plain.until(lambda event: event["type"] == "levels" and "1KHz" not in event["values"])


def test_two_hubs_hold_it_once_and_one_takes_over(
    start_hub: StartHub, audience: Audience, watched: Watched, mycirrus: SimulatedMyCirrus, store: redis.Redis
) -> None:
    hubs = [start_hub(), start_hub()]
    watcher = Watcher(audience, watched)
    watcher.levels()
    watcher.levels()
    assert mycirrus.live_sockets() == 1

    hubs[0].stop()
    watcher.levels()
    watcher.levels()
    mycirrus.until(lambda: mycirrus.live_sockets() == 1)
    assert store.exists(watch.ALIVE)


def test_a_hub_stops_at_whatever_moment_it_is_told_to(
    store: redis.Redis, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It never rests, so that most moments are amid a command to Redis.
    monkeypatch.setattr(hub_module, "_LOOK_SECONDS", 0.0)

    async def stops(after: float) -> bool:
        running = asyncio.create_task(Hub(settings.REDIS_URL, find=find).run())
        await asyncio.sleep(after)
        running.cancel()
        stopped, _ = await asyncio.wait({running}, timeout=10)
        while not running.done():
            running.cancel()
            await asyncio.wait({running}, timeout=0.1)
        return bool(stopped)

    # In a thread of its own: the browser's tests leave a loop at work in this one.
    with ThreadPoolExecutor(1) as thread:
        for number in range(40):
            assert thread.submit(asyncio.run, stops(0.005 + number / 3000)).result()


def test_a_hub_that_lost_its_claim_lets_go(
    start_hub: StartHub, audience: Audience, watched: Watched, mycirrus: SimulatedMyCirrus, store: redis.Redis
) -> None:
    start_hub()
    Watcher(audience, watched).levels()
    store.set(watched.claim, "another hub", px=2000)
    mycirrus.until(lambda: mycirrus.live_sockets() == 0)
    # The other one died without a word: its claim runs out.
    mycirrus.until(lambda: mycirrus.live_sockets() == 1)


def test_offline_and_back(
    start_hub: StartHub, audience: Audience, watched: Watched, mycirrus: SimulatedMyCirrus
) -> None:
    start_hub()
    watcher = Watcher(audience, watched)
    watcher.levels()
    mycirrus.offline(watched.serial)
    watcher.state("offline")
    assert Watcher(audience, watched).until(lambda _: True) == {"type": "state", "state": "offline"}
    mycirrus.offline(watched.serial, False)
    watcher.state("live")
    watcher.levels()


def test_no_hub_is_said_and_its_coming_too(start_hub: StartHub, audience: Audience, watched: Watched) -> None:
    watcher = Watcher(audience, watched)
    watcher.state("unavailable")
    hub = start_hub()
    watcher.levels()
    hub.stop()
    watcher.state("unavailable")


def test_a_hub_that_went_between_two_looks_is_missed(
    start_hub: StartHub, audience: Audience, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 10.0)
    monkeypatch.setattr(watch, "RENEW_SECONDS", 4.0)
    watcher = Watcher(audience, watched)
    # Once by joining, once by the first look.
    watcher.state("unavailable")
    watcher.state("unavailable")
    hub = start_hub()
    watcher.levels()
    hub.stop()
    watcher.state("unavailable", 20.0)


def test_a_changed_key_is_taken_up(
    start_hub: StartHub, audience: Audience, watched: Watched, mycirrus: SimulatedMyCirrus
) -> None:
    targets = [Target(mycirrus.base_url, "mycirrus-999999-NOSUCHKEY0000000")]

    async def find(_: Watched) -> Target:
        return targets[-1]

    start_hub(find)
    watcher = Watcher(audience, watched)
    assert watcher.state("refused")["reason"] == "key"
    targets.append(Target(mycirrus.base_url, mycirrus.key))
    watcher.levels()
    targets.append(Target(refusal="key"))
    assert watcher.state("refused")["reason"] == "key"
    mycirrus.until(lambda: mycirrus.live_sockets() == 0)


def test_a_key_without_the_scope_says_so(
    start_hub: StartHub, audience: Audience, watched: Watched, mycirrus: SimulatedMyCirrus
) -> None:
    key = "mycirrus-000004-000000000000000C"
    mycirrus.add_key(key, ["instruments:read"])

    async def find(_: Watched) -> Target:
        return Target(mycirrus.base_url, key)

    start_hub(find)
    assert Watcher(audience, watched).state("refused")["reason"] == "scope"


def test_trouble_with_one_is_not_trouble_with_the_others(
    start_hub: StartHub, audience: Audience, watched: Watched, mycirrus: SimulatedMyCirrus
) -> None:
    async def find(asked: Watched) -> Target:
        if asked.organisation_id != watched.organisation_id:
            raise RuntimeError("the database said something odd")
        return Target(mycirrus.base_url, mycirrus.key)

    start_hub(find)
    odd = Watcher(audience, Watched(78, watched.serial))
    odd.state("interrupted")
    good = Watcher(audience, watched)
    good.levels()
    # The same serial in two organisations is two instruments.
    assert not [event for event in odd.heard if event["type"] == "levels"]


# --- What the database says


def test_target_is_the_key_that_reads_it(people: People) -> None:
    key = make_key(people.organisation, base_url="http://127.0.0.1:9/v1")
    make_instrument(people.organisation, "QT000001", api_key=key)
    target = target_of(Watched(people.organisation.pk, "QT000001"))
    assert (target.base_url, target.secret, target.refusal) == ("http://127.0.0.1:9/v1", SECRET, "")
    assert SECRET not in repr(target)
    # Another organisation's viewers get nothing by naming the serial.
    assert target_of(Watched(people.other.pk, "QT000001")) == Target(refusal="gone")


@pytest.mark.parametrize(
    ("instrument", "key", "refusal"),
    [
        ({"type": "Vibration"}, {}, "type"),
        ({"gone_at": datetime(2026, 1, 1, tzinfo=UTC)}, {}, "gone"),
        ({}, {"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)}, "key"),
        ({}, {"state": ApiKey.State.REFUSED}, "key"),
        ({}, {"scopes": {"data.live:read": False}}, "scope"),
        ({}, {"scopes": {"instruments:read": True, "data.live:read": None}}, ""),
        ({"type": ""}, {}, ""),
    ],
)
def test_what_cannot_be_watched(
    people: People, instrument: dict[str, object], key: dict[str, object], refusal: str
) -> None:
    api_key = make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.filter(pk=api_key.pk).update(**key)
    make_instrument(people.organisation, "QT000001", api_key=api_key, **instrument)
    assert target_of(Watched(people.organisation.pk, "QT000001")).refusal == refusal


def test_an_unreadable_key_is_a_refusal(people: People) -> None:
    api_key = make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.filter(pk=api_key.pk).update(ciphertext="gAAAAA")
    make_instrument(people.organisation, "QT000001", api_key=api_key)
    assert target_of(Watched(people.organisation.pk, "QT000001")) == Target(refusal="key")


# --- Names


def test_serials_may_hold_anything() -> None:
    odd, plain = Watched(1, "a:b/ü"), Watched(2, "QT1")
    members = [odd.member("levels").encode(), odd.member("octaves"), plain.member("levels"), "2:nonsense:QT1"]
    assert watched_groups(members) == {
        odd: (*watch.GROUPS["levels"], *watch.GROUPS["octaves"]),
        plain: watch.GROUPS["levels"],
    }
    channels = Channels(settings.REDIS_URL)
    assert channels.watched(channels.of(odd).encode()) == odd


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("redis://h:1/3", "3"),
        ("redis://h", "0"),
        ("unix:///tmp/a.sock?db=4", "4"),
        ("unix:///tmp/a.sock", "0"),
    ],
)
def test_databases_of_one_redis_do_not_hear_each_other(url: str, number: str) -> None:
    assert Channels(url).pattern == f"live:{number}:*"
