"""A list without an instrument closes nothing: it has left when a list a day later is without it, too."""

from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest

from instruments.models import ApiKey, Instrument
from monitoring.alerts.kinds import BY_ROWS
from monitoring.alerts.leaving import incidents_leave
from monitoring.alerts.rules import Draft, rule_save
from monitoring.alerts.tasks import connections
from monitoring.models import (
    AlertKind,
    AlertWatch,
    Calibration,
    Incident,
    IncidentChange,
    Outcome,
    Resource,
    SyncTarget,
)
from monitoring.sync.claims import due_claim
from monitoring.sync.run import Turn, target_run
from monitoring.sync.targets import key_targets_refresh
from tests.conftest import make_instrument, make_key
from tests.instruments.mycirrus.served import Reply, Served
from tests.monitoring.alerts.story import HOUR, MINUTE, Story
from tests.monitoring.failing import arrive, check

Listed = Callable[..., Turn]


@pytest.fixture
def key(story: Story, served: Served) -> ApiKey:
    made = make_key(story.owner, base_url=served.url)
    key_targets_refresh(api_key=made, now=story.now)
    return made


@pytest.fixture
def fleet(story: Story, key: ApiKey) -> list[Instrument]:
    """Two monitors that are offline for so long that it is red, and told."""
    story.asks(story.people.alice)
    since = story.now - timedelta(days=30)
    made = [
        make_instrument(story.owner, f"QT00000{number}", api_key=key, first_seen_at=since)
        for number in range(2)
    ]
    for each in made:
        story.status(each, online=True)
    story.clock.shift(MINUTE)
    for each in made:
        story.status(each, online=False)
    story.clock.shift(2 * HOUR)
    for each in made:
        story.status(each, online=False)
    assert story.heard() == [("alice", "Red. Opened.")] * 2
    return made


@pytest.fixture
def listed(story: Story, key: ApiKey, served: Served) -> Listed:
    """MyCirrus lists these monitors and no others, or answers with a status instead."""

    def list_(*instruments: Instrument, status: int = 200) -> Turn:
        rows = [{"serialNumber": each.serial, "type": "Noise", "name": each.name} for each in instruments]
        served.say(Reply(rows, status=status))
        SyncTarget.objects.update(due_at=story.now + timedelta(days=900), hinted_at=None)
        SyncTarget.objects.filter(resource=Resource.INSTRUMENTS).update(due_at=story.now)
        (claim,) = due_claim(now=story.now, organisation_id=story.owner.pk)
        turn = target_run(claim=claim)
        assert turn is not None
        story.tick()
        return turn

    return list_


def later(story: Story, length: timedelta) -> None:
    """Time goes on at once: nothing has to be looked at each minute."""
    story.clock.shift(length)
    story.tick()


def steps() -> list[str]:
    return list(IncidentChange.objects.order_by("pk").values_list("step", flat=True))


def test_one_short_list_closes_nothing(story: Story, fleet: list[Instrument], listed: Listed) -> None:
    listed(fleet[0])
    assert Instrument.objects.get(pk=fleet[1].pk).gone_at == story.now
    later(story, 10 * MINUTE)
    listed(*fleet)
    for each in fleet:
        each.refresh_from_db()
        story.status(each, online=False)
    assert story.heard() == []
    assert Incident.objects.open().count() == 2
    # In the record, for whoever asks later.
    assert steps() == ["opened", "opened", "dark", "light"]
    story.status(fleet[1], online=True)
    assert story.heard() == [("alice", "Recovered.")]


def test_what_is_gone_for_a_day_is_over_once(story: Story, fleet: list[Instrument], listed: Listed) -> None:
    listed(fleet[0])
    for _ in range(4):
        later(story, 6 * HOUR - MINUTE)
        listed(fleet[0])
    assert story.heard() == []
    later(story, 6 * MINUTE)
    listed(fleet[0])
    later(story, 10 * MINUTE)
    assert story.heard() == [("alice", "Closed.")]
    assert Incident.objects.open().get().instrument == fleet[0]
    for _ in range(3):
        later(story, 10 * MINUTE)
        listed(fleet[0])
    assert story.heard() == []
    assert not AlertWatch.objects.filter(instrument=fleet[1]).exclude(due_at=None).exists()


def test_a_day_without_any_list_says_nothing(story: Story, fleet: list[Instrument], listed: Listed) -> None:
    listed(fleet[0])
    for _ in range(5):
        later(story, 6 * HOUR)
        assert listed(status=500).outcome == Outcome.TRANSIENT
    assert Incident.objects.open().count() == 2
    listed(*fleet)
    later(story, 10 * MINUTE)
    assert Incident.objects.open().count() == 2
    assert story.heard() == []


