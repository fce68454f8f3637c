"""The live hub as a process: listens to what viewers watch, until told to stop."""

import asyncio
import contextlib
import signal
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring.live.hub import Hub
from monitoring.live.watch import ALIVE


class Command(BaseCommand):
    """Safe to run twice, to kill and to start again: it keeps nothing."""

    help = "Hold MyCirrus' live sockets of the instruments that somebody watches. Runs until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say whether a hub is at work")

    def handle(self, *, check: bool, **options: Any) -> None:
        if check:
            self._check()
        else:
            asyncio.run(self._run())

    def _check(self) -> None:
        try:
            alive = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3.0).exists(ALIVE)
        except redis.RedisError as error:
            raise CommandError(f"Redis does not answer ({type(error).__name__}): start it.") from None
        if not alive:
            raise CommandError("No live hub is at work: start `manage.py live`.")
        self.stdout.write("A live hub is at work.")

    async def _run(self) -> None:
        running = asyncio.create_task(Hub(settings.REDIS_URL).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running
