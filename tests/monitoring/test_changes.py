"""What changes under the sync: secrets, owners of a serial, the measurement period, rows that come twice or overlap."""

import dataclasses
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Sum

from instruments.keys import api_key_revoke
from instruments.models import ApiKey, Instrument, Organisation
from instruments.mycirrus import NoiseMeasurement as Row
from instruments.tenancy import organisation_scope
from monitoring.models import Gap, Lane, NoiseMeasurement, NoiseRollup, Outcome, Resource, SyncTarget
from monitoring.sync.histories import HISTORIES
from monitoring.sync.resources import FETCH, Step
from tests.conftest import People
from tests.monitoring.conftest import NewKey, again, followed, mirrored
from tests.monitoring.truth import noise_stored, noise_told
from tests.simulated import SimulatedMyCirrus

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _scope(organisation: Organisation) -> Iterator[None]:
    with organisation_scope(organisation.pk):
        yield


@pytest.fixture
def unit(mycirrus: SimulatedMyCirrus, new_key: NewKey) -> Instrument:
    """A monitor that is mirrored up to now."""
    (unit,) = mirrored(new_key(mycirrus.serials()[0]))
    return unit


def rotated(mycirrus: SimulatedMyCirrus, key: ApiKey, serial: str) -> str:
    """A new secret in the place of the old one, which MyCirrus goes on taking. Returns the old one."""
    old, new = key.secret_reveal(), f"mycirrus-000009-{secrets.token_hex(8).upper()}"
    mycirrus.add_key(new, None, [serial])
    fresh = ApiKey.objects.get(pk=key.pk)
    fresh.secret_set(new)
    fresh.save()
    return old


