"""A rule that is paused, removed or no longer about something leaves nothing open, and says why."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from instruments.models import Instrument
from monitoring.alerts.handling import incident_close_by_hand
from monitoring.alerts.rules import Draft, rule_pause, rule_remove, rule_resume, rule_save
from monitoring.alerts.withdrawing import incident_withdraw, incidents_withdraw
from monitoring.models import (
    AlertKind,
    AlertRule,
    AlertRuleVersion,
    AlertWatch,
    Incident,
    IncidentChange,
    IncidentSubject,
)
from tests.conftest import make_instrument
from tests.monitoring.alerts.story import HOUR, MINUTE, Story
from tests.monitoring.failing import arrive, check
from tests.waiting import meanwhile

WITHDRAWN = "Closed: its rule no longer judges."


def limited(story: Story, rule: AlertRule | None = None, **draft: Any) -> AlertRule:
    settings = {"metric": "LAeq", "over": "recorded", "red": 65.0}
    return rule_save(
        draft=Draft(AlertKind.LEVEL, "Site limit", settings, **draft), rule=rule, actor=None, now=story.now
    )


@pytest.mark.parametrize("stop", [rule_pause, rule_remove])
def test_it_ends_once_with_its_reason_and_tells_who_was_told(
    story: Story, instrument: Instrument, stop: Any
) -> None:
    story.asks(story.people.alice)
    rule = limited(story)
    story.levels(instrument, 70.0)
    assert story.heard() == [("alice", "Red. Opened.")]
    story.asks(story.people.bob)
    stop(rule=rule, now=story.now)
    story.tick()
    text = story.mailbox.mails[0][1].get_body(preferencelist=("plain",)).get_content()
    assert ("The rule was paused." if stop is rule_pause else "The rule was taken out of use.") in text
    assert "Acknowledge:" not in text
    assert story.heard() == [("alice", WITHDRAWN)]
    incident = Incident.objects.get()
    assert incident.closed_at == story.now
    assert not IncidentSubject.objects.filter(until_at=None).exists()
    # Whoever rings again, and levels that go on, change nothing.
    stop(rule=rule, now=story.now)
    incidents_withdraw(now=story.now)
    story.levels(instrument, 70.0, 50.0, 70.0)
    assert story.heard() == []
    assert IncidentChange.objects.count() == 2


def test_a_failed_check_ends_with_its_rule(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    arrive(instrument, check(story.now))
    story.tick()
    story.heard()
    rule_pause(rule=AlertRule.objects.get(kind=AlertKind.SIC_FAILED), now=story.now)
    story.tick()
    assert story.heard() == [("alice", WITHDRAWN)]


def test_what_a_worker_opened_in_that_moment_ends_with_the_next_tick(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    rule = limited(story)
    story.levels(instrument, 70.0)
    # As if the pause had been written while the level was judged: or by a version that left incidents open.
    AlertRule.objects.filter(pk=rule.pk).update(paused_at=story.now)
    assert incidents_withdraw(now=story.now) == 1
    assert incidents_withdraw(now=story.now) == 0
    story.tick()
    assert story.heard() == [("alice", WITHDRAWN), ("alice", "Red. Opened.")]


def test_nothing_of_a_pause_is_judged_and_it_goes_on_as_the_next_version(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    rule = limited(story)
    story.levels(instrument, 50.0)
    rule_pause(rule=rule, now=story.now)
    story.levels(instrument, 70.0)
    rule_resume(rule=rule, actor=None, now=story.now)
    story.levels(instrument, 50.0)
    assert story.heard() == []
    story.levels(instrument, 71.0)
    assert story.heard() == [("alice", "Red. Opened.")]
    version = Incident.objects.get().version
    assert version is not None
    assert (version.number, version.ended_at) == (2, None)
    assert AlertRuleVersion.objects.get(rule=rule, number=1).ended_at is not None


def test_offline_is_judged_again_after_a_pause(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    rule = AlertRule.objects.get(kind=AlertKind.OFFLINE)
    story.status(instrument, online=True)
    story.status(instrument, online=False)
    rule_pause(rule=rule, now=story.now)
    assert not AlertWatch.objects.filter(rule=rule).exists()
    for _ in range(20):
        story.status(instrument, online=False)
        story.passes(MINUTE)
    assert story.heard() == []
    rule_resume(rule=rule, actor=None, now=story.now)
    story.status(instrument, online=False)
    assert story.heard() == [("alice", "Amber. Opened.")]


def test_a_limit_that_is_no_longer_about_an_instrument_lets_go_of_it(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    make_instrument(story.owner, "QT000002", first_seen_at=story.now - timedelta(days=30))
    rule = limited(story)
    story.levels(instrument, 70.0)
    story.heard()
    limited(story, rule, serials=["QT000002"])
    story.levels(instrument, 70.0)
    text = story.mailbox.mails[0][1].get_body(preferencelist=("plain",)).get_content()
    assert "The rule is no longer about it." in text
    assert story.heard() == [("alice", "Closed.")]
    story.passes(HOUR)
    assert story.heard() == []


def by_hand(story: Story) -> None:
    incident_close_by_hand(incident=Incident.objects.get(), text="", actor=story.people.alice, now=story.now)


def by_its_rule(story: Story) -> None:
    incident_withdraw(incident_id=Incident.objects.get().pk, now=story.now)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("end", [by_hand, by_its_rule])
def test_who_ends_it_and_who_judges_it_do_not_wait_for_each_other(
    story: Story, instrument: Instrument, end: Callable[[Story], None]
) -> None:
    limited(story)
    story.levels(instrument, 70.0)
    with meanwhile(story.owner.pk, lambda: end(story)) as begin, transaction.atomic():
        # As a judge begins: what is watched first.
        AlertWatch.objects.select_for_update().get(incident__isnull=False)
        begin()
        story.levels(instrument, 50.0)
    assert Incident.objects.get().closed_at is not None
    assert not AlertWatch.objects.filter(incident__isnull=False).exists()
