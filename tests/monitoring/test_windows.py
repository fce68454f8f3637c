"""What is asked for at a time: silence costs little, nothing falls between two windows, and no edge is a gap."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from instruments.keys import client_for
from instruments.models import Instrument
from monitoring.models import (
    Bucket,
    Event,
    Gap,
    InstrumentStatus,
    Lane,
    NoiseMeasurement,
    NoiseRollup,
    Resource,
    SyncTarget,
)
from monitoring.sync.claims import due_claim
from monitoring.sync.resources import steps_of
from monitoring.sync.run import _store, target_run
from monitoring.sync.targets import targets_ensure
from tests.instruments.mycirrus.served import Served

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
NOW = datetime.now(UTC).replace(microsecond=0)
Look = Callable[..., list[tuple[datetime, datetime]]]


@pytest.fixture
def look(served: Served, unit: Instrument) -> Look:
    """One turn of a target as if it were ``now``; which ranges it asked for."""

    def take(resource: Resource, now: datetime, lane: Lane = Lane.LIVE, **state: Any) -> list[Any]:
        served.asked.clear()
        mine = SyncTarget.objects.filter(resource=resource, lane=lane)
        mine.update(lease_token="2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d", lease_until=NOW + DAY, **state)
        target = mine.select_related("instrument__status", "api_key").get()
        with client_for(target.api_key) as client:
            for step in steps_of(client, target, now):
                _store(target, step, False)
        return [
            tuple(datetime.fromisoformat(dict(asked.query)[name]) for name in ("start", "end"))
            for asked in served.asked
        ]

    return take


def told(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def rows(unit: Instrument, first: datetime, count: int, every: timedelta = MINUTE, **said: Any) -> list[Any]:
    return [
        {"instrument": unit.serial, "startTime": told(first + number * every), "LAeq": 50.0, **said}
        for number in range(count)
    ]


@pytest.mark.parametrize("resource", [Resource.EVENTS, Resource.AUDIO, Resource.NOISE])
def test_a_year_of_silence_is_asked_for_once_a_day(look: Look, served: Served, resource: Resource) -> None:
    served.keep([])
    noon = NOW.replace(hour=12)
    SyncTarget.objects.filter(resource=resource).update(watermark_at=noon - 365 * DAY)
    assert len(look(resource, noon)) > 10
    # An hour of the day of its own: one of these turns looks back, and one only.
    asked = [len(look(resource, noon + hours * timedelta(hours=1))) for hours in range(1, 25)]
    assert sum(number > 10 for number in asked) == 1
    assert sum(number == 1 for number in asked) == 23


def test_a_look_back_that_was_interrupted_goes_on_where_it_was(look: Look, served: Served) -> None:
    served.keep([])
    far = NOW - 200 * DAY
    (first, *_) = look(Resource.NOISE, NOW, watermark_at=NOW - 300 * DAY, silent_until_at=far)
    assert first[0] == far


def test_who_came_back_is_asked_for_everything_at_once(look: Look, served: Served, unit: Instrument) -> None:
    served.keep([])
    watermark, silent = NOW - 90 * DAY, NOW - 5 * MINUTE
    state = {"watermark_at": watermark, "silent_until_at": silent}
    SyncTarget.objects.update(**state)
    # Where its day changed in these five minutes it looks back anyway.
    InstrumentStatus.objects.update_or_create(
        instrument=unit,
        defaults={"organisation_id": unit.organisation_id, "changed_at": NOW, "online_since_at": NOW},
    )
    assert look(Resource.NOISE, NOW, **state)[0][0] == watermark


def test_what_comes_after_silence_brings_what_was_held_back(
    look: Look, served: Served, unit: Instrument
) -> None:
    """It measured without a modem for ten days, uploads it all, and only what is new is looked for."""
    watermark = NOW - 10 * DAY
    made = rows(unit, watermark, 10 * 24, timedelta(hours=1), duration=3600)
    served.keep(made)
    look(Resource.NOISE, NOW, watermark_at=watermark, silent_until_at=NOW - MINUTE)
    assert NoiseMeasurement.objects.count() == len(made)
    assert not Gap.objects.exists()
    target = SyncTarget.objects.get(resource=Resource.NOISE, lane=Lane.LIVE)
    assert target.watermark_at == NOW


def test_silence_is_in_the_ledger_once_there_are_rows_after_it(
    look: Look, served: Served, unit: Instrument
) -> None:
    """Nobody fetched for five days, of which the monitor was off for the first day and a half."""
    watermark, back = NOW - 5 * DAY, NOW - timedelta(days=3, hours=12)
    served.keep(rows(unit, back, 84, timedelta(hours=1), duration=3600))
    look(Resource.NOISE, NOW, watermark_at=watermark, silent_until_at=None)
    assert [(gap.start_at, gap.end_at) for gap in Gap.objects.all()] == [(watermark, back)]


@pytest.mark.parametrize("now", [NOW.replace(hour=0, minute=10, second=30), NOW.replace(hour=12, minute=0)])
def test_what_is_uploaded_long_after_its_time_is_found(
    look: Look, served: Served, unit: Instrument, now: datetime
) -> None:
    """Off for twenty days, it sends its newest row first and, eight days later, all that it had kept.

    Its rows lie across every midnight, or end there.
    """
    hour, away = timedelta(hours=1), now - 20 * DAY
    made = rows(unit, away, 20 * 24, hour, duration=3600)
    served.keep(made[-1:])
    look(Resource.NOISE, now, watermark_at=away, silent_until_at=None)
    assert [(gap.start_at, gap.end_at) for gap in Gap.objects.all()] == [(away, now - hour)]
    for days, asked_again in ((0.9, False), (1.1, True), (1.3, False), (3.1, True), (9.9, False)):
        asked = look(Resource.NOISE, now + days * DAY, Lane.SWEEP, watermark_at=None)
        assert (min(start for start, _ in asked) == away) is asked_again, days
    served.keep(made)
    look(Resource.NOISE, now + 10.1 * DAY, Lane.SWEEP, watermark_at=None)
    assert NoiseMeasurement.objects.count() == len(made)
    assert not Gap.objects.filter(start_at__lt=now).exists()


def test_what_mycirrus_does_not_have_of_long_ago_is_not_asked_for_for_ever(
    look: Look, served: Served, unit: Instrument
) -> None:
    served.keep([])
    found = NOW - 2 * DAY
    for number in range(30):
        ago = NOW - (50 + 10 * number) * DAY
        Gap.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            resource=Resource.NOISE,
            start_at=ago,
            end_at=ago + DAY,
            kind=Gap.Kind.ABSENT,
            found_at=found,
        )
    asked = look(Resource.NOISE, NOW, Lane.SWEEP, watermark_at=None)
    assert min(start for start, _ in asked) > NOW - 5 * DAY


def test_what_was_missing_is_asked_for_again_however_often_that_is_broken_off(
    served: Served, unit: Instrument, settings: Any
) -> None:
    """Each turn has time for one answer."""
    settings.SYNC_TASK_SECONDS = 0
    served.keep([])
    noon = NOW.replace(hour=12)
    starts = {noon - number * DAY for number in range(6, 18)}
    for at in starts:
        Gap.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            resource=Resource.NOISE,
            start_at=at,
            end_at=at + timedelta(hours=1),
            kind=Gap.Kind.OFF,
            found_at=noon - 2 * DAY,
        )
    asked = []
    with time_machine.travel(noon):
        for _ in range(len(starts)):
            served.asked.clear()
            SyncTarget.objects.update(due_at=noon + DAY)
            SyncTarget.objects.filter(resource=Resource.NOISE, lane=Lane.SWEEP).update(due_at=noon - MINUTE)
            (claim,) = due_claim(now=datetime.now(UTC))
            target_run(claim=claim)
            asked += [datetime.fromisoformat(dict(each.query)["start"]) for each in served.asked]
    assert set(asked) == starts
    assert len(asked) == len(starts)
    assert Gap.objects.filter(looked_at=None).count() == 0


def test_an_event_that_began_during_another_is_not_passed_by(
    look: Look, served: Served, unit: Instrument
) -> None:
    began = NOW - timedelta(hours=1)

    def event(name: str, start: datetime, end: datetime) -> dict[str, Any]:
        return {"instrument": unit.serial, "name": name, "startTime": told(start), "endTime": told(end)}

    short = event("short", began + 10 * MINUTE, began + 11 * MINUTE)
    long = event("long", began, began + 40 * MINUTE)
    served.keep([short])
    look(Resource.EVENTS, NOW - 30 * MINUTE)
    served.keep([long, short])
    look(Resource.EVENTS, NOW)
    assert set(Event.objects.values_list("name", flat=True)) == {"short", "long"}


@pytest.mark.parametrize(("seconds", "late"), [(60, 40), (900, 450), (3600, 1800)])
def test_no_edge_of_a_window_is_a_gap(
    look: Look, served: Served, unit: Instrument, seconds: int, late: int
) -> None:
    """Rows that lie across every midnight, and none of them missing."""
    every = timedelta(seconds=seconds)
    first = (NOW - 6 * DAY).replace(hour=0, minute=0, second=0) + timedelta(seconds=late) - every
    served.keep(rows(unit, first, 6 * DAY // every, every, duration=seconds))
    now = first + 6 * DAY
    look(Resource.NOISE, now, watermark_at=now - DAY)
    look(Resource.NOISE, now, Lane.BACKFILL, watermark_at=now - DAY + timedelta(hours=1), floor_at=first)
    assert not Gap.objects.exists()
    look(Resource.NOISE, now, Lane.SWEEP, floor_at=first)
    assert not Gap.objects.exists()
    assert NoiseMeasurement.objects.count() == len(served.kept or [])


@pytest.mark.parametrize("lanes", [(Lane.LIVE, Lane.BACKFILL), (Lane.BACKFILL, Lane.LIVE), (Lane.LIVE,)])
def test_where_the_first_look_begins_amid_a_row_is_no_gap(
    look: Look, served: Served, unit: Instrument, lanes: tuple[Lane, ...]
) -> None:
    """Whichever is stored first, what is new or what was before it, and without any history, too."""
    first = (NOW - 3 * DAY).replace(minute=0, second=0)
    hour, began = timedelta(hours=1), first + 2 * DAY + 20 * MINUTE
    served.keep(rows(unit, first, 3 * 24, hour, duration=3600))
    states: dict[Lane, dict[str, Any]] = {
        Lane.LIVE: {"watermark_at": began},
        Lane.BACKFILL: {"watermark_at": began + hour, "floor_at": first},
    }
    for lane in lanes:
        look(Resource.NOISE, first + 3 * DAY, lane, **states[lane])
    assert NoiseMeasurement.objects.exists()
    assert not Gap.objects.exists()


def test_a_row_that_is_missing_at_an_edge_is_one(look: Look, served: Served, unit: Instrument) -> None:
    midnight = (NOW - 2 * DAY).replace(hour=0, minute=0, second=0)
    made = rows(unit, midnight - 60 * MINUTE, 120, duration=60)
    served.keep(row for row in made if row["startTime"] != told(midnight))
    look(
        Resource.NOISE,
        NOW,
        Lane.BACKFILL,
        watermark_at=midnight + 60 * MINUTE,
        floor_at=midnight - 60 * MINUTE,
    )
    assert [(gap.start_at, gap.end_at) for gap in Gap.objects.all()] == [(midnight, midnight + MINUTE)]


def test_history_is_summed_whole_though_rows_of_its_day_are_let_go(
    look: Look, served: Served, unit: Instrument
) -> None:
    """Retention deletes raw rows while history is still being read: no quarter is summed from what is left of it."""
    began = (NOW - 6 * DAY).replace(hour=0, minute=0, second=0)
    served.keep(rows(unit, began, 3 * 1440, duration=60))
    target = SyncTarget.objects.filter(resource=Resource.NOISE, lane=Lane.BACKFILL)
    end = began + 2 * DAY + timedelta(hours=12, minutes=7)
    for each in (end, None):
        watermark = each or target.get().watermark_at
        look(
            Resource.NOISE,
            NOW,
            Lane.BACKFILL,
            watermark_at=watermark,
            floor_at=watermark - timedelta(hours=20),
        )
        NoiseMeasurement.objects.all().delete()
    quarters = NoiseRollup.objects.filter(bucket_s=Bucket.QUARTER)
    of_the_middle = quarters.filter(
        start_at__gte=end - timedelta(hours=19), start_at__lt=end - timedelta(minutes=8)
    )
    assert set(of_the_middle.values_list("valid_s", flat=True)) == {900.0}


def test_a_sweep_that_was_interrupted_goes_on_where_it_was(
    served: Served, unit: Instrument, settings: Any
) -> None:
    settings.SYNC_TASK_SECONDS = 0
    served.keep([])
    mine = SyncTarget.objects.filter(resource=Resource.NOISE, lane=Lane.SWEEP)
    noon, asked = NOW.replace(hour=12), []
    # Shortly after midnight three days would be one window more.
    with time_machine.travel(noon):
        for _ in range(4):
            served.asked.clear()
            SyncTarget.objects.update(due_at=noon + DAY)
            mine.update(due_at=noon - MINUTE)
            (claim,) = due_claim(now=datetime.now(UTC))
            target_run(claim=claim)
            asked += [dict(each.query)["start"] for each in served.asked]
    assert asked == sorted(set(asked))
    assert len(asked) == 4
    assert mine.get().watermark_at < noon - 3 * DAY


@pytest.mark.parametrize("minutes", [1, 15])
def test_rows_that_tell_only_when_they_began_are_as_long_as_they_are_apart(
    look: Look, served: Served, unit: Instrument, minutes: int
) -> None:
    every = minutes * MINUTE
    first = NOW - DAY
    served.keep(rows(unit, first, DAY // every, every))
    look(Resource.NOISE, NOW, watermark_at=first)
    assert not Gap.objects.exists()
    assert set(NoiseMeasurement.objects.values_list("duration_s", flat=True)) == {minutes * 60.0}
    # The next one comes alone: it is as long as those before it.
    served.keep(rows(unit, NOW, 1))
    look(Resource.NOISE, NOW + every)
    assert NoiseMeasurement.objects.latest("start_at").duration_s == minutes * 60.0
    assert InstrumentStatus.objects.get(instrument=unit).level_seconds == minutes * 60


def test_notes_are_looked_for_from_where_their_history_begins(
    look: Look, served: Served, unit: Instrument, settings: Any
) -> None:
    """The key got the scope three months after its instrument was listed."""
    settings.HISTORY_DAYS = 730
    SyncTarget.objects.all().delete()
    listed = NOW - 90 * DAY
    targets_ensure(instruments=[unit], now=listed)
    served.keep([])
    live = look(Resource.CALIBRATION_LOG, NOW)
    history = SyncTarget.objects.get(resource=Resource.CALIBRATION_LOG, lane=Lane.BACKFILL)
    assert min(start for start, _ in live) < history.watermark_at


@pytest.mark.parametrize("lane", list(Lane))
def test_a_row_of_the_future_moves_no_watermark_and_makes_no_gap(
    look: Look, served: Served, unit: Instrument, lane: Lane
) -> None:
    noon = NOW.replace(hour=12, minute=0, second=0)
    mine = SyncTarget.objects.filter(resource=Resource.NOISE, lane=lane)
    first, state = noon - 10 * MINUTE, {"watermark_at": noon - 10 * MINUTE}
    if lane == Lane.BACKFILL:
        state = {"watermark_at": noon - 5 * MINUTE, "floor_at": first}
    ahead = rows(unit, noon + 365 * DAY, 1, duration=60)
    served.say([*rows(unit, first, 5, duration=60), *ahead])
    assert len(look(Resource.NOISE, noon, lane, **state)) == 1
    assert NoiseMeasurement.objects.count() == 6
    if lane == Lane.LIVE:
        # What is not sent yet is asked for again.
        assert mine.get().watermark_at == first + 5 * MINUTE
    assert not Gap.objects.exists()
