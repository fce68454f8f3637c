"""Stored rows of one organisation as CSV or JSON lines; it asks MyCirrus for nothing and tells no secret.

Values have the vendor's names where it has one, and names of ours with units where it has none.

A missing value is empty in CSV and null in JSON, never zero. Times are UTC and end in Z. Units are the vendor's.
Rows come by serial and then by time, those of tables in the order in which they were first written: the same store
always writes the same bytes.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import starmap
from typing import Any, TextIO

from django.db.models import Q

from instruments.models import Deployment, Instrument, Organisation
from instruments.sites import Stay, Stays
from instruments.tenancy import active_organisation_id
from monitoring.models import TimeHistoryRequest
from monitoring.own_columns import TABLES, Table
from monitoring.possible import BOUNDS, is_impossible
from monitoring.timehistory.grid import samples_of
from monitoring.timehistory.reading import hours_stored
from monitoring.vendor_columns import SERIES, Series

PAGE = 2_000
Row = tuple[Any, ...]


class UnknownInstrument(LookupError):
    """The organisation has no instrument with this serial number, its one argument."""


class NotNarrowed(ValueError):
    """The rows of this resource have no "times", or no "instruments", to be chosen by: its one argument."""


# Samples that people asked for: each instant with its levels in dB by name. Of overlapping requests each has its own.
TIME_HISTORY = "time-history"
RESOURCES = (*SERIES, TIME_HISTORY, *TABLES)
# Ours: the names of the values of a row that cannot be true (monitoring/possible.py); they stay as they came.
IMPOSSIBLE = "impossible"
# Ours too: where the instrument stood then.
SITE = "site"


def columns(resource: str) -> list[str]:
    """The names of a row's values, in order."""
    if resource in TABLES:
        return list(TABLES[resource].columns)
    if resource == TIME_HISTORY:
        return ["instrument", "startTime", "duration", "type", "values", SITE]
    return ["instrument", *SERIES[resource].columns, *([IMPOSSIBLE] if SERIES[resource].bounds else []), SITE]


def _instruments(serials: Sequence[str]) -> Any:
    rows = Instrument.objects.order_by("serial")
    if not serials:
        return rows
    known = set(rows.filter(serial__in=serials).values_list("serial", flat=True))
    for serial in serials:
        if serial not in known:
            raise UnknownInstrument(serial)
    return rows.filter(serial__in=known)


def _range(time: str, start: datetime | None, end: datetime | None) -> Q:
    wanted = Q()
    if start is not None:
        wanted &= Q(**{f"{time}__gte": start})
    if end is not None:
        wanted &= Q(**{f"{time}__lt": end})
    return wanted


def _series_rows(
    series: Series, instruments: Any, start: datetime | None, end: datetime | None
) -> Iterator[Row]:
    key = [series.time, series.tie] if series.tie else [series.time]
    names = list(dict.fromkeys([*key, *series.columns.values()]))
    # Where each value of a row is found, and what is made of it.
    cells = [(names.index(column), series.read.get(name)) for name, column in series.columns.items()]
    held = BOUNDS.get(series.bounds, {})
    bounded = [
        (name, column, names.index(column)) for name, column in series.columns.items() if column in held
    ]
    for pk, serial in instruments.values_list("pk", "serial"):
        rows = series.model.objects.filter(_range(series.time, start, end), instrument_id=pk, **series.only)
        rows = rows.order_by(*key).values_list(*names)
        stays = _stays(pk)
        # Pages by key rather than one cursor: no transaction stays open for the length of an export, which
        # would hold vacuum back on PostgreSQL and every writer on SQLite, and the index gives the order.
        page = list(rows[:PAGE])
        while page:
            for row in page:
                told = (serial, *(read(row[place]) if read else row[place] for place, read in cells))
                if series.bounds:
                    bad = [
                        n for n, column, place in bounded if is_impossible(series.bounds, column, row[place])
                    ]
                    told = (*told, bad or None)
                yield (*told, stays.at(row[0]) or None)
            last = page[-1]
            full = len(page) == PAGE
            page = []
            if full:
                page = list(rows.filter(_after(series, last))[:PAGE])


def _stays(instrument_id: int) -> Stays:
    deployments = Deployment.objects.filter(instrument_id=instrument_id)
    return Stays(starmap(Stay, deployments.values_list("start_at", "end_at", "site__name")))


