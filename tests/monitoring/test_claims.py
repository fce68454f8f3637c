"""Who fetches what now: nobody fetches what another holds, nobody waits for another's thousands, no hint is lost."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from instruments import credentials
from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.models import Lane, Outcome, Resource, SyncTarget
from monitoring.sync import claims, run
from monitoring.sync.claims import MOST_IN_FLIGHT, Claim, due_claim, make_due, target_release
from monitoring.sync.held import Reached
from monitoring.sync.resources import FETCH, Step
from monitoring.sync.targets import key_targets_refresh, keys_catch_up, targets_ensure
from monitoring.sync.wanted import resources_of
from tests.conftest import make_instrument, make_key, make_organisation

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


def make_targets(owner: Organisation, count: int, secret: str, due_at: datetime = NOW) -> ApiKey:
    """A key with ``count`` due targets."""
    key = make_key(owner, secret)
    with organisation_scope(owner.pk):
        Instrument.objects.bulk_create(
            Instrument(
                organisation=owner,
                serial=f"{secret[-4:]}{number:05}",
                type="AirQuality",
                api_key=key,
                first_seen_at=NOW,
                seen_at=NOW,
            )
            for number in range(count)
        )
        add_targets(key, Instrument.objects.filter(api_key=key), Resource.STATUS, due_at)
    return key


def add_targets(
    key: ApiKey,
    instruments: Iterable[Instrument],
    resource: Resource,
    due_at: datetime,
    lane: Lane = Lane.LIVE,
) -> None:
    SyncTarget.objects.bulk_create(
        SyncTarget(
            organisation_id=key.organisation_id,
            api_key=key,
            instrument=instrument,
            resource=resource,
            lane=lane,
            due_at=due_at,
        )
        for instrument in instruments
    )


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What each key's pace is, by its last four characters; no pace at all where it is not named."""
    told: dict[str, float] = {}
    fingerprints = {
        credentials.fingerprint(f"mycirrus-00000{n}-{k}"): k for n, k in ((1, "AAAA"), (2, "BBBB"))
    }
    monkeypatch.setattr(claims, "pace_of", lambda found: told.get(fingerprints.get(found, ""), 1000.0))
    return told


@pytest.fixture
def owner(db: None) -> Organisation:
    return make_organisation("harbour")


def held_by(key: ApiKey, given: Iterable[Claim]) -> int:
    with all_organisations(reason="a test counts"):
        targets = set(SyncTarget.objects.filter(api_key=key).values_list("pk", flat=True))
    return sum(claim.target_id in targets for claim in given)


def test_a_claim_is_held_until_its_lease_ends(owner: Organisation, settings: Any) -> None:
    make_targets(owner, 3, "mycirrus-000001-AAAA")
    first = due_claim(now=NOW)
    assert len(first) == 3
    assert due_claim(now=NOW) == []
    lease = timedelta(seconds=settings.SYNC_LEASE_SECONDS)
    assert due_claim(now=NOW + lease - timedelta(seconds=1)) == []
    second = due_claim(now=NOW + lease)
    assert {claim.target_id for claim in second} == {claim.target_id for claim in first}
    assert not {claim.token for claim in second} & {claim.token for claim in first}


@pytest.mark.django_db(transaction=True)
def test_many_dispatchers_at_once_claim_each_target_once() -> None:
    owner = make_organisation("harbour")
    for number in range(4):
        make_targets(owner, 10, f"mycirrus-000001-AAA{number}")
    given: list[Claim] = []
    barrier = threading.Barrier(4)

    def dispatcher() -> None:
        try:
            barrier.wait(10)
            for _ in range(3):
                given.extend(due_claim(now=NOW))
        finally:
            connection.close()

    in_threads(*[dispatcher] * 4)
    assert max(Counter(claim.target_id for claim in given).values()) == 1
    assert len(given) == 40


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_that_waited_for_a_row_sees_that_it_was_taken() -> None:
    """The second reads the target as free, waits for the first to commit, and must then look again."""
    owner = make_organisation("harbour")
    make_targets(owner, 1, "mycirrus-000001-AAAA")
    late: list[Claim] = []

    def dispatcher() -> None:
        try:
            late.extend(due_claim(now=NOW))
        finally:
            connection.close()

    thread = threading.Thread(target=dispatcher)
    with transaction.atomic():
        (claim,) = due_claim(now=NOW)
        thread.start()
        # Until it waits for our row, or has seen that nothing is left.
        thread.join(0.5)
    thread.join(30)
    assert late == []
    with organisation_scope(owner.pk):
        assert str(SyncTarget.objects.get().lease_token) == claim.token


