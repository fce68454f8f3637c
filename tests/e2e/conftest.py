"""A real Chromium against a real server; every page is watched, and nothing may be wrong with it at the end."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    expect,
    sync_playwright,
)

from instruments.models import User
from tests.conftest import People
from tests.monitoring.conftest import mycirrus, process  # noqa: F401

# Playwright's synchronous side runs an event loop in this thread, which Django takes for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

# A loaded machine takes its time, and nobody waits longer than until what is expected is there.
expect.set_options(timeout=30_000)

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PHONE, DESKTOP = 390, 1280

# Counted from the first paint on; shifts right after a person's own input are no fault, and neither is what comes into
# sight for the first time, as a footer below fewer rows.
WATCH = """
window.__shifts = []; window.__refused = [];
const name = (node) => node && (node.id ? "#" + node.id : node.className || node.nodeName);
const place = (box) => [box.x, box.y, box.width, box.height].map(Math.round).join(" ");
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const moved = entry.sources.filter((source) => source.previousRect.height);
    if (moved.length && !entry.hadRecentInput) window.__shifts.push([entry.value, ...moved.map((source) =>
      `${name(source.node)} ${place(source.previousRect)} to ${place(source.currentRect)}`)]);
  }
}).observe({ type: "layout-shift", buffered: true });
document.addEventListener("securitypolicyviolation", (event) =>
  window.__refused.push(event.violatedDirective + " " + event.blockedURI));
"""


def chromium_path() -> str | None:
    """The Chromium of CHROMIUM or of the path."""
    named = os.environ.get("CHROMIUM", "")
    found = (shutil.which(name) for name in (named, "chromium", "chromium-browser", "google-chrome") if name)
    return next((path for path in found if path), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker drives the one browser: several at once would only wait for each other."""
    for item in items:
        if "tests/e2e/" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = chromium_path()
    assert path, "No Chromium: install one, name it in CHROMIUM, or leave these tests out with BROWSER=0."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """Pages of one person, and what went wrong on them."""

    base: str
    contexts: ExitStack
    browser: Browser
    problems: list[str] = field(default_factory=list)
    # Answers that the test provokes.
    expected: tuple[str, ...] = ()
    # Of pages that are opened without one.
    width: int = DESKTOP

    def page(
        self,
        user: User | None,
        *,
        width: int | None = None,
        theme: str = "light",
        locale: str = "en-GB",
        **options: Any,
    ) -> Page:
        """A page of ``user`` (None: signed out), not yet anywhere."""
        width = width or self.width
        phone = width < 600
        context = self.browser.new_context(
            base_url=self.base,
            viewport={"width": width, "height": 844 if phone else 800},
            color_scheme=theme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            has_touch=phone,
            is_mobile=phone,
            locale=locale,
            **options,
        )
        self.contexts.callback(context.close)
        context.set_default_timeout(30_000)
        context.add_init_script(WATCH)
        if user is not None:
            sign_in(context, user, self.base)
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("response", self._response)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        # The browser's own line about a status is told by the response, with its address.
        expected = ("Failed to load resource", *self.expected)
        if message.type in ("error", "warning") and not any(part in message.text for part in expected):
            self.problems.append(f"console: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not any(part in response.url for part in self.expected):
            self.problems.append(f"{response.status}: {response.url}")

    def check(self, page: Page) -> None:
        """Nothing was refused by the policy, nothing shifted."""
        assert page.evaluate("window.__refused") == []
        shifts = page.evaluate("window.__shifts")
        assert sum(value for value, *_ in shifts) == pytest.approx(0, abs=0.0005), shifts


def sign_in(context: BrowserContext, user: User, base: str) -> None:
    """The session of somebody who has signed in, without the form: one test goes through that."""
    client = Client()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": client.session.session_key or "", "url": base}]
    )


# A journey that is made on a phone and at a desk alike.
at_both_widths = pytest.mark.parametrize("visit", [DESKTOP, PHONE], indirect=True)


@pytest.fixture
def visit(live_server: Any, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Opens pages; fails the test at its end when any page had an error, an exception or a refused resource."""
    with ExitStack() as contexts:
        visit = Visit(live_server.url, contexts, chromium, width=getattr(request, "param", DESKTOP))
        yield visit
    assert visit.problems == []


@pytest.fixture
def crew(transactional_db: None, request: pytest.FixtureRequest) -> People:
    """`people` of a database that the server's threads see too."""
    made: People = request.getfixturevalue("people")
    return made


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def until(page: Page, condition: str, seconds: float = 30) -> None:
    """Wait for an expression to hold. Playwright's own waiting evaluates strings, which the page's policy refuses."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"it never held: {condition}"
        page.wait_for_timeout(50)


def settled(page: Page) -> None:
    """While an answer is on its way or being put in, what it puts in does not hear."""
    until(page, "!document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, .htmx-added')")


def manage(page: Page, name: str) -> None:
    """To one of the pages that an organisation is run by."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Manage").click()
    page.get_by_role("navigation", name="Manage").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def said(page: Page, words: str) -> None:
    """The message about what was just done holds ``words``."""
    expect(page.get_by_role("status").first).to_contain_text(words)


Poll = Callable[[Page, str], None]


@pytest.fixture
def poll() -> Poll:
    """Make a part poll at once, as it does when its tab is looked at again, and wait for the answer."""

    def at_once(page: Page, part: str) -> None:
        settled(page)
        with page.expect_response(
            lambda response: re.search("[?&](version|seen)=", response.url) is not None
        ):
            page.evaluate(f"htmx.trigger('#{part}', 'wake')")

    return at_once