def _after(series: Series, last: Row) -> Q:
    """What comes behind the row ``last``, whose first values are the key."""
    later = Q(**{f"{series.time}__gt": last[0]})
    if not series.tie:
        return later
    # The first half alone lets the database begin at the right place of the index.
    return Q(**{f"{series.time}__gte": last[0]}) & (later | Q(**{f"{series.tie}__gt": last[1]}))


def _history_rows(instruments: Any, start: datetime | None, end: datetime | None) -> Iterator[Row]:
    requests = TimeHistoryRequest.objects.filter(
        _range("start_at", None, end), _range("end_at", start, None), instrument__in=instruments
    )
    for request in requests.select_related("instrument").order_by("instrument__serial", "start_at", "pk"):
        stays = _stays(request.instrument_id)
        for at, levels in samples_of(hours_stored(request), step_ms=request.step_ms):
            if (start is None or at >= start) and (end is None or at < end):
                serial, kind = request.instrument.serial, request.kind
                yield serial, at, request.step_s, kind, levels, stays.at(at) or None


def _table_rows(table: Table, wanted: Q) -> Iterator[Row]:
    names = list(dict.fromkeys([table.key, *table.columns.values()]))
    cells = [names.index(column) for column in table.columns.values()]
    rows = table.model.objects.filter(wanted).order_by(table.key).values_list(*names)
    page = list(rows[:PAGE])
    while page:
        for row in page:
            yield tuple(row[place] for place in cells)
        page = list(rows.filter(**{f"{table.key}__gt": page[-1][0]})[:PAGE])


def _narrowed(table: Table, start: datetime | None, end: datetime | None, serials: Sequence[str]) -> Q:
    if serials and not table.serial:
        raise NotNarrowed("instruments")
    if (start or end) and not table.time:
        raise NotNarrowed("times")
    wanted = Q(**{f"{table.serial}__in": serials}) if serials else Q()
    if table.model is Organisation:
        # The one table that no scope narrows.
        wanted &= Q(pk=active_organisation_id())
    if not table.until:
        return wanted & _range(table.time, start, end)
    if start is not None:
        wanted &= Q(**{table.until: None}) | Q(**{f"{table.until}__gt": start})
    return wanted & _range(table.time, None, end)


def export_rows(
    *,
    resource: str,
    start: datetime | None = None,
    end: datetime | None = None,
    serials: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows of the organisation in scope from ``start`` up to, not including, ``end``, a page in memory at a time.

    The scope has to stay open while the rows are read. What lasts is told if it has a part of the range: of
    `instruments` those that MyCirrus listed at any time in it. Raises UnknownInstrument and NotNarrowed at once, before
    the first row.
    """
    table = TABLES.get(resource)
    wanted = _narrowed(table, start, end, serials) if table else Q()
    instruments = _instruments(serials)
    if table:
        return _table_rows(table, wanted)
    if resource == TIME_HISTORY:
        return _history_rows(instruments, start, end)
    return _series_rows(SERIES[resource], instruments, start, end)


def utc_text(at: datetime) -> str:
    """``at`` as MyCirrus writes times: UTC with Z, fractions only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def csv_value(value: Any) -> Any:
    """A stored value as a cell of CSV."""
    if isinstance(value, datetime):
        return utc_text(value)
    # true and false, lists and objects as JSON has them; text, numbers and nothing as they are.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value


def csv_write(stream: TextIO, resource: str, rows: Iterable[Row]) -> int:
    """Write a header and ``rows`` (RFC 4180, but lines end with LF) and return how many rows there were."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns(resource))
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        writer.writerow([csv_value(value) for value in row])
    return count


def _json_value(value: Any) -> Any:
    """What JSON has no form for."""
    match value:
        case datetime():
            return utc_text(value)
        case date() | time():
            return value.isoformat()
        case Decimal():
            return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON.")


def jsonl_write(stream: TextIO, resource: str, rows: Iterable[Row]) -> int:
    """Write each row as an object on a line of its own and return how many there were."""
    names = columns(resource)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        stream.write(
            json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=_json_value) + "\n"
        )
    return count


WRITERS: dict[str, Callable[[TextIO, str, Iterable[Row]], int]] = {"csv": csv_write, "jsonl": jsonl_write}
