"""T2: a worker's memory while it back-fills a year for 20 instruments; it has to stay flat."""

import time
from datetime import UTC, datetime, timedelta

from django.db import connection

from bench.measure import Row, judged, spread
from bench.population import fleet_make, key_make, organisation_make
from bench.processes import memory_mb
from bench.servers import python
from instruments.tenancy import organisation_scope
from monitoring.models import Lane, NoiseMeasurement, Resource, SyncTarget
from tests.simulated import SimulatedMyCirrus


def measure(*, quick: bool) -> list[Row]:
    instruments, days, at_most = (4, 60, 40) if quick else (20, 365, 900)
    with SimulatedMyCirrus(fleet=60, epoch=None) as mycirrus:
        organisation = organisation_make("harbour")
        key = key_make(organisation, mycirrus.base_url)
        serials = mycirrus.serials()[:instruments]
        made = fleet_make(organisation, serials)
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        with organisation_scope(organisation.pk):
            SyncTarget.objects.bulk_create(
                SyncTarget(
                    organisation=organisation,
                    api_key=key,
                    instrument=instrument,
                    resource=Resource.NOISE,
                    lane=Lane.BACKFILL,
                    due_at=now,
                    watermark_at=midnight,
                    floor_at=midnight - timedelta(days=days),
                )
                for instrument in made
            )
        connection.close()
        sizes, began = [], time.monotonic()
        with python("-m", "bench.back_fill", "4", log="back-fill") as pid:
            while time.monotonic() - began < at_most and not _done(organisation.pk):
                # A sample of the other process each second.
                time.sleep(1)
                sizes.append(memory_mb(pid))
        rows = _stored(organisation.pk)
    # The first tenth is imports and first answers.
    steady = sizes[max(5, len(sizes) // 10) :] or sizes
    growth = max(steady) - steady[0]
    note = f"{rows:,} rows of {len(made)} instruments, {spread(steady).median:.0f} MB"
    what = "memory of a worker in a back-fill: most above its start"
    return [judged("T2", what, database=connection.vendor, unit="MB", ours=[growth], at_most=20, note=note)]


def _done(organisation_id: int) -> bool:
    with organisation_scope(organisation_id):
        done = not SyncTarget.objects.filter(done_at=None).exists()
    connection.close()
    return done


def _stored(organisation_id: int) -> int:
    with organisation_scope(organisation_id):
        return NoiseMeasurement.objects.count()
