"""Pages that stay open in a browser: what is new comes by itself, and nothing moves under hand or eye."""

from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from monitoring.check_standings import standing_refresh
from monitoring.models import AudioRecording, Event, SystemIntegrityCheck
from tests.conftest import People, make_key
from tests.e2e.conftest import DESKTOP, PHONE, Poll, Visit, at_both_widths
from tests.e2e.fleets import change, drifting, events, every_state, monitor, places

WIDTHS = [PHONE, DESKTOP]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_board_renews_itself_and_the_keyboard_stays(
    crew: People, visit: Visit, now: datetime, poll: Poll, width: int
) -> None:
    made = every_state(crew.organisation, now=now)
    for state in ("measuring", "offline"):
        drifting(made[state], now=now)
    page = visit.page(crew.bob, width=width)
    page.goto("/o/harbour/checks/sics/?sort=limit")
    rows = page.locator("#check-board tbody tr")
    expect(page.locator("#count-failed")).to_have_count(0)
    title = page.title()
    link = rows.first.get_by_role("link")
    link.focus()
    words = link.inner_text()
    # Nothing is new: the rows stay the very same.
    rows.first.evaluate("(row) => { row.dataset.kept = 1 }")
    poll(page, "check-board")
    expect(page.locator("tr[data-kept]")).to_have_count(1)
    other = next(made[state] for state in ("measuring", "offline") if made[state].name != words)
    with organisation_scope(crew.organisation.pk):
        SystemIntegrityCheck.objects.create(
            organisation=crew.organisation,
            instrument=other,
            at=now,
            status="Failed",
            passed=False,
            level_500hz_db=98.5,
            level_1khz_db=98.3,
            level_8khz_db=98.0,
        )
        standing_refresh(instrument=other)
    poll(page, "check-board")
    expect(page.get_by_role("link", name=words)).to_be_focused()
    expect(page.locator("#count-failed b")).to_have_text("1")
    assert page.title() == title
    expect(page).to_have_url("/o/harbour/checks/sics/?sort=limit")
    visit.check(page)


def test_a_row_does_not_go_away_under_a_pointer_that_moves(crew: People, visit: Visit, now: datetime) -> None:
    drifting(every_state(crew.organisation, now=now)["measuring"], now=now - timedelta(days=1))
    page = visit.page(crew.bob)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "version=" in request.url else None)
    page.clock.install()
    page.goto("/o/harbour/checks/sics/")
    row = page.locator("#check-board tbody tr").first
    row.hover()
    box = row.bounding_box()
    assert box
    # The page's clock runs beside the test's: wherever in these 16 s the poll falls, a move lies right before it.
    for step in range(16):
        page.mouse.move(box["x"] + 40 + step, box["y"] + 12)
        page.clock.run_for(1_000)
    assert asked == []
    # It rests: the next poll goes out.
    with page.expect_response(lambda response: "version=" in response.url):
        page.clock.run_for(15_000)


@pytest.mark.parametrize("width", WIDTHS)
def test_new_events_wait_above_the_list_until_they_are_wanted(
    crew: People, visit: Visit, now: datetime, poll: Poll, width: int
) -> None:
    unit = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    events(unit, now=now, count=20)
    page = visit.page(crew.bob, width=width)
    page.goto("/o/harbour/events/")
    rows = page.locator("#event-list tbody tr")
    expect(rows).to_have_count(20)
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = rows.nth(1).get_by_role("link")
    expect(second).to_be_focused()
    place = second.bounding_box()
    with organisation_scope(crew.organisation.pk):
        for minutes in (1, 2, 3):
            Event.objects.create(
                organisation=crew.organisation, instrument=unit, start_at=now - timedelta(minutes=minutes),
                name="Night", level_db=91.0,
            )  # fmt: skip
    poll(page, "event-list")
    news = page.get_by_role("link", name="3 new events")
    expect(news).to_be_in_viewport()
    expect(page.locator("#live")).to_contain_text("3 new events")
    expect(rows).to_have_count(20)
    expect(second).to_be_focused()
    assert second.bounding_box() == place
    assert page.title().startswith("(3) Events")
    page.keyboard.press("j")
    expect(rows.nth(2).get_by_role("link")).to_be_focused()
    visit.check(page)
    news.click()
    expect(rows).to_have_count(23)
    expect(rows.first).to_contain_text("Night")
    expect(news).to_have_count(0)
    expect(page).to_have_title("Events · Harbour · Cirrusweb")
    expect(page.locator("#events-shown")).to_be_focused()
    page.keyboard.press("j")
    expect(rows.first.get_by_role("link")).to_be_focused()


