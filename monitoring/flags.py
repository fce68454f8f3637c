"""Flagging what cannot be true as it is stored, and listing it; the values themselves stay as they came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Max
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.statements import in_parts, planned_cursor
from monitoring.models import ImpossibleRow
from monitoring.possible import impossible_of

MOST_LISTED = 50
TABLE_WORDS = {
    "noise": _("Noise levels"),
    "ppv": _("Vibration, PPV"),
    "pm": _("Particulates"),
    "gas": _("Gases"),
    "weather": _("Weather"),
}
# What the columns of those tables hold, and its unit; every other is a level.
QUANTITIES = {
    **{f"v_max_{axis}_mms": (f"PPV {axis}", "mm/s") for axis in "xyz"},
    **{f"f_dom_{axis}_hz": (format_lazy(_("Dominant frequency {axis}"), axis=axis), "Hz") for axis in "xyz"},
    "pm1_ugm3": ("PM1", "µg/m³"),
    "pm2p5_ugm3": ("PM2.5", "µg/m³"),
    "pm4p25_ugm3": ("PM4.25", "µg/m³"),
    "pm10_ugm3": ("PM10", "µg/m³"),
    "co2_ppm": ("CO₂", "ppm"),
    "wind_speed_ms": (_("Wind speed"), "m/s"),
    "wind_direction_deg": (_("Wind from"), "°"),
    "temperature_c": (_("Temperature"), "°C"),
    "pressure_hpa": (_("Pressure"), "hPa"),
    "humidity_pct": (_("Humidity"), "%"),
    "precipitation_mmh": (_("Precipitation"), "mm/h"),
}


_FLAGS = f"""
    SELECT 1 FROM "{ImpossibleRow._meta.db_table}"
    WHERE "organisation_id" = %s AND "instrument_id" = %s AND "table" = %s AND "start_at" BETWEEN %s AND %s
    LIMIT 1
"""  # noqa: S608


def impossible_note(
    *,
    instrument: Instrument,
    table: str,
    starts: Sequence[datetime],
    columns: Mapping[str, Sequence[float | None]],
    possible: bool = False,
) -> None:
    """Bring the flags of these rows up to date, in the transaction that stored them: what was corrected has none.

    What is not among ``columns`` stays as it is stored, and as it is flagged. ``possible``: all are known to be.
    """
    within = (min(starts), max(starts))
    instants = [connection.ops.adapt_datetimefield_value(at) for at in within]
    rows: dict[datetime, dict[str, float | None]] = {}
    # By hand: it is asked at every answer of MyCirrus, and hardly ever finds any.
    with planned_cursor() as cursor:
        cursor.execute(_FLAGS, [instrument.organisation_id, instrument.pk, table, *instants])
        flagged_already = cursor.fetchone() is not None
    # Of these rows alone: an answer may leave out some that are stored between its own.
    for few in in_parts(starts) if flagged_already else ():
        flags = ImpossibleRow.objects.filter(instrument=instrument, table=table, start_at__in=few)
        for start_at, values in flags.values_list("start_at", "values"):
            if left := {name: value for name, value in values.items() if name not in columns}:
                rows[start_at] = left
        flags.delete()
    for place, values in ({} if possible else impossible_of(table, columns)).items():
        # A row given twice counts as its last.
        rows[starts[place]] = rows.get(starts[place], {}) | values
    if rows:
        ImpossibleRow.objects.bulk_create(
            [
                ImpossibleRow(
                    organisation_id=instrument.organisation_id,
                    instrument=instrument,
                    table=table,
                    start_at=start_at,
                    values=values,
                )
                for start_at, values in rows.items()
            ],
            batch_size=500,
        )


@dataclass(frozen=True, slots=True)
class Flagged:
    """What one instrument sent of one table that cannot be true: in how many rows, and the newest."""

    instrument: Instrument
    words: Any
    count: int
    newest_at: datetime
    values: dict[str, float | None]

    @property
    def told(self) -> list[tuple[Any, str, float | None]]:
        """What each is called, its unit and its value; None for what is no number."""
        return [(*QUANTITIES.get(name, (name, "dB")), value) for name, value in self.values.items()]


def flagged() -> list[Flagged]:
    """Of the organisation in scope, the newest first. Two queries."""
    groups: Any = (
        ImpossibleRow.objects.order_by()
        .values("instrument_id", "table")
        .annotate(count=Count("pk"), newest=Max("start_at"))
        .order_by("-newest")[:MOST_LISTED]
    )
    wanted = {(group["instrument_id"], group["table"], group["newest"]): group["count"] for group in groups}
    newest = ImpossibleRow.objects.filter(
        instrument__in={key[0] for key in wanted}, start_at__in={key[2] for key in wanted}
    ).select_related("instrument")
    found = [
        Flagged(row.instrument, TABLE_WORDS.get(row.table, row.table), wanted[key], row.start_at, row.values)
        for row in newest
        if (key := (row.instrument_id, row.table, row.start_at)) in wanted
    ]
    return sorted(found, key=lambda each: each.newest_at, reverse=True)
