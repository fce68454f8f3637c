"""The pages of fleet and instruments without a browser: what they cost, what a poll is answered, who is let in."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext

from instruments.models import ApiKey, Instrument
from instruments.mycirrus import Status
from instruments.tenancy import organisation_scope
from monitoring.models import SyncTarget
from monitoring.status import State
from monitoring.sync.ingest import status_store
from tests.conftest import People, make_key
from tests.e2e.fleets import change, checks, every_state, levels, monitor, targets

pytestmark = pytest.mark.django_db
FLEET = "/o/harbour/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def cost(client: Client, address: str, **headers: str) -> int:
    """The number of queries of one answer."""
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address, headers=headers).status_code in (200, 204)
    return len(queries)


def version(client: Client) -> str:
    """The version that the page shows."""
    found = re.search(r"version=([^\"&]+)", client.get(FLEET).content.decode())
    assert found
    return found[1]


def poll(client: Client, version: str) -> int:
    return int(client.get(f"{FLEET}?version={version}", headers=HTMX).status_code)


@pytest.mark.parametrize("view", ["tiles", "table"])
def test_the_fleet_costs_the_same_however_large_it_is(people: People, now: datetime, view: str) -> None:
    client = people.client(people.bob)
    make_key(people.organisation)
    for number in range(3):
        monitor(people.organisation, f"QT{number:06}", f"Monitor {number}", now=now)
    small = cost(client, f"{FLEET}?view={view}")
    for number in range(3, 40):
        monitor(people.organisation, f"QT{number:06}", f"Monitor {number}", now=now)
    assert cost(client, f"{FLEET}?view={view}") == small


def test_the_instrument_costs_the_same_however_long_its_record(people: People, now: datetime) -> None:
    client = people.client(people.bob)
    made = monitor(people.organisation, "QT000001", "Wall", now=now, api_key=make_key(people.organisation))
    checks(made, now=now, count=3, failed=1)
    change(made, now=now, sic_passed=False)
    targets(made, now=now)
    address = f"{FLEET}i/QT000001/"
    small = cost(client, address)
    checks(made, now=now - timedelta(days=100), count=60)
    levels(made, now=now, hours=4)
    assert cost(client, address) == small


def test_a_poll_without_news_is_empty_and_cheap(people: People, now: datetime) -> None:
    every_state(people.organisation, now=now)
    client = people.client(people.bob)
    shown = version(client)
    answer = client.get(f"{FLEET}?version={shown}", headers=HTMX)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Cache-Control"] == "no-store"
    assert cost(client, f"{FLEET}?version={shown}", **HTMX) < cost(client, FLEET)


def _rename(made: dict[str, Instrument], now: datetime) -> None:
    Instrument.objects.filter(pk=made["measuring"].pk).update(name="Quay", seen_at=datetime.now(UTC))


def _go(made: dict[str, Instrument], now: datetime) -> None:
    Instrument.objects.filter(pk=made["measuring"].pk).update(gone_at=now)


def _change(made: dict[str, Instrument], now: datetime) -> None:
    change(made["measuring"], now=now + timedelta(seconds=1), LAeq=70.0)


def _refuse(made: dict[str, Instrument], now: datetime) -> None:
    ApiKey.objects.update(state=ApiKey.State.REFUSED)


def _pause(made: dict[str, Instrument], now: datetime) -> None:
    ApiKey.objects.update(paused_until=now + timedelta(minutes=2))


def _arrive(made: dict[str, Instrument], now: datetime) -> None:
    monitor(made["measuring"].organisation, "QT999999", "New", now=now - timedelta(days=1))


def _leave(made: dict[str, Instrument], now: datetime) -> None:
    made["measuring"].delete()


@pytest.mark.parametrize("news", [_rename, _go, _change, _refuse, _pause, _arrive, _leave])
def test_whatever_the_page_shows_is_news(people: People, now: datetime, news: Any) -> None:
    made = every_state(people.organisation, now=now)
    make_key(people.organisation)
    client = people.client(people.bob)
    shown = version(client)
    assert poll(client, shown) == 204
    with organisation_scope(people.organisation.pk):
        news(made, now)
    assert poll(client, shown) == 200


def test_what_comes_by_time_alone_is_news(people: People, now: datetime) -> None:
    """Nothing is written: a second monitor falls silent after the first, and the pause of a key ends."""
    monitor(people.organisation, "QT000001", "Wall", now=now)
    monitor(people.organisation, "QT000002", "Gate", now=now, observed_at=now + timedelta(minutes=5))
    make_key(people.organisation, paused_until=now + timedelta(minutes=20))
    client = people.client(people.bob)
    shown, seen = version(client), []
    for minutes in (1, 4, 10, 21, 30):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            seen.append(poll(client, shown))
            page = client.get(FLEET).content.decode()
            assert page.count("No news</span>") == (minutes >= 4) + (minutes >= 10)
            shown = version(client)
    assert seen == [204, 200, 200, 200, 204]


def test_who_is_heard_again_as_before_is_news(people: People, now: datetime) -> None:
    made = monitor(people.organisation, "QT000001", "Wall", now=now - timedelta(hours=1))
    client = people.client(people.bob)
    shown = version(client)
    heard = Status(
        online=True,
        measuring=True,
        calibration_in_progress=False,
        sic_in_progress=False,
        last_calibration=None,
        last_sic=None,
        document={},
    )
    with organisation_scope(people.organisation.pk):
        status_store(instrument=made, row=heard, now=now)
    assert poll(client, shown) == 200
    shown = version(client)
    with organisation_scope(people.organisation.pk):
        status_store(instrument=made, row=heard, now=now + timedelta(seconds=1))
    assert poll(client, shown) == 204


def test_another_organisations_news_is_none(people: People, now: datetime) -> None:
    monitor(people.organisation, "QT000001", "Wall", now=now)
    client = people.client(people.bob)
    shown = version(client)
    monitor(people.other, "QT000002", "Pit", now=now)
    assert poll(client, shown) == 204
    assert b"Pit" not in client.get(FLEET).content


@pytest.mark.parametrize("address", [FLEET, f"{FLEET}?view=table&state=offline", f"{FLEET}i/QT000001/"])
def test_the_fragment_is_a_piece_of_the_page(people: People, now: datetime, address: str) -> None:
    made = every_state(people.organisation, now=now - timedelta(minutes=1))
    checks(made["sic-failed"], now=now)
    client = people.client(people.bob)
    # Ages grow between the two.
    ages = re.compile(r"(>\d+ \w+ ago<)|version=[^\"]+|csrfmiddlewaretoken\" value=\"[^\"]+")
    page = ages.sub("", client.get(address).content.decode())
    fragment = ages.sub("", client.get(address, headers=HTMX).content.decode())
    assert "<html" not in fragment
    assert fragment.strip() in page


def test_the_address_of_a_filter_can_be_sent(people: People, now: datetime) -> None:
    every_state(people.organisation, now=now)
    client = people.client(people.bob)
    asked = client.get(f"{FLEET}?text=&type=&state=offline&sort=&view=table", headers=HTMX)
    assert asked["HX-Push-Url"] == "/o/harbour/?state=offline&view=table"
    assert "HX-Push-Url" not in client.get(f"{FLEET}?state=offline&version=old", headers=HTMX)
    assert client.get(f"{FLEET}?text=", headers=HTMX)["HX-Push-Url"] == FLEET


def test_the_gone_are_found_by_name_and_by_state(people: People, now: datetime) -> None:
    every_state(people.organisation, now=now)
    client = people.client(people.bob)
    assert b"Old Pier" not in client.get(FLEET).content
    assert b"Old Pier" in client.get(f"{FLEET}?state=gone").content
    assert b"Old Pier" in client.get(f"{FLEET}?text=pier").content


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_words_on_both_pages(people: People, now: datetime, state: State) -> None:
    made = every_state(people.organisation, now=now)[state]
    client = people.client(people.bob)
    for address in (
        f"{FLEET}?state={state}",
        f"{FLEET}?state={state}&view=table",
        f"{FLEET}i/{made.serial}/",
    ):
        page = client.get(address).content.decode()
        assert made.name in page
        assert 'class="badge' in page


@pytest.mark.parametrize("view", ["tiles", "table"])
def test_a_sic_is_spelt_out_where_one_failed_and_below_the_fleet(
    people: People, now: datetime, view: str
) -> None:
    every_state(people.organisation, now=now)
    page = people.client(people.bob).get(f"{FLEET}?view={view}").content.decode()
    assert "System Integrity Check failed" in page
    assert "SIC: System Integrity Check, an electrical self-test" in page


def test_what_an_offline_monitor_will_most_likely_refuse_is_said_and_can_be_tried(
    people: People, now: datetime
) -> None:
    """What MyCirrus told last may be older than its return."""
    fleet = every_state(people.organisation, now=now)
    with organisation_scope(people.organisation.pk):
        Instrument.objects.update(api_key=make_key(people.organisation))
    client = people.client(people.mary)
    for state, words in (("offline", 2), ("measuring", 0)):
        page = client.get(f"{FLEET}i/{fleet[state].serial}/").content.decode()
        assert page.count("If you know it to be back, try.") == words
        assert ("Try to watch live" in page, "Watch live" in page) == (bool(words), not words)
        assert "data-live-start" in page
        assert f"/i/{fleet[state].serial}/sic/" in page


def test_notifications_are_marked_in_the_navigation_that_has_them(people: People) -> None:
    page = people.client(people.bob).get("/o/harbour/notifications/").content.decode()
    assert re.search(r'href="/o/harbour/notifications/" aria-current="page"', page)


def test_a_first_reading_shows_how_far_it_is(people: People, now: datetime) -> None:
    made = monitor(people.organisation, "QT000001", "Wall", now=now, api_key=make_key(people.organisation))
    targets(made, now=now)
    client = people.client(people.bob)
    assert b"Reading your instruments" not in client.get(FLEET).content
    shown = version(client)
    with organisation_scope(people.organisation.pk):
        SyncTarget.objects.update(outcome="never")
    assert poll(client, shown) == 200
    assert b"Reading your instruments" in client.get(FLEET).content


@pytest.mark.parametrize(
    "address",
    [
        "",
        "i/QT000001/",
        "i/QT000001/levels.json",
        "i/QT000001/levels/",
        "i/QT000001/days/",
        "i/QT000001/days.csv",
        "i/QT000001/calibrations/",
        "i/QT000001/sics/",
    ],
)
def test_outsiders_find_nothing(people: People, now: datetime, address: str) -> None:
    monitor(people.organisation, "QT000001", "Wall", now=now)
    monitor(people.other, "QT000007", "Pit", now=now)
    assert people.client(people.charlie).get(FLEET + address).status_code == 404
    assert people.client(people.bob).get(FLEET + address).status_code == 200
    assert people.client(people.bob).get(FLEET + address.replace("QT000001", "QT000007")).status_code == (
        404 if address else 200
    )


@pytest.mark.parametrize("before", ["yesterday", "2026-01-01T00:00:00"])
def test_a_made_up_place_in_the_record_is_not_found(people: People, now: datetime, before: str) -> None:
    monitor(people.organisation, "QT000001", "Wall", now=now)
    assert people.client(people.bob).get(f"{FLEET}i/QT000001/sics/?before={before}").status_code == 404


@pytest.mark.parametrize(
    ("unit", "told"), [("dB", '61.2<span class="unit">dB</span>'), ("", "61.2</span>"), (None, "61.2</span>")]
)
def test_a_quantity_without_a_unit_has_none(unit: str | None, told: str) -> None:
    page = render_to_string("_reading.html", {"value": 61.23, "unit": unit})
    assert f'<span class="reading">{told}' in page
