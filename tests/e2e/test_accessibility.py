"""Every page, light and dark, desktop and phone: axe finds nothing, nothing scrolls sideways, nothing is refused."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib import admin
from django.core import mail
from django.urls import URLResolver, get_resolver, resolve, reverse
from playwright.sync_api import Page, expect

from instruments.models import ApiKey, Deployment, Membership, Organisation, Role, User
from instruments.people import invitation_send
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.links import incident_link, unsubscribe_link
from monitoring.models import AlertKind, AlertRule, AudioRecording, Calibration, HistoryState
from tests.conftest import PASSWORD, People, join, make_key
from tests.e2e.chats import channels
from tests.e2e.conftest import DESKTOP, PHONE, Visit
from tests.e2e.fleets import (
    certificates,
    checks,
    drifting,
    events,
    every_state,
    impossible,
    incident,
    levels,
    places,
    spectra,
    targets,
    telemetry,
    wishes,
)
from tests.e2e.happenings import happenings, history
from webhooks.models import Delivery, Subscription

AXE = Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js"
FINDINGS = """async (allowing) => {
  const { exclude = [], options = {} } = allowing ?? {};
  const found = await axe.run(exclude.length ? { exclude } : document, { resultTypes: ["violations"], ...options });
  return found.violations.map((one) => `${one.id}: ${one.help} ` +
    one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.html.slice(0, 160)}`).join(" | "));
}"""

# What is Django's own and no template of ours can mend: Select2, which it brings along, gives its fields no name, and
# a search box is labelled by a picture with words (axe's advice, not WCAG). Its forms import style sheets, which axe
# would copy into the page, where the policy refuses them.
DJANGO_S = {
    "exclude": [".select2-container"],
    "options": {"preload": False, "rules": {"label-title-only": {"enabled": False}}},
}
# Facts whose value is wider than its column.
OVER = """() => [...document.querySelectorAll(".facts dd")]
  .filter((fact) => fact.scrollWidth > fact.clientWidth + 1)
  .map((fact) => `runs over its column: ${fact.textContent.trim()}`)"""
# Ids that two things have: a label reaches the first of them only.
TWICE = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return [...new Set(ids.filter((id, place) => ids.indexOf(id) < place))].map((id) => `twice on the page: #${id}`);
}"""

# The organisation's own, by URL name; the rest of the arguments beside the slug.
PAGES: list[tuple[str, dict[str, Any]]] = [
    ("monitoring:fleet", {}),
    ("monitoring:instrument", {"serial": "QT000001"}),
    ("monitoring:instrument", {"serial": "QT000002"}),
    ("monitoring:instrument", {"serial": "AQ000008"}),
    ("monitoring:levels-table", {"serial": "QT000001"}),
    ("monitoring:days", {"serial": "QT000001"}),
    ("monitoring:spectrum", {"serial": "QT000001"}),
    ("monitoring:spectrogram-table", {"serial": "QT000001"}),
    ("monitoring:samples-table", {"serial": "QT000001", "kind": "stats"}),
    ("monitoring:health", {}),
    ("monitoring:calibrations", {"serial": "QT000001"}),
    ("monitoring:sics", {"serial": "QT000001"}),
    ("monitoring:sics", {"serial": "QT000007"}),
    ("monitoring:actions", {"serial": "QT000001"}),
    ("monitoring:act-sic", {"serial": "QT000001"}),
    ("monitoring:act-calibration", {"serial": "QT000002"}),
    ("monitoring:act-rename", {"serial": "QT000001"}),
    ("monitoring:act-identify", {"serial": "QT000001"}),
    ("monitoring:sites", {}),
    ("monitoring:site", {"pk": "site"}),
    ("monitoring:site-add", {}),
    ("monitoring:site-edit", {"pk": "site"}),
    ("monitoring:site-deploy", {"pk": "site"}),
    ("monitoring:deployment", {"pk": "deployment"}),
    ("monitoring:checks-calibrations", {}),
    ("monitoring:checks-sics", {}),
    ("monitoring:checks-certificates", {}),
    ("monitoring:checks-tolerances", {}),
    ("monitoring:checks-calendar", {}),
    ("monitoring:certificate-add", {}),
    ("monitoring:sic-baseline", {"serial": "QT000007"}),
    ("monitoring:doubt-review", {"serial": "QT000001", "found": "moved"}),
    ("monitoring:activity", {}),
    ("monitoring:record", {}),
    ("monitoring:record-missing", {}),
    ("monitoring:events", {}),
    ("monitoring:event-detail", {"pk": "event"}),
    ("monitoring:event-detail", {"pk": "bare"}),
    ("monitoring:event-trace-table", {"pk": "event"}),
    ("monitoring:event-causes", {}),
    ("monitoring:recordings", {}),
    ("monitoring:recording-detail", {"pk": "recording"}),
    ("monitoring:histories", {"serial": "QT000001"}),
    ("monitoring:history-detail", {"pk": "history"}),
    ("monitoring:history-detail", {"pk": "going"}),
    ("monitoring:channels", {}),
    ("monitoring:channel", {"pk": "slack"}),
    ("monitoring:channel", {"pk": "teams"}),
    ("monitoring:channel-add", {}),
    ("monitoring:channel-edit", {"pk": "webhook"}),
    ("monitoring:channel-remove", {"pk": "teams"}),
    ("monitoring:notifications", {}),
    ("monitoring:alerts", {}),
    ("monitoring:incident", {"pk": "incident"}),
    ("monitoring:alert-rule-add", {}),
    ("monitoring:alert-rules", {}),
    ("monitoring:alert-rule", {"pk": "rule"}),
    ("monitoring:alert-settings", {}),
    ("webhooks:inbox", {}),
    ("webhooks:delivery-detail", {"pk": "delivery"}),
    ("webhooks:subscriptions", {}),
    ("webhooks:registration", {}),
    ("webhooks:address-rotate", {}),
    ("webhooks:subscription-remove", {"pk": "subscription"}),
    ("start", {}),
    ("instruments:keys", {}),
    ("instruments:key-add", {}),
    ("instruments:key-rotate", {"pk": "key"}),
    ("instruments:key-revoke", {"pk": "key"}),
    ("instruments:people", {}),
    ("instruments:member-remove", {"pk": "member"}),
    ("instruments:invitation-revoke", {"pk": "invited"}),
    ("instruments:organisation-settings", {}),
]
OWN = [
    "instruments:organisations",
    "instruments:organisation-create",
    "account_email",
    "account_change_password",
    "account_reauthenticate",
    "mfa_index",
    "mfa_activate_totp",
    "account_logout",
]
OUTSIDE = [
    "account_login",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
    "account_signup",
    "account_email_verification_sent",
    "account_inactive",
]
# The other addresses: those that only take a form, those of data and files, and pages that tests here reach by hand.
FORMS = {
    *("instruments:demo-join", "instruments:demo-leave", "instruments:invite", "instruments:key-verify"),
    *("instruments:member-role", "monitoring:alert-rule-switch", "monitoring:calibrator-add"),
    *("monitoring:certificate-remove", "monitoring:channel-test", "monitoring:event-tag"),
    *("monitoring:fleet-columns", "monitoring:fleet-view-remove", "monitoring:fleet-view-save"),
    *("monitoring:history-remove", "monitoring:incident-handle", "monitoring:site-remove"),
    *("monitoring:tolerances-change", "webhooks:deliveries-replay", "webhooks:delivery-replay"),
    *("webhooks:registration-compare", "webhooks:registration-start"),
}
DATA = {
    *("calendar", "healthz", "readyz", "hook", "mfa_download_recovery_codes"),
    *("monitoring:calibrations-history", "monitoring:sics-history", "monitoring:compare-json"),
    *("monitoring:event-audio", "monitoring:event-trace", "monitoring:history-json", "monitoring:levels"),
    *("monitoring:live", "monitoring:recording-audio", "monitoring:samples", "monitoring:site-photo"),
    *("monitoring:spectrogram", "monitoring:spectrum-json"),
}
BY_HAND = {
    *("account_reset_password_from_key", "account_confirm_email", "instruments:invitation"),
    *("mfa_authenticate", "mfa_reauthenticate", "mfa_deactivate_totp", "mfa_generate_recovery_codes"),
    *("mfa_view_recovery_codes", "admin-tasks", "outbox"),
    # One's own view of the fleet leads to the fleet.
    "monitoring:fleet-view",
}
# Of ways in that this installation does not offer.
CLOSED = {"account_confirm_login_code", "account_set_password"}
LOOKS = [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")]


@pytest.fixture
def addresses(crew: People) -> list[str]:
    """The organisation's pages, all of them with something to show."""
    now = datetime.now(UTC)
    key = make_key(crew.organisation)
    made = every_state(crew.organisation, now=now)
    failed = made["sic-failed"]
    with organisation_scope(crew.organisation.pk):
        ApiKey.objects.filter(pk=key.pk).update(
            state=ApiKey.State.MISSING_SCOPE, scopes={"data.noise:read": False, "instruments:read": True}
        )
        failed.api_key = key
        failed.save(update_fields=["api_key"])
        alice = Membership.objects.get(user=crew.alice)
        opened = incident(failed, alice, now=now)
        delivery = Delivery.objects.create(
            organisation=crew.organisation,
            received_at=now,
            signature=Delivery.Signature.VALID,
            encoding="hex",
            body=b'{"type": "SicFinished", "instrument": "QT000001"}',
            digest="0" * 64,
            type="SicFinished",
            serial="QT000001",
            due_at=now,
        )
    wishes(alice, failed, now=now)
    impossible(failed, now=now)
    levels(failed, now=now, hours=3, gap=(60, 80))
    checks(failed, now=now)
    spectra(failed, now=now)
    telemetry(failed, now=now, hours=2, voltage_v=10.5)
    events(failed, now=now)
    targets(failed, now=now)
    told_of = happenings(crew.organisation, (failed, made["measuring"]), now=now)
    with organisation_scope(crew.organisation.pk):
        recording = AudioRecording.objects.get()
    ids = {
        "delivery": delivery.pk,
        "incident": opened.pk,
        "key": key.pk,
        "event": told_of[0].pk,
        "bare": told_of[1].pk,
        "recording": recording.pk,
        "history": history(failed, now=now).pk,
        "going": history(failed, now=now, state=HistoryState.OPEN).pk,
    }
    drifting(made["measuring"], now=now)
    site = places(made, now=now, actor=crew.mary)
    with organisation_scope(crew.organisation.pk):
        ids["rule"] = AlertRule.objects.earliest("pk").pk
        ids["member"] = Membership.objects.get(user=crew.bob).pk
        invited = invitation_send(
            organisation=crew.organisation,
            email="new@example.com",
            role=Role.VIEWER,
            actor=crew.alice,
            now=now,
        )
        subscription = Subscription(
            organisation=crew.organisation, remote_id="hook-1", type="NewEvent", serial="QT000001"
        )
        subscription.ciphertext = "x"
        subscription.save()
    ids |= {"invited": invited.pk, "subscription": subscription.pk}
    certificates(made, now=now)
    with organisation_scope(crew.organisation.pk):
        stay = Deployment.objects.filter(site=site).first()
        moved = Calibration.objects.filter(instrument=failed).first()
    assert stay is not None
    assert moved is not None
    ids |= {"site": site.pk, "deployment": stay.pk, "moved": int(moved.at.timestamp())}
    ids |= {kind: made.pk for kind, made in channels(crew.organisation, actor=crew.alice, now=now).items()}
    told = [
        reverse(
            name,
            kwargs={"slug": "harbour", **{word: ids.get(value, value) for word, value in arguments.items()}},
        )
        for name, arguments in PAGES
    ]
    told += [
        f"/o/harbour/compare/?{query}" for query in ("", "i=QT000001&i=QT000002", "i=QT000001&before=1d")
    ]
    told += ["/o/harbour/events/?name=nothing", "/o/quarry/events/"]
    told += [
        urlsplit(link).path
        for link in (
            incident_link(organisation_id=crew.organisation.pk, user_id=crew.alice.pk, incident_id=opened.pk),
            unsubscribe_link(
                organisation_id=crew.organisation.pk, user_id=crew.alice.pk, kind=AlertKind.OFFLINE
            ),
        )
    ]
    told += [
        f"/o/harbour/?{query}"
        for query in ("view=table", "view=map", "more=1", "state=gone", "text=nothing+like+it")
    ]
    told += ["/o/harbour/fleet/sic/?chosen=QT000001&chosen=AQ000008", "/o/harbour/fleet/identify/"]
    return [
        *told,
        "/o/quarry/",
        "/o/quarry/keys/",
        "/o/quarry/sites/",
        "/o/quarry/alerts/channels/",
        "/o/quarry/alerts/channels/new/?kind=webhook",
        "/o/quarry/checks/sics/",
        *(reverse(name) for name in OWN),
    ]


