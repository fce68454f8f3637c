"""Sites and the boards of checks in a browser: a place made from a phone, a fleet's checks read at a glance."""

import io
import re
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from PIL import Image
from playwright.sync_api import expect

from tests.conftest import People
from tests.e2e.conftest import DESKTOP, PHONE, Visit, at_both_widths
from tests.e2e.fleets import certificates, checks, drifting, every_state, monitor, places

WIDTHS = [PHONE, DESKTOP]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_site_from_nothing_to_an_instrument_that_stands_there(
    crew: People, visit: Visit, now: datetime, width: int
) -> None:
    monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    page = visit.page(crew.mary, width=width)
    page.goto("/o/harbour/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Sites").click()
    page.get_by_role("link", name="Add a site").click()
    page.get_by_label("Name").fill("Crane 4")
    page.get_by_label("Latitude").fill("52.9")
    page.get_by_label("Time zone").select_option("Asia/Kathmandu")
    page.get_by_label("Microphone").select_option("At a façade")
    kept = io.BytesIO()
    Image.new("RGB", (600, 400), "teal").save(kept, "JPEG")
    page.get_by_label("Photo").set_input_files(
        {"name": "crane.jpg", "mimeType": "image/jpeg", "buffer": kept.getvalue()}
    )
    visit.expected = ("/sites/add/",)
    page.get_by_role("button", name="Add the site").click()
    # What is missing is said, and what was written stays.
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("A position needs both latitude and longitude.")
    expect(page.get_by_label("Name")).to_have_value("Crane 4")
    page.get_by_label("Longitude").fill("-1.2")
    page.get_by_role("button", name="Add the site").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Crane 4")
    page.get_by_role("link", name="Deploy an instrument").first.click()
    page.get_by_label("Instrument").fill("Harbour")
    page.get_by_label("From").fill("2026-05-01T09:00")
    page.get_by_label("Where exactly").fill("roof")
    page.get_by_role("button", name="Deploy it").click()
    expect(page.get_by_role("heading", name="Harbour Wall")).to_be_visible()
    row = page.get_by_role("row", name=re.compile("Harbour Wall"))
    expect(row).to_contain_text("1 May 2026, 09:00")
    page.get_by_role("heading", name="Harbour Wall").get_by_role("link").click()
    expect(page.locator("footer")).to_contain_text("Asia/Kathmandu")


@at_both_widths
def test_the_photo_is_there_and_moves_nothing(crew: People, visit: Visit, now: datetime) -> None:
    site = places(every_state(crew.organisation, now=now), now=now, actor=crew.mary)
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/sites/{site.pk}/")
    photo = page.get_by_role("img", name="Photo of Harbour Road 1")
    expect(photo).to_be_visible()
    assert photo.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 800
    # Bob looks; he changes nothing.
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)
    visit.check(page)
    assert str(settings.DATA_DIR) not in page.content()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_boards_say_what_is_wrong_first(crew: People, visit: Visit, now: datetime, width: int) -> None:
    made = every_state(crew.organisation, now=now)
    checks(made["sic-failed"], now=now)
    drifting(made["measuring"], now=now)
    certificates(made, now=now)
    page = visit.page(crew.bob, width=width)
    page.goto("/o/harbour/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Checks").click()
    first = page.locator("#check-board tbody tr").first
    expect(first).to_contain_text("Crane 4 North")
    expect(first).to_contain_text("Beyond tolerance")
    expect(first).to_contain_text("are in doubt")
    page.get_by_role("navigation", name="Checks", exact=True).get_by_role("link", name="SICs").click()
    expect(first).to_contain_text("Failed")
    second = page.locator("#check-board tbody tr").nth(1)
    expect(second).to_contain_text("Drifting")
    expect(second).to_contain_text("−0.30 dB in 30 days")
    page.get_by_role("link", name="Drifting").click()
    expect(page.locator("#check-board tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?state=drifting$"))
    page.go_back()
    expect(second).to_contain_text("Drifting")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename.startswith("harbour-sics-")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    visit.check(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_board_of_sics_is_as_wide_as_the_window_and_sorted_by_its_limit(
    crew: People, visit: Visit, now: datetime, width: int
) -> None:
    made = every_state(crew.organisation, now=now)
    places(made, now=now, actor=crew.mary)
    checks(made["sic-failed"], now=now)
    drifting(made["measuring"], now=now)
    drifting(made["offline"], now=now, nights=90)
    page = visit.page(crew.bob, width=width)
    page.goto("/o/harbour/checks/sics/")
    first = page.locator("#check-board tbody tr").first
    expect(first).to_contain_text("Failed")
    sorting = page.get_by_label("Sorted by")
    sorting.focus()
    sorting.select_option("Nearest limit first")
    expect(page).to_have_url(re.compile(r"/sics/[?]sort=limit$"))
    limit = page.get_by_role("columnheader", name="Limit", include_hidden=True)
    expect(limit).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("link", name="Download as CSV")).to_have_attribute(
        "href", re.compile("sort=limit")
    )
    expect(sorting).to_be_focused()
    expect(first).to_contain_text("reached")
    # Every cell that there is has its longest words.
    for words in ("reached", "days", "dB in 30 days", "beyond tolerance", "median of the first 5"):
        expect(page.locator("#check-board tbody")).to_contain_text(words)
    for wide in (page.locator("html"), page.locator("#check-board .table-wrap")):
        assert wide.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
    visit.check(page)


