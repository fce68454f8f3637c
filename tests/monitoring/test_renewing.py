"""Pages that stay open: what is new comes by itself, what is not costs next to nothing, and nobody hears of others."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from instruments.models import Deployment, Instrument, Site
from instruments.tenancy import organisation_scope
from monitoring.boards import BOARDS, board_version
from monitoring.check_standings import standing_refresh
from monitoring.models import (
    AudioRecording,
    Certificate,
    CheckStanding,
    DoubtReview,
    Event,
    EventTag,
    InstrumentStatus,
    Tolerances,
)
from tests.conftest import People, make_instrument
from tests.monitoring.test_boards import certificate, checked

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    """No monitor falls silent and no quarter of an hour begins between two looks."""
    with time_machine.travel(NOW, tick=False):
        yield


HTMX = {"HX-Request": "true"}


def polled(text: str, part: str) -> str:
    """The address that the part polls, as its page or fragment has it."""
    found = re.search(rf'id="{part}"[^>]*? hx-get="([^"]*)"', text)
    assert found, part
    return found[1].replace("&amp;", "&")


def cost(client: Client, address: str, status: int) -> int:
    """How many queries the poll of ``address`` takes."""
    client.get(address, headers=HTMX)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address, headers=HTMX)
    assert answer.status_code == status
    return len(queries)


@pytest.mark.parametrize("kind", list(BOARDS))
def test_a_board_without_news_costs_session_member_and_a_count_for_any_fleet(
    people: People, kind: str
) -> None:
    client, page = people.client(people.bob), f"/o/harbour/checks/{kind}/?text=Monitor"
    for size in (2, 30):
        for number in range(size):
            unit = make_instrument(people.organisation, f"QT{size:03}{number:03}")
            if number < 2:
                checked(unit, [98.3] * 4)
        address = polled(client.get(page).content.decode(), "check-board")
        assert "text=Monitor" in address
        assert cost(client, address, 204) == 3


def test_a_board_with_news_is_put_in_place_and_leaves_the_address_alone(people: People) -> None:
    unit = make_instrument(people.organisation)
    checked(unit, [98.3] * 4)
    client = people.client(people.bob)
    page = client.get("/o/harbour/checks/sics/?state=good").content.decode()
    address = polled(page, "check-board")
    checked_later(unit)
    answer = client.get(address, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "HX-Push-Url" not in answer
    assert text.lstrip().startswith('<div id="check-board"')
    assert 'data-announce="1 instrument needs attention"' in text
    assert client.get(polled(text, "check-board"), headers=HTMX).status_code == 204
    # Without htmx the same address is a page.
    assert "<html" in client.get(address).content.decode()


def checked_later(unit: Instrument) -> None:
    """What came last is forgotten, and the next SIC fails."""
    with organisation_scope(unit.organisation_id):
        from monitoring.models import SystemIntegrityCheck

        SystemIntegrityCheck.objects.all().delete()
    checked(unit, [98.3] * 4, passed=False)


def test_nobody_polls_a_board_of_others_and_who_is_signed_out_signs_in(people: People) -> None:
    make_instrument(people.organisation)
    address = polled(people.client(people.bob).get("/o/harbour/checks/sics/").content.decode(), "check-board")
    assert people.client(people.charlie).get(address, headers=HTMX).status_code == 404
    headers = HTMX | {"HX-Current-URL": "http://testserver/o/harbour/checks/sics/?state=good"}
    answer = people.client(None).get(address, headers=headers)
    assert answer.status_code == 204
    assert answer["HX-Redirect"].endswith("?next=%2Fo%2Fharbour%2Fchecks%2Fsics%2F%3Fstate%3Dgood")


WRITES: dict[str, Callable[[Instrument], Any]] = {
    "a check": lambda unit: standing_refresh(instrument=unit),
    "a name": lambda unit: Instrument.objects.update(name="Quay"),
    "one that is gone": lambda unit: Instrument.objects.update(gone_at=NOW),
    "one more": lambda unit: make_instrument(unit.organisation, "QT2"),
    "one less": lambda unit: unit.delete(),
    "a certificate": lambda unit: certificate(unit, NOW.date()),
    "no certificate": lambda unit: Certificate.objects.first().delete(),  # type: ignore[union-attr]
    "a tolerance": lambda unit: Tolerances.objects.create(organisation=unit.organisation),
    "a review": lambda unit: DoubtReview.objects.create(
        organisation=unit.organisation, instrument=unit, found_at=NOW, reviewed_at=NOW
    ),
    "a limit": lambda unit: CheckStanding.objects.update(sic_limit_at=NOW),
    "a site": lambda unit: Site.objects.update(name="Quay"),
    "a move": lambda unit: Deployment.objects.update(end_at=NOW),
}
NO_WRITES: dict[str, Callable[[Instrument], Any]] = {
    "a level": lambda unit: InstrumentStatus.objects.update(LAeq=71.0, changed_at=NOW + timedelta(hours=1)),
    "a list": lambda unit: Instrument.objects.update(seen_at=NOW, standing=3, latitude=1.0),
    "the same name": lambda unit: Instrument.objects.update(name="Monitor QT000001"),
    "a photo": lambda unit: Site.objects.update(notes="Ring twice."),
}


@pytest.mark.parametrize("name", [*WRITES, *NO_WRITES])
def test_the_count_moves_with_what_a_board_shows_and_only_then(people: People, name: str) -> None:
    for owner in (people.other, people.organisation):
        unit = make_instrument(owner)
        checked(unit, [98.3] * 4)
        certificate(unit, NOW.date() + timedelta(days=9), number="U-1")
        with organisation_scope(owner.pk):
            InstrumentStatus.objects.create(organisation=owner, instrument=unit, changed_at=NOW)
            site = Site.objects.create(organisation=owner, name="Harbour Road")
            Deployment.objects.create(
                organisation=owner, instrument=unit, site=site, start_at=NOW - timedelta(days=1)
            )
    with organisation_scope(people.other.pk):
        others = board_version(now=NOW)
    with organisation_scope(people.organisation.pk):
        before = board_version(now=NOW)
        {**WRITES, **NO_WRITES}[name](unit)
        assert (board_version(now=NOW) != before) == (name in WRITES)
        # What comes by time alone is looked at every quarter of an hour.
        assert board_version(now=NOW) != board_version(now=NOW + timedelta(minutes=15))
    with organisation_scope(people.other.pk):
        assert board_version(now=NOW) == others


EVENTS = "/o/harbour/events/"


def happened(unit: Instrument, minutes: float, **fields: Any) -> Event:
    """An event so many minutes ago."""
    with organisation_scope(unit.organisation_id):
        return Event.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            start_at=NOW - timedelta(minutes=minutes),
            level_db=71.0,
            **fields,
        )


def rows_of(text: str) -> list[int]:
    """The keys of the events that a list shows, in its order."""
    return [int(key) for key in re.findall(r'data-row href="[^"]*/events/(\d+)/', text)]


def test_new_events_are_told_above_the_list_and_move_no_row(people: People) -> None:
    unit = make_instrument(people.organisation)
    made = [happened(unit, minutes) for minutes in (10, 20, 30)]
    client = people.client(people.bob)
    page = client.get(EVENTS).content.decode()
    assert "event-news" not in page
    address = polled(page, "event-list")
    assert client.get(address, headers=HTMX).status_code == 204
    # One at the top, and one that arrives late between two others.
    fresh, late = happened(unit, 1), happened(unit, 15)
    happened(make_instrument(people.other), 1)
    answer = client.get(address, headers=HTMX)
    text = answer.content.decode()
    assert rows_of(text) == [event.pk for event in made]
    assert "2 new events: show" in text
    assert 'data-tab="(2) Events"' in text
    assert client.get(polled(text, "event-list"), headers=HTMX).status_code == 204
    shown = client.get(f"{EVENTS}?", headers=HTMX).content.decode()
    assert shown.lstrip().startswith('<div id="events-shown"')
    assert rows_of(shown) == [fresh.pk, made[0].pk, late.pk, made[1].pk, made[2].pk]
    assert "timeline-heading" in shown


def test_what_a_colleague_says_of_an_event_comes_and_the_event_stays_though_no_filter_finds_it(
    people: People,
) -> None:
    unit = make_instrument(people.organisation)
    made = [happened(unit, minutes) for minutes in (10, 20)]
    client = people.client(people.bob)
    address = polled(client.get(EVENTS, {"cause": "-"}).content.decode(), "event-list")
    with organisation_scope(people.organisation.pk):
        EventTag.objects.create(
            organisation=people.organisation, event=made[0], cause="Road traffic", changed_at=NOW
        )
    text = client.get(address, headers=HTMX).content.decode()
    assert rows_of(text) == [event.pk for event in made]
    assert "Road traffic" in text
    address = polled(text, "event-list")
    with organisation_scope(people.organisation.pk):
        Instrument.objects.update(name="Quay Wall")
    assert "Quay Wall" in client.get(address, headers=HTMX).content.decode()
    assert "event-news" not in text
    # What is set aside, or is of another organisation, is no news of this list either.
    happened(unit, 1)
    assert "1 new event: show" in client.get(address, headers=HTMX).content.decode()
    others = people.client(people.charlie)
    assert others.get(address, headers=HTMX).status_code == 404
    assert rows_of(others.get(address.replace("harbour", "quarry"), headers=HTMX).content.decode()) == []
    answer = people.client(None).get(address, headers=HTMX)
    assert (answer.status_code, "HX-Redirect" in answer) == (204, True)


def test_a_list_without_news_costs_the_same_for_any_number_of_events(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, client = make_instrument(people.organisation), people.client(people.bob)
    costs = []
    for count in (3, 120):
        for number in range(count):
            happened(unit, count * 10 + number)
        text = client.get(EVENTS).content.decode()
        costs.append(cost(client, polled(text, "event-list"), 204))
    # Session and member, what is shown, and how many more there are.
    assert costs == [4, 4]
    # What is older than a full page is no news of it.
    happened(unit, 10_000)
    assert client.get(polled(text, "event-list"), headers=HTMX).status_code == 204
    # A page further down hears of nothing above it.
    (older,) = re.findall(r'rel="next" href="([^"]*)"', text)
    below = polled(client.get(EVENTS + older.replace("&amp;", "&")).content.decode(), "event-list")
    happened(unit, 0)
    assert client.get(below, headers=HTMX).status_code == 204
    monkeypatch.setattr("monitoring.views.happenings.MOST_NEWS", 1)
    assert "1 new events or more" in client.get(polled(text, "event-list"), headers=HTMX).content.decode()
    for odd in ("", "x", "1,,2", "9" * 5000, "1\0"):
        asked = {"shown": odd, "version": "x"}
        assert client.get(EVENTS, asked, headers=HTMX).status_code == 200


def test_in_another_order_news_are_told_where_they_would_stand_and_move_no_row(people: People) -> None:
    unit = make_instrument(people.organisation)
    made = [happened(unit, minutes) for minutes in range(60)]
    with organisation_scope(people.organisation.pk):
        for number, event in enumerate(made):
            Event.objects.filter(pk=event.pk).update(level_db=30.0 + number)
    client = people.client(people.bob)
    page = client.get(EVENTS, {"sort": "loudest"}).content.decode()
    rows = [event.pk for event in reversed(made[10:])]
    assert rows_of(page) == rows
    address = polled(page, "event-list")
    assert "sort=loudest" in address
    # Quieter than the last of a full page, or without a level.
    happened(unit, 0.1)
    with organisation_scope(people.organisation.pk):
        Event.objects.filter(level_db=71.0, start_at__gt=made[0].start_at - timedelta(minutes=1)).exclude(
            pk__in=[event.pk for event in made]
        ).update(level_db=None)
    assert client.get(address, headers=HTMX).status_code == 204
    assert cost(client, address, 204) == 4
    loud = happened(unit, 500)
    with organisation_scope(people.organisation.pk):
        # What is corrected stays where it is, too.
        Event.objects.filter(pk=rows[0]).update(level_db=31.0)
    text = client.get(address, headers=HTMX).content.decode()
    assert "1 new event: show" in text
    assert rows_of(text) == rows
    assert client.get(polled(text, "event-list"), headers=HTMX).status_code == 204
    (link,) = re.findall(r'id="event-news"[^>]* href="([^"]*)"', text)
    assert "sort=loudest" in link
    assert loud.pk in rows_of(client.get(link.replace("&amp;", "&"), headers=HTMX).content.decode())


RECORDINGS = "/o/harbour/recordings/"


def recorded(unit: Instrument, minutes: float, **fields: Any) -> AudioRecording:
    """A recording so many minutes ago."""
    with organisation_scope(unit.organisation_id):
        return AudioRecording.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            start_at=NOW - timedelta(minutes=minutes),
            remote_id=str(minutes),
            **fields,
        )


def test_new_recordings_are_told_above_their_list_and_move_no_row(people: People) -> None:
    def rows(text: str) -> list[int]:
        return [int(key) for key in re.findall(r'data-row href="[^"]*/recordings/(\d+)/', text)]

    unit, client = make_instrument(people.organisation), people.client(people.bob)
    costs = []
    for count in (3, 60):
        made = [recorded(unit, count * 10 + number, trigger_name="Default") for number in range(count)]
        address = polled(client.get(RECORDINGS, {"name": "Default"}).content.decode(), "recording-list")
        costs.append(cost(client, address, 204))
    assert costs == [4, 4]
    shown = rows(client.get(address.partition("&")[0]).content.decode())
    assert len(shown) == 50
    fresh = recorded(unit, 1, trigger_name="Default")
    recorded(unit, 1.5, trigger_name="Loud")
    recorded(make_instrument(people.other), 1, trigger_name="Default")
    # Older than what a full page shows.
    recorded(unit, 10_000, trigger_name="Default")
    text = client.get(address, headers=HTMX).content.decode()
    assert text.lstrip().startswith('<div id="recording-list"')
    assert rows(text) == shown
    assert "1 new recording: show" in text
    assert 'data-tab="(1) Recordings"' in text
    assert client.get(polled(text, "recording-list"), headers=HTMX).status_code == 204
    (link,) = re.findall(r'id="recording-news"[^>]* href="([^"]*)"', text)
    assert rows(client.get(link, headers=HTMX).content.decode())[:2] == [fresh.pk, shown[0]]
    # Its end comes later, and a monitor is given another name.
    with organisation_scope(people.organisation.pk):
        AudioRecording.objects.filter(pk=made[0].pk).update(end_at=NOW)
        Instrument.objects.update(name="Quay Wall")
    assert "Quay Wall" in client.get(polled(text, "recording-list"), headers=HTMX).content.decode()
    others = people.client(people.charlie)
    assert others.get(address, headers=HTMX).status_code == 404
    assert rows(others.get(address.replace("harbour", "quarry"), headers=HTMX).content.decode()) == []
    assert "HX-Redirect" in people.client(None).get(address, headers=HTMX)
    # Without htmx the same address is a page.
    assert "<html" in client.get(address).content.decode()


def test_an_instruments_newest_events_come_by_themselves(people: People) -> None:
    unit, client = make_instrument(people.organisation), people.client(people.bob)
    happened(unit, 10)
    address = polled(client.get("/o/harbour/i/QT000001/").content.decode(), "instrument-events")
    assert cost(client, address, 204) == 4
    happened(unit, 1, name="Night")
    text = client.get(address, headers=HTMX).content.decode()
    assert text.lstrip().startswith('<section id="instrument-events"')
    assert "Night" in text
    assert client.get(polled(text, "instrument-events"), headers=HTMX).status_code == 204
    assert people.client(people.charlie).get(address, headers=HTMX).status_code == 404


def test_a_site_s_monitors_come_by_themselves_and_cost_nothing_while_nothing_happens(people: People) -> None:
    owner, client = people.organisation, people.client(people.bob)
    with organisation_scope(owner.pk):
        site = Site.objects.create(organisation=owner, name="Harbour Road", timezone="Asia/Kathmandu")

    def stands(number: int, **fields: Any) -> Instrument:
        unit = make_instrument(owner, f"QT{number:06}")
        with organisation_scope(owner.pk):
            InstrumentStatus.objects.create(
                organisation=owner, instrument=unit, changed_at=NOW, observed_at=NOW, online=True
            )
            told = {"start_at": NOW - timedelta(days=number + 1), **fields}
            Deployment.objects.create(organisation=owner, instrument=unit, site=site, **told)
        return unit

    page, costs = f"/o/harbour/sites/{site.pk}/", []
    for numbers in (range(1, 3), range(3, 40)):
        for number in numbers:
            unit = stands(number, end_at=NOW - timedelta(days=1) if number % 2 else None)
        address = polled(client.get(page).content.decode(), "site-now")
        costs.append(cost(client, address, 204))
    # Session and member, the place, and whatever stood there with how it is now.
    assert costs == [4, 4]
    with organisation_scope(owner.pk):
        # One that has long gone elsewhere is no news.
        InstrumentStatus.objects.filter(instrument=unit).update(changed_at=NOW + timedelta(hours=1))
        assert client.get(address, headers=HTMX).status_code == 204
        InstrumentStatus.objects.filter(instrument__serial="QT000002").update(
            changed_at=NOW + timedelta(seconds=1), sic_passed=False
        )
    text = client.get(address, headers=HTMX).content.decode()
    assert text.lstrip().startswith('<div id="site-now"')
    assert "1 monitor needs attention" in text
    address = polled(text, "site-now")
    assert client.get(address, headers=HTMX).status_code == 204
    # What a colleague corrects in the past, and what is to come.
    with organisation_scope(owner.pk):
        Deployment.objects.filter(instrument=unit).update(note="Pole 3")
    text = client.get(address, headers=HTMX).content.decode()
    assert "Pole 3" in text
    assert people.client(people.charlie).get(address, headers=HTMX).status_code == 404
    assert "HX-Redirect" in people.client(None).get(address, headers=HTMX)


def test_who_has_stood_there_longest_stands_there_still(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.views.sites.MOST_PAST", 2)
    owner = people.organisation
    with organisation_scope(owner.pk):
        site = Site.objects.create(organisation=owner, name="Harbour Road")
        for number, (start, end) in enumerate(((90, None), (50, 40), (30, 20), (10, 5))):
            Deployment.objects.create(
                organisation=owner,
                instrument=make_instrument(owner, f"QT{number}", name=f"Unit {number}"),
                site=site,
                start_at=NOW - timedelta(days=start),
                end_at=end and NOW - timedelta(days=end),
            )
    text = people.client(people.bob).get(f"/o/harbour/sites/{site.pk}/").content.decode()
    assert re.findall(r'<th scope="row"><a href="[^"]*">(Unit \d)', text) == ["Unit 3", "Unit 0"]


def test_silence_beside_a_failed_sic_comes_by_time_alone(people: People) -> None:
    owner, client = people.organisation, people.client(people.bob)
    unit = make_instrument(owner)
    with organisation_scope(owner.pk):
        site = Site.objects.create(organisation=owner, name="Harbour Road", timezone="UTC")
        Deployment.objects.create(
            organisation=owner, instrument=unit, site=site, start_at=NOW - timedelta(days=1)
        )
        InstrumentStatus.objects.create(
            organisation=owner,
            instrument=unit,
            changed_at=NOW,
            observed_at=NOW,
            online=True,
            measuring=True,
            sic_passed=False,
        )
    for page, part in (
        (f"/o/harbour/sites/{site.pk}/", "site-now"),
        (f"/o/harbour/i/{unit.serial}/", "instrument-status"),
    ):
        address = polled(client.get(page).content.decode(), part)
        assert client.get(address, headers=HTMX).status_code == 204
        with time_machine.travel(NOW + timedelta(hours=1), tick=False):
            assert "heard from MyCirrus" in client.get(address, headers=HTMX).content.decode()
