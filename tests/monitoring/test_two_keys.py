"""An instrument that two keys reach is read with the one that lacks less of what it needs, and stays there."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from instruments.credentials import decrypt
from instruments.keys import api_key_rotate
from instruments.mirror import instruments_mirror
from instruments.models import ApiKey, Instrument, Organisation
from instruments.mycirrus import parsing
from instruments.mycirrus.scopes import SCOPES
from instruments.tenancy import organisation_scope
from monitoring.models import Outcome, Resource, SyncTarget
from tests.conftest import People
from tests.monitoring.conftest import NewKey, again, mirrored
from tests.simulated import SimulatedMyCirrus
from tests.waiting import meanwhile


@pytest.fixture(autouse=True)
def _scope(organisation: Organisation) -> Iterator[None]:
    with organisation_scope(organisation.pk):
        yield


POOR = ("instruments:read", "data.noise:read")


def found(*scopes: str) -> dict[str, bool | None]:
    """What a verification finds of a key that has these."""
    told = ("instruments:read", "webhooks:read", *(scope for scope in SCOPES if scope.startswith("data.")))
    return {scope: scope in scopes if scope in told else None for scope in SCOPES}


@pytest.fixture
def serial(mycirrus: SimulatedMyCirrus) -> str:
    return mycirrus.serials()[0]


def keeper(serial: str) -> int | None:
    """The key of the instrument, which is that of all its targets."""
    unit = Instrument.objects.get(serial=serial)
    assert set(SyncTarget.objects.filter(instrument=unit).values_list("api_key_id", flat=True)) == {
        unit.api_key_id
    }
    return unit.api_key_id


def lists(organisation: Organisation, *keys: ApiKey) -> None:
    """Each key's list again, one after another."""
    for key in keys:
        again(organisation, Resource.INSTRUMENTS, api_key=key)


@pytest.mark.parametrize("poor_first", [True, False])
def test_the_key_that_has_more_reads_whichever_came_first(
    new_key: NewKey, organisation: Organisation, serial: str, poor_first: bool
) -> None:
    def poor() -> ApiKey:
        return new_key(serial, scopes=list(POOR), found=found(*POOR))

    def rich() -> ApiKey:
        return new_key(serial, found=found(*SCOPES))

    made = []
    for make in (poor, rich) if poor_first else (rich, poor):
        made.append(make())
        mirrored(made[-1])
    better, worse = (made[1], made[0]) if poor_first else (made[0], made[1])
    assert keeper(serial) == better.pk
    for keys in (made, made[::-1]):
        for key in keys:
            lists(organisation, key)
            assert keeper(serial) == better.pk
    # What was parked for want of a scope is read now.
    assert not SyncTarget.objects.parked().filter(instrument__isnull=False).exists()
    assert {turn.outcome for turn in again(organisation)} <= {Outcome.OK, Outcome.UNCHANGED}
    assert SyncTarget.objects.get(api_key=worse).resource == Resource.INSTRUMENTS


def test_equal_keys_leave_it_where_it_is(new_key: NewKey, organisation: Organisation, serial: str) -> None:
    first, second = (new_key(serial, found=found(*SCOPES)) for _ in range(2))
    mirrored(first)
    mirrored(second)
    lists(organisation, second, first)
    assert keeper(serial) == first.pk


def test_what_each_has_that_the_other_lacks_moves_nothing(
    new_key: NewKey, organisation: Organisation, serial: str
) -> None:
    noise, events = (
        new_key(serial, scopes=["instruments:read", scope], found=found("instruments:read", scope))
        for scope in ("data.noise:read", "data.events:read")
    )
    mirrored(noise)
    mirrored(events)
    for key in (events, noise, events):
        lists(organisation, key)
        assert keeper(serial) == noise.pk


