"""The sync while MyCirrus misbehaves: nothing stored is lost, one cause is one message, and it heals by itself."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments import keys
from instruments.keys import api_key_verify
from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Outcome, Resource, SyncTarget
from monitoring.sync import run, schedule
from monitoring.sync.claims import due_claim
from monitoring.sync.resources import FETCH, Step
from tests.monitoring.conftest import NewKey, again, followed, mirrored, start, turns
from tests.monitoring.truth import everything_stored, noise_stored, noise_told, sics_stored
from tests.simulated import SimulatedMyCirrus


@pytest.fixture(autouse=True)
def _scope(organisation: Organisation) -> Iterator[None]:
    with organisation_scope(organisation.pk):
        yield


@pytest.fixture
def unit(mycirrus: SimulatedMyCirrus, new_key: NewKey) -> Instrument:
    """A failing unit with all its past mirrored."""
    (unit,) = mirrored(new_key(mycirrus.character("failing-sic")))
    return unit


def present(unit: Instrument) -> Instrument:
    return Instrument.objects.select_related("status").get(pk=unit.pk)


def watermarks() -> dict[tuple[str, str], Any]:
    rows = SyncTarget.objects.values_list("resource", "instrument__serial", "watermark_at")
    return {(resource, serial): at for resource, serial, at in rows}


def in_seconds(at: datetime | None) -> float:
    assert at is not None
    return (at - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize(
    ("mood", "expected"),
    [
        ({"500": True}, Outcome.TRANSIENT),
        ({"500": 200}, Outcome.BUG),
        ({"hang": True}, Outcome.TRANSIENT),
        ({"cut-body": True}, Outcome.TRANSIENT),
        ({"bad-json": True}, None),
        ({"500": 503, "no-error-body": True}, Outcome.TRANSIENT),
    ],
    ids=lambda value: str(value),
)
def test_a_bad_answer_loses_nothing_and_the_next_turn_heals(
    mycirrus: SimulatedMyCirrus,
    unit: Instrument,
    organisation: Organisation,
    settings: Any,
    mood: dict[str, Any],
    expected: Outcome | None,
) -> None:
    settings.MYCIRRUS_READ_TIMEOUT = 0.3
    before, marks = everything_stored(present(unit)), watermarks()
    mycirrus.moods(**mood)
    failed = again(organisation)
    assert len(failed) == 5
    assert {turn.outcome for turn in failed} <= ({expected} if expected else {Outcome.TRANSIENT, Outcome.BUG})
    assert everything_stored(present(unit)) == before
    assert watermarks() == marks
    for target in followed():
        assert target.failures == 1
        assert target.message
        assert target.api_key.secret_reveal() not in target.message
        assert target.parked_at is None
        assert 10 < in_seconds(target.due_at) <= 30
    mycirrus.moods()
    assert {turn.outcome for turn in again(organisation)} <= {Outcome.OK, Outcome.UNCHANGED}
    for target in followed():
        assert (target.failures, target.message) == (0, "")
    rows = noise_stored(unit)
    until = followed().get(resource=Resource.NOISE).watermark_at
    assert rows == noise_told(mycirrus, unit.serial, rows[0]["start_at"], until)
    assert ApiKey.objects.get().state == ApiKey.State.GOOD


def test_failures_in_a_row_are_tried_ever_less_often(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "chance", lambda: 0.999_999)
    mycirrus.moods(**{"500": True})
    waits = []
    for _ in range(4):
        again(organisation, Resource.SIC)
        waits.append(round(in_seconds(followed().get(resource=Resource.SIC).due_at)))
    assert waits == pytest.approx([30, 60, 120, 240], abs=5)


def test_what_is_not_understood_is_tried_again_soon_at_first_and_then_seldom(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation
) -> None:
    """A gateway's page in place of one answer must not silence a resource for hours."""
    mycirrus.moods(**{"500": 200})
    again(organisation, Resource.STATUS)
    target = SyncTarget.objects.get(resource=Resource.STATUS)
    assert target.outcome == Outcome.BUG
    assert in_seconds(target.due_at) <= 30
    SyncTarget.objects.filter(pk=target.pk).update(failures=40)
    again(organisation, Resource.STATUS)
    assert (
        in_seconds(SyncTarget.objects.get(pk=target.pk).due_at) <= schedule.LONGEST_BUG_RETRY.total_seconds()
    )
    target.refresh_from_db()
    assert target.failures == 41


