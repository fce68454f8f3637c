"""`python -m tests.e2e.screenshots`: every page in every state as a picture, on one sheet. It judges nothing.

The demo's fleet comes from the simulated MyCirrus through the real sync; three more organisations hold what it never
shows. The pictures and their sheet go to var/screenshots, the README's picture to docs/screenshot.png.
"""

import argparse
import base64
import email
import email.policy
import html
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from tests.simulated import SimulatedMyCirrus

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "var" / "screenshots"
SIZES = ((390, 844), (1280, 800))
THEMES = ("light", "dark")

# Name, address, whether the whole page is pictured rather than the first screen.
PAGES: list[tuple[str, str, bool]] = [
    ("fleet", "/o/demo/", True),
    ("fleet-table", "/o/demo/?view=table", True),
    ("fleet-map", "/o/demo/?view=map", True),
    ("fleet-further", "/o/demo/?more=1&view=table", False),
    ("fleet-map-broken", "/o/broken/?view=map", True),
    ("fleet-deed", "/o/demo/fleet/sic/?chosen=QT417186&chosen=QT448862&chosen=WWTPPH", False),
    ("fleet-filtered", "/o/demo/?state=offline", False),
    ("fleet-no-match", "/o/demo/?text=nothing+like+it", False),
    ("fleet-every-state", "/o/broken/", True),
    ("fleet-gone", "/o/broken/?state=gone", False),
    ("fleet-no-key", "/o/empty/", False),
    ("fleet-waiting", "/o/waiting/", False),
    ("instrument-failed", "/o/demo/i/QT425105/", True),
    ("instrument-measuring", "/o/demo/i/QT417186/", True),
    ("instrument-offline", "/o/demo/i/QT448862/", True),
    ("instrument-air", "/o/demo/i/WWTPPH/", False),
    ("instrument-air-quarter", "/o/demo/i/WWTPPH/?range=90d", True),
    ("samples-table-quarter", "/o/demo/i/WWTPPH/samples/particulates/?range=90d", False),
    ("instrument-unknown", "/o/broken/i/QT000005/", False),
    ("instrument-empty", "/o/broken/i/QT000011/", False),
    ("levels-table", "/o/demo/i/QT417186/levels/?range=1h", False),
    ("levels-table-empty", "/o/broken/i/QT000005/levels/", False),
    ("days", "/o/demo/i/QT417186/days/?range=7d", False),
    ("days-empty", "/o/broken/i/QT000005/days/", False),
    ("samples-table", "/o/demo/i/QT417186/samples/weather/?range=6h", False),
    ("samples-table-empty", "/o/broken/i/QT000005/samples/weather/", False),
    ("spectrogram-table", "/o/demo/i/QT417186/spectrogram/?range=1h", False),
    ("spectrogram-table-empty", "/o/broken/i/QT000005/spectrogram/", False),
    ("instrument-week", "/o/demo/i/QT417186/?range=7d", False),
    ("instrument-bad-range", "/o/demo/i/QT417186/?from=soon", False),
    ("spectrum", "/o/demo/i/QT417186/spectrum/?range=6h&bands=Third", True),
    ("spectrum-empty", "/o/broken/i/QT000005/spectrum/", True),
    ("compare", "/o/demo/compare/?i=QT417186&i=QT425105&i=QT440943", True),
    ("compare-week", "/o/demo/compare/?i=QT417186&before=1d", True),
    ("compare-empty", "/o/demo/compare/", False),
    ("health", "/o/demo/health/", True),
    ("health-wrong", "/o/broken/health/", True),
    ("health-empty", "/o/empty/health/", False),
    ("calibrations", "/o/demo/i/QT440943/calibrations/", False),
    ("sics", "/o/demo/i/QT425105/sics/", False),
    ("events", "/o/demo/events/", True),
    ("events-loudest", "/o/demo/events/?sort=loudest", False),
    ("events-empty", "/o/broken/events/", False),
    ("events-no-match", "/o/demo/events/?name=nothing+like+it", False),
    ("event", "/o/demo/events/?sound=yes", True),
    ("event-trace", "/o/demo/events/?sound=yes", True),
    ("event-causes", "/o/demo/events/causes/", False),
    ("recordings", "/o/demo/recordings/", False),
    ("recording", "/o/demo/recordings/", False),
    ("sites", "/o/broken/sites/", False),
    ("sites-none", "/o/empty/sites/", False),
    ("site", "/o/broken/sites/1/", True),
    ("site-empty", "/o/broken/sites/2/", False),
    ("site-edit", "/o/broken/sites/1/edit/", True),
    ("site-deploy", "/o/broken/sites/1/deploy/", False),
    ("deployment", "/o/broken/deployments/2/", True),
    ("board-calibrations", "/o/demo/checks/calibrations/", True),
    ("board-calibrations-wrong", "/o/broken/checks/calibrations/", True),
    ("board-calibrations-none", "/o/empty/checks/calibrations/", False),
    ("board-sics", "/o/demo/checks/sics/", True),
    ("board-sics-wrong", "/o/broken/checks/sics/", True),
    ("board-certificates", "/o/broken/checks/certificates/", True),
    ("board-certificates-none", "/o/empty/checks/certificates/", False),
    ("board-tolerances", "/o/broken/checks/tolerances/", True),
    ("board-calendar", "/o/demo/checks/calendar/", True),
    ("certificate-add", "/o/broken/checks/certificates/add/", False),
    ("calibrations-wrong", "/o/broken/i/QT000001/calibrations/", True),
    ("sics-drifting", "/o/broken/i/QT000007/sics/", True),
    ("sic-baseline", "/o/broken/i/QT000007/sic-baseline/", False),
    ("alerts", "/o/demo/alerts/", True),
    ("alerts-empty", "/o/empty/alerts/", False),
    ("alerts-history", "/o/demo/alerts/?view=history", False),
    ("alert-rules", "/o/demo/alerts/rules/", True),
    ("alert-rule", "/o/demo/alerts/rules/new/?kind=level&preset=order-weekday", True),
    ("alert-rule-minutes", "/o/demo/alerts/rules/new/?kind=offline", True),
    ("alert-rule-rehearsed", "/o/demo/alerts/rules/new/?kind=level&preset=uk-70", True),
    ("alert-rule-without-past", "/o/demo/alerts/rules/new/?kind=sim", True),
    ("alert-rule-wrong", "/o/demo/alerts/rules/new/?kind=voltage", True),
    ("alert-rule-versions", "/o/broken/alerts/rules/", True),
    ("incident", "/o/demo/alerts/", True),
    ("incident-level", "/o/broken/alerts/?kind=level", True),
    ("incident-over", "/o/broken/alerts/?view=history", True),
    ("alert-settings", "/o/demo/alerts/settings/", True),
    ("channels", "/o/broken/alerts/channels/", True),
    ("channels-empty", "/o/empty/alerts/channels/", False),
    ("channel", "/o/broken/alerts/channels/1/", True),
    ("channel-off", "/o/broken/alerts/channels/2/", True),
    ("channel-waiting", "/o/broken/alerts/channels/3/", False),
    ("channel-untested", "/o/broken/alerts/channels/4/", False),
    ("channel-kinds", "/o/empty/alerts/channels/new/", True),
    ("channel-add", "/o/broken/alerts/channels/new/?kind=webhook", True),
    ("channel-remove", "/o/broken/alerts/channels/3/remove/", False),
    ("notifications", "/o/demo/notifications/", True),
    ("activity", "/o/demo/activity/", False),
    ("record", "/o/demo/record/", False),
    ("record-missing", "/o/demo/record/missing/?resource=noise", False),
    ("record-wrong", "/o/broken/record/", True),
    ("record-unread", "/o/broken/record/missing/?resource=noise", True),
    ("record-nameless", "/o/broken/record/missing/?resource=instruments", True),
    ("live", "/o/demo/i/QT417186/", False),
    ("histories", "/o/demo/i/QT417186/history/", False),
    ("action", "/o/demo/i/QT417186/calibration/", False),
    ("action-sic", "/o/demo/i/QT417186/sic/", False),
    ("action-rename", "/o/demo/i/QT417186/rename/", False),
    ("webhooks", "/o/demo/webhooks/", False),
    ("webhooks-address", "/o/demo/webhooks/address/", False),
    ("webhooks-registration", "/o/demo/webhooks/registration/", False),
    ("webhooks-silent", "/o/broken/webhooks/registration/", True),
    ("keys", "/o/demo/keys/", True),
    ("keys-broken", "/o/broken/keys/", True),
    ("key-add", "/o/empty/keys/add/", False),
    ("key-rotate", "/o/demo/keys/", False),
    ("key-revoke", "/o/demo/keys/", False),
    ("people", "/o/demo/people/", False),
    ("settings", "/o/demo/settings/", False),
    ("start", "/o/demo/start/", True),
    ("start-empty", "/o/empty/start/", True),
    ("start-broken", "/o/broken/start/", True),
    ("organisations", "/?all", False),
    ("outbox", "/outbox/", False),
    ("second-factor", "/accounts/2fa/", False),
    ("not-found", "/o/nowhere/", False),
    ("not-a-page", "/o/demo/people/invite/", False),
    ("sign-in", "/accounts/login/", False),
    ("sign-up", "/accounts/signup/", False),
    ("reset", "/accounts/password/reset/", False),
    ("admin", "/admin/", False),
    ("admin-keys", "/admin/instruments/apikey/", False),
    ("admin-key", "/admin/instruments/apikey/", True),
    ("admin-key-add", "/admin/instruments/apikey/add/", True),
    ("admin-organisations", "/admin/instruments/organisation/", False),
    ("admin-members", "/admin/instruments/membership/", False),
    ("admin-targets", "/admin/monitoring/synctarget/", False),
    ("admin-deliveries", "/admin/webhooks/delivery/", False),
    ("admin-tasks", "/admin/tasks/", False),
]
SIGNED_OUT = {"sign-in", "sign-up", "reset"}
# What is pressed first: keys of rows differ from run to run, and some pages are answers to a form.
PRESSED = {
    "live": "[data-live] button",
    "key-rotate": "a[href$='/rotate/']",
    "key-revoke": "a[href$='/revoke/']",
    "admin-key": "#result_list th a",
    "event": "a[data-row]",
    "event-trace": "a[data-row] then a[href$='/trace/']",
    "recording": "a[data-row]",
    "alert-rule-rehearsed": "button[value=rehearse]",
    "alert-rule-without-past": "button[value=rehearse]",
    "alert-rule-wrong": "button[value=rehearse]",
    "alert-rule-versions": "text=Site limit by day",
    "incident": "#alerts-list th a",
    "incident-level": "#alerts-list th a",
    "incident-over": "#alerts-list th a",
}
HEARD = {"event", "recording"}


