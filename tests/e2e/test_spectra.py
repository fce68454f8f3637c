"""Spectra beside levels, instruments beside each other, and a fleet's health, in a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, Route, expect

from instruments.models import Instrument
from tests.conftest import People, make_key
from tests.e2e.conftest import DESKTOP, PHONE, Visit, at_both_widths, until
from tests.e2e.fleets import events, levels, monitor, spectra, telemetry
from tests.instruments.test_sites import deploy, make_site

WALL = "/o/harbour/i/QT000001/"


def data(chart: str) -> str:
    """Where the page keeps what a chart shows."""
    return f"CirrusChart.charts.get(document.getElementById('{chart}'))?.data"


@pytest.fixture
def wall(crew: People, now: datetime) -> Any:
    """Two monitors with levels; the first has spectra, events and telemetry."""
    key = make_key(crew.organisation)
    made = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now, api_key=key)
    other = monitor(crew.organisation, "QT000002", "Quarry Gate", now=now, api_key=key)
    levels(made, now=now, hours=30)
    levels(other, now=now, hours=4, gap=(0, 0))
    spectra(made, now=now)
    events(made, now=now)
    telemetry(made, now=now, hours=6, voltage_v=10.6)
    telemetry(other, now=now, hours=1)
    return made


def opened(visit: Visit, crew: People, address: str, *, chart: str, width: int | None = None) -> Page:
    page = visit.page(crew.bob, width=width)
    page.goto(address)
    page.locator(f"#{chart}").scroll_into_view_if_needed()
    expect(page.locator(f"#{chart}[data-state=drawn] .js-plotly-plot")).to_be_attached(timeout=20_000)
    return page


def test_on_a_phone_what_is_asked_less_is_folded_and_no_way_there_is_shut(
    crew: People, visit: Visit, wall: object
) -> None:
    page = opened(visit, crew, WALL, chart="level-chart", width=PHONE)
    charts = page.locator("[data-chart]")
    assert charts.count() > 4
    assert page.locator("[data-chart]:visible").count() == 1
    visit.check(page)
    # By its heading, by a link, from another page, and on paper.
    page.get_by_role("heading", name="About this instrument").click()
    expect(page.get_by_text("Serial number")).to_be_visible()
    page.get_by_role("link", name="Spectrum", exact=True).click()
    expect(page.locator("#spectrum-chart[data-state=drawn] .barlayer")).to_be_visible(timeout=20_000)
    expect(page.locator("#spectrum-heading")).to_be_in_viewport()
    page.goto(f"{WALL}#health-heading")
    expect(page.locator("#stats-voltage-chart")).to_be_visible()
    visit.check(page)
    page.pdf()
    assert page.locator("[data-chart]:visible").count() == charts.count()


@contextmanager
def slow_to_come(page: Page) -> Iterator[None]:
    """What a click asks for comes later: what moves within half a second of it is nobody's surprise."""
    held: list[Route] = []
    page.route("**/*.json*", lambda route: held.append(route))
    yield
    page.wait_for_timeout(700)
    assert held
    for route in held:
        route.continue_()
    page.unroute("**/*.json*")


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_spectrum_that_is_slow_to_come_moves_nothing(
    crew: People, visit: Visit, wall: object, width: int
) -> None:
    page = opened(visit, crew, WALL, chart="level-chart", width=width)
    with slow_to_come(page):
        page.get_by_role("link", name="Spectrum", exact=True).click()
        expect(page.locator("#spectrum-heading")).to_be_in_viewport()
    expect(page.locator("#spectrum-chart[data-state=drawn] .barlayer")).to_be_visible(timeout=20_000)
    expect(page.locator("#spectrogram-chart[data-state=drawn] .js-plotly-plot")).to_be_visible(timeout=20_000)
    visit.check(page)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_range_that_is_slow_to_come_moves_nothing(
    crew: People, visit: Visit, wall: Instrument, now: datetime, width: int
) -> None:
    deploy(crew, wall, make_site(crew.organisation, "Harbour Wall, North Quay"), now - timedelta(days=9))
    page = opened(visit, crew, f"{WALL}?range=24h", chart="level-chart", width=width)
    summary = page.locator("#level-chart-summary")
    # What stands below it is to be seen; to click would scroll back.
    page.locator("[data-chart-readout='level-chart']").scroll_into_view_if_needed()
    with slow_to_come(page):
        page.locator("a[href*='range=7d']").first.dispatch_event("click")
    expect(summary).to_contain_text("Each point covers", timeout=20_000)
    visit.check(page)
    with slow_to_come(page):
        page.locator("a[href*='range=24h']").first.dispatch_event("click")
    expect(summary).not_to_contain_text("Each point covers", timeout=20_000)
    visit.check(page)