@at_both_widths
def test_a_history_is_drawn_with_its_step(crew: People, visit: Visit, now: datetime) -> None:
    made = every_state(crew.organisation, now=now)
    checks(made["sic-failed"], now=now)
    drifting(made["measuring"], now=now)
    page = visit.page(crew.bob)
    for kind in ("QT000001/calibrations/", "QT000007/sics/"):
        page.goto(f"/o/harbour/i/{kind}")
        expect(page.locator("#history-chart[data-state=drawn] .js-plotly-plot")).to_be_attached(
            timeout=20_000
        )
        visit.check(page)
    page.goto("/o/harbour/i/QT000001/calibrations/")
    expect(page.locator("#history-chart-summary")).to_contain_text("1 failed or beyond tolerance")
    found = now.replace(hour=2) - timedelta(days=1 if now.hour < 2 else 0) - timedelta(days=3)
    expect(page.locator(".banner", has_text="are in doubt")).to_contain_text(f"{found:%-d %b %Y}")


@pytest.mark.parametrize(("kind", "words"), [("calibrations", ["+0.90 dB"]), ("sics", ["Failed", "Failed"])])
@at_both_widths
def test_what_a_history_found_is_marked_and_named(
    crew: People, visit: Visit, now: datetime, kind: str, words: list[str]
) -> None:
    checks(every_state(crew.organisation, now=now)["sic-failed"], now=now)
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/i/QT000001/{kind}/")
    plot = page.locator("#history-chart[data-state=drawn] .js-plotly-plot")
    expect(plot).to_be_attached(timeout=20_000)
    expect(plot.locator(".shapelayer text", has_text=re.compile("^(Failed|[+]0.90 dB)$"))).to_have_text(words)
    # Each has a sign at the foot, too, whose words are read where it is pointed at.
    signs = plot.evaluate(
        "(plot) => plot.data.filter((one) => one.yaxis === 'y2').flatMap((one) => one.text)"
    )
    assert signs == words
    # The tolerances' own names stand inside of the axes, which would cut them off.
    area = plot.locator(".nsewdrag").bounding_box()
    for name in plot.locator(".shapelayer text", has_text=re.compile(r"^.(1.50|0.70) dB$")).all():
        box = name.bounding_box()
        assert area
        assert box
        assert area["y"] <= box["y"] < box["y"] + box["height"] <= area["y"] + area["height"]
    visit.check(page)


@at_both_widths
def test_a_tolerance_that_an_admin_changes_holds_at_once(crew: People, visit: Visit, now: datetime) -> None:
    checks(every_state(crew.organisation, now=now)["sic-failed"], now=now)
    page = visit.page(crew.adam)
    page.goto("/o/harbour/checks/tolerances/")
    expect(page.get_by_text("ISO 1996-2:2017, 5.2")).to_be_visible()
    page.get_by_label("Step between two calibrations").fill("1.0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto("/o/harbour/checks/calibrations/")
    row = page.get_by_role("row", name=re.compile("Crane 4 North"))
    expect(row).to_contain_text("In order")
    expect(page.locator("caption")).to_contain_text("at most 1.00 dB")
