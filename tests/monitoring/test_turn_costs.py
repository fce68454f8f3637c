"""What a turn costs the database: with hundreds of turns a second each statement counts, and none comes unnoticed."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Lane, NoiseMeasurement, Resource, SyncTarget
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from tests.monitoring.conftest import NewKey, mirrored
from tests.simulated import SimulatedMyCirrus


@pytest.fixture(autouse=True)
def _scope(organisation: Organisation):  # type: ignore[no-untyped-def]
    with organisation_scope(organisation.pk):
        yield


def statements(resource: Resource, **target: object) -> list[str]:
    """What one turn of the one target of ``resource`` says to the database, its claim left out."""
    now = datetime.now(UTC)
    SyncTarget.objects.update(due_at=now + timedelta(days=1), hinted_at=None)
    SyncTarget.objects.filter(resource=resource, lane=Lane.LIVE).update(due_at=now, **target)
    (claim,) = due_claim(now=now)
    with CaptureQueriesContext(connection) as asked:
        turn = target_run(claim=claim)
    assert turn is not None
    assert not turn.message
    return [query["sql"] for query in asked]


def verbs(said: list[str]) -> list[str]:
    """SELECT, INSERT, UPDATE …, without what only frames a transaction; many rows in one call are one statement."""
    first = [text.split(" times: ")[-1].split()[0] for text in said]
    return [verb for verb in first if verb not in ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")]


@pytest.fixture
def key(mycirrus: SimulatedMyCirrus, new_key: NewKey) -> None:
    mirrored(new_key(mycirrus.serials()[0]))


@pytest.mark.usefixtures("key")
def test_a_status_without_news_costs_five_statements() -> None:
    statements(Resource.STATUS)
    said = statements(Resource.STATUS)
    # The target with all that belongs to it, its status, the rules about it and how they stand, and the outcome.
    assert verbs(said) == ["SELECT", "UPDATE", "SELECT", "SELECT", "UPDATE"], "\n".join(said)


@pytest.mark.usefixtures("key")
def test_two_hundred_minutes_of_levels_cost_no_more_statements_than_two() -> None:
    newest = NoiseMeasurement.objects.latest("start_at").start_at
    costs = {}
    for minutes in (2, 200):
        since = newest - timedelta(minutes=minutes)
        NoiseMeasurement.objects.filter(start_at__gte=since).delete()
        costs[minutes] = verbs(statements(Resource.NOISE, watermark_at=since, silent_until_at=None))
        assert NoiseMeasurement.objects.filter(start_at__gte=since).count() > minutes
    assert len(costs[200]) <= len(costs[2]) <= 20, costs
