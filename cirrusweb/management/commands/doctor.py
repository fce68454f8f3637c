"""Say how the installation is and what to do about it; it changes nothing."""

import dataclasses
from collections import Counter
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from cirrusweb.console import OperatorCommand
from cirrusweb.doctor import FAIL, OK, WARN, Finding, examine


class Command(OperatorCommand):
    """Looks at everything that has to work, within half a minute even where nothing does."""

    help = (
        "Look at the database, migrations, settings, Redis, beat, workers, API keys, mail, the webhook address and "
        "the disk. Each line says ok, warn or fail, and what to do. Ends with status 1 where anything failed."
    )
    examples = "  manage.py doctor\n  manage.py doctor --json"
    # They are among the findings: stopping at the first would leave the rest unsaid.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in examine(timezone.now()):
            findings.append(finding)
            if not options["json"]:
                # As it is found: a server that does not answer takes its time.
                self._print(finding)
        levels = Counter(finding.level for finding in findings)
        if options["json"]:
            self.json_write(
                {
                    "ok": not levels[FAIL],
                    **{level: levels[level] for level in (WARN, FAIL)},
                    "findings": [dataclasses.asdict(finding) for finding in findings],
                }
            )
        if levels[FAIL]:
            raise CommandError(f"{levels[FAIL]} of {len(findings)} examinations failed.")

    def _print(self, finding: Finding) -> None:
        style = {OK: self.style.SUCCESS, WARN: self.style.WARNING, FAIL: self.style.ERROR}[finding.level]
        self.stdout.write(f"{style(f'{finding.level:<4}')}  {finding.what}: {finding.message}")
        if finding.advice:
            self.stdout.write(f"      → {finding.advice}")
