"""The page of one instrument in a browser: the present, a chart that is drawn, checks, and a session that ends."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import PASSWORD, People, make_key
from tests.e2e.conftest import PHONE, Poll, Visit, at_both_widths
from tests.e2e.fleets import change, checks, every_state, levels, monitor, targets

WALL = "/o/harbour/i/QT000001/"
DRAWN = "#level-chart[data-state=drawn] .js-plotly-plot .scatterlayer .js-line"


def drawn(page: Page) -> None:
    """Wait for the lines."""
    expect(page.locator(DRAWN).first).to_be_attached(timeout=20_000)


@pytest.fixture
def wall(crew: People, now: datetime):  # type: ignore[no-untyped-def]
    """A monitor with a day of levels, two hours of it missing."""
    made = monitor(
        crew.organisation, "QT000001", "Harbour Wall", now=now, api_key=make_key(crew.organisation)
    )
    levels(made, now=now)
    checks(made, now=now, failed=0)
    targets(made, now=now)
    return made


@at_both_widths
def test_the_chart_is_drawn_with_its_gap(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob)
    page.goto(WALL)
    drawn(page)
    # A line with a gap is drawn in two strokes.
    expect(page.locator("#level-chart .scatterlayer .trace").first.locator(".js-line")).to_have_count(2)
    values = page.evaluate("document.querySelector('.js-plotly-plot').data[0].y")
    assert values.count(None) >= 119
    assert 0 not in values
    colours = page.evaluate(
        """document.querySelector('.js-plotly-plot').data
        .filter((one) => one.mode !== 'markers').map((one) => one.line.color)"""
    )
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert len({*colours, ink}) == len(colours) + 1
    expect(page.locator("#level-chart-summary")).to_contain_text("LAeq")
    expect(page.locator("#level-chart-summary")).to_contain_text("91.")
    visit.check(page)


def test_the_chart_offers_its_maker_nothing(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob)
    page.goto(WALL)
    drawn(page)
    page.locator("#level-chart").hover()
    titles = page.locator(".modebar-btn").evaluate_all("(all) => all.map((one) => one.dataset.title)")
    assert titles
    assert not [title for title in titles if re.search("share|cloud|studio|plotly|edit", title, re.I)]
    expect(page.get_by_text(re.compile("share chart", re.I))).to_have_count(0)


@at_both_widths
def test_a_range_is_an_address(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob)
    page.goto(WALL)
    drawn(page)
    with page.expect_response(re.compile("levels.json.range=1h")):
        page.get_by_role("link", name="1h").click()
    expect(page).to_have_url(re.compile(r"\?range=1h$"))
    expect(page.get_by_role("link", name="1h")).to_have_attribute("aria-current", "true")
    with page.expect_response(re.compile("levels.json.range=24h")):
        page.go_back()
    page.goto(WALL + "?range=7d")
    expect(page.get_by_role("link", name="7d")).to_have_attribute("aria-current", "true")


@at_both_widths
def test_no_levels_are_said_in_words(crew: People, visit: Visit, now: datetime) -> None:
    monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    page = visit.page(crew.bob)
    page.goto(WALL)
    expect(page.locator("#level-chart")).to_contain_text("No levels were measured in this range.")


@at_both_widths
def test_a_failed_check_says_since_when_levels_are_in_doubt(
    crew: People, visit: Visit, now: datetime
) -> None:
    made = every_state(crew.organisation, now=now)["sic-failed"]
    checks(made, now=now, failed=2)
    page = visit.page(crew.bob)
    page.goto(WALL)
    present = page.locator("#instrument-status")
    expect(present).to_contain_text("SIC failed")
    night = now.replace(hour=2, minute=0)
    night -= timedelta(days=1 if night > now else 0)
    good = night - timedelta(days=2)
    expect(present).to_contain_text(f"Levels since {good:%-d %b %Y}")
    # The frequency that moved is the one that stands out.
    row = page.locator("#instrument-checks tbody tr.is-bad").first
    expect(row.locator(".word-bad")).to_have_text(re.compile("−36.30 dB"))


@at_both_widths
def test_a_step_beyond_half_a_decibel_is_marked(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob)
    page.goto(WALL)
    rows = page.locator("section", has=page.get_by_role("heading", name="Calibrations")).locator("tbody tr")
    expect(rows.first).to_have_class(re.compile("is-warn"))
    expect(rows.first).to_contain_text("+0.90 dB")
    # An offset of nothing is a value.
    expect(rows.nth(1)).to_contain_text("±0.00")


@at_both_widths
def test_a_new_level_appears_without_a_reload(
    crew: People,
    visit: Visit,
    poll: Poll,
    wall,
    now: datetime,  # type: ignore[no-untyped-def]
) -> None:
    page = visit.page(crew.bob)
    page.goto(WALL)
    page.evaluate("window.stayed = true")
    page.locator("#targets summary").focus()
    change(wall, now=now + timedelta(seconds=1), LAeq=88.8)
    poll(page, "instrument-status")
    expect(page.locator(".present-main .figure")).to_have_text("88.8dB")
    assert page.evaluate("window.stayed") is True


@at_both_widths
def test_a_new_check_appears_without_a_reload(
    crew: People,
    visit: Visit,
    poll: Poll,
    wall,
    now: datetime,  # type: ignore[no-untyped-def]
) -> None:
    page = visit.page(crew.bob)
    page.goto(WALL)
    shown = page.locator("#instrument-checks .badge", has_text="Failed")
    expect(shown).to_have_count(0)
    from instruments.tenancy import organisation_scope
    from monitoring.models import SystemIntegrityCheck

    with organisation_scope(crew.organisation.pk):
        SystemIntegrityCheck.objects.create(
            organisation=crew.organisation, instrument=wall, at=now, status="Failed", passed=False
        )
    change(wall, now=now, sic_at=now, sic_passed=False, sic_status="Failed")
    poll(page, "instrument-checks")
    expect(shown).to_have_count(1)


def test_an_open_list_of_fetches_stays_open_over_a_poll(
    crew: People,
    visit: Visit,
    poll: Poll,
    wall,
    now: datetime,  # type: ignore[no-untyped-def]
) -> None:
    page = visit.page(crew.bob)
    page.goto(WALL)
    page.locator("#targets summary").click()
    expect(page.get_by_text("MyCirrus did not answer in time.")).to_be_visible()
    change(wall, now=now + timedelta(seconds=1), LAeq=61.0)
    poll(page, "instrument-status")
    expect(page.locator(".present-main .figure")).to_have_text("61.0dB")
    expect(page.get_by_text("MyCirrus did not answer in time.")).to_be_visible()
    expect(page.locator("#targets summary")).to_be_focused()


@at_both_widths
def test_other_types_have_no_chart_and_no_level(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/i/AQ000008/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Market Square")
    expect(page.locator("#level-chart, #instrument-checks")).to_have_count(0)
    expect(page.locator("#instrument-status")).not_to_contain_text("dB")
    expect(page.locator("#instrument-status")).to_contain_text("Measuring")


@at_both_widths
def test_the_table_says_what_the_chart_says(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob, java_script_enabled=False)
    page.goto(WALL + "?range=1h")
    page.get_by_role("link", name="The same values as a table").first.click()
    rows = page.locator(".table-levels tbody tr")
    # Waits for the new page: a count alone would be taken of whatever is there.
    expect(rows.first).to_contain_text("dB")
    assert 59 <= rows.count() <= 61


@at_both_widths
def test_older_checks_are_a_page_away(crew: People, visit: Visit, now: datetime) -> None:
    made = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    checks(made, now=now, count=60, failed=0)
    page = visit.page(crew.bob)
    page.goto(WALL)
    page.get_by_role("link", name="All SICs").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    # The last of the first page is told against the first of the next.
    expect(page.locator("tbody tr").first).to_contain_text("±0.00 dB")
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("tbody tr")).to_have_count(50)


def test_times_are_the_organisations_own(crew: People, visit: Visit, now: datetime) -> None:
    crew.organisation.timezone = "Asia/Kathmandu"
    crew.organisation.save()
    monitor(
        crew.organisation,
        "QT000001",
        "Harbour Wall",
        now=now,
        level_at=now.replace(minute=0, second=0, microsecond=0),
    )
    # A browser elsewhere must not matter.
    page = visit.page(crew.bob, timezone_id="America/New_York")
    page.goto(WALL)
    expect(page.locator(".present-when")).to_contain_text(re.compile(r"\d\d:45–\d\d:46 \+0545"))
    expect(page.locator("footer")).to_contain_text("Asia/Kathmandu")


@at_both_widths
def test_a_session_that_ended_is_found_out_by_the_chart_too(crew: People, visit: Visit, wall: object) -> None:
    from django.contrib.sessions.models import Session

    page = visit.page(crew.bob)
    page.goto(WALL)
    drawn(page)
    Session.objects.all().delete()
    page.get_by_role("link", name="6h").click()
    page.wait_for_url("**/accounts/login/**")
    page.get_by_label("Email").fill(crew.bob.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/o/harbour/i/QT000001/\?range=6h$"))


def test_a_phone_sees_the_level_first(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob, width=PHONE)
    page.goto(WALL)
    expect(page.locator(".present-main .figure")).to_be_in_viewport()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    visit.check(page)


def test_a_long_page_has_ways_down(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob, width=PHONE)
    page.goto(WALL)
    ways = page.get_by_role("navigation", name="On this page")
    for word in ("Levels", "Events", "Checks", "About"):
        page.goto(WALL)
        drawn(page)
        way = ways.get_by_role("link", name=word, exact=True)
        there = page.locator(str(way.get_attribute("href")))
        expect(there).not_to_be_in_viewport()
        way.click()
        expect(there).to_be_in_viewport()
    visit.check(page)


@at_both_widths
def test_a_chart_that_cannot_be_read_says_so(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob)
    visit.expected = ("levels.json",)
    page.route("**/levels.json*", lambda route: route.fulfill(status=503))
    page.goto(WALL)
    expect(page.locator("#level-chart")).to_contain_text("did not arrive")
    page.unroute("**/levels.json*")
    page.get_by_role("button", name="Try again").click()
    drawn(page)


@pytest.mark.parametrize("how", ["button", "range", "online"])
@at_both_widths
def test_a_range_that_did_not_arrive_is_asked_for_again(
    crew: People, visit: Visit, wall: object, how: str
) -> None:
    page = visit.page(crew.bob)
    visit.expected = ("levels.json",)
    page.goto(WALL)
    drawn(page)
    page.route("**/levels.json*", lambda route: route.fulfill(status=503))
    link = page.get_by_role("link", name="6h").first
    link.click()
    # The old drawing stays, and says that it is not what was asked for.
    expect(page.locator("#level-chart[data-state=failed] .chart-note")).to_contain_text("the range before")
    expect(link).to_have_attribute("aria-current", "true")
    page.unroute("**/levels.json*")
    page.evaluate("document.getElementById('connection').hidden = false")
    if how == "button":
        page.get_by_role("button", name="Try again").click()
    elif how == "range":
        link.click()
    else:
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(page.locator("#connection")).to_be_hidden()
    expect(page.locator("#level-chart[data-state=drawn]")).to_be_attached(timeout=20_000)
    expect(page.locator("#level-chart .chart-note")).to_have_count(0)
    page.go_back()
    expect(page).to_have_url(re.compile("QT000001/$"))
