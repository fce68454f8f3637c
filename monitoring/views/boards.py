"""The two boards of the fleet's checks, calibrations and SICs, and the same rows as a file."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render, unchanged, wants_fragment
from instruments.access import organisation_for
from monitoring.boards import (
    BOARDS,
    SORTS,
    WORST,
    BoardRow,
    BoardTime,
    board,
    board_after,
    board_counts,
    board_filtered,
    board_page,
    board_row,
    board_version,
)
from monitoring.conditions import Look
from monitoring.models.tolerances import Tolerances, tolerances_in_force
from monitoring.views.files import no_formula

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Chip:
    """A total that is a filter at once; an empty state is the whole board."""

    state: str
    look: Look | None
    count: int
    query: str
    current: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    kind: str
    text: str
    state: str
    sort: str
    after: str
    tolerances: Tolerances
    time: BoardTime

    @classmethod
    def of(cls, request: HttpRequest, kind: str) -> "_Asked":
        now = timezone.now()
        # A zero byte is in no name, and PostgreSQL refuses even to look for one.
        text, state, sort, after = (
            request.GET.get(name, "").replace("\0", "").strip() for name in ("text", "state", "sort", "after")
        )
        return cls(
            kind=kind,
            text=text,
            state=state if state in BOARDS[kind] else "",
            sort=sort if sort in SORTS[kind] else WORST,
            after=after,
            tolerances=tolerances_in_force(),
            time=BoardTime(now, timezone.localdate(now)),
        )

    def rows(self) -> Any:
        return board(self.kind, tolerances=self.tolerances, time=self.time, sort=self.sort)

    def row(self, instrument: Any) -> BoardRow:
        return board_row(instrument, self.kind, tolerances=self.tolerances, time=self.time)

    def query(self, **changes: str) -> str:
        query = QueryDict(mutable=True)
        sort = "" if self.sort == WORST else self.sort
        for name, value in {"text": self.text, "state": self.state, "sort": sort, **changes}.items():
            if value:
                query[name] = value
        return query.urlencode()


@require_safe
def board_view(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """A page of the board, on which the next continues below its last row; a poll without news costs a 204."""
    organisation, version = organisation_for(request), board_version(now=timezone.now())
    polled = wants_fragment(request) and "version" in request.GET
    if polled and request.GET["version"] == version:
        return unchanged()
    asked = _Asked.of(request, kind)
    searched = board_filtered(asked.rows(), kind, text=asked.text, state="")
    counts = board_counts(searched, kind)
    wanted = board_filtered(searched, kind, text="", state=asked.state)
    page = board_page(wanted, after=asked.after, most=PER_PAGE + 1, sort=asked.sort)
    found = [asked.row(each) for each in page]
    rows = found[:PER_PAGE]
    last: Any = rows[-1].instrument if len(found) > PER_PAGE else None
    looks = BOARDS[kind]
    context = {
        "organisation": organisation,
        "kind": kind,
        "asked": asked,
        "rows": rows,
        "tolerances": asked.tolerances,
        "total": sum(counts.values()),
        "attention": sum(count for state, count in counts.items() if looks[state].needs_attention),
        "chips": _chips(counts, asked),
        "next": asked.query(after=board_after(last, asked.sort)) if last is not None else "",
        "sorts": list(SORTS[kind].items()),
        "sort_words": SORTS[kind][asked.sort],
        "first": asked.query() if asked.after else None,
        "csv_query": asked.query(),
        "poll_query": asked.query(after=asked.after, version=version),
        "can_manage": request.membership.can_manage,  # type: ignore[attr-defined]
        "can_act": request.membership.can_act,  # type: ignore[attr-defined]
    }
    response = render(request, "monitoring/board.html", context, fragment="check-board")
    if wants_fragment(request) and not polled:
        query = asked.query()
        response["HX-Push-Url"] = f"{request.path}?{query}" if query else request.path
    return response


def _chips(counts: dict[str, int], asked: _Asked) -> list[Chip]:
    chips = [Chip("", None, sum(counts.values()), asked.query(state=""), not asked.state)]
    for state, look in BOARDS[asked.kind].items():
        count = counts.get(state, 0)
        if count or asked.state == state:
            chips.append(Chip(state, look, count, asked.query(state=state), asked.state == state))
    return chips


class _Echo:
    """What csv writes into, handing each line on."""

    def write(self, line: str) -> str:
        return line


@require_safe
def board_csv(request: HttpRequest, slug: str, kind: str) -> StreamingHttpResponse:
    """All of the board's rows under the same filters, times in the organisation's zone with their offset."""
    organisation, asked = organisation_for(request), _Asked.of(request, kind)
    wanted = board_filtered(asked.rows(), kind, text=asked.text, state=asked.state)
    # Read and written at once: a stream is sent after scope, time zone and language have ended.
    table = _table(asked, [asked.row(each) for each in wanted])
    writer = csv.writer(_Echo())
    lines = [writer.writerow([_cell(value) for value in line]) for line in table]
    name = f"{organisation.slug}-{kind}-{asked.time.today:%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _table(asked: _Asked, rows: list[BoardRow]) -> Iterator[list[Any]]:
    about = ["serial", "name", "model", "site", "state"]
    if asked.kind == "calibrations":
        yield [
            *about,
            *("calibrated_at", "result", "level_db", "offset_db", "step_db"),
            *("step_tolerance_db", "offset_tolerance_db", "due_at", "certificate_due_on"),
        ]
    else:
        names = [f"{each.name.replace(' ', '').lower()}" for each in asked.row(None).frequencies]
        yield [
            *about,
            *("sic_at", "result", "baseline", "tolerance_db"),
            *(
                f"{name}_{what}"
                for name in names
                for what in ("level_db", "baseline_db", "difference_db", "trend_db_per_30_days")
            ),
            *("limit_at", "limit_days", "last_failed_at"),
        ]
    for row in rows:
        yield [*_about(row), *(_calibration(row) if asked.kind == "calibrations" else _sic(row))]


def _about(row: BoardRow) -> list[Any]:
    instrument = row.instrument
    deployed = getattr(instrument, "deployed", None)
    site = deployed.site.name if deployed is not None else ""
    return [instrument.serial, instrument.name, instrument.model, site, str(row.look.word)]


def _calibration(row: BoardRow) -> list[Any]:
    standing, held = row.standing, row.tolerances
    told: list[Any] = [standing.calibrated_at, standing.calibration_status]
    told += [standing.level_db, standing.offset_db, standing.step_db]
    return [*told, round(held.step_db, 2), round(held.offset_db, 2), row.due_at, row.certificate_due_on]


def _sic(row: BoardRow) -> list[Any]:
    standing = row.standing
    levels = [
        value
        for each in row.frequencies
        for value in (each.level_db, each.baseline_db, each.difference_db, each.per_month_db)
    ]
    return [
        standing.sic_at,
        standing.sic_status,
        row.baseline_words,
        round(row.tolerances.sic_db, 2),
        *levels,
        standing.sic_limit_at,
        row.limit_days,
        standing.sic_failed_at,
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(no_formula(str(value)))