def in_threads(*calls: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_ten_thousand_that_are_always_due_never_starve_five(owner: Organisation, settings: Any) -> None:
    many = make_targets(owner, 10_000, "mycirrus-000001-AAAA", NOW - timedelta(hours=1))
    few = make_targets(make_organisation("quarry"), 5, "mycirrus-000002-BBBB")
    costs = []
    for tick in range(4):
        with CaptureQueriesContext(connection) as queries:
            given = due_claim(now=NOW + timedelta(seconds=5 * tick))
        costs.append(len(queries))
        assert (held_by(few, given), held_by(many, given)) == (5, settings.SYNC_TURNS_PER_KEY)
        # All of them end at once, and all are due again.
        for key in (few, many):
            with organisation_scope(key.organisation_id):
                SyncTarget.objects.exclude(lease_token=None).update(lease_until=None, lease_token=None)
    assert set(costs) == {costs[0]}


def test_a_key_that_hangs_does_not_take_the_places_of_the_others(owner: Organisation, settings: Any) -> None:
    hanging = make_targets(owner, 1000, "mycirrus-000001-AAAA", NOW - timedelta(hours=1))
    given: list[Claim] = []
    for tick in range(20):
        given += due_claim(now=NOW + timedelta(seconds=5 * tick))
    assert held_by(hanging, given) == settings.SYNC_TURNS_PER_KEY
    late = NOW + timedelta(seconds=100)
    few = make_targets(make_organisation("quarry"), 5, "mycirrus-000002-BBBB", late)
    assert held_by(few, due_claim(now=late)) == 5


def test_no_more_is_claimed_than_the_workers_can_hold(owner: Organisation, settings: Any) -> None:
    for number in range(8):
        make_targets(owner, 20, f"mycirrus-000001-AAA{number}")
    assert len(due_claim(now=NOW)) == MOST_IN_FLIGHT
    assert due_claim(now=NOW) == []


@pytest.mark.parametrize("targets", [60, 600])
def test_claiming_costs_the_same_whatever_the_fleet(owner: Organisation, targets: int) -> None:
    for number in range(6):
        make_targets(owner, targets // 6, f"mycirrus-000001-AAA{number}")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        given = due_claim(now=NOW)
    assert len(given) >= 60
    assert len(queries) <= len(given) + 3


def test_what_may_not_be_asked_is_not_due(owner: Organisation) -> None:
    key = make_targets(owner, 1, "mycirrus-000001-AAAA")
    with organisation_scope(owner.pk):
        assert SyncTarget.objects.due(NOW).count() == 1
        cases: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
            (ApiKey, {"revoked_at": NOW}, {"revoked_at": None}),
            (ApiKey, {"paused_until": NOW + timedelta(seconds=1)}, {"paused_until": NOW}),
            (Instrument, {"gone_at": NOW}, {"gone_at": None}),
            (SyncTarget, {"parked_at": NOW}, {"parked_at": None}),
            (SyncTarget, {"done_at": NOW}, {"done_at": None}),
            (SyncTarget, {"due_at": NOW + timedelta(seconds=1)}, {"due_at": NOW}),
            (SyncTarget, {"lease_until": NOW + timedelta(seconds=1)}, {"lease_until": NOW}),
        ]
        for model, closed, opened in cases:
            model.objects.update(**closed)
            assert SyncTarget.objects.due(NOW).count() == 0, closed
            assert due_claim(now=NOW) == []
            model.objects.update(**opened)
            assert SyncTarget.objects.due(NOW).count() == 1, opened
        # A list has no instrument, and is due all the same.
        key_targets_refresh(api_key=key, now=NOW)
        assert SyncTarget.objects.due(NOW).count() == 2


def test_a_key_is_asked_with_though_its_process_ended_after_the_commit(owner: Organisation) -> None:
    """Whoever added or verified it was killed before the signal: the next tick starts what the signal would have."""
    key = make_targets(owner, 1, "mycirrus-000001-AAAA")
    revoked = make_key(owner, "mycirrus-000001-BBBB", revoked_at=NOW)
    refused = make_key(owner, "mycirrus-000001-CCCC")
    with organisation_scope(owner.pk):
        ApiKey.objects.filter(pk=refused.pk).update(state=ApiKey.State.REFUSED)
    assert keys_catch_up(now=NOW) == 2
    assert keys_catch_up(now=NOW) == 0
    with organisation_scope(owner.pk):
        lists = SyncTarget.objects.filter(resource=Resource.INSTRUMENTS)
        assert set(lists.values_list("api_key_id", flat=True)) == {key.pk, refused.pk}
        assert not lists.filter(api_key=revoked).exists()
        # Parked for a scope; then somebody made a wider key in the console and pressed Verify.
        theirs = SyncTarget.objects.filter(api_key=key, resource=Resource.STATUS)
        theirs.update(parked_at=NOW)
        assert keys_catch_up(now=NOW + MINUTE) == 0
        mine = ApiKey.objects.filter(pk=key.pk)
        mine.update(verified_at=NOW + MINUTE, state=ApiKey.State.REFUSED)
        assert keys_catch_up(now=NOW + 2 * MINUTE) == 0
        mine.update(state=ApiKey.State.GOOD)
        # Not yet, by a clock that is ahead of ours.
        assert keys_catch_up(now=NOW) == 0
        assert keys_catch_up(now=NOW + 2 * MINUTE) == 1
        assert theirs.get().parked_at is None
        # MyCirrus says no all the same: that is newer than the verification.
        theirs.update(parked_at=NOW + 2 * MINUTE)
        assert keys_catch_up(now=NOW + 3 * MINUTE) == 0


def test_where_nothing_is_to_be_caught_up_that_costs_a_tick_one_query(owner: Organisation) -> None:
    make_targets(owner, 3, "mycirrus-000001-AAAA")
    keys_catch_up(now=NOW)
    with CaptureQueriesContext(connection) as asked:
        assert keys_catch_up(now=NOW) == 0
    assert len(asked) == 1


def claimed(owner: Organisation) -> tuple[Claim, SyncTarget]:
    make_targets(owner, 1, "mycirrus-000001-AAAA")
    (claim,) = due_claim(now=datetime.now(UTC))
    with organisation_scope(owner.pk):
        return claim, SyncTarget.objects.get()


def release(target: SyncTarget, due_at: datetime, **more: Any) -> bool:
    return target_release(target=target, outcome=Outcome.OK, due_at=due_at, now=datetime.now(UTC), **more)


def test_a_hint_during_a_turn_is_not_lost_under_its_outcome(owner: Organisation) -> None:
    claim, target = claimed(owner)
    with organisation_scope(owner.pk):
        rang_at = datetime.now(UTC)
        serial = Instrument.objects.get().serial
        assert make_due(serial=serial, resources=[Resource.STATUS], now=rang_at) == 1
        # Not while it is held: the turn that runs may have read too early, so it is asked again after it.
        assert due_claim(now=rang_at) == []
        assert release(target, rang_at + timedelta(hours=1))
        assert SyncTarget.objects.get().due_at == rang_at
        assert [again.target_id for again in due_claim(now=rang_at)] == [claim.target_id]


def test_a_turn_without_a_hint_sets_its_next(owner: Organisation) -> None:
    _, target = claimed(owner)
    later = datetime.now(UTC) + timedelta(hours=1)
    with organisation_scope(owner.pk):
        assert release(target, later)
        released = SyncTarget.objects.get()
    assert (released.due_at, released.lease_until, released.lease_token) == (later, None, None)


def test_who_lost_the_lease_cannot_write_the_outcome(owner: Organisation) -> None:
    _, target = claimed(owner)
    with organisation_scope(owner.pk):
        SyncTarget.objects.update(lease_token=uuid.uuid4())
        assert release(target, NOW, message="late") is False
        assert SyncTarget.objects.get().message == ""


def test_a_late_worker_s_answer_is_dropped(owner: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease ended while MyCirrus was waited for, and somebody else claimed the target."""
    claim, _ = claimed(owner)
    successor: list[Claim] = []

    def slow(client: object, target: SyncTarget, now: datetime, answer: object) -> Any:
        SyncTarget.objects.update(lease_until=now - timedelta(seconds=1))
        successor.extend(due_claim(now=now))
        rename = Instrument.objects.filter(pk=target.instrument_id)
        yield Step(lambda: bool(rename.update(name="stored late")), Reached(now))

    monkeypatch.setitem(FETCH, Resource.STATUS, slow)
    with organisation_scope(owner.pk):
        assert run.target_run(claim=claim) is None
        target = SyncTarget.objects.get()
        assert Instrument.objects.get().name == ""
    assert target.watermark_at is None
    assert [each.token for each in successor] == [str(target.lease_token)]


def test_an_expired_claim_is_not_even_begun(owner: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, _ = claimed(owner)
    monkeypatch.setitem(FETCH, Resource.STATUS, lambda *_: pytest.fail("it was asked"))
    with organisation_scope(owner.pk):
        SyncTarget.objects.update(lease_until=datetime.now(UTC))
        assert run.target_run(claim=claim) is None


def test_targets_are_ensured_in_few_queries_and_keep_their_state(owner: Organisation) -> None:
    key = make_targets(owner, 40, "mycirrus-000001-AAAA")
    other = make_key(owner, "mycirrus-000002-BBBB")
    with organisation_scope(owner.pk):
        SyncTarget.objects.update(watermark_at=NOW, due_at=NOW + timedelta(hours=1), parked_at=NOW)
        some = list(Instrument.objects.all()[:4])
        everything = list(Instrument.objects.all())
        targets_ensure(instruments=everything, now=NOW)
        made = SyncTarget.objects.count()
        with CaptureQueriesContext(connection) as few:
            targets_ensure(instruments=some, now=NOW)
        with CaptureQueriesContext(connection) as many:
            targets_ensure(instruments=everything, now=NOW)
        assert len(many) == len(few)
        assert SyncTarget.objects.count() == made
        for instrument in everything:
            live = SyncTarget.objects.filter(instrument=instrument, lane=Lane.LIVE)
            assert set(live.values_list("resource", flat=True)) == set(resources_of(instrument))
        kept = SyncTarget.objects.filter(resource=Resource.STATUS)
        assert set(kept.values_list("watermark_at", "due_at", "parked_at")) == {
            (NOW, NOW + timedelta(hours=1), NOW)
        }
        # With another key what was parked for the old one is tried again, from where it stood.
        moved = Instrument.objects.first()
        assert moved is not None
        Instrument.objects.filter(pk=moved.pk).update(api_key=other)
        moved.refresh_from_db()
        targets_ensure(instruments=[moved], now=NOW)
        status = SyncTarget.objects.get(instrument=moved, resource=Resource.STATUS)
        assert (status.api_key_id, status.parked_at, status.watermark_at) == (other.pk, None, NOW)
        assert SyncTarget.objects.exclude(instrument=moved).filter(api_key=other).count() == 0
        assert SyncTarget.objects.filter(api_key=key).count() == made // 40 * 39


def test_hints_reach_the_named_instrument_of_the_organisation_in_scope_only(owner: Organisation) -> None:
    later = NOW + timedelta(hours=1)
    quarry = make_organisation("quarry")
    for each in (owner, quarry):
        instrument = make_instrument(each, "QT000001", api_key=make_key(each), type="AirQuality")
        with organisation_scope(each.pk):
            targets_ensure(instruments=[instrument], now=later)
    with organisation_scope(owner.pk):
        assert make_due(serial="QT000001", resources=[Resource.GASES], now=NOW) == 1
        assert make_due(serial="NOBODY", resources=[Resource.GASES], now=NOW) == 0
        SyncTarget.objects.filter(resource=Resource.STATUS).update(parked_at=NOW)
        # A webhook cannot mend a refused key.
        assert make_due(serial="QT000001", resources=[Resource.STATUS], now=NOW) == 0
        assert [target.resource for target in SyncTarget.objects.due(NOW)] == [Resource.GASES]
    with organisation_scope(quarry.pk):
        assert not SyncTarget.objects.due(NOW).exists()


def test_chance_is_a_share() -> None:
    assert all(0 <= claims.chance() < 1 for _ in range(1000))


def test_a_hint_keeps_its_place_among_hints_and_moves_what_is_held(owner: Organisation) -> None:
    make_targets(owner, 1, "mycirrus-000001-AAAA", NOW - timedelta(hours=1))
    later, ahead = NOW + timedelta(minutes=1), NOW + timedelta(hours=1)
    with organisation_scope(owner.pk):
        serial = Instrument.objects.get().serial

        def rung(**fields: Any) -> tuple[datetime, datetime | None]:
            SyncTarget.objects.update(**fields)
            assert make_due(serial=serial, resources=[Resource.STATUS], now=later) == 1
            target = SyncTarget.objects.get()
            return target.due_at, target.hinted_at

        # A thousand hints while the queue is long must not keep it from its turn.
        long_ago = NOW - timedelta(hours=2)
        assert rung(due_at=long_ago, lease_until=None, hinted_at=long_ago) == (long_ago, long_ago)
        assert rung(due_at=long_ago, lease_until=later, hinted_at=None) == (long_ago, later)
        # What is held is asked again after its turn; what is not due is due now.
        assert rung(due_at=long_ago, lease_until=ahead, hinted_at=long_ago) == (later, long_ago)
        assert rung(due_at=ahead, lease_until=None, hinted_at=None) == (later, later)


def test_a_hint_goes_before_every_poll_and_has_places_of_its_own(owner: Organisation, settings: Any) -> None:
    """The key has all its polls under way and thousands behind them; a check that has failed waits for none."""
    make_targets(owner, 1000, "mycirrus-000001-AAAA", NOW - timedelta(hours=1))
    assert len(due_claim(now=NOW)) == settings.SYNC_TURNS_PER_KEY
    with organisation_scope(owner.pk):
        waiting = SyncTarget.objects.free(NOW).order_by("pk").select_related("instrument")
        level, check = waiting[0], waiting[1]
        SyncTarget.objects.filter(pk=level.pk).update(resource=Resource.NOISE)
        SyncTarget.objects.filter(pk=check.pk).update(resource=Resource.SIC)
        for target, resource in ((level, Resource.NOISE), (check, Resource.SIC)):
            assert target.instrument is not None
            make_due(serial=target.instrument.serial, resources=[resource], now=NOW)
    # A check before levels that were announced earlier: a mail may hang on it.
    assert [(claim.target_id, claim.hint) for claim in due_claim(now=NOW)] == [
        (check.pk, True),
        (level.pk, True),
    ]


def test_one_key_s_hints_leave_room_for_another_s(owner: Organisation, settings: Any) -> None:
    loud = make_targets(owner, 100, "mycirrus-000001-AAAA")
    quiet = make_targets(make_organisation("quarry"), 1, "mycirrus-000002-BBBB")
    with all_organisations(reason="a test rings"):
        SyncTarget.objects.update(hinted_at=NOW, due_at=NOW)
        SyncTarget.objects.filter(api_key=quiet).update(hinted_at=NOW + timedelta(seconds=1))
    given = due_claim(now=NOW)
    assert (held_by(loud, given), held_by(quiet, given)) == (settings.SYNC_TURNS_PER_KEY, 1)


@pytest.mark.parametrize(
    ("outcome", "stays"), [(Outcome.OK, False), (Outcome.TRANSIENT, True), (Outcome.RATE_LIMITED, True)]
)
def test_a_hint_lasts_until_a_turn_went_well(owner: Organisation, outcome: Outcome, stays: bool) -> None:
    make_targets(owner, 1, "mycirrus-000001-AAAA")
    with organisation_scope(owner.pk):
        SyncTarget.objects.update(hinted_at=NOW)
    due_claim(now=NOW)
    with organisation_scope(owner.pk):
        target = SyncTarget.objects.get()
        assert target_release(target=target, outcome=outcome, due_at=NOW, now=NOW)
        assert (SyncTarget.objects.get().hinted_at is not None) is stays


@pytest.mark.parametrize(("rate", "places"), [(0.1, 4), (4.2, 5), (900, 20)])
def test_a_key_has_as_many_polls_under_way_as_its_pace_lets_through(
    owner: Organisation, pace: dict[str, float], rate: float, places: int
) -> None:
    make_targets(owner, 100, "mycirrus-000001-AAAA")
    pace["AAAA"] = rate
    assert len(due_claim(now=NOW)) == places
    assert due_claim(now=NOW) == []


@pytest.mark.parametrize("rate", [0.1, 900])
def test_a_fleet_that_is_always_late_is_swept_and_filled_back_all_the_same(
    owner: Organisation, pace: dict[str, float], rate: float
) -> None:
    """Of its own live polls more are due than its pace lets through: they leave one place in four."""
    key = make_targets(owner, 100, "mycirrus-000001-AAAA", NOW - timedelta(hours=1))
    pace["AAAA"] = rate
    with organisation_scope(owner.pk):
        instruments = list(Instrument.objects.filter(api_key=key).order_by("pk"))
        add_targets(key, instruments[:20], Resource.WEATHER, NOW, Lane.SWEEP)
        add_targets(key, instruments[20:40], Resource.WEATHER, NOW, Lane.BACKFILL)

        def lanes(given: Iterable[Claim]) -> list[str]:
            found = SyncTarget.objects.in_bulk([claim.target_id for claim in given])
            return [found[claim.target_id].lane for claim in given]

        def end(lane: Lane) -> None:
            held = SyncTarget.objects.filter(lane=lane).exclude(lease_token=None)
            SyncTarget.objects.filter(pk=held.values("pk")[:1]).update(
                lease_until=None, lease_token=None, due_at=NOW + timedelta(days=1)
            )

        given = lanes(due_claim(now=NOW))
        few = len(given) // 4
        # What is live comes first.
        assert given[:-few] == [Lane.LIVE] * (len(given) - few)
        assert Lane.LIVE not in given[-few:]
        assert due_claim(now=NOW) == []
        # Each place goes to its own kind again.
        end(Lane.LIVE)
        assert lanes(due_claim(now=NOW)) == [Lane.LIVE]
        end(Lane.SWEEP)
        assert lanes(due_claim(now=NOW)) == [Lane.SWEEP]
        # Of the few that become free while live polls hold nearly all, none is theirs until the rest has its own.
        SyncTarget.objects.exclude(lane=Lane.LIVE).update(
            lease_until=None, lease_token=None, due_at=NOW + timedelta(days=1)
        )
        due_claim(now=NOW)
        SyncTarget.objects.filter(lane=Lane.SWEEP).update(due_at=NOW)
        for _ in range(few - 1):
            end(Lane.LIVE)
        assert lanes(due_claim(now=NOW)) == [Lane.SWEEP] * (few - 1)
        # Where nothing else is due, all are for what is live.
        SyncTarget.objects.exclude(lane=Lane.LIVE).update(
            lease_until=None, lease_token=None, due_at=NOW + timedelta(days=1)
        )
        assert lanes(due_claim(now=NOW)) == [Lane.LIVE] * max(few - 1, 0)


@pytest.mark.parametrize("targets", [40, 4000])
def test_claiming_reads_no_more_rows_of_a_large_fleet(owner: Organisation, targets: int) -> None:
    """By an index: one key's thousands are neither sorted nor counted."""
    key = make_targets(owner, targets, "mycirrus-000001-AAAA")
    with CaptureQueriesContext(connection) as queries:
        assert len(due_claim(now=NOW)) == 20
    assert len(queries) < 16
    if connection.vendor == "sqlite":
        told = [
            query["sql"]
            for query in queries
            if query["sql"].startswith("SELECT") and str(key.pk) in query["sql"]
        ]
        with connection.cursor() as cursor:
            for statement in told:
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
                for *_, step in cursor.fetchall():
                    # The indexes of what is held and hinted are read whole: they hold a few dozen.
                    assert not step.startswith("SCAN monitoring_synctarget") or "INDEX sync_target" in step, (
                        step
                    )
