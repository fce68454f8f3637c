"""Make the demo organisation over a simulated MyCirrus; run again, it repairs and never duplicates."""

import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from instruments import mycirrus
from instruments.keys import api_key_verify
from instruments.models import ApiKey, Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope
from monitoring.alerts.digests.turns import digest_wish
from monitoring.alerts.rules import Draft, rule_save
from monitoring.models import AlertKind, AlertPreference, DigestWish, Tolerances
from webhooks.registration import webhooks_register

EMAIL = "demo@cirrusweb.example"
# The demo's own, for something to look at: neither a standard nor Cirrus Research gives any of them.
RULES: tuple[tuple[AlertKind, str, dict[str, Any]], ...] = (
    (
        AlertKind.LEVEL,
        "Quarter of an hour on the works",
        {
            "metric": "LAeq",
            "over": "rolling",
            "period_min": 15,
            "amber": 70.0,
            "red": 75.0,
            "coverage_pct": 75,
        },
    ),
    (AlertKind.VOLTAGE, "Supply of the monitors", {"amber": 11.5, "red": 10.5}),
    (AlertKind.CALIBRATION_OVERDUE, "Calibrations of the works", {"amber": 30, "red": 60}),
)
# What the simulator hands out to everybody: it opens nothing.
SIMULATOR_KEY = "mycirrus-000001-5111C0DE5111C0DE"


class Command(BaseCommand):
    """Prints the sign-in last, for the supervisor to show."""

    help = "Make the demo organisation over a simulated MyCirrus at --base-url."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--base-url", required=True, help="the simulated MyCirrus, e.g. http://127.0.0.1:8765/v1"
        )

    def handle(self, *, base_url: str, **_: Any) -> None:
        if base_url not in settings.MYCIRRUS_EXTRA_BASE_URLS:
            raise CommandError(f"Add {base_url} to MYCIRRUS_EXTRA_BASE_URLS first.")
        password = _password(Path(settings.DATA_DIR) / "demo-password")
        with transaction.atomic():
            organisation, user = _people(password)
        with organisation_scope(organisation.pk):
            api_key = _key(organisation, base_url)
            api_key_verify(api_key=api_key, now=timezone.now())
            url = settings.PUBLIC_URL + reverse("hook", args=[organisation.webhook_token])
            try:
                # Without the limiter: MyCirrus publishes no pace, but a simulator on this machine needs none.
                with mycirrus.Client(SIMULATOR_KEY, base_url=base_url) as client:
                    serials = [row.serial for row in client.instruments()]
                    webhooks_register(client=client, api_key=api_key, serials=serials, url=url)
            except mycirrus.MyCirrusError as error:
                raise CommandError(f"The simulated MyCirrus at {base_url} did not answer: {error}") from None
        self.stdout.write(f"Sign in as {user.email} with the password {password}")


def _password(path: Path) -> str:
    """The demo's password: made once, readable by this account only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(9) + "\n")
    return path.read_text().strip()


def _people(password: str) -> tuple[Organisation, User]:
    organisation, _ = Organisation.objects.get_or_create(
        slug="demo",
        defaults={"name": "Demo Harbour Works", "timezone": "Europe/London", "registers_webhooks": True},
    )
    # A demo of an earlier version becomes one that people can join.
    Organisation.objects.filter(pk=organisation.pk).update(is_demo=True)
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        user = User.objects.create_superuser(EMAIL, password, first_name="Demo")
    elif not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    with organisation_scope(organisation.pk):
        membership, created = Membership.objects.get_or_create(
            organisation=organisation, user=user, defaults={"role": Role.OWNER}
        )
        if created:
            # Only at first: whoever changes it in the demo means it.
            _alerts(organisation, membership)
    return organisation, user


def _alerts(organisation: Organisation, membership: Membership) -> None:
    """Somebody who hears of everything and reads a digest at seven, and limits beside the standard rules."""
    now = timezone.now()
    AlertPreference.objects.create(organisation=organisation, membership=membership)
    Tolerances.objects.get_or_create(organisation=organisation, defaults={"calibration_days": 30})
    digest_wish(
        membership=membership,
        organisation=organisation,
        rhythm=DigestWish.Rhythm.DAILY,
        hour=7,
        timezone=organisation.timezone,
        now=now,
    )
    for kind, name, words in RULES:
        rule_save(draft=Draft(kind, name, words), rule=None, actor=membership.user, now=now)


def _key(organisation: Organisation, base_url: str) -> ApiKey:
    key = ApiKey.objects.filter(label="Simulated MyCirrus").first()
    if key is None:
        key = ApiKey(organisation=organisation, label="Simulated MyCirrus")
    key.base_url = base_url
    key.revoked_at = None
    key.secret_set(SIMULATOR_KEY)
    key.save()
    return key
