"""A clock that is turned back: what a clock that ran ahead had put off waits no longer, in every organisation."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
import time_machine
from django.conf import settings

from instruments.models import ApiKey, Instrument
from instruments.tenancy import all_organisations
from monitoring.models import ActionKind, AlertDelivery, InstrumentAction, Outcome, SyncTarget
from monitoring.sync.beat import BEAT_KEY
from monitoring.sync.claims import due_claim, target_release, targets_ensure
from monitoring.sync.clock import SECOND_LOOK, clock_noted
from monitoring.sync.tasks import tick
from tests.conftest import People, make_instrument, make_key
from tests.monitoring.failing import NIGHT, arrive, check

HOUR = timedelta(hours=1)


@pytest.fixture
def ahead(people: People, instrument: Instrument) -> datetime:
    """An hour ahead of now: when all of this happened, going by the clock of then. Returns the real now."""
    now = datetime.now(UTC)
    wrong = now + HOUR
    key = make_key(people.organisation, paused_until=wrong)
    Instrument.objects.filter(pk=instrument.pk).update(api_key=key)
    instrument.refresh_from_db()
    targets_ensure(instruments=[instrument], now=wrong)
    ApiKey.objects.update(paused_until=None)
    first, *rest = due_claim(now=wrong + HOUR)
    target = SyncTarget.objects.get(pk=first.target_id)
    # One turn ended, the others are held by workers that died.
    assert target_release(target=target, outcome=Outcome.OK, due_at=wrong + HOUR, now=wrong)
    assert rest
    ApiKey.objects.update(paused_until=wrong)
    arrive(instrument, check(NIGHT))
    AlertDelivery.objects.update(due_at=wrong)
    InstrumentAction.objects.create(
        organisation=people.organisation,
        instrument=instrument,
        kind=ActionKind.IDENTIFY,
        token="0b1c2d3e-1111-2222-3333-444455556666",
        requested_at=wrong,
        due_at=wrong,
    )
    return now


def test_nothing_waits_for_an_hour_that_never_was(ahead: datetime) -> None:
    with all_organisations(reason="the test looks at everything"):
        live = SyncTarget.objects.filter(done_at=None)
        assert live.due(ahead).count() == 0
        assert clock_noted(before=ahead + HOUR, now=ahead)
        assert live.due(ahead).count() == live.count() > 10
        assert AlertDelivery.objects.due(ahead).count() == AlertDelivery.objects.count() == 2
        assert InstrumentAction.objects.due(ahead).count() == 1


def test_a_clock_that_goes_on_wakes_nobody(ahead: datetime) -> None:
    for before in (ahead - HOUR, ahead, ahead + timedelta(minutes=4)):
        assert not clock_noted(before=before, now=ahead)
    with all_organisations(reason="the test looks at everything"):
        assert SyncTarget.objects.due(ahead).count() == 0
        assert AlertDelivery.objects.due(ahead).count() == 0


def test_what_is_rightly_put_off_stays_put_off(people: People, instrument: Instrument) -> None:
    now = datetime.now(UTC)
    Instrument.objects.filter(pk=instrument.pk).update(api_key=make_key(people.organisation))
    instrument.refresh_from_db()
    targets_ensure(instruments=[instrument], now=now)
    SyncTarget.objects.update(due_at=now + HOUR, outcome_at=now - HOUR)
    clock_noted(before=now + HOUR, now=now)
    assert SyncTarget.objects.due(now).count() == 0


def test_the_tick_notices(ahead: datetime) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(BEAT_KEY, (datetime.now(UTC) + HOUR).isoformat())
        tick()
        assert datetime.fromisoformat(client.get(BEAT_KEY).decode()) < ahead + HOUR / 2
    with all_organisations(reason="the test looks at everything"):
        assert AlertDelivery.objects.due(datetime.now(UTC)).count() == 2


def test_what_was_written_in_the_moment_of_the_jump_is_found_by_a_second_look(ahead: datetime) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client, time_machine.travel(ahead, tick=False) as clock:
        client.set(BEAT_KEY, (ahead + HOUR).isoformat())
        tick()
        with all_organisations(reason="the test looks at everything"):
            # A mail whose sender took the time before the clock was turned back.
            AlertDelivery.objects.update(due_at=ahead + HOUR)
            clock.shift(SECOND_LOOK / 2)
            tick()
            assert AlertDelivery.objects.due(datetime.now(UTC)).count() == 0
            clock.shift(SECOND_LOOK)
            tick()
            assert AlertDelivery.objects.due(datetime.now(UTC)).count() == 2
            # Once: from here on it is put off for its own reasons.
            AlertDelivery.objects.update(due_at=ahead + HOUR)
            clock.shift(SECOND_LOOK)
            tick()
            assert AlertDelivery.objects.due(datetime.now(UTC)).count() == 0


def test_the_outsider_is_woken_too(people: People, ahead: datetime) -> None:
    theirs = make_instrument(
        people.other, "QT000009", api_key=make_key(people.other, "mycirrus-000009-AAAABBBB")
    )
    with all_organisations(reason="the test looks at everything"):
        SyncTarget.objects.create(
            organisation=people.other,
            api_key=theirs.api_key,
            instrument=theirs,
            resource="status",
            due_at=ahead + HOUR,
            outcome_at=ahead + HOUR,
        )
        clock_noted(before=ahead + HOUR, now=ahead)
        assert SyncTarget.objects.due(ahead).filter(instrument=theirs).count() == 1
