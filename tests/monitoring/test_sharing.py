"""One request for many instruments: it saves requests, and loses nothing where MyCirrus does not play along."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from instruments.models import Instrument, Organisation
from instruments.mycirrus import Rows
from instruments.tenancy import organisation_scope
from monitoring.models import InstrumentStatus, Lane, Outcome, Resource, SyncTarget
from monitoring.sync import histories, sharing
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from monitoring.sync.sharing import Answer
from tests.monitoring.conftest import NewKey, again, mirrored
from tests.monitoring.truth import noise_stored, noise_told
from tests.simulated import SimulatedMyCirrus


@pytest.fixture(autouse=True)
def _scope(organisation: Organisation, mycirrus: SimulatedMyCirrus, settings: Any) -> Iterator[None]:
    """In the organisation, with nothing learnt yet of how this MyCirrus reads lists."""
    sharing._redis(settings.REDIS_URL).delete(f"mycirrus:shared:{mycirrus.base_url}")
    with organisation_scope(organisation.pk):
        yield


@pytest.fixture
def fleet(mycirrus: SimulatedMyCirrus, new_key: NewKey) -> list[Instrument]:
    """Four monitors, mirrored up to now, and nothing asked yet."""
    now = datetime.now(UTC)
    # At some hours one or another is without power.
    measuring = [
        one for one in mycirrus.serials() if noise_told(mycirrus, one, now - timedelta(minutes=5), now)
    ]
    made = mirrored(new_key(*measuring[:4]))
    hold_back(made, Resource.NOISE)
    mycirrus.forget_requests()
    return made


def hold_back(fleet: list[Instrument], resource: Resource, back: timedelta = timedelta(minutes=30)) -> None:
    """Let them be behind by half an hour, so that there is something to fetch."""
    at = datetime.now(UTC) - back
    SyncTarget.objects.filter(instrument__in=fleet, resource=resource, lane=Lane.LIVE).update(
        watermark_at=at, silent_until_at=None
    )


def asked(mycirrus: SimulatedMyCirrus, operation: str = "getmeasurements") -> list[int]:
    """How many serials each request for levels named."""
    found = []
    for row in mycirrus.requests()["recent"]:
        if row["operation"] == operation:
            serials = [value for name, value in row["query"] if name == "instruments"]
            found.append(len(",".join(serials).split(",")))
    return found


def noise(fleet: list[Instrument]) -> list[SyncTarget]:
    rows = SyncTarget.objects.filter(instrument__in=fleet, resource=Resource.NOISE, lane=Lane.LIVE)
    return list(rows.select_related("instrument").order_by("instrument__serial"))


def whole(mycirrus: SimulatedMyCirrus, fleet: list[Instrument]) -> None:
    """Every row once and as told, each instrument up to its own watermark."""
    for target in noise(fleet):
        assert target.instrument is not None
        assert target.watermark_at is not None
        rows = noise_stored(target.instrument)
        assert rows == noise_told(
            mycirrus, target.instrument.serial, rows[0]["start_at"], target.watermark_at
        )
        assert target.watermark_at > datetime.now(UTC) - timedelta(minutes=5)


def test_a_fleet_is_asked_for_in_one_request(
    mycirrus: SimulatedMyCirrus, fleet: list[Instrument], organisation: Organisation
) -> None:
    (turn,) = again(organisation, Resource.NOISE)
    assert asked(mycirrus) == [4]
    assert len(turn.whole()) == 4
    # It is what they have already, but for a row of the minute that may have ended since.
    whole(mycirrus, fleet)
    for target in noise(fleet):
        assert target.outcome in {Outcome.OK, Outcome.UNCHANGED}
        assert (target.lease_until, target.failures) == (None, 0)
        assert target.due_at > datetime.now(UTC)


def test_checks_events_and_health_are_shared_too(
    mycirrus: SimulatedMyCirrus,
    fleet: list[Instrument],
    organisation: Organisation,
    request: pytest.FixtureRequest,
) -> None:
    for unit in fleet:
        # One has a weak SIM: while it is off it has no health to tell.
        mycirrus.offline(unit.serial, False)
        request.addfinalizer(partial(mycirrus.offline, unit.serial, None))
    again(organisation, Resource.NOISE)
    again(organisation, Resource.SIC)
    again(organisation, Resource.CALIBRATIONS)
    assert asked(mycirrus, "getsic") == [4]
    others = SyncTarget.objects.filter(resource=Resource.NOW)
    others.update(due_at=datetime.now(UTC))
    for claim in due_claim(now=datetime.now(UTC), organisation_id=organisation.pk):
        target_run(claim=claim)
    assert asked(mycirrus, "getmonitorcurrentstatus") == [4]
    assert InstrumentStatus.objects.exclude(health={}).count() == 4


def test_who_is_far_behind_is_asked_for_alone(
    mycirrus: SimulatedMyCirrus, fleet: list[Instrument], organisation: Organisation
) -> None:
    hold_back(fleet[:1], Resource.NOISE, timedelta(hours=5))
    again(organisation, Resource.NOISE)
    assert sorted(asked(mycirrus)) == [1, 3]
    whole(mycirrus, fleet)


def test_one_bad_serial_fails_nobody_else(
    mycirrus: SimulatedMyCirrus, fleet: list[Instrument], organisation: Organisation
) -> None:
    key = noise(fleet)[0].api_key
    mycirrus.add_key(key.secret_reveal(), None, [unit.serial for unit in fleet[1:]])
    again(organisation, Resource.NOISE)
    # Refused together, then each alone: the bad one says so itself, and the list that is asked for drops it.
    assert sorted(asked(mycirrus)) == [1, 1, 1, 1, 4]
    assert Instrument.objects.get(pk=fleet[0].pk).gone_at is not None
    assert noise(fleet)[0].outcome == Outcome.TRANSIENT
    whole(mycirrus, fleet[1:])
    # It is remembered for a while.
    mycirrus.forget_requests()
    again(organisation, Resource.NOISE, instrument__in=fleet[1:])
    assert asked(mycirrus) == [1, 1, 1]


def test_rows_without_an_instrument_are_not_guessed(
    mycirrus: SimulatedMyCirrus, fleet: list[Instrument], organisation: Organisation
) -> None:
    mycirrus.moods(**{"no-instrument": True})
    again(organisation, Resource.NOISE)
    assert sorted(asked(mycirrus)) == [1, 1, 1, 1, 4]
    whole(mycirrus, fleet)


def test_a_list_of_which_only_the_first_is_read_loses_nobody(
    mycirrus: SimulatedMyCirrus, fleet: list[Instrument], organisation: Organisation, settings: Any
) -> None:
    """The documentation writes lists in two ways. Read in the other, three of four would just look empty."""
    mycirrus.moods(lists="comma")
    again(organisation, Resource.NOISE)
    assert sorted(asked(mycirrus)) == [1, 1, 1, 4]
    whole(mycirrus, fleet)
    # After a while it is tried in the other spelling, which works.
    sharing._redis(settings.REDIS_URL).delete(
        sharing._alone_key(noise(fleet)[0].api_key.fingerprint, "noise")
    )
    hold_back(fleet, Resource.NOISE)
    mycirrus.forget_requests()
    again(organisation, Resource.NOISE)
    assert asked(mycirrus) == [4]
    whole(mycirrus, fleet)


def test_commas_that_are_not_understood_are_given_up(
    mycirrus: SimulatedMyCirrus, fleet: list[Instrument], organisation: Organisation, settings: Any
) -> None:
    mycirrus.moods(lists="repeat")
    sharing._redis(settings.REDIS_URL).hset(f"mycirrus:shared:{mycirrus.base_url}", "encoding", "comma")
    again(organisation, Resource.NOISE)
    assert sorted(asked(mycirrus)) == [1, 1, 1, 1, 4]
    whole(mycirrus, fleet)
    assert (
        sharing._redis(settings.REDIS_URL).hget(f"mycirrus:shared:{mycirrus.base_url}", "encoding")
        == "repeat"
    )


def test_each_keeps_its_own_transaction_and_outcome(
    mycirrus: SimulatedMyCirrus,
    fleet: list[Instrument],
    organisation: Organisation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = histories.ingest.noise_store
    broken = noise(fleet)[2]

    def failing(*, instrument: Instrument, **rest: Any) -> bool:
        stored = store(instrument=instrument, **rest)
        if instrument.pk == broken.instrument_id:
            raise ValueError("this one cannot be stored")
        return stored

    monkeypatch.setattr(histories.ingest, "noise_store", failing)
    again(organisation, Resource.NOISE)
    # A new minute may have been measured meanwhile.
    well = {Outcome.OK, Outcome.UNCHANGED}
    assert [target.outcome in well for target in noise(fleet)] == [True, True, False, True]
    assert noise(fleet)[2].outcome == Outcome.BUG
    assert noise(fleet)[2].watermark_at == broken.watermark_at
    monkeypatch.undo()
    whole(mycirrus, [unit for unit in fleet if unit.pk != broken.instrument_id])


@pytest.mark.parametrize("mood", [{"500": True}, {"429": 30}, {"expired-key": True}])
def test_what_fails_for_all_is_one_failure_and_holds_nobody(
    mycirrus: SimulatedMyCirrus, fleet: list[Instrument], organisation: Organisation, mood: dict[str, Any]
) -> None:
    mycirrus.moods(**mood)
    due = datetime.now(UTC)
    SyncTarget.objects.exclude(pk__in=[target.pk for target in noise(fleet)]).update(
        due_at=due + timedelta(1)
    )
    SyncTarget.objects.filter(pk__in=[target.pk for target in noise(fleet)]).update(due_at=due)
    (claim,) = due_claim(now=datetime.now(UTC), organisation_id=organisation.pk)
    target_run(claim=claim)
    assert not SyncTarget.objects.exclude(lease_until=None).exists()
    assert sum(target.failures for target in noise(fleet)) <= 1
    assert len(asked(mycirrus)) <= 4


def test_of_whom_nothing_was_understood_among_others_is_asked_alone() -> None:
    """Alone it is an error that is retried; here it would be noted as one of whom MyCirrus has nothing."""
    odd = {"began": "2026-01-01T00:00:00Z"}
    rows: dict[str, Rows[Any]] = {"silent": Rows(), "odd": Rows([], [odd]), "both": Rows([1], [odd])}
    memory: Any = SimpleNamespace(proven=True)
    answer = Answer(datetime.now(UTC), rows, memory)
    assert {serial: answer.sure_of(serial) for serial in rows} == {"silent": True, "odd": False, "both": True}
