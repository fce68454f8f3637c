"""The hourly housekeeping: a message for each organisation, none of which lasts or minds coming twice."""

import json
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis
from django.conf import settings
from django.db import connection

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import HistoryKind, HistoryState, Resource, Retention, TimeHistoryRequest
from monitoring.storage import retention, tasks
from monitoring.storage.tasks import housekeeping, organisation_housekeeping
from tests.conftest import People, make_instrument, make_organisation
from tests.monitoring.test_storage import ages, store

OLD = range(5000, 5006)


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL) as opened:
        opened.delete("sync")
        yield opened
        opened.delete("sync")


def rule(organisation: Organisation) -> None:
    store(organisation, 0, *OLD)
    with organisation_scope(organisation.pk):
        Retention.objects.create(resource=Resource.NOISE, days=4000)


def test_each_organisation_is_sent_its_own(people: People, broker: redis.Redis) -> None:
    housekeeping()
    sent = [json.loads(message)["headers"] for message in broker.lrange("sync", 0, -1)]
    assert {message["task"] for message in sent} == {organisation_housekeeping.name}
    owners = (people.organisation, people.other)
    assert sorted(message["argsrepr"] for message in sent) == [f"({owner.pk},)" for owner in owners]
    # Where nobody takes them, the next hour's say the same.
    assert all(message["expires"] for message in sent)


def test_one_takes_nothing_of_another_s(people: People) -> None:
    for organisation in (people.organisation, people.other):
        rule(organisation)
    organisation_housekeeping(people.organisation.pk)
    assert len(ages(people.organisation)) == 1
    assert len(ages(people.other)) == 7


def test_none_lasts(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the broker's visibility timeout it would be delivered again."""
    monkeypatch.setattr(retention, "CHUNK", 2)
    monkeypatch.setattr(tasks, "MOST", 2)
    monkeypatch.setattr(tasks, "LONGEST_SECONDS", 0.0)
    rule(people.organisation)
    organisation_housekeeping(people.organisation.pk)
    assert len(ages(people.organisation)) == 5
    # The next hour goes on; with time left all goes at once.
    monkeypatch.setattr(tasks, "LONGEST_SECONDS", 60.0)
    organisation_housekeeping(people.organisation.pk)
    assert len(ages(people.organisation)) == 1
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] > 2 * tasks.LONGEST_SECONDS


def test_time_histories_leave_the_rest_to_the_next_hour(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "LONGEST_SECONDS", 0.0)
    now = datetime.now(UTC)
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation)
        TimeHistoryRequest.objects.bulk_create(
            TimeHistoryRequest(
                organisation=people.organisation,
                instrument=unit,
                kind=HistoryKind.NOISE,
                state=HistoryState.DONE,
                start_at=now,
                end_at=now,
                step_ms=1000,
                token=uuid.uuid4(),
                requested_at=now,
                fetched_until=now,
                due_at=now,
                expires_at=now,
            )
            for _ in range(3)
        )
        for left in (2, 1, 0, 0):
            organisation_housekeeping(people.organisation.pk)
            assert TimeHistoryRequest.objects.count() == left


def test_an_organisation_that_is_gone_is_no_failure(people: People) -> None:
    organisation_housekeeping(10**6)


@pytest.mark.django_db(transaction=True)
def test_twice_at_once_is_as_good_as_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 1)
    owner = make_organisation("harbour")
    rule(owner)
    both, failures = threading.Barrier(2), list[BaseException]()

    def deliver() -> None:
        try:
            both.wait(30)
            organisation_housekeeping(owner.pk)
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(ages(owner)) == 1
