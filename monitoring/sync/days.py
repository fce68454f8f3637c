"""Keeping the line of each instrument's last day: formed anew from what is stored, in the transaction of the rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from instruments.models import Instrument
from monitoring.acoustics.levels import level_of
from monitoring.charts.sample_sums import USUAL_S
from monitoring.charts.samples import line_of, sample_buckets
from monitoring.charts.series import organisation_of
from monitoring.day_lines import QUARTER, QUARTERS, day_line, day_text, quarter_of
from monitoring.day_quantities import QUANTITIES, DayQuantity, day_order
from monitoring.models import Bucket, InstrumentStatus, NoiseRollup, SeriesRow
from monitoring.possible import AHEAD, newest_of

_LENGTH = int(QUARTER.total_seconds())


def tells_day(instrument: Instrument, model: type[SeriesRow]) -> bool:
    """Whether rows of ``model`` can be in the line of ``instrument``."""
    return any(QUANTITIES[name].model is model for name in day_order(instrument.type))


def day_told(
    *,
    instrument: Instrument,
    present: InstrumentStatus,
    model: type[SeriesRow],
    changed: Sequence[datetime],
    now: datetime,
) -> dict[str, Any]:
    """What ``present`` is to say of the last day, now that the rows of ``model`` at ``changed`` are new or corrected.

    Nothing where they are history or yet to come, or where a quantity that comes first has values in that day.
    """
    last = newest_of(changed, now)
    if last is None:
        return {}
    # A day that ends in the future had been noted before there was a bound.
    newest_at = quarter_of(max(last, min(present.day_at or last, now + AHEAD)))
    first = newest_at - (QUARTERS - 1) * QUARTER
    if last < first:
        return {}
    order, shown = day_order(instrument.type), present.day_quantity
    for name in order:
        quantity = QUANTITIES[name]
        if quantity.model is model:
            text = day_text(_quarters(quantity, instrument, first), newest_at, quantity.scale.places)
            if text:
                return {"day_quantity": name, "day_values": text, "day_at": newest_at}
        elif name == shown and day_line(present.day_values, present.day_at, newest_at, quantity.scale):
            return {}
    # Corrected away, or a day of nothing but gaps.
    return {"day_quantity": "", "day_values": "", "day_at": newest_at}


def _quarters(quantity: DayQuantity, instrument: Instrument, first: datetime) -> dict[datetime, float | None]:
    """The value of each quarter hour of the day from ``first`` on."""
    if quantity.panel is None:
        rows = NoiseRollup.objects.filter(
            instrument=instrument,
            bucket_s=Bucket.QUARTER,
            start_at__gte=first,
            start_at__lt=first + QUARTERS * QUARTER,
        )
        return {
            at: level_of(energy, valid_s)
            for at, energy, valid_s in rows.values_list("start_at", "energy", "valid_s")
        }
    start = int(first.timestamp()) // _LENGTH
    buckets = [
        (bucket[0] - start, bucket[3:])
        for bucket in sample_buckets(
            quantity.model,
            quantity.panel,
            instrument.pk,
            # Raw SQL passes the manager by: this refuses another organisation's instrument.
            organisation_of(instrument),
            first,
            first + QUARTERS * QUARTER,
            _LENGTH,
            USUAL_S,
        )
    ]
    lines = [
        line_of(each, [(number, sums[place]) for number, sums in buckets], QUARTERS).values
        for place, each in enumerate(quantity.panel.quantities)
    ]
    return {
        first + number * QUARTER: max((value for value in values if value is not None), default=None)
        for number, values in enumerate(zip(*lines, strict=True))
    }
