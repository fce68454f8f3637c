"""Run an organisation's due work now, in the foreground, without worker or broker."""

import logging
from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from cirrusweb.console import OperatorCommand, organisation_named
from instruments.models import ApiKey, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Outcome, SyncTarget
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from monitoring.sync.targets import key_targets_refresh


class Command(OperatorCommand):
    """Claims as the workers do, so it can run beside them."""

    help = "Fetch what is due for an organisation now. Safe to run beside the workers."
    examples = "  manage.py sync harbour\n  manage.py sync harbour --all --json"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organisation", help="the organisation's address, e.g. harbour")
        parser.add_argument("--all", action="store_true", help="fetch everything now, due or not")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = organisation_named(options["organisation"])
        # The bar and the summary speak here; a line per turn would tear the bar apart.
        logging.getLogger("monitoring.sync").setLevel(logging.WARNING)
        with organisation_scope(owner.pk):
            result = self._run(owner, everything=options["all"], quiet=options["json"])
        self._report(result, as_json=options["json"])
        if result["failed"]:
            raise CommandError("Some resources were not fetched; the messages say what to do.")

    def _run(self, owner: Organisation, *, everything: bool, quiet: bool) -> dict[str, Any]:
        now = timezone.now()
        keys = list(ApiKey.objects.usable())
        if not keys:
            raise CommandError(
                f"{owner.name} has no API key yet. Add one: manage.py api_key_add {owner.slug}"
            )
        for key in keys:
            if everything or not SyncTarget.objects.filter(api_key=key).exists():
                key_targets_refresh(api_key=key, now=now)
        if everything:
            SyncTarget.objects.filter(parked_at=None).update(due_at=now)
        outcomes: Counter[str] = Counter()
        rows, messages, seen = 0, [], set()
        with tqdm(unit=" turns", disable=quiet, leave=False) as bar:
            while claims := due_claim(now=timezone.now(), organisation_id=owner.pk):
                bar.total = bar.n + len(claims) + SyncTarget.objects.due(timezone.now()).count()
                for claim in claims:
                    turn = target_run(claim=claim)
                    bar.update()
                    if turn is None:
                        continue
                    outcomes[turn.outcome] += 1
                    rows += turn.rows
                    if turn.message and turn.message not in seen:
                        seen.add(turn.message)
                        messages.append(turn.message)
        good = (Outcome.OK, Outcome.UNCHANGED)
        return {
            "organisation": owner.slug,
            "turns": sum(outcomes.values()),
            "rows": rows,
            "outcomes": dict(outcomes),
            "failed": sum(count for outcome, count in outcomes.items() if outcome not in good),
            "messages": messages,
        }

    def _report(self, result: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.json_write(result)
            return
        self.stdout.write(f"{result['turns']} turns, {result['rows']} rows received.")
        for message in result["messages"]:
            self.stdout.write(f"  {message}")
