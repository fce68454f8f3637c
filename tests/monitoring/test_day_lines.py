"""The line of the last day: exact values of the right quantity, gaps as gaps, and moved along by time alone."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Instrument, Organisation
from instruments.mycirrus import NoiseMeasurement
from instruments.mycirrus.types import Gases, Particulates, Ppv, Weather
from instruments.tenancy import organisation_scope
from monitoring.cells import spark
from monitoring.day_lines import HEIGHT, QUARTER, QUARTERS, Scale, day_line, day_text
from monitoring.day_quantities import QUANTITIES, day_order
from monitoring.fleet import fleet, fleet_version
from monitoring.models import InstrumentStatus, ParticulateSample, Resource
from monitoring.sync.histories import HISTORIES
from monitoring.sync.ingest import noise_store
from monitoring.sync.kept import started
from monitoring.tiles import READINGS, tile_of
from tests.conftest import People, make_instrument

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=2)
MINUTE = timedelta(minutes=1)
AIR, VIBRATION = Instrument.Kind.AIR_QUALITY, Instrument.Kind.VIBRATION
DECIBELS = QUANTITIES["LAeq"].scale


def _values(values: dict[int, float]) -> dict[datetime, float | None]:
    """These values of the quarter hours before noon."""
    return {NOON - number * QUARTER: value for number, value in values.items()}


def test_the_text_holds_values_and_gaps() -> None:
    text = day_text(_values({0: 55.04, 1: 60.0, 3: 48.26}), NOON + timedelta(minutes=7), 1)
    assert text == "483,,600,550"
    assert day_text(_values({0: 0.0, 1: 1.2345}), NOON, 3) == "1234,0"
    assert day_text({}, NOON, 1) == ""
    assert len(day_text(_values({QUARTERS - 1: 50}), NOON, 1).split(",")) == QUARTERS
    assert day_text(_values({QUARTERS: 50}), NOON, 1) == ""
    # A full day of what nothing can measure fits its column.
    for value in (1e300, -1e300):
        full = day_text(_values(dict.fromkeys(range(QUARTERS), value)), NOON, 3)
        assert len(full) <= InstrumentStatus._meta.get_field("day_values").max_length


def test_the_line_is_broken_where_nothing_was_measured() -> None:
    line = day_line("483,,600,550", NOON, NOON + timedelta(minutes=14), DECIBELS)
    assert line is not None
    assert (line.left, line.lowest, line.highest, line.measured) == (0, 48.3, 60.0, 3)
    assert line.path == "M92 17.7h1M94 13.7h1V15.4h1"


def test_time_moves_the_line_and_takes_what_is_older_than_a_day() -> None:
    text = day_text(_values(dict.fromkeys(range(QUARTERS), 50.0)), NOON, 1)
    for passed, measured in ((1, 95), (95, 1)):
        line = day_line(text, NOON, NOON + passed * QUARTER, DECIBELS)
        assert line is not None
        assert (line.left, line.measured) == (passed, measured)
        assert line.path.startswith(f"M{passed} ")
    assert day_line(text, NOON, NOON + QUARTERS * QUARTER, DECIBELS) is None
    assert day_line(text, None, NOON, DECIBELS) is None


def test_a_scale_of_ratios_gives_each_tenfold_the_same_height() -> None:
    scale = Scale(0.01, 10, places=3, ratios=True)
    assert [round(scale.share(value), 6) for value in (0.01, 0.1, 1, 10)] == [0, 0.333333, 0.666667, 1]
    # Nothing moved at all: at the bottom, and not a gap.
    line = day_line("0,25000", NOON, NOON, scale)
    assert line is not None
    assert line.path == f"M94 {HEIGHT}.0h1V0.0h1"
    assert (line.lowest, line.highest) == (0, 25)


def test_every_quantity_can_be_chosen_and_told() -> None:
    for name, quantity in QUANTITIES.items():
        assert quantity.unit
        assert quantity.words
        assert len(name) <= InstrumentStatus._meta.get_field("day_quantity").max_length
    types = ["", *Instrument.Kind.values, "Rain"]
    assert {name for type_ in types for name in day_order(type_)} == set(QUANTITIES)
    # What a tile shows large is what its line is about, if it can be.
    for type_, readings in READINGS.items():
        name, unit, _places = readings[0]
        assert day_order(type_)[0] == name
        assert QUANTITIES[name].unit == unit


# Stored with the rows.


@pytest.fixture
def scoped(organisation: Organisation) -> Iterator[Organisation]:
    with organisation_scope(organisation.pk):
        yield organisation


def test_it_is_stored_with_the_levels_and_late_ones_are_in_it(scoped: Organisation) -> None:
    instrument = make_instrument(scoped)
    _levels(instrument, NOON, [60.0, 70.0])
    assert _stored(instrument) == ("LAeq", "674", NOON)
    _levels(instrument, NOON - 2 * QUARTER, [50.0])
    assert _stored(instrument) == ("LAeq", "500,,674", NOON)
    # History changes nothing of it.
    _levels(instrument, NOON - timedelta(days=3), [90.0])
    assert _stored(instrument) == ("LAeq", "500,,674", NOON)
    _levels(instrument, NOON + timedelta(days=1), [40.0])
    assert _stored(instrument) == ("LAeq", "400", NOON + timedelta(days=1))


def test_a_mean_is_weighted_by_time_and_late_and_corrected_values_mend_it(scoped: Organisation) -> None:
    unit = make_instrument(scoped, "AQ000001", type=AIR)
    told: Any = {"pm10_ugm3": 900.0, "pm1_ugm3": 1.0}
    pm(unit, NOON, pm2p5_ugm3=10.0, **told)
    pm(unit, NOON + MINUTE, seconds=180, pm2p5_ugm3=20.0, **told)
    assert _stored(unit) == ("PM2.5", "175", NOON)
    # A value that is missing weighs nothing and is no zero.
    pm(unit, NOON + 5 * MINUTE, pm2p5_ugm3=None, **told)
    assert _stored(unit) == ("PM2.5", "175", NOON)
    pm(unit, NOON + 2 * QUARTER, pm2p5_ugm3=3.0)
    pm(unit, NOON - 2 * QUARTER, pm2p5_ugm3=0.0)
    assert _stored(unit) == ("PM2.5", "0,,175,,30", NOON + 2 * QUARTER)
    pm(unit, NOON + MINUTE, seconds=180, pm2p5_ugm3=10.0)
    assert _stored(unit) == ("PM2.5", "0,,100,,30", NOON + 2 * QUARTER)
    pm(unit, NOON - timedelta(days=3), pm2p5_ugm3=500.0)
    assert _stored(unit) == ("PM2.5", "0,,100,,30", NOON + 2 * QUARTER)


def test_stored_again_it_stays_and_no_page_is_told_of_news(scoped: Organisation) -> None:
    unit = make_instrument(scoped, "AQ000001", type=AIR)
    pm(unit, NOON, pm2p5_ugm3=10.0)
    with organisation_scope(scoped.pk):
        before, version = InstrumentStatus.objects.get(), fleet_version(now=NOON)
    pm(unit, NOON, pm2p5_ugm3=10.0)
    # History reaches neither the line nor the reading.
    pm(unit, NOON - timedelta(days=2), pm2p5_ugm3=50.0)
    after = InstrumentStatus.objects.get()
    assert after.changed_at == before.changed_at
    assert _stored(unit) == ("PM2.5", "100", NOON)
    assert str(fleet_version(now=NOON)) == str(version)


def test_a_vibration_is_the_highest_of_its_axes(scoped: Organisation) -> None:
    unit = make_instrument(scoped, "VB000001", type=VIBRATION)
    ppv(unit, NOON, 0.1, 0.25, None)
    ppv(unit, NOON + MINUTE, 2.3456, 0.2, 0.3)
    ppv(unit, NOON + QUARTER, None, None, None)
    ppv(unit, NOON + 2 * QUARTER, 0.004, None, None)
    assert _stored(unit) == ("PPV", "2346,,4", NOON + 2 * QUARTER)


def test_without_fine_particulates_the_next_in_order_tells_the_day(scoped: Organisation) -> None:
    unit = make_instrument(scoped, "AQ000001", type=AIR)
    gas(unit, NOON, no2_ppb=None, o3_ppb=31.0, co_ppb=200.0)
    assert _stored(unit) == ("O3", "310", NOON)
    gas(unit, NOON + QUARTER, no2_ppb=12.0)
    assert _stored(unit) == ("NO2", "120", NOON + QUARTER)
    pm(unit, NOON, pm10_ugm3=22.0)
    # It ends with the newest quarter of an hour of anything.
    assert _stored(unit) == ("PM10", "220,", NOON + QUARTER)
    pm(unit, NOON + QUARTER, pm2p5_ugm3=8.0)
    assert _stored(unit) == ("PM2.5", "80", NOON + QUARTER)
    gas(unit, NOON + 2 * QUARTER, no2_ppb=14.0)
    assert _stored(unit) == ("PM2.5", "80", NOON + QUARTER)
    # Nothing else for a day.
    later = NOON + QUARTER + timedelta(days=1)
    gas(unit, later, no2_ppb=15.0)
    assert _stored(unit) == ("NO2", f"140{',' * 95}150", later)
    # Withdrawn: nothing is left to draw.
    gas(unit, later, no2_ppb=None)
    gas(unit, NOON + 2 * QUARTER, no2_ppb=None)
    assert _stored(unit)[:2] == ("", "")


def test_weather_tells_the_day_of_what_is_no_other_kind(scoped: Organisation) -> None:
    station, noisy = make_instrument(scoped, "WX000001", type="Rain"), make_instrument(scoped)
    for unit in (station, noisy):
        weather(unit, NOON, -3.25)
    assert _stored(station) == ("temperature", "-32", NOON)
    with organisation_scope(scoped.pk):
        assert not InstrumentStatus.objects.filter(instrument=noisy).exists()


def test_values_beyond_all_bounds_neither_stop_the_storing_nor_the_line(scoped: Organisation) -> None:
    unit = make_instrument(scoped, "AQ000001", type=AIR)
    for minute in range(3):
        pm(unit, NOON + minute * MINUTE, pm2p5_ugm3=1.7e308)
    assert _stored(unit) == ("PM2.5", "9999999", NOON)
    with organisation_scope(scoped.pk):
        assert ParticulateSample.objects.filter(pm2p5_ugm3=1.7e308).count() == 3


def test_a_day_equals_pure_python(scoped: Organisation) -> None:
    unit = make_instrument(scoped, "AQ000001", type=AIR)
    values = [None if minute % 97 < 20 else 10 + 9 * math.sin(minute / 50) for minute in range(1440)]
    first = NOON - timedelta(days=1)
    rows = [particulate(unit, first + n * MINUTE, 60, pm2p5_ugm3=value) for n, value in enumerate(values)]
    store(unit, Resource.PARTICULATES, rows)
    quarters = [
        [value for value in values[number * 15 :][:15] if value is not None] for number in range(QUARTERS)
    ]
    told = ["" if not known else str(round(sum(known) / len(known) * 10)) for known in quarters]
    assert _stored(unit) == ("PM2.5", ",".join(told).lstrip(","), NOON - QUARTER)


@pytest.mark.parametrize("minutes", [2, 1440])
def test_keeping_it_costs_one_statement_more_for_any_number_of_rows(
    scoped: Organisation, minutes: int
) -> None:
    unit = make_instrument(scoped, "AQ000001", type=AIR)
    pm(unit, NOON - timedelta(days=1), pm2p5_ugm3=8.0)
    rows = [particulate(unit, NOON - n * MINUTE, 60, pm2p5_ugm3=9.0) for n in range(minutes)]
    with CaptureQueriesContext(connection) as said:
        store(unit, Resource.PARTICULATES, rows)
    assert sum("GROUP BY bucket" in query["sql"] for query in said) == 1


# On a page.


def test_it_is_told_with_quantity_unit_extremes_and_coverage(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        air = make_instrument(people.organisation, "AQ000001", type=AIR)
        pm(air, NOON, pm2p5_ugm3=12.5)
        pm(air, NOON + QUARTER, pm2p5_ugm3=4.0)
        vibrating = make_instrument(people.organisation, "VB000001", type=VIBRATION)
        ppv(vibrating, NOON, 0.04, 2.5, 0.1)
        gassy = make_instrument(people.organisation, "AQ000002", type=AIR)
        gas(gassy, NOON, no2_ppb=21.0)
        shown = {unit.serial: _spark(unit, NOON + QUARTER) for unit in (air, vibrating, gassy)}
    told = {serial: re.search('aria-label="([^"]*)"', markup) for serial, markup in shown.items()}
    assert {serial: found[1] for serial, found in told.items() if found} == {
        "AQ000001": "Last 24 hours: mean PM2.5 of quarter hours from 4.0 to 12.5 µg/m³, 2 of 96 measured",
        "VB000001": "Last 24 hours: highest PPV of quarter hours from 2.500 to 2.500 mm/s, 1 of 96 measured",
        "AQ000002": "Last 24 hours: mean NO₂ of quarter hours from 21.0 to 21.0 ppb, 1 of 96 measured",
    }
    # Only what differs from the value beside it is named.
    assert "NO₂, ppb</span>" in shown["AQ000002"]
    assert "</span>" not in shown["AQ000001"] + shown["VB000001"]


@pytest.mark.parametrize("view", ["tiles", "table"])
def test_a_fleet_s_lines_cost_no_query_each(people: People, view: str) -> None:
    now, costs = datetime.now(UTC), []
    client = people.client(people.bob)
    for wanted in (3, 30):
        with organisation_scope(people.organisation.pk):
            for number in range(Instrument.objects.count(), wanted):
                kind = (AIR, VIBRATION)[number % 2]
                unit = make_instrument(people.organisation, f"XX{number:06d}", type=kind)
                if kind == AIR:
                    pm(unit, now - 5 * MINUTE, pm2p5_ugm3=12.5)
                else:
                    ppv(unit, now - 5 * MINUTE, 0.1, 0.2, 0.3)
        client.get(f"/o/harbour/?view={view}")
        with CaptureQueriesContext(connection) as said:
            page = client.get(f"/o/harbour/?view={view}").content.decode()
        assert page.count('class="spark"') == wanted
        costs.append(len(said))
    assert costs[0] == costs[1]


def _spark(unit: Instrument, now: datetime) -> str:
    return str(spark(tile_of(fleet(now=now).get(pk=unit.pk), now), now))


def store(unit: Instrument, resource: str, rows: Sequence[Any]) -> None:
    # As a turn reads it: what is known of its present is not this test's to keep.
    HISTORIES[resource].store(Instrument.objects.get(pk=unit.pk), rows, max([LATER, *map(started, rows)]))


def _row(kind: Any, unit: Instrument, at: datetime, seconds: float | None, **values: Any) -> Any:
    told: dict[str, Any] = dict.fromkeys(field.name for field in fields(kind))
    times = {"at": at} if "at" in told else {"start_at": at, "duration_s": seconds}
    return kind(**{**told, "serial": unit.serial, "document": {}, **times, **values})


def particulate(unit: Instrument, at: datetime, seconds: float | None, **values: float | None) -> Any:
    return _row(Particulates, unit, at, seconds, **values)


def pm(unit: Instrument, at: datetime, seconds: float | None = 60, **values: float | None) -> None:
    store(unit, Resource.PARTICULATES, [particulate(unit, at, seconds, **values)])


def gas(unit: Instrument, at: datetime, **values: float | None) -> None:
    # As the answer named them: what it does not name stays as it is stored.
    named = {"nO2": values["no2_ppb"]} if "no2_ppb" in values else {}
    store(unit, Resource.GASES, [_row(Gases, unit, at, 60, document=named, **values)])


def ppv(unit: Instrument, at: datetime, x: float | None, y: float | None, z: float | None) -> None:
    axes = {"v_max_x_mms": x, "v_max_y_mms": y, "v_max_z_mms": z}
    store(unit, Resource.PPV, [_row(Ppv, unit, at, 60, **axes)])


def weather(unit: Instrument, at: datetime, temperature: float) -> None:
    store(unit, Resource.WEATHER, [_row(Weather, unit, at, None, temperature_c=temperature)])


def _levels(instrument: Instrument, at: datetime, levels: list[float]) -> None:
    rows = [
        NoiseMeasurement(
            serial=instrument.serial,
            start_at=at + timedelta(minutes=number),
            end_at=None,
            duration_s=60.0,
            values={"LAeq": level},
            labels={},
            document={},
        )
        for number, level in enumerate(levels)
    ]
    noise_store(instrument=instrument, rows=rows, now=max(at, LATER))


def _stored(instrument: Instrument) -> tuple[str, str, datetime | None]:
    present = InstrumentStatus.objects.get(instrument=instrument)
    return present.day_quantity, present.day_values, present.day_at
