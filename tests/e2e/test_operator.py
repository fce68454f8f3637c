"""The operator's admin, from a phone as from a desk: keys, what is fetched, what arrived, what is due, who is where."""

import secrets
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from instruments.models import Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope
from monitoring.models import SyncTarget
from tests.conftest import People, make_instrument, make_key, make_user
from tests.e2e.conftest import DESKTOP, PHONE, Visit
from tests.e2e.fleets import targets
from tests.simulated import SimulatedMyCirrus
from tests.webhooks.conftest import SIC, make_delivery
from webhooks.models import Delivery

WIDTHS = [PHONE, DESKTOP]


@pytest.fixture
def operator(crew: People) -> User:
    """Whoever runs the installation; a member of nothing."""
    return make_user("operator@example.com", is_staff=True, is_superuser=True)


def administration(page: Page, table: str) -> None:
    """To one of the tables, by way of the first page."""
    page.goto("/admin/")
    page.get_by_role("main").get_by_role("link", name=table, exact=True).click()


def do(page: Page, row: str, action: str) -> None:
    """Choose the row that says so, and do it."""
    page.get_by_role("row").filter(has_text=row).get_by_role("checkbox").check()
    page.get_by_role("combobox", name="Action").select_option(label=action)
    page.get_by_role("button", name="Go", exact=True).click()


@pytest.mark.parametrize("width", WIDTHS)
def test_keys_are_verified_rotated_and_revoked_and_never_shown(
    crew: People, operator: User, visit: Visit, mycirrus: SimulatedMyCirrus, width: int
) -> None:
    old, new = (f"mycirrus-{secrets.randbelow(10**6):06}-{secrets.token_hex(8).upper()}" for _ in "12")
    mycirrus.add_key(old)
    mycirrus.add_key(new)
    make_key(crew.organisation, old, mycirrus.base_url)
    page = visit.page(operator, width=width)
    page.goto("/")
    page.locator("summary[aria-label^='Your account']").click()
    page.get_by_role("link", name="Administration").click()
    visit.check(page)
    page.get_by_role("main").get_by_role("link", name="API keys", exact=True).click()
    do(page, old[-4:], "Verify the chosen keys at MyCirrus now")
    expect(page.get_by_text(f"Main (…{old[-4:]}): Good.")).to_be_visible()
    visit.check(page)
    page.get_by_role("link", name="Main", exact=True).click()
    expect(page.get_by_label("New API key")).to_have_value("")
    assert old not in page.content()
    page.get_by_label("New API key").fill(new)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("the new key is in use.")).to_be_visible()
    assert new not in page.content()
    do(page, new[-4:], "Revoke the chosen keys here and forget their secrets")
    expect(page.get_by_role("heading", level=1).last).to_have_text("Revoke these keys?")
    visit.check(page)
    page.get_by_role("button", name="Revoke the keys").click()
    expect(page.get_by_text(f"Main (…{new[-4:]}) is revoked here.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=new[-4:])).to_contain_text("Revoked here")
    visit.check(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_waits_is_found_and_done_now(
    crew: People, operator: User, visit: Visit, now: datetime, width: int
) -> None:
    unit = make_instrument(crew.organisation, "QT000001", name="Crane 4", api_key=make_key(crew.organisation))
    targets(unit, now=now)
    with organisation_scope(crew.organisation.pk):
        SyncTarget.objects.filter(resource="sic").update(parked_at=now - timedelta(hours=3))
    page = visit.page(operator, width=width)
    page.goto("/admin/")
    page.get_by_role("link", name="Work: what is due and what is held now").click()
    fetching = page.get_by_role("row").filter(has_text="Fetching from MyCirrus")
    expect(fetching.get_by_role("cell").first).to_have_text("0")
    expect(page.get_by_role("main")).to_contain_text("Nothing: every worker is idle")
    visit.check(page)
    fetching.get_by_role("link").click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(4)
    page.get_by_role("link", name="Waits for a person").click()
    expect(rows).to_have_count(1)
    do(page, "Crane 4", "Do it now: make the chosen due, also those that wait for a person")
    expect(page.get_by_text("1 resource is due now.")).to_be_visible()
    expect(rows).to_have_count(0)
    visit.check(page)
    page.goto("/admin/tasks/")
    expect(fetching.get_by_role("cell").first).to_have_text("1")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_delivery_is_read_and_processed_again(
    crew: People, operator: User, visit: Visit, now: datetime, width: int
) -> None:
    for owner in (crew.organisation, crew.other):
        make_delivery(owner, SIC, serial="QT000001", type="SicFinished", state="failed", effect="Given up.")
    page = visit.page(operator, width=width)
    administration(page, "Deliveries")
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(2)
    page.locator("#searchbar").fill("harbour")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(1)
    rows.get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("_500Hz")
    visit.check(page)
    page.go_back()
    do(page, "Harbour", "Process the chosen deliveries again")
    expect(page.get_by_text("1 delivery is processed once more.")).to_be_visible()
    expect(rows).to_contain_text("Waiting")
    visit.check(page)
    with organisation_scope(crew.other.pk):
        assert Delivery.objects.get().state == Delivery.State.FAILED


@pytest.mark.parametrize("width", WIDTHS)
def test_an_organisation_is_made_and_its_members_are_kept(
    crew: People, operator: User, visit: Visit, width: int
) -> None:
    page = visit.page(operator, width=width)
    administration(page, "Organisations")
    visit.check(page)
    page.get_by_role("link", name="Add organisation").click()
    page.get_by_label("Name").press_sequentially("North Quay")
    expect(page.get_by_label("Address")).to_have_value("north-quay")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“North Quay” was added successfully.")).to_be_visible()

    page.get_by_role("link", name="Harbour", exact=True).click()
    bobs = page.locator(".inline-related").filter(has_text="Bob, Viewer")
    bobs.get_by_label("Role").select_option(label="Member")
    visit.check(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“Harbour” was changed successfully.")).to_be_visible()
    administration(page, "Memberships")
    expect(page.get_by_role("row").filter(has_text="Bob")).to_contain_text("Member")
    # Charlie's organisation is in view as well: the operator sees everything.
    expect(page.get_by_role("row").filter(has_text="Charlie")).to_contain_text("Quarry")
    visit.check(page)
    with organisation_scope(crew.organisation.pk):
        assert Membership.objects.get(user=crew.bob).role == Role.MEMBER

    # An organisation goes by a command alone: the page says which.
    administration(page, "Organisations")
    page.get_by_role("link", name="North Quay", exact=True).click()
    page.get_by_role("link", name="Delete", exact=True).click()
    expect(page.get_by_text("manage.py organisation_delete north-quay")).to_be_visible()
    assert Organisation.objects.filter(slug="north-quay").exists()
