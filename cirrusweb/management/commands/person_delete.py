"""Delete a person's account; it asks first, and what they did stays in the logs, without their address."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from cirrusweb.console import OperatorCommand
from cirrusweb.removal import person_remove
from instruments.models import User


class Command(OperatorCommand):
    """The only owner of an organisation stays until somebody else is one."""

    help = (
        "Delete a person for good: the account, its memberships, second factor, wishes and what was sent to it. What "
        "the person did stays in the organisations' logs under the name, or as somebody's, without the address."
    )
    examples = (
        "  manage.py person_delete alice@example.com\n  manage.py person_delete alice@example.com --yes"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", help="the email address that the person signs in with")
        parser.add_argument("--yes", action="store_true", help="do not ask for the address once more")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["address"]).first()
        if user is None:
            raise CommandError(f"Nobody signs in with {options['address']}.")
        told = "the account will be deleted for good, with its memberships, second factor and wishes."
        self.sure(options, told=f"{user.email}: {told}", address=user.email)
        person_remove(user=user)
        if options["json"]:
            self.json_write({"deleted": user.email})
        else:
            self.stdout.write(f"{user.email} is deleted.")