def test_on_a_desk_nothing_is_folded(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, WALL, chart="level-chart")
    assert page.locator("[data-chart]:visible").count() == page.locator("[data-chart]").count()
    expect(page.get_by_text("Serial number")).to_be_visible()
    visit.check(page)


def test_without_scripts_a_fold_opens_by_hand(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob, width=PHONE, java_script_enabled=False)
    page.goto(WALL)
    page.get_by_role("heading", name="Spectrum", exact=True).click()
    expect(page.locator("#spectrum-chart")).to_be_visible()
    # A form of a folded part is answered with the part open.
    page.locator("form", has=page.get_by_label("At", exact=True)).get_by_role("button", name="Show").click()
    expect(page.locator("#spectrum-chart")).to_be_visible()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_point_of_the_level_chart_has_its_spectrum(
    crew: People, visit: Visit, wall: object, width: int
) -> None:
    page = opened(visit, crew, f"{WALL}?range=1h", chart="level-chart", width=width)
    page.get_by_role("link", name="Spectrum", exact=True).click()
    page.locator("#spectrum-chart").scroll_into_view_if_needed()
    expect(page.locator("#spectrum-chart[data-state=drawn] .barlayer .point")).to_have_count(
        10, timeout=20_000
    )
    newest = page.locator("#spectrum-chart-summary").inner_text()
    chart = page.locator("#level-chart")
    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"at=\d{4}-"))
    # On a phone it is below the screen, and read once it is looked at.
    page.locator("#spectrum-chart").scroll_into_view_if_needed()
    expect(page.locator("#spectrum-chart-summary")).not_to_have_text(newest, timeout=20_000)
    expect(page.locator("#spectrum-chart-summary")).to_contain_text("Z-weighted")
    told = page.locator("#spectrum-chart-summary").inner_text()
    expect(page.get_by_text("or click a point of the level chart.")).to_be_visible()
    # The form says which instant it is.
    at = page.get_by_label("At", exact=True)
    assert at.input_value()[11:16] in told
    # The link shows the same, and back leads to the newest again.
    other = opened(visit, crew, page.url, chart="spectrum-chart", width=width)
    expect(other.locator("#spectrum-chart-summary")).to_have_text(told)
    page.go_back()
    expect(page.locator("#spectrum-chart-summary")).not_to_have_text(told)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_click_takes_the_point_under_the_pointer(
    crew: People, visit: Visit, wall: object, width: int
) -> None:
    page = opened(visit, crew, f"{WALL}?range=1h", chart="level-chart", width=width)
    page.locator("#level-chart .nsewdrag").first.click()
    expect(page).to_have_url(re.compile(r"at=\d{4}-"))
    expect(page.locator("[data-chart-readout=level-chart]")).to_contain_text("covered")
    # What was folded is open by now.
    expect(page.locator("#spectrum-chart")).to_be_visible()


