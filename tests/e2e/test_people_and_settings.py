"""An organisation run from a phone as from a desk: settings, people, what each hears of, and who did what."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.conftest import People, make_instrument
from tests.e2e.conftest import DESKTOP, PHONE, Visit, manage, said

WIDTHS = [PHONE, DESKTOP]


@pytest.mark.parametrize("width", WIDTHS)
def test_what_an_admin_changes_holds_at_once_and_stands_in_the_log(
    crew: People, visit: Visit, width: int
) -> None:
    page = visit.page(crew.adam, width=width)
    page.goto("/o/harbour/")
    expect(page.locator("footer")).to_contain_text("Times are in Europe/London")
    manage(page, "Settings")
    page.get_by_label("Time zone").select_option("Asia/Kathmandu")
    visit.check(page)
    page.get_by_role("button", name="Save").click()
    said(page, "Saved.")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Kathmandu")
    expect(page.locator("footer")).to_contain_text("Times are in Asia/Kathmandu")

    manage(page, "People")
    page.get_by_label("Email").fill("nora@example.com")
    page.get_by_role("button", name="Send the invitation").click()
    said(page, "An invitation is on its way to nora@example.com.")
    page.get_by_label("Role of Bob").select_option(label="Member")
    page.get_by_role("button", name=re.compile("Set.*Bob")).click()
    said(page, "Bob is now Member.")
    expect(page.get_by_label("Role of Bob")).to_have_value("member")
    visit.check(page)
    page.get_by_role("link", name=re.compile("Revoke.*nora@example.com")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Revoke the invitation of nora@example.com?")
    visit.check(page)
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name=re.compile("Revoke.*nora@example.com")).click()
    page.get_by_role("button", name="Revoke the invitation").click()
    said(page, "The invitation of nora@example.com no longer works.")
    page.get_by_role("link", name=re.compile("Remove.*Mary")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Remove Mary?")
    visit.check(page)
    page.get_by_role("link", name="Keep them").click()
    page.get_by_role("link", name=re.compile("Remove.*Mary")).click()
    page.get_by_role("button", name="Remove the member").click()
    said(page, "Mary is no longer a member.")
    expect(page.get_by_role("row", name="mary@example.com")).to_have_count(0)
    # An owner is out of an admin's reach.
    expect(page.get_by_role("row", name="alice@example.com")).to_contain_text("Owner")
    expect(page.get_by_role("link", name=re.compile("Alice"))).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Alice"))).to_have_count(0)

    manage(page, "Activity")
    rows = page.get_by_role("row").filter(has_text="Adam")
    expect(rows).to_have_count(5)
    for number, words in enumerate(
        (
            "Member removed.*Mary",
            "Invitation revoked.*nora@example.com",
            "Role changed.*Bob.*Member",
            "Invitation sent.*nora@example.com",
            "Settings of the organisation changed.*Europe/London → Asia/Kathmandu",
        )
    ):
        expect(rows.nth(number)).to_contain_text(re.compile(words, re.DOTALL))
    # By the clock that was chosen.
    at = rows.first.locator("time")
    noted = datetime.fromisoformat(at.get_attribute("datetime") or "").astimezone(ZoneInfo("Asia/Kathmandu"))
    expect(at).to_have_text(f"{noted:%-d %b %Y, %H:%M}")
    visit.check(page)

    # Whoever was removed is out, with the page that is still open.
    visit.expected = ("/o/harbour/",)
    marys = visit.page(crew.mary, width=width)
    marys.goto("/o/harbour/")
    expect(marys.get_by_role("heading", level=1)).to_have_text("Nothing is here")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_member_chooses_what_to_hear_of_and_when(crew: People, visit: Visit, width: int) -> None:
    make_instrument(crew.organisation, "QT000001", name="Harbour Wall")
    page = visit.page(crew.mary, width=width)
    page.goto("/o/harbour/")
    page.locator("summary[aria-label^='Your account']").click()
    page.get_by_role("link", name="Notifications").click()
    page.get_by_label("A System Integrity Check failed").check()
    page.get_by_label("An instrument is offline").check()
    page.get_by_label("From which severity on").first.select_option(label="Red only")
    visit.check(page)
    page.get_by_role("button", name="Save", exact=True).click()
    said(page, "Saved. It holds from the next alert on.")
    expect(page.get_by_label("A System Integrity Check failed")).to_be_checked()
    expect(page.get_by_label("A calibration failed")).not_to_be_checked()
    expect(page.get_by_label("From which severity on").first).to_have_value("2")

    hours = page.get_by_role("form", name="Quiet hours")
    expect(hours).to_contain_text("You have none")
    hours.get_by_label("Quiet from").fill("21:30")
    hours.get_by_label("Quiet until").fill("06:15")
    hours.get_by_role("button", name="Save the quiet hours").click()
    said(page, "Saved. It holds from the next alert on.")
    expect(hours).to_contain_text("What comes meanwhile waits for the morning.")
    expect(hours.get_by_label("Quiet from")).to_have_value("21:30")

    digest = page.get_by_role("form", name="Digest")
    digest.get_by_label("How often").select_option(label="Every day")
    digest.get_by_label("At", exact=True).select_option(label="06:00")
    digest.get_by_role("button", name="Save the digest").click()
    said(page, "Saved. When the next one comes stands below.")
    expect(digest).to_contain_text(re.compile(r"The next one comes:.*, 06:00", re.DOTALL))
    visit.check(page)

    hours.get_by_role("button", name="Remove the quiet hours").click()
    expect(hours).to_contain_text("You have none")
    digest.get_by_label("How often").select_option(label="Never")
    digest.get_by_role("button", name="Save the digest").click()
    said(page, "Saved. No digest is sent to you.")

    places = page.get_by_role("region", name="Beside that, at one site or of one instrument")
    places.get_by_label("Where").select_option(label="Harbour Wall (QT000001)")
    places.get_by_label("What").select_option(label="An instrument is offline")
    places.get_by_role("button", name="Add").click()
    said(page, "Saved. It holds from the next alert on.")
    expect(places).to_contain_text("An instrument is offline · amber and red")
    places.get_by_role("button", name=re.compile("Remove.*Harbour Wall")).click()
    said(page, "Removed. What you asked for everywhere still holds.")
    expect(page.get_by_label("A System Integrity Check failed")).to_be_checked()
    visit.check(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_viewer_is_offered_what_a_viewer_may_do(crew: People, visit: Visit, width: int) -> None:
    page = visit.page(crew.bob, width=width)
    page.goto("/o/harbour/")
    manage(page, "People")
    expect(page.get_by_role("navigation", name="Manage").get_by_role("link")).to_have_text(
        ["Webhooks", "Health", "Record", "People", "Notifications"]
    )
    main = page.get_by_role("main")
    expect(main.get_by_role("row", name="alice@example.com")).to_contain_text("Owner")
    expect(main.get_by_role("button")).to_have_count(0)
    expect(main.get_by_role("combobox")).to_have_count(0)
    visit.check(page)
    page.locator("summary[aria-label^='Your account']").click()
    expect(page.get_by_role("link", name="Notifications").first).to_be_visible()
    expect(page.get_by_role("link", name="Activity")).to_have_count(0)
    # An address that a colleague sent says why it does not open.
    for address in ("settings", "keys", "activity", "start"):
        visit.expected = (f"/o/harbour/{address}/",)
        page.goto(f"/o/harbour/{address}/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Your role does not reach this far")
        visit.check(page)


def test_where_one_is_among_the_pages_of_management_is_seen_on_a_phone(crew: People, visit: Visit) -> None:
    page = visit.page(crew.alice, width=PHONE)
    for address, words in (("settings", "Settings"), ("record", "Record"), ("keys", "Keys")):
        page.goto(f"/o/harbour/{address}/")
        here = page.locator(".subnav").get_by_role("link", name=words, exact=True)
        expect(here).to_be_in_viewport(ratio=1)
        assert page.evaluate("scrollX + scrollY") == 0
