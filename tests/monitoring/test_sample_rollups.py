"""Rollups of weather, air, vibration and health: exact at each moment, and there when their rows are gone."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from instruments.models import Instrument, Organisation
from instruments.mycirrus.types import Particulates
from instruments.tenancy import organisation_scope
from monitoring.charts.sample_kinds import KINDS
from monitoring.charts.samples import sample_series
from monitoring.models import Bucket, ParticulateSample, Resource, Retention, SampleRollup
from monitoring.storage.retention import rows_drop
from monitoring.sync.histories import HISTORIES
from tests.conftest import make_instrument
from tests.monitoring.test_samples import recorded
from tests.monitoring.truth import exported, sample_rollups_are_exact

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Across midnight, and across the edge of an hour and a quarter at both ends.
BEGAN = NOON - timedelta(hours=30, minutes=7)


@pytest.fixture
def instrument(organisation: Organisation) -> Iterator[Instrument]:
    with organisation_scope(organisation.pk):
        yield make_instrument(organisation, "AQ000001", type=Instrument.Kind.AIR_QUALITY)


def by_chance(instrument: Instrument, resource: str) -> None:
    """Rows with holes among them, sensors that fail one by one, and some that do not say how long they lasted."""
    kind, chance = KINDS[resource], random.Random(resource)
    columns = {
        name
        for panel in kind.panels.values()
        for each in panel.quantities
        for name in (each.column, each.speed)
        if name
    }
    rows = []
    for number in range(1500):
        if chance.random() < 0.1 or 200 < number < 260:
            continue
        values = {name: chance.choice([None, chance.uniform(-5, 90)]) for name in columns}
        rows.append((BEGAN + number * MINUTE, chance.choice([60.0, 30.0, None]), values))
    recorded(instrument, kind.model, rows)


@pytest.mark.parametrize("resource", list(KINDS))
def test_they_are_the_sums_of_their_rows(instrument: Instrument, resource: str) -> None:
    by_chance(instrument, resource)
    sample_rollups_are_exact(instrument, resource)
    assert SampleRollup.objects.filter(bucket_s=Bucket.DAY).count() == 2


def told(number: int, pm10: float | None, seconds: float = 60.0) -> Particulates:
    at = BEGAN + number * MINUTE
    document = {"startTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "duration": seconds, "pM10": pm10}
    return Particulates("AQ000001", at, seconds, None, None, None, pm10, document)


def test_they_follow_what_is_corrected_and_what_comes_late(instrument: Instrument) -> None:
    store = HISTORIES[Resource.PARTICULATES].store
    rows = [told(number, number % 50) for number in range(1500) if number % 100]
    assert store(instrument, rows, NOON)
    sample_rollups_are_exact(instrument, Resource.PARTICULATES)
    late = [told(100, 900.0), told(101, None), told(1499, 3.0), told(500, 12.0, 30.0)]
    for _ in range(2):
        store(instrument, late, NOON)
        sample_rollups_are_exact(instrument, Resource.PARTICULATES)


def test_a_row_of_another_century_costs_no_century_of_buckets(instrument: Instrument) -> None:
    rows = [told(number, 5.0) for number in range(10)]
    store = HISTORIES[Resource.PARTICULATES].store
    store(instrument, [*rows, told(-30 * 365 * 1440, 7.0)], NOON)
    sample_rollups_are_exact(instrument, Resource.PARTICULATES)
    assert SampleRollup.objects.filter(bucket_s=Bucket.DAY).count() == 2


@pytest.mark.parametrize("span", [timedelta(days=31), timedelta(days=30), timedelta(days=365)])
def test_a_chart_shows_what_its_rows_held_when_they_are_gone(
    instrument: Instrument, organisation: Organisation, span: timedelta
) -> None:
    by_chance(instrument, Resource.PARTICULATES)
    kind = KINDS[Resource.PARTICULATES]
    asked: Any = {"instrument": instrument, "kind": kind, "panel": kind.panels["pm"], "now": NOON}
    before = sample_series(start=NOON - span, end=NOON, **asked)
    Retention.objects.create(organisation=organisation, resource=Resource.PARTICULATES, days=31)
    assert rows_drop(organisation=organisation, now=NOON + 60 * DAY)
    assert not ParticulateSample.objects.exists()
    after = sample_series(start=NOON - span, end=NOON, **asked)
    assert before.count > 1000
    assert (after.lines, after.valid, after.count) == (before.lines, before.valid, before.count)


@pytest.mark.parametrize("resource", list(KINDS))
def test_what_was_stored_before_there_were_any_gets_them(instrument: Instrument, resource: str) -> None:
    """The migration writes what the code does, and nothing twice where it is run again."""
    by_chance(instrument, resource)
    kept = list(SampleRollup.objects.order_by("bucket_s", "start_at").values())
    SampleRollup.objects.all().delete()
    module = import_module("monitoring.migrations.0033_sample_rollups_of_what_is_stored")
    for _ in range(2):
        module.fill(apps, SimpleNamespace(connection=connection))
        assert list(SampleRollup.objects.order_by("bucket_s", "start_at").values()) == kept


def test_they_are_exported(instrument: Instrument) -> None:
    by_chance(instrument, Resource.WEATHER)
    days = exported("weather-days")
    assert [row["duration"] for row in days] == [86400, 86400]
    stored = SampleRollup.objects.filter(bucket_s=Bucket.DAY).order_by("start_at")
    assert [row["sums"] for row in days] == [each.sums for each in stored]
    assert all(row["startTime"].tzinfo for row in days)
