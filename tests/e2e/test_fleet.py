"""The fleet page in a browser: what is wrong first, filters, polling that disturbs nobody."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from instruments.models import ApiKey, Instrument
from instruments.tenancy import organisation_scope
from monitoring.models import InstrumentStatus
from tests.conftest import People, make_key
from tests.e2e.conftest import DESKTOP, PHONE, Poll, Visit, at_both_widths, settled
from tests.e2e.fleets import change, every_state, monitor

FLEET = "/o/harbour/"


def names(page: Page) -> list[str]:
    return page.locator(".tile h3").all_inner_texts()


@at_both_widths
def test_what_is_wrong_comes_first(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    make_key(crew.organisation)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    assert names(page)[:5] == ["Crane 4 North", "Quarry Gate", "Depot Yard", "Mill Bridge", "Station Road"]
    wrong = page.locator("section", has=page.get_by_role("heading", name="Needs attention"))
    expect(wrong.locator(".tile")).to_have_count(5)
    # The tab says it too, for somebody who looks at another page.
    expect(page).to_have_title(re.compile(r"^\(5\) Fleet"))
    # A monitor that left the account is not part of the fleet that is watched.
    expect(page.get_by_text("Old Pier")).to_have_count(0)
    expect(page.locator("#count-all")).to_have_text(re.compile("10"))
    visit.check(page)


def test_a_level_of_zero_is_a_level_and_none_is_a_gap(crew: People, visit: Visit, now: datetime) -> None:
    made = every_state(crew.organisation, now=now)
    change(made["checking"], now=now, LAeq=None)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    expect(page.locator(".tile", has_text="Harbour Wall").locator(".tile-level")).to_have_text("0.0dB")
    expect(page.locator(".tile", has_text="School Lane").locator(".tile-level")).to_have_text("–no value")
    # What does not measure noise has no place for a level that would look missing.
    expect(page.locator(".tile", has_text="Market Square")).not_to_contain_text("dB")
    # The last level before the silence is there, and not as if it were now.
    offline = page.locator(".tile", has_text="Quarry Gate")
    expect(offline.locator(".is-old .tile-level")).to_have_count(1)


@at_both_widths
def test_filters_narrow_the_page_and_its_address(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    page.get_by_role("searchbox").fill("qt00000")
    expect(page.locator(".tile")).to_have_count(7)
    expect(page).to_have_url(re.compile(r"/o/harbour/\?text=qt00000$"))
    settled(page)
    page.get_by_label("Type").select_option("AirQuality")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_role("link", name="Show the whole fleet").click()
    page.locator("#count-offline").click()
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator("#count-offline")).to_have_attribute("aria-current", "true")
    expect(page.locator("#count-offline")).to_be_focused()
    # The search keeps the state that was chosen inside the grid.
    page.get_by_role("searchbox").fill("crane")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    expect(page).to_have_url(re.compile(r"text=crane&state=offline"))
    page.go_back()
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_further_filters_are_filters_at_once(crew: People, visit: Visit, now: datetime, width: int) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob, width=width)
    page.goto(FLEET)
    page.get_by_role("searchbox").fill("0000")
    expect(page).to_have_url(re.compile(r"text=0000$"))
    page.get_by_role("link", name="More filters").click()
    # Looked at here: below, a choice of the reader's moves the footer by as many rows as it takes away.
    expect(page.get_by_label("Model", exact=True)).to_be_visible()
    visit.check(page)
    page.get_by_label("Model", exact=True).focus()
    page.get_by_label("Model", exact=True).select_option("AQ:110")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"text=0000&.*model=AQ%3A110"))
    expect(page.get_by_label("Model", exact=True)).to_be_focused()
    settled(page)
    page.get_by_label("Model", exact=True).select_option("All")
    expect(page.locator(".tile")).to_have_count(11)


@at_both_widths
def test_the_table_holds_the_same_rows(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    shown = names(page)
    page.locator("#view-table").click()
    expect(page.locator("tbody tr")).to_have_count(len(shown))
    assert page.locator("tbody th a").all_inner_texts() == shown
    # Of the usual columns none is cut off on a desktop.
    assert page.locator(".table-wrap").evaluate("wrap => wrap.scrollWidth - wrap.clientWidth") == 0
    page.get_by_label("Sorted by").select_option("name")
    expect(page.locator("tbody th a").first).to_have_text("Crane 4 North")
    expect(page.locator("tbody th a").nth(1)).to_have_text("Depot Yard")
    expect(page.locator("tbody tr")).to_have_count(len(shown))


@at_both_widths
def test_filters_work_without_javascript(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob, java_script_enabled=False)
    page.goto(FLEET)
    page.locator("#count-stale").click()
    page.get_by_role("searchbox").fill("mill")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".tile h3")).to_have_text(["Mill Bridge"])
    expect(page).to_have_url(re.compile("state=stale"))


@at_both_widths
def test_a_change_appears_without_a_reload_and_keeps_the_focus(
    crew: People, visit: Visit, poll: Poll, now: datetime
) -> None:
    wall = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    monitor(crew.organisation, "QT000002", "Crane 4", now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    page.evaluate("window.stayed = true")
    page.get_by_role("link", name="Crane 4").focus()
    change(wall, now=now + timedelta(seconds=1), online=False, measuring=False)
    poll(page, "status-grid")
    expect(page.locator(".tile").first).to_contain_text("Offline")
    expect(page.get_by_role("link", name="Crane 4")).to_be_focused()
    expect(page).to_have_title(re.compile(r"^\(1\) Fleet · Harbour"))
    expect(page.locator("#live")).to_have_text("1 instrument needs attention")
    assert page.evaluate("window.stayed") is True


@at_both_widths
def test_a_filter_announces_how_many_it_found(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    page.get_by_role("searchbox").fill("harbour")
    expect(page.locator("#live")).to_have_text(re.compile("^1 instrument matching “harbour”[.] "))
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.locator("#live")).to_have_text(re.compile("^0 instruments matching “nothing like it”[.] "))


def test_a_poll_without_news_costs_nothing_and_touches_nothing(
    crew: People, visit: Visit, now: datetime
) -> None:
    monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    page.evaluate("document.querySelector('.tile').dataset.same = 'yes'")
    with page.expect_response(lambda response: "version=" in response.url) as answer:
        page.evaluate("htmx.trigger('#status-grid', 'wake')")
    assert answer.value.status == 204
    expect(page.locator(".tile[data-same=yes]")).to_have_count(1)


@at_both_widths
def test_a_poll_keeps_the_filter_and_what_is_being_typed(
    crew: People, visit: Visit, poll: Poll, now: datetime
) -> None:
    made = every_state(crew.organisation, now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET + "?type=Noise&state=measuring")
    page.get_by_role("searchbox").press_sequentially("harbour w")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page).to_have_url(re.compile("text=harbour\\+w"))
    change(made["measuring"], now=now + timedelta(seconds=1), LAeq=71.5)
    poll(page, "status-grid")
    expect(page.locator(".tile-level")).to_have_text("71.5dB")
    expect(page.get_by_role("searchbox")).to_be_focused()
    expect(page.get_by_role("searchbox")).to_have_value("harbour w")
    expect(page).to_have_url(re.compile("type=Noise"))


def test_silence_is_seen_though_no_row_changed(crew: People, visit: Visit, poll: Poll, now: datetime) -> None:
    wall = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    expect(page.locator(".tile")).to_contain_text("Measuring")
    with organisation_scope(crew.organisation.pk):
        # Time going by: nothing that a poll would have written.
        InstrumentStatus.objects.filter(instrument=wall).update(observed_at=now - timedelta(minutes=10))
    poll(page, "status-grid")
    expect(page.locator(".tile")).to_contain_text("No news")


@at_both_widths
def test_a_session_that_ended_comes_back_to_the_same_page(crew: People, visit: Visit, now: datetime) -> None:
    from django.contrib.sessions.models import Session

    from tests.conftest import PASSWORD

    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET + "?state=offline")
    Session.objects.all().delete()
    page.evaluate("htmx.trigger('#status-grid', 'wake')")
    page.wait_for_url("**/accounts/login/**")
    page.get_by_label("Email").fill(crew.bob.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/o/harbour/\?state=offline$"))
    expect(page.locator(".tile")).to_have_count(1)


@at_both_widths
def test_the_keyboard_alone_reaches_everything(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob)
    page.goto(FLEET)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.locator("#count-sic-failed")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator("#count-sic-failed")).to_be_focused()
    page.get_by_role("link", name="Crane 4 North").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Crane 4 North")


@at_both_widths
def test_an_empty_organisation_teaches_those_who_can_act(crew: People, visit: Visit) -> None:
    page = visit.page(crew.adam)
    page.goto(FLEET)
    page.get_by_role("main").get_by_role("link", name="Add a key").click()
    expect(page).to_have_url(re.compile("/o/harbour/keys/add/"))
    viewer = visit.page(crew.bob, width=PHONE)
    viewer.goto(FLEET)
    expect(viewer.get_by_role("main")).to_contain_text("An admin or owner adds one")
    expect(viewer.get_by_role("link", name="Add a key")).to_have_count(0)


@at_both_widths
def test_instruments_appear_by_themselves(crew: People, visit: Visit, poll: Poll, now: datetime) -> None:
    make_key(crew.organisation)
    page = visit.page(crew.adam)
    page.goto(FLEET)
    expect(page.get_by_role("heading", name="Waiting for your instruments")).to_be_visible()
    monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    poll(page, "status-grid")
    expect(page.locator(".tile")).to_have_count(1)


@at_both_widths
def test_one_refused_key_is_one_banner(crew: People, visit: Visit, poll: Poll, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    key = make_key(crew.organisation)
    page, viewer = visit.page(crew.adam), visit.page(crew.bob)
    page.goto(FLEET)
    expect(page.locator(".banner:visible")).to_have_count(0)
    with organisation_scope(crew.organisation.pk):
        ApiKey.objects.filter(pk=key.pk).update(state=ApiKey.State.REFUSED)
    poll(page, "status-grid")
    expect(page.locator(".banner:visible")).to_have_count(1)
    expect(page.locator(".banner:visible")).to_contain_text("MyCirrus refuses the key “Main”")
    viewer.goto(FLEET)
    expect(viewer.locator(".banner:visible")).to_contain_text("Ask an admin")
    expect(viewer.locator(".banner:visible").get_by_role("link")).to_have_count(0)
    page.get_by_role("link", name="Replace the key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_map_leads_from_many_to_one(crew: People, visit: Visit, now: datetime, width: int) -> None:
    made = every_state(crew.organisation, now=now)
    with organisation_scope(crew.organisation.pk):
        Instrument.objects.filter(pk=made["offline"].pk).update(latitude=53.2, longitude=-0.5)
        Instrument.objects.filter(pk=made["stale"].pk).update(latitude=0.0, longitude=0.0)
    page = visit.page(crew.bob, width=width)
    page.goto(f"{FLEET}?view=map")
    expect(page.get_by_text("2 instruments have no position")).to_be_visible()
    many = page.get_by_role("link", name=re.compile("instruments near together, the worst: SIC failed"))
    expect(many).to_be_visible()
    # The worst has its shape there, too: colour is not the only sign.
    expect(many.locator(".tone-bad path")).to_have_count(1)
    visit.check(page)
    page.get_by_role("link", name="Quarry Gate, Offline").click()
    expect(page).to_have_url(re.compile("/i/QT000002/$"))
    page.go_back()
    many.click()
    # All at one place: to look closer would not help, so the mark leads to its rows.
    expect(page.locator("tbody tr")).to_have_count(7)
    visit.check(page)


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_view_is_kept_and_sent_to_a_colleague(
    crew: People, visit: Visit, now: datetime, width: int
) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.mary, width=width)
    page.goto(f"{FLEET}?state=offline")
    page.locator("#fleet-saved summary").click()
    page.get_by_label("Keep this view as").fill("What is off")
    page.get_by_label("For everybody").check()
    visit.check(page)
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("is kept")).to_be_visible()
    page.locator("#fleet-saved summary").click()
    address = page.get_by_role("link", name="What is off").get_attribute("href")
    theirs = visit.page(crew.bob, width=width)
    theirs.goto(str(address))
    expect(theirs.locator(".tile")).to_have_count(1)
    expect(theirs).to_have_url(re.compile(r"\?state=offline$"))
    # Removed from where one is, which a filter has changed since the panel was drawn.
    page.goto(FLEET)
    page.locator("#count-stale").click()
    expect(page).to_have_url(re.compile(r"\?state=stale$"))
    page.locator("#fleet-saved summary").click()
    visit.check(page)
    page.get_by_role("button", name="Remove the view").click()
    expect(page.get_by_text("is removed")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?state=stale$"))


def test_a_slow_device_paints_the_page_once(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.mary)
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 14})
    page.goto(f"{FLEET}?state=offline")
    expect(page.locator(".tile")).to_have_count(1)
    visit.check(page)


def test_what_is_typed_outlives_a_refresh(crew: People, visit: Visit, now: datetime, poll: Poll) -> None:
    made = every_state(crew.organisation, now=now)
    page = visit.page(crew.mary)
    page.goto(f"{FLEET}?view=table")
    page.locator("#fleet-saved summary").click()
    page.get_by_label("Keep this view as").fill("Half typ")
    page.get_by_label("Choose Harbour Wall").check()
    change(made["measuring"], now=datetime.now(now.tzinfo), LAeq=71.5)
    poll(page, "status-grid")
    expect(page.get_by_text("71.5")).to_be_visible()
    expect(page.get_by_label("Keep this view as")).to_have_value("Half typ")
    expect(page.get_by_label("Choose Harbour Wall")).to_be_checked()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_several_are_asked_for_a_check_at_once(crew: People, visit: Visit, now: datetime, width: int) -> None:
    key = make_key(crew.organisation)
    for number in range(3):
        monitor(crew.organisation, f"QT00000{number}", f"Wall {number}", now=now, api_key=key)
    page = visit.page(crew.mary, width=width)
    page.goto(f"{FLEET}?view=table")
    page.get_by_label("Choose Wall 0").check()
    page.get_by_label("Choose Wall 2").check()
    visit.check(page)
    page.get_by_role("button", name="Run a SIC").click()
    expect(page.get_by_text("2 instruments will be asked")).to_be_visible()
    visit.check(page)
    page.get_by_label("Why").fill("After the storm")
    page.get_by_role("button", name="Run the SIC on 2 instruments").click()
    expect(page.get_by_text("2 instruments are asked")).to_be_visible()


@at_both_widths
def test_columns_are_chosen_without_javascript(crew: People, visit: Visit, now: datetime) -> None:
    every_state(crew.organisation, now=now)
    page = visit.page(crew.bob, java_script_enabled=False)
    page.goto(f"{FLEET}?view=table")
    page.locator("#fleet-columns summary").click()
    page.get_by_role("checkbox", name="Model").check()
    page.get_by_role("checkbox", name="LAF,max").uncheck()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="Model")).to_be_visible()
    expect(page.get_by_role("columnheader", name="LAF,max")).to_have_count(0)
