"""What our management commands share: an organisation by its address, JSON, errors in one sentence; no command."""

import json
from datetime import UTC, date, datetime, time
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import DatabaseError

from cirrusweb.log import redact
from instruments.models import Organisation


class _HelpFormatter(DjangoHelpFormatter):
    """Django's order of options; examples keep their lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class OperatorCommand(BaseCommand):
    """A command for whoever runs the installation: what goes wrong is one sentence on standard error and status 1."""

    examples = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        epilog = f"examples:\n{self.examples}" if self.examples else None
        parser = super().create_parser(prog_name, subcommand, **{"epilog": epilog, **kwargs})
        parser.formatter_class = _HelpFormatter
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        return parser

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except DatabaseError as error:
            first_line = redact(str(error)).strip().partition("\n")[0]
            raise CommandError(
                f"The database could not do it ({first_line}). "
                "See what is wrong with `manage.py doctor`; `manage.py migrate` makes missing tables."
            ) from error
        except OSError as error:
            raise CommandError(redact(str(error))) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=130) from None

    def sure(self, options: dict[str, Any], *, told: str, address: str) -> None:
        """Go on deleting if --yes was said, or ``address`` typed after ``told``. Raises CommandError otherwise."""
        if options["yes"]:
            return
        if options["json"]:
            raise CommandError("With --json nobody is asked: say --yes.")
        self.stdout.write(told)
        self.stdout.write("Type the address once more to delete: ", ending="")
        self.stdout.flush()
        try:
            typed = input().strip()
        except EOFError:
            typed = ""
        if typed != address:
            raise CommandError("Nothing was deleted.")

    def json_write(self, result: Any) -> None:
        """``result`` as one JSON document on standard output."""
        self.stdout.write(json.dumps(result, ensure_ascii=False))


def organisation_named(slug: str) -> Organisation:
    """The organisation at this address. Raises CommandError that says which there are: the operator may know."""
    organisation = Organisation.objects.filter(slug=slug).first()
    if organisation is None:
        known = ", ".join(Organisation.objects.order_by("slug").values_list("slug", flat=True))
        raise CommandError(
            f"There is no organisation “{slug}”. "
            + (f"There are: {known}." if known else "Make one: manage.py organisation_create NAME")
        )
    return organisation


def utc_instant(text: str) -> datetime:
    """An ISO date or time as aware UTC: a date is its midnight, a time without a zone is UTC. Raises CommandError."""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            f"“{text}” is not a time. Write 2026-11-22 or 2026-11-22T08:00:00Z; without a zone it is UTC."
        ) from None