@pytest.mark.parametrize(("told", "seconds"), [(90, 90), (20, 20)])
def test_too_many_requests_move_the_schedule_of_the_whole_key_and_of_no_other(
    mycirrus: SimulatedMyCirrus,
    new_key: NewKey,
    organisation: Organisation,
    told: Any,
    seconds: float,
) -> None:
    first = new_key(*mycirrus.serials()[:2])
    mirrored(first)
    second = new_key(mycirrus.serials()[3])
    mirrored(second)
    marks = watermarks()
    mycirrus.moods(**{"429": told, "path": "/v1/control", "count": 1})
    serial = mycirrus.serials()[0]
    limited = again(organisation, Resource.STATUS, instrument__serial=serial)
    assert [turn.outcome for turn in limited] == [Outcome.RATE_LIMITED]
    first.refresh_from_db()
    second.refresh_from_db()
    assert in_seconds(first.paused_until) == pytest.approx(seconds, abs=5)
    assert second.paused_until is None
    now = datetime.now(UTC)
    followed().update(due_at=now)
    assert not SyncTarget.objects.due(now).filter(api_key=first).exists()
    assert SyncTarget.objects.due(now).filter(api_key=second).count() == 5
    mycirrus.forget_requests()
    assert {turn.outcome for turn in turns(organisation)} <= {Outcome.OK, Outcome.UNCHANGED}
    assert {row["key"] for row in mycirrus.requests()["recent"]} == {second.last_four}
    # When the pause is over it goes on where it was: nothing was counted as a failure.
    over = now + timedelta(seconds=seconds + 2)
    assert followed(api_key=first).due(over).count() == 9
    assert set(SyncTarget.objects.filter(api_key=first).values_list("failures", flat=True)) == {0}
    assert {key: mark for key, mark in watermarks().items() if key[0] != "sic"}.keys() <= marks.keys()


def test_without_a_time_told_a_key_waits_as_long_as_its_pace_says(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation
) -> None:
    """Two seconds after a first refusal: a minute at each would cost most of what was left by halving."""
    mycirrus.moods(**{"429": True, "path": "/v1/control", "count": 1})
    (turn,) = again(organisation, Resource.STATUS)
    assert turn.outcome == Outcome.RATE_LIMITED
    key, target = ApiKey.objects.get(), followed().get(resource=Resource.STATUS)
    assert key.paused_until is not None
    assert target.outcome_at is not None
    assert key.paused_until - target.outcome_at == timedelta(seconds=2)
    assert target.due_at == key.paused_until


