"""What is put on paper: every chart of a page with its legend, and what a member wrote, without what is clicked."""

from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import People, make_instrument, make_key
from tests.e2e.conftest import Visit
from tests.e2e.fleets import checks, levels, monitor, spectra
from tests.e2e.happenings import happenings

WALL = "/o/harbour/i/QT000001/"
WAITING = "getComputedStyle(document.getElementById('spectrogram-chart'), '::after').content"


@pytest.fixture
def page(crew: People, visit: Visit, now: datetime) -> Page:
    """The page of a monitor with levels and spectra, of which the screen shows the beginning."""
    made: Any = monitor(
        crew.organisation, "QT000001", "Harbour Wall", now=now, api_key=make_key(crew.organisation)
    )
    levels(made, now=now)
    checks(made, now=now)
    spectra(made, now=now)
    page = visit.page(crew.bob)
    page.goto(WALL)
    expect(page.locator("#level-chart[data-state=drawn]")).to_be_attached(timeout=20_000)
    return page


def test_the_legend_of_what_is_drawn_is_printed(page: Page) -> None:
    legend = page.locator("[data-chart-legend=level-chart]")
    legend.get_by_label("LC,peak").check()
    legend.get_by_label("LAF,max").uncheck()
    page.emulate_media(media="print")
    seen = legend.locator("label:visible").all_inner_texts()
    assert [words for words in seen if words.startswith("L")] == ["LAeq", "LC,peak", "Levels in doubt"]
    expect(legend.locator("input:visible")).to_have_count(0)


def test_charts_that_nobody_scrolled_to_are_printed(page: Page) -> None:
    chart = page.locator("#spectrogram-chart")
    assert chart.get_attribute("data-state") is None
    held: list[Any] = []
    page.route("**/spectrogram.json*", lambda route: held.append(route))
    page.pdf()
    expect(chart).to_have_attribute("data-state", "loading")
    # Paper waits for nothing: it says what is missing on it, and the next one has it.
    page.emulate_media(media="print")
    assert "Print again" in page.evaluate(WAITING)
    held[0].continue_()
    expect(chart.and_(page.locator("[data-state=drawn]"))).to_be_visible()
    assert page.evaluate(WAITING) == "none"
    expect(chart.locator(".chart-note")).to_have_count(0)


@pytest.mark.parametrize("who", ["mary", "bob"])
def test_the_tag_of_an_event_is_printed(crew: People, visit: Visit, now: datetime, who: str) -> None:
    units = make_instrument(crew.organisation, "QT000001"), make_instrument(crew.organisation, "QT000007")
    event = happenings(crew.organisation, units, now=now)[1]
    page = visit.page(getattr(crew, who))
    page.goto(f"/o/harbour/events/{event.pk}/")
    facts = page.locator("#event-tag dl")
    # Members have it in their form.
    expect(facts).to_be_visible(visible=who == "bob")
    page.emulate_media(media="print")
    expect(facts).to_have_text("CauseRoad trafficCommentA lorry reversing.")
    expect(facts).to_be_visible()


@pytest.mark.parametrize(
    ("address", "table"), [("i/QT000001/sics/", ".table-checks"), ("checks/calibrations/", ".table-board")]
)
def test_values_stand_below_their_headings(
    crew: People, visit: Visit, now: datetime, address: str, table: str
) -> None:
    checks(monitor(crew.organisation, "QT000001", "Harbour Wall", now=now), now=now)
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/{address}")
    page.emulate_media(media="print")
    # As wide as A4 is between its margins, which is as narrow as a large phone.
    page.set_viewport_size({"width": 688, "height": 1000})
    places = "(cells) => cells.map((cell) => Math.round(cell.getBoundingClientRect().x))"
    headings = page.locator(f"{table} thead tr").locator("th, td").evaluate_all(places)
    values = page.locator(f"{table} tbody tr").first.locator("th, td").evaluate_all(places)
    assert len(headings) > 4
    assert values == headings


def test_paper_tells_the_clock_instead_of_an_age(page: Page) -> None:
    when = page.locator("#instrument-status .present-when time")
    expect(when).to_be_visible()
    page.emulate_media(media="print")
    shown = when.evaluate(
        "(time) => [getComputedStyle(time, '::after').content, getComputedStyle(time).fontSize]"
    )
    assert shown == [f'"{when.get_attribute("title")}"', "0px"]
