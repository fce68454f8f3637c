"""Going through events: list, trace, sound with its waveform, and tags, by hand, by keyboard and without scripts."""

import re
import time
from datetime import datetime

import pytest
from django.conf import settings
from playwright.sync_api import Page, Route, expect

from instruments.tenancy import organisation_scope
from monitoring.models import Event, HistoryState, TimeHistoryRequest
from tests.conftest import People, make_instrument
from tests.e2e.conftest import DESKTOP, PHONE, Visit, at_both_widths
from tests.e2e.happenings import happenings, history

EVENTS = "/o/harbour/events/"


@pytest.fixture
def events(crew: People, now: datetime) -> list[Event]:
    """Events of Crane 4 North and of Harbour Wall."""
    units = (
        make_instrument(crew.organisation, "QT000001", name="Crane 4 North"),
        make_instrument(crew.organisation, "QT000007", name="Harbour Wall"),
    )
    return happenings(crew.organisation, units, now=now)


def until(page: Page, expression: str) -> None:
    """Wait until it is true; the page's own policy refuses the usual way of waiting."""
    deadline = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_from_the_list_to_an_excluded_event(
    visit: Visit, crew: People, events: list[Event], width: int
) -> None:
    page = visit.page(crew.mary, width=width)
    page.goto(EVENTS)
    expect(page.locator("a[data-row]")).to_have_count(50)
    visit.check(page)
    # What can be asked for leaves room for what there is.
    expect(page.get_by_role("heading", name="When")).to_be_in_viewport()
    expect(page.get_by_role("search")).not_to_contain_text("optional")
    page.get_by_label("Instrument").fill("Crane")
    page.get_by_label("Sound").select_option("yes")
    # Each choice applies at once, and the address says so, and nothing else.
    expect(page).to_have_url(re.compile(r"/events/\?instrument=Crane&sound=yes$"))
    expect(page.locator("#event-list")).not_to_contain_text("Harbour Wall")
    page.locator("a[data-row]").first.click()
    expect(page).to_have_url(re.compile(rf"/events/{events[0].pk}/\?instrument=Crane&sound=yes"))
    page.locator("#event-trace[data-state=drawn]").wait_for()
    page.locator("[data-sound][data-state=drawn]").wait_for()
    page.get_by_role("button", name="Construction").click()
    expect(page.get_by_role("button", name="Construction")).to_have_attribute("aria-pressed", "true")
    # What is being written outlives the panel's renewal.
    page.get_by_label("Comment").fill("Piling, from seven on.")
    page.get_by_role("button", name="Exclude").click()
    expect(page.locator("#event-tag")).to_contain_text("by Mary")
    expect(page.get_by_label("Comment")).to_have_value("Piling, from seven on.")
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.get_by_role("button", name="Save the comment").click()
    page.reload()
    expect(page.locator("#event-tag")).to_contain_text("Excluded")
    expect(page.get_by_label("Comment")).to_have_value("Piling, from seven on.")
    visit.check(page)


@at_both_widths
def test_another_order_is_shown_at_once(visit: Visit, crew: People, events: list[Event]) -> None:
    page = visit.page(crew.bob)
    page.goto(EVENTS)
    page.evaluate("document.body.dataset.kept = 1")
    order = page.get_by_label("Sorted by")
    order.focus()
    order.select_option("Loudest first")
    expect(page.get_by_role("heading", name="Loudest first")).to_be_visible()
    expect(page.locator("#event-list th[aria-sort]")).to_have_text("Level")
    expect(page).to_have_url(re.compile("sort=loudest"))
    expect(order).to_be_focused()
    expect(page.locator("body[data-kept]")).to_have_count(1)
    page.go_back()
    expect(page.get_by_role("heading", name="Newest first")).to_be_visible()
    expect(order).to_have_value("")


def test_by_the_keyboard_alone(visit: Visit, crew: People, events: list[Event]) -> None:
    page = visit.page(crew.mary)
    page.goto(EVENTS)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("a[data-row]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/events/{events[0].pk}/"))
    page.locator("[data-sound][data-state=drawn]").wait_for()
    page.keyboard.press("3")
    expect(page.get_by_role("button", name="Aircraft")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("x")
    expect(page.get_by_role("button", name="Include again")).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("#event-keys")).to_have_attribute("open", "")
    # Whoever writes means the letter.
    page.get_by_label("Comment").press("x")
    expect(page.get_by_label("Comment")).to_have_value("x")
    expect(page.get_by_role("button", name="Include again")).to_be_visible()
    page.get_by_role("heading", name="Level trace").click()
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile(rf"/events/{events[1].pk}/"))
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile(rf"/events/{events[0].pk}/"))
    page.locator("#event-keys summary").click()
    page.get_by_label("Single keys do this").uncheck()
    page.keyboard.press("j")
    page.reload()
    expect(page).to_have_url(re.compile(rf"/events/{events[0].pk}/"))


@at_both_widths
def test_what_is_taken_back_is_announced_too(visit: Visit, crew: People, events: list[Event]) -> None:
    page = visit.page(crew.mary)
    page.goto(f"{EVENTS}{events[0].pk}/")
    for key, words in (
        ("3", "Included. Aircraft"),
        ("x", "Excluded. Aircraft"),
        ("x", "Included. Aircraft"),
        ("3", "Included. No cause"),
    ):
        page.keyboard.press(key)
        expect(page.locator("#live")).to_have_text(words)