def test_bands_change_both_charts_and_the_spectrogram_has_its_gap(
    crew: People, visit: Visit, wall: object
) -> None:
    page = opened(visit, crew, f"{WALL}?range=6h", chart="spectrogram-chart")
    until(page, f"{data('spectrogram-chart')}?.traces[0].bands.length === 10")
    values = page.evaluate(f"{data('spectrogram-chart')}?.traces[0].z[0]")
    held = [place for place, value in enumerate(values) if value is not None]
    assert values[held[0] : held[-1]].count(None) == 20
    page.get_by_role("link", name="Third octaves").click()
    until(page, f"{data('spectrogram-chart')}?.traces[0].bands[0] === '25 Hz'")
    until(page, f"{data('spectrum-chart')}?.traces[0].bands[0] === '25 Hz'")
    # So many names stand on end, at any width, and have the room for it.
    layout = "document.querySelector('#spectrum-chart .js-plotly-plot').layout"
    until(page, f"{layout}.xaxis.tickangle === -90 && {layout}.margin.b === 64")
    expect(page).to_have_url(re.compile("bands=Third"))
    page.go_back()
    until(page, f"{data('spectrogram-chart')}?.traces[0].bands[0] === '31.5 Hz'")
    # It shows the stretch that the levels show.
    page.get_by_role("link", name="1h").first.click()
    # The click scrolled it away, and what nobody looks at is not read.
    page.locator("#spectrogram-chart").scroll_into_view_if_needed()
    until(page, f"{data('spectrogram-chart')}?.end - {data('spectrogram-chart')}?.start === 3600000")


def test_links_and_forms_tell_what_is_shown_by_now(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, f"{WALL}?range=6h", chart="spectrum-chart")

    def link() -> str:
        return page.get_by_role("link", name="Link to this view", exact=True).get_attribute("href") or ""

    page.get_by_role("link", name="Third octaves").click()
    until(page, "document.querySelector('[data-chart-here]').href.includes('bands=Third')")
    page.locator("#level-chart").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('[data-chart-here]').href.includes('at=')")
    table = page.locator("#spectrum-chart + p a").first.get_attribute("href")
    assert "bands=Third" in (table or "")
    at = re.search(r"at=[^&]+", link())
    assert at
    assert at[0] in (table or "").replace("%3A", ":")
    copied = page.locator("button[data-chart-here]").first.get_attribute("data-copy")
    assert copied == link()
    for label in ("24h", "Third octaves"):
        opens = page.get_by_role("link", name=label).first.get_attribute("href") or ""
        assert "bands=Third" in opens
        assert at[0] in opens
    page.get_by_label("LAF,max").uncheck()
    page.get_by_role("button", name="Show").first.click()
    expect(page).to_have_url(re.compile(r"[?&]lines="))
    for part in ("from=", "bands=Third", "lines=", at[0]):
        assert part in page.url.replace("%3A", ":")
    assert "range=" not in page.url
    # The spectrum's own form takes the stretch along that is shown by now.
    page.get_by_role("link", name="1h").first.click()
    expect(page).to_have_url(re.compile("range=1h"))
    with page.expect_navigation():
        page.get_by_role("button", name="Show").last.click()
    assert "range=1h" in page.url
    assert "from=" not in page.url
    assert page.url.count("bands=") == page.url.count("at=") == 1


def read_by_bands(visit: Visit, crew: People, chart: str) -> tuple[Page, Locator, Locator]:
    """An instrument's page, a chart of ten bands on it that is in sight, and the place where it is read out."""
    page = opened(visit, crew, f"{WALL}?range=1h", chart="level-chart")
    found = page.locator(f"#{chart}")
    # On a phone it is folded.
    if found.is_hidden():
        page.locator("#spectrum-heading").click()
    found.scroll_into_view_if_needed()
    until(page, f"{data(chart)}?.traces[0].bands.length === 10")
    return page, found, page.locator(f"[data-chart-readout={chart}]")


