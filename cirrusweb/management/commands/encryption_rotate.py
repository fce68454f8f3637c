"""Encrypt every stored secret anew with the first key of the ring; it shows none of them."""

from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from cirrusweb.ciphertexts import Column, columns
from cirrusweb.console import OperatorCommand
from instruments import credentials
from instruments.tenancy import all_organisations

CHUNK = 200


class Command(OperatorCommand):
    """May be interrupted and run again: what is under the first key already is left as it stands."""

    help = (
        "Encrypt every stored secret anew with the first key of FIELD_ENCRYPTION_KEYS. Put the new key in front, "
        "start everything again with it, run this, and drop the old key when it says that nothing is left. "
        "Safe to run at any time."
    )
    examples = "  manage.py encryption_rotate\n  manage.py encryption_rotate --check"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="only count what is not under the first key yet"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            credentials.key_ring()
        except ValueError:
            raise CommandError("FIELD_ENCRYPTION_KEYS holds a value that is not a Fernet key.") from None
        count = len(settings.FIELD_ENCRYPTION_KEYS)
        result = {"keys": count, "rotated": 0, "current": 0, "waiting": 0, "unreadable": 0}
        with all_organisations(
            reason="the key ring is the installation's, and so is the change of its first key"
        ):
            for column in columns():
                self._column(column, result, only_count=options["check"])
        if options["json"]:
            self.json_write(result)
        else:
            self.stdout.write(
                f"{count} {'key' if count == 1 else 'keys'} in FIELD_ENCRYPTION_KEYS. "
                f"{result['rotated']} secrets encrypted anew, {result['current']} were under the first key already"
                + (f", {result['waiting']} are still to be done." if options["check"] else ".")
            )
        if count == 1:
            # Else "0 are still to be done" reads as leave to drop the old key, which is the only one here.
            self.stderr.write(
                self.style.WARNING(
                    "If you have put a new key in front, it has not reached this process, and the old one is still "
                    "needed: "
                    "`docker compose up -d` reads .env again, `restart` does not."
                )
            )
        if result["unreadable"]:
            raise CommandError(
                f"No key of FIELD_ENCRYPTION_KEYS decrypts {result['unreadable']} of the secrets, which were left as "
                "they are: put the key that encrypted them back into the list, or enter them again."
            )

    def _column(self, column: Column, result: dict[str, int], *, only_count: bool) -> None:
        first = Fernet(settings.FIELD_ENCRYPTION_KEYS[0])
        rows = column.rows() if only_count else column.rows().select_for_update()
        last = 0
        while True:
            # Locked from reading to writing: a key that is rotated or a recovery code that is used meanwhile waits,
            # and writes over ours, never ours over it.
            with transaction.atomic():
                chunk = list(rows.filter(pk__gt=last)[:CHUNK])
                for pk, value in chunk:
                    outcomes = [_outcome(first, ciphertext) for ciphertext in column.ciphertexts(value)]
                    if "waiting" in outcomes and not only_count:
                        renewed = column.renewed(value, lambda ciphertext: _renewed(first, ciphertext))
                        column.model.objects.filter(pk=pk).update(**{column.name: renewed})
                        outcomes = ["rotated" if each == "waiting" else each for each in outcomes]
                    for outcome in outcomes:
                        result[outcome] += 1
            if not chunk:
                return
            last = chunk[-1][0]


def _renewed(first: Fernet, ciphertext: str) -> str:
    return credentials.rotate(ciphertext) if _outcome(first, ciphertext) == "waiting" else ciphertext


def _outcome(first: Fernet, ciphertext: str) -> str:
    try:
        first.decrypt(ciphertext.encode())
    except InvalidToken:
        pass
    else:
        return "current"
    try:
        credentials.decrypt(ciphertext)
    except credentials.SecretUnreadable:
        return "unreadable"
    return "waiting"
