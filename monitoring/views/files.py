"""Files of what a page shows: CSV line by line, named after instrument and stretch. What they hold is the views'."""

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from monitoring.charts.ranges import Window
from monitoring.export import columns, csv_value, export_rows
from monitoring.views.windows import Asked


class _Line:
    """Where a CSV writer writes to: it hands the line back."""

    def write(self, line: str) -> str:
        return line


def no_formula(value: Any) -> Any:
    """A cell as it is, but for a text that a spreadsheet would run: names are whatever somebody wrote."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def line_writer() -> Callable[[Iterable[Any]], str]:
    """Makes a line of CSV of a row's cells."""
    write = csv.writer(_Line(), lineterminator="\n").writerow
    return lambda cells: write(map(no_formula, cells))


def csv_file(lines: Iterable[str], *, names: Iterable[str], window: Window) -> StreamingHttpResponse:
    """``lines`` as a file that is called ``names`` and its stretch; nobody on the way keeps it."""
    # A serial is whatever MyCirrus says: nothing of it may end the header's quotes.
    safe = ["".join(each if each.isascii() and each.isalnum() else "-" for each in name) for name in names]
    name = "-".join([*safe, f"{window.start:%Y%m%dT%H%MZ}", f"{window.end:%Y%m%dT%H%MZ}"])
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"},
    )


def refusal(asked: Asked) -> HttpResponseBase:
    """Why there is no file of a stretch that cannot be shown."""
    return HttpResponse(asked.error, status=400, content_type="text/plain; charset=utf-8")


def recorded_lines(resource: str, *, instrument: Instrument, window: Window) -> Iterator[str]:
    """Every stored row of the stretch in the vendor's names, a page in memory at a time."""
    write = line_writer()
    yield write(columns(resource))
    # The request's own scope is closed by the time that lines are asked for.
    with organisation_scope(instrument.organisation_id):
        for row in export_rows(
            resource=resource, start=window.start, end=window.end, serials=[instrument.serial]
        ):
            yield write(map(csv_value, row))
