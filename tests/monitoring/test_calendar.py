"""The calendar of due dates: a person's own address of it, what it says, and how it ends."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from icalendar import Calendar

from instruments.models import Deployment, Instrument, Membership, Site
from instruments.mycirrus import Calibration as CalibrationRow
from instruments.tenancy import organisation_scope
from monitoring.models import CalendarFeed, Calibrator, Certificate, Tolerances
from monitoring.sync.ingest import calibrations_store
from tests.conftest import People, join, make_instrument

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
DAY = timedelta(days=1)
PAGE = "/o/harbour/checks/calendar/"


@pytest.fixture(autouse=True)
def _today() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def unit(people: People) -> Instrument:
    made = make_instrument(people.organisation, name='Gate, "north"; the\nlong one ' + "ü" * 80)
    with organisation_scope(people.organisation.pk):
        Tolerances.objects.create(organisation=people.organisation, calibration_days=30)
    calibrated(made, NOW - DAY)
    return made


def calibrated(unit: Instrument, at: datetime) -> None:
    row = CalibrationRow(
        serial=unit.serial, at=at, status="Success", level_db=93.7, offset_db=0.1, document={}
    )
    with organisation_scope(unit.organisation_id):
        calibrations_store(instrument=unit, rows=[row], now=NOW)


def certified(people: People, number: str, issued: date, due: date, **of: Any) -> None:
    Certificate.objects.create(
        organisation=people.organisation,
        number=number,
        laboratory="Laboratory",
        issued_on=issued,
        due_on=due,
        **of,
    )


def address(people: People, user: Any) -> str:
    client = people.client(user)
    assert client.post(PAGE, {"do": "make"}).status_code == 302
    page = client.get(PAGE).content.decode()
    found = page.partition('data-copy="')[2].partition('"')[0]
    return "/" + found.split("/", 3)[3]


def events(body: bytes) -> dict[str, Any]:
    return {str(event["uid"]): event for event in Calendar.from_ical(body).walk("VEVENT")}


def test_it_holds_due_dates_as_whole_days_with_ids_that_stay(people: People, unit: Instrument) -> None:
    with organisation_scope(people.organisation.pk):
        site = Site.objects.create(organisation=people.organisation, name="Quay")
        Deployment.objects.create(
            organisation=people.organisation, instrument=unit, site=site, start_at=NOW - 9 * DAY
        )
        calibrator = Calibrator.objects.create(organisation=people.organisation, serial="C1", model="CR:515")
        certified(people, "old", date(2023, 1, 1), date(2025, 1, 1), instrument=unit)
        certified(people, "new", date(2025, 1, 1), date(2027, 1, 1), instrument=unit)
        certified(people, "c", date(2026, 1, 1), date(2027, 2, 1), calibrator=calibrator)
    feed = address(people, people.bob)
    answer = Client().get(feed)
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    found = events(answer.content)
    assert len(found) == 3
    (uid,) = [each for each in found if each.startswith("calibration-")]
    event = found[uid]
    assert event.decoded("dtstart") == date(2026, 12, 25)
    assert event.decoded("dtend") == date(2026, 12, 26)
    assert b"DTSTART;VALUE=DATE:20261225" in answer.content
    # Commas, semicolons, quotes and line breaks come through, and no line is longer than 75 octets.
    assert str(event["summary"]) == f"Calibration due: {unit}"
    assert str(event["location"]) == "Quay"
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    assert answer.content.endswith(b"END:VCALENDAR\r\n")
    assert {str(each["summary"]) for each in found.values()} == {
        f"Calibration due: {unit}",
        f"Certificate expires: {unit}",
        "Certificate expires: CR:515 C1",
    }
    # The next calibration moves the event and adds none.
    calibrated(unit, NOW)
    moved = events(Client().get(feed).content)
    assert set(moved) == set(found)
    assert moved[uid].decoded("dtstart") == date(2026, 12, 26)


def test_an_unchanged_one_is_not_sent_again(people: People, unit: Instrument) -> None:
    feed = address(people, people.bob)
    first = Client().get(feed)
    assert first.headers["Cache-Control"] == "private, max-age=3600"
    with time_machine.travel(NOW + 5 * DAY, tick=False):
        second = Client().get(feed, headers={"if-none-match": first.headers["ETag"]})
        assert (second.status_code, second.content) == (304, b"")
    calibrated(unit, NOW)
    third = Client().get(feed, headers={"if-none-match": first.headers["ETag"]})
    assert third.status_code == 200


def test_a_wrong_address_is_not_found(people: People, unit: Instrument) -> None:
    feed = address(people, people.bob)
    head, _, token = feed.rstrip("/").rpartition("/")
    payload, _, signature = token.removesuffix(".ics").partition(":")
    for wrong in (
        f"{head}/{payload}:{'A' * len(signature)}.ics",
        f"{head}/{payload}.ics",
        f"{head}/x{token}",
        f"{head}/nothing.ics",
    ):
        assert Client().get(wrong).status_code == 404, wrong
    assert Client().get(feed).status_code == 200
    assert Client().post(feed).status_code == 405


def test_a_renewed_address_ends_the_old_one_and_stopping_ends_all(people: People, unit: Instrument) -> None:
    client, old = people.client(people.bob), address(people, people.bob)
    client.post(PAGE, {"do": "renew"})
    new = address(people, people.bob)
    assert new != old
    assert Client().get(old).status_code == 404
    assert Client().get(new).status_code == 200
    client.post(PAGE, {"do": "stop"})
    assert Client().get(new).status_code == 404


def test_it_dies_with_the_membership_and_comes_back_as_another(people: People, unit: Instrument) -> None:
    old = address(people, people.bob)
    with organisation_scope(people.organisation.pk):
        Membership.objects.get(user=people.bob).delete()
        assert not CalendarFeed.objects.exists()
    assert Client().get(old).status_code == 404
    join(people.organisation, people.bob, "viewer")  # type: ignore[arg-type]
    assert Client().get(old).status_code == 404
    new = address(people, people.bob)
    people.bob.is_active = False
    people.bob.save(update_fields=["is_active"])
    assert Client().get(new).status_code == 404


def test_each_member_has_an_address_of_their_own_and_each_organisation_a_calendar(
    people: People, unit: Instrument
) -> None:
    theirs = make_instrument(people.other, "QT000099")
    with organisation_scope(people.other.pk):
        Tolerances.objects.create(organisation=people.other, calibration_days=30)
    calibrated(theirs, NOW)
    assert address(people, people.bob) != address(people, people.alice)
    assert b"QT000099" not in Client().get(address(people, people.bob)).content


@pytest.mark.parametrize("many", [2, 40])
def test_a_fleet_of_any_size_costs_the_same(
    people: People, unit: Instrument, many: int, django_assert_num_queries: Any
) -> None:
    feed = address(people, people.bob)
    for number in range(many):
        each = make_instrument(people.organisation, f"QT10{number:04}")
        calibrated(each, NOW)
        with organisation_scope(people.organisation.pk):
            certified(people, "1", date(2026, 1, 1), date(2027, 1, 1), instrument=each)
    with django_assert_num_queries(4):
        assert len(events(Client().get(feed).content)) == 1 + 2 * many
