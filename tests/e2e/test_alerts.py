"""The list of alerts in a browser: narrowing it, and opening what was found."""

import re
from datetime import datetime

from playwright.sync_api import expect

from instruments.tenancy import organisation_scope
from monitoring.models import Incident, IncidentSubject
from tests.conftest import People
from tests.e2e.conftest import Visit
from tests.e2e.fleets import monitor


def test_what_was_searched_for_can_be_clicked_at_once(crew: People, visit: Visit, now: datetime) -> None:
    unit = monitor(crew.organisation, "QT000001", "Wall", now=now)
    with organisation_scope(crew.organisation.pk):
        for kind in ("offline", "disk"):
            made = Incident.objects.create(instrument=unit, kind=kind, key=kind, opened_at=now)
            IncidentSubject.objects.create(incident=made, instrument=unit, since_at=now)
    page = visit.page(crew.bob)
    page.goto("/o/harbour/alerts/")
    page.get_by_role("searchbox").fill("wall")
    expect(page).to_have_url(re.compile(r"/alerts/\?text=wall$"))
    page.wait_for_load_state("networkidle")
    # A hand holds the button down for longer than an answer takes.
    page.get_by_role("link", name="Offline").click(delay=500)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Offline")
    page.go_back()
    page.get_by_label("Kind").select_option("disk")
    expect(page.locator("#alerts-list tbody tr")).to_have_count(1)
    visit.check(page)


def test_instruments_of_a_rule_are_searched_for_and_ticked(crew: People, visit: Visit, now: datetime) -> None:
    for number in range(12):
        monitor(crew.organisation, f"QT0000{number:02}", f"Wall {number}", now=now)
    page = visit.page(crew.adam)
    page.goto("/o/harbour/alerts/rules/new/?kind=offline")
    boxes = page.locator("#id_serials .check:visible")
    expect(boxes).to_have_count(12)
    page.get_by_label("Wall 3 (").check()
    page.get_by_label("Search: Instruments").fill("wall 11")
    # What is ticked is never out of sight.
    expect(boxes).to_have_text(["Wall 11 (QT000011)", "Wall 3 (QT000003)"])
    page.get_by_label("Search: Instruments").press("Enter")
    page.get_by_label("Wall 11 (").check()
    page.get_by_label("Search: Instruments").fill("")
    expect(boxes).to_have_count(12)
    visit.check(page)
