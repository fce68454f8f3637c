"""A clock that is turned back: what a clock that ran ahead had put off waits no longer, in every organisation."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import redis
import time_machine
from django.conf import settings

from instruments.models import ApiKey, Instrument, Membership
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.digests.turns import digest_wish
from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.machine import Standing, Step, advance
from monitoring.alerts.nagging import incidents_nag
from monitoring.models import (
    ActionKind,
    AlertDelivery,
    AlertRule,
    AlertWatch,
    Digest,
    DigestWish,
    EscalationStep,
    HistoryKind,
    Incident,
    IncidentChange,
    InstrumentAction,
    Lane,
    Outcome,
    Resource,
    SyncTarget,
    TimeHistoryRequest,
)
from monitoring.sync.beat import BEAT_KEY
from monitoring.sync.claims import due_claim, target_release
from monitoring.sync.clock import SECOND_LOOK, clock_noted
from monitoring.sync.histories import HISTORIES
from monitoring.sync.targets import targets_ensure
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


def test_nothing_is_asked_for_from_a_time_that_is_yet_to_come_on(ahead: datetime) -> None:
    """A year ahead checks would not be asked for in all of that year: they are read up to now, whatever there is."""
    with all_organisations(reason="the test looks at everything"):
        targets = SyncTarget.objects.filter(resource=Resource.SIC)
        history = set(targets.filter(lane=Lane.BACKFILL).values_list("watermark_at", flat=True))
        targets.filter(lane=Lane.LIVE).update(watermark_at=ahead + timedelta(days=365))
        assert clock_noted(before=ahead + timedelta(days=365), now=ahead)
        live = targets.select_related("instrument").get(lane=Lane.LIVE)
        assert HISTORIES[Resource.SIC].since(live, ahead) < ahead - timedelta(days=300)
        assert set(targets.filter(lane=Lane.BACKFILL).values_list("watermark_at", flat=True)) == history


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


def test_a_recovery_is_told_though_the_failure_was_judged_by_the_clock_ahead(
    people: People, ahead: datetime
) -> None:
    wrong = ahead + HOUR
    with organisation_scope(people.organisation.pk):
        rule = AlertRule.objects.order_by("pk")[0]
        opened, _ = advance(Standing(), Verdict(State.RED, wrong))
        watch = AlertWatch.objects.create(rule=rule, subject="o", standing=opened.to_json())
        quiet = AlertWatch.objects.create(
            rule=rule, subject="p", standing=Standing(at=ahead - HOUR, begun=(ahead - HOUR,)).to_json()
        )
    assert clock_noted(before=wrong, now=ahead)
    with organisation_scope(people.organisation.pk):
        watch.refresh_from_db()
        told = Standing.from_json(watch.standing)
        assert (told.since, told.at, told.begun) == (ahead, ahead, (ahead,))
        _, steps = advance(told, Verdict(State.CLEAR, ahead + timedelta(minutes=5)))
        assert steps == (Step.CLOSED,)
        before = quiet.standing
        quiet.refresh_from_db()
        assert quiet.standing == before


def test_reminders_watches_digests_and_time_histories_wait_no_longer(people: People, ahead: datetime) -> None:
    wrong = ahead + HOUR
    with organisation_scope(people.organisation.pk):
        instrument = Instrument.objects.get()
        membership = Membership.objects.get(user=people.bob)
        incident = Incident.objects.get()
        Incident.objects.update(nag_at=wrong + HOUR)
        IncidentChange.objects.update(created_at=wrong)
        EscalationStep.objects.create(membership=membership, after_minutes=10)
    with organisation_scope(people.other.pk):
        theirs = Membership.objects.get(user=people.charlie)
        EscalationStep.objects.create(membership=theirs, after_minutes=5)
    with organisation_scope(people.organisation.pk):
        rule = AlertRule.objects.order_by("pk")[0]
        AlertWatch.objects.create(rule=rule, subject="o", due_at=wrong)
        wish = digest_wish(
            membership=membership,
            rhythm="daily",
            hour=7,
            timezone="UTC",
            organisation=people.organisation,
            now=ahead + timedelta(days=40),
        )
        Digest.objects.create(
            recipient=people.bob, rhythm="daily", on=wrong.date(), asked_at=wrong, due_at=wrong
        )
        TimeHistoryRequest.objects.create(
            instrument=instrument,
            kind=HistoryKind.NOISE,
            start_at=ahead - HOUR,
            end_at=ahead,
            step_ms=1_000,
            token=uuid.uuid4(),
            requested_at=wrong,
            fetched_until=ahead - HOUR,
            due_at=wrong,
            lease_until=wrong,
            lease_token=uuid.uuid4(),
        )

        assert clock_noted(before=wrong, now=ahead)

        incident.refresh_from_db()
        # Ten minutes from when it was noted, at the latest now.
        assert incident.nag_at == ahead + timedelta(minutes=10)
        assert not incident_is_reminded(incident, ahead + timedelta(minutes=9))
        assert incident_is_reminded(incident, ahead + timedelta(minutes=10))
        assert set(AlertWatch.objects.values_list("due_at", flat=True)) == {ahead}
        wish.refresh_from_db()
        assert ahead < wish.next_at <= ahead + timedelta(days=1)
        assert Digest.objects.due(ahead).count() == 1
        assert TimeHistoryRequest.objects.free(ahead).count() == 1


def incident_is_reminded(incident: Incident, at: datetime) -> bool:
    before = incident.escalated
    incidents_nag(now=at)
    incident.refresh_from_db()
    return incident.escalated > before


def test_maintenance_and_a_digest_that_is_rightly_planned_stay(
    people: People, instrument: Instrument
) -> None:
    now = datetime.now(UTC)
    arrive(instrument, check(NIGHT))
    with organisation_scope(people.organisation.pk):
        Incident.objects.update(maintenance=True, nag_at=now + HOUR)
        wish = digest_wish(
            membership=Membership.objects.get(user=people.bob),
            rhythm="weekly",
            hour=7,
            timezone="Europe/London",
            organisation=people.organisation,
            now=now,
        )
        clock_noted(before=now + HOUR, now=now)
        assert Incident.objects.get().nag_at == now + HOUR
        assert DigestWish.objects.get().next_at == wish.next_at


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
