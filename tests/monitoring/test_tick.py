"""Beat's one message for all of monitoring."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.conf import settings

from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from monitoring.models import ActionKind, AlertDelivery, InstrumentAction, SyncTarget
from monitoring.sync.beat import BEAT_KEY
from monitoring.tasks import parts_ring, tick
from monitoring.timehistory.requests import history_request
from tests.conftest import People, make_instrument
from tests.monitoring.failing import NIGHT, arrive, asks, check
from tests.simulated import SimulatedMyCirrus


def test_each_part_is_rung_for(
    mycirrus: SimulatedMyCirrus, people: People, new_key: Callable[..., ApiKey]
) -> None:
    serial = mycirrus.serials()[0]
    now = datetime.now(UTC)
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation, serial, api_key=new_key(serial))
        wanted = history_request(
            instrument=unit,
            kind="noise",
            start=now - timedelta(hours=2),
            end=now - timedelta(hours=1),
            step_ms=1000,
            token=uuid.uuid4(),
            actor=people.mary,
            now=now,
        )
        asked = InstrumentAction.objects.create(
            instrument=unit, kind=ActionKind.IDENTIFY, token=uuid.uuid4(), requested_at=now, due_at=now
        )
    asks(people.organisation, people.mary)
    with organisation_scope(people.organisation.pk):
        arrive(unit, check(NIGHT))
        owed = AlertDelivery.objects.get()
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(BEAT_KEY)
        tick()
        assert client.get(BEAT_KEY)
    with organisation_scope(people.organisation.pk):
        for each in (wanted, asked, owed):
            each.refresh_from_db()
            assert each.lease_token
        assert SyncTarget.objects.exclude(lease_token=None).exists()


def test_a_part_that_fails_keeps_none_of_the_others_from_theirs() -> None:
    rung = []

    def broken() -> None:
        raise OSError("no disk")

    with pytest.raises(ExceptionGroup) as failure:
        parts_ring([lambda: rung.append("first"), broken, lambda: rung.append("last")])
    assert rung == ["first", "last"]
    assert [str(error) for error in failure.value.exceptions] == ["no disk"]
