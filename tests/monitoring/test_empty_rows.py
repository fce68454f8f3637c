"""A sensor that measures on without any value is told as one that sends nothing, and its last number is not shown."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Instrument
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.mycirrus import Particulates, Ppv, Weather
from instruments.tenancy import organisation_scope
from monitoring.models import InstrumentStatus, Resource
from monitoring.status import State
from monitoring.sync.histories import HISTORIES
from monitoring.sync.ingest import noise_store
from monitoring.tiles import tile_of
from tests.conftest import People, make_instrument

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def unit(people: People) -> Iterator[Instrument]:
    with organisation_scope(people.organisation.pk):
        yield make_instrument(people.organisation)


def noise(unit: Instrument, first: int, *levels: float | None, **values: float | None) -> None:
    """One measurement a minute from ``first`` minutes after noon on."""
    rows = [
        NoiseRow("QT000001", at, at + MINUTE, 60.0, {"LAeq": level, **values}, {}, {})
        for at, level in ((NOON + (first + number) * MINUTE, level) for number, level in enumerate(levels))
    ]
    # As a turn reads it, with its present.
    known = Instrument.objects.select_related("status").get(pk=unit.pk)
    noise_store(instrument=known, rows=rows, now=NOON + 10 * MINUTE)


def present(unit: Instrument) -> InstrumentStatus:
    return InstrumentStatus.objects.get(instrument=unit)


def test_measurements_without_values_are_empty_until_one_has_a_value_again(unit: Instrument) -> None:
    noise(unit, 0, 55.0, 56.0)
    assert present(unit).empty_since_at is None
    noise(unit, 2, 57.0, None, None)
    assert present(unit).empty_since_at == NOON + 3 * MINUTE
    assert present(unit).LAeq is None
    noise(unit, 5, None)
    assert present(unit).empty_since_at == NOON + 3 * MINUTE
    # A gap that is filled later, and a history that comes late, say nothing of the newest.
    noise(unit, 3, 58.0)
    noise(unit, -60, None)
    assert present(unit).empty_since_at == NOON + 3 * MINUTE
    noise(unit, 6, None, 59.0)
    assert present(unit).empty_since_at is None


def test_any_value_is_one(unit: Instrument) -> None:
    noise(unit, 0, None, LCPeak=90.0)
    assert present(unit).empty_since_at is None


def test_what_an_answer_does_not_name_is_not_missing(unit: Instrument) -> None:
    noise(unit, 0, 55.0, LCeq=60.0)
    noise(unit, 0, None)
    assert present(unit).empty_since_at is None
    noise(unit, 0, None, LCeq=None)
    assert present(unit).empty_since_at == NOON


def test_a_correction_of_the_newest_is_heard(unit: Instrument) -> None:
    noise(unit, 0, None)
    assert present(unit).empty_since_at == NOON
    noise(unit, 0, 55.0)
    assert present(unit).empty_since_at is None


def test_weather_that_goes_on_hides_no_dead_microphone(unit: Instrument) -> None:
    noise(unit, 0, None)
    weather = Weather("QT000001", NOON, 3.0, 180.0, 8.0, 1.01, 80.0, 0.0, {"windSpeed": 3.0})
    HISTORIES[Resource.WEATHER].store(unit, [weather], NOON)
    assert present(unit).empty_since_at == NOON


@pytest.mark.parametrize(
    ("kind", "resource", "row"),
    [
        (
            Instrument.Kind.AIR_QUALITY,
            Resource.PARTICULATES,
            lambda at, value: Particulates("QT000001", at, 60.0, value, None, None, None, {"pM1": value}),
        ),
        (
            Instrument.Kind.VIBRATION,
            Resource.PPV,
            lambda at, value: Ppv("QT000001", at, 60.0, value, *[None] * 5, {"vMaxX": value}),
        ),
    ],
)
def test_so_are_samples(unit: Instrument, kind: str, resource: str, row: Any) -> None:
    unit.type = kind
    unit.save(update_fields=["type"])
    store = HISTORIES[resource].store
    store(unit, [row(NOON, 2.0), row(NOON + MINUTE, None)], NOON)
    assert present(unit).empty_since_at == NOON + MINUTE
    store(unit, [row(NOON + 2 * MINUTE, None)], NOON)
    assert present(unit).empty_since_at == NOON + MINUTE
    store(unit, [row(NOON + 3 * MINUTE, 3.0)], NOON)
    assert present(unit).empty_since_at is None


def test_only_a_sensor_that_fails_costs_a_query(unit: Instrument) -> None:
    noise(unit, 0, 55.0)

    def looks(first: int, level: float | None) -> int:
        with CaptureQueriesContext(connection) as queries:
            noise(unit, first, level)
        return sum("IS NOT NULL" in each["sql"] for each in queries)

    assert looks(1, 55.0) == 0
    assert looks(2, None) == 1


@time_machine.travel(NOON + 6 * MINUTE, tick=False)
def test_pages_say_so_and_show_no_level(people: People, unit: Instrument) -> None:
    noise(unit, 0, 61.4, 62.3)
    InstrumentStatus.objects.filter(instrument=unit).update(
        online=True, measuring=True, observed_at=NOON + 5 * MINUTE
    )
    client = people.client(people.bob)
    fleet, page = "/o/harbour/", "/o/harbour/i/QT000001/"
    for address in (fleet, page):
        assert "62.3" in client.get(address).content.decode()
    noise(unit, 2, None, None, None)
    for address in (fleet, f"{fleet}?view=table", page):
        told = client.get(address).content.decode()
        assert "No values" in told
        assert "It sends measurements without values. That began" in told
        assert "62.3" not in told.split("chart")[0]
        assert "4 minutes ago" in told
    tile = tile_of(Instrument.objects.select_related("status").get(), NOON + 6 * MINUTE)
    assert (tile.state, tile.level_end_at) == (State.EMPTY, NOON + 2 * MINUTE)
    # Beside a failed check it is told as well.
    InstrumentStatus.objects.filter(instrument=unit).update(sic_passed=False)
    assert tile_of(Instrument.objects.select_related("status").get(), NOON).hidden == State.EMPTY