def test_what_its_type_does_not_need_moves_nothing(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    dust = mycirrus.serials("AirQuality")[0]
    enough = ("instruments:read", "data.enviro:read", "data.system:read")
    first = new_key(dust, scopes=list(enough), found=found(*enough))
    second = new_key(dust, found=found(*SCOPES))
    mirrored(first)
    mirrored(second)
    assert keeper(dust) == first.pk


def test_a_key_that_was_not_verified_takes_nothing_yet(
    new_key: NewKey, organisation: Organisation, serial: str
) -> None:
    poor = new_key(serial, scopes=list(POOR), found=found(*POOR))
    mirrored(poor)
    rich = new_key(serial)
    mirrored(rich)
    assert keeper(serial) == poor.pk
    ApiKey.objects.filter(pk=rich.pk).update(scopes=found(*SCOPES))
    lists(organisation, rich, poor)
    assert keeper(serial) == rich.pk
    # It lost a scope at MyCirrus, which the next verification finds.
    ApiKey.objects.filter(pk=rich.pk).update(scopes=found("instruments:read"))
    lists(organisation, rich, poor)
    assert keeper(serial) == poor.pk


def test_a_rotation_leaves_it_and_a_revocation_hands_it_over(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, people: People, organisation: Organisation, serial: str
) -> None:
    poor = new_key(serial, scopes=list(POOR), found=found(*POOR))
    rich = new_key(serial, found=found(*SCOPES))
    mirrored(poor)
    mirrored(rich)
    # The old secret and the new one are both good at MyCirrus for a while.
    other = "mycirrus-000002-0123456789ABCDEF"
    mycirrus.add_key(other, None, [serial])
    api_key_rotate(api_key=rich, secret=other, actor=people.alice, now=datetime.now(UTC))
    lists(organisation, poor, rich)
    assert keeper(serial) == rich.pk
    ApiKey.objects.filter(pk=rich.pk).update(revoked_at=datetime.now(UTC))
    lists(organisation, poor)
    assert keeper(serial) == poor.pk


def test_what_another_key_takes_while_a_list_is_stored_is_not_gone(
    new_key: NewKey, organisation: Organisation, serial: str
) -> None:
    first, second = (new_key(serial, found=found(*SCOPES)) for _ in range(2))
    mirrored(first)
    unit = Instrument.objects.get(serial=serial)

    def taken(execute: Any, sql: str, *more: Any) -> Any:
        """Once the first key's list has seen whose it was, that of the second takes it."""
        told = execute(sql, *more)
        if sql.startswith("SELECT") and Instrument._meta.db_table in sql and not takes:
            takes.append(sql)
            Instrument.objects.filter(pk=unit.pk).update(api_key=second)
        return told

    takes: list[str] = []
    with connection.execute_wrapper(taken):
        told = instruments_mirror(api_key=first, rows=[], needs=lambda _: (), now=datetime.now(UTC))
    unit.refresh_from_db()
    assert (unit.api_key_id, unit.gone_at, told.gone) == (second.pk, None, [])


@pytest.mark.django_db(transaction=True)
def test_what_one_key_no_longer_reaches_is_looked_for_with_the_others(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation, serial: str
) -> None:
    stays, others = mycirrus.serials()[1:3]
    old, new = new_key(serial, stays, found=found(*SCOPES)), new_key(others, found=found(*SCOPES))
    mirrored(old)
    mirrored(new)
    # It moved from the one account to the other.
    for api_key, serials in ((old, [stays]), (new, [others, serial])):
        mycirrus.add_key(decrypt(api_key.ciphertext), None, serials)
    lists(organisation, old)
    assert Instrument.objects.get(serial=serial).gone_at is None
    assert keeper(serial) == new.pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_what_two_lists_name_at_once_is_made_once(new_key: NewKey, organisation: Organisation) -> None:
    keys = [new_key(found=found(*SCOPES)) for _ in range(2)]
    made = []

    def stored(key: ApiKey) -> None:
        rows = parsing.rows([{"serialNumber": "NEW1"}], parsing.instrument)
        told = instruments_mirror(api_key=key, rows=rows, needs=lambda _: (), now=datetime.now(UTC))
        made.append(len(told.created))

    with meanwhile(organisation.pk, lambda: stored(keys[1])) as begin, transaction.atomic():
        stored(keys[0])
        begin()
    assert made == [1, 0]
    assert Instrument.objects.get().api_key_id == keys[0].pk
