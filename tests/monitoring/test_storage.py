"""Where rows lie and how long: month partitions on PostgreSQL, retention in chunks, rollups kept."""

import itertools
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from instruments.models import Instrument, Organisation
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.tenancy import organisation_scope
from monitoring.models import (
    ImpossibleRow,
    NoiseMeasurement,
    NoiseRollup,
    Resource,
    Retention,
    WeatherSample,
)
from monitoring.possible import BOUNDS
from monitoring.storage import partitions as storing
from monitoring.storage import retention
from monitoring.storage.partitions import (
    TableBusy,
    months,
    partition_of,
    partitions,
    partitions_ensure,
    series_tables,
)
from monitoring.storage.retention import FLAGGED, partitions_drop, rows_drop
from monitoring.storage.tasks import housekeeping
from monitoring.sync.ingest import noise_store
from tests.conftest import People, make_instrument, make_organisation
from tests.waiting import meanwhile

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOISE = NoiseMeasurement._meta.db_table
SEPTEMBER, DEFAULT = f"{NOISE}_2026_09", f"{NOISE}_default"
needs_partitions = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="only PostgreSQL has partitions"
)


def store(organisation: Organisation, *days_ago: float) -> None:
    with organisation_scope(organisation.pk):
        instrument = make_instrument(organisation, f"QT{organisation.pk:06}")
        rows = [
            NoiseRow(
                instrument.serial,
                NOW - timedelta(days=days),
                NOW - timedelta(days=days) + timedelta(minutes=1),
                60.0,
                {"LAeq": 60.0},
                {},
                {},
            )
            for days in days_ago
        ]
        noise_store(instrument=instrument, rows=rows, now=NOW)


def ages(organisation: Organisation) -> list[int]:
    with organisation_scope(organisation.pk):
        return sorted((NOW - at).days for at in NoiseMeasurement.objects.values_list("start_at", flat=True))


def test_months_are_whole_and_without_a_hole() -> None:
    found = list(months(datetime(2025, 11, 30, 23, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)))
    assert [start.month for start, _ in found] == [11, 12, 1, 2]
    assert all(end == following for (_, end), (following, _) in itertools.pairwise(found))


