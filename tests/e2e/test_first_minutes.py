"""From a stranger to an organisation that is watched, and the demo in between; each step left and taken up again."""

import re
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Locator, Page, expect

from instruments.models import Organisation, Role
from instruments.mycirrus.scopes import SCOPES
from instruments.tenancy import organisation_scope
from tests.conftest import PASSWORD, People, join, make_instrument, make_organisation, make_user
from tests.e2e.conftest import DESKTOP, PHONE, Poll, Visit, manage, said
from tests.monitoring.conftest import turns
from tests.simulated import SimulatedMyCirrus
from webhooks.registration import registration_run
from webhooks.schedule import registrations_due

WIDTHS = [PHONE, DESKTOP]


@pytest.fixture(autouse=True)
def _no_limits_from_other_tests() -> None:
    cache.clear()


@pytest.fixture
def public(settings: Any) -> None:
    """Anybody may sign up, and MyCirrus may send here."""
    settings.SIGN_UP_OPEN = True
    settings.PUBLIC_URL = "https://noise.example"


def new_secret(mycirrus: SimulatedMyCirrus, *, without: str = "", known: bool = True) -> str:
    """A key to two instruments; one that MyCirrus does not know where it is not ``known``."""
    secret = f"mycirrus-{secrets.randbelow(10**6):06}-{secrets.token_hex(8).upper()}"
    if known:
        mycirrus.add_key(secret, [scope for scope in SCOPES if scope != without], mycirrus.serials()[:2])
    return secret


def link_in_mail(subject: str) -> str:
    """The path of the link in the newest mail, which has to be about ``subject``."""
    message = mail.outbox[-1]
    assert subject in message.subject
    found = re.search(r"https?://[^/\s]+(/\S+)", str(message.body))
    assert found
    return found[1]


def registered(owner: Organisation) -> None:
    """The workers' turns at the webhooks of ``owner``."""
    with organisation_scope(owner.pk):
        while due := registrations_due(now=datetime.now(UTC)):
            for _, pk in due:
                registration_run(registration_id=pk)