def free_port() -> int:
    """A port that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def installation() -> Iterator[str]:
    """A server over the demo and three made-up organisations; yields its address."""
    from cirrusweb import embedded_redis

    port = free_port()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cirrusweb-pictures-"))
        mycirrus = stack.enter_context(SimulatedMyCirrus(epoch=None))
        os.environ.update(
            DATA_DIR=folder,
            DATABASE_URL=f"sqlite:///{folder}/pictures.sqlite3",
            MYCIRRUS_EXTRA_BASE_URLS=mycirrus.base_url,
            PUBLIC_URL=f"http://127.0.0.1:{port}",
            SECRET_KEY="pictures-only",
            FIELD_ENCRYPTION_KEYS="cGljdHVyZXMtb25seS1waWN0dXJlcy1vbmx5LXBpY3Q=",
            INSECURE_HTTP="1",
            SERVE_STATIC_FROM_SOURCE="1",
            EMAIL_URL="",
            LOG_LEVEL="ERROR",
            DJANGO_SETTINGS_MODULE="cirrusweb.settings",
            DJANGO_ALLOW_ASYNC_UNSAFE="1",
            REDIS_URL=stack.enter_context(embedded_redis.running()),
        )
        import django

        django.setup()
        from django.contrib.staticfiles.handlers import StaticFilesHandler
        from django.core.management import call_command
        from django.test.testcases import LiveServerThread

        call_command("migrate", verbosity=0)
        server = LiveServerThread("127.0.0.1", StaticFilesHandler, port=port)
        server.daemon = True
        server.start()
        server.is_ready.wait()
        stack.callback(server.terminate)
        said = StringIO()
        call_command("demo_prepare", base_url=mycirrus.base_url, stdout=said)
        call_command("sync", "demo", json=True, stdout=said)
        others()
        asked()
        mails()
        yield f"http://127.0.0.1:{port}"


def others() -> None:
    """Organisations in states that the demo never has: without a key, waiting, and with everything wrong."""
    from datetime import UTC, datetime

    from cirrusweb.management.commands.demo_prepare import EMAIL
    from instruments.models import ApiKey, Organisation, Role, User
    from instruments.tenancy import organisation_scope
    from tests.conftest import join, make_key
    from tests.e2e.chats import channels
    from tests.e2e.fleets import (
        certificates,
        checks,
        drifting,
        every_state,
        impossible,
        levels,
        places,
        silent_webhooks,
        targets,
        unread,
    )
    from tests.e2e.troubles import trouble

    now, demo = datetime.now(UTC), User.objects.get(email=EMAIL)
    made = {}
    for slug, name in (
        ("empty", "New Customer"),
        ("waiting", "Just Begun"),
        ("broken", "Quarry with Trouble"),
    ):
        made[slug] = Organisation.objects.create(name=name, slug=slug)
        join(made[slug], demo, Role.OWNER)
    make_key(made["waiting"])
    key = make_key(made["broken"], message="MyCirrus refused the key (401).")
    with organisation_scope(made["broken"].pk):
        ApiKey.objects.filter(pk=key.pk).update(state=ApiKey.State.REFUSED)
    fleet = every_state(made["broken"], now=now)
    failed = fleet["sic-failed"]
    failed.api_key_id = key.pk
    levels(failed, now=now)
    checks(failed, now=now)
    targets(failed, now=now)
    drifting(fleet["measuring"], now=now)
    places(fleet, now=now, actor=demo)
    certificates(fleet, now=now)
    impossible(failed, now=now)
    unread(failed, now=now)
    silent_webhooks(failed, now=now)
    channels(made["broken"], actor=demo, now=now)
    trouble(failed, actor=demo, now=now)


def asked() -> None:
    """What somebody has asked for in the demo."""
    from django.utils import timezone

    from instruments.models import Instrument, Membership, Organisation
    from instruments.tenancy import organisation_scope
    from tests.e2e.fleets import wishes

    with organisation_scope(Organisation.objects.get(slug="demo").pk):
        member, unit = Membership.objects.earliest("pk"), Instrument.objects.earliest("serial")
    wishes(member, unit, now=timezone.now())


def mails() -> None:
    """Send what the demo owes, and its digest whatever the hour, to the outbox."""
    from django.utils import timezone

    from instruments.models import Organisation
    from instruments.tenancy import organisation_scope
    from monitoring.alerts.deliveries import deliveries_claim, delivery_send
    from monitoring.alerts.digests.turns import digest_send, digests_claim, digests_owe
    from monitoring.models import DigestWish

    now = timezone.now()
    with organisation_scope(Organisation.objects.get(slug="demo").pk):
        DigestWish.objects.update(next_at=now)
    digests_owe(now=now)
    for organisation_id, digest_id, token in digests_claim(now=now):
        with organisation_scope(organisation_id):
            digest_send(digest_id=digest_id, token=token, now=now)
    for organisation_id, delivery_id, token in deliveries_claim(now=now):
        with organisation_scope(organisation_id):
            delivery_send(delivery_id=delivery_id, token=token)


def letters() -> dict[str, str]:
    """The newest mail of each kind as a mail program would show it: what pictures of it are taken of."""
    from django.conf import settings

    found: dict[str, str] = {}
    for path in sorted(Path(settings.EMAIL_FILE_PATH).glob("*.log")):
        for raw in path.read_bytes().split(b"-" * 79 + b"\n"):
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            page = mail.get_body(preferencelist=("html",))
            if page is None:
                continue
            html_text = page.get_content()
            for part in mail.walk():
                if part.get_content_type() == "image/png":
                    picture = base64.b64encode(part.get_content()).decode()
                    html_text = html_text.replace("cid:chart", f"data:image/png;base64,{picture}")
            kind = str(mail["List-Id"] or "<other").strip("<").split(".")[0]
            found[f"mail-{kind}"] = html_text
    return found


def pictures(base: str, out: Path, only: str) -> None:
    """Take them all, or those whose name contains one of ``only``, which commas part."""
    from django.core.management import call_command
    from playwright.sync_api import sync_playwright

    from cirrusweb.management.commands.demo_prepare import EMAIL
    from instruments.models import User
    from tests.e2e.conftest import ARGUMENTS, chromium_path, sign_in

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        for width, height in SIZES:
            for theme in THEMES:
                look: Any = {
                    "viewport": {"width": width, "height": height},
                    "color_scheme": theme,
                    "is_mobile": width < 600,
                    "has_touch": width < 600,
                    "reduced_motion": "reduce",
                    "locale": "en-GB",
                }
                # What the demo heard is minutes old by now, and its pages should not say so.
                call_command("sync", "demo", json=True, stdout=StringIO())
                inside, outside = browser.new_context(**look), browser.new_context(**look)
                sign_in(inside, User.objects.get(email=EMAIL), base)
                for name, address, whole in PAGES:
                    if not any(part in name for part in only.split(",")):
                        continue
                    page = (outside if name in SIGNED_OUT else inside).new_page()
                    page.goto(base + address)
                    if name in PRESSED:
                        for pressed in PRESSED[name].split(" then "):
                            page.locator(pressed).first.click()
                            page.wait_for_load_state()
                    if name in HEARD:
                        page.locator("[data-sound][data-state=drawn]").wait_for(timeout=30_000)
                    for chart in page.locator("[data-chart]:visible").all():
                        # A chart is read once it comes near the screen.
                        chart.scroll_into_view_if_needed()
                        chart.locator(".js-plotly-plot").wait_for(timeout=30_000)
                    page.evaluate("scrollTo(0, 0)")
                    picture = f"{name}-{width}-{theme}.png"
                    page.screenshot(path=out / picture, full_page=whole)
                    if (name, width, theme) == ("fleet", 1280, "light"):
                        page.screenshot(path=ROOT / "docs" / "screenshot.png")
                    page.close()
                    sys.stdout.write(f"{picture}\n")
                for name, text in letters().items():
                    if not any(part in name for part in only.split(",")):
                        continue
                    page = inside.new_page()
                    page.set_content(text)
                    page.screenshot(path=out / f"{name}-{width}-{theme}.png", full_page=True)
                    page.close()
                    sys.stdout.write(f"{name}-{width}-{theme}.png\n")
        browser.close()


SHEET = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Every page</title>
<style>body{{font:14px system-ui;background:#777;margin:1rem}}
figure{{display:inline-block;vertical-align:top;margin:.4rem}}
img{{display:block;max-height:56rem}}figcaption{{color:#fff}}</style>{figures}</html>"""


def sheet(out: Path) -> None:
    """All pictures on one page, those of earlier runs with them."""
    taken = [path.name for path in out.glob("*.png")]
    figures = "".join(
        f'<figure><figcaption>{html.escape(name)}</figcaption><a href="{name}">'
        f'<img src="{name}" alt="" width="{300 if "-390-" in name else 620}" loading="lazy"></a></figure>'
        for name in sorted(taken)
    )
    (out / "index.html").write_text(SHEET.format(figures=figures))


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description="Picture every page in every state.")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", default="", help="only pages whose name contains this; commas part several")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with installation() as base:
        pictures(base, options.out, options.only)
    sheet(options.out)
    sys.stdout.write(f"{options.out / 'index.html'}\n")


if __name__ == "__main__":
    main()
