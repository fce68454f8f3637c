"""A webhook that says nothing although data came is noticed; one with nothing to say is not."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from cirrusweb import doctor
from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import (
    ActionKind,
    ActionState,
    Event,
    InstrumentAction,
    InstrumentStatus,
    ParticulateSample,
)
from tests.conftest import People, make_instrument, make_key
from webhooks.models import Subscription
from webhooks.silence import Silent, is_silent, silent_webhooks

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
minutes = st.integers(0, 10_000).map(lambda each: timedelta(minutes=each))


@given(minutes, minutes)
def test_the_longer_of_a_quarter_of_an_hour_and_three_periods_is_waited_for(
    ahead: timedelta, period: timedelta
) -> None:
    longest = max(timedelta(minutes=15), 3 * period)
    assert is_silent(stored_until=NOW + ahead, period=period, heard_at=NOW) is (ahead > longest)


@given(minutes, minutes, minutes, minutes)
def test_what_ended_while_nobody_listened_is_taken_off(
    ahead: timedelta, start: timedelta, length: timedelta, period: timedelta
) -> None:
    """Minute by minute, and with a second stretch that lies before and behind it all."""
    deaf = [(NOW + start, NOW + start + length), (NOW - MINUTE, NOW), (NOW + ahead, NOW + ahead + MINUTE)]
    listened = sum(not start <= at < start + length for at in (n * MINUTE for n in range(ahead // MINUTE)))
    said = is_silent(stored_until=NOW + ahead, period=period, heard_at=NOW, deaf=deaf)
    assert said is (listened * MINUTE > max(15 * MINUTE, 3 * period))


def hooked(owner: Organisation, serial: str, **fields: Any) -> Instrument:
    """An instrument whose measurements a webhook in place announces."""
    instrument = make_instrument(owner, serial, type=fields.pop("kind", "Noise"))
    with organisation_scope(owner.pk):
        Subscription.objects.create(
            organisation=owner,
            remote_id=f"hook-{serial}",
            type=fields.pop("type", "NewMeasurement"),
            serial=serial,
            ciphertext="x",
            created_by_us=True,
            **{"registered_at": NOW - timedelta(days=9), **fields},
        )
    return instrument


def measured(instrument: Instrument, at: datetime, seconds: int = 900) -> None:
    """Its newest stored measurement ends at ``at``."""
    start = at - timedelta(seconds=seconds)
    with organisation_scope(instrument.organisation_id):
        InstrumentStatus.objects.create(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            level_at=start,
            level_seconds=seconds,
            changed_at=at,
        )


def silent(owner: Organisation, now: datetime = NOW) -> list[Silent]:
    with organisation_scope(owner.pk):
        return silent_webhooks(now=now)


@pytest.mark.django_db
@pytest.mark.usefixtures("beats")
def test_data_that_no_webhook_announced_is_noticed(organisation: Organisation) -> None:
    hour = timedelta(hours=1)
    measured(hooked(organisation, "QT1", delivered_at=NOW - 2 * hour), NOW)
    # Heard with its last measurement: it is the instrument that is silent.
    measured(hooked(organisation, "QT2", delivered_at=NOW - 9 * hour), NOW - 9 * hour)
    # Three periods are not over.
    measured(hooked(organisation, "QT3", delivered_at=NOW - 3 * hour), NOW, seconds=3600)
    # What was measured before it was registered nobody could announce.
    measured(hooked(organisation, "QT4", registered_at=NOW - hour / 6), NOW)
    # Never heard at all.
    measured(hooked(organisation, "QT5"), NOW)
    # Not ours, or not in place.
    measured(hooked(organisation, "QT6", state=Subscription.State.REMOVED), NOW)
    hooked(organisation, "QT7")
    found = {row.serial: row.heard_at for row in silent(organisation)}
    assert found == {"QT1": NOW - 2 * hour, "QT5": None}


@pytest.mark.django_db
@pytest.mark.usefixtures("beats")
def test_other_than_noise_is_looked_up_in_its_own_series(organisation: Organisation) -> None:
    instrument = hooked(organisation, "AQ1", kind="AirQuality", delivered_at=NOW - timedelta(hours=1))
    assert silent(organisation) == []
    with organisation_scope(organisation.pk):
        ParticulateSample.objects.create(
            organisation=organisation,
            instrument=instrument,
            start_at=NOW - timedelta(minutes=1),
            duration_s=60,
        )
        # Nobody announces what a clock that was set ahead says.
        ParticulateSample.objects.create(
            organisation=organisation, instrument=instrument, start_at=NOW + timedelta(days=365)
        )
    (found,) = silent(organisation)
    assert (found.serial, found.stored_until) == ("AQ1", NOW)


HOUR = timedelta(hours=1)


def happened(instrument: Instrument, type_: str, at: datetime) -> None:
    """The newest of what a webhook of ``type_`` announces."""
    mine: Any = {"organisation_id": instrument.organisation_id, "instrument": instrument}
    if type_ == "NewEvent":
        Event.objects.create(**mine, start_at=at, name="85 dB")
        # Nobody announces what a clock that was set ahead says.
        Event.objects.create(**mine, start_at=at + timedelta(days=365), name="85 dB")
    elif type_ == "InstrumentStatus":
        InstrumentStatus.objects.create(**mine, online_since_at=at, changed_at=at)
    else:
        kind = ActionKind.SIC if type_ == "SicFinished" else ActionKind.CALIBRATION
        common = {"kind": kind, "requested_at": at, "due_at": at, "result_at": at, "finished_at": at}
        InstrumentAction.objects.create(**mine, **common, token=uuid.uuid4(), state=ActionState.SUCCEEDED)
        # A failure is told at once, and stored nowhere else.
        InstrumentAction.objects.create(
            **mine, **{**common, "result_at": None}, token=uuid.uuid4(), state=ActionState.FAILED
        )


@pytest.mark.django_db
@pytest.mark.usefixtures("beats")
@pytest.mark.parametrize("type_", ["NewEvent", "InstrumentStatus", "SicFinished", "CalibrationFinished"])
def test_what_happened_and_was_not_announced_is_noticed(organisation: Organisation, type_: str) -> None:
    told = {
        # Heard of hours before it, or never.
        "QT1": (NOW - 5 * HOUR, NOW - HOUR),
        "QT2": (None, NOW - HOUR),
        # Heard with it, heard after it, or it may still come.
        "QT3": (NOW - HOUR, NOW - HOUR),
        "QT4": (NOW - HOUR / 2, NOW - HOUR),
        "QT5": (NOW - 5 * HOUR, NOW - HOUR / 5),
        # From before there was a webhook.
        "QT6": (None, NOW - timedelta(days=10)),
    }
    with organisation_scope(organisation.pk):
        for serial, (heard_at, at) in told.items():
            happened(hooked(organisation, serial, type=type_, delivered_at=heard_at), type_, at)
    found = [(row.serial, row.type, row.heard_at, row.stored_until) for row in silent(organisation)]
    assert sorted(found, key=lambda row: row[0]) == [
        (serial, type_, *told[serial]) for serial in ("QT1", "QT2")
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("beats")
@pytest.mark.parametrize("heard_before", [0.5, 5.0])
def test_a_larger_fleet_costs_the_same_queries(organisation: Organisation, heard_before: float) -> None:
    """Where none is silent, however long ago it had anything to say; and where all are."""

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert bool(silent(organisation)) is (heard_before > 1)
        return len(queries)

    costs = []
    for numbers in (range(3), range(3, 30)):
        with organisation_scope(organisation.pk):
            for number in numbers:
                unit = hooked(
                    organisation, f"QT{number}", type="NewEvent", delivered_at=NOW - heard_before * HOUR
                )
                happened(unit, "NewEvent", NOW - HOUR)
        costs.append(cost())
    assert costs[0] == costs[1]


@pytest.mark.django_db
@pytest.mark.usefixtures("beats")
def test_what_was_uploaded_late_is_announced_late(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        unit = hooked(organisation, "QT1", type="NewEvent", delivered_at=NOW - 9 * HOUR)
        happened(unit, "NewEvent", NOW - 5 * HOUR)
        back = InstrumentStatus.objects.create(
            organisation=organisation, instrument=unit, online_since_at=NOW - HOUR / 6, changed_at=NOW
        )
        assert silent(organisation) == []
        back.online_since_at = NOW - HOUR
        back.save()
        assert [row.serial for row in silent(organisation)] == ["QT1"]


@pytest.mark.django_db
@pytest.mark.usefixtures("beats")
def test_it_is_shown_on_both_pages_and_to_nobody_else(people: People) -> None:
    now = timezone.now()
    instrument = hooked(people.organisation, "QT1", delivered_at=now - timedelta(hours=2))
    make_key(people.organisation)
    measured(instrument, now)
    bob = people.client(people.bob)
    for name in ("inbox", "registration"):
        page = bob.get(reverse(f"webhooks:{name}", args=["harbour"])).content.decode()
        assert "1 webhook keeps silent." in page
        theirs = people.client(people.charlie).get(reverse(f"webhooks:{name}", args=["quarry"]))
        assert "keeps silent" not in theirs.content.decode()
    found = [finding for finding in doctor.registrations(now) if finding.level == doctor.WARN]
    assert [finding.what for finding in found] == ["webhooks harbour"]
    assert "1 webhook keeps silent." in found[0].message
    assert found[0].advice.endswith("/o/harbour/webhooks/registration/#silent-title")
