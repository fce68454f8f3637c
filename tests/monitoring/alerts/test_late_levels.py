"""Levels that arrive late: judged after all, by the version of their time, and never twice for one cause."""

import itertools
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruments.models import Deployment, Instrument, Site
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from monitoring.alerts.rules import Draft, rule_save
from monitoring.models import AlertKind, AlertRule, Incident, IncidentChange, Maintenance, Severity
from monitoring.sync.ingest import noise_store
from tests.conftest import make_instrument
from tests.monitoring.alerts.story import HOUR, MINUTE, Story


def limited(story: Story, rule: AlertRule | None = None, red: float = 65.0, **more: object) -> AlertRule:
    settings = {"metric": "LAeq", "over": "recorded", "red": red, **more}
    return rule_save(
        draft=Draft(AlertKind.LEVEL, "Site limit", settings), rule=rule, actor=None, now=story.now
    )


def comes(story: Story, unit: Instrument, start: datetime, *levels: float) -> None:
    """Minutes from ``start`` on, in one answer, while the clock stands."""
    rows = [
        NoiseRow(
            serial=unit.serial,
            start_at=start + index * MINUTE,
            end_at=start + (index + 1) * MINUTE,
            duration_s=60.0,
            values={"LAeq": level},
            labels={},
            document={},
        )
        for index, level in enumerate(levels)
    ]
    with transaction.atomic():
        noise_store(instrument=unit, rows=rows, now=story.now)
    story.tick()


