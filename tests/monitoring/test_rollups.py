"""Rollups hold exactly what their measurements hold, also after a correction, on either database."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from instruments.models import Instrument, Organisation
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.tenancy import organisation_scope
from monitoring.charts.series import MOST_POINTS, bucket_for, level_series
from monitoring.models import Bucket, Gap, NoiseMeasurement, NoiseRollup, Resource, SyncTarget
from monitoring.sync.held import Reached
from monitoring.sync.histories import HISTORIES, covered
from monitoring.sync.ingest import noise_store
from monitoring.sync.resources import _step
from tests.conftest import make_instrument
from tests.monitoring.truth import rollups_are_exact
from tests.waiting import meanwhile

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def row(minute: int, level: float | None) -> NoiseRow:
    start = DAY + timedelta(minutes=minute)
    values = {} if level is None else {"LAeq": level, "LAFMax": level + 9, "LCPeak": level + 20}
    return NoiseRow("QT000001", start, start + timedelta(minutes=1), 60.0, values, {}, {})


@pytest.fixture
def instrument(organisation: Organisation):  # type: ignore[no-untyped-def]
    made = make_instrument(organisation)
    with organisation_scope(organisation.pk):
        yield made


def test_rollups_are_the_sums_of_their_rows_and_follow_corrections(instrument: Instrument) -> None:
    chance = random.Random(1)
    rows = [row(minute, chance.uniform(35, 95)) for minute in range(3000) if minute % 7]
    rows[5] = row(6, None)
    assert noise_store(instrument=instrument, rows=rows, now=DAY)
    rollups_are_exact(instrument)
    # A corrected row and a late one inside, then the same once more: exact each time.
    for _ in range(2):
        noise_store(instrument=instrument, rows=[row(1000, 110.0), row(1001, 20.0), row(0, 60.0)], now=DAY)
        rollups_are_exact(instrument)


def test_an_energy_mean_over_the_rollups_is_that_of_the_rows(instrument: Instrument) -> None:
    # R1: 59 minutes at 50 dB and one at 90 dB make 72.24 dB in the hour; an arithmetic mean would say 50.67.
    rows = [row(minute, 90.0 if minute == 30 else 50.0) for minute in range(60)]
    noise_store(instrument=instrument, rows=rows, now=DAY)
    hour = NoiseRollup.objects.get(instrument=instrument, bucket_s=3600)
    assert 10 * math.log10(hour.energy / hour.valid_s) == pytest.approx(72.24, abs=0.005)


@pytest.mark.parametrize("days", [1, 7, 30, 90, 365, 730])
def test_each_range_shows_the_same_totals_from_rows_or_rollups(instrument: Instrument, days: int) -> None:
    rows = [row(minute, 50.0 + minute % 40) for minute in range(1440)]
    noise_store(instrument=instrument, rows=rows, now=DAY)
    end = DAY + timedelta(days=1)
    series = level_series(
        instrument=instrument, start=end - timedelta(days=days), end=end, period_s=60.0, now=end
    )
    energy = sum(10 ** ((50.0 + minute % 40) / 10) for minute in range(1440)) / 1440
    assert len(series.LAeq) <= MOST_POINTS + 1
    assert series.LAeq_total == pytest.approx(10 * math.log10(energy), abs=0.005)
    assert series.LAFMax_total == 98.0
    assert series.LCPeak_total == 109.0
    assert series.count == 1440
    assert min(low for low in series.LAeq_min if low is not None) == 50.0
    assert max(high for high in series.LAeq_max if high is not None) == 89.0


def test_what_was_not_measured_is_a_gap_and_lowers_coverage(instrument: Instrument) -> None:
    noise_store(instrument=instrument, rows=[row(minute, 60.0) for minute in range(360)], now=DAY)
    end = DAY + timedelta(hours=24)
    series = level_series(instrument=instrument, start=DAY, end=end, period_s=60.0, now=end)
    assert series.LAeq[:360] == [pytest.approx(60.0)] * 360
    assert series.LAeq[360:] == [None] * 1080
    assert series.coverage_pct == pytest.approx(25.0)
    # Time that has not passed yet is not missing.
    at_noon = level_series(
        instrument=instrument, start=DAY, end=end, period_s=60.0, now=DAY + timedelta(hours=6)
    )
    assert at_noon.coverage_pct == pytest.approx(100.0)


def test_buckets_are_never_shorter_than_a_measurement_nor_too_many() -> None:
    for days in (1 / 24, 1, 7, 30, 365, 730):
        span = timedelta(days=days)
        for period in (60.0, 300.0, 900.0, 3600.0):
            bucket = bucket_for(span, period)
            assert bucket >= period
            assert span.total_seconds() / bucket <= MOST_POINTS


def counted(instrument: Instrument) -> dict[datetime, int]:
    """How many rows each hour's rollup holds."""
    return dict(
        NoiseRollup.objects.filter(instrument=instrument, bucket_s=3600).values_list("start_at", "count")
    )


