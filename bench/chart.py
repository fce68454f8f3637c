"""T5: chart data of a day, month, year and two years of 1-minute rows: points, bytes, queries and server time."""

import gzip
import time
from datetime import UTC, datetime, timedelta

import orjson
from django.db import connection
from django.test import Client

from bench.fleet import counted, weighed
from bench.measure import Row, compared, interleaved, judged, milliseconds
from bench.population import analysed, fleet_make, organisation_make, viewer_cookie
from bench.servers import Connection, gunicorn, request
from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from monitoring.charts.series import bucket_for
from monitoring.models import NoiseMeasurement
from monitoring.sync.rollups import noise_rollups_refresh

RANGES = {"day": ("24h", 1), "month": ("30d", 30), "year": ("1y", 365), "two years": ("2y", 730)}
SERIAL = "QT000001"


def measure(*, quick: bool) -> list[Row]:
    organisation = organisation_make("harbour")
    (instrument,) = fleet_make(organisation, [SERIAL])
    cookie = viewer_cookie(organisation)
    days = 366 if quick else 730
    end = int(time.time()) // 60 * 60
    began = time.monotonic()
    seed(instrument, first=end - days * 86400, last=end - 60)
    analysed()
    seeded = time.monotonic() - began
    engine = connection.vendor
    page = f"/o/harbour/i/{SERIAL}/"
    paths = {name: f"{page}levels.json?range={key}" for name, (key, _) in RANGES.items()}
    queries = _queries({"instrument page": page} | paths, cookie)
    connection.close()
    with (
        gunicorn() as ours,
        gunicorn("bench.limits.levels") as bare,
        Connection(ours) as us,
        Connection(bare) as them,
    ):
        asked = {name: request("GET", path, Cookie=cookie) for name, path in paths.items()}
        rows = [_size(engine, name, us.exchange(sent)) for name, sent in asked.items()] + queries
        bucket = bucket_for(timedelta(days=365), 60)
        query = f"/?organisation={organisation.pk}&instrument={instrument.pk}&since={end - 365 * 86400}"
        sides = {name: _getting(us, sent) for name, sent in asked.items()}
        sides["page"] = _getting(us, request("GET", page, Cookie=cookie))
        sides["bare rollup"] = _getting(them, request("GET", f"{query}&bucket={bucket}"))
        samples = interleaved(sides, 10 if quick else 60, warm_up=2)
        raw = _getting(them, request("GET", query))
        samples["raw"] = [raw() for _ in range(1 if quick else 5)]
    for name, limit, most in (("month", "day", None), ("year", "day", 1.5), ("two years", "day", None)):
        what = f"chart, {name} by a day"
        ours_ms, limit_ms = samples[name], samples[limit]
        rows.append(
            compared("T5", what, database=engine, unit="ms", ours=ours_ms, limit=limit_ms, at_most=most)
        )
    rows.append(judged("T5", "instrument page", database=engine, unit="ms", ours=samples["page"]))
    what, year = "chart, year by a bare read of the rollup", samples["year"]
    rows.append(
        compared("T5", what, database=engine, unit="ms", ours=year, limit=samples["bare rollup"], at_most=1.5)
    )
    what, note = "every raw row of a year, by ours", f"{days * 1440:,} rows filled in {seeded:.0f} s"
    rows.append(
        compared(
            "T5", what, database=engine, unit="ms", ours=samples["raw"], limit=year, at_least=20, note=note
        )
    )
    return rows


def _queries(paths: dict[str, str], cookie: str) -> list[Row]:
    """How many queries each of ``paths`` makes, and the bytes of the page."""
    client, rows = Client(SERVER_NAME="localhost", headers={"Cookie": cookie}), []
    for name, path in paths.items():
        number, content = counted(client, path)
        what = name if "page" in name else f"chart, {name}"
        rows.append(judged("T5", f"queries, {what}", database=connection.vendor, unit="", ours=[number]))
        if "page" in name:
            rows.append(weighed("T5", name, content))
    return rows


def _getting(connection: Connection, sent: bytes):  # type: ignore[no-untyped-def]
    def get() -> float:
        answers = []
        taken = milliseconds(lambda: answers.append(connection.exchange(sent)))
        if answers[0][0] != 200:
            raise RuntimeError(f"levels were answered with {answers[0][0]}")
        return taken

    return get


def _size(engine: str, name: str, answer: tuple[int, bytes, bytes]) -> Row:
    """Points of the longest trace; the bytes of three traces, as gzip would send them."""
    _, head, body = answer
    figure = orjson.loads(body)
    points = max(len(trace.get("y") or trace.get("upper") or ()) for trace in figure["traces"])
    figure["traces"] = [trace for trace in figure["traces"] if trace.get("kind") != "band"][:3]
    small = len(gzip.compress(orjson.dumps(figure), 6)) / 1000
    sent = "gzip" if b"content-encoding: gzip" in head.lower() else "not compressed"
    row = judged(
        "T5", f"chart, {name}: kB of three traces", database=engine, unit="kB", ours=[small], at_most=60
    )
    met = bool(row.met) and points <= 2000
    told = f"{points:,} points a trace; sent {sent}, {len(body) / 1000:.0f} kB"
    return Row(**{**{field: getattr(row, field) for field in Row.__slots__}, "met": met, "note": told})


def seed(instrument: Instrument, *, first: int, last: int) -> None:
    """A row a minute from ``first`` to ``last`` (epoch seconds), every value filled, made by the database itself."""
    known = ("organisation_id", "instrument_id", "start_at", "duration_s", "extra")
    columns = [field.column for field in NoiseMeasurement._meta.concrete_fields if field.column]
    values = [column for column in columns if column not in known]
    names = ", ".join(f'"{column}"' for column in (*known, *values))
    # Each value goes its own restless way between 40 and 90 dB, the same in every run: squares are hard to compress.
    minute = "(n / 60 + {0}) * (n / 60 + {0}) %% 1000003 %% 500"
    levels = ", ".join(f"40 + {minute.format(place)} / 10.0" for place in range(len(values)))
    if connection.vendor == "postgresql":
        at, numbers = "to_timestamp(n)", "generate_series(%s::bigint, %s::bigint, 60) AS minutes(n)"
    else:
        at, numbers = "datetime(n, 'unixepoch')", "minutes"
    series = "WITH RECURSIVE minutes(n) AS (SELECT %s UNION ALL SELECT n + 60 FROM minutes WHERE n < %s) "
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{NoiseMeasurement._meta.db_table}" ({names}) '
            + (series if connection.vendor != "postgresql" else "")
            + f"SELECT {instrument.organisation_id}, {instrument.pk}, {at}, 60, NULL, {levels} FROM {numbers}",
            [first, last],
        )
    with organisation_scope(instrument.organisation_id):
        span = [datetime.fromtimestamp(at, tz=UTC) for at in (first, last)]
        noise_rollups_refresh(instrument=instrument, first=span[0], last=span[1])
