"""Reading stored time histories: hours unpacked, figures for the chart, lines of CSV; it fetches nothing."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from instruments.tenancy import organisation_scope
from monitoring.models import HistoryKind, TimeHistoryHour, TimeHistoryRequest
from monitoring.timehistory.grid import Hour, drawing, samples_of
from monitoring.timehistory.packing import unpacked

MOST_POINTS = 1500
# Hours read from the database at once: each may be as large as a megabyte unpacked.
_PAGE = 8
# R4: of these a bucket shows the highest, of everything else the mean by energy.
_MAXIMA = frozenset({"LAFMax", "LCPeak"})
_LABELS = {"LAFMax": "LAF,max", "LCPeak": "LC,peak"}
# Ten or thirty-six lines at once show nothing: these are drawn at first, the rest by a tap in the legend.
_SHOWN_BANDS = {"63Hz", "500Hz", "4KHz"}


def hours_stored(request: TimeHistoryRequest) -> Iterator[Hour]:
    """The stored hours, oldest first, a few in memory at a time.

    It opens the scope for each page itself: a download is still being read when the request's own has closed.
    """
    after: datetime | None = None
    while True:
        with organisation_scope(request.organisation_id):
            rows = TimeHistoryHour.objects.filter(request_id=request.pk).order_by("start_at")
            if after is not None:
                rows = rows.filter(start_at__gt=after)
            page = list(rows[:_PAGE])
        for row in page:
            yield Hour(row.start_at, row.names, unpacked(bytes(row.data), len(row.names)))
        if len(page) < _PAGE:
            return
        after = page[-1].start_at


def history_figure(request: TimeHistoryRequest, *, zone: str, summary: str, empty: str) -> dict[str, Any]:
    """The JSON document of the chart, in the form that static/js/chart.js draws: gaps are nulls."""
    drawn = drawing(
        hours_stored(request),
        start=request.start_at,
        end=request.end_at,
        step_ms=request.step_ms,
        most=MOST_POINTS,
        maxima=_MAXIMA,
    )
    noise = request.kind == HistoryKind.NOISE
    x0 = round(drawn.start_at.timestamp() * 1000)
    return {
        "zone": zone,
        "start": round(request.start_at.timestamp() * 1000),
        "end": round(request.end_at.timestamp() * 1000),
        "unit": "dB",
        "traces": [
            {
                "name": _LABELS.get(line.name, line.name),
                "unit": "dB",
                "series": place % 5 + 1,
                "hidden": line.name == "LCPeak" if noise else line.name not in _SHOWN_BANDS,
                "x0": x0,
                "dx": drawn.bucket_ms,
                "y": [None if level is None else round(level, 1) for level in line.levels],
            }
            for place, line in enumerate(drawn.lines)
        ],
        "marks": [],
        "coverage": round(drawn.coverage, 4),
        "summary": summary,
        "empty": empty,
    }


def csv_lines(request: TimeHistoryRequest) -> Iterator[str]:
    """A header and one line for each instant that has a value: UTC, then dB; what is missing is empty, never zero."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")

    def taken() -> str:
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text

    names: list[str] = []
    for hour in hours_stored(request):
        if not names:
            # Of one request every hour has the same values; a name that appears later would have no column.
            names = _all_names(request)
            writer.writerow(["time (UTC)", *(f"{name} (dB)" for name in names)])
        for at, values in samples_of([hour], step_ms=request.step_ms):
            told = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            writer.writerow([told, *(values.get(name, "") for name in names)])
        yield taken()
    if not names:
        yield "time (UTC)\n"


def _all_names(request: TimeHistoryRequest) -> list[str]:
    with organisation_scope(request.organisation_id):
        rows = TimeHistoryHour.objects.filter(request_id=request.pk).order_by("start_at")
        return list(dict.fromkeys(name for names in rows.values_list("names", flat=True) for name in names))