def step(page: Page, name: str) -> Locator:
    """A step of the start page by its title."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def sign_in(page: Page, email: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_stranger_comes_to_be_told_of_a_failed_check(
    transactional_db: None, visit: Visit, mycirrus: SimulatedMyCirrus, public: None, poll: Poll, width: int
) -> None:
    page = visit.page(None, width=width)
    page.goto("/accounts/login/")
    page.get_by_role("link", name="Create one").click()
    page.get_by_label("Email").fill("ann@consultants.example")
    page.get_by_label("First name").fill("Ann")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    visit.check(page)
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your address")
    proof = link_in_mail("Confirm your email address")
    page.goto(proof)
    expect(page.get_by_role("main")).to_contain_text("Is ann@consultants.example yours?")
    visit.check(page)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    # Mails are opened twice.
    page.goto(proof)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work any more")
    page.get_by_role("link", name="To sign-in").click()
    sign_in(page, "ann@consultants.example")
    page.get_by_role("link", name="New organisation").first.click()
    page.get_by_label("Name").fill("Harbour Consultants")
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Make the organisation").click()
    said(page, "Harbour Consultants is there")
    expect(step(page, "Add your MyCirrus key")).to_contain_text("mycirrus.cloud/developer-api")
    expect(page.locator("footer")).to_contain_text("Europe/Berlin")
    visit.check(page)

    # A key that MyCirrus does not take is said to be none; its label stays for a better one.
    step(page, "Add your MyCirrus key").get_by_role("link", name="Add a key").click()
    page.get_by_label("Label").fill("Ann's account")
    page.get_by_label("API key").fill(new_secret(mycirrus, known=False))
    page.get_by_label("MyCirrus address").select_option(mycirrus.base_url)
    visit.check(page)
    page.get_by_role("button", name="Save and verify").click()
    said(page, "MyCirrus refused this key")
    expect(step(page, "Add your MyCirrus key")).to_contain_text("Needs a look")

    # Left in the middle, and taken up on another day.
    page.context.clear_cookies()
    page.goto("/")
    sign_in(page, "ann@consultants.example")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")
    manage(page, "Getting started")
    step(page, "Add your MyCirrus key").get_by_role("link", name="Look at the key").click()
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("New API key").fill(new_secret(mycirrus, without="data.audio:read"))
    page.get_by_role("button", name="Try it and replace").click()
    missing = page.get_by_role("row", name="data.audio:read")
    expect(missing).to_contain_text("Not allowed")
    expect(missing).to_contain_text("Events cannot be listened to.")
    visit.check(page)
    manage(page, "Getting started")
    expect(step(page, "Add your MyCirrus key")).to_contain_text("Events cannot be listened to.")
    arriving = step(page, "See your instruments arrive")
    expect(arriving).to_contain_text("Their list is being read.")

    # The workers begin while the page is open.
    owner = Organisation.objects.get(slug="harbour-consultants")
    turns(owner, 1)
    poll(page, "start")
    expect(arriving).to_contain_text("0 of 2")
    arriving.get_by_role("link", name="To the fleet").click()
    expect(page.get_by_role("progressbar", name="Reading your instruments")).to_be_visible()
    turns(owner)
    poll(page, "status-grid")
    expect(page.get_by_role("progressbar", name="Reading your instruments")).to_have_count(0)
    for serial in mycirrus.serials()[:2]:
        expect(page.get_by_role("main")).to_contain_text(serial)

    manage(page, "Getting started")
    expect(arriving).to_contain_text("2 instruments are here.")
    pushed = step(page, "Have news pushed here")
    pushed.get_by_role("button", name="Register all").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Webhook registration")
    registered(owner)
    poll(page, "registration")
    expect(page.get_by_text("2 with all webhooks, 0 with some, 0 with none")).to_be_visible()

    manage(page, "Getting started")
    expect(pushed).to_contain_text("Every instrument's webhooks are registered")
    step(page, "Choose what wakes you").get_by_role("link", name="Choose").click()
    page.get_by_label("A System Integrity Check failed").check()
    page.get_by_role("button", name="Save", exact=True).click()
    said(page, "Saved.")
    expect(page.get_by_label("A System Integrity Check failed")).to_be_checked()

    manage(page, "Getting started")
    step(page, "Bring the others in").get_by_role("link", name="Invite").click()
    page.get_by_label("Email").fill("ben@consultants.example")
    page.get_by_role("button", name="Send the invitation").click()
    said(page, "on its way to ben@consultants.example")
    manage(page, "Getting started")
    expect(page.get_by_role("main")).to_contain_text("5 of 5")
    visit.check(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_an_invitation_leads_a_stranger_in(crew: People, visit: Visit, width: int) -> None:
    page = visit.page(crew.adam, width=width)
    page.goto("/o/harbour/people/")
    page.get_by_label("Email").fill("nora@example.com")
    page.get_by_label("Role", exact=True).select_option(label="Member")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_role("link", name=re.compile("Revoke.*nora@"))).to_be_visible()

    noras = visit.page(None, width=width)
    noras.goto(link_in_mail("You are invited to Harbour"))
    expect(noras.get_by_role("heading", level=1)).to_have_text("Join Harbour")
    expect(noras.get_by_role("main")).to_contain_text("invited as Member")
    visit.check(noras)
    noras.get_by_role("link", name="Create your account").click()
    # The address is the invited one, and no second mail has to prove it.
    expect(noras.get_by_label("Email")).to_have_value("nora@example.com")
    expect(noras.get_by_label("Email")).to_be_disabled()
    noras.get_by_label("First name").fill("Nora")
    noras.get_by_label("Password", exact=True).fill(PASSWORD)
    noras.get_by_label("Password (again)").fill(PASSWORD)
    noras.get_by_role("button", name="Create the account").click()
    expect(noras.get_by_role("heading", level=1)).to_have_text("Fleet")
    expect(noras.get_by_role("main")).to_contain_text("An admin or owner adds one")
    visit.check(noras)
    page.reload()
    expect(page.get_by_role("row", name="nora@example.com")).to_contain_text("Nora")
    expect(page.get_by_role("button", name=re.compile("Revoke.*nora@"))).to_have_count(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_somebody_with_an_account_signs_in_and_accepts(crew: People, visit: Visit, width: int) -> None:
    page = visit.page(crew.alice, width=width)
    page.goto("/o/harbour/people/")
    page.get_by_label("Email").fill("charlie@example.com")
    page.get_by_role("button", name="Send the invitation").click()
    said(page, "on its way to charlie@example.com")

    charlies = visit.page(None, width=width)
    link = link_in_mail("You are invited to Harbour")
    charlies.goto(link)
    charlies.get_by_role("link", name="Sign in").click()
    sign_in(charlies, "charlie@example.com")
    expect(charlies.get_by_role("heading", level=1)).to_have_text("Join Harbour")
    visit.check(charlies)
    charlies.get_by_role("button", name="Accept").click()
    said(charlies, "Welcome to Harbour.")
    expect(charlies).to_have_url(re.compile("/o/harbour/$"))
    # His own is still there.
    charlies.locator("summary", has_text="Organisation:").click()
    charlies.get_by_role("link", name="Quarry").click()
    expect(charlies).to_have_url(re.compile("/o/quarry/$"))
    visit.check(charlies)
    # The link is used up, and says so to whoever finds it.
    visit.expected = (link,)
    strangers = visit.page(None, width=width)
    strangers.goto(link)
    expect(strangers.get_by_role("heading", level=1)).to_have_text("This invitation was used")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_demo_is_joined_with_one_click_and_left_with_another(
    crew: People, visit: Visit, width: int
) -> None:
    demo = make_organisation("demo")
    Organisation.objects.filter(pk=demo.pk).update(is_demo=True)
    join(demo, make_user("demo@example.com"), Role.OWNER)
    make_instrument(demo, "QT000001", name="Harbour Wall")
    page = visit.page(crew.charlie, width=width)
    page.goto("/?all")
    own = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Quarry"))
    expect(own).to_contain_text("You are Owner Europe/London", use_inner_text=True)
    visit.check(page)
    page.get_by_role("button", name="Join the demo").click()
    expect(page).to_have_url(re.compile("/o/demo/$"))
    expect(page.get_by_text("Harbour Wall").first).to_be_visible()
    expect(page.get_by_text("its monitors are simulated")).to_be_visible()
    # A visitor looks, and is offered nothing else.
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Manage").click()
    expect(page.get_by_role("navigation", name="Manage").get_by_role("link")).to_have_text(
        ["Webhooks", "Health", "Record", "People", "Notifications"]
    )
    visit.check(page)
    page.get_by_role("button", name="Leave the demo").click()
    said(page, "You have left the demo.")
    visit.expected = ("/o/demo/",)
    page.goto("/o/demo/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is here")