@at_both_widths
def test_new_recordings_wait_above_the_list_until_they_are_wanted(
    crew: People, visit: Visit, now: datetime, poll: Poll
) -> None:
    unit = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)

    def recorded(minutes: int) -> None:
        with organisation_scope(crew.organisation.pk):
            AudioRecording.objects.create(
                organisation=crew.organisation, instrument=unit, start_at=now - timedelta(minutes=minutes),
                remote_id=str(minutes), trigger_name="Night",
            )  # fmt: skip

    recorded(30)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/recordings/")
    rows = page.locator("#recording-list tbody tr")
    rows.first.get_by_role("link").focus()
    recorded(1)
    poll(page, "recording-list")
    news = page.get_by_role("link", name="1 new recording")
    expect(news).to_be_in_viewport()
    expect(page.locator("#live")).to_contain_text("1 new recording")
    expect(rows).to_have_count(1)
    expect(rows.first.get_by_role("link")).to_be_focused()
    assert page.title().startswith("(1) Recordings")
    visit.check(page)
    news.click()
    expect(rows).to_have_count(2)
    expect(news).to_have_count(0)
    expect(page.locator("#recording-list")).to_be_focused()


@at_both_widths
def test_the_newest_events_of_an_instrument_come_by_themselves(
    crew: People, visit: Visit, now: datetime, poll: Poll
) -> None:
    unit = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    events(unit, now=now)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/i/QT000001/")
    part = page.locator("#instrument-events")
    part.get_by_role("link", name="All events").focus()
    events(unit, now=now + timedelta(minutes=149), count=1)
    poll(page, "instrument-events")
    expect(part).to_contain_text(f"{now - timedelta(minutes=1):%M:%S}")
    expect(page.locator("#live")).to_contain_text("Newest event at")
    expect(part.locator("tbody tr")).to_have_count(5)
    expect(part.get_by_role("link", name="All events")).to_be_focused()
    visit.check(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_site_shows_how_its_monitors_are_by_now(
    crew: People, visit: Visit, now: datetime, poll: Poll, width: int
) -> None:
    made = every_state(crew.organisation, now=now)
    site = places(made, now=now, actor=crew.mary)
    page = visit.page(crew.bob, width=width)
    page.goto(f"/o/harbour/sites/{site.pk}/")
    title = page.title()
    tile = page.locator("#site-now .tiles").get_by_role("heading", name=made["measuring"].name)
    tile.get_by_role("link").focus()
    photo = page.get_by_role("img", name="Photo of Harbour Road 1")
    photo.evaluate("(image) => { image.dataset.kept = 1 }")
    change(made["measuring"], now=now + timedelta(seconds=1), LAeq=99.5, sic_passed=False)
    poll(page, "site-now")
    expect(page.locator("#site-now")).to_contain_text("99.5")
    expect(page.locator("#live")).to_contain_text("need")
    expect(tile.get_by_role("link")).to_be_focused()
    assert page.title() != title
    # The picture is not drawn anew.
    expect(page.locator("img[data-kept]")).to_have_count(1)
    visit.check(page)


@at_both_widths
def test_the_list_of_sites_shows_how_their_monitors_are_by_now(
    crew: People, visit: Visit, now: datetime, poll: Poll
) -> None:
    made = every_state(crew.organisation, now=now)
    site = places(made, now=now, actor=crew.mary)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/sites/?text=harbour")
    row = page.locator("#site-list tbody tr").filter(has=page.get_by_role("link", name=site.name, exact=True))
    badge = row.get_by_role("link", name=made["measuring"].name)
    expect(badge).to_contain_text("Measuring")
    badge.focus()
    row.evaluate("(row) => { row.dataset.kept = 1 }")
    poll(page, "site-list")
    expect(page.locator("tr[data-kept]")).to_have_count(1)
    change(made["measuring"], now=now + timedelta(seconds=1), LAeq=99.5, sic_passed=False)
    poll(page, "site-list")
    expect(badge).to_contain_text("SIC failed")
    expect(badge).to_be_focused()
    expect(page.locator("#live")).to_contain_text("need")
    visit.check(page)


@at_both_widths
def test_a_key_that_is_refused_says_so_while_its_page_is_open(crew: People, visit: Visit, poll: Poll) -> None:
    key = make_key(crew.organisation, scopes={"instruments:read": True, "data.noise:read": False})
    page = visit.page(crew.adam)
    page.goto("/o/harbour/keys/")
    page.locator("#keys summary").focus()
    card = page.locator(f"#key-{key.pk}")
    card.evaluate("(card) => { card.dataset.kept = 1 }")
    poll(page, "keys")
    expect(page.locator("article[data-kept]")).to_have_count(1)
    button = card.get_by_role("button", name="Verify now")
    button.focus()
    with organisation_scope(crew.organisation.pk):
        ApiKey.objects.update(state=ApiKey.State.REFUSED, message="MyCirrus does not know this key.")
    poll(page, "keys")
    expect(card).to_contain_text("MyCirrus does not know this key.")
    expect(button).to_be_focused()
    expect(page.locator("#live")).to_have_text("1 key needs attention")
    visit.check(page)
