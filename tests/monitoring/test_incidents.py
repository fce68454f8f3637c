"""From failed checks to incidents and owed messages: one incident for a cause, one message for a step and person."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from instruments.models import Instrument, Membership
from instruments.tenancy import organisation_scope
from monitoring.alerts.incidents import sics_judge
from monitoring.models import (
    AlertDelivery,
    Incident,
    IncidentChange,
    InstrumentStatus,
    SystemIntegrityCheck,
)
from tests.conftest import People
from tests.monitoring.failing import DAY, NIGHT, SEEN, arrive, asks, check

Step = IncidentChange.Step


def steps() -> list[tuple[str, datetime]]:
    return list(IncidentChange.objects.order_by("at", "pk").values_list("step", "at"))


def owed(step: Step | None = None) -> list[str]:
    """Who is owed a message of a failure, or of ``step``."""
    deliveries = AlertDelivery.objects.exclude(change__step=Step.CLOSED)
    if step is not None:
        deliveries = AlertDelivery.objects.filter(change__step=step)
    return sorted(deliveries.values_list("recipient__email", flat=True))


def test_a_failure_opens_one_incident_and_owes_each_who_asked_one_message(
    instrument: Instrument, people: People
) -> None:
    arrive(instrument, check(NIGHT - DAY, "Success", 98.4), check(NIGHT, level=62.1))
    (incident,) = Incident.objects.all()
    assert (incident.instrument, incident.opened_at, incident.closed_at) == (instrument, NIGHT, None)
    assert steps() == [(Step.OPENED, NIGHT)]
    assert owed() == ["alice@example.com", "bob@example.com"]
    facts = IncidentChange.objects.get().facts
    assert facts["status"] == "Failed"
    assert datetime.fromisoformat(facts["passed_before_at"]) == NIGHT - DAY
    assert facts["levels"][2] == {"frequency": "8 kHz", "level_db": 62.1, "before_db": 98.4}
    assert InstrumentStatus.objects.get().sic_passed is False
    with organisation_scope(people.other.pk):
        assert not Incident.objects.exists()
        assert not AlertDelivery.objects.exists()


def test_the_same_fact_again_changes_nothing(instrument: Instrument) -> None:
    for _ in range(3):
        arrive(instrument, check(NIGHT))
        # As another worker would judge what is stored already.
        sics_judge(
            instrument=instrument, checks=list(SystemIntegrityCheck.objects.all()), now=datetime.now(UTC)
        )
    arrive(instrument, check(NIGHT.replace(microsecond=207_497)))
    assert steps() == [(Step.OPENED, NIGHT)]
    assert len(owed()) == 2


def test_a_second_failure_joins_the_open_incident_and_is_told(instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT))
    arrive(instrument, check(NIGHT + DAY))
    assert Incident.objects.count() == 1
    assert steps() == [(Step.OPENED, NIGHT), (Step.REPEATED, NIGHT + DAY)]
    assert len(owed()) == 4


def test_a_later_pass_closes_it_and_the_next_failure_is_a_new_one(instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT))
    arrive(instrument, check(NIGHT + DAY, "Success"))
    (incident,) = Incident.objects.all()
    assert incident.closed_at == NIGHT + DAY
    assert steps() == [(Step.OPENED, NIGHT), (Step.CLOSED, NIGHT + DAY)]
    assert len(owed()) == 2
    # Recovery is told once, to those who had been told of the failure.
    assert owed(Step.CLOSED) == ["alice@example.com", "bob@example.com"]
    arrive(instrument, check(NIGHT + 2 * DAY))
    assert Incident.objects.count() == 2
    assert steps()[-1] == (Step.OPENED, NIGHT + 2 * DAY)
    assert len(owed()) == 4


def test_an_earlier_pass_does_not_close_it(instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT))
    arrive(instrument, check(NIGHT - timedelta(hours=1), "Success"))
    assert Incident.objects.get().closed_at is None


def test_no_word_that_is_unknown_opens_or_closes_anything(instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT, "InProgress"), check(NIGHT + timedelta(minutes=1), "Übernommen"))
    assert not Incident.objects.exists()
    assert not owed()
    arrive(instrument, check(NIGHT + DAY))
    arrive(instrument, check(NIGHT + 2 * DAY, "Unclear"), check(NIGHT + 2 * DAY + timedelta(minutes=1), ""))
    assert Incident.objects.get().closed_at is None
    assert SystemIntegrityCheck.objects.get(at=NIGHT + 2 * DAY).status == "Unclear"


def test_a_check_whose_end_comes_later_is_told_then(instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT, "InProgress", None))
    assert not owed()
    arrive(instrument, check(NIGHT, "Failed", 62.1))
    assert steps() == [(Step.OPENED, NIGHT)]
    assert len(owed()) == 2
    assert SystemIntegrityCheck.objects.get().level_8khz_db == 62.1


def test_a_failure_that_is_corrected_to_a_pass_closes_its_incident(instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT))
    arrive(instrument, check(NIGHT, "Success"))
    incident = Incident.objects.get()
    assert incident.closed_at is not None
    assert InstrumentStatus.objects.get().sic_passed is True


def test_history_wakes_nobody_but_how_it_stands_does(instrument: Instrument) -> None:
    year = [check(SEEN - number * DAY, "Failed" if number % 7 else "Success") for number in range(300, 0, -1)]
    arrive(instrument, *year)
    # The newest of them failed: that is how the monitor stands, and is told once.
    assert steps() == [(Step.OPENED, SEEN - DAY)]
    assert len(owed()) == 2


def test_history_that_ended_well_wakes_nobody(instrument: Instrument) -> None:
    arrive(
        instrument, *[check(SEEN - number * DAY) for number in range(30, 1, -1)], check(SEEN - DAY, "Success")
    )
    assert not Incident.objects.exists()
    assert not owed()


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_whatever_order_checks_arrive_each_failure_is_told_once(
    instrument: Instrument, order: tuple[int, ...]
) -> None:
    checks = [
        check(NIGHT),
        check(NIGHT + DAY, "Success"),
        check(NIGHT + 2 * DAY),
        check(NIGHT + 3 * DAY, "Success"),
    ]
    for place in order:
        arrive(instrument, checks[place])
    told = [at for step, at in steps() if step != Step.CLOSED]
    assert told == [NIGHT, NIGHT + 2 * DAY]
    assert len(owed()) == 4
    # At the end it stands well, and nothing is left open.
    assert not Incident.objects.filter(closed_at=None).exists()
    assert InstrumentStatus.objects.get().sic_passed is True


def test_whoever_left_or_was_shut_out_is_owed_nothing(instrument: Instrument, people: People) -> None:
    people.alice.is_active = False
    people.alice.save(update_fields=["is_active"])
    Membership.objects.get(user=people.bob).delete()
    arrive(instrument, check(NIGHT))
    assert Incident.objects.count() == 1
    assert owed() == []


def test_who_asks_after_a_failure_hears_of_the_next(instrument: Instrument, people: People) -> None:
    arrive(instrument, check(NIGHT))
    asks(people.organisation, people.mary)
    arrive(instrument, check(NIGHT))
    assert "mary@example.com" not in owed()
    arrive(instrument, check(NIGHT + DAY))
    assert owed().count("mary@example.com") == 1


def test_a_failure_that_cannot_be_stored_owes_nothing_and_one_that_is_owes_for_certain(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows, the incident and what is owed are one transaction."""

    def dies(*_: Any, **__: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("monitoring.alerts.incidents._recover", dies)
    with pytest.raises(RuntimeError):
        arrive(instrument, check(NIGHT))
    assert not SystemIntegrityCheck.objects.exists()
    assert not AlertDelivery.objects.exists()
    monkeypatch.undo()
    arrive(instrument, check(NIGHT))
    assert len(owed()) == 2
