"""Wishes and maintenance of one site or instrument: who hears of what happens where."""

from datetime import timedelta

import pytest

from instruments.models import Deployment, Instrument, Membership, Site
from instruments.tenancy import organisation_scope
from monitoring.alerts.links import unsubscribe_link
from monitoring.alerts.rules import Draft, rule_save
from monitoring.models import (
    AlertKind,
    AlertPreference,
    AlertRule,
    Incident,
    IncidentChange,
    Maintenance,
    Severity,
)
from tests.conftest import People, make_instrument
from tests.monitoring.alerts.story import HOUR, MINUTE, START, Story
from tests.monitoring.failing import arrive, check

DAY = timedelta(days=1)
PAGE = "/o/harbour/notifications/"


@pytest.fixture
def quay(story: Story, instrument: Instrument) -> Site:
    """Where the instrument stands; another one stands elsewhere."""
    made = Site.objects.create(organisation=story.owner, name="Quay")
    Deployment.objects.create(
        organisation=story.owner, instrument=instrument, site=made, start_at=START - DAY
    )
    return made


@pytest.fixture
def elsewhere(story: Story) -> Instrument:
    made = make_instrument(story.owner, "QT000002", first_seen_at=START - 30 * DAY)
    mill = Site.objects.create(organisation=story.owner, name="Mill")
    Deployment.objects.create(organisation=story.owner, instrument=made, site=mill, start_at=START - DAY)
    return made


def wish(story: Story, user: object, minimum: int = Severity.AMBER, kind: str = "", **place: object) -> None:
    AlertPreference.objects.create(
        organisation=story.owner,
        membership=Membership.objects.get(user=user),
        kind=kind,
        minimum=minimum,
        **place,
    )


def away(story: Story, unit: Instrument, minutes: int) -> None:
    story.status(unit, online=True)
    for _ in range(minutes + 1):
        story.status(unit, online=False)
        story.passes(MINUTE)


def test_a_site_an_instrument_and_everywhere_are_told_apart(
    story: Story, instrument: Instrument, quay: Site, elsewhere: Instrument
) -> None:
    wish(story, story.people.alice, site=quay)
    wish(story, story.people.bob, instrument=elsewhere)
    wish(story, story.people.adam, site=quay, kind=AlertKind.DISK)
    # Red everywhere and amber at one site add up.
    wish(story, story.people.mary, minimum=Severity.RED)
    wish(story, story.people.mary, instrument=instrument)
    away(story, instrument, 20)
    assert [who for who, _ in story.heard()] == ["alice", "mary"]
    away(story, elsewhere, 20)
    assert [who for who, _ in story.heard()] == ["bob"]


def test_a_site_is_about_whatever_stands_there_at_the_time(
    story: Story, instrument: Instrument, quay: Site
) -> None:
    wish(story, story.people.alice, site=quay)
    Deployment.objects.update(end_at=START)
    away(story, instrument, 20)
    assert story.heard() == []


def test_a_rule_of_a_site_judges_the_checks_of_what_stands_there(
    story: Story, instrument: Instrument, quay: Site, elsewhere: Instrument
) -> None:
    story.asks(story.people.alice)
    rule = AlertRule.objects.get(kind=AlertKind.SIC_FAILED)
    rule_save(draft=Draft(rule.kind, rule.name, {}, sites=[quay.pk]), rule=rule, actor=None, now=story.now)
    arrive(instrument, check(story.now))
    arrive(elsewhere, check(story.now))
    story.tick()
    assert Incident.objects.get().instrument == instrument
    assert story.heard() == [("alice", "Red. Opened.")]


def test_maintenance_of_a_site_holds_for_what_stands_there(
    story: Story, instrument: Instrument, quay: Site, elsewhere: Instrument
) -> None:
    story.asks(story.people.alice)
    Maintenance.objects.create(
        organisation=story.owner, site=quay, start_at=START, end_at=START + 2 * HOUR, reason="Crane"
    )
    away(story, instrument, 20)
    assert story.heard() == []
    assert IncidentChange.objects.get().maintenance
    away(story, elsewhere, 20)
    assert len(story.heard()) == 1
    story.passes(2 * HOUR)
    assert ("alice", "Amber. Still open after maintenance.") in story.heard()


def test_the_pages_take_a_site_or_an_instrument_and_nobody_elses(
    people: People, story: Story, instrument: Instrument, quay: Site
) -> None:
    with organisation_scope(people.other.pk):
        theirs = Site.objects.create(organisation=people.other, name="Theirs")
    client = people.client(people.bob)
    asked = {"form": "place", "place-place": f"s{quay.pk}", "place-kind": "any", "place-minimum": "1"}
    for wrong in (f"s{theirs.pk}", "", "i0", "x"):
        assert client.post(PAGE, {**asked, "place-place": wrong}).status_code == 422, wrong
    assert client.post(PAGE, asked).status_code == 302
    assert client.post(PAGE, {**asked, "place-minimum": "2"}).status_code == 302
    only = AlertPreference.objects.get()
    assert (only.site, only.instrument, only.minimum) == (quay, None, Severity.RED)
    # What is ticked above is another matter, and leaves it alone.
    client.post(PAGE, {"kind": [AlertKind.DISK], "minimum": "1"})
    client.post(PAGE, {})
    assert AlertPreference.objects.get() == only
    assert "Quay" in client.get(PAGE).content.decode()
    people.client(people.alice).post(PAGE, {"form": "place-remove", "row": only.pk})
    assert AlertPreference.objects.exists()
    client.post(PAGE, {"form": "place-remove", "row": only.pk})
    assert not AlertPreference.objects.exists()
    window = {
        "do": "maintenance",
        "maintenance-place": f"s{quay.pk}",
        "maintenance-start_at": "2026-11-24T08:00",
        "maintenance-end_at": "2026-11-24T09:00",
        "maintenance-reason": "Crane",
    }
    mary, settings = people.client(people.mary), "/o/harbour/alerts/settings/"
    assert mary.post(settings, {**window, "maintenance-place": f"s{theirs.pk}"}).status_code == 422
    assert mary.post(settings, window).status_code == 302
    assert Maintenance.objects.get().site == quay
    assert "Quay" in mary.get(settings).content.decode()


def test_one_click_ends_a_kind_everywhere_and_keeps_the_rest_of_a_place(
    people: People, story: Story, instrument: Instrument, quay: Site
) -> None:
    wish(story, people.bob, site=quay)
    wish(story, people.bob, kind=AlertKind.OFFLINE, instrument=instrument)
    link = unsubscribe_link(organisation_id=story.owner.pk, user_id=people.bob.pk, kind=AlertKind.OFFLINE)
    people.client(None).post("/" + link.split("/", 3)[3])
    left = AlertPreference.objects.all()
    assert {each.site for each in left} == {quay}
    kinds = {each.kind for each in left}
    assert AlertKind.DISK in kinds
    assert not kinds & {AlertKind.OFFLINE, AlertKind.KEY, ""}
