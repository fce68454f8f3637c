"""Stories: this happens, these people hear this, once; over a real SMTP server, with a clock that is moved."""

from datetime import time, timedelta
from typing import Any

import pytest

from instruments.models import ApiKey, Deployment, Instrument, Membership, Site, User
from instruments.tenancy import organisation_scope
from monitoring.alerts.connections import keys_judge
from monitoring.alerts.handling import incident_acknowledge
from monitoring.alerts.rules import Draft, rule_save
from monitoring.models import (
    AlertDelivery,
    AlertHours,
    AlertKind,
    AlertPreference,
    AlertRuleVersion,
    AlertWatch,
    EscalationStep,
    Incident,
    IncidentChange,
    InstrumentAction,
    Maintenance,
    Severity,
)
from tests.conftest import People, make_instrument, make_key
from tests.monitoring.alerts.story import HOUR, MINUTE, START, Story
from tests.monitoring.failing import arrive, check


def limit(story: Story, **settings: Any) -> None:
    rule_save(
        draft=Draft(AlertKind.LEVEL, "Site limit", {"metric": "LAeq", "over": "recorded", **settings}),
        rule=None,
        actor=story.people.alice,
        now=story.now,
    )


def test_offline_is_amber_then_red_then_over_and_each_hears_what_they_asked_for(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    story.asks(story.people.bob, Severity.RED)
    story.status(instrument, online=True)
    story.status(instrument, online=False)
    # The poll goes on while nothing changes.
    for _ in range(14):
        story.passes(MINUTE)
        story.status(instrument, online=False)
    assert story.heard() == []
    story.passes(MINUTE)
    story.status(instrument, online=False)
    assert story.heard() == [("alice", "Amber. Opened.")]
    for _ in range(46):
        story.passes(MINUTE)
        story.status(instrument, online=False)
    assert story.heard() == [("alice", "Red. Grew worse."), ("bob", "Red. Grew worse.")]
    story.status(instrument, online=True)
    assert story.heard() == [("alice", "Recovered."), ("bob", "Recovered.")]
    assert Incident.objects.count() == 1
    assert not AlertWatch.objects.exclude(due_at=None).exists()


def test_measurements_without_values_are_missed_like_measurements(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.bob)
    story.status(instrument, online=True)
    story.levels(instrument, 55.0)
    for minute in range(65):
        assert story.heard() == [], minute
        story.levels(instrument, None)
        story.status(instrument, online=True)
        if Incident.objects.exists():
            break
    # An hour after the next value was due.
    assert minute == 60
    assert Incident.objects.get().kind == AlertKind.NO_DATA
    assert story.heard() == [("bob", "Amber. Opened.")]
    story.levels(instrument, 55.0)
    story.status(instrument, online=True)
    assert story.heard() == [("bob", "Recovered.")]


def test_a_quiet_fleet_leaves_nothing_to_be_looked_at(story: Story, instrument: Instrument) -> None:
    for _ in range(5):
        story.passes(MINUTE)
        story.status(instrument, online=True)
    assert not AlertWatch.objects.exists()


def test_a_power_cut_of_a_site_is_one_incident_and_one_mail(story: Story) -> None:
    story.asks(story.people.alice)
    site = Site.objects.create(organisation=story.owner, name="Quay")
    fleet = [make_instrument(story.owner, f"QT00000{number}") for number in range(5)]
    for each in fleet:
        Deployment.objects.create(
            organisation=story.owner, instrument=each, site=site, start_at=START - timedelta(days=1)
        )
        story.status(each, online=True)
    for each in fleet:
        story.status(each, online=False)
        story.clock.shift(timedelta(seconds=20))
    for _ in range(18):
        story.passes(MINUTE)
        for each in fleet:
            story.status(each, online=False)
    assert story.heard() == [("alice", "Amber. Opened.")]
    (incident,) = Incident.objects.all()
    assert incident.title == "Quay"
    for each in fleet[:4]:
        story.status(each, online=True)
    assert story.heard() == []
    story.status(fleet[4], online=True)
    assert story.heard() == [("alice", "Recovered.")]


def test_fifty_monitors_behind_a_refused_key_are_one_incident(story: Story) -> None:
    story.asks(story.people.alice)
    key = make_key(story.owner)
    fleet = [make_instrument(story.owner, f"QT{number:06}", api_key=key) for number in range(50)]
    for each in fleet:
        story.status(each, online=True)
    ApiKey.objects.filter(pk=key.pk).update(state=ApiKey.State.REFUSED)
    for _ in range(3):
        keys_judge(now=story.now)
        story.passes(30 * MINUTE)
    assert story.heard() == [("alice", "Red. Opened.")]
    assert Incident.objects.get().kind == AlertKind.KEY
    ApiKey.objects.filter(pk=key.pk).update(state=ApiKey.State.GOOD)
    keys_judge(now=story.now)
    story.tick()
    assert story.heard() == [("alice", "Recovered.")]


def test_a_level_over_its_limit_is_told_with_its_numbers_and_chart(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    limit(story, over="rolling", period_min=5, amber=65.0, red=75.0)
    story.levels(instrument, *[60.0] * 6)
    assert story.heard() == []
    story.levels(instrument, 70.0, 70.0)
    (address, mail) = story.mailbox.mails[0]
    text = mail.get_body(preferencelist=("plain",)).get_content()
    assert "LAeq: 66.6 dB" in text
    assert "10·log₁₀" in text
    assert "5 used, 0 missing" in text
    assert "100 % measured, 75 % needed" in text
    assert "Site limit" in text
    assert "version 1" in text
    assert str(mail["List-Unsubscribe-Post"]) == "List-Unsubscribe=One-Click"
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content().startswith(b"\x89PNG")
    assert str(picture["Content-ID"]) == "<chart>"
    assert story.heard() == [("alice", "Amber. Opened.")]
    # The number in the mail is the field's own arithmetic: 3 x 60 dB and 2 x 70 dB over five minutes.
    assert address == "alice@example.com"
    story.levels(instrument, *[80.0] * 5)
    assert story.heard() == [("alice", "Red. Grew worse.")]
    story.levels(instrument, *[40.0] * 8)
    assert story.heard() == [("alice", "Recovered.")]


def test_no_data_never_ends_an_exceedance(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limit(story, red=65.0)
    story.levels(instrument, 70.0)
    assert story.heard() == [("alice", "Red. Opened.")]
    story.levels(instrument, None, None)
    story.passes(3 * HOUR)
    assert story.heard() == []
    incident = Incident.objects.get()
    assert incident.closed_at is None
    assert incident.dark_since is not None
    story.levels(instrument, 50.0)
    assert story.heard() == [("alice", "Recovered.")]


def test_an_impossible_value_is_kept_and_wakes_nobody(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limit(story, metric="LCPeak", red=135.0)
    story.levels(instrument, 250.0, 90.0, name="LCPeak")
    assert story.heard() == []
    assert not Incident.objects.exists()


def test_flapping_is_held_and_said(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limit(story, red=65.0)
    story.levels(instrument, *[70.0, 50.0] * 8)
    heard = [line for _, line in story.heard()]
    assert heard.count("Red. Opened.") == 2
    assert heard.count("Red. Opened. It comes and goes, and is held open.") == 1
    assert heard.count("Recovered.") == 2
    story.levels(instrument, *[50.0] * 31)
    assert [line.split(".")[0] for _, line in story.heard()] == ["Recovered"]


def test_quiet_hours_wait_for_the_morning_but_red_may_wake(story: Story, instrument: Instrument) -> None:
    for user, breaks in ((story.people.alice, True), (story.people.bob, False)):
        story.asks(user)
        AlertHours.objects.create(
            organisation=story.owner,
            membership=Membership.objects.get(user=user),
            timezone="Australia/Sydney",
            quiet_from=time(20),
            quiet_until=time(7),
            red_breaks=breaks,
        )
    # Nine in the evening in Sydney.
    limit(story, amber=60.0, red=70.0)
    story.levels(instrument, 75.0)
    assert story.heard() == [("alice", "Red. Opened.")]
    story.passes(9 * HOUR + 58 * MINUTE)
    assert story.heard() == []
    story.passes(2 * MINUTE)
    assert story.heard() == [("bob", "Red. Opened.")]


def test_maintenance_records_and_tags_and_tells_what_outlasts_it(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    limit(story, red=65.0)
    Maintenance.objects.create(
        organisation=story.owner,
        instrument=instrument,
        start_at=story.now,
        end_at=story.now + HOUR,
        reason="New windshield",
    )
    story.levels(instrument, 70.0)
    assert IncidentChange.objects.get().maintenance
    story.passes(58 * MINUTE)
    assert story.heard() == []
    story.passes(3 * MINUTE)
    assert story.heard() == [("alice", "Red. Still open after maintenance.")]


def test_what_is_over_before_maintenance_ends_is_never_sent(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limit(story, red=65.0)
    Maintenance.objects.create(
        organisation=story.owner, start_at=story.now, end_at=story.now + HOUR, reason="Calibration"
    )
    story.levels(instrument, 70.0, 50.0)
    story.passes(2 * HOUR)
    assert story.heard() == []
    assert Incident.objects.get().maintenance


def test_nobody_acknowledges_then_it_is_told_again_and_the_next_person_hears(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    EscalationStep.objects.create(
        organisation=story.owner,
        membership=Membership.objects.get(user=story.people.mary),
        after_minutes=20,
    )
    limit(story, red=65.0, repeat_min=15)
    story.levels(instrument, 70.0)
    assert story.heard() == [("alice", "Red. Opened.")]
    story.passes(15 * MINUTE)
    assert story.heard() == [("alice", "Red. Nobody acknowledged: told again.")]
    story.passes(5 * MINUTE)
    assert story.heard() == [("mary", "Red. Nobody acknowledged: next person told.")]
    assert incident_acknowledge(incident=Incident.objects.get(), actor=story.people.mary, now=story.now)
    story.passes(5 * HOUR)
    assert story.heard() == []


def test_each_step_is_taken_once_though_severity_brings_earlier_ones_in(
    story: Story, instrument: Instrument
) -> None:
    people = story.people
    # Whoever cannot sign in any more holds up nobody.
    User.objects.filter(pk=people.alice.pk).update(is_active=False)
    for user, after, minimum in (
        (people.mary, 10, Severity.RED),
        (people.alice, 20, Severity.AMBER),
        (people.bob, 30, Severity.AMBER),
    ):
        EscalationStep.objects.create(
            organisation=story.owner,
            membership=Membership.objects.get(user=user),
            after_minutes=after,
            minimum=minimum,
        )
    limit(story, amber=60.0, red=65.0)
    story.levels(instrument, *[62.0] * 31)
    told = "Nobody acknowledged: next person told."
    assert story.heard() == [("bob", f"Amber. {told}")]
    story.levels(instrument, *[70.0] * 5)
    assert story.heard() == [("mary", f"Red. {told}")]
    story.levels(instrument, *[70.0] * 40)
    assert story.heard() == []


def test_another_organisation_hears_and_sees_nothing(
    story: Story, instrument: Instrument, people: People
) -> None:
    with organisation_scope(people.other.pk):
        AlertPreference.objects.create(
            organisation=people.other, membership=Membership.objects.get(user=people.charlie)
        )
    limit(story, red=65.0)
    story.levels(instrument, 70.0)
    assert story.heard() == []
    with organisation_scope(people.other.pk):
        assert not Incident.objects.exists()
        assert not AlertDelivery.objects.exists()


def confirming(story: Story, unit: Instrument) -> None:
    """A rule that wants a second check, and a monitor that can be asked for one."""
    version = AlertRuleVersion.objects.get(rule__kind=AlertKind.SIC_FAILED)
    draft = Draft(AlertKind.SIC_FAILED, version.rule.name, {"confirm": True})
    rule_save(draft=draft, rule=version.rule, actor=None, now=story.now)
    unit.api_key = make_key(story.owner, scopes={"instruments:action": True})
    unit.features = ["SIC"]
    unit.save(update_fields=["api_key", "features"])
    story.status(unit, online=True)


@pytest.mark.parametrize(("second", "words"), [("Success", "it passed."), ("Failed", "it failed too.")])
def test_a_failed_check_is_confirmed_before_anybody_is_woken_and_told_once_with_both(
    story: Story, instrument: Instrument, second: str, words: str
) -> None:
    story.asks(story.people.alice)
    confirming(story, instrument)
    arrive(instrument, check(story.now, "Failed", 62.1))
    action = InstrumentAction.objects.get()
    assert (action.kind, action.requested_by) == ("SIC", None)
    story.passes(2 * MINUTE)
    assert story.heard() == []
    arrive(instrument, check(story.now, second, 98.4))
    story.tick()
    (mail,) = [mail for _, mail in story.mailbox.mails]
    text = mail.get_body(preferencelist=("plain",)).get_content()
    assert words in text
    assert "62.10 dB" in text
    assert "98.40 dB" in text
    story.mailbox.mails.clear()
    story.passes(30 * MINUTE)
    assert story.heard() == []


def test_a_second_check_that_never_comes_is_not_waited_for_longer(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    confirming(story, instrument)
    arrive(instrument, check(story.now, "Failed", 62.1))
    story.passes(7 * MINUTE)
    assert story.heard() == []
    story.passes(MINUTE)
    assert story.heard() == [("alice", "Red. Opened.")]


def test_what_cannot_be_confirmed_is_told_at_once(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    confirming(story, instrument)
    story.status(instrument, online=False)
    arrive(instrument, check(story.now, "Failed", 62.1))
    story.tick()
    assert story.heard() == [("alice", "Red. Opened.")]
