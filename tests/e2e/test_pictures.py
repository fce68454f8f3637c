"""Pages as they look, against pictures that somebody looked at and approved: `make approve` takes them anew.

Both clocks stand still and the font is the tests' own, so that a page looks the same on any day and machine. The
comparison is loose (`likeness`): letters may lie a little elsewhere, boxes and colours may not.
"""

import base64
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from PIL import Image
from playwright.sync_api import Page, Route

from instruments.models import ApiKey, Organisation, Site
from instruments.tenancy import organisation_scope
from monitoring.models import Event
from tests.conftest import People, make_key
from tests.e2e.conftest import DESKTOP, PHONE, Visit
from tests.e2e.fleets import (
    certificates,
    checks,
    drifting,
    every_state,
    levels,
    places,
    spectra,
    targets,
    telemetry,
)
from tests.e2e.happenings import happenings
from tests.e2e.likeness import compare, kept, reduced

HERE = Path(__file__).parent
APPROVED = HERE / "approved"
# What differs is left here to be looked at: ours, the approved one, and where they differ.
FOUND = HERE.parents[1] / "var" / "pictures"
APPROVE = os.environ.get("APPROVE") == "1"

# A Wednesday in winter.
NOW = datetime(2026, 11, 25, 10, 4, tzinfo=UTC)
PAGES = {
    "fleet": "/o/harbour/",
    "fleet-table": "/o/harbour/?view=table",
    "fleet-map": "/o/harbour/?view=map",
    "instrument": "/o/harbour/i/QT000001/",
    "days": "/o/harbour/i/QT000001/days/?range=7d",
    "compare": "/o/harbour/compare/?i=QT000001&before=1d",
    "calibrations": "/o/harbour/i/QT000001/calibrations/",
    "sics": "/o/harbour/i/QT000001/sics/",
    "calibration-board": "/o/harbour/checks/calibrations/",
    "sic-board": "/o/harbour/checks/sics/",
    "events": "/o/harbour/events/",
    "event": "/o/harbour/events/{event}/",
    "alerts": "/o/harbour/alerts/",
    "sites": "/o/harbour/sites/",
    "site": "/o/harbour/sites/{site}/",
    "health": "/o/harbour/health/",
    "record": "/o/harbour/record/",
    "webhooks": "/o/harbour/webhooks/",
    "people": "/o/harbour/people/",
    "notifications": "/o/harbour/notifications/",
    "settings": "/o/harbour/settings/",
    "keys": "/o/harbour/keys/",
    "sign-in": "/accounts/login/",
}
# Each page is seen in both themes and at both widths, in two pictures.
LOOKS = ((DESKTOP, "light"), (PHONE, "dark"))


def _face(file: str, family: str, weight: str) -> str:
    data = base64.b64encode((HERE / "vendor" / "dejavu-2.37" / file).read_bytes()).decode()
    source = f"url(data:font/woff2;base64,{data})"
    return f"@font-face {{ font-family: {family}; font-weight: {weight}; src: {source} }}\n"


def _lettered(route: Route) -> None:
    """The page's measures, with the tests' own letters in place of whatever this machine has."""
    answer = route.fetch()
    letters = (
        _face("DejaVuSans.woff2", "Pictures", "100 500")
        + _face("DejaVuSans-Bold.woff2", "Pictures", "501 900")
        + _face("DejaVuSansMono.woff2", "PicturesMono", "100 900")
        + ":root { --font: Pictures; --mono: PicturesMono }"
    )
    route.fulfill(response=answer, body=answer.text() + letters)


@pytest.fixture
def still() -> Iterator[None]:
    """The server's clock stands."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def furnished(still: None, crew: People) -> People:
    """A fleet in every state with something on each of the pages, the same at each run."""
    key = make_key(crew.organisation)
    # An address of other letters would break into lines elsewhere.
    Organisation.objects.filter(pk=crew.organisation.pk).update(webhook_token="A" * 43)
    with organisation_scope(crew.organisation.pk):
        ApiKey.objects.filter(pk=key.pk).update(
            state=ApiKey.State.MISSING_SCOPE, scopes={"data.noise:read": False, "instruments:read": True}
        )
    made = every_state(crew.organisation, now=NOW)
    failed = made["sic-failed"]
    with organisation_scope(crew.organisation.pk):
        failed.api_key = key
        failed.save(update_fields=["api_key"])
    levels(failed, now=NOW)
    checks(failed, now=NOW)
    spectra(failed, now=NOW)
    telemetry(failed, now=NOW, voltage_v=10.5)
    targets(failed, now=NOW)
    happenings(crew.organisation, (failed, made["measuring"]), now=NOW)
    drifting(made["measuring"], now=NOW)
    places(made, now=NOW, actor=crew.mary)
    certificates(made, now=NOW)
    return crew


def picture(page: Page, address: str) -> Image.Image:
    """The whole page, its charts drawn, reduced."""
    page.goto(address)
    for chart in page.locator("[data-chart]:visible").all():
        # A chart is read once it comes near the screen.
        chart.scroll_into_view_if_needed()
        chart.and_(page.locator("[data-state=drawn]")).wait_for(state="attached", timeout=30_000)
    page.evaluate("async () => { await document.fonts.ready; scrollTo(0, 0) }")
    return reduced(Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled"))))


def judged(name: str, ours: Image.Image) -> str:
    """What is wrong with a picture, in words; with APPROVE=1 it is the approved one from now on."""
    place = APPROVED / f"{name}.png"
    if APPROVE:
        place.parent.mkdir(exist_ok=True)
        kept(ours).save(place, optimize=True)
        return ""
    if not place.exists():
        return f"{name}: nobody has approved a picture of it (make approve)."
    approved = Image.open(place).convert("RGB")
    found = compare(ours, approved)
    if found.is_close:
        return ""
    FOUND.mkdir(parents=True, exist_ok=True)
    for kind, image in (("ours", ours), ("approved", approved), ("difference", found.difference)):
        image.save(FOUND / f"{name}-{kind}.png")
    return (
        f"{name}: {found.other} of {found.patches} patches look other than what was approved. "
        f"See {FOUND / name}-difference.png; if it is meant to look so, `make approve`."
    )


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_pages_look_as_approved(furnished: People, visit: Visit, width: int, theme: str) -> None:
    wrong = []
    # The policy forbids letters that come from elsewhere; whether pages keep it is asked by other tests.
    options: dict[str, Any] = {"width": width, "theme": theme, "bypass_csp": True, "timezone_id": "UTC"}
    pages = {user: visit.page(user, **options) for user in (furnished.alice, None)}
    for page in pages.values():
        page.clock.set_fixed_time(NOW)
        page.route("**/tokens*.css", _lettered)
    with organisation_scope(furnished.organisation.pk):
        rows = {"event": Event.objects.latest("start_at", "pk").pk, "site": Site.objects.earliest("name").pk}
    for name, address in PAGES.items():
        page = pages[None if name == "sign-in" else furnished.alice]
        wrong.append(judged(f"{name}-{width}", picture(page, address.format(**rows))))
    assert list(filter(None, wrong)) == []