def test_what_is_pressed_before_the_answer_is_not_lost(
    visit: Visit, crew: People, events: list[Event]
) -> None:
    page = visit.page(crew.mary)
    page.goto(f"{EVENTS}{events[0].pk}/")
    asked: list[Route] = []
    page.route("**/tag/", lambda route: asked.append(route))
    page.keyboard.press("3")
    page.keyboard.press("x")
    page.get_by_role("button", name="Construction").click()
    page.keyboard.press("j")
    for number in range(3):
        deadline = time.monotonic() + 30
        while len(asked) == number:
            assert time.monotonic() < deadline, f"number {number} never came"
            page.wait_for_timeout(20)
        # Each waits for the answer before: the panel that it is pressed in comes with that.
        assert len(asked) == number + 1
        asked[number].continue_()
    expect(page).to_have_url(re.compile(rf"/events/{events[1].pk}/"))
    with organisation_scope(crew.organisation.pk):
        tag = Event.objects.get(pk=events[0].pk).tag
        assert (tag.cause, tag.excluded) == ("Construction", True)


@at_both_widths
def test_what_is_refused_is_told(visit: Visit, crew: People, events: list[Event]) -> None:
    visit.expected = ("/tag/",)
    page = visit.page(crew.mary)
    page.goto(f"{EVENTS}{events[0].pk}/")
    # Signed in anew in another tab: this page's token is no token any more.
    page.context.add_cookies(
        [{"name": settings.CSRF_COOKIE_NAME, "value": "a" * 32, "url": page.url.partition("/o/")[0]}]
    )
    with page.expect_response(lambda answer: answer.status == 403):
        page.keyboard.press("x")
    told = page.get_by_role("alert").filter(has_text="This was refused, and nothing was changed.")
    expect(told).to_be_visible()
    told.get_by_role("link").click()
    page.wait_for_load_state()
    expect(told).to_be_hidden()
    page.keyboard.press("x")
    expect(page.locator("#event-tag")).to_contain_text("by Mary")


@at_both_widths
def test_space_plays_and_pauses(visit: Visit, crew: People, events: list[Event]) -> None:
    page = visit.page(crew.bob)
    page.goto(f"{EVENTS}{events[0].pk}/")
    page.locator("[data-sound][data-state=drawn]").wait_for()
    page.keyboard.press("Space")
    until(page, "!document.querySelector('audio').paused && document.querySelector('audio').currentTime > 0")
    page.keyboard.press("Space")
    until(page, "document.querySelector('audio').paused")
    # A place of the waveform is a moment of the sound: it needs an answer in ranges.
    canvas = page.locator("canvas.wave-form")
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] * 0.75, "y": 20})
    until(page, "document.querySelector('audio').currentTime > 5")


@at_both_widths
def test_why_there_is_no_sound_is_said(visit: Visit, crew: People, events: list[Event]) -> None:
    with organisation_scope(crew.organisation.pk):
        Event.objects.filter(pk=events[0].pk).update(audio_id="never-heard", time_history_id="never-seen")
    visit.expected = ("/audio/",)
    page = visit.page(crew.bob)
    page.goto(f"{EVENTS}{events[0].pk}/")
    expect(page.locator(".wave-note")).to_contain_text("No working key reaches this instrument")
    expect(page.locator("#event-trace")).to_contain_text("No working key reaches this instrument")


@at_both_widths
def test_it_all_works_without_scripts(visit: Visit, crew: People, events: list[Event]) -> None:
    page = visit.page(crew.mary, java_script_enabled=False)
    page.goto(EVENTS)
    page.get_by_label("Instrument").fill("Crane")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("instrument=Crane"))
    page.locator("a[data-row]").first.click()
    page.get_by_role("button", name="Construction").click()
    expect(page.get_by_role("button", name="Construction")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Exclude").click()
    expect(page.locator("#event-tag")).to_contain_text("by Mary")
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_url(re.compile(rf"/events/{events[1].pk}/\?instrument=Crane"))


@at_both_widths
@pytest.mark.parametrize(
    ("step_ms", "told"), [(1000, r", \d\d:\d\d:\d\d(?![.\d])"), (125, r", \d\d:\d\d:\d\d\.\d")]
)
def test_a_point_of_a_time_history_is_told_as_finely_as_it_lies(
    visit: Visit, crew: People, events: list[Event], now: datetime, step_ms: int, told: str
) -> None:
    full = history(events[0].instrument, now=now, step_ms=step_ms)
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/history/{full.pk}/")
    page.locator("#history-chart[data-state=drawn]").wait_for()
    # Left of the gap, where a sample does not lie on a whole second.
    page.locator("#history-chart .nsewdrag").first.hover(position={"x": 65, "y": 60})
    expect(page.locator("#history-chart .hoverlayer")).to_contain_text(re.compile(told))
    visit.check(page)


@at_both_widths
def test_a_time_history_is_asked_for_and_looked_at(
    visit: Visit, crew: People, events: list[Event], now: datetime
) -> None:
    page = visit.page(crew.mary)
    page.goto("/o/harbour/i/QT000001/history/")
    page.get_by_label("From").fill("2026-11-20T09:30")
    page.get_by_label("To").fill("2026-11-20T09:40")
    page.get_by_role("button", name="Fetch").click()
    expect(page.get_by_text("Fetching from MyCirrus")).to_be_visible()
    with organisation_scope(crew.organisation.pk):
        made = TimeHistoryRequest.objects.get()
        TimeHistoryRequest.objects.update(
            state=HistoryState.DONE, fetched_until=made.end_at, finished_at=now, expires_at=now
        )
    expect(page.get_by_text("MyCirrus has nothing in this stretch")).to_be_visible(timeout=20_000)
    full = history(events[0].instrument, now=now)
    page.goto(f"/o/harbour/history/{full.pk}/")
    page.locator("#history-chart[data-state=drawn]").wait_for()
    expect(page.get_by_text("1,600 values")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page).to_have_url(re.compile(r"/i/QT000001/history/"))
    visit.check(page)
