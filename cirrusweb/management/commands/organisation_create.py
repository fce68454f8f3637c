"""Make an organisation and, where there is none yet, the account of its owner."""

from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils.text import slugify

from cirrusweb.console import OperatorCommand
from instruments.models import Organisation, User
from instruments.organisations import organisation_create


class Command(OperatorCommand):
    """An owner without an account gets one without a password, and a link to set one."""

    help = (
        "Make an organisation with its owner. An owner who has no account yet gets one, and a link for setting a "
        "password is printed, or mailed with --mail; it works once, for three days."
    )
    examples = (
        '  manage.py organisation_create "Harbour Works" --owner alice@example.com --timezone Europe/London'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help='what people call it, e.g. "Harbour Works"')
        parser.add_argument("--slug", help="its address, /o/<slug>/; made from the name when left out")
        parser.add_argument("--timezone", default="Europe/London", help="e.g. Europe/London (the default)")
        parser.add_argument("--owner", metavar="EMAIL", help="who owns it; the only operator when left out")
        parser.add_argument(
            "--mail", action="store_true", help="mail the owner's link instead of printing it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["slug"] or slugify(options["name"])[:60]
        if not slug:
            raise CommandError("No address can be made from this name: choose one with --slug.")
        if Organisation.objects.filter(slug=slug).exists():
            raise CommandError(f"There is an organisation at “{slug}” already: choose another with --slug.")
        with transaction.atomic():
            owner, created = _owner(options["owner"])
            organisation = organisation_create(
                name=options["name"], slug=slug, timezone=options["timezone"], owner=owner
            )
        link = _password_link(owner) if created else None
        mailed = bool(link and options["mail"] and self._mailed(organisation, owner, link))
        address = f"{settings.PUBLIC_URL}/o/{organisation.slug}/"
        if options["json"]:
            self.json_write(
                {
                    "organisation": organisation.slug,
                    "name": organisation.name,
                    "timezone": organisation.timezone,
                    "address": address,
                    "owner": owner.email,
                    "owner_created": created,
                    "password_link": None if mailed else link,
                    "mailed": mailed,
                }
            )
            return
        self.stdout.write(f"{organisation.name} is at {address}, owned by {owner.email}.")
        if mailed:
            self.stdout.write(f"A link for setting a password was mailed to {owner.email}.")
        elif link:
            self.stdout.write(f"{owner.email} sets a password at {link}")
        self.stdout.write(f"Next: manage.py api_key_add {organisation.slug} --label Main")

    def _mailed(self, organisation: Organisation, owner: User, link: str) -> bool:
        try:
            send_mail(
                subject=f"Your account at {organisation.name}",
                message=(
                    f"You own {organisation.name} on Cirrusweb.\n\n"
                    f"Set a password here, within three days:\n{link}\n"
                ),
                from_email=None,
                recipient_list=[owner.email],
            )
        except OSError as error:
            # The organisation stands; the link is worth having on paper rather than not at all.
            self.stderr.write(f"The mail could not be sent ({error}); here is the link instead.")
            return False
        return True


def _owner(email: str | None) -> tuple[User, bool]:
    """The account of ``email`` and whether it was made now; without one the installation's only operator."""
    if email is None:
        operators = list(User.objects.filter(is_superuser=True, is_active=True)[:2])
        if len(operators) != 1:
            raise CommandError("Say whose it is: --owner EMAIL.")
        return operators[0], False
    try:
        validate_email(email)
    except ValidationError:
        raise CommandError(f"“{email}” is not an email address.") from None
    user = User.objects.filter(email__iexact=email).first()
    if user is not None:
        return user, False
    user = User.objects.create_user(email)
    # Verified: the operator vouches for the address, and the link reaches nobody else.
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user, True


def _password_link(user: User) -> str:
    key = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
    return settings.PUBLIC_URL + path
