"""What `make run` needs before anybody can sign in, in one process because Django takes longest to start."""

import socket
import time
from typing import Any
from urllib.parse import urlsplit

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Safe to run twice: migrations and demo each do only what is missing."""

    help = "Bring the database up to date and, with --demo, prepare the demo organisation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", metavar="BASE_URL", help="the simulated MyCirrus of the demo")

    def handle(self, *, demo: str | None, **_: Any) -> None:
        call_command("migrate", interactive=False, stdout=self.stdout)
        # The supervisor waits for this very line before it starts the web server.
        self.stdout.write("The database is up to date.")
        self.stdout.flush()
        if demo:
            _wait_for(demo)
            call_command("demo_prepare", base_url=demo, stdout=self.stdout)


def _wait_for(url: str, seconds: float = 60.0) -> None:
    """Returns when something listens at ``url``; it was started at the same time as this."""
    parts = urlsplit(url)
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise CommandError(f"The simulated MyCirrus at {url} did not come up.") from None
            time.sleep(0.1)
