"""What MyCirrus sent, and the keys to it: a failed delivery taken up again, a key replaced and ended."""

import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from instruments.tenancy import organisation_scope
from tests.conftest import People, make_instrument, make_key
from tests.e2e.conftest import DESKTOP, PHONE, Poll, Visit, manage, said, settled
from tests.e2e.fleets import every_state, telemetry
from tests.simulated import SimulatedMyCirrus
from tests.webhooks.conftest import SIC, make_delivery, watched
from webhooks.models import Delivery
from webhooks.processing import delivery_process

WIDTHS = [PHONE, DESKTOP]
FAILED = Delivery.State.FAILED


@pytest.mark.parametrize("width", WIDTHS)
def test_a_failed_delivery_is_processed_again_and_the_filter_stays(
    crew: People, visit: Visit, now: datetime, poll: Poll, width: int
) -> None:
    watched(crew.organisation)
    ended = {"attempts": 5, "processed_at": now, "effect": "Given up."}
    wanted = make_delivery(
        crew.organisation, SIC, serial="QT000001", type="SicFinished", state=FAILED, **ended
    )
    make_delivery(crew.organisation, serial="QT000002", type="NewMeasurement", state=FAILED, **ended)
    make_delivery(crew.organisation, serial="QT000001", type="NewMeasurement", state="processed")
    page = visit.page(crew.adam, width=width)
    page.goto("/o/harbour/")
    manage(page, "Webhooks")
    rows = page.locator("#deliveries tbody tr")
    expect(rows).to_have_count(3)
    visit.check(page)
    page.get_by_label("State").select_option(label="Failed")
    expect(rows).to_have_count(2)
    settled(page)
    page.get_by_label("Serial number").fill("QT000001")
    page.get_by_label("Serial number").press("Enter")
    expect(rows).to_have_count(1)
    kept = re.compile(r"/webhooks/\?(?=.*state=failed)(?=.*serial=QT000001)")
    expect(page).to_have_url(kept)

    # What it said is looked at first; back is where one was.
    rows.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SicFinished")
    expect(page.get_by_role("region", name="Body")).to_contain_text("_500Hz")
    visit.check(page)
    page.go_back()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("State")).to_have_value("failed")

    page.get_by_role("link", name="Process several again").click()
    rows.get_by_role("checkbox", name="Delivery of").check()
    page.get_by_role("button", name="Process the chosen again").click()
    said(page, "1 delivery is processed once more.")
    expect(page).to_have_url(kept)
    expect(page.get_by_label("State")).to_have_value("failed")
    expect(page.get_by_label("Serial number")).to_have_value("QT000001")
    expect(page.locator("#deliveries")).to_contain_text("No delivery matches")
    page.get_by_label("State").select_option(label="Waiting")
    expect(rows).to_have_count(1)
    settled(page)
    page.get_by_label("State").select_option(label="All states")
    expect(rows.filter(has_text="SicFinished")).to_contain_text("Waiting")

    # The worker comes to it while the page is open.
    with organisation_scope(crew.organisation.pk):
        delivery_process(delivery_id=wanted.pk, now=datetime.now(UTC))
    poll(page, "deliveries")
    expect(rows.filter(has_text="SicFinished")).to_contain_text("Processed")

    # One alone, from its own page; both are told of.
    rows.filter(has_text="SicFinished").get_by_role("link").first.click()
    page.get_by_role("button", name="Process it again").click()
    said(page, "The delivery is processed once more.")
    page.get_by_role("navigation", name="Manage").get_by_role("link", name="Activity").click()
    again = page.get_by_role("row").filter(has_text="Deliveries processed again")
    expect(again).to_have_count(2)
    expect(again.first).to_contain_text("Adam")
    visit.check(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_monitor_in_trouble_comes_first(crew: People, visit: Visit, now: datetime, width: int) -> None:
    made = every_state(crew.organisation, now=now)
    telemetry(made["measuring"], now=now, hours=2, voltage_v=12.6)
    telemetry(made["sic-failed"], now=now, hours=2, voltage_v=10.5)
    page = visit.page(crew.bob, width=width)
    page.goto("/o/harbour/")
    manage(page, "Health")
    monitors = page.get_by_role("region", name="Monitors").locator("tbody tr")
    expect(monitors).to_have_count(2)
    expect(monitors.first).to_contain_text("Crane 4 North")
    expect(monitors.first).to_contain_text(re.compile(r"10\.5\s*V\s*needs action"))
    visit.check(page)
    page.get_by_role("navigation", name="Show").get_by_role("link", name="Input voltage").click()
    expect(monitors).to_have_count(1)
    monitors.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Crane 4 North")
    page.go_back()
    expect(monitors).to_have_count(1)


def new_secret(mycirrus: SimulatedMyCirrus, *, known: bool = True) -> str:
    """A key; one that MyCirrus does not know where it is not ``known``."""
    secret = f"mycirrus-{secrets.randbelow(10**6):06}-{secrets.token_hex(8).upper()}"
    if known:
        mycirrus.add_key(secret)
    return secret


@pytest.mark.parametrize("width", WIDTHS)
def test_a_key_is_replaced_and_ended_and_nobody_is_rash(
    crew: People, visit: Visit, mycirrus: SimulatedMyCirrus, now: datetime, width: int
) -> None:
    old, wrong, new = new_secret(mycirrus), new_secret(mycirrus, known=False), new_secret(mycirrus)
    key = make_key(crew.organisation, old, mycirrus.base_url, verified_at=now - timedelta(days=2))
    make_instrument(crew.organisation, "QT000001", api_key=key)
    page = visit.page(crew.adam, width=width)
    page.goto("/o/harbour/keys/")
    card = page.get_by_role("article", name="Main")
    expect(card).to_contain_text(f"…{old[-4:]}")
    card.get_by_role("button", name="Verify now").click()
    said(page, "Main: Good.")
    expect(card).to_contain_text("11 things")
    visit.check(page)

    card.get_by_role("link", name="Rotate").click()
    visit.expected = ("/rotate/",)
    page.get_by_label("New API key").fill(wrong)
    page.get_by_role("button", name="Try it and replace").click()
    expect(page.get_by_role("alert")).to_contain_text("The old key was kept")
    expect(page.get_by_label("New API key")).to_have_value("")
    assert wrong not in page.content()
    visit.check(page)
    page.get_by_label("New API key").fill(new)
    page.get_by_role("button", name="Try it and replace").click()
    said(page, "Main: Good.")
    expect(card).to_contain_text(f"…{new[-4:]}")
    assert not [secret for secret in (old, wrong, new) if secret in page.content()]

    # What it costs is said before it is done, and one may think again.
    card.get_by_role("link", name="Revoke").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Revoke Main?")
    expect(page.get_by_role("main")).to_contain_text("1 instrument is read with the key that ends in")
    visit.check(page)
    page.get_by_role("link", name="Keep it").click()
    expect(card).to_contain_text("Good")
    card.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke the key").click()
    said(page, "Main is revoked here.")
    expect(card).to_have_count(0)
    expect(page.get_by_role("row", name="Main")).to_contain_text(f"…{new[-4:]}")
    visit.check(page)

    page.get_by_role("navigation", name="Manage").get_by_role("link", name="Activity").click()
    for verb in ("Key rotated", "Key revoked"):
        expect(page.get_by_role("row").filter(has_text=verb)).to_contain_text("Adam")
    visit.check(page)
