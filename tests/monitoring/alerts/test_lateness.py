"""Our own lateness: told by what the beat and the oldest message say, to each organisation by its own limits."""

from datetime import timedelta

import pytest

from instruments.models import ApiKey, Instrument
from instruments.tenancy import organisation_scope
from monitoring.alerts.connections import connections_judge, keys_judge, late_judge, waits
from monitoring.alerts.judges.connection import late
from monitoring.alerts.rules import Draft, rule_save
from monitoring.models import (
    AlertDelivery,
    AlertKind,
    AlertRule,
    Incident,
    IncidentChange,
    Resource,
    Severity,
    SyncTarget,
)
from tests.conftest import People, make_key
from tests.monitoring.alerts.story import MINUTE, Story
from tests.monitoring.failing import arrive, check


def told(story: Story, beat_s: float | None, queue_s: float | None) -> list[tuple[str, int]]:
    facts = late(beat_s, queue_s, story.now, amber=2 * MINUTE, red=None)
    late_judge(now=story.now, facts=facts)
    return list(IncidentChange.objects.order_by("pk").values_list("step", "severity"))


def test_it_grows_and_ends_by_the_organisations_own_limits(story: Story) -> None:
    story.asks(story.people.alice)
    assert told(story, 0.0, 119.0) == []
    story.clock.shift(MINUTE)
    assert told(story, 121.0, 0.0) == [("opened", Severity.AMBER)]
    # Nothing is known: it stays open.
    story.clock.shift(MINUTE)
    assert told(story, None, None)[1:] == [("dark", 0)]
    story.clock.shift(MINUTE)
    assert told(story, 5.0, 601.0)[2:] == [("light", 2), ("raised", Severity.RED)]
    story.clock.shift(MINUTE)
    assert told(story, 0.0, 0.0)[4:] == [("closed", 0)]
    assert Incident.objects.get().kind == AlertKind.LATE
    assert AlertDelivery.objects.count() == 3


def test_the_longer_of_both_counts_and_another_limit_holds_for_whom_it_is_set(
    story: Story, people: People
) -> None:
    with organisation_scope(people.other.pk):
        rule = AlertRule.objects.get(kind=AlertKind.LATE)
        rule_save(
            draft=Draft(AlertKind.LATE, rule.name, {"amber": 30.0}), rule=rule, actor=None, now=story.now
        )
        assert told(story, 300.0, 20.0) == []
    assert told(story, 20.0, 300.0) == [("opened", Severity.AMBER)]


def test_a_message_that_nobody_takes_is_noticed_by_the_slow_tick(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    connections_judge(now=story.now)
    arrive(instrument, check(story.now))
    story.clock.shift(timedelta(seconds=30))
    connections_judge(now=story.now)
    assert not Incident.objects.filter(kind=AlertKind.LATE).exists()
    for _ in range(5):
        story.clock.shift(timedelta(seconds=30))
        connections_judge(now=story.now)
    incident = Incident.objects.get(kind=AlertKind.LATE)
    assert incident.severity == Severity.AMBER
    facts = IncidentChange.objects.get(incident=incident).facts
    assert facts["beat_s"] == 0.0
    assert facts["queue_s"] == pytest.approx(150.0, abs=31)
    story.tick()
    connections_judge(now=story.now)
    incident.refresh_from_db()
    assert incident.closed_at is not None


def test_a_beat_that_rang_late_says_by_how_much(story: Story) -> None:
    waits(story.now)
    story.clock.shift(5 * MINUTE)
    beat_s, queue_s = waits(story.now)
    assert beat_s == pytest.approx(270.0)
    assert queue_s == 0.0


def test_an_address_that_nobody_uses_any_more_is_not_missed(story: Story) -> None:
    key = make_key(story.owner)
    ApiKey.objects.update(state=ApiKey.State.UNREACHABLE)
    SyncTarget.objects.create(
        organisation=story.owner,
        api_key=key,
        resource=Resource.INSTRUMENTS,
        due_at=story.now,
        ok_at=story.now - timedelta(hours=3),
    )
    keys_judge(now=story.now)
    assert Incident.objects.get(kind=AlertKind.UNREACHABLE).closed_at is None
    story.clock.shift(MINUTE)
    ApiKey.objects.update(revoked_at=story.now)
    keys_judge(now=story.now)
    assert Incident.objects.get(kind=AlertKind.UNREACHABLE).closed_at == story.now
