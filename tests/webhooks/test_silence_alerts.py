"""Webhooks that keep silent are one incident, however many do: opened, joined, and over when they speak."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from instruments.models import Instrument, Membership
from instruments.tenancy import organisation_scope
from monitoring.alerts.rules import rule_pause
from monitoring.models import (
    AlertDelivery,
    AlertKind,
    AlertPreference,
    AlertRule,
    Incident,
    IncidentChange,
    InstrumentStatus,
)
from monitoring.sync.beat import beat_note
from tests.conftest import People
from tests.webhooks.test_silence import hooked, measured
from webhooks.models import Subscription
from webhooks.silence import silence_judge

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.usefixtures("beats")


@pytest.fixture
def fleet(people: People) -> None:
    for serial in ("QT1", "QT2"):
        measured(hooked(people.organisation, serial, delivered_at=NOW - 2 * HOUR), NOW)
    with organisation_scope(people.organisation.pk):
        AlertPreference.objects.create(
            organisation=people.organisation,
            membership=Membership.objects.get(user=people.alice),
            kind=AlertKind.WEBHOOK_SILENT,
        )


def judge(people: People, now: datetime) -> list[str]:
    with organisation_scope(people.organisation.pk):
        silence_judge(now=now)
        return list(IncidentChange.objects.order_by("pk").values_list("step", flat=True))


def test_it_opens_once_and_ends_when_they_speak(people: People, fleet: None) -> None:
    assert judge(people, NOW) == ["opened"]
    assert judge(people, NOW + timedelta(minutes=5)) == ["opened"]
    with organisation_scope(people.organisation.pk):
        incident = Incident.objects.get()
        assert (incident.kind, incident.severity, incident.instrument) == (AlertKind.WEBHOOK_SILENT, 1, None)
        assert IncidentChange.objects.get().facts["serials"] == ["QT1", "QT2"]
        assert AlertDelivery.objects.get().recipient == people.alice
        # One of the two speaks again: the cause is still there.
        Subscription.objects.filter(serial="QT1").update(delivered_at=NOW)
    assert judge(people, NOW + HOUR) == ["opened"]
    with organisation_scope(people.organisation.pk):
        Subscription.objects.update(delivered_at=NOW)
    assert judge(people, NOW + 2 * HOUR) == ["opened", "closed"]
    with organisation_scope(people.organisation.pk):
        assert AlertDelivery.objects.count() == 2


def test_a_short_list_ends_nothing(people: People, fleet: None) -> None:
    assert judge(people, NOW) == ["opened"]
    with organisation_scope(people.organisation.pk):
        Instrument.objects.update(gone_at=NOW)
    assert judge(people, NOW + 23 * HOUR) == ["opened"]
    assert judge(people, NOW + 24 * HOUR) == ["opened", "closed"]


def test_a_fleet_that_is_heard_opens_nothing(people: People, fleet: None) -> None:
    with organisation_scope(people.organisation.pk):
        Subscription.objects.update(delivered_at=NOW)
    assert judge(people, NOW) == []
    with organisation_scope(people.organisation.pk):
        InstrumentStatus.objects.update(level_at=NOW + HOUR)
    assert judge(people, NOW + 2 * HOUR) == ["opened"]


def known(people: People, *, heard: datetime, stored: datetime) -> None:
    """Webhooks were last heard, and the newest stored measurement ends, at these times."""
    with organisation_scope(people.organisation.pk):
        Subscription.objects.update(delivered_at=heard)
        InstrumentStatus.objects.update(level_at=stored - MINUTE, level_seconds=60)


def test_what_was_announced_while_we_were_off_is_not_silence(
    people: People, fleet: None, beats: redis.Redis
) -> None:
    beat_note(client=beats, now=NOW)
    back = NOW + 18 * MINUTE
    known(people, heard=NOW - MINUTE, stored=back)
    # Whoever judges may come before the first tick.
    assert judge(people, back) == []
    beat_note(client=beats, now=back)
    assert judge(people, back + MINUTE) == []
    # From here on somebody listens, and still hears nothing.
    for minute in range(15):
        beat_note(client=beats, now=back + minute * MINUTE)
    known(people, heard=NOW - MINUTE, stored=back + 14 * MINUTE)
    assert judge(people, back + 14 * MINUTE) == []
    known(people, heard=NOW - MINUTE, stored=back + 15 * MINUTE)
    assert judge(people, back + 15 * MINUTE) == ["opened"]


def test_a_restart_ends_no_silence(people: People, fleet: None, beats: redis.Redis) -> None:
    beat_note(client=beats, now=NOW)
    assert judge(people, NOW) == ["opened"]
    beat_note(client=beats, now=NOW + 3 * HOUR)
    assert judge(people, NOW + 3 * HOUR) == ["opened"]


def test_a_short_pause_of_the_beat_takes_nothing_off(people: People, fleet: None, beats: redis.Redis) -> None:
    known(people, heard=NOW, stored=NOW + 16 * MINUTE)
    for minute in range(0, 17, 2):
        beat_note(client=beats, now=NOW + minute * MINUTE)
    assert judge(people, NOW + 16 * MINUTE) == ["opened"]


def test_a_paused_rule_says_nothing(people: People, fleet: None) -> None:
    with organisation_scope(people.organisation.pk):
        rule_pause(rule=AlertRule.objects.get(kind=AlertKind.WEBHOOK_SILENT), now=NOW)
    assert judge(people, NOW) == []
    with organisation_scope(people.other.pk):
        silence_judge(now=NOW)
        assert not Incident.objects.exists()
