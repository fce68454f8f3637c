"""Values that cannot be true: kept as they came, flagged, shown, named in exports, and forgotten once corrected."""

import csv
import io
import json
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from instruments.models import Instrument
from instruments.mycirrus import NOISE_VALUES, POSSIBLE_DB
from instruments.mycirrus.levels import noise_measurements
from instruments.mycirrus.noise import plain_table
from instruments.tenancy import organisation_scope
from monitoring.alerts.judges.metrics import METRICS
from monitoring.charts.series import level_series
from monitoring.flags import QUANTITIES, flagged
from monitoring.models import ImpossibleRow, NoiseMeasurement
from monitoring.possible import BOUNDS, impossible_of, is_impossible
from monitoring.sync.ingest import noise_store
from monitoring.sync.kept import LIMITED
from tests.conftest import People, make_instrument

START = datetime(2026, 11, 26, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def unit(people: People) -> Instrument:
    return make_instrument(people.organisation)


def comes(unit: Instrument, *rows: dict[str, float], by_column: bool = True) -> None:
    """As MyCirrus answers it, read by one of its two readers."""
    names = dict.fromkeys(name for values in rows for name in values)
    documents = [
        {
            "startTime": f"{START + index * MINUTE:%Y-%m-%dT%H:%M:%SZ}",
            "duration": 60,
            **{name: values.get(name) for name in names},
        }
        for index, values in enumerate(rows)
    ]
    told = plain_table(json.dumps(documents).encode(), unit.serial) if by_column else None
    assert (told is not None) == by_column
    with organisation_scope(unit.organisation_id), transaction.atomic():
        noise_store(
            instrument=unit,
            rows=noise_measurements(documents, unit.serial) if told is None else told,
            now=START + timedelta(hours=1),
        )


@pytest.mark.parametrize(
    ("table", "column", "value", "expected"),
    [
        ("noise", "LCPeak", 200.0, False),
        ("noise", "LCPeak", 200.1, True),
        ("noise", "LAeq", -20.1, True),
        ("noise", "LAeq", float("nan"), True),
        ("noise", "LAeq", None, False),
        ("weather", "wind_speed_ms", -0.1, True),
        ("weather", "wind_speed_ms", 0.0, False),
        ("weather", "humidity_pct", 140.0, True),
        ("weather", "pressure_hpa", 1.012, True),
        ("ppv", "v_max_x_mms", -1.0, True),
        ("ppv", "v_max_x_mms", float("inf"), True),
        ("gas", "co_ppb", -3.0, False),
        ("gas", "voc", -3.0, False),
    ],
)
def test_what_cannot_be(table: str, column: str, value: float | None, expected: bool) -> None:
    assert is_impossible(table, column, value) is expected
    good = 1000.0 if table == "weather" else 1.0
    assert (1 in impossible_of(table, {column: [good, value]})) is expected
    # Where others are missing, too.
    assert (2 in impossible_of(table, {column: [None, good, value]})) is expected


def test_levels_are_held_to_what_their_reader_looks_for() -> None:
    assert BOUNDS["noise"] == dict.fromkeys(NOISE_VALUES, POSSIBLE_DB)


def test_every_bound_is_of_a_column_and_every_limit_has_its_bounds() -> None:
    tables = {**{name: model for model, name in LIMITED.items()}, "noise": NoiseMeasurement}
    assert set(tables) == set(BOUNDS)
    for table, columns in BOUNDS.items():
        assert set(columns) <= {field.name for field in tables[table]._meta.get_fields()}
    assert set(BOUNDS["noise"]) == set(NOISE_VALUES)
    assert {metric.table for metric in METRICS.values()} <= set(BOUNDS)


@pytest.mark.parametrize("by_column", [True, False])
def test_it_is_kept_flagged_and_shown_and_goes_once_it_is_corrected(
    people: People, unit: Instrument, by_column: bool
) -> None:
    comes(
        unit,
        {"LAeq": 55.0, "LCPeak": 90.0},
        {"LAeq": 56.0, "LCPeak": 250.0},
        {"LAeq": -99.0, "LCPeak": 260.0},
        by_column=by_column,
    )
    with organisation_scope(people.organisation.pk):
        kept = NoiseMeasurement.objects.get(instrument=unit, start_at=START + MINUTE)
        assert kept.LCPeak == 250.0
        (found,) = flagged()
        assert (found.count, found.newest_at) == (2, START + 2 * MINUTE)
        assert found.values == {"LAeq": -99.0, "LCPeak": 260.0}
    page = people.client(people.bob).get("/o/harbour/health/").content.decode()
    assert "Values that cannot be true" in page
    assert "LCPeak 260.0 dB" in page
    assert "LAeq −99.0 dB" in page
    assert "LCPeak" not in people.client(people.charlie).get("/o/quarry/health/").content.decode()
    comes(
        unit, {"LAeq": 55.0, "LCPeak": 90.0}, {"LAeq": 56.0, "LCPeak": 95.0}, {"LAeq": 57.0, "LCPeak": 96.0}
    )
    with organisation_scope(people.organisation.pk):
        assert not ImpossibleRow.objects.exists()
    assert "cannot be true" not in people.client(people.bob).get("/o/harbour/health/").content.decode()


def test_every_bound_has_a_name_and_a_unit() -> None:
    levels = BOUNDS["noise"].keys()
    assert {column for columns in BOUNDS.values() for column in columns} - levels == QUANTITIES.keys()


def test_files_name_what_cannot_be_and_keep_it(people: People, unit: Instrument) -> None:
    comes(unit, {"LAeq": 55.0, "LCPeak": 90.0}, {"LAeq": 56.0, "LCPeak": 250.0})
    answer: Any = people.client(people.bob).get(
        "/o/harbour/i/QT000001/levels.csv",
        {"from": "2026-11-26T08:00", "to": "2026-11-26T09:00", "rows": "recorded"},
    )
    content = Context().run(lambda: b"".join(answer.streaming_content)).decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [(row["LCPeak"], row["impossible"], row["validity"]) for row in rows] == [
        ("90.0", "", "valid"),
        ("250.0", '["LCPeak"]', "impossible"),
    ]


@pytest.mark.parametrize("many", [2, 30])
def test_listing_costs_the_same_for_any_fleet(
    people: People, many: int, django_assert_num_queries: Any
) -> None:
    for number in range(many):
        comes(make_instrument(people.organisation, f"QT10{number:04}"), {"LCPeak": 250.0})
    with organisation_scope(people.organisation.pk), django_assert_num_queries(2):
        assert len([each.instrument.name for each in flagged()]) == many


@pytest.mark.parametrize("sentinel", [9999.0, 32767.0, -9999.0, -32768.0, 1e300])
def test_a_sentinel_is_no_reason_to_store_nothing(unit: Instrument, sentinel: float) -> None:
    """Once, and all day long: 10^(L/10) of it is more than a number holds, or less."""
    comes(unit, {"LAeq": 55.0}, {"LAeq": sentinel}, {"LAeq": 56.0})
    day = [{"LAeq": sentinel}] * 1500
    comes(unit, *day)
    with organisation_scope(unit.organisation_id):
        assert NoiseMeasurement.objects.filter(LAeq=sentinel).count() == 1500
        assert ImpossibleRow.objects.filter(instrument=unit, table="noise").count() == 1500
        series = level_series(
            instrument=unit,
            start=START,
            end=START + timedelta(hours=2),
            period_s=60.0,
            now=START + timedelta(days=2),
        )
    assert series.count == 120
    assert series.LAeq_min[0] == sentinel