def test_an_exceedance_that_was_over_before_it_was_heard_is_told_once(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    limited(story)
    begun = story.now
    story.passes(HOUR)
    comes(story, instrument, begun + 50 * MINUTE, *[50.0] * 10)
    assert story.heard() == []
    comes(story, instrument, begun + 10 * MINUTE, 50.0, 70.0, 72.0, 71.0, 50.0)
    (mail,) = [mail for _, mail in story.mailbox.mails]
    text = mail.get_body(preferencelist=("plain",)).get_content()
    assert "LAeq: 72.0 dB" in text
    assert "Over already, since: 23 Nov 2026 10:15:00" in text
    assert "Heard late, by: 47 min" in text
    assert story.heard() == [("alice", "Red. Opened.")]
    incident = Incident.objects.get()
    assert (incident.opened_at, incident.closed_at) == (begun + 12 * MINUTE, begun + 15 * MINUTE)
    assert incident.worst == Severity.RED
    # The sweep reads it all again, and again; and a little more of it comes.
    for _ in range(3):
        comes(story, instrument, begun + 10 * MINUTE, 50.0, 70.0, 72.0, 71.0, 50.0)
    comes(story, instrument, begun + 9 * MINUTE, 69.0, 70.0)
    story.levels(instrument, 50.0)
    story.passes(5 * MINUTE)
    assert story.heard() == []
    assert Incident.objects.count() == 1


def test_what_goes_on_still_opens_as_it_stands(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limited(story, over="rolling", period_min=10, coverage_pct=75)
    begun = story.now
    story.passes(10 * MINUTE)
    # Half of ten minutes says nothing; with the other half it is an exceedance that goes on.
    comes(story, instrument, begun + 5 * MINUTE, *[70.0] * 5)
    assert story.heard() == []
    comes(story, instrument, begun, *[70.0] * 5)
    assert story.heard() == [("alice", "Red. Opened.")]
    assert Incident.objects.get().closed_at is None
    story.levels(instrument, *[30.0] * 12)
    assert story.heard() == [("alice", "Recovered.")]
    assert Incident.objects.count() == 1


def test_late_rows_within_an_incident_are_that_incident(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limited(story)
    begun = story.now
    story.passes(20 * MINUTE)
    comes(story, instrument, begun, 70.0)
    comes(story, instrument, begun + 10 * MINUTE, 70.0)
    assert story.heard() == [("alice", "Red. Opened.")]
    comes(story, instrument, begun + 5 * MINUTE, 71.0, 50.0, 71.0)
    assert story.heard() == []
    assert Incident.objects.count() == 1


def test_each_value_is_judged_by_the_version_of_its_time(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    rule = limited(story, red=65.0)
    strict = story.now
    story.passes(HOUR)
    limited(story, rule, red=80.0)
    mild = story.now
    story.passes(HOUR)
    # While the instrument was away the limit was eased: what it sends now was measured under both.
    comes(story, instrument, mild - 5 * MINUTE, 50.0, 70.0, 50.0, 50.0, 50.0, 70.0, 50.0)
    comes(story, instrument, mild + 30 * MINUTE, 50.0)
    comes(story, instrument, mild + 10 * MINUTE, 70.0, 70.0)
    comes(story, instrument, strict + 10 * MINUTE, 70.0, 50.0)
    versions = [
        (each.opened_at, each.version.number if each.version else None)
        for each in Incident.objects.order_by("opened_at")
    ]
    assert versions == [(strict + 11 * MINUTE, 1), (mild - 3 * MINUTE, 1)]
    assert [line for _, line in story.heard()] == ["Recovered.", "Red. Opened.", "Red. Opened."]


def test_nothing_from_before_the_rule_or_the_instrument_wakes_anybody(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    before = story.now
    story.passes(HOUR)
    limited(story)
    story.levels(instrument, 50.0)
    comes(story, instrument, before, *[80.0] * 10)
    fresh = make_instrument(story.owner, "QT000009", first_seen_at=story.now)
    story.levels(fresh, 50.0)
    comes(story, fresh, story.now - 20 * MINUTE, 80.0)
    assert story.heard() == []
    assert not Incident.objects.exists()


def test_in_maintenance_it_is_recorded_and_not_told(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limited(story)
    begun = story.now
    Maintenance.objects.create(
        organisation=story.owner, start_at=begun, end_at=begun + 20 * MINUTE, reason="Crane"
    )
    story.passes(HOUR)
    comes(story, instrument, begun + 50 * MINUTE, 50.0)
    comes(story, instrument, begun + 10 * MINUTE, 70.0, 50.0)
    assert story.heard() == []
    assert IncidentChange.objects.filter(step="opened").get().maintenance


def test_what_came_and_went_is_one_incident_and_one_mail(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    limited(story)
    begun = story.now
    story.passes(2 * HOUR)
    comes(story, instrument, begun + 110 * MINUTE, 50.0)
    # Four within minutes, and one more after most of an hour of quiet.
    comes(story, instrument, begun, *[70.0, 50.0] * 4, *[50.0] * 40, 71.0, 50.0)
    spans = [(each.opened_at - begun, each.closed_at - begun) for each in Incident.objects.order_by("pk")]
    assert spans == [(MINUTE, 8 * MINUTE), (49 * MINUTE, 50 * MINUTE)]
    text = story.mailbox.mails[0][1].get_body(preferencelist=("plain",)).get_content()
    assert "Came and went: 4 times" in text
    assert story.heard() == [("alice", "Red. Opened.")] * 2


@pytest.mark.django_db
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    loud=st.lists(st.booleans(), min_size=12, max_size=12),
    order=st.permutations(range(4)),
)
def test_in_whatever_order_they_come_each_exceedance_is_one_incident_at_most(
    story: Story, instrument: Instrument, loud: list[bool], order: list[int]
) -> None:
    """Every stretch of loud minutes meets an incident, whichever answer brings it first, and no two overlap."""
    with transaction.atomic():
        begun = story.now
        limited(story)
        story.clock.shift(HOUR)
        for part in [*order, *order]:
            levels = [80.0 if each else 40.0 for each in loud[3 * part : 3 * part + 3]]
            comes(story, instrument, begun + 3 * part * MINUTE, *levels)
        spans = [
            (each.opened_at, each.closed_at or story.now) for each in Incident.objects.order_by("opened_at")
        ]
        minute = 0
        for is_loud, run in itertools.groupby(loud):
            first, minute = minute, minute + len(list(run))
            opened, closed = begun + (first + 1) * MINUTE, begun + (minute + 1) * MINUTE
            if is_loud:
                assert any(start <= closed and end >= opened for start, end in spans), (first, spans)
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert end <= start + timedelta(0), spans
        transaction.set_rollback(True)
    story.clock.shift(-HOUR)


def test_the_last_period_of_a_monitor_that_was_switched_off_is_judged(
    story: Story, instrument: Instrument
) -> None:
    """It measures 50 of 60 minutes and is taken down: nothing comes any more that would end the hour."""
    story.asks(story.people.alice)
    limited(story, over="fixed", period_min=60, red=65.0)
    hour = story.now
    story.levels(instrument, *[65.5] * 50)
    story.passes(39 * MINUTE)
    assert story.heard() == []
    story.passes(2 * MINUTE)
    assert story.heard() == [("alice", "Red. Opened.")]
    incident = Incident.objects.get()
    assert incident.opened_at == hour + HOUR
    # What it had not sent yet comes after all, and is the same exceedance.
    comes(story, instrument, hour + 50 * MINUTE, *[66.0] * 5)
    story.passes(HOUR)
    assert story.heard() == []
    assert Incident.objects.count() == 1


def test_what_comes_late_for_a_period_that_the_clock_ended_is_judged(
    story: Story, instrument: Instrument
) -> None:
    """Three quarters of the hour were quiet; what was loud in it comes afterwards, and does not reach its end."""
    story.asks(story.people.alice)
    limited(story, over="fixed", period_min=60, red=65.0)
    hour = story.now
    story.levels(instrument, *[50.0] * 46)
    story.passes(HOUR)
    assert story.heard() == []
    comes(story, instrument, hour + 46 * MINUTE, *[90.0] * 9)
    assert story.heard() == [("alice", "Red. Opened.")]
    assert Incident.objects.get().opened_at <= hour + HOUR


def test_an_hour_of_long_ago_wakes_nobody_when_its_time_comes_at_last(
    story: Story, instrument: Instrument
) -> None:
    """The worker was away for three days."""
    story.asks(story.people.alice)
    limited(story, over="fixed", period_min=60, red=65.0)
    story.levels(instrument, *[65.5] * 50)
    story.clock.shift(timedelta(days=3))
    story.passes(MINUTE)
    assert story.heard() == []


def test_a_rule_of_a_site_leaves_what_was_measured_elsewhere_alone(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    quay = Site.objects.create(organisation=story.owner, name="Quay")
    for over in ("recorded", "fixed", "rolling"):
        settings = {"metric": "LAeq", "over": over, "period_min": 60, "red": 65.0, "coverage_pct": 10}
        draft = Draft(AlertKind.LEVEL, over, settings, sites=[quay.pk])
        rule_save(draft=draft, rule=None, actor=None, now=story.now)
    # Loud at another place until half past, then moved to the quay, where it is quiet.
    story.levels(instrument, *[80.0] * 30)
    Deployment.objects.create(organisation=story.owner, instrument=instrument, site=quay, start_at=story.now)
    story.levels(instrument, *[50.0] * 31)
    story.passes(2 * HOUR)
    assert not Incident.objects.exists()
    story.levels(instrument, 80.0)
    assert Incident.objects.exists()
