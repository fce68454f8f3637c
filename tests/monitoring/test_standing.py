"""What the database keeps of a fleet: standings equal to the rule after any history of writes, and a count of news."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.fleet import fleet, fleet_version, state_counts
from monitoring.models import FleetVersion, InstrumentStatus, Lane, Outcome, Resource, SyncTarget
from monitoring.status import State
from monitoring.tiles import tile_of
from tests.conftest import People, make_instrument, make_key

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FACTS = ("online", "measuring", "calibration_in_progress", "sic_in_progress", "sic_passed")


@pytest.mark.parametrize("seed", range(5))
def test_standings_are_the_rule_s_after_any_history(organisation: Organisation, seed: int) -> None:
    chance = random.Random(seed)
    with organisation_scope(organisation.pk):
        made = [make_instrument(organisation, f"QT{number:06}") for number in range(6)]
        for _ in range(60):
            instrument = chance.choice(made)
            _write(chance, instrument)
            _agrees()


def _write(chance: random.Random, instrument: Instrument) -> None:
    """One write of the kinds that there are, by whichever way."""
    match chance.randrange(4):
        case 0:
            gone_at = chance.choice((None, NOW))
            Instrument.objects.filter(pk=instrument.pk).update(gone_at=gone_at)
        case 1:
            heard_at = chance.choice((None, NOW - timedelta(seconds=30), NOW - timedelta(hours=1)))
            InstrumentStatus.objects.filter(instrument=instrument).update(observed_at=heard_at)
        case 2:
            told: dict[str, Any] = {
                name: chance.choice((None, True, False)) for name in chance.sample(FACTS, 2)
            }
            told["empty_since_at"] = chance.choice((None, NOW))
            present, _ = InstrumentStatus.objects.get_or_create(
                instrument=instrument,
                defaults={
                    "organisation_id": instrument.organisation_id,
                    "changed_at": NOW,
                    "observed_at": NOW,
                    **told,
                },
            )
            for name, value in told.items():
                setattr(present, name, value)
            present.save(update_fields=list(told))
        case 3:
            rows = list(InstrumentStatus.objects.all())
            for row in rows:
                row.online = chance.choice((None, True, False))
            InstrumentStatus.objects.bulk_update(rows, ["online"])


def _agrees() -> None:
    rows = list(Instrument.objects.select_related("status"))
    states = {row.pk: tile_of(row, NOW).state for row in rows}
    ranked = {row.pk: row.rank for row in fleet(now=NOW)}
    assert ranked == {pk: state.severity for pk, state in states.items() if state != State.GONE}
    counted = {state: list(states.values()).count(state) for state in states.values()}
    assert state_counts(now=NOW) == counted
    # Without silence the index says the same in the same order.
    silent = [pk for pk, state in states.items() if state == State.STALE]
    plain = [row.pk for row in fleet(now=NOW, silence=False)]
    if not silent:
        assert plain == list(ranked)
        assert state_counts(now=NOW, silence=False) == counted
    assert fleet_version(now=NOW).silence == any(
        row.status.observed_at and row.status.observed_at < NOW - timedelta(minutes=3)
        for row in rows
        if hasattr(row, "status")
    )


def _targets(organisation: Organisation) -> list[SyncTarget]:
    key, instrument = make_key(organisation), make_instrument(organisation)
    return [
        SyncTarget.objects.create(
            organisation=organisation,
            api_key=key,
            instrument=instrument,
            resource=resource,
            lane=Lane.LIVE,
            due_at=NOW,
        )
        for resource in (Resource.STATUS, Resource.NOISE)
    ]


def _counted() -> str:
    return fleet_version(now=NOW).text


NEWS: dict[str, Any] = {
    "a change": lambda: InstrumentStatus.objects.update(changed_at=NOW + timedelta(seconds=1)),
    "a name": lambda: Instrument.objects.update(name="Quay"),
    "a position": lambda: Instrument.objects.update(latitude=1.0),
    "one that is gone": lambda: Instrument.objects.update(gone_at=NOW),
    "a key's state": lambda: ApiKey.objects.update(state=ApiKey.State.REFUSED),
    "a key's scopes": lambda: ApiKey.objects.update(scopes={"data.noise:read": False}),
    "a pause": lambda: ApiKey.objects.update(paused_until=NOW + timedelta(minutes=1)),
    "a first status": lambda: SyncTarget.objects.update(outcome=Outcome.OK),
    "a parked first status": lambda: SyncTarget.objects.update(parked_at=NOW),
    "one less": lambda: Instrument.objects.first().delete(),
}
NO_NEWS: dict[str, Any] = {
    "a poll": lambda: InstrumentStatus.objects.update(observed_at=NOW, document={"a": 1}),
    "a list": lambda: Instrument.objects.update(seen_at=NOW, detailed_at=NOW),
    "the same name": lambda: Instrument.objects.update(name="Monitor QT000001"),
    "another resource": lambda: SyncTarget.objects.filter(resource=Resource.NOISE).update(outcome=Outcome.OK),
    "a lease": lambda: SyncTarget.objects.update(due_at=NOW, lease_until=NOW),
}


@pytest.mark.parametrize("name", [*NEWS, *NO_NEWS])
def test_the_count_moves_with_what_the_page_shows_and_only_then(people: People, name: str) -> None:
    for organisation in (people.other, people.organisation):
        with organisation_scope(organisation.pk):
            (status, _) = _targets(organisation)
            InstrumentStatus.objects.create(
                organisation=organisation, instrument=status.instrument, changed_at=NOW, observed_at=NOW
            )
    with organisation_scope(people.other.pk):
        others = _counted()
    with organisation_scope(people.organisation.pk):
        before = _counted()
        {**NEWS, **NO_NEWS}[name]()
        assert (_counted() != before) == (name in NEWS)
    with organisation_scope(people.other.pk):
        assert _counted() == others


def test_an_organisation_can_be_removed_with_its_fleet(people: People) -> None:
    with organisation_scope(people.other.pk):
        _targets(people.other)
        assert FleetVersion.objects.exists()
        people.other.delete()
    assert not Organisation.objects.filter(pk=people.other.pk).exists()


def test_a_large_account_is_counted_once_for_a_transaction(people: People) -> None:
    """On PostgreSQL a row that is written again and again in one transaction gets slower each time."""
    if connection.vendor != "postgresql":
        pytest.skip("a matter of PostgreSQL only")
    with organisation_scope(people.organisation.pk):
        before = fleet_version(now=NOW).text
        rows = [
            Instrument(organisation=people.organisation, serial=f"QT{number}", first_seen_at=NOW, seen_at=NOW)
            for number in range(500)
        ]
        Instrument.objects.bulk_create(rows)
        (row,) = FleetVersion.objects.filter(topic=FleetVersion.Topic.FLEET)
        first = row.number
        assert fleet_version(now=NOW).text != before
        Instrument.objects.update(name="Quay")
        row.refresh_from_db()
        assert row.number == first + 1