@at_both_widths
def test_a_spectrum_is_read_band_by_band(crew: People, visit: Visit, wall: object) -> None:
    page, chart, told = read_by_bands(visit, crew, "spectrum-chart")
    bands, levels = page.evaluate(f"(({{ bands, y }}) => [bands, y])({data('spectrum-chart')}.traces[0])")
    expect(told).to_contain_text("Click or tap a bar")
    chart.focus()
    for key, place in (("End", 9), ("ArrowLeft", 8), ("ArrowRight", 9), ("ArrowRight", 9), ("Home", 0)):
        page.keyboard.press(key)
        expect(told).to_have_text(f"{bands[place]}: {levels[place]:.1f} dB.")
    hovered, bar = chart.locator(".hoverlayer .hovertext"), chart.locator(".barlayer .point").nth(3)
    expect(hovered).to_contain_text(bands[0])
    # Plotly looks where the pointer is every 50 ms: a click that follows a key sooner is of what the key showed.
    bar.hover(force=True)
    expect(hovered).to_contain_text(bands[3])
    bar.click(force=True)
    expect(told).to_have_text(f"{bands[3]}: {levels[3]:.1f} dB.")
    # Of another instant the same band is told.
    page.locator("#level-chart").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    chart.scroll_into_view_if_needed()
    until(page, f"{data('spectrum-chart')}.traces[0].y[3] !== {levels[3]}")
    other = page.evaluate(f"{data('spectrum-chart')}.traces[0].y[3]")
    expect(told).to_have_text(f"{bands[3]}: {other:.1f} dB.")


@at_both_widths
def test_a_spectrogram_is_read_cell_by_cell(crew: People, visit: Visit, wall: object) -> None:
    page, chart, told = read_by_bands(visit, crew, "spectrogram-chart")
    bands, cells = page.evaluate(f"(({{ bands, z }}) => [bands, z])({data('spectrogram-chart')}.traces[0])")
    column, row = len(cells[0]) - 1, 0
    chart.focus()
    for key, across, up in (
        ("ArrowLeft", 0, 0),
        ("ArrowUp", 0, 1),
        ("ArrowUp", 0, 1),
        ("ArrowLeft", -1, 0),
        ("Shift+ArrowLeft", -10, 0),
        ("ArrowDown", 0, -1),
    ):
        page.keyboard.press(key)
        column, row = column + across, row + up
        value = cells[row][column]
        words = "no value" if value is None else f"{value:.1f} dB"
        expect(told).to_have_text(
            re.compile(rf"\d\d:\d\d \(UTC.*\), {re.escape(bands[row])}: {re.escape(words)}\.$")
        )
    expect(chart.locator(".hoverlayer .hovertext").first).to_be_visible()


@at_both_widths
def test_where_there_is_no_spectrum_nobody_is_told_how_to_read_it(
    crew: People, visit: Visit, wall: object
) -> None:
    hint = "Click or tap a bar to read it."
    page = opened(visit, crew, f"{WALL}?bands=octave", chart="spectrum-chart")
    expect(page.get_by_text(hint)).to_be_visible()
    page.goto("/o/harbour/i/QT000002/?bands=octave")
    page.locator("#spectrum-chart").scroll_into_view_if_needed()
    expect(page.locator("#spectrum-chart .chart-note")).to_have_text("No spectrum is stored.")
    expect(page.get_by_text(hint)).to_be_hidden()
    visit.check(page)


@at_both_widths
def test_a_comparison_is_read_by_key_and_taken_away(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, "/o/harbour/compare/?i=QT000001&range=1h&before=1d", chart="compare-chart")
    page.locator("#compare-chart").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    readout = page.locator("[data-chart-readout=compare-chart]")
    # Both lines, each with how much of its time was measured.
    expect(readout).to_contain_text(
        re.compile(r"\d\d:\d\d \(UTC.*: .* dB \(100\s% covered\), .*\d{4} (no value|\d+\.\d dB)")
    )
    page.get_by_role("link", name="6h", exact=True).click()
    until(page, f"{data('compare-chart')}?.end - {data('compare-chart')}?.start === 21600000")
    with page.expect_download() as csv:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert len(csv.value.path().read_text().splitlines()) in (721, 723)


