"""Two answers for one page that cross: what a person asked for stays, and the keyboard stays where it was."""

import re
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Error, Page, Route, expect

from instruments.tenancy import organisation_scope
from monitoring.models import SystemIntegrityCheck
from tests.conftest import People
from tests.e2e.conftest import Visit, at_both_widths, until
from tests.e2e.fleets import change, checks, levels, monitor
from tests.webhooks.conftest import make_delivery


def held_back(page: Page, part: str) -> list[Route]:
    """The requests whose address has ``part``, which wait until the test lets them go."""
    held: list[Route] = []
    page.route(re.compile(part), lambda route: held.append(route))
    return held


@pytest.mark.parametrize(
    ("address", "part", "field", "choice", "words"),
    [
        ("alerts/", "alerts-list", "Kind", "disk", "Nothing matches"),
        ("webhooks/", "deliveries", "State", "failed", "No delivery matches"),
    ],
)
@at_both_widths
def test_a_poll_does_not_take_a_filter_s_answer_away(
    crew: People, visit: Visit, address: str, part: str, field: str, choice: str, words: str
) -> None:
    page = visit.page(crew.bob)
    page.goto(f"/o/harbour/{address}")
    # News, so that a poll has an answer.
    make_delivery(crew.organisation)
    asked = held_back(page, choice)
    with page.expect_request(re.compile(choice)):
        page.get_by_label(field).select_option(choice)
    page.evaluate(f"htmx.trigger('#{part}', 'wake')")
    until(page, f"!document.querySelector('#{part}.htmx-request, .htmx-settling')")
    asked[0].continue_()
    expect(page.locator(f"#{part}")).to_contain_text(words)
    # From now on it polls what is filtered.
    expect(page.locator(f"#{part}")).to_have_attribute("hx-get", re.compile(choice))


def test_totals_are_of_the_range_that_was_asked_for_last(crew: People, visit: Visit, now: datetime) -> None:
    unit = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    levels(unit, now=now)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/compare/?i=QT000001&range=24h")
    expect(page.locator("#compare-chart[data-state=drawn]")).to_be_attached(timeout=20_000)
    asked = held_back(page, r"/compare/[?].*range=7d")
    with page.expect_request(re.compile(r"/compare/[?].*range=7d")):
        page.get_by_role("link", name="7d").click()
    page.get_by_role("link", name="1h").click()
    with suppress(Error):
        # Where nobody waits for it any more, it cannot be answered.
        asked[0].continue_()
    # The hour may have changed since the page was asked for.
    begun = [
        timezone.localtime(now - timedelta(minutes=minutes), crew.organisation.zone) for minutes in (60, 50)
    ]
    either = "|".join(f"{at:%-d %b %Y, %H}:" for at in begun)
    expect(page.locator("#compare-totals caption")).to_have_text(re.compile(f"^({either})"))
    # htmx tells the console of what it gave up.
    visit.problems = [problem for problem in visit.problems if not problem.startswith("console: htmx:")]


def test_the_keyboard_stays_where_it_was_though_another_part_is_swapped(
    crew: People, visit: Visit, now: datetime
) -> None:
    unit = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    checks(unit, now=now)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/i/QT000001/")
    link = page.get_by_role("link", name="All SICs")
    link.focus()
    # Both have news, and the second is put in while the first settles.
    page.evaluate("htmx.config.defaultSettleDelay = 1000")
    change(unit, now=now + timedelta(seconds=1), LAeq=71.5, sic_at=now)
    for part in ("instrument-checks", "instrument-status"):
        page.evaluate(f"htmx.trigger('#{part}', 'wake')")
        until(page, f"document.querySelector('#{part}.htmx-settling')")
    until(page, "!document.querySelector('.htmx-settling')")
    expect(link).to_be_focused()


def test_a_part_that_is_not_renewed_is_told_while_another_is(
    crew: People, visit: Visit, now: datetime
) -> None:
    unit = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    levels(unit, now=now)
    checks(unit, now=now)
    type(crew.organisation).objects.filter(pk=crew.organisation.pk).update(timezone="Asia/Kathmandu")
    visit.expected = ("part=checks",)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/i/QT000001/")
    banner = page.locator("#connection")

    def renewed(part: str) -> None:
        with page.expect_response(lambda answer: "/i/QT000001/?" in answer.url):
            page.evaluate(f"htmx.trigger('#{part}', 'wake')")
        until(page, f"!document.querySelector('#{part}.htmx-request')")

    page.route(re.compile("part=checks"), lambda route: route.fulfill(status=503, body=""))
    renewed("instrument-checks")
    expect(banner).to_be_visible()
    renewed("instrument-status")
    expect(banner).to_be_visible()
    page.unroute(re.compile("part=checks"))
    asked_at = page.evaluate("new Date().toISOString()")
    renewed("instrument-checks")
    expect(banner).to_be_hidden()
    # Without a network the data are of the last answer, not of when the page was opened.
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(banner).to_be_visible()
    assert page.locator("#connection-since").get_attribute("datetime") >= asked_at
    # By the clock of the place, as everything else on the page.
    expect(page.locator("#connection-since")).to_have_text(re.compile(r"^\d\d:\d\d GMT\+5:45$"))


@at_both_widths
def test_a_check_that_came_is_said_aloud(crew: People, visit: Visit, now: datetime) -> None:
    unit = monitor(crew.organisation, "QT000001", "Harbour Wall", now=now)
    checks(unit, now=now - timedelta(days=1))
    page = visit.page(crew.bob)
    page.goto("/o/harbour/i/QT000001/")
    expect(page.locator("#live")).to_be_empty()
    with organisation_scope(crew.organisation.pk):
        SystemIntegrityCheck.objects.create(
            organisation=crew.organisation, instrument=unit, at=now, status="Success", passed=True
        )
    change(unit, now=now + timedelta(seconds=1), sic_at=now)
    page.evaluate("htmx.trigger('#instrument-checks', 'wake')")
    expect(page.locator("#live")).to_have_text(re.compile(r"Last SIC .*: Success\."))
