"""T10: two years of 1-minute rows of many instruments in PostgreSQL: pages, charts, a month's end and bytes a row."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import connection

from bench.chart import seed
from bench.measure import Row, compared, interleaved, judged, milliseconds
from bench.population import analysed, fleet_make, organisation_make, serials_make, viewer_cookie
from bench.servers import Connection, gunicorn, request
from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.charts.series import bucket_for
from monitoring.models import NoiseMeasurement, NoiseRollup, Resource, Retention
from monitoring.storage.partitions import partitions
from monitoring.storage.retention import partitions_drop
from monitoring.sync.upsert import key_columns

DAYS = 729
MINUTES = DAYS * 1440
FLEET = 100
SERIES, ROLLED = NoiseMeasurement._meta.db_table, NoiseRollup._meta.db_table


def measure(*, quick: bool) -> list[Row]:
    asked = int(os.environ.get("BENCH_ROWS") or (MINUTES if quick else 10_000_000))
    filled = max(1, min(FLEET, round(asked / MINUTES)))
    organisation, empty = organisation_make("harbour"), organisation_make("empty")
    fleet = fleet_make(organisation, serials_make(FLEET))
    # The same fleet beside it, of which nothing was ever measured: asked for in turn with the other.
    fleet_make(empty, serials_make(FLEET))
    cookie = viewer_cookie(organisation)
    rounds = 10 if quick else 40
    end, began = int(time.time()) // 60 * 60, time.monotonic()
    seed(fleet[0], first=end - MINUTES * 60, last=end - 60)
    _copies(fleet[0], fleet[1:filled])
    analysed()
    note = f"{filled * MINUTES:,} rows of {filled} instruments, filled in {time.monotonic() - began:,.0f} s"
    chart = f"/o/harbour/i/{fleet[0].serial}/levels.json?range="
    since = end - 365 * 86400
    bare = f"/?organisation={organisation.pk}&instrument={fleet[0].pk}&since={since}"
    grown = _served(
        {
            "page": request("GET", "/o/harbour/", Cookie=cookie),
            "empty": request("GET", "/o/empty/", Cookie=viewer_cookie(empty)),
            "day": request("GET", f"{chart}24h", Cookie=cookie),
            "year": request("GET", f"{chart}1y", Cookie=cookie),
        },
        {"bare": request("GET", f"{bare}&bucket={bucket_for(timedelta(days=365), 60)}")},
        rounds,
    )
    pairs = (
        ("first page of the fleet, grown by empty", grown["page"], grown["empty"]),
        ("chart, year by a day", grown["year"], grown["day"]),
        ("chart, year by a bare read of the rollup", grown["year"], grown["bare"]),
    )
    rows = [
        compared(
            "T10", what, database=connection.vendor, unit="ms", ours=ours, limit=limit, at_most=1.5, note=note
        )
        for what, ours, limit in pairs
    ]
    return [*rows, _bytes(fleet[0], filled * MINUTES), _month(organisation, empty)]


def _served(asked: dict[str, bytes], of_the_limit: dict[str, bytes], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each request to ours, and of each to the bare view of levels."""
    connection.close()
    with (
        gunicorn() as ours,
        gunicorn("bench.limits.levels") as bare,
        Connection(ours) as us,
        Connection(bare) as them,
    ):
        sides = {name: _getting(us, sent) for name, sent in asked.items()}
        sides |= {name: _getting(them, sent) for name, sent in of_the_limit.items()}
        return interleaved(sides, rounds, warm_up=2)


def _getting(server: Connection, sent: bytes) -> Callable[[], float]:
    def get() -> float:
        statuses: list[int] = []
        taken = milliseconds(lambda: statuses.append(server.exchange(sent)[0]))
        if statuses != [200]:
            raise RuntimeError(f"answered with {statuses}")
        return taken

    return get


def _copies(example: Instrument, others: list[Instrument]) -> None:
    """Give the others what the first has, by the database: a hundred million rows pass through no Python."""
    with connection.cursor() as cursor:
        for table in (SERIES, ROLLED):
            model = NoiseMeasurement if table == SERIES else NoiseRollup
            names = [f'"{field.column}"' for field in model._meta.concrete_fields]
            values = ", ".join("%s" if name == '"instrument_id"' else name for name in names)
            for other in others:
                cursor.execute(
                    f'INSERT INTO "{table}" ({", ".join(names)}) SELECT {values} FROM "{table}" '
                    "WHERE organisation_id = %s AND instrument_id = %s",
                    [other.pk, example.organisation_id, example.pk],
                )


def _bytes(example: Instrument, rows: int) -> Row:
    """Bytes a row of all that is kept of the levels, against a bare table with one primary key."""
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE TABLE limit_growth (LIKE "{SERIES}")')
        cursor.execute(
            f"ALTER TABLE limit_growth ADD PRIMARY KEY ({', '.join(key_columns(NoiseMeasurement))})"
        )
        cursor.execute(
            f'INSERT INTO limit_growth SELECT * FROM "{SERIES}" WHERE organisation_id = %s AND instrument_id = %s',
            [example.organisation_id, example.pk],
        )
        sizes = [f"SUM(pg_total_relation_size(relid)) FROM pg_partition_tree('{SERIES}')"]
        sizes += [f"pg_total_relation_size('{name}')" for name in (ROLLED, "limit_growth")]
        found = []
        for size in sizes:
            cursor.execute(f"SELECT {size}")
            found.append(float(cursor.fetchone()[0]))
    ours, limit = (found[0] + found[1]) / rows, found[2] / MINUTES
    note = f"of them {found[1] / rows:.0f} for the rollups"
    return compared(
        "T10",
        "bytes a row",
        database=connection.vendor,
        unit="B",
        ours=[ours],
        limit=[limit],
        at_most=1.3,
        note=note,
    )


def _month(organisation: Organisation, *others: Organisation) -> Row:
    """A whole month of everything, dropped by the rule that nobody keeps it."""
    now = datetime.now(UTC)
    with organisation_scope(organisation.pk):
        oldest = NoiseMeasurement.objects.order_by("start_at").first()
        if oldest is None:
            raise RuntimeError("nothing was filled")
        # The first month is not whole.
        month = next(each for each in partitions(SERIES) if each.start_at > oldest.start_at)
        count = NoiseMeasurement.objects.filter(
            start_at__gte=month.start_at, start_at__lt=month.end_at
        ).count()
        days = (now - month.end_at).days
        for each in (organisation, *others):
            with organisation_scope(each.pk):
                Retention.objects.create(organisation=each, resource=Resource.NOISE, days=days)
        dropped: list[str] = []
        taken = milliseconds(lambda: dropped.extend(partitions_drop(now=now))) / 1000
        if month.name not in dropped:
            raise RuntimeError(f"{month.name} still stands")
    note = f"{count:,} rows; {len(dropped)} months in all"
    return judged(
        "T10", "a month let go", database=connection.vendor, unit="s", ours=[taken], at_most=1, note=note
    )