def test_a_spectrum_s_file_and_picture_are_of_what_is_shown(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, f"{WALL}?range=1h", chart="spectrum-chart")
    page.get_by_role("link", name="Third octaves").click()
    until(page, f"{data('spectrum-chart')}?.traces[0].bands[0] === '25 Hz'")
    with page.expect_download() as csv:
        page.get_by_role("link", name=re.compile("CSV ?: Spectrum of")).click()
    assert "25 Hz (dB)" in csv.value.path().read_text()
    with page.expect_download() as png:
        page.locator("[data-chart-png=spectrum-chart]").click()
    assert png.value.path().read_bytes()[:4] == b"\x89PNG"
    page.get_by_role("link", name=re.compile("As a table ?: Spectrogram of")).click()
    expect(page.locator(".table-levels thead")).to_contain_text("25 Hz")
    visit.check(page)


def test_a_search_beside_a_comparison_keeps_the_range(crew: People, visit: Visit, wall: object) -> None:
    address = "/o/harbour/compare/?i=QT000001&i=QT000002&range=24h"
    page = opened(visit, crew, address, chart="compare-chart")
    page.get_by_role("link", name="1h", exact=True).click()
    expect(page).to_have_url(re.compile("range=1h"))
    page.get_by_label("Add another noise monitor").fill("quarry")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(re.escape("?text=quarry&i=QT000001&i=QT000002&range=1h") + "$"))


@at_both_widths
def test_a_spectrum_is_a_table_without_a_script(
    crew: People, visit: Visit, wall: object, now: datetime
) -> None:
    page = visit.page(crew.bob, java_script_enabled=False)
    page.goto(WALL)
    page.get_by_role("heading", name="Spectrum", exact=True).click()
    local = timezone.localtime(now - timedelta(minutes=30), crew.organisation.zone)
    page.get_by_label("At", exact=True).fill(local.strftime("%Y-%m-%dT%H:%M:%S"))
    page.locator("form", has=page.get_by_label("At", exact=True)).get_by_role("button", name="Show").click()
    page.locator("#spectrum-chart").get_by_role("link", name="The same values as a table").click()
    expect(page.get_by_role("row", name=re.compile("31.5 Hz"))).to_contain_text("dB")
    # There is none on this page.
    expect(page.get_by_text("a point of the level chart")).to_have_count(0)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_instruments_are_compared_at_an_address(crew: People, visit: Visit, wall: object, width: int) -> None:
    page = opened(visit, crew, WALL, chart="level-chart", width=width)
    page.get_by_role("link", name="Compare").click()
    page.get_by_label("Add another noise monitor").fill("quarry")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Quarry Gate").click()
    page.locator("#compare-chart").scroll_into_view_if_needed()
    until(page, f"{data('compare-chart')}?.traces.length === 2")
    totals = page.locator("#compare-totals tbody tr")
    expect(totals).to_have_count(2)
    before = totals.last.inner_text()
    page.get_by_role("link", name="1h", exact=True).click()
    # The totals follow the chart.
    expect(totals.last).not_to_have_text(before)
    expect(totals.last).to_contain_text(re.compile(r"(9\d\.\d|100) %"))
    page.get_by_role("link", name="the day before").click()
    page.locator("#compare-chart").scroll_into_view_if_needed()
    until(page, f"{data('compare-chart')}?.traces.length === 2")
    expect(totals.first).to_contain_text("–")
    expect(page).to_have_url(re.compile("before=1d"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    visit.check(page)


@at_both_widths
def test_health_shows_the_worst_first_and_leads_to_its_history(
    crew: People, visit: Visit, wall: object
) -> None:
    page = visit.page(crew.bob)
    page.goto("/o/harbour/record/")
    page.get_by_role("link", name="Health", exact=True).click()
    expect(page.locator("tbody tr").first).to_contain_text("10.6V needs action")
    expect(page.locator(".banner", has_text="1 monitor:")).to_contain_text("Harbour Wall")
    page.get_by_role("link", name="Show them").click()
    expect(page.locator("#health-table table").first.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Harbour Wall").click()
    page.locator("#stats-voltage-chart").scroll_into_view_if_needed()
    expect(page.locator("#stats-voltage-chart[data-state=drawn] .js-line").first).to_be_attached(
        timeout=20_000
    )
    expect(page.locator("#stats-voltage-chart-summary")).to_contain_text("V")
