"""Delete an organisation with everything that it has; it asks first, and goes on where it was stopped."""

from typing import Any

from django.core.management.base import CommandParser

from cirrusweb.console import OperatorCommand, organisation_named
from cirrusweb.removal import organisation_remove
from instruments.models import ApiKey, Instrument, Membership, Organisation, Site
from instruments.tenancy import organisation_scope


class Command(OperatorCommand):
    """In bounded steps: others are served meanwhile."""

    help = (
        "Delete an organisation for good: its instruments with every measurement, check and incident, its keys, sites, "
        "photos, sounds, alerts and memberships. People keep their accounts. May be interrupted and run again."
    )
    examples = (
        "  manage.py organisation_delete harbour-works\n  manage.py organisation_delete harbour-works --yes"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organisation", help="its address, /o/<this>/")
        parser.add_argument("--yes", action="store_true", help="do not ask for the address once more")

    def handle(self, *args: Any, **options: Any) -> None:
        organisation = organisation_named(options["organisation"])
        self.sure(options, told=self._said(organisation), address=organisation.slug)
        rows: dict[str, int] = {}
        last = ""
        for what, count in organisation_remove(organisation=organisation):
            rows[what] = count
            if not options["json"]:
                # One line a table, written anew as it goes on.
                self.stdout.write(
                    f"{'' if what == last or not last else chr(10)}\r{what}: {count:,}", ending=""
                )
                self.stdout.flush()
            last = what
        if options["json"]:
            self.json_write({"organisation": organisation.slug, "deleted": rows})
        else:
            self.stdout.write(f"\n{organisation.name} is deleted.")

    def _said(self, organisation: Organisation) -> str:
        with organisation_scope(organisation.pk):
            counts = {
                model._meta.verbose_name_plural: model.objects.count()
                for model in (Instrument, Site, ApiKey, Membership)
            }
        counted = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        return (
            f"{organisation.name}: {counted}, and everything that was ever measured, checked and told of them will be "
            "deleted for good. Webhooks at MyCirrus stay: remove them first on its Webhooks page."
        )