def faults(page: Page, address: str, allowing: Any = None) -> list[str]:
    """What is wrong with one page, but for what is allowed."""
    page.goto(address)
    if page.locator("[data-chart]").count():
        # A chart is read once it comes near the screen.
        page.locator("[data-chart]").first.scroll_into_view_if_needed()
        page.locator("[data-chart][data-state=drawn]").first.wait_for(state="attached", timeout=20_000)
    # Through the protocol: the page's own policy would refuse a script that is put in.
    page.evaluate(AXE.read_text())
    found: list[str] = page.evaluate(FINDINGS, allowing)
    width, wide = page.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    if wide > width:
        found.append(f"scrolls sideways: {wide} px of {width}")
    found += page.evaluate(OVER) + page.evaluate(TWICE)
    found += [f"refused: {what}" for what in page.evaluate("window.__refused")]
    # What has no node of ours is the browser's own: a player moves its slider once it knows how long a sound is. And
    # Django's admin puts its rows of related objects in by a script of its own.
    shifts = [
        shift
        for shift in page.evaluate("window.__shifts")
        if not all(moved.startswith("null ") for moved in shift[1:])
    ]
    if sum(value for value, *_ in shifts) > 0.0005 and not address.startswith("/admin/"):
        found.append(f"shifts: {shifts}")
    return [f"{address}: {one}" for one in found]


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_of_a_member(
    crew: People, visit: Visit, addresses: list[str], width: int, theme: str
) -> None:
    join(crew.other, crew.alice, Role.OWNER)
    # Nothing is there; and making organisations is for the operator: both answers are pages, too.
    visit.expected = ("/o/nowhere/", "/organisations/new/")
    page = visit.page(crew.alice, width=width, theme=theme)
    found = [fault for address in [*addresses, "/o/nowhere/"] for fault in faults(page, address)]
    assert found == []


