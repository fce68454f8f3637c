"""Write stored rows of an organisation to a file or to standard output; it fetches nothing."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError, CommandParser

from cirrusweb.console import OperatorCommand, organisation_named, utc_instant
from instruments.tenancy import organisation_scope
from monitoring.export import RESOURCES, WRITERS, NotNarrowed, UnknownInstrument, export_rows


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A file that takes its name only when it is complete: a reader sees the old one or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Command(OperatorCommand):
    """Rows go straight from the database to the stream: a year of a fleet needs no more memory than a day."""

    help = (
        "Write an organisation's stored rows of one resource for a time range, as CSV or JSON lines: what was "
        "measured, under the names that MyCirrus gives its values, or what people did and decided here. Times are UTC. "
        "A missing value is empty (null in JSON), never zero. No key, password or other secret is ever written."
    )
    examples = (
        "  manage.py export harbour noise --start 2026-11-01 --end 2026-12-01 --output november.csv\n"
        "  manage.py export harbour sic --serial QT000001 --format jsonl"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organisation", help="the organisation's address, e.g. harbour")
        parser.add_argument(
            "resource", choices=RESOURCES, help="what to write: %(choices)s", metavar="resource"
        )
        parser.add_argument("--start", metavar="TIME", help="from this time on (UTC), e.g. 2026-11-01")
        parser.add_argument("--end", metavar="TIME", help="up to, not including, this time (UTC)")
        parser.add_argument(
            "--serial", action="append", default=[], help="only this instrument; may be repeated"
        )
        parser.add_argument("--format", choices=list(WRITERS), default="csv", help="csv (default) or jsonl")
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help="write here instead of standard output"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        start = utc_instant(options["start"]) if options["start"] else None
        end = utc_instant(options["end"]) if options["end"] else None
        if start is not None and end is not None and start >= end:
            raise CommandError("The range is empty: --start has to be before --end.")
        organisation, resource = organisation_named(options["organisation"]), options["resource"]
        write = WRITERS[options["format"]]
        with organisation_scope(organisation.pk):
            try:
                rows = export_rows(resource=resource, start=start, end=end, serials=options["serial"])
            except UnknownInstrument as error:
                raise CommandError(f"{organisation.name} has no instrument {error}.") from None
            except NotNarrowed as error:
                raise CommandError(f"{resource} has no {error} to choose by: it is written whole.") from None
            if options["output"] is None:
                count = self._to_standard_output(write, resource, rows)
            else:
                with _replacing(options["output"]) as stream:
                    count = write(stream, resource, rows)
        self._summary(options, count)

    def _to_standard_output(self, write: Any, resource: str, rows: Any) -> int:
        try:
            count = write(self.stdout._out, resource, rows)
            self.stdout.flush()
        except BrokenPipeError:
            # `export … | head` has seen enough. Without this the interpreter complains once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None
        return count

    def _summary(self, options: dict[str, Any], count: int) -> None:
        output = str(options["output"]) if options["output"] else None
        # Standard output may hold the rows: then what is said about them goes beside.
        stream = self.stdout if output else self.stderr
        if options["json"]:
            summary = {"resource": options["resource"], "rows": count, "output": output}
            stream.write(json.dumps(summary, ensure_ascii=False), style_func=str)
        elif output:
            stream.write(f"{count} rows written to {output}.")
