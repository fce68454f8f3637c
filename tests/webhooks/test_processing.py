"""From a stored delivery to targets that are due: once in effect, never lost, never tried for ever."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Outcome, SyncTarget
from monitoring.sync.claims import due_claim, target_release
from monitoring.sync.clock import clock_noted
from tests.conftest import People
from tests.webhooks.conftest import (
    HOOK_ID,
    MEASUREMENT,
    SIC,
    due_resources,
    failing_updates,
    make_delivery,
    make_subscription,
    watched,
)
from webhooks.models import Delivery, Subscription
from webhooks.processing import ATTEMPTS, LEASE, delivery_claim, delivery_process
from webhooks.tasks import process

NOW = datetime.now(UTC)


@pytest.fixture
def processed(organisation: Organisation) -> Callable[..., Delivery]:
    """Store a body, process it, and give the row as it then stands."""

    def run(body: Any, *, now: datetime | None = None, **fields: Any) -> Delivery:
        delivery = make_delivery(organisation, body, **fields)
        with organisation_scope(organisation.pk):
            delivery_process(delivery_id=delivery.pk, now=now or datetime.now(UTC))
            return Delivery.objects.get(pk=delivery.pk)

    return run


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "resources"),
    [
        (MEASUREMENT, ["noise"]),
        ({**MEASUREMENT, "type": "InstrumentStatus", "online": False}, ["status"]),
        ({**MEASUREMENT, "type": "CalibrationFinished", "status": "Success"}, ["calibrations", "status"]),
        ({**MEASUREMENT, "type": "NewEvent"}, ["audio", "events"]),
        (SIC, ["sic", "status"]),
        # Names and types in another case, the serial under its other name, a byte order mark in front.
        ({"Type": "sicfinished", "SerialNumber": "QT000001"}, ["sic", "status"]),
        (b'\xef\xbb\xbf{"type": "NewMeasurement", "instrument": "QT000001"}', ["noise"]),
    ],
)
def test_a_message_makes_due_what_it_hints_at(
    organisation: Organisation,
    instrument: Instrument,
    processed: Callable[..., Delivery],
    body: Any,
    resources: list[str],
) -> None:
    assert due_resources(organisation) == []
    delivery = processed(body)
    assert due_resources(organisation) == resources
    assert delivery.state == Delivery.State.PROCESSED
    assert delivery.serial == "QT000001"
    assert delivery.processed_at is not None
    assert "Set off a fetch" in delivery.effect


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "due", "words"),
    [
        ("Noise", ["noise"], "Set off a fetch: Noise levels."),
        ("", ["noise"], "Set off a fetch: Noise levels."),
        ("AirQuality", ["gases", "particulates"], "Set off a fetch: Particulates; Gases."),
        ("Vibration", ["ppv", "vdv"], "Set off a fetch: Vibration, PPV; Vibration, VDV."),
    ],
)
def test_a_measurement_is_of_what_the_instrument_measures(
    organisation: Organisation, processed: Callable[..., Delivery], kind: str, due: list[str], words: str
) -> None:
    watched(organisation, type=kind)
    delivery = processed(MEASUREMENT)
    assert due_resources(organisation) == due
    assert delivery.effect == words


@pytest.mark.django_db
def test_what_is_not_fetched_for_this_instrument_is_said(
    organisation: Organisation, processed: Callable[..., Delivery]
) -> None:
    watched(organisation, type="Vibration")
    delivery = processed({**MEASUREMENT, "type": "NewEvent"})
    assert delivery.state == Delivery.State.IGNORED
    assert "type Vibration" in delivery.effect
    assert due_resources(organisation) == []


@pytest.mark.django_db
def test_a_webhook_is_noted_as_heard_by_its_newest_delivery(
    organisation: Organisation, instrument: Instrument, processed: Callable[..., Delivery]
) -> None:
    make_subscription(organisation)
    make_subscription(organisation, remote_id="another")
    processed(MEASUREMENT, received_at=NOW)
    # Processed later, arrived earlier.
    processed(MEASUREMENT, received_at=NOW - timedelta(hours=1))
    processed(MEASUREMENT, received_at=NOW, webhook_id="", signature="legacy", encoding="")
    with organisation_scope(organisation.pk):
        heard = dict(Subscription.objects.values_list("remote_id", "delivered_at"))
    assert heard == {HOOK_ID: NOW, "another": None}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "state", "words"),
    [
        ({**MEASUREMENT, "type": "FirmwareChanged"}, Delivery.State.IGNORED, "FirmwareChanged"),
        ({"type": "NewMeasurement"}, Delivery.State.FAILED, "names no instrument"),
        (b"no json", Delivery.State.FAILED, "not JSON"),
        (b"", Delivery.State.FAILED, "empty"),
        (b"[1]", Delivery.State.FAILED, "not an object"),
        (b"[" * 5000, Delivery.State.FAILED, "not JSON"),
        ({**MEASUREMENT, "type": "x" * 500, "instrument": "\x00" * 90}, Delivery.State.IGNORED, "xxxx"),
        ({**MEASUREMENT, "instrument": {"nested": True}}, Delivery.State.FAILED, "names no instrument"),
    ],
)
def test_what_cannot_be_acted_on_is_kept_and_explained(
    organisation: Organisation,
    instrument: Instrument,
    processed: Callable[..., Delivery],
    body: Any,
    state: str,
    words: str,
) -> None:
    delivery = processed(body)
    assert delivery.state == state
    assert words in delivery.effect
    assert len(delivery.body) > 0 or body == b""
    assert due_resources(organisation) == []


@pytest.mark.django_db
def test_an_unknown_serial_asks_for_the_instrument_list(
    organisation: Organisation, instrument: Instrument, processed: Callable[..., Delivery]
) -> None:
    delivery = processed({**MEASUREMENT, "instrument": "QT999999"})
    assert due_resources(organisation) == ["instruments"]
    assert "No instrument QT999999 is known here" in delivery.effect
    assert delivery.state == Delivery.State.PROCESSED


@pytest.mark.django_db
def test_a_legacy_notification_is_a_hint_and_its_test_is_not(
    organisation: Organisation, instrument: Instrument, processed: Callable[..., Delivery]
) -> None:
    legacy = {"text": "Noise Alert", "name": "MyCirrus", "instrument": "Test", "raw": None}
    delivery = processed(legacy, signature="legacy", encoding="")
    assert delivery.state == Delivery.State.IGNORED
    assert due_resources(organisation) == []
    delivery = processed({**legacy, "instrument": "QT000001"}, signature="legacy", encoding="")
    assert delivery.state == Delivery.State.PROCESSED
    assert due_resources(organisation) == ["noise", "status"]


@pytest.mark.django_db
def test_a_message_for_one_organisation_moves_nothing_in_another(
    people: People, processed: Callable[..., Delivery]
) -> None:
    watched(people.organisation)
    watched(people.other)
    processed(SIC)
    assert due_resources(people.organisation) == ["sic", "status"]
    assert due_resources(people.other) == []


@pytest.mark.django_db(transaction=True)
def test_the_same_message_twice_is_fetched_once(
    organisation: Organisation, instrument: Instrument, processed: Callable[..., Delivery]
) -> None:
    first, second = processed(SIC), processed(SIC)
    assert first.state == second.state == Delivery.State.PROCESSED
    with organisation_scope(organisation.pk):
        # And the task that rings twice for one delivery finds nothing to do.
        assert delivery_process(delivery_id=first.pk, now=datetime.now(UTC)) is None
        first.refresh_from_db()
    assert first.attempts == 1
    now = datetime.now(UTC)
    assert len(due_claim(now=now)) == 2
    assert due_claim(now=now) == []


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_between_claim_and_end_is_followed_by_another(
    organisation: Organisation, instrument: Instrument
) -> None:
    delivery = make_delivery(organisation, SIC, now=NOW)
    with organisation_scope(organisation.pk):
        assert delivery_claim(delivery_id=delivery.pk, now=NOW) is not None
        # While the lease lasts nobody else touches it; afterwards it is simply due.
        assert delivery_process(delivery_id=delivery.pk, now=NOW + LEASE / 2) is None
        assert not Delivery.objects.due(NOW + LEASE / 2).exists()
        later = NOW + LEASE + timedelta(seconds=1)
        assert Delivery.objects.due(later).exists()
        effect = delivery_process(delivery_id=delivery.pk, now=later)
        assert effect is not None
        assert effect.fetch
        delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (Delivery.State.PROCESSED, 2)
    assert due_resources(organisation, later) == ["sic", "status"]


@pytest.mark.django_db(transaction=True)
def test_a_message_that_kills_every_worker_is_given_up(organisation: Organisation) -> None:
    delivery = make_delivery(organisation, SIC, now=NOW)
    with organisation_scope(organisation.pk):
        now = NOW
        for _ in range(5):
            assert delivery_claim(delivery_id=delivery.pk, now=now) is not None
            now += LEASE
        delivery_process(delivery_id=delivery.pk, now=now)
        delivery.refresh_from_db()
        assert not Delivery.objects.due(now + timedelta(days=9)).exists()
    assert delivery.state == Delivery.State.FAILED
    assert "Given up" in delivery.effect


@pytest.mark.django_db(transaction=True)
def test_a_failure_leaves_its_receipt_and_no_half_effect(
    organisation: Organisation, instrument: Instrument
) -> None:
    delivery = make_delivery(organisation, SIC, now=NOW)
    now = NOW
    waits = []
    with organisation_scope(organisation.pk), failing_updates("monitoring_synctarget"):
        for _ in range(5):
            delivery_process(delivery_id=delivery.pk, now=now)
            delivery.refresh_from_db()
            waits.append(delivery.due_at - now)
            assert "SELECT" not in delivery.effect
            now = max(delivery.due_at, now)
    assert waits[:4] == sorted(waits[:4])
    assert waits[0] >= timedelta(seconds=10)
    assert (delivery.state, delivery.attempts) == (Delivery.State.FAILED, 5)
    assert "Given up after 5 attempts" in delivery.effect
    assert due_resources(organisation) == []


@pytest.mark.django_db(transaction=True)
def test_the_databases_own_trouble_takes_no_attempt_of_the_message(
    organisation: Organisation, instrument: Instrument
) -> None:
    delivery = make_delivery(organisation, SIC, now=NOW)
    now = NOW
    with organisation_scope(organisation.pk):
        with failing_updates("monitoring_synctarget", database_in_trouble=True):
            for _ in range(ATTEMPTS + 2):
                assert delivery_process(delivery_id=delivery.pk, now=now) is None
                delivery.refresh_from_db()
                assert (delivery.state, delivery.attempts) == (Delivery.State.RECEIVED, 0)
                assert delivery.due_at > now
                now = delivery.due_at
        assert delivery_process(delivery_id=delivery.pk, now=now) is not None
    assert due_resources(organisation, now) == ["sic", "status"]


@pytest.mark.django_db(transaction=True)
def test_what_failed_for_a_while_takes_effect_afterwards(
    organisation: Organisation, instrument: Instrument
) -> None:
    delivery = make_delivery(organisation, SIC, now=NOW)
    with organisation_scope(organisation.pk):
        with failing_updates("monitoring_synctarget"):
            delivery_process(delivery_id=delivery.pk, now=NOW)
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.RECEIVED
        assert "tried again" in delivery.effect
        assert delivery_process(delivery_id=delivery.pk, now=delivery.due_at) is not None
    assert due_resources(organisation, delivery.due_at) == ["sic", "status"]


@pytest.mark.django_db(transaction=True)
def test_the_task_opens_its_organisation_and_never_anothers(people: People) -> None:
    watched(people.organisation)
    watched(people.other)
    ours, theirs = make_delivery(people.organisation, SIC), make_delivery(people.other, SIC)
    process(people.organisation.pk, ours.pk, theirs.pk)
    # Handed on at once: what was hinted at is held for a worker, before every poll.
    with organisation_scope(people.organisation.pk):
        hinted = SyncTarget.objects.hinted().filter(lease_until__gt=NOW)
        assert sorted(hinted.values_list("resource", flat=True)) == ["sic"]
    assert due_resources(people.other) == []
    with organisation_scope(people.other.pk):
        assert not SyncTarget.objects.hinted().exists()
        theirs.refresh_from_db()
    assert theirs.state == Delivery.State.RECEIVED


@pytest.mark.django_db(transaction=True)
def test_a_hint_that_arrives_during_a_fetch_is_not_lost(
    organisation: Organisation, instrument: Instrument, processed: Callable[..., Delivery]
) -> None:
    processed(SIC)
    claims = due_claim(now=datetime.now(UTC))
    held = [claim.target_id for claim in claims]
    assert len(held) == 2
    with organisation_scope(organisation.pk):
        before = SyncTarget.objects.in_bulk(held)
        processed(SIC)
        after = SyncTarget.objects.in_bulk(held)
        for pk in held:
            # The turn that is under way writes its next due time only where nobody rang meanwhile.
            assert after[pk].due_at > before[pk].due_at
            target_release(
                target=before[pk],
                outcome=Outcome.OK,
                due_at=NOW + timedelta(days=1),
                now=datetime.now(UTC),
            )
    assert due_resources(organisation) == ["sic", "status"]


@pytest.mark.django_db
def test_a_clock_that_was_turned_back_keeps_no_message_waiting(organisation: Organisation) -> None:
    now = datetime.now(UTC)
    delivery = make_delivery(organisation, now=now + timedelta(hours=1))
    with organisation_scope(organisation.pk):
        assert not Delivery.objects.due(now).exists()
        clock_noted(before=now + timedelta(hours=1), now=now)
        assert list(Delivery.objects.due(now)) == [delivery]
