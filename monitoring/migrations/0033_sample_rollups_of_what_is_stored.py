"""The rollups of samples that were stored before there were any: about a minute for ten million rows.

An instrument and a table at a time, each on its own: one that is interrupted is begun again, and what is there stays.
What sums are is written out here, as it was when this was made: the code's own may name columns of later migrations.
"""

from typing import Any

from django.db import migrations

# By table: the resource, and the columns of each panel.
SAMPLED: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "particulatesample": (
        "particulates",
        {"pm": ("pm2p5_ugm3", "pm10_ugm3", "pm1_ugm3", "pm4p25_ugm3")},
    ),
    "gassample": (
        "gases",
        {
            "trace": ("no2_ppb", "o3_ppb", "no_ppb", "so2_ppb", "h2s_ppb"),
            "co": ("co_ppb",),
            "co2": ("co2_ppm",),
            "voc": ("voc",),
        },
    ),
    "peakparticlevelocity": ("ppv", {"ppv": ("v_max_x_mms", "v_max_y_mms", "v_max_z_mms")}),
    "vibrationdose": ("vdv", {"vdv": ("vdv_x", "vdv_y", "vdv_z")}),
    "weathersample": (
        "weather",
        {
            "wind": ("wind_speed_ms",),
            "direction": ("wind_direction_deg",),
            "temperature": ("temperature_c",),
            "humidity": ("humidity_pct",),
            "pressure": ("pressure_hpa",),
            "precipitation": ("precipitation_mmh",),
        },
    ),
    "monitorstats": (
        "stats",
        {
            "voltage": ("voltage_v",),
            "temperature": ("temperature_c",),
            "rsrp": ("lte_rsrp",),
            "quality": ("lte_sinr", "lte_rsrq"),
            "ping": ("ping_ms",),
            "memory": ("mem_mb",),
            "disk": ("disk_mb",),
        },
    ),
}
BUCKETS = (900, 3600, 86400)
SECONDS = 'COALESCE("duration_s", 60.0)'
DIRECTION = "wind_direction_deg"


def _sum(known: str, part: str) -> str:
    return f"SUM(CASE WHEN {known} THEN {part} ELSE 0 END)"


def _of_rows(name: str) -> list[str]:
    known = f'"{name}" IS NOT NULL'
    if name == DIRECTION:
        known += ' AND "wind_speed_ms" IS NOT NULL'
        way = f'{SECONDS} * "wind_speed_ms" * %s(RADIANS("{name}"))'
        return [_sum(known, way % "SIN"), _sum(known, way % "COS"), _sum(known, SECONDS), "NULL"]
    value = f'CASE WHEN "{name}" > 1e30 THEN 1e30 WHEN "{name}" < -1e30 THEN -1e30 ELSE "{name}" END'
    return [
        _sum(known, f"{SECONDS} * ({value})"),
        _sum(known, SECONDS),
        f'MIN("{name}")',
        f'MAX("{name}")',
    ]


def _any_of_rows(columns: tuple[str, ...]) -> list[str]:
    known = " OR ".join(f'"{name}" IS NOT NULL' for name in columns)
    return [_sum(known, SECONDS), _sum(known, "1")]


class _Words:
    """How one of the two databases says it."""

    def __init__(self, vendor: str) -> None:
        self.postgresql = vendor == "postgresql"

    def document(self, members: dict[str, list[str]]) -> str:
        kind = "jsonb_build_" if self.postgresql else "json_"
        told = ", ".join(f"'{name}', {kind}array({', '.join(cells)})" for name, cells in members.items())
        return f"{kind}object({told})"

    def cell(self, column: str, name: str, place: int) -> str:
        if self.postgresql:
            return f"(\"{column}\" -> '{name}' ->> {place})::double precision"
        return f"json_extract(\"{column}\", '$.{name}[{place}]')"

    def of_buckets(self, column: str, name: str, together: tuple[str, ...]) -> list[str]:
        return [f"{total}({self.cell(column, name, place)})" for place, total in enumerate(together)]

    def bucket(self, seconds: int) -> str:
        if self.postgresql:
            return f"date_bin('{seconds} seconds', \"start_at\", timestamptz 'epoch')"
        return f"datetime(CAST(strftime('%s', \"start_at\") AS INTEGER) / {seconds} * {seconds}, 'unixepoch')"


def _statements(words: _Words, table: str) -> list[str]:
    resource, panels = SAMPLED[table]
    columns = [name for each in panels.values() for name in each]
    counted = "COUNT(*)"
    sums = words.document({name: _of_rows(name) for name in columns})
    valid = words.document({name: _any_of_rows(each) for name, each in panels.items()})
    source, within, told = f"monitoring_{table}", "", []
    for seconds in BUCKETS:
        told.append(
            f"""
            INSERT INTO "monitoring_samplerollup"
                ("organisation_id", "instrument_id", "resource", "bucket_s", "start_at", "count", "sums", "valid")
            SELECT "organisation_id", "instrument_id", '{resource}', {seconds}, {words.bucket(seconds)},
                   {counted}, {sums}, {valid}
            FROM "{source}" WHERE "organisation_id" = @organisation AND "instrument_id" = @instrument {within}
            GROUP BY "organisation_id", "instrument_id", {words.bucket(seconds)}
            ON CONFLICT DO NOTHING
            """  # noqa: S608 - every name is ours, and the two values are whole numbers
        )
        source, counted = "monitoring_samplerollup", 'SUM("count")'
        within = f'AND "resource" = \'{resource}\' AND "bucket_s" = {seconds}'
        plain, way = ("SUM", "SUM", "MIN", "MAX"), ("SUM", "SUM", "SUM", "MAX")
        sums = words.document(
            {name: words.of_buckets("sums", name, way if name == DIRECTION else plain) for name in columns}
        )
        valid = words.document({name: words.of_buckets("valid", name, ("SUM", "SUM")) for name in panels})
    return told


def fill(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    words = _Words(connection.vendor)
    statements = [each for table in SAMPLED for each in _statements(words, table)]
    with connection.cursor() as cursor:
        cursor.execute('SELECT "organisation_id", "id" FROM "instruments_instrument" ORDER BY "id"')
        for organisation, instrument in cursor.fetchall():
            for statement in statements:
                # Without parameters, so that the marks of SQLite's formats need no doubling.
                cursor.execute(
                    statement.replace("@organisation", str(int(organisation))).replace(
                        "@instrument", str(int(instrument))
                    )
                )


class Migration(migrations.Migration):
    # Nothing is held for longer than one instrument's sums of one table take.
    atomic = False

    dependencies = [
        ("monitoring", "0032_sample_rollups"),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