def test_old_rows_go_in_chunks_and_only_where_a_rule_says_so(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    for organisation in (people.organisation, people.other):
        store(organisation, 0, 10, 39, 41, 42, 43, 44, 45, 46, 100)
    with organisation_scope(people.organisation.pk):
        Retention.objects.create(resource=Resource.NOISE, days=40)
        rollups = NoiseRollup.objects.count()
    assert rows_drop(organisation=people.organisation, now=NOW) == 7
    assert rows_drop(organisation=people.other, now=NOW) == 0
    assert ages(people.organisation) == [0, 10, 39]
    assert len(ages(people.other)) == 10
    with organisation_scope(people.organisation.pk):
        assert NoiseRollup.objects.count() == rollups
    # Again: nothing is left to do.
    assert rows_drop(organisation=people.organisation, now=NOW) == 0


def test_no_chunk_reads_what_the_others_delete(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at all that is old before each would make twice the rows four times the work."""
    monkeypatch.setattr(retention, "CHUNK", 3)
    store(people.organisation, *range(50, 60))
    with organisation_scope(people.organisation.pk):
        Retention.objects.create(resource=Resource.NOISE, days=40)
    with CaptureQueriesContext(connection) as queries:
        assert rows_drop(organisation=people.organisation, now=NOW) == 10
    table = NoiseMeasurement._meta.db_table
    told = [each["sql"] for each in queries if table in each["sql"]]
    looks = [each for each in told if each.startswith("SELECT")]
    # One tells whether there is anything at all: of most instruments there is not.
    assert (len(looks), len(told)) == (5, 9)
    # By the one index, in its order, from where the last one ended.
    assert all("LIMIT 1 OFFSET 3" in each and "GROUP BY" not in each for each in looks[1:])
    assert all('"start_at" >= ' in each for each in told[3:])


def test_no_rule_leaves_the_others_nothing(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    store(people.organisation, *range(50, 56))
    with organisation_scope(people.organisation.pk):
        unit = Instrument.objects.get()
        for days in range(50, 56):
            WeatherSample.objects.create(
                organisation=people.organisation, instrument=unit, start_at=NOW - timedelta(days=days)
            )
        for resource in (Resource.NOISE, Resource.WEATHER):
            Retention.objects.create(resource=resource, days=40)
    assert rows_drop(organisation=people.organisation, now=NOW, most=4) == 8
    with organisation_scope(people.organisation.pk):
        assert (NoiseMeasurement.objects.count(), WeatherSample.objects.count()) == (2, 2)


def test_flags_go_with_their_rows(people: People) -> None:
    store(people.organisation, 10, 50)
    store(people.other, 50)
    for organisation in (people.organisation, people.other):
        with organisation_scope(organisation.pk):
            for row in NoiseMeasurement.objects.all():
                ImpossibleRow.objects.create(
                    organisation=organisation,
                    instrument_id=row.instrument_id,
                    table="noise",
                    start_at=row.start_at,
                    values={"LAeq": 250.0},
                )
    with organisation_scope(people.organisation.pk):
        Retention.objects.create(resource=Resource.NOISE, days=40)
    rows_drop(organisation=people.organisation, now=NOW)
    with organisation_scope(people.organisation.pk):
        assert ImpossibleRow.objects.get().start_at == NOW - timedelta(days=10)
    with organisation_scope(people.other.pk):
        assert ImpossibleRow.objects.count() == 1
    assert set(FLAGGED.values()) == set(BOUNDS)


def test_a_rule_shorter_than_the_sweep_looks_back_is_refused(people: People) -> None:
    with organisation_scope(people.organisation.pk), pytest.raises(IntegrityError), transaction.atomic():
        Retention.objects.create(resource=Resource.NOISE, days=2)


@needs_partitions
def test_every_series_has_its_months_and_a_place_for_the_rest(people: People, settings: object) -> None:
    settings.HISTORY_DAYS = 62  # type: ignore[attr-defined]
    partitions_ensure(now=NOW)
    for table in series_tables():
        starts = {partition.start_at for partition in partitions(table)}
        assert {start for start, _ in months(NOW - timedelta(days=62), NOW + timedelta(days=60))} <= starts
    assert partitions_ensure(now=NOW) == []
    # Far outside of every month, and still stored and found.
    store(people.organisation, 0, 4000)
    assert ages(people.organisation) == [0, 4000]
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{NOISE}_default"')  # noqa: S608
        assert cursor.fetchone() == (1,)


@needs_partitions
def test_a_month_goes_whole_once_nobody_keeps_it(people: People, settings: object) -> None:
    settings.HISTORY_DAYS = 200  # type: ignore[attr-defined]
    partitions_ensure(now=NOW)
    for organisation in (people.organisation, people.other):
        store(organisation, 0, 150)
    with organisation_scope(people.organisation.pk):
        Retention.objects.create(resource=Resource.NOISE, days=40)
    assert partitions_drop(now=NOW) == []
    with organisation_scope(people.other.pk):
        Retention.objects.create(resource=Resource.NOISE, days=90)
    # As after a commit: within the test's one transaction the foreign keys were not checked yet.
    connection.check_constraints()
    dropped = partitions_drop(now=NOW)
    assert dropped
    assert all(name.startswith(NOISE) for name in dropped)
    assert ages(people.organisation) == ages(people.other) == [0]
    # September ended 52 days ago: the one that keeps 90 days still has it.
    assert f"{NOISE}_2026_09" not in dropped


@needs_partitions
def test_a_month_that_nobody_keeps_is_not_made_to_be_dropped_again(people: People, settings: Any) -> None:
    settings.HISTORY_DAYS = 200
    for organisation in (people.organisation, people.other):
        with organisation_scope(organisation.pk):
            Retention.objects.create(resource=Resource.NOISE, days=40)
    housekeeping()
    with CaptureQueriesContext(connection) as said:
        housekeeping()
    assert [each["sql"] for each in said if each["sql"].startswith(("CREATE", "DROP"))] == []
    oldest = min(partition.start_at for partition in partitions(NOISE))
    assert timedelta(days=40) < datetime.now(UTC) - oldest < timedelta(days=72)
    # Of the others all that is fetched has a place.
    others = min(partition.start_at for partition in partitions(WeatherSample._meta.db_table))
    assert datetime.now(UTC) - others >= timedelta(days=200)


@needs_partitions
@pytest.mark.django_db(transaction=True)
def test_a_dump_holds_up_the_months_and_no_reader(settings: Any) -> None:
    """A change that waits for the dump would have everybody wait who comes to read after it."""
    settings.HISTORY_DAYS = 200
    now = datetime.now(UTC)
    partitions_ensure(now=now)
    last = partitions(NOISE)[-1].name
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE "{last}"')
    owner = make_organisation("harbour")
    with organisation_scope(owner.pk):
        Retention.objects.create(resource=Resource.NOISE, days=31)
    waited = [0.0]
    dumping, done = threading.Event(), threading.Event()

    def dump() -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(f'LOCK TABLE "{NOISE}" IN ACCESS SHARE MODE')
                dumping.set()
                done.wait(60)
        finally:
            connection.close()

    def read() -> None:
        try:
            while not done.is_set():
                began = time.monotonic()
                with connection.cursor() as cursor:
                    cursor.execute(f'SELECT count(*) FROM "{NOISE}"')  # noqa: S608
                waited.append(time.monotonic() - began)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for work in (dump, read)]
    for thread in threads:
        thread.start()
    try:
        assert dumping.wait(30)
        assert partitions_ensure(now=now) == []
        assert partitions_drop(now=now) == []
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    # Two seconds for each change, on a busy machine.
    assert max(waited) < 10
    assert partitions_ensure(now=now) == [last]
    assert partitions_drop(now=now)


@pytest.fixture
def astray(people: People, settings: Any) -> list[datetime]:
    """Rows of a September without a partition, and one of long ago."""
    settings.HISTORY_DAYS = 200
    partitions_ensure(now=NOW)
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE "{SEPTEMBER}"')
    store(people.organisation, 0, 4000, *range(60, 70))
    store(people.other, 61)
    return lying(DEFAULT)


def lying(table: str) -> list[datetime]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT start_at FROM "{table}" ORDER BY start_at')  # noqa: S608
        return [at for (at,) in cursor.fetchall()]


def checks_of(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass",
            [f'"{table}"'],
        )
        return sorted(told for (told,) in cursor.fetchall())


@needs_partitions
@pytest.mark.django_db(transaction=True)
def test_a_month_is_made_of_its_rows_in_the_default_partition(people: People, astray: list[datetime]) -> None:
    assert len(astray) == 12
    assert partitions_ensure(now=NOW) == [SEPTEMBER]
    assert lying(DEFAULT) == astray[:1]
    assert lying(SEPTEMBER) == astray[1:]
    assert ages(people.organisation) == [0, *range(60, 70), 4000]
    assert ages(people.other) == [61]
    # It is one like the others: by its keys a row is found again, and its instrument is of its organisation.
    assert checks_of(SEPTEMBER) == checks_of(f"{NOISE}_2026_10")
    with organisation_scope(people.organisation.pk):
        unit = Instrument.objects.get()
        row = NoiseMeasurement(organisation=people.organisation, instrument=unit, start_at=astray[5])
        with pytest.raises(IntegrityError):
            row.save(force_insert=True)
    # A second time there is nothing to do; and it goes whole, as they do.
    assert partitions_ensure(now=NOW) == []
    for organisation in (people.organisation, people.other):
        with organisation_scope(organisation.pk):
            Retention.objects.create(resource=Resource.NOISE, days=40)
    assert SEPTEMBER in partitions_drop(now=NOW)


@needs_partitions
@pytest.mark.django_db(transaction=True)
def test_what_is_written_while_a_month_is_made_is_not_lost(people: People, astray: list[datetime]) -> None:
    stop, written = threading.Event(), list[datetime]()

    def write() -> None:
        try:
            with organisation_scope(people.organisation.pk):
                unit = Instrument.objects.get()
                for number in itertools.count():
                    at = astray[1] + timedelta(hours=1, seconds=number)
                    # Whoever waits for the lock finds the month elsewhere, and comes again.
                    with suppress(DatabaseError):
                        NoiseMeasurement.objects.create(
                            organisation=people.organisation, instrument=unit, start_at=at
                        )
                        written.append(at)
                    if stop.is_set():
                        return
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not written:
            time.sleep(0.01)
        # Who writes holds it for a moment only: one of a few tries comes through.
        made = next((made for _ in range(20) if (made := partitions_ensure(now=NOW))), [])
    finally:
        stop.set()
        writer.join(60)
    assert made == [SEPTEMBER]
    assert lying(DEFAULT) == astray[:1]
    assert lying(SEPTEMBER) == sorted([*astray[1:], *written])


@needs_partitions
@pytest.mark.django_db(transaction=True)
def test_what_comes_between_moving_and_holding_goes_along(people: People, astray: list[datetime]) -> None:
    late = astray[1] + timedelta(hours=1)

    def write() -> None:
        try:
            with organisation_scope(people.organisation.pk):
                unit = Instrument.objects.get()
                NoiseMeasurement.objects.create(
                    organisation=people.organisation, instrument=unit, start_at=late
                )
        finally:
            connection.close()

    def between(execute: Any, sql: str, *more: Any) -> Any:
        if sql.startswith("LOCK TABLE"):
            writer = threading.Thread(target=write)
            writer.start()
            writer.join(30)
        return execute(sql, *more)

    with connection.execute_wrapper(between):
        assert partitions_ensure(now=NOW) == [SEPTEMBER]
    assert lying(SEPTEMBER) == sorted([*astray[1:], late])


@needs_partitions
@pytest.mark.django_db(transaction=True)
def test_who_corrects_a_row_of_a_month_that_moves_is_not_ended_by_a_deadlock(
    people: People, astray: list[datetime]
) -> None:
    def correct() -> None:
        with transaction.atomic():
            assert NoiseMeasurement.objects.filter(start_at=astray[1]).update(LAeq=70.0) == 1

    asked: list[str] = []
    with meanwhile(people.organisation.pk, correct) as begin:

        def once_moved(execute: Any, sql: str, *more: Any) -> Any:
            told = execute(sql, *more)
            asked.append(sql)
            if sql.startswith("WITH moved"):
                begin()
            return told

        with connection.execute_wrapper(once_moved):
            assert partitions_ensure(now=NOW) == []
    # They would wait for each other.
    assert not any(sql.startswith("LOCK TABLE") for sql in asked)
    assert lying(DEFAULT) == astray
    assert partitions_ensure(now=NOW) == [SEPTEMBER]
    with organisation_scope(people.organisation.pk):
        assert NoiseMeasurement.objects.get(start_at=astray[1]).LAeq == 70.0


@needs_partitions
@pytest.mark.django_db(transaction=True)
def test_a_month_that_cannot_be_made_while_others_wait_stays_where_it_is(
    astray: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "HOLD", "50ms")
    moved = 0

    def slowly(execute: Any, sql: str, *more: Any) -> Any:
        nonlocal moved
        if sql.startswith("WITH moved"):
            moved += 1
            if moved % 2 == 0:
                # What was written meanwhile is much.
                execute("SELECT pg_sleep(0.5)", None, *more[1:])
        return execute(sql, *more)

    with connection.execute_wrapper(slowly):
        assert partitions_ensure(now=NOW) == []
        assert moved == 2
        assert lying(DEFAULT) == astray
        # As `migrate` does, for which everybody waits.
        assert partitions_ensure(now=NOW, patient=True) == [SEPTEMBER]
    assert moved == 4
    assert lying(SEPTEMBER) == astray[1:]


@needs_partitions
@pytest.mark.django_db(transaction=True)
def test_one_that_is_killed_in_the_middle_leaves_every_row(
    astray: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "LOCK_WAIT", "60s")
    ended: list[BaseException] = []
    month = partition_of(NOISE, *next(months(astray[1], astray[1])))

    def move() -> None:
        try:
            storing._month_move(NOISE, month, "default", patient=False)
        except BaseException as error:
            ended.append(error)
        finally:
            connection.close()

    mover = threading.Thread(target=move)
    with transaction.atomic(), connection.cursor() as cursor:
        # It comes as far as this row.
        cursor.execute(f'SELECT 1 FROM "{DEFAULT}" WHERE start_at = %s FOR UPDATE', [astray[-1]])  # noqa: S608
        mover.start()
        killed, deadline = False, time.monotonic() + 30
        while not killed and time.monotonic() < deadline:
            # Within a transaction it is looked at once.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'WITH moved%%'"
            )
            killed = cursor.fetchone() is not None
    mover.join(60)
    assert killed
    assert len(ended) == 1
    assert not isinstance(ended[0], TableBusy)
    assert lying(DEFAULT) == astray
    assert partitions_ensure(now=NOW) == [SEPTEMBER]
    assert lying(SEPTEMBER) == astray[1:]