def test_what_is_read_again_unchanged_is_not_written_again(instrument: Instrument) -> None:
    rows = [row(minute, 50.0 + minute % 30) for minute in range(1440)]
    assert noise_store(instrument=instrument, rows=rows, now=DAY)
    with CaptureQueriesContext(connection) as asked:
        assert not noise_store(instrument=instrument, rows=rows, now=DAY)
    assert [each["sql"] for each in asked if not each["sql"].startswith("SELECT")] == []
    rollups_are_exact(instrument)


def test_only_what_was_corrected_or_came_late_is_written(instrument: Instrument) -> None:
    rows = [row(minute, 50.0) for minute in range(1440) if minute != 700]
    noise_store(instrument=instrument, rows=rows, now=DAY)
    rows[30] = row(30, 99.0)
    rows[31] = row(31, None)
    assert noise_store(instrument=instrument, rows=[*rows, row(700, 66.0)], now=DAY)
    assert NoiseMeasurement.objects.get(instrument=instrument, start_at=rows[30].start_at).LAeq == 99.0
    assert counted(instrument)[DAY + timedelta(hours=11)] == 60
    rollups_are_exact(instrument)


def test_a_row_given_twice_counts_as_its_last(instrument: Instrument) -> None:
    once = [row(minute, 50.0) for minute in range(60)]
    noise_store(instrument=instrument, rows=once, now=DAY)
    # First as it is not, then as it is stored already.
    noise_store(instrument=instrument, rows=[row(5, 90.0), *once], now=DAY)
    assert NoiseMeasurement.objects.get(instrument=instrument, start_at=once[5].start_at).LAeq == 50.0
    noise_store(instrument=instrument, rows=[*once, row(5, 90.0)], now=DAY)
    assert NoiseMeasurement.objects.get(instrument=instrument, start_at=once[5].start_at).LAeq == 90.0
    rollups_are_exact(instrument)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_sums_and_gaps_hold_what_two_lanes_store_at_once(instrument: Instrument) -> None:
    """Each has another half of one hour, and neither sees the other's before it is committed."""
    halves = [[row(minute, 50.0) for minute in range(begin, begin + 30)] for begin in (0, 30)]
    hour = (DAY, DAY + timedelta(hours=1))

    def store(rows: list[NoiseRow]) -> None:
        history = HISTORIES[Resource.NOISE]
        target = SyncTarget(instrument=instrument, resource=Resource.NOISE)
        spans, longest = covered(rows, timedelta(minutes=1), hour[1])
        with transaction.atomic():
            _step(target, history, rows, spans, longest, hour[1], hour, Reached()).store()

    # History, as back-fill and sweep store it: nothing of it is the present, whose row they would wait for.
    noise_store(instrument=instrument, rows=[row(90, 50.0)], now=DAY + timedelta(hours=2))
    with meanwhile(instrument.organisation_id, lambda: store(halves[1])) as begin, transaction.atomic():
        store(halves[0])
        begin()
    assert counted(instrument) == {DAY: 60, hour[1]: 1}
    rollups_are_exact(instrument)
    # The first had noted the second's half as missing, and the second looked at all of the hour again.
    gaps = Gap.objects.filter(instrument=instrument, resource=Resource.NOISE)
    assert gaps.count() == 1
    assert gaps.get().end_at - gaps.get().start_at == timedelta(minutes=30)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_rows_that_another_lane_stores_meanwhile_are_replaced(instrument: Instrument) -> None:
    """Both read that nothing is stored; the second waits for the first, and must not fail."""
    rows = [row(minute, 50.0) for minute in range(60)]

    def second() -> None:
        with transaction.atomic():
            noise_store(instrument=instrument, rows=[row(minute, 70.0) for minute in range(90)], now=DAY)

    with meanwhile(instrument.organisation_id, second) as begin, transaction.atomic():
        noise_store(instrument=instrument, rows=rows, now=DAY)
        begin()
    assert set(NoiseMeasurement.objects.filter(instrument=instrument).values_list("LAeq", flat=True)) == {
        70.0
    }
    rollups_are_exact(instrument)


@pytest.mark.parametrize("years", [-30, 40])
def test_between_rows_of_two_clocks_nothing_is_summed(instrument: Instrument, years: int) -> None:
    """A clock that was set anew: its rows and those of before it come together, decades apart."""
    rows = [row(0, 50.0), row(years * 365 * 1440, 60.0), row(1, 70.0)]
    with CaptureQueriesContext(connection) as asked:
        assert noise_store(instrument=instrument, rows=rows, now=DAY + timedelta(minutes=2))
    sums = [each["sql"] for each in asked if "SUM(" in each["sql"]]
    assert len(sums) == 2 * len(Bucket.values)
    # SQLite is told of each bucket: of as many as there are, and one at most beside.
    assert not [sql for sql in sums if " times: " in sql and int(sql.split(" times: ")[0]) > 2]
    rollups_are_exact(instrument)
