"""Pages of one instrument tell times in the zone of the place where it stood then, not in the organisation's."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from instruments.models import Deployment, Instrument, Site
from instruments.tenancy import organisation_scope
from monitoring.alerts.links import incident_link
from monitoring.models import AlertKind, AudioRecording, Incident, IncidentSubject, TimeHistoryRequest
from monitoring.timehistory.requests import history_request
from tests.conftest import People, make_instrument
from tests.monitoring.events.conftest import make_event
from tests.monitoring.test_compare import loud

# A quarter to six in the evening of Kathmandu, one o'clock in London.
NOON = datetime(2026, 6, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=30)


@pytest.fixture
def moved(people: People) -> Iterator[Instrument]:
    """A monitor of an organisation in London: in Kathmandu until the middle of July, in Tokyo since."""
    unit = make_instrument(people.organisation)
    with organisation_scope(people.organisation.pk):
        for name, zone, start, end in (
            ("Temple", "Asia/Kathmandu", NOON - timedelta(days=30), NOON + timedelta(days=20)),
            ("Tower", "Asia/Tokyo", NOON + timedelta(days=20), None),
        ):
            site = Site.objects.create(organisation=people.organisation, name=name, timezone=zone)
            Deployment.objects.create(
                organisation=people.organisation, instrument=unit, site=site, start_at=start, end_at=end
            )
        yield unit


def page(people: People, path: str) -> str:
    answer = people.client(people.mary).get(f"/o/harbour/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_event_and_its_trace_tell_the_clock_of_where_it_was_measured(
    people: People, moved: Instrument
) -> None:
    for at, clock, zone in ((NOON, "17:45:00", "Asia/Kathmandu"), (LATER, "21:00:00", "Asia/Tokyo")):
        event = make_event(moved, at)
        text = page(people, f"events/{event.pk}/")
        assert clock in text
        assert zone in text
        trace = people.client(people.bob).get(f"/o/harbour/events/{event.pk}/trace.json").json()
        assert trace["zone"] == zone


def test_a_list_tells_each_by_the_clock_of_where_it_happened(people: People, moved: Instrument) -> None:
    """Three zones in one list: each is named but the page's own, which its foot names."""
    here = make_instrument(people.organisation, "QT000002")
    for unit, at in ((moved, NOON), (moved, LATER), (here, NOON)):
        make_event(unit, at)
        AudioRecording.objects.create(
            organisation=people.organisation, instrument=unit, start_at=at, remote_id=f"{unit.pk}-{at}"
        )
    for path in ("events/", "recordings/"):
        text = re.sub(r"<[^>]*>", "", page(people, path))
        assert "22 Jun 2026, 17:45:00 +0545 (Asia/Kathmandu)" in text
        assert "22 Jul 2026, 21:00:00 JST (Asia/Tokyo)" in text
        assert re.search(r"22 Jun 2026, 13:00:00(?! \w+ \()", text)


def test_the_neighbours_of_an_event_are_those_of_the_list_it_was_opened_from(
    people: People, moved: Instrument
) -> None:
    # Half past midnight in Kathmandu, and still the day before in London, whose days the list has.
    before = make_event(moved, NOON.replace(hour=18, minute=45), name="E1")
    event = make_event(moved, NOON.replace(hour=18, minute=50), name="E2")
    narrowed = "start=2026-06-22&amp;end=2026-06-22"
    text = page(people, f"events/{event.pk}/?start=2026-06-22&end=2026-06-22")
    assert f'href="/o/harbour/events/{before.pk}/?{narrowed}"' in text


def test_a_recording_tells_the_clock_of_where_it_was_made(people: People, moved: Instrument) -> None:
    recording = AudioRecording.objects.create(
        organisation=people.organisation, instrument=moved, remote_id="a", start_at=NOON
    )
    text = page(people, f"recordings/{recording.pk}/")
    assert "17:45:00" in text
    assert "Asia/Kathmandu" in text


def test_a_time_history_tells_the_clock_of_where_it_was_measured(people: People, moved: Instrument) -> None:
    made: TimeHistoryRequest = history_request(
        instrument=moved,
        kind="noise",
        start=NOON,
        end=NOON + timedelta(hours=1),
        step_ms=1000,
        token=uuid.uuid4(),
        actor=people.mary,
        now=datetime.now(UTC),
    )
    text = page(people, f"history/{made.pk}/")
    assert "22 Jun 2026, 17:45" in text
    assert "Asia/Kathmandu" in text
    told = people.client(people.bob).get(f"/o/harbour/history/{made.pk}/levels.json").json()
    assert told["zone"] == "Asia/Kathmandu"
    # The form and the list beside it mean the clock of where the monitor stands now, and say so.
    assert "Times are in Asia/Tokyo" in page(people, f"i/{moved.serial}/history/")


@pytest.mark.parametrize("of_many", [False, True], ids=["of one", "of many"])
def test_an_incident_tells_the_clock_that_its_messages_tell(
    people: People, moved: Instrument, of_many: bool
) -> None:
    incident = Incident.objects.create(
        organisation=people.organisation,
        instrument=None if of_many else moved,
        kind=AlertKind.KEY if of_many else AlertKind.OFFLINE,
        title=moved.name,
        opened_at=NOON,
    )
    IncidentSubject.objects.create(
        organisation=people.organisation, incident=incident, instrument=moved, since_at=NOON
    )
    text = page(people, f"alerts/{incident.pk}/")
    assert "22 Jun 2026, 17:45" in text
    assert "Times are in Asia/Kathmandu" in text
    link = incident_link(
        organisation_id=people.organisation.pk, user_id=people.mary.pk, incident_id=incident.pk
    )
    answer = people.client(None).get(urlsplit(link).path)
    assert "22 Jun 2026, 17:45" in answer.content.decode()


def test_an_incident_of_no_instrument_tells_the_organisations_clock(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        incident = Incident.objects.create(
            organisation=people.organisation, kind=AlertKind.KEY, title="Main", opened_at=NOON
        )
    text = page(people, f"alerts/{incident.pk}/")
    assert "22 Jun 2026 13:00:00 (BST)" in text
    assert "Times are in Europe/London" in text


def test_a_comparison_tells_the_clock_of_its_first_instrument(people: People, moved: Instrument) -> None:
    loud(moved, NOON, 60.0)
    bob = people.client(people.bob)
    for query, zone in (
        ({"range": "24h"}, "Asia/Tokyo"),
        ({"from": "2026-06-22T00:00", "to": "2026-06-23T00:00"}, "Asia/Kathmandu"),
    ):
        told = bob.get("/o/harbour/compare.json", {**query, "i": moved.serial}).json()
        assert told["zone"] == zone
        text = bob.get("/o/harbour/compare/", {**query, "i": moved.serial}).content.decode()
        assert zone in text
    # The wall clock of the place, in the form and in the caption of the totals.
    assert 'value="2026-06-22T00:00"' in text
    assert "22 Jun 2026, 00:00 – 23 Jun 2026, 00:00" in text
    week = bob.get("/o/harbour/compare/", {**query, "i": moved.serial, "before": "7d"}).content.decode()
    assert "15 Jun 2026 – 16 Jun 2026" in week


def test_a_zone_is_not_named_twice(people: People) -> None:
    outside = people.client(people.bob).get("/accounts/email/").content.decode()
    assert "Times are in UTC<" in outside
    assert "Times are in Europe/London (" in page(people, "events/")
