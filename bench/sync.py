"""T2: a day of vendor JSON after another, parsed, stored and committed with its watermark, against the bare upsert."""

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from django.db import connection, transaction

from bench.limits.upsert import Upsert, upsert
from bench.measure import Row, compared, interleaved
from bench.population import KEY, fleet_make, key_make, organisation_make
from bench.recorded import Recorded, recorded_client
from instruments.models import Instrument
from instruments.mycirrus import NOISE_VALUES
from instruments.tenancy import organisation_scope
from monitoring.models import Lane, NoiseMeasurement, NoiseRollup, Resource, SeriesRow, SyncTarget
from monitoring.sync.resources import steps_of
from monitoring.sync.run import _store
from monitoring.sync.upsert import key_columns, value_columns
from tests.simulated import SimulatedMyCirrus

DAY = timedelta(days=1)
LAST = datetime(2026, 11, 1, tzinfo=UTC)


def measure(*, quick: bool) -> list[Row]:
    days, rounds = (4, 3) if quick else (20, 7)
    recorded = Recorded(_recorded(days))
    organisation = organisation_make("harbour")
    key = key_make(organisation)
    with organisation_scope(organisation.pk):
        ours, other = fleet_make(organisation, ["QT000001", "QT000002"])
        target = SyncTarget.objects.create(
            organisation=organisation,
            api_key=key,
            instrument=ours,
            resource=Resource.NOISE,
            lane=Lane.BACKFILL,
            due_at=LAST,
            lease_token=uuid.uuid4(),
            lease_until=datetime.now(UTC) + timedelta(days=1),
            watermark_at=LAST,
            floor_at=LAST - days * DAY,
        )
        count = _back_fill(target, recorded)
        columns = (*key_columns(NoiseMeasurement), *value_columns(NoiseMeasurement))
        table = NoiseMeasurement._meta.db_table
        bare = upsert(os.environ["DATABASE_URL"], table, columns, key_columns(NoiseMeasurement))
        batches, models = _rows(ours, columns, days), _models(other, ours, days)
        try:
            rows = []
            for fresh in (True, False):
                samples = interleaved(
                    _sides(target, recorded, bare, batches, models, count, fresh=fresh), rounds, warm_up=1
                )
                rows += _compared(samples, count, fresh=fresh)
        finally:
            bare.close()
    return rows


def _compared(samples: dict[str, list[float]], count: int, *, fresh: bool) -> list[Row]:
    kind, engine = "fresh" if fresh else "again", connection.vendor
    note = f"{count:,} rows × {len(NOISE_VALUES)} values"
    mine = {"database": engine, "unit": "rows/s", "ours": samples["ours"]}
    return [
        compared("T2", f"{kind}, by the bare upsert", limit=samples["bare"], at_least=0.5, note=note, **mine),
        compared("T2", f"{kind}, by bulk_create", limit=samples["bulk_create"], at_least=3, **mine),
    ]


def _recorded(days: int) -> dict[datetime, bytes]:
    """What MyCirrus answers for each of the days: 1-minute measurements with every value."""
    bodies = {}
    with SimulatedMyCirrus(fleet=12, epoch="2026-11-22") as mycirrus:
        serial = mycirrus.serials()[0]
        for number in range(1, days + 1):
            start = LAST - number * DAY
            query = [("instruments", serial), ("start", _told(start)), ("end", _told(start + DAY))]
            rows = mycirrus.get(
                "/data/noise/measurements",
                urlencode([*query, *(("values", name) for name in NOISE_VALUES)]),
            )
            bodies[start] = orjson.dumps(rows).replace(serial.encode(), b"QT000001")
    return bodies


def _told(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat() + "Z"


def _back_fill(target: SyncTarget, recorded: Recorded) -> int:
    """One whole turn of the back-fill, as a worker does it; returns how many rows were stored."""
    rows = 0
    # A turn that reaches the floor ends its lease; the next round is a claim of its own.
    SyncTarget.objects.filter(pk=target.pk).update(
        lease_token=target.lease_token, lease_until=target.lease_until
    )
    with recorded_client(KEY, recorded) as client:
        for step in steps_of(client, target, datetime.now(UTC)):
            _store(target, step, False)
            rows += step.rows
            if step.done:
                break
    return rows


def _rows(instrument: Instrument, columns: tuple[str, ...], days: int) -> list[list[tuple[Any, ...]]]:
    """The same rows as the database holds them, a day in each batch."""
    names = ", ".join(f'"{name}"' for name in columns)
    batches = []
    for number in range(1, days + 1):
        start = LAST - number * DAY
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT {names} FROM "{NoiseMeasurement._meta.db_table}" '
                "WHERE instrument_id = %s AND start_at >= %s AND start_at < %s",
                [
                    instrument.pk,
                    *(connection.ops.adapt_datetimefield_value(at) for at in (start, start + DAY)),
                ],
            )
            batches.append(cursor.fetchall())
    return batches


def _models(other: Instrument, ours: Instrument, days: int) -> list[list[dict[str, Any]]]:
    """The same rows as keyword arguments of the model, for another instrument."""
    batches = []
    for number in range(1, days + 1):
        start = LAST - number * DAY
        stored = NoiseMeasurement.objects.filter(
            instrument=ours, start_at__gte=start, start_at__lt=start + DAY
        )
        batches.append([{**row, "instrument_id": other.pk} for row in stored.values()])
    return batches


def _empty(model: type[SeriesRow] | type[NoiseRollup]) -> None:
    """As the bare side is emptied: dead rows, which PostgreSQL keeps for a while, would be in our way alone."""
    how = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
    with connection.cursor() as cursor:
        cursor.execute(f'{how} "{model._meta.db_table}"')


def _sides(
    target: SyncTarget,
    recorded: Recorded,
    bare: Upsert,
    batches: list[list[tuple[Any, ...]]],
    models: list[list[dict[str, Any]]],
    count: int,
    *,
    fresh: bool,
) -> dict[str, Callable[[], float]]:
    """Rows a second of each side; `fresh` empties its table first."""
    columns = value_columns(NoiseMeasurement)

    def rate(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return count / (time.perf_counter() - began)

    def ours() -> float:
        if fresh:
            _empty(NoiseMeasurement)
            _empty(NoiseRollup)
        return rate(lambda: _back_fill(target, recorded))

    def plain() -> float:
        if fresh:
            bare.empty()
        return rate(lambda: [bare.write(batch) for batch in batches])

    def created() -> float:
        if fresh:
            _empty(NoiseMeasurement)
        return rate(lambda: [create(batch) for batch in models])

    def create(batch: list[dict[str, Any]]) -> None:
        with transaction.atomic():
            NoiseMeasurement.objects.bulk_create(
                [NoiseMeasurement(**row) for row in batch],
                update_conflicts=True,
                unique_fields=["organisation", "instrument", "start_at"],
                update_fields=list(columns),
            )

    return {"ours": ours, "bare": plain, "bulk_create": created}
