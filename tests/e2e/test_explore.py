"""Moving in the level chart: what is zoomed into is fetched finer, has an address, and is read point by point."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from instruments.models import Deployment, Instrument, Site
from instruments.tenancy import organisation_scope
from monitoring.events.tags import event_tag
from monitoring.models import (
    ActionKind,
    ActionState,
    Calibration,
    Event,
    InstrumentAction,
    ParticulateSample,
    SystemIntegrityCheck,
)
from tests.catalogue import speak
from tests.conftest import People, make_key
from tests.e2e.conftest import DESKTOP, PHONE, Visit, at_both_widths, until
from tests.e2e.fleets import checks, levels, monitor

WALL = "/o/harbour/i/QT000001/"
DRAWN = "#level-chart[data-state=drawn] .js-plotly-plot .scatterlayer .js-line"
DATA = "CirrusChart.charts.get(document.getElementById('level-chart'))?.data"

SEEN = "document.querySelector('#level-chart .js-plotly-plot').data.filter((one) => one.visible !== false)"


@pytest.fixture
def wall(crew: People, now: datetime) -> Any:
    """A monitor with two days of levels."""
    made = monitor(
        crew.organisation, "QT000001", "Harbour Wall", now=now, api_key=make_key(crew.organisation)
    )
    levels(made, now=now, hours=48)
    checks(made, now=now, failed=0)
    return made


def opened(visit: Visit, crew: People, address: str, width: int | None = None) -> Page:
    page = visit.page(crew.bob, width=width)
    page.goto(WALL + address)
    expect(page.locator(DRAWN).first).to_be_attached(timeout=20_000)
    return page


def bucket(page: Page, expected: int) -> None:
    """Wait until the chart holds points of that length."""
    until(page, f"{DATA}?.bucket === {expected}")


def test_a_drag_fetches_finer_values_and_back_leads_back(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, "?range=7d")
    bucket(page, 900)
    page.locator("#level-chart").scroll_into_view_if_needed()
    box = page.locator("#level-chart .nsewdrag").first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.9, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.97, middle, steps=6)
    page.mouse.up()
    bucket(page, 60)
    expect(page).to_have_url(re.compile(r"\?from=\d{4}-\d\d-\d\dT[\d:]+Z&to="))
    # The other tools have followed: files, form, and no range is the current one.
    csv = page.get_by_role("link", name="CSV", exact=True).get_attribute("href")
    assert csv is not None
    assert "from=" in csv
    assert "range=" not in csv
    expect(page.locator(".chart-card [data-chart-range][aria-current]")).to_have_count(0)
    page.go_back()
    bucket(page, 900)
    expect(page.get_by_role("link", name="7d").first).to_have_attribute("aria-current", "true")
    visit.check(page)


@at_both_widths
def test_a_link_shows_the_same_to_whoever_opens_it(
    crew: People, visit: Visit, wall: Instrument, now: datetime
) -> None:
    with organisation_scope(crew.organisation.pk):
        # In the middle of the day, where it stays in sight at whatever hour this runs.
        SystemIntegrityCheck.objects.filter(instrument=wall).delete()
        SystemIntegrityCheck.objects.create(
            organisation=crew.organisation, instrument=wall, at=now - timedelta(hours=12), passed=True
        )
    page = opened(visit, crew, "?range=24h")
    page.get_by_role("link", name="Zoom in").click()
    expect(page).to_have_url(re.compile("from="))
    assert {"LAF,max", "sics"} <= set(page.evaluate(f"{SEEN}.map((one) => one.name)"))
    page.get_by_label("LAF,max").uncheck()
    page.get_by_label("SICs").uncheck()
    expect(page).to_have_url(re.compile("lines="))
    until(page, f"{DATA}.end - {DATA}.start <= 12 * 3600000 + 1000")
    shown = page.evaluate(f"[{DATA}.start, {DATA}.end]")
    other = visit.page(crew.alice)
    other.goto(page.url)
    # Who may act has more above it, and what is far below a phone's screen is not read.
    other.locator("#level-chart").scroll_into_view_if_needed()
    expect(other.locator(DRAWN).first).to_be_attached(timeout=20_000)
    # An address has whole seconds.
    assert other.evaluate(f"[{DATA}.start, {DATA}.end]") == pytest.approx(shown, abs=1000)
    expect(other.get_by_label("LAF,max")).not_to_be_checked()
    expect(other.get_by_label("LAeq")).to_be_checked()
    names = other.evaluate(f"{SEEN}.map((one) => one.name)")
    assert "LAF,max" not in names
    assert "sics" not in names


@at_both_widths
def test_keys_read_move_and_zoom(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, "?range=6h")
    chart = page.locator("#level-chart")
    readout = page.locator("[data-chart-readout=level-chart]")
    chart.focus()
    page.keyboard.press("Home")
    expect(readout).to_contain_text(re.compile(r"\d\d:\d\d – \d\d:\d\d \(UTC.*LAeq \d+\.\d dB"))
    first = readout.inner_text()
    page.keyboard.press("ArrowRight")
    expect(readout).not_to_have_text(first)
    expect(readout).to_contain_text("100 % covered")
    before = page.evaluate(f"[{DATA}.start, {DATA}.end]")
    page.keyboard.press("PageUp")
    until(page, f"{DATA}.start < {before[0]} - 3600000")
    page.keyboard.press("+")
    until(page, f"{DATA}.end - {DATA}.start < 4 * 3600000")
    page.keyboard.press("0")
    until(page, f"{DATA}.end - {DATA}.start > 5 * 3600000")
    expect(page).to_have_url(re.compile(r"range=6h"))
    expect(chart).to_be_focused()


def test_the_extremes_of_a_point_are_read_with_it(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, "?range=7d")
    bucket(page, 900)
    page.locator("#level-chart").focus()
    page.keyboard.press("End")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    band = f"{DATA}.traces.find((one) => one.kind === 'band')"
    lower, upper = page.evaluate(f"[{band}.lower.at(-5), {band}.upper.at(-5)]")
    assert lower < upper
    readout = page.locator("[data-chart-readout=level-chart]")
    expect(readout).to_contain_text(f"LAeq, lowest to highest {lower:.1f} – {upper:.1f} dB")
    # Taken away with its line.
    page.get_by_label("LAeq", exact=True).uncheck()
    page.locator("#level-chart").focus()
    page.keyboard.press("ArrowLeft")
    expect(readout).not_to_contain_text("lowest to highest")


def test_where_nothing_can_be_copied_the_address_is_shown(crew: People, visit: Visit, wall: object) -> None:
    page = visit.page(crew.bob)
    # As on plain http, where a browser has no clipboard to offer.
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    asked: list[Dialog] = []
    page.on("dialog", lambda dialog: (asked.append(dialog), dialog.dismiss()))
    page.route("**/levels.json*", lambda route: route.abort())
    page.goto(f"{WALL}?range=6h")
    copy = page.get_by_role("button", name="Copy the link to this view").first
    copy.click()
    # Before the chart is drawn, too.
    assert re.search(r"^http.*/i/QT000001/\?from=.+&to=", asked[0].default_value)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", r"^\d+ \w+ 20\d\d \(UTC\+00:00\)"),
        ("Asia/Kathmandu", r"^\d+ \w+ 20\d\d, 05:45 – \d+ \w+ 20\d\d, 05:45 \(UTC\+05:45\)"),
    ],
)
def test_a_day_is_named_where_it_is_one(
    crew: People, visit: Visit, wall: object, zone: str, words: str
) -> None:
    type(crew.organisation).objects.filter(pk=crew.organisation.pk).update(timezone=zone)
    page = opened(visit, crew, "?range=90d")
    # Days are those of UTC.
    bucket(page, 86400)
    page.locator("#level-chart").focus()
    page.keyboard.press("End")
    expect(page.locator("[data-chart-readout=level-chart]")).to_have_text(re.compile(words))


@at_both_widths
def test_percentiles_can_be_seen_where_they_were_recorded(
    crew: People, visit: Visit, wall: Any, now: datetime
) -> None:
    from instruments.tenancy import organisation_scope
    from monitoring.models import NoiseMeasurement

    with organisation_scope(crew.organisation.pk):
        NoiseMeasurement.objects.filter(instrument=wall).update(LAF90=41.5)
    page = opened(visit, crew, "?range=24h")
    box = page.get_by_label("LAF90")
    expect(box).to_be_enabled()
    box.check()
    until(page, f"{SEEN}.some((one) => one.name === 'LAF90,1min')")
    page.get_by_role("link", name="7d").first.click()
    bucket(page, 900)
    expect(box).to_be_disabled()


def test_a_finger_moves_and_zooms_by_buttons(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, "?range=24h", PHONE)
    before = page.evaluate(f"{DATA}.start")
    page.get_by_role("link", name="Earlier").tap()
    until(page, f"{DATA}.start < {before}")
    page.get_by_role("link", name="Zoom in").tap()
    until(page, f"{DATA}.end - {DATA}.start < 13 * 3600000")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    visit.check(page)


def test_a_phone_that_is_turned_has_its_chart_drawn_anew(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, "?range=24h")
    layout = "document.querySelector('#level-chart .js-plotly-plot').layout"
    until(page, f"{layout}.xaxis.nticks === 9")
    page.set_viewport_size({"width": PHONE, "height": 844})
    until(page, f"{layout}.xaxis.nticks === 6")
    # A time without its zone says nothing, on a phone either.
    assert "Europe/London" in page.evaluate(f"{layout}.xaxis.title.text")
    page.set_viewport_size({"width": DESKTOP, "height": 800})
    until(page, f"{layout}.xaxis.nticks === 9")


@pytest.mark.parametrize("script", [True, False])
@at_both_widths
def test_a_stretch_of_one_s_own_is_a_form(
    crew: People, visit: Visit, wall: object, now: datetime, script: bool
) -> None:
    day = (now.astimezone(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    page = visit.page(crew.bob, java_script_enabled=script)
    page.goto(WALL)
    page.get_by_label("From").first.fill(f"{day}T10:00")
    page.get_by_label("to", exact=True).first.fill(f"{day}T11:00")
    page.get_by_role("button", name="Show").first.click()
    expect(page).to_have_url(re.compile("from="))
    page.get_by_role("link", name="As a table" if script else "The same values as a table").first.click()
    rows = page.locator(".table-levels tbody tr")
    expect(rows.first).to_contain_text("dB")
    assert rows.count() == 60
    page.get_by_label("From").fill(f"{day}T12:00")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("at least a minute after")


@at_both_widths
def test_what_is_shown_can_be_taken_away(crew: People, visit: Visit, wall: object) -> None:
    page = opened(visit, crew, "?range=6h")
    with page.expect_download() as csv:
        page.get_by_role("link", name="CSV", exact=True).click()
    lines = csv.value.path().read_text().splitlines()
    assert lines[0].startswith("instrument,startTime,duration,LAeq,")
    assert len(lines) in (361, 362)
    with page.expect_download() as png:
        page.locator("[data-chart-png=level-chart]").click()
    assert png.value.suggested_filename == "QT000001.png"
    assert png.value.path().read_bytes()[:4] == b"\x89PNG"
    assert page.evaluate("window.__refused") == []


def test_a_chart_speaks_the_reader_s_language(
    crew: People, visit: Visit, wall: object, settings: Any, tmp_path: Path
) -> None:
    speak(settings, tmp_path, {"Zoom in": "Näher", "{} %% covered": "{} %% belegt"})
    page = visit.page(crew.bob, locale="de-DE")
    page.goto(WALL + "?from=2026-03-02T00:00Z&to=2026-03-30T00:00Z")
    expect(page.locator("#level-chart[data-state=drawn]")).to_be_attached(timeout=20_000)
    expect(page.locator("#level-chart .xtick text").first).to_contain_text(re.compile(r"\d\. Mär"))
    assert page.locator("#level-chart .modebar-btn[data-title='Näher']").count() == 1
    page.goto(WALL + "?range=1h")
    expect(page.locator(DRAWN).first).to_be_attached(timeout=20_000)
    templates = f"{SEEN}.map((one) => one.hovertemplate)"
    assert "(%{customdata}\u00a0% belegt)" in page.evaluate(templates)[0]
    page.locator("#level-chart").focus()
    page.keyboard.press("Home")
    expect(page.locator("[data-chart-readout=level-chart]")).to_contain_text(re.compile(r"LAeq \d+,\d dB"))
    visit.check(page)


@at_both_widths
def test_a_chart_of_samples_is_read_and_taken_away_as_levels_are(
    crew: People, visit: Visit, now: datetime
) -> None:
    made = monitor(
        crew.organisation,
        "AQ000001",
        "Gate Dust",
        now=now,
        api_key=make_key(crew.organisation),
        type=Instrument.Kind.AIR_QUALITY,
    )
    with organisation_scope(crew.organisation.pk):
        ParticulateSample.objects.bulk_create(
            ParticulateSample(
                organisation=crew.organisation,
                instrument=made,
                start_at=now - timedelta(minutes=minute),
                duration_s=60,
                pm2p5_ugm3=8.0,
                pm10_ugm3=19.0,
            )
            for minute in range(1, 400)
        )
    phone = visit.page(crew.bob, width=PHONE)
    phone.goto("/o/harbour/i/AQ000001/samples/particulates/?range=6h")
    wide, caption = phone.locator(".table-wrap:has(caption)"), phone.locator(".table-wrap caption")
    # A table wider than a phone: its caption is read without scrolling, and stays when it is scrolled.
    assert wide.evaluate("(one) => one.scrollWidth > one.clientWidth + 20")
    for left in (0, 200):
        wide.evaluate(f"(one) => {{ one.scrollLeft = {left} }}")
        box, seen = caption.bounding_box(), wide.bounding_box()
        assert box
        assert seen
        assert (round(box["x"]), round(box["width"])) == (round(seen["x"]), round(seen["width"]))
    page = visit.page(crew.bob)
    page.goto("/o/harbour/i/AQ000001/?range=6h")
    chart = page.locator("#particulates-pm-chart")
    expect(chart.and_(page.locator("[data-state=drawn]"))).to_be_attached(timeout=20_000)
    chart.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    readout = page.locator("[data-chart-readout=particulates-pm-chart]")
    expect(readout).to_contain_text(
        re.compile(
            r"\d\d:\d\d \(UTC.*PM2\.5 8\.0 µg/m³ \(100\s% covered\), PM10 19\.0 µg/m³ \(100\s% covered\)"
        )
    )
    # What the reader took away is not read to them.
    page.locator("#particulates-pm-chart .legendtoggle").first.click()
    until(page, "document.querySelector('#particulates-pm-chart .chart-plot').data[0].visible !== true")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(readout).not_to_contain_text("PM2.5")
    with page.expect_download() as png:
        page.locator("[data-chart-png=particulates-pm-chart]").click()
    assert png.value.suggested_filename == "AQ000001-particulates-pm.png"
    with page.expect_download() as csv:
        page.get_by_role("link", name=re.compile(r"^CSV ?: Particulates")).click()
    assert "pM10 (µg/m³)" in csv.value.path().read_text().splitlines()[0]
    chart.focus()
    page.keyboard.press("-")
    expect(page).to_have_url(re.compile("from="))
    link = page.get_by_role("link", name=re.compile(r"Link to this view ?: Particulates"))
    expect(link).to_have_attribute("href", re.compile(r"from=.*#particulates-heading$"))
    page.get_by_role("link", name=re.compile(r"As a table ?: Particulates of Gate Dust")).click()
    expect(page.locator(".table-levels tbody tr").first).to_contain_text("µg/m³")
    visit.check(page)


@at_both_widths
def test_everything_that_happened_is_marked_on_the_time_axis(
    crew: People, visit: Visit, wall: Instrument, now: datetime
) -> None:
    """A sign in its lane for what happens at once, a band for what lasts; each can be taken away."""
    at = now - timedelta(hours=12)
    mine: dict[str, Any] = {"organisation": crew.organisation, "instrument": wall}
    with organisation_scope(crew.organisation.pk):
        SystemIntegrityCheck.objects.create(**mine, at=at, passed=True)
        Calibration.objects.create(**mine, at=at, status="Success", level_db=93.7, offset_db=0.1)
        _, excluded = (
            Event.objects.create(
                **mine, start_at=at + timedelta(hours=hour), end_at=at + timedelta(hours=hour + 1)
            )
            for hour in (1, 3)
        )
        event_tag(event=excluded, actor=crew.mary, now=now, excluded=True)
        InstrumentAction.objects.create(
            **mine,
            kind=ActionKind.IDENTIFY,
            state=ActionState.SUCCEEDED,
            token=uuid.uuid4(),
            **dict.fromkeys(("requested_at", "started_at", "finished_at", "due_at"), at),
        )
        site = Site.objects.create(organisation=crew.organisation, name="Quay")
        Deployment.objects.create(**mine, site=site, start_at=at)
    page = visit.page(crew.mary)
    page.goto(f"{WALL}?range=24h")
    page.locator("#level-chart").scroll_into_view_if_needed()
    expect(page.locator(DRAWN).first).to_be_attached(timeout=20_000)
    signs = {"events", "sics", "calibrations", "actions", "moves"}
    assert signs <= set(page.evaluate(f"{SEEN}.map((one) => one.name)"))
    drawn = page.locator("#level-chart .scatterlayer .trace .points path")
    assert drawn.count() >= len(signs)
    layout = "document.querySelector('#level-chart .js-plotly-plot').layout"
    bands = f"{layout}.shapes.filter((one) => one.type === 'rect' && one.x1 - one.x0 === 3600000).length"
    until(page, f"{bands} === 1")
    for label, name in (("Events", "events"), ("Calibrations", "calibrations"), ("Moves", "moves")):
        page.get_by_role("checkbox", name=label).uncheck()
        until(page, f"!{SEEN}.some((one) => one.name === '{name}')")
    page.get_by_role("checkbox", name="Exclusions").uncheck()
    until(page, f"{bands} === 0")
    visit.check(page)
