"""The rollups of spectra that were stored before there were any: some minutes for ten million.

A day of one instrument at a time, each on its own: one that is interrupted is begun again, and what is there stays. What
sums are is written out here, as it was when this was made.
"""

import json
import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import migrations

BUCKETS = (900, 3600, 86400)
DAY = timedelta(days=1)
Sums = dict[str, list[float]]


class _Bucket:
    def __init__(self) -> None:
        self.count, self.valid_s = 0, 0.0
        self.sums: Sums = {}

    def add(self, count: int, valid_s: float, sums: Sums) -> None:
        self.count += count
        self.valid_s += valid_s
        for name, (energy, seconds) in sums.items():
            held = self.sums.setdefault(name, [0.0, 0.0])
            held[0] += energy
            held[1] += seconds


def _of(levels: dict[str, float | None], seconds: float) -> Sums:
    return {
        name: [seconds * math.exp(max(min(level, 1000.0), -1000.0) * math.log(10) / 10), seconds]
        for name, level in levels.items()
        if level is not None
    }


def fill(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute('SELECT "organisation_id", "id" FROM "instruments_instrument" ORDER BY "id"')
        for organisation, instrument in cursor.fetchall():
            for bands in ("Octave", "Third"):
                _fill(connection, cursor, (organisation, instrument, bands))


def _fill(connection: Any, cursor: Any, series: tuple[Any, ...]) -> None:
    told = connection.ops.adapt_datetimefield_value
    mine = '"organisation_id" = %s AND "instrument_id" = %s AND "bands" = %s'
    levels = '"levels"::text' if connection.vendor == "postgresql" else '"levels"'
    # As text: a plain column of instants is parsed by one of the two drivers alone.
    at = (
        'EXTRACT(EPOCH FROM "start_at")'
        if connection.vendor == "postgresql"
        else "strftime('%%s', \"start_at\")"
    )
    since: Any = datetime(1, 1, 2, tzinfo=UTC)
    while True:
        cursor.execute(
            f"SELECT CAST(FLOOR(CAST({at} AS DOUBLE PRECISION)) AS BIGINT) "  # noqa: S608 - our names
            f'FROM "monitoring_frequencymeasurement" WHERE {mine} AND "start_at" >= %s '
            f'ORDER BY "start_at" LIMIT 1',
            [*series, told(since)],
        )
        found = cursor.fetchone()
        if found is None:
            return
        start = datetime.fromtimestamp(int(found[0]) // 86_400 * 86_400, tz=UTC)
        since = start + DAY
        cursor.execute(
            f"SELECT CAST(FLOOR(CAST({at} AS DOUBLE PRECISION)) AS BIGINT), "  # noqa: S608
            f'"duration_s", {levels} FROM "monitoring_frequencymeasurement" '
            f'WHERE {mine} AND "start_at" >= %s AND "start_at" < %s',
            [*series, told(start), told(since)],
        )
        summed: dict[int, dict[int, _Bucket]] = {bucket_s: defaultdict(_Bucket) for bucket_s in BUCKETS}
        for epoch, duration_s, text in cursor.fetchall():
            seconds = duration_s or 60.0
            summed[900][int(epoch) // 900 * 900].add(1, seconds, _of(json.loads(text), seconds))
        for shorter, longer in pairwise(BUCKETS):
            for begin, each in sorted(summed[shorter].items()):
                summed[longer][begin // longer * longer].add(each.count, each.valid_s, each.sums)
        rows = [
            (
                *series,
                bucket_s,
                told(datetime.fromtimestamp(begin, tz=UTC)),
                each.count,
                each.valid_s,
                json.dumps(each.sums, separators=(",", ":")),
            )
            for bucket_s, buckets in summed.items()
            for begin, each in sorted(buckets.items())
        ]
        cursor.executemany(
            'INSERT INTO "monitoring_bandrollup" ("organisation_id", "instrument_id", "bands", "bucket_s", '
            '"start_at", "count", "valid_s", "sums") VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING',
            rows,
        )


class Migration(migrations.Migration):
    # Nothing is held for longer than a day of one instrument takes.
    atomic = False

    dependencies = [
        ("monitoring", "0034_band_rollups"),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
