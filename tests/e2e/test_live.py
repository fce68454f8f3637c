"""Live levels in a browser: started and stopped by hand, gone and back, with gaps and never with inventions."""

import re
from collections.abc import Iterator
from datetime import datetime

import pytest
import redis
from django.conf import settings
from playwright.sync_api import Page, expect

from instruments.models import ApiKey, Instrument
from instruments.tenancy import organisation_scope
from monitoring.live import view
from monitoring.live.audience import Audience
from monitoring.live.hub import Target
from monitoring.live.watch import Watched
from monitoring.threads import Places
from tests.conftest import People, make_instrument, make_key
from tests.e2e.conftest import PHONE, Visit, at_both_widths
from tests.monitoring.live.conftest import WorkingHub
from tests.simulated import SimulatedMyCirrus

STATE = "#live-levels .title-row"


@pytest.fixture
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(epoch=None) as simulated:
        yield simulated


@pytest.fixture
def audience(monkeypatch: pytest.MonkeyPatch) -> Iterator[Audience]:
    """The server is in this process: its streams end with the test."""
    made = Audience(settings.REDIS_URL, Places(100))
    monkeypatch.setattr(view, "audience", lambda: made)
    yield made
    made.stopping = lambda: True


@pytest.fixture
def hub(mycirrus: SimulatedMyCirrus) -> Iterator[WorkingHub]:
    with redis.Redis.from_url(settings.REDIS_URL) as store:
        for key in store.keys("live:*"):
            store.delete(key)

    async def find(_: Watched) -> Target:
        return Target(mycirrus.base_url, mycirrus.key)

    working = WorkingHub(settings.REDIS_URL, find)
    yield working
    working.stop()


@pytest.fixture
def wall(crew: People, mycirrus: SimulatedMyCirrus, now: datetime) -> Instrument:
    return make_instrument(
        crew.organisation, mycirrus.facts()["demo"], api_key=make_key(crew.organisation), name="Wall"
    )


def measured(page: Page, name: str = "LAeq") -> None:
    expect(page.locator(f'[data-live-value="{name}"]')).to_have_text(re.compile(r"^[1-9]\d+\.\d$"))


def drawn(page: Page, name: str, strokes: str) -> None:
    """The line consists of ``strokes``, each as M and L: a pattern."""
    expect(page.locator(f'[data-live-path="{name}"]')).to_have_attribute(
        "d", re.compile(strokes), timeout=20_000
    )


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_levels_are_watched_and_stopped(
    crew: People,
    visit: Visit,
    wall: Instrument,
    audience: Audience,
    hub: WorkingHub,
    mycirrus: SimulatedMyCirrus,
    width: int,
) -> None:
    page = visit.page(crew.bob, width=width)
    page.goto(f"/o/harbour/i/{wall.serial}/")
    visit.check(page)
    assert mycirrus.live_sockets() == 0

    page.get_by_role("button", name="Watch live").click()
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    measured(page)
    expect(page.locator(STATE)).to_contain_text("Live now")
    expect(page.locator("[data-live-said]")).to_contain_text("Live now")
    assert mycirrus.live_sockets() == 1
    # A line of two points at least.
    drawn(page, "LAeq", "^M[^M]+L")

    page.get_by_role("checkbox", name="Octave bands").check()
    measured(page, "1KHz")
    page.get_by_role("button", name="LC,peak").click()
    drawn(page, "LCPeak", "^M")
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0

    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Watch live")).to_be_focused()
    mycirrus.until(lambda: len(audience) == 0)
    # The panel that the reader opened grows as its first levels come; nothing may shift before that, as above.
    assert page.evaluate("window.__refused") == []


@at_both_widths
def test_offline_is_said_and_leaves_a_gap(
    crew: People,
    visit: Visit,
    wall: Instrument,
    audience: Audience,
    hub: WorkingHub,
    mycirrus: SimulatedMyCirrus,
) -> None:
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/i/{wall.serial}/")
    page.get_by_role("button", name="Watch live").click()
    measured(page)
    mycirrus.offline(wall.serial)
    expect(page.locator(STATE)).to_contain_text("Offline")
    expect(page.locator("[data-live-said]")).to_contain_text("Offline")
    # What was last measured is not shown as if it were now.
    expect(page.locator("[data-live-body]")).to_have_class("live-body is-old")
    # Long enough for a gap: the last point has left the edge of what is now.
    drawn(page, "LAeq", r"^M(?!.*600\.0 )")
    mycirrus.offline(wall.serial, False)
    expect(page.locator(STATE)).to_contain_text("Live now")
    drawn(page, "LAeq", "^M[^M]+M[^M]+$")


@at_both_widths
def test_what_stands_in_the_way_is_said(
    crew: People, visit: Visit, wall: Instrument, audience: Audience
) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as store:
        store.delete("live:alive", "live:watched")
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/i/{wall.serial}/")
    start = page.get_by_role("button", name="Watch live")
    start.click()
    expect(page.get_by_text("The live service of this installation does not answer.")).to_be_visible()

    page.get_by_role("button", name="Stop").click()
    visit.expected = ("/live/",)
    audience._places.most = 0
    start.click()
    expect(page.get_by_text("Too many people watch live levels")).to_be_visible()
    page.get_by_role("button", name="Stop").click()

    page.context.clear_cookies()
    start.click()
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
    expect(start).to_be_visible()


def test_without_javascript_a_sentence(crew: People, visit: Visit, wall: Instrument) -> None:
    page = visit.page(crew.bob, java_script_enabled=False)
    page.goto(f"/o/harbour/i/{wall.serial}/")
    expect(page.get_by_text("Live levels need JavaScript.")).to_be_visible()
    expect(page.get_by_role("button", name="Watch live")).to_be_hidden()


def test_without_the_scope_the_reason(crew: People, visit: Visit, wall: Instrument) -> None:
    with organisation_scope(crew.organisation.pk):
        ApiKey.objects.update(scopes={"data.live:read": False})
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/i/{wall.serial}/")
    expect(page.locator("#live-levels")).to_contain_text("may not read live levels")
    expect(page.get_by_role("button", name="Watch live")).to_have_count(0)
