"""A sender that is killed while it tells of an escalation, a reminder, a recovery or an end: told again, never lost.

Killed before sending, between sending and marking, and before the step that owes the message was committed.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives

from instruments.models import Instrument, Membership
from instruments.tenancy import organisation_scope
from monitoring.alerts import nagging
from monitoring.alerts.claims import LEASE
from monitoring.alerts.deliveries import deliveries_claim, delivery_send
from monitoring.alerts.nagging import incidents_nag
from monitoring.alerts.rules import Draft, rule_pause, rule_save
from monitoring.models import (
    AlertKind,
    AlertRule,
    EscalationStep,
    Incident,
    IncidentChange,
    Maintenance,
)
from tests.monitoring.alerts.story import HOUR, MINUTE, Story

Reach = Callable[[Story, Instrument], None]


class Killed(BaseException):
    """What no handler of the sender catches, as no handler catches a SIGKILL."""


def opened(story: Story, unit: Instrument) -> None:
    story.asks(story.people.alice)
    rule_save(
        draft=Draft(
            AlertKind.LEVEL,
            "Site limit",
            {"metric": "LAeq", "over": "recorded", "red": 65.0, "repeat_min": 15},
        ),
        rule=None,
        actor=None,
        now=story.now,
    )
    story.levels(unit, 70.0)
    assert story.heard() == [("alice", "Red. Opened.")]


def reminder(story: Story, unit: Instrument) -> None:
    opened(story, unit)
    story.clock.shift(15 * MINUTE)
    incidents_nag(now=story.now)


def escalation(story: Story, unit: Instrument) -> None:
    EscalationStep.objects.create(
        organisation=story.owner,
        membership=Membership.objects.get(user=story.people.mary),
        after_minutes=10,
    )
    opened(story, unit)
    story.clock.shift(10 * MINUTE)
    incidents_nag(now=story.now)


def recovery(story: Story, unit: Instrument) -> None:
    opened(story, unit)
    tick, story.tick = story.tick, lambda: None  # type: ignore[method-assign]
    story.levels(unit, 50.0)
    story.tick = tick  # type: ignore[method-assign]


def withdrawal(story: Story, unit: Instrument) -> None:
    opened(story, unit)
    rule_pause(rule=AlertRule.objects.get(kind=AlertKind.LEVEL), now=story.now)


def maintenance_over(story: Story, unit: Instrument) -> None:
    Maintenance.objects.create(
        organisation=story.owner, start_at=story.now, end_at=story.now + HOUR, reason="Crane"
    )
    story.asks(story.people.alice)
    rule_save(
        draft=Draft(AlertKind.LEVEL, "Site limit", {"metric": "LAeq", "over": "recorded", "red": 65.0}),
        rule=None,
        actor=None,
        now=story.now,
    )
    story.levels(unit, 70.0)
    story.clock.shift(HOUR)
    incidents_nag(now=story.now)


STEPS = {
    reminder: ("alice", "Red. Nobody acknowledged: told again."),
    escalation: ("mary", "Red. Nobody acknowledged: next person told."),
    recovery: ("alice", "Recovered."),
    withdrawal: ("alice", "Closed: its rule no longer judges."),
    maintenance_over: ("alice", "Red. Still open after maintenance."),
}


def send_all(story: Story) -> None:
    for organisation_id, pk, token in deliveries_claim(now=story.now):
        with organisation_scope(organisation_id):
            delivery_send(delivery_id=pk, token=token)


@pytest.mark.parametrize("sent", [False, True], ids=["before sending", "before marking"])
@pytest.mark.parametrize("reach", STEPS, ids=[reach.__name__ for reach in STEPS])
def test_whoever_sends_it_is_killed(
    story: Story, instrument: Instrument, monkeypatch: pytest.MonkeyPatch, reach: Reach, sent: bool
) -> None:
    reach(story, instrument)
    send = EmailMultiAlternatives.send

    def killed(self: EmailMultiAlternatives, *arguments: Any) -> int:
        if sent:
            send(self, *arguments)
        raise Killed

    monkeypatch.setattr(EmailMultiAlternatives, "send", killed)
    with pytest.raises(Killed):
        send_all(story)
    monkeypatch.undo()
    # Whoever comes next finds it held, until the lease has run out.
    send_all(story)
    assert len(story.mailbox.mails) == int(sent)
    story.clock.shift(LEASE)
    send_all(story)
    ids = [str(mail["Message-ID"]) for _, mail in story.mailbox.mails]
    assert len(ids) == 1 + int(sent)
    assert len(set(ids)) == 1
    assert set(story.heard()) == {STEPS[reach]}
    story.clock.shift(10 * LEASE)
    send_all(story)
    assert story.heard() == []


@pytest.mark.parametrize("reach", [reminder, escalation], ids=["reminder", "escalation"])
def test_whoever_owes_it_is_killed(
    story: Story, instrument: Instrument, monkeypatch: pytest.MonkeyPatch, reach: Reach
) -> None:
    """Step, plan and message are one transaction: half of it must not stand."""

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        # After the step was written, before its message is owed and the next reminder planned.
        patch.setattr(nagging, "deliveries_make" if reach is escalation else "owe", killed)
        with pytest.raises(Killed):
            reach(story, instrument)
    assert not IncidentChange.objects.filter(step__in=("reminded", "escalated")).exists()
    assert Incident.objects.get().escalated == 0
    story.tick()
    assert story.heard() == [STEPS[reach]]
    story.passes(MINUTE)
    assert story.heard() == []
