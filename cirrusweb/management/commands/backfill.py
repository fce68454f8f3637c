"""Show how far an organisation's history has come, or fetch it now in the foreground; the present is left to others."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from cirrusweb.console import OperatorCommand, organisation_named
from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Resource
from monitoring.sync.backfill import backfill_run, history_stretches
from monitoring.sync.progress import Progress, Stretch, resource_progress, time_left, total_progress

ROW = "{:<26} {:>12} {:>19} {:<24} {}"


class Command(OperatorCommand):
    """Claims as the workers do, so it can run beside them."""

    help = (
        "Show how much of an organisation's history is stored, resource by resource, and how long the rest will take "
        "at the present pace. With --run, fetch it now, in the foreground. Days are summed over the instruments."
    )
    examples = "  manage.py backfill harbour\n  manage.py backfill harbour --run\n  manage.py backfill harbour --json"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organisation", help="the organisation's address, e.g. harbour")
        parser.add_argument("--run", action="store_true", help="fetch history now; safe beside the workers")
        parser.add_argument(
            "--sample",
            type=float,
            default=5.0,
            metavar="SECONDS",
            help="how long to watch the workers for the time left (default 5; 0 leaves it out)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organisation = organisation_named(options["organisation"])
        # The bar and the summary speak here; a line per turn would tear the bar apart.
        logging.getLogger("monitoring.sync").setLevel(logging.WARNING)
        with organisation_scope(organisation.pk):
            began, before = time.monotonic(), history_stretches()
            turns: dict[str, Any] = {}
            if options["run"]:
                turns = self._run(organisation, before, quiet=options["json"])
            elif any(not stretch.done for stretch in before):
                time.sleep(max(options["sample"], 0.0))
            after = history_stretches()
        elapsed = timedelta(seconds=time.monotonic() - began)
        result = _described(organisation, before, after, elapsed, timezone.now()) | turns
        if options["json"]:
            self.json_write(result)
        else:
            self._print(result)
        if options["run"] and not result["done"]:
            raise CommandError("Not all of the history could be fetched now; what is left is tried again.")

    def _run(self, organisation: Organisation, before: Sequence[Stretch], *, quiet: bool) -> dict[str, Any]:
        days, count, rows, messages = sum(stretch.days_left() for stretch in before), 0, 0, []
        with tqdm(total=round(days), unit=" days", disable=quiet, leave=False) as bar:
            for turn in backfill_run(organisation_id=organisation.pk):
                count, rows = count + 1, rows + turn.rows
                if turn.message and turn.message not in messages:
                    messages.append(turn.message)
                left = sum(stretch.days_left() for stretch in history_stretches())
                # A new instrument has a history of its own: there may be more to do than at the start.
                bar.total = round(max(days, left))
                bar.n = round(bar.total - left)
                bar.refresh()
        return {"turns": count, "fetched": rows, "messages": messages}

    def _print(self, result: dict[str, Any]) -> None:
        if not result["resources"]:
            self.stdout.write(
                "There is no history to fetch: no instrument is listed yet, or HISTORY_DAYS is 1."
            )
            return
        self.stdout.write(ROW.format("", "rows", "days", "stored from … to", ""))
        for row in [*result["resources"], result["total"]]:
            name = Resource(row["resource"]).label if row["resource"] else "All"
            days = f"{row['days_done']:,.0f} of {row['days_wanted']:,.0f}"
            span = f"{row['oldest'][:10]} … {(row['newest'] or '')[:10]}"
            state = "complete" if row["done"] else f"{row['complete']} of {row['instruments']} complete"
            if row["parked"]:
                state += f", {row['parked']} wait for a person"
            self.stdout.write(ROW.format(str(name), f"{row['rows']:,}", days, span, state))
        if "turns" in result:
            self.stdout.write(f"{result['turns']} turns, {result['fetched']} rows received.")
            for message in result["messages"]:
                self.stdout.write(f"  {message}")
        elif not result["done"]:
            seconds = result["seconds_left"]
            pace = (
                "Nothing moved while it was watched."
                if seconds is None
                else f"About {_spoken(timedelta(seconds=seconds))} left."
            )
            self.stdout.write(pace)


def _described(
    organisation: Organisation,
    before: Sequence[Stretch],
    after: Sequence[Stretch],
    elapsed: timedelta,
    now: datetime,
) -> dict[str, Any]:
    total = total_progress(after, now)
    days_before = sum(stretch.days_left() for stretch in before)
    left = time_left(total.days_left, days_before, elapsed) if total else timedelta(0)
    return {
        "organisation": organisation.slug,
        "done": total is None or total.done,
        "seconds_left": None if left is None else round(left.total_seconds()),
        "total": _row(total) if total else None,
        "resources": [_row(progress) for progress in resource_progress(after, now)],
    }


def _row(progress: Progress) -> dict[str, Any]:
    return {
        "resource": progress.resource,
        "instruments": progress.instruments,
        "complete": progress.complete,
        "parked": progress.parked,
        "rows": progress.rows,
        "days_done": round(progress.days_done, 1),
        "days_wanted": round(progress.days_wanted, 1),
        "oldest": progress.oldest_at.isoformat(),
        "newest": progress.newest_at.isoformat() if progress.newest_at else None,
        "done": progress.done,
    }


def _spoken(left: timedelta) -> str:
    minutes = max(1, round(left.total_seconds() / 60))
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
