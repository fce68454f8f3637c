"""How people look at the fleet: further filters, the map, saved views, chosen columns, deeds for several at once."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instruments.models import Activity, Deployment, Instrument, Membership, Site
from instruments.tenancy import organisation_scope
from monitoring.models import FleetColumns, FleetView, InstrumentAction
from monitoring.views.fleet_deeds import MOST
from tests.conftest import People, make_instrument, make_key
from tests.e2e.fleets import monitor

pytestmark = pytest.mark.django_db
FLEET = "/o/harbour/"


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def fleet(people: People, now: datetime) -> Iterator[list[Instrument]]:
    """Three monitors that can be asked, of two models, the last without features and without a position."""
    key = make_key(people.organisation)
    made = [
        monitor(people.organisation, f"QT00000{number}", f"Wall {number}", now=now, api_key=key)
        for number in range(3)
    ]
    with organisation_scope(people.organisation.pk):
        Instrument.objects.filter(pk=made[1].pk).update(model="CR:171C", subscription_status="Expired")
        Instrument.objects.filter(pk=made[2].pk).update(features=[], latitude=0.0, longitude=0.0)
        yield made


def shown(client: Client, query: str) -> list[str]:
    page = client.get(f"{FLEET}?{query}")
    assert page.status_code == 200
    return re.findall(r'class="stretch" href="/o/harbour/i/(\w+)/"', page.content.decode())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("model=CR:171C", [1]),
        ("feature=SIC", [0, 1]),
        # A part of a feature's name is not the feature.
        ("feature=SI", []),
        ("subscription=Expired", [1]),
        ("model=CR:900&feature=SIC", [0]),
        ("box=52,-2,53,-1", [0, 1]),
        ("box=nonsense", []),
        ("box=1,2,3", []),
        ("site=nonsense", []),
        ("site=99999999999999999999", []),
    ],
)
def test_further_filters(people: People, fleet: list[Instrument], query: str, found: list[int]) -> None:
    assert shown(people.client(people.bob), query) == [fleet[number].serial for number in found]


def test_a_site_is_where_they_stand_now(people: People, fleet: list[Instrument], now: datetime) -> None:
    site = Site.objects.create(organisation=people.organisation, name="Quay")
    spans: list[dict[str, Any]] = [
        {"start_at": now - timedelta(days=2)},
        {"start_at": now - timedelta(days=2), "end_at": now - timedelta(days=1)},
        {"start_at": now + timedelta(days=1)},
    ]
    for each, span in zip(fleet, spans, strict=True):
        Deployment.objects.create(organisation=people.organisation, instrument=each, site=site, **span)
    bob = people.client(people.bob)
    assert shown(bob, f"site={site.pk}") == [fleet[0].serial]
    page = bob.get(f"{FLEET}?more=1").content.decode()
    assert f'<option value="{site.pk}">Quay</option>' in page
    assert '<option value="CR:171C">' in page


def test_the_map_shows_who_is_placed_and_counts_who_is_not(people: People, fleet: list[Instrument]) -> None:
    page = people.client(people.bob).get(f"{FLEET}?view=map").content.decode()
    # Two at the same place are one mark that leads to their rows.
    assert "2 instruments near together, the worst: Measuring" in page
    assert "view=table" in page
    assert "1 instrument has no position" in page
    assert "style=" not in page


def test_the_map_costs_the_same_whatever_the_fleet(people: People, fleet: list[Instrument]) -> None:
    client = people.client(people.bob)
    costs = []
    for extra in range(2):
        for number in range(extra * 30):
            make_instrument(people.organisation, f"QT1{number:05}", latitude=50.0 + number, longitude=1.0)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{FLEET}?view=map").status_code == 200
        costs.append(len(queries))
    assert costs[0] == costs[1]


class TestSavedViews:
    """Everybody's and one's own."""

    def save(self, client: Client, **fields: str) -> Any:
        return client.post(f"{FLEET}fleet/views/", {"name": "Nights", "query": "state=offline", **fields})

    def test_one_for_everybody_has_an_address(self, people: People) -> None:
        mary = people.client(people.mary)
        assert self.save(mary, shared="on", query="state=offline&page=7&evil=1")["Location"] == (
            f"{FLEET}?state=offline"
        )
        with organisation_scope(people.organisation.pk):
            view = FleetView.objects.get()
            assert (view.query, view.membership) == ("state=offline", None)
            assert Activity.objects.get().verb == "fleet_view_saved"
        bob = people.client(people.bob)
        assert bob.get(f"{FLEET}fleet/views/{view.pk}/")["Location"] == f"{FLEET}?state=offline"
        assert people.client(people.charlie).get(f"{FLEET}fleet/views/{view.pk}/").status_code == 404
        assert people.client(people.charlie).get(f"/o/quarry/fleet/views/{view.pk}/").status_code == 404

    def test_one_s_own_is_nobody_else_s(self, people: People, fleet: list[Instrument]) -> None:
        bob, alice = people.client(people.bob), people.client(people.alice)
        self.save(bob)
        view = FleetView.objects.get()
        assert bob.get(f"{FLEET}fleet/views/{view.pk}/").status_code == 302
        assert "Nights" in bob.get(FLEET).content.decode()
        for address in (f"{FLEET}fleet/views/{view.pk}/", f"{FLEET}fleet/views/{view.pk}/remove/"):
            assert alice.post(address).status_code in (404, 405)
        assert "Nights" not in alice.get(FLEET).content.decode()
        assert not Activity.objects.exists()
        answer = bob.post(f"{FLEET}fleet/views/{view.pk}/remove/", {"query": "type=Noise&evil=1"})
        assert answer["Location"] == f"{FLEET}?type=Noise"
        assert not FleetView.objects.exists()

    def test_a_view_is_removed_from_what_is_shown(self, people: People, fleet: list[Instrument]) -> None:
        bob = people.client(people.bob)
        self.save(bob)
        page = bob.get(f"{FLEET}?type=Noise").content.decode()
        assert '<input type="hidden" name="query" value="type=Noise" form="fleet-view-remove-form">' in page
        address = reverse("monitoring:fleet-view-remove", args=["harbour", FleetView.objects.get().pk])
        assert f'form="fleet-view-remove-form" formaction="{address}"' in page

    def test_a_viewer_neither_makes_nor_removes_everybody_s(self, people: People) -> None:
        bob = people.client(people.bob)
        self.save(bob, shared="on")
        with organisation_scope(people.organisation.pk):
            assert not FleetView.objects.exists()
            view = FleetView.objects.create(organisation=people.organisation, name="All")
        bob.post(f"{FLEET}fleet/views/{view.pk}/remove/")
        with organisation_scope(people.organisation.pk):
            assert FleetView.objects.exists()

    @pytest.mark.parametrize("name", ["", "   ", "x" * 81, "\0"])
    def test_a_name_is_needed(self, people: People, name: str) -> None:
        assert self.save(people.client(people.mary), name=name).status_code == 302
        with organisation_scope(people.organisation.pk):
            assert not FleetView.objects.exists()

    def test_the_same_name_takes_the_new_question(self, people: People) -> None:
        mary = people.client(people.mary)
        self.save(mary, shared="on")
        self.save(mary, shared="on", query="state=stale")
        self.save(mary, query="sort=name")
        with organisation_scope(people.organisation.pk):
            assert sorted(FleetView.objects.values_list("query", flat=True)) == ["sort=name", "state=stale"]


def test_columns_are_each_person_s_own(people: People, fleet: list[Instrument]) -> None:
    bob, alice = people.client(people.bob), people.client(people.alice)
    table = f"{FLEET}?view=table"
    usual = re.findall(r'<th scope="col"[^>]*>([^<]+)', alice.get(table).content.decode())
    answer = bob.post(f"{FLEET}fleet/columns/", {"column": ["peak", "state", "evil"], "query": "view=table"})
    assert answer["Location"] == table
    headings = re.findall(r'<th scope="col"[^>]*>([^<]+)', bob.get(table).content.decode())
    assert headings == ["Instrument", "State", "LC,peak"]
    assert re.findall(r'<th scope="col"[^>]*>([^<]+)', alice.get(table).content.decode()) == usual
    # None at all is the usual ones again.
    bob.post(f"{FLEET}fleet/columns/", {"query": ""})
    assert not FleetColumns.objects.exists()


class TestDeeds:
    """A SIC or Identify for several."""

    def ask(self, client: Client, serials: list[str], kind: str = "sic", **fields: str) -> Any:
        data = {"chosen": serials, "token": str(uuid.uuid4()), "why": "after the storm", **fields}
        return client.post(f"{FLEET}fleet/{kind}/", data)

    def test_one_action_for_each_and_sent_twice_still_one(
        self, people: People, fleet: list[Instrument]
    ) -> None:
        mary = people.client(people.mary)
        serials, token = [each.serial for each in fleet[:2]], str(uuid.uuid4())
        page = mary.get(f"{FLEET}fleet/sic/", {"chosen": serials}).content.decode()
        assert "2 instruments will be asked" in page
        for _ in range(2):
            self.ask(mary, serials, token=token, why="After the storm")
        made = InstrumentAction.objects.order_by("instrument__serial")
        assert [(each.instrument.serial, each.kind, each.why) for each in made] == [
            (serial, "SIC", "After the storm") for serial in serials
        ]
        assert {each.requested_by_id for each in made} == {people.mary.pk}

    def test_who_cannot_be_asked_is_told_and_left_out(
        self, people: People, fleet: list[Instrument], now: datetime
    ) -> None:
        Instrument.objects.filter(pk=fleet[0].pk).update(gone_at=now)
        mary = people.client(people.mary)
        serials = [each.serial for each in fleet[:2]]
        page = mary.get(f"{FLEET}fleet/identify/", {"chosen": serials}).content.decode()
        assert "1 instrument will be asked" in page
        assert "not asked:" in page
        self.ask(mary, serials, "identify")
        assert [each.instrument.serial for each in InstrumentAction.objects.all()] == [fleet[1].serial]

    def test_viewers_and_outsiders_ask_nothing(self, people: People, fleet: list[Instrument]) -> None:
        serials = [each.serial for each in fleet]
        assert self.ask(people.client(people.bob), serials).status_code == 403
        assert self.ask(people.client(people.charlie), serials).status_code == 404
        assert 'name="chosen"' not in people.client(people.bob).get(f"{FLEET}?view=table").content.decode()
        assert 'name="chosen"' in people.client(people.mary).get(f"{FLEET}?view=table").content.decode()
        with organisation_scope(people.other.pk):
            theirs = make_instrument(people.other, "QT777777", api_key=make_key(people.other))
        self.ask(people.client(people.mary), [theirs.serial])
        assert not InstrumentAction.objects.exists()

    def test_they_lead_back_to_what_was_shown(self, people: People, fleet: list[Instrument]) -> None:
        mary, serials = people.client(people.mary), [each.serial for each in fleet[:2]]
        table = mary.get(f"{FLEET}?view=table&type=Noise").content.decode()
        assert '<input type="hidden" name="query" value="type=Noise&amp;view=table">' in table
        for chosen in (serials, []):
            asked = {"chosen": chosen, "query": "type=Noise&view=table&evil=1"}
            page = mary.get(f"{FLEET}fleet/sic/", asked).content.decode()
            assert f'href="{FLEET}?type=Noise&amp;view=table"' in page
            assert "evil" not in page
        assert '<input type="hidden" name="query" value="type=Noise&amp;view=table">' in (
            mary.get(
                f"{FLEET}fleet/sic/", {"chosen": serials, "query": "type=Noise&view=table"}
            ).content.decode()
        )
        back = self.ask(mary, serials, query="type=Noise&view=table")["Location"]
        assert back == f"{FLEET}?type=Noise&view=table"
        for query in ("", "https://evil.example/", "//evil.example"):
            assert self.ask(mary, serials, "identify", query=query)["Location"] == f"{FLEET}?view=table"

    def test_more_than_the_most_are_asked_in_parts(self, people: People, fleet: list[Instrument]) -> None:
        key = fleet[0].api_key
        serials = [
            make_instrument(people.organisation, f"QT1{number:05}", api_key=key).serial
            for number in range(MOST + 1)
        ]
        mary = people.client(people.mary)
        assert "Choose fewer" in self.ask(mary, serials).content.decode()
        assert not InstrumentAction.objects.exists()

    @pytest.mark.parametrize("serials", [[], ["nobody"], ["\0"]])
    def test_nobody_is_chosen(self, people: People, fleet: list[Instrument], serials: list[str]) -> None:
        mary = people.client(people.mary)
        page = mary.get(f"{FLEET}fleet/sic/", {"chosen": serials})
        assert "No instrument is chosen" in page.content.decode()
        assert self.ask(mary, serials).status_code == 200


def test_what_a_member_chose_goes_with_the_membership(people: People, fleet: list[Instrument]) -> None:
    people.client(people.bob).post(f"{FLEET}fleet/columns/", {"column": ["state"]})
    Membership.objects.get(user=people.bob).delete()
    assert not FleetColumns.objects.exists()


def test_a_row_says_nothing_of_what_a_monitor_cannot_measure(people: People) -> None:
    make_instrument(people.organisation, "AQ000001", type="AirQuality", name="Market Square")
    text = people.client(people.bob).get("/o/harbour/?view=table").content.decode()
    row = text[text.index("Market Square") :].partition("</tr>")[0]
    # Quite empty, so that a phone leaves the line out.
    assert 'data-label="LAF,max"></td>' in row
    assert 'data-label="Last SIC"></td>' in row


def test_totals_count_within_the_other_filters(
    people: People, fleet: list[Instrument], now: datetime
) -> None:
    monitor(people.organisation, "QT000009", "Wall gone", now=now, gone_at=now)
    client = people.client(people.bob)

    def totals(query: str) -> dict[str, int]:
        page = client.get(f"{FLEET}?{query}").content.decode()
        return {
            name: int(count) for name, count in re.findall(r'(?s)id="count-([\w-]+)".*?<b>(\d+)</b>', page)
        }

    assert totals("") == {"all": 3, "measuring": 3, "gone": 1}
    # What the list shows of a state is what its total says.
    assert totals("model=CR:171C&state=measuring") == {"all": 1, "measuring": 1}
    assert totals("text=wall") == {"all": 4, "measuring": 3, "gone": 1}
    assert totals("text=wall+2&view=table") == {"all": 1, "measuring": 1}
    assert totals("text=nothing") == {"all": 0}
    assert "Nothing matches" in client.get(f"{FLEET}?text=nothing").content.decode()
    with CaptureQueriesContext(connection) as whole:
        client.get(FLEET)
    with CaptureQueriesContext(connection) as narrowed:
        client.get(f"{FLEET}?text=wall")
    assert len(narrowed) == len(whole)


@pytest.mark.parametrize(
    ("present", "told"),
    [
        ({"online": False}, "Offline. No connection to MyCirrus. Last level:"),
        ({"observed_at": -timedelta(hours=1)}, "No news. Last heard from MyCirrus"),
        ({"measuring": False}, "Not measuring. Online without a measurement. Last level:"),
        ({"online": None}, "Unknown. MyCirrus does not say how it stands"),
        ({}, ""),
    ],
)
def test_a_failed_sic_hides_nothing_else(
    people: People, now: datetime, present: dict[str, Any], told: str
) -> None:
    at = {name: now + value for name, value in present.items() if isinstance(value, timedelta)}
    monitor(people.organisation, "QT000001", "Wall", now=now, sic_passed=False, **present | at)
    client = people.client(people.bob)
    for view in ("tiles", "table"):
        page = client.get(f"{FLEET}?view={view}").content.decode()
        assert "SIC failed" in page
        assert told in page
        assert ("is-old" in page) == bool(told)
        # The level's age.
        assert "1 minute ago" in re.sub(r"<[^>]+>", "", page)
    assert told in client.get(f"{FLEET}i/QT000001/").content.decode()