def test_while_old_and_new_secret_are_valid_nothing_is_missed_or_twice(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = FETCH[Resource.NOISE]
    since = datetime.now(UTC) - 20 * MINUTE
    SyncTarget.objects.filter(resource=Resource.NOISE, lane=Lane.LIVE).update(
        watermark_at=since, silent_until_at=None
    )
    NoiseMeasurement.objects.filter(instrument=unit, start_at__gte=since).delete()

    def rotating(client: Any, target: SyncTarget, *rest: Any) -> Iterator[Step]:
        rotated(mycirrus, target.api_key, unit.serial)
        yield from fetch(client, target, *rest)

    monkeypatch.setitem(FETCH, Resource.NOISE, rotating)
    mycirrus.forget_requests()
    # The turn that is under way ends with the old one, the next begins with the new.
    assert [turn.outcome for turn in again(organisation, Resource.NOISE)] == [Outcome.OK]
    monkeypatch.undo()
    again(organisation, Resource.NOISE, Resource.STATUS)
    assert len({row["key"] for row in mycirrus.requests()["recent"]}) == 2
    rows = noise_stored(unit)
    reached = followed().get(resource=Resource.NOISE).watermark_at
    assert rows == noise_told(mycirrus, unit.serial, rows[0]["start_at"], reached)


def test_what_is_said_of_the_old_secret_is_not_held_against_the_new(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = FETCH[Resource.SIC]

    def replaced(client: Any, target: SyncTarget, *rest: Any) -> Iterator[Step]:
        mycirrus.revoke_key(rotated(mycirrus, target.api_key, unit.serial))
        monkeypatch.setitem(FETCH, Resource.SIC, fetch)
        yield from fetch(client, target, *rest)

    monkeypatch.setitem(FETCH, Resource.SIC, replaced)
    # Refused with the old one, and due again at once: with the new one it goes well.
    outcomes = [turn.outcome for turn in again(organisation, Resource.SIC)]
    assert outcomes == [Outcome.TRANSIENT, Outcome.UNCHANGED]
    assert ApiKey.objects.get().state == ApiKey.State.GOOD
    assert not SyncTarget.objects.parked().exists()


def test_a_revoked_key_ends_its_turns_and_keeps_what_it_brought(
    mycirrus: SimulatedMyCirrus, unit: Instrument, organisation: Organisation, people: People
) -> None:
    had = noise_stored(unit)
    api_key_revoke(api_key=ApiKey.objects.get(), actor=people.alice, now=datetime.now(UTC))
    mycirrus.forget_requests()
    assert again(organisation) == []
    assert mycirrus.requests()["total"] == 0
    assert noise_stored(unit) == had


def test_one_serial_in_two_organisations_is_two_instruments(
    mycirrus: SimulatedMyCirrus, unit: Instrument, new_key: NewKey, people: People, organisation: Organisation
) -> None:
    theirs = new_key(unit.serial, owner=people.other)
    with organisation_scope(people.other.pk):
        (other,) = mirrored(theirs)
        rows = noise_stored(other)
        reached = followed().get(resource=Resource.NOISE).watermark_at
        assert rows == noise_told(mycirrus, unit.serial, rows[0]["start_at"], reached)
    assert other.pk != unit.pk
    # What is refused or lost in one changes nothing in the other.
    mycirrus.revoke_key(theirs.secret_reveal())
    again(people.other, Resource.STATUS)
    again(people.other, Resource.INSTRUMENTS)
    assert not SyncTarget.objects.parked().exists()
    assert {turn.outcome for turn in again(organisation)} <= {Outcome.OK, Outcome.UNCHANGED}
    with organisation_scope(people.other.pk):
        assert SyncTarget.objects.parked().exists()
        assert noise_stored(other) == rows


def told(monkeypatch: pytest.MonkeyPatch, rows: list[tuple[datetime, int, float]]) -> None:
    """Have MyCirrus answer with these levels: start, seconds, LAeq in dB."""

    def fetch(client: object, serials: Any, start: datetime, end: datetime) -> list[Row]:
        return [
            Row(serials[0], at, None, seconds, {"LAeq": level}, {}, {})
            for at, seconds, level in rows
            if start <= at < end
        ]

    changed = dataclasses.replace(HISTORIES[Resource.NOISE], fetch=fetch)
    monkeypatch.setitem(HISTORIES, Resource.NOISE, changed)


@pytest.fixture
def began(unit: Instrument) -> datetime:
    """Two hours ago on the hour: nothing is stored since, and all of it is still to be asked for."""
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    NoiseMeasurement.objects.all().delete()
    NoiseRollup.objects.all().delete()
    Gap.objects.all().delete()
    SyncTarget.objects.filter(resource=Resource.NOISE, lane=Lane.LIVE).update(
        watermark_at=at, silent_until_at=None
    )
    return at


def test_a_changed_measurement_period_leaves_no_gap_and_weighs_each_row_by_its_length(
    unit: Instrument, organisation: Organisation, began: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = [(began + number * MINUTE, 60, 60.0) for number in range(30)]
    fives = [(began + (30 + 5 * number) * MINUTE, 300, 70.0) for number in range(6)]
    told(monkeypatch, minutes + fives)
    again(organisation, Resource.NOISE)
    target = followed().get(resource=Resource.NOISE)
    assert target.watermark_at == began + timedelta(hours=1)
    assert NoiseMeasurement.objects.count() == 36
    assert not Gap.objects.filter(resource=Resource.NOISE, start_at__lt=began + timedelta(hours=1)).exists()
    hour = NoiseRollup.objects.get(bucket_s=3600, start_at=began)
    assert hour.valid_s == 3600
    # Half an hour at 60 dB and half an hour at 70: by their lengths, not by their number (R1).
    assert hour.energy / hour.valid_s == pytest.approx((10**6 + 10**7) / 2)


def test_rows_that_come_twice_or_overlap_are_kept_once_by_their_start(
    unit: Instrument, organisation: Organisation, began: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [(began, 60, 50.0), (began, 60, 50.0), (began + MINUTE, 60, 51.0), (began, 60, 55.0)]
    overlapping = [(began + MINUTE / 2, 60, 52.0), (began + 2 * MINUTE, 60, 53.0)]
    told(monkeypatch, first + overlapping)
    again(organisation, Resource.NOISE)
    # Of one start the last counts; one that begins within another is a measurement of its own, as it was told.
    stored = list(NoiseMeasurement.objects.order_by("start_at").values_list("start_at", "LAeq"))
    assert stored == [
        (began, 55.0),
        (began + MINUTE / 2, 52.0),
        (began + MINUTE, 51.0),
        (began + 2 * MINUTE, 53.0),
    ]
    target = followed().get(resource=Resource.NOISE)
    assert target.watermark_at == began + 3 * MINUTE
    assert not Gap.objects.filter(resource=Resource.NOISE, end_at__lte=target.watermark_at).exists()
    # Told once more, nothing is added.
    SyncTarget.objects.filter(pk=target.pk).update(watermark_at=began, silent_until_at=None)
    again(organisation, Resource.NOISE)
    assert NoiseMeasurement.objects.count() == 4
    assert NoiseRollup.objects.filter(bucket_s=900).aggregate(rows=Sum("count"))["rows"] == 4