def test_a_revoked_key_lists_nothing_any_more(story: Story, fleet: list[Instrument], listed: Listed) -> None:
    listed(fleet[0])
    ApiKey.objects.update(revoked_at=story.now)
    later(story, 24 * HOUR)
    assert story.heard() == [("alice", "Closed.")]


@pytest.mark.parametrize("away", [timedelta(minutes=10), timedelta(days=2)])
def test_what_is_back_is_judged_by_what_became_of_it_meanwhile(
    story: Story, instrument: Instrument, key: ApiKey, listed: Listed, away: timedelta
) -> None:
    """A calibration falls due while it is gone: no new row will ever tell."""
    Instrument.objects.filter(pk=instrument.pk).update(api_key=key)
    due: dict[str, Any] = {"amber": None, "red": 7}
    rule_save(draft=Draft(AlertKind.CALIBRATION_OVERDUE, "Weekly", due), rule=None, actor=None, now=story.now)
    last = story.now - timedelta(days=7) + 5 * MINUTE
    Calibration.objects.create(instrument=instrument, at=last, status="Success", offset_db=0.0)
    story.asks(story.people.alice)
    story.tick()
    listed()
    later(story, 10 * MINUTE)
    listed()
    later(story, away)
    listed()
    later(story, 10 * MINUTE)
    assert story.heard() == []
    listed(instrument)
    later(story, 24 * HOUR)
    assert story.heard() == [("alice", "Red. Opened.")]


@pytest.fixture
def loud(story: Story, instrument: Instrument, key: ApiKey) -> Instrument:
    """One that is too loud and whose check has failed, both told."""
    Instrument.objects.filter(pk=instrument.pk).update(api_key=key)
    instrument.refresh_from_db()
    settings = {"metric": "LAeq", "over": "recorded", "red": 65.0}
    rule_save(draft=Draft(AlertKind.LEVEL, "Site limit", settings), rule=None, actor=None, now=story.now)
    for kind in BY_ROWS:
        story.asks(story.people.alice, kind=kind)
    story.levels(instrument, 70.0)
    arrive(instrument, check(story.now))
    story.tick()
    assert story.heard() == [("alice", "Red. Opened.")] * 2
    return instrument


def leave(story: Story, listed: Listed) -> None:
    """A list without it, another a day later, and the slower tick."""
    listed()
    incidents_leave(now=story.now)
    later(story, 24 * HOUR)
    incidents_leave(now=story.now)
    assert Incident.objects.open().count() == 2
    listed()
    connections()
    story.tick()


def test_what_only_rows_would_end_is_over_for_the_reason_that_it_left(
    story: Story, loud: Instrument, listed: Listed
) -> None:
    leave(story, listed)
    assert not Incident.objects.open().filter(instrument=loud).exists()
    mails: Any = story.mailbox.mails
    texts = [mail.get_body(("plain",)).get_content() for _, mail in mails]
    assert len(texts) == 2
    assert all("Why: MyCirrus no longer lists it." in text for text in texts)
    assert all("Recovered" not in text for text in texts)
    assert story.heard() == [("alice", "Closed.")] * 2
    pages = ["notifications/", *(f"alerts/{each.pk}/" for each in Incident.objects.filter(instrument=loud))]
    for page in pages:
        text = story.people.client(story.people.alice).get(f"/o/harbour/{page}").content.decode()
        assert "Recovered" not in text
        assert "Closed" in text
    connections()
    story.tick()
    assert story.heard() == []


def test_the_slower_tick_needs_no_organisation_in_scope(story: Story) -> None:
    """As a worker runs it, and not as a test that has opened a scope for what it looks at."""
    Context().run(connections)


def test_it_begins_anew_when_it_is_back_as_it_was(story: Story, loud: Instrument, listed: Listed) -> None:
    leave(story, listed)
    story.heard()
    for _ in range(2):
        listed(loud)
        story.levels(loud, 70.0)
    assert story.heard() == [("alice", "Red. Opened.")] * 2
    assert Incident.objects.open().filter(instrument=loud).count() == 2
    arrive(loud, check(story.now, level=90.0, status="Passed"))
    story.levels(loud, 50.0)
    assert story.heard() == [("alice", "Recovered.")] * 2


def test_it_begins_nothing_anew_where_a_check_has_passed_before_it_left(
    story: Story, loud: Instrument, listed: Listed
) -> None:
    arrive(loud, check(story.now, status="Passed"))
    story.levels(loud, 50.0)
    listed()
    later(story, 24 * HOUR)
    listed()
    later(story, HOUR)
    story.heard()
    listed(loud)
    assert story.heard() == []