def names(patterns: Any, within: str = "") -> set[str]:
    """The names of all addresses but those of the admin, which `operators` knows by its tables."""
    found = set()
    for each in patterns:
        if isinstance(each, URLResolver):
            if each.namespace != "admin":
                found |= names(each.url_patterns, f"{within}{each.namespace}:" if each.namespace else within)
        elif each.name:
            found.add(f"{within}{each.name}")
    return found


def test_every_address_is_looked_at_or_is_no_page(addresses: list[str]) -> None:
    looked_at = {resolve(urlsplit(address).path).view_name for address in addresses}
    others = FORMS | DATA | BY_HAND | CLOSED
    assert not looked_at & others
    written = {name for name in names(get_resolver().url_patterns) if not name.endswith("-csv")}
    assert written == looked_at | others | set(OUTSIDE)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_of_a_second_factor(crew: People, visit: Visit, width: int, theme: str) -> None:
    """At the door and behind it: each change asks for the password or a code again."""
    TOTP.activate(crew.adam, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(crew.adam)
    page = visit.page(None, width=width, theme=theme)
    page.goto(reverse("account_login"))
    page.get_by_label("Email").fill(crew.adam.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{reverse('mfa_authenticate')}")
    found = faults(page, reverse("mfa_authenticate"))
    (code, *_) = RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).get_unused_codes()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button").filter(has_text="Sign in").click()
    page.wait_for_url("**/o/harbour/")
    found += faults(page, reverse("mfa_view_recovery_codes"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(f"**{reverse('mfa_view_recovery_codes')}")
    for name in (
        "mfa_view_recovery_codes",
        "mfa_generate_recovery_codes",
        "mfa_deactivate_totp",
        "mfa_index",
    ):
        found += faults(page, reverse(name))
        assert urlsplit(page.url).path == reverse(name)
    found += faults(page, reverse("mfa_reauthenticate"))
    assert found == []


def operators() -> list[str]:
    """The admin's own pages, and of each table its list, the form of a new row, and the page of one that is there."""
    told = [reverse(f"admin:{name}") for name in ("index", "password_change", "password_change_done")]
    told += [reverse("admin-tasks"), reverse("admin:app_list", args=["monitoring"])]
    for model, table in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        told.append(reverse(f"{name}_changelist"))
        if type(table).has_add_permission is admin.ModelAdmin.has_add_permission:
            told.append(reverse(f"{name}_add"))
        with all_organisations(reason="a page of each table"):
            row = model._default_manager.order_by("pk").first()
        if row is not None:
            told.append(reverse(f"{name}_change", args=[row.pk]))
    person, organisation = User.objects.earliest("pk"), Organisation.objects.earliest("pk")
    return [
        *told,
        reverse("admin:auth_user_password_change", args=[person.pk]),
        reverse("admin:instruments_user_history", args=[person.pk]),
        reverse("admin:instruments_organisation_delete", args=[organisation.pk]),
        f"{reverse('admin:instruments_instrument_changelist')}?q=nothing+like+it",
    ]


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_of_the_operator(
    crew: People, visit: Visit, addresses: list[str], width: int, theme: str
) -> None:
    operator = User.objects.create_superuser("operator@example.com", "correct horse battery")
    page = visit.page(operator, width=width, theme=theme)
    found = [fault for address in operators() for fault in faults(page, address, DJANGO_S)]
    assert found == []


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_of_a_stranger(transactional_db: None, visit: Visit, width: int, theme: str) -> None:
    page = visit.page(None, width=width, theme=theme)
    visit.expected = ("/invitations/", "/confirm-email/")
    ended = [
        reverse("instruments:invitation", args=["nonsense"]),
        reverse("account_reset_password_from_key", kwargs={"uidb36": "1", "key": "nonsense"}),
        reverse("account_confirm_email", args=["nonsense"]),
    ]
    found = [fault for address in [*map(reverse, OUTSIDE), *ended] for fault in faults(page, address)]
    assert found == []


def test_an_invitation(crew: People, visit: Visit, settings: Any) -> None:
    with organisation_scope(crew.organisation.pk):
        now = datetime.now(UTC)
        asked: dict[str, Any] = {"role": Role.VIEWER, "actor": crew.alice, "now": now}
        invitation_send(organisation=crew.organisation, email="new@example.com", **asked)
    (token,) = re.findall(r"/invitations/(\S+?)/", str(mail.outbox[-1].body))
    for width, theme in LOOKS:
        page = visit.page(None, width=width, theme=theme)
        assert faults(page, reverse("instruments:invitation", args=[token])) == []


def test_signing_in_says_what_is_wrong(crew: People, visit: Visit) -> None:
    page = visit.page(None, width=PHONE)
    page.goto("/o/harbour/")
    page.get_by_label("Email").fill(crew.bob.email)
    page.get_by_label("Password").fill("not it")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").filter(has_text="This needs another look").wait_for()
    page.evaluate(AXE.read_text())
    assert page.evaluate(FINDINGS) == []


def test_the_outbox(transactional_db: None, visit: Visit, settings: Any, tmp_path: Path) -> None:
    from django.core.mail import send_mail

    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    operator = User.objects.create_superuser("operator@example.com", "correct horse battery")
    page = visit.page(operator, width=PHONE)
    found = faults(page, "/outbox/")
    send_mail(
        "SIC failed: Crane 4 North",
        "Look at https://monitors.example/o/harbour/i/QT1/",
        None,
        ["a@b.example"],
    )
    found += faults(page, "/outbox/")
    assert page.get_by_role("link", name="https://monitors.example/o/harbour/i/QT1/").count() == 1
    assert found == []


# What lines of a chart are seen, by their dashes and width.
DASHES = (
    "[...CirrusChart.charts.keys()].map((element) => element.querySelector('.js-plotly-plot')?.data"
    ".filter((one) => one.mode?.startsWith('lines') && !one.fill).map((one) => `${one.line.dash} ${one.line.width}`)"
    " ?? [])"
)


def test_lines_are_told_apart_without_colour(visit: Visit, crew: People, now: datetime) -> None:
    made = every_state(crew.organisation, now=now)
    failed, measuring = made["sic-failed"], made["measuring"]
    levels(failed, now=now, hours=3)
    checks(failed, now=now)
    drifting(measuring, now=now)
    event = happenings(crew.organisation, (failed, measuring), now=now)[0]
    page = visit.page(crew.mary)
    for address, most in (
        (f"/o/harbour/i/{failed.serial}/", 3),
        (f"/o/harbour/i/{measuring.serial}/sics/", 3),
        (f"/o/harbour/events/{event.pk}/", 2),
        (f"/o/harbour/history/{history(failed, now=now).pk}/", 2),
    ):
        page.goto(address)
        expect(page.locator("[data-chart][data-state=drawn]").first).to_be_attached(timeout=20_000)
        charts = page.evaluate(DASHES)
        assert max(map(len, charts)) >= most, address
        assert all(len(set(dashes)) == len(dashes) for dashes in charts), address
