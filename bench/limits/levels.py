"""A Django view that reads a year of levels and writes them as JSON: from rollups, or every raw row of it."""

import math
from datetime import UTC, datetime

import orjson
from django.db import connection
from django.http import HttpRequest, HttpResponse

from bench.limits.site import application as bare

_ROLLUP = """
    SELECT start_at, energy, valid_s, "LAFMax", "LCPeak" FROM monitoring_noiserollup
    WHERE organisation_id = %s AND instrument_id = %s AND bucket_s = %s AND start_at >= %s ORDER BY start_at
"""
_RAW = """
    SELECT start_at, "LAeq", "LAFMax", "LCPeak" FROM monitoring_noisemeasurement
    WHERE organisation_id = %s AND instrument_id = %s AND start_at >= %s ORDER BY start_at
"""


def levels(request: HttpRequest) -> HttpResponse:
    asked = request.GET
    since: object = datetime.fromtimestamp(int(asked["since"]), tz=UTC)
    if connection.vendor == "sqlite":
        since = str(since)[:19]
    one = [int(asked["organisation"]), int(asked["instrument"])]
    with connection.cursor() as cursor:
        if bucket := int(asked.get("bucket", "0")):
            cursor.execute(_ROLLUP, [*one, bucket, since])
            rows = [
                (at, 10 * math.log10(energy / valid) if valid else None, most, peak)
                for at, energy, valid, most, peak in cursor
            ]
        else:
            cursor.execute(_RAW, [*one, since])
            rows = cursor.fetchall()
    times, laeq, lafmax, lcpeak = zip(*rows, strict=True)
    content = orjson.dumps({"x": times, "LAeq": laeq, "LAFMax": lafmax, "LCPeak": lcpeak})
    return HttpResponse(content, headers={"Content-Length": str(len(content))})


application = bare(levels)
