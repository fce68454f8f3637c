"""Add an API key to an organisation, its secret from standard input; the secret is never an argument nor printed."""

import getpass
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from cirrusweb.console import OperatorCommand, organisation_named
from instruments.keys import api_key_add, api_key_can_read, api_key_verify
from instruments.models import ApiKey, Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope

LONGEST_SECRET = 1_000


class Command(OperatorCommand):
    """Arguments are seen by everybody on the machine and kept by shells, so the secret is not one."""

    help = (
        "Add a MyCirrus API key to an organisation and verify it by real calls. The key is read from standard "
        "input, or asked for on a terminal; it is stored encrypted and never shown again."
    )
    examples = (
        "  manage.py api_key_add harbour --label Main\n  manage.py api_key_add harbour --label Main < key.txt"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organisation", help="the organisation's address, e.g. harbour")
        parser.add_argument("--label", default="Main", help='what people call it (default "Main")')
        parser.add_argument(
            "--base-url",
            default="",
            metavar="URL",
            help=f"another MyCirrus than {settings.MYCIRRUS_BASE_URL}; MYCIRRUS_EXTRA_BASE_URLS has to allow it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organisation = organisation_named(options["organisation"])
        with organisation_scope(organisation.pk):
            actor = _actor(organisation)
            api_key = api_key_add(
                organisation=organisation,
                label=options["label"],
                secret=_secret(),
                base_url=options["base_url"].rstrip("/"),
                actor=actor,
            )
            api_key = api_key_verify(api_key=api_key, now=timezone.now())
        if options["json"]:
            self.json_write(_described(api_key))
        else:
            self._print(api_key)
        if not api_key_can_read(api_key.scopes):
            raise CommandError(f"The key was stored, but nothing can be read with it yet. {api_key.message}")

    def _print(self, api_key: ApiKey) -> None:
        self.stdout.write(f"{api_key}: {api_key.get_state_display()}. {api_key.message}".strip())
        for scope, held in api_key.scopes.items():
            word = {True: "yes", False: "no", None: "cannot be told"}[held]
            self.stdout.write(f"  {scope:<20} {word}")


def _secret() -> str:
    """The secret from a terminal without echo, else from standard input."""
    if sys.stdin.isatty():
        return getpass.getpass("MyCirrus API key: ").strip()
    text = sys.stdin.read(LONGEST_SECRET + 1).strip()
    if not text:
        raise CommandError("No key on standard input: `manage.py api_key_add ORGANISATION < key.txt`.")
    if len(text) > LONGEST_SECRET or "\n" in text:
        raise CommandError("Standard input has to hold the API key alone, on one line.")
    return text


def _actor(organisation: Organisation) -> User:
    """In whose name the log has it: the first owner."""
    owner = Membership.objects.filter(role=Role.OWNER).select_related("user").order_by("pk").first()
    if owner is None:
        raise CommandError(f"{organisation.name} has no owner: invite one on its members page first.")
    return owner.user


def _described(api_key: ApiKey) -> dict[str, Any]:
    return {
        "id": api_key.pk,
        "label": api_key.label,
        "last_four": api_key.last_four,
        "base_url": api_key.base_url,
        "state": api_key.state,
        "message": api_key.message,
        "scopes": api_key.scopes,
    }
