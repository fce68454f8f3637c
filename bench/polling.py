"""T3: the statuses of a fleet over 100 ms of latency, claims and writes included, against a bare thread pool."""

import time
from datetime import UTC, datetime, timedelta

from django.db import connection

from bench.limits.pool import poll
from bench.measure import Row, compared, interleaved
from bench.population import KEY, analysed, fleet_make, key_make, organisation_make
from bench.work import unpaced, work
from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import InstrumentStatus, Resource, SyncTarget
from tests.simulated import SimulatedMyCirrus

LATENCY = 0.1
# A small worker, the one of docker-compose.yml, and a bigger one.
CONCURRENCY = (4, 8, 16)


def measure(*, quick: bool) -> list[Row]:
    # Of fewer calls each thread's first, by which it connects, would be a tenth.
    calls, rounds = 1_000, 1 if quick else 3
    rows = []
    with SimulatedMyCirrus(fleet=calls if quick else 10_000, epoch=None) as mycirrus, unpaced():
        mycirrus.moods(latency=LATENCY)
        serials = [row["serialNumber"] for row in mycirrus.get("/control/instruments")]
        organisation = _watched("polled", mycirrus.base_url, serials[:calls])
        for threads in CONCURRENCY:
            sides = {
                "ours": lambda n=threads: _polled(organisation, calls, n),
                "limit": lambda n=threads: poll(mycirrus.base_url, KEY, serials[:calls], n),
            }
            what = f"{calls:,} statuses, {threads} at once"
            samples = interleaved(sides, rounds, warm_up=0)
            rows.append(compared("T3", what, database=connection.vendor, unit="s", **samples, at_most=1.5))
        if not quick:
            rows.append(_growth(mycirrus.base_url, serials, CONCURRENCY[-1], rows[-1].ours.median))
    return rows


def _growth(base_url: str, serials: list[str], threads: int, seconds_of_1000: float) -> Row:
    """10,000 instruments cost ten times what 1,000 cost."""
    organisation = _watched("large", base_url, serials)
    # The first look at an instrument notes what every rule thinks of it; the thousand have that behind them, too.
    _polled(organisation, len(serials), threads)
    taken = _polled(organisation, len(serials), threads)
    what = f"{len(serials):,} statuses by ten times 1,000, {threads} at once"
    limit = [10 * seconds_of_1000]
    return compared("T3", what, database=connection.vendor, unit="s", ours=[taken], limit=limit, at_most=1.2)


def _watched(slug: str, base_url: str, serials: list[str]) -> Organisation:
    organisation = organisation_make(slug)
    key = key_make(organisation, base_url)
    instruments = fleet_make(organisation, serials)
    with organisation_scope(organisation.pk):
        # Its checks are known: each status names the last ones, and one that is not known here would be asked for.
        ahead = datetime.now(UTC) + timedelta(hours=1)
        InstrumentStatus.objects.update(calibrated_at=ahead, sic_at=ahead)
        SyncTarget.objects.bulk_create(
            [
                SyncTarget(
                    organisation=organisation,
                    api_key=key,
                    instrument=instrument,
                    resource=Resource.STATUS,
                    due_at=datetime.now(UTC),
                )
                for instrument in instruments
            ],
            batch_size=500,
        )
    analysed()
    return organisation


def _polled(organisation: Organisation, calls: int, threads: int) -> float:
    """Seconds until the whole fleet has been polled once."""
    with organisation_scope(organisation.pk):
        SyncTarget.objects.update(due_at=datetime.now(UTC) - timedelta(minutes=1))
    began = time.perf_counter()
    done = work(threads, turns=calls)
    taken = time.perf_counter() - began
    with organisation_scope(organisation.pk):
        # What is polled already must not be due again for another organisation's round.
        SyncTarget.objects.update(due_at=datetime.now(UTC) + timedelta(days=1))
    if done < calls:
        raise RuntimeError(f"{done} of {calls} statuses were polled")
    return taken