def test_a_pause_is_never_shortened_by_a_later_answer(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers were refused together: the one told to wait longer is right."""
    monkeypatch.setattr(keys, "_limiter", lambda *_: None)
    targets = followed(resource__in=[Resource.STATUS, Resource.SIC])
    targets.update(due_at=datetime.now(UTC))
    for claim, wait in zip(due_claim(now=datetime.now(UTC)), (300, 2), strict=True):
        mycirrus.moods(**{"429": wait})
        turn = run.target_run(claim=claim)
        assert turn is not None
        assert turn.outcome == Outcome.RATE_LIMITED
    assert in_seconds(ApiKey.objects.get().paused_until) > 290


def test_a_refused_key_parks_all_it_reads_with_one_message_and_heals_by_itself(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    key, other = new_key(*mycirrus.serials()[:3]), new_key(mycirrus.serials()[3])
    mirrored(key)
    mirrored(other)
    mycirrus.revoke_key(key.secret_reveal())
    mycirrus.forget_requests()
    refused = again(organisation, Resource.SIC, api_key=key)
    assert refused[0].outcome == Outcome.NEEDS_ATTENTION
    key.refresh_from_db()
    assert key.state == ApiKey.State.REFUSED
    mine = SyncTarget.objects.filter(api_key=key)
    assert followed(api_key=key).parked().count() == 12
    assert mine.filter(parked_at=None).count() == 1
    assert set(mine.parked().values_list("message", flat=True)) == {key.message}
    assert key.message
    assert key.secret_reveal() not in key.message
    assert SyncTarget.objects.filter(api_key=other).parked().count() == 0
    # Only the list goes on asking, once an hour.
    mycirrus.forget_requests()
    again(organisation, Resource.INSTRUMENTS, api_key=key)
    again(organisation, api_key=key)
    assert {row["operation"] for row in mycirrus.requests()["recent"]} == {"getinstruments"}
    the_list = mine.get(resource=Resource.INSTRUMENTS)
    assert the_list.parked_at is None
    assert 3500 < in_seconds(the_list.due_at) <= 3600
    mycirrus.add_key(key.secret_reveal(), None, mycirrus.serials()[:3])
    again(organisation, Resource.INSTRUMENTS, api_key=key)
    key.refresh_from_db()
    assert (key.state, key.message) == (ApiKey.State.GOOD, "")
    assert mine.parked().count() == 0
    assert set(followed(api_key=key).values_list("outcome", flat=True)) <= {Outcome.OK, Outcome.UNCHANGED}


def test_a_refused_key_that_could_not_be_reached_meanwhile_wakes_all_the_same(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation
) -> None:
    key = ApiKey.objects.get()
    mycirrus.moods(**{"expired-key": True})
    again(organisation, Resource.STATUS)
    assert followed().parked().count() == 4
    # Somebody presses Verify while MyCirrus is down: the state no longer says that the key was refused.
    mycirrus.moods()
    mycirrus.moods(**{"500": True})
    assert api_key_verify(api_key=key, now=datetime.now(UTC)).state == ApiKey.State.UNREACHABLE
    mycirrus.moods()
    again(organisation, Resource.INSTRUMENTS)
    assert ApiKey.objects.get().state == ApiKey.State.GOOD
    assert SyncTarget.objects.parked().count() == 0


def test_a_refusal_that_crosses_a_good_list_is_not_forgotten(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list was read while the key was good; before it is stored another worker is refused and parks all."""
    lists = FETCH[Resource.INSTRUMENTS]

    def crossed(*arguments: Any) -> Iterator[Step]:
        yield from lists(*arguments)
        mycirrus.moods(**{"expired-key": True})
        SyncTarget.objects.filter(resource=Resource.SIC).update(due_at=datetime.now(UTC))
        turns(organisation)
        mycirrus.moods()

    monkeypatch.setitem(FETCH, Resource.INSTRUMENTS, crossed)
    again(organisation, Resource.INSTRUMENTS)
    monkeypatch.undo()
    again(organisation, Resource.INSTRUMENTS)
    assert ApiKey.objects.get().state == ApiKey.State.GOOD
    assert SyncTarget.objects.parked().count() == 0


def test_a_key_without_the_scope_for_levels_parks_those_and_nothing_else(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    key = new_key(mycirrus.serials()[0], scopes=["instruments:read", "data.system:read"])
    (unit,) = mirrored(key)
    (parked,) = followed().parked()
    assert parked.resource == Resource.NOISE
    assert parked.outcome == Outcome.NEEDS_ATTENTION
    assert "AccessDenied" in parked.message
    assert len(sics_stored(unit)) > 300
    key.refresh_from_db()
    assert key.state == ApiKey.State.GOOD
    # A list that goes well is no reason to ask for the levels again.
    mycirrus.forget_requests()
    again(organisation, Resource.INSTRUMENTS)
    assert list(mycirrus.requests()["counts"]) == ["getinstruments"]
    assert followed().parked().count() == 1


def test_a_list_that_may_not_be_read_is_asked_for_again_and_heals(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    key = new_key(mycirrus.serials()[0])
    mycirrus.moods(**{"missing-scope": "instruments:read"})
    start(key)
    assert [turn.outcome for turn in turns(organisation)] == [Outcome.NEEDS_ATTENTION]
    (target,) = SyncTarget.objects.all()
    assert target.parked_at is None
    assert 3500 < in_seconds(target.due_at) <= 3600
    mycirrus.moods()
    again(organisation, Resource.INSTRUMENTS)
    assert Instrument.objects.count() == 1


def test_a_key_ring_put_right_needs_nobody_to_verify_each_key(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, settings: Any
) -> None:
    good = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = ["b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q="]
    assert {turn.outcome for turn in again(organisation)} == {Outcome.NEEDS_ATTENTION}
    assert all("decrypt" in target.message for target in followed())
    settings.FIELD_ENCRYPTION_KEYS = good
    again(organisation, Resource.INSTRUMENTS)
    assert SyncTarget.objects.parked().count() == 0
    assert {turn.outcome for turn in again(organisation)} <= {Outcome.OK, Outcome.UNCHANGED}


def test_a_serial_that_mycirrus_does_not_know_is_no_failure_of_the_key(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation
) -> None:
    key = ApiKey.objects.get()
    mycirrus.add_key(key.secret_reveal(), None, [mycirrus.serials()[0]])
    for mood in ({}, {"not-found-400": True}):
        mycirrus.moods(**mood)
        Instrument.objects.filter(pk=unit.pk).update(gone_at=None)
        found = again(organisation, Resource.STATUS, instrument=unit)
        # The list is asked for at once, and says that the unit is gone.
        assert Outcome.TRANSIENT in {turn.outcome for turn in found}
        assert Instrument.objects.get(pk=unit.pk).gone_at is not None
    assert ApiKey.objects.get().state == ApiKey.State.GOOD


SPELLINGS: list[tuple[str, Any]] = [
    ("sic-names", True),
    ("calibrations", True),
    ("position", "lat-long"),
    ("fraction", 3),
    ("fraction", 7),
    ("no-zone", True),
    ("dots", True),
    ("camel-values", True),
    ("measurements", "start"),
    ("measurements", "blocks"),
    ("no-instrument", True),
]


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """What a run without moods stored, filled by the first that needs it."""
    return {}


def said(unit: Instrument) -> dict[str, Any]:
    """All that is stored of it, without what differs from one run to the next."""
    stored = everything_stored(present(unit))
    moving = (
        "instrument",
        "organisation",
        "changed_at",
        "online_since_at",
        "measuring_since_at",
        "day_values",
        "day_at",
        "level_at",
        "LAeq",
        "LAFMax",
        "LCPeak",
    )
    stored["present"] = {name: value for name, value in stored["present"].items() if name not in moving}
    facts = ("serial", "type", "model", "name", "features", "latitude", "longitude", "subscription_tier")
    stored["instrument"] = [getattr(unit, name) for name in facts]
    return stored


@pytest.mark.parametrize(("mood", "value"), SPELLINGS)
def test_every_spelling_stores_the_same_rows(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, plain: dict[str, Any], mood: str, value: Any
) -> None:
    serial = mycirrus.character("failing-sic")
    if not plain:
        (unit,) = mirrored(new_key(serial))
        plain.update(said(unit))
        Instrument.objects.all().delete()
    mycirrus.moods(**{mood: value})
    (unit,) = mirrored(new_key(serial))
    stored = said(unit)
    assert stored["instrument"] == plain["instrument"]
    assert stored["present"] == plain["present"]
    # A day's window moves with the clock: compare the rows that both hold.
    for rows, key in (("noise", "start_at"), ("sics", "at"), ("calibrations", "at")):
        first = max(stored[rows][0][key], plain[rows][0][key])
        last = min(stored[rows][-1][key], plain[rows][-1][key])
        ours, theirs = (
            [row for row in given[rows] if first <= row[key] <= last] for given in (stored, plain)
        )
        assert len(ours) > 5
        assert ours == theirs


def test_a_spelling_that_changes_while_mirroring_makes_no_row_twice(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation
) -> None:
    before = everything_stored(present(unit))
    for mood, value in (("fraction", 7), ("no-zone", True), ("calibrations", True), ("sic-names", "absent")):
        mycirrus.moods()
        mycirrus.moods(**{mood: value})
        assert {turn.outcome for turn in again(organisation, Resource.SIC, Resource.CALIBRATIONS)} == {
            Outcome.UNCHANGED
        }
    after = everything_stored(present(unit))
    assert (after["sics"], after["calibrations"]) == (before["sics"], before["calibrations"])


def test_nulls_are_gaps_and_never_zeros(mycirrus: SimulatedMyCirrus, new_key: NewKey) -> None:
    mycirrus.moods(nulls=True)
    (unit,) = mirrored(new_key(mycirrus.serials()[0]))
    rows = noise_stored(unit)
    told = noise_told(
        mycirrus, unit.serial, rows[0]["start_at"], rows[-1]["start_at"] + timedelta(seconds=60)
    )
    holes = 0
    for row, truth in zip(rows, told, strict=True):
        for name, value in row.items():
            holes += value is None
            assert value in (None, truth[name])
    assert holes > 1000


def test_a_word_for_failed_that_is_new_to_the_vendor_fails_too(
    mycirrus: SimulatedMyCirrus, new_key: NewKey
) -> None:
    mycirrus.moods(**{"status-word": "Error"})
    (unit,) = mirrored(new_key(mycirrus.character("failing-sic")))
    last = sics_stored(unit)[-1]
    assert (last["status"], last["passed"]) == ("Error", False)


def test_types_and_tiers_that_are_new_to_us_are_kept_as_they_came(
    mycirrus: SimulatedMyCirrus, new_key: NewKey
) -> None:
    mycirrus.moods(**{"unknown-words": True})
    (unit,) = mirrored(new_key(mycirrus.serials("AirQuality")[0]))
    assert (unit.type, unit.type_label) == ("Radiation", "Radiation")
    assert (unit.subscription_status, unit.subscription_tier) == ("Paused", "Galactic")
    assert "Sonar" in unit.features


def test_a_row_that_the_database_refuses_is_a_bug_with_a_message_and_a_pause(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an outcome its lease would end and it would be tried every few minutes, for ever and unseen."""

    def refused(client: object, target: SyncTarget, now: datetime, answer: object) -> Iterator[Step]:
        def store() -> bool:
            SyncTarget.objects.create(
                organisation=organisation, api_key=target.api_key, resource=Resource.INSTRUMENTS, due_at=now
            )
            return True

        yield Step(store)

    monkeypatch.setitem(FETCH, Resource.SIC, refused)
    again(organisation, Resource.SIC)
    target = followed().get(resource=Resource.SIC)
    assert target.outcome == Outcome.BUG
    assert "IntegrityError" in target.message
    assert target.lease_until is None
    assert in_seconds(target.due_at) > 0


def test_a_mirrored_fleet_costs_few_queries_a_list(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    one, rest = new_key(mycirrus.serials()[0]), new_key(*mycirrus.serials()[1:])
    for key in (one, rest):
        mirrored(key)

    def cost(key: ApiKey) -> int:
        # On a slow machine other turns come up meanwhile.
        others = SyncTarget.objects.exclude(resource=Resource.INSTRUMENTS)
        others.update(due_at=datetime.now(UTC) + timedelta(days=1))
        with CaptureQueriesContext(connection) as queries:
            again(organisation, Resource.INSTRUMENTS, api_key=key)
        return len(queries)

    few, many = cost(one), cost(rest)
    assert many <= few + 2


def test_no_message_holds_a_key(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation
) -> None:
    secret = ApiKey.objects.get().secret_reveal()
    moods: list[dict[str, Any]] = [{"expired-key": True}, {"500": True}, {"bad-json": True}, {"429": 1}]
    for mood in moods:
        mycirrus.moods()
        mycirrus.moods(**mood)
        again(organisation)
        ApiKey.objects.update(paused_until=None)
        rows = [
            *SyncTarget.objects.values_list("message", flat=True),
            *ApiKey.objects.values_list("message", flat=True),
        ]
        assert not re.search(re.escape(secret), "\n".join(rows), re.IGNORECASE)
        SyncTarget.objects.update(parked_at=None)
