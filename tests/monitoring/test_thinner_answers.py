"""MyCirrus leaves out what it cannot give, silently: a thinner answer takes nothing away from what is stored."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from instruments.models import Instrument, Organisation
from instruments.mycirrus import FrequencyMeasurement as FrequencyRow
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.mycirrus import Particulates, Weather
from instruments.mycirrus.levels import noise_measurements
from instruments.mycirrus.noise import plain_table
from instruments.tenancy import organisation_scope
from monitoring.models import (
    FrequencyMeasurement,
    ImpossibleRow,
    InstrumentStatus,
    NoiseMeasurement,
    NoiseRollup,
    ParticulateSample,
    Resource,
    WeatherSample,
)
from monitoring.sync.histories import HISTORIES
from monitoring.sync.ingest import framed, noise_store
from monitoring.sync.upsert import series_write
from tests.conftest import make_instrument

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def instrument(organisation: Organisation) -> Iterator[Instrument]:
    with organisation_scope(organisation.pk):
        yield make_instrument(organisation)


def noise(
    instrument: Instrument, count: int, values: Mapping[str, float], labels: Mapping[str, str] | None = None
) -> bool:
    rows = [
        NoiseRow("QT000001", at, at + MINUTE, 60.0, values, labels or {}, {})
        for at in (NOON + number * MINUTE for number in range(count))
    ]
    return noise_store(instrument=instrument, rows=rows, now=NOON)


def dust(at: datetime, **told: float | None) -> Particulates:
    pm1, pm10 = told.get("pM1"), told.get("pM10")
    return Particulates("QT000001", at, 60.0, pm1, None, None, pm10, told)


# As few rows as are written by one statement, and more.
@pytest.mark.parametrize("count", [3, 45])
def test_levels_that_an_answer_does_not_name_stay_and_so_do_their_rollups(
    instrument: Instrument, count: int
) -> None:
    noise(instrument, count, {"LAeq": 55.0, "LAFMax": 70.0, "LAF90": 41.0}, {"LeqT1Type": "LAeq,5m"})
    assert not noise(instrument, count, {"LAeq": 55.0})
    # A correction takes the place of what it names, and of nothing else.
    assert noise(instrument, count, {"LAeq": 60.0})
    stored = NoiseMeasurement.objects.filter(instrument=instrument)
    assert set(stored.values_list("LAeq", "LAFMax", "LAF90", "duration_s")) == {(60.0, 70.0, 41.0, 60.0)}
    assert [row.extra for row in stored] == [{"LeqT1Type": "LAeq,5m"}] * count
    rollups = NoiseRollup.objects.filter(instrument=instrument)
    assert set(rollups.values_list("LAeq_max", "LAFMax")) == {(60.0, 70.0)}
    present = InstrumentStatus.objects.get(instrument=instrument)
    assert (present.LAeq, present.LAFMax) == (60.0, 70.0)


@pytest.mark.parametrize("count", [3, 45])
def test_what_lies_beside_the_known_values_stays_name_by_name(instrument: Instrument, count: int) -> None:
    def told(values: Mapping[str, float]) -> bool:
        return noise(instrument, count, {"LAeq": 55.0, **values})

    told({"LX1": 1.0, "LX2": 2.0})
    assert not told({"LX1": 1.0})
    assert not told({})
    assert told({"LX2": 3.0})
    stored = NoiseMeasurement.objects.filter(instrument=instrument)
    assert [row.extra for row in stored] == [{"LX1": 1.0, "LX2": 3.0}] * count
    # What other rows of the answer name is said to be missing here.
    first = NoiseRow("QT000001", NOON, NOON + MINUTE, 60.0, {"LAeq": 55.0}, {}, {})
    rest = NoiseRow("QT000001", NOON + MINUTE, NOON + 2 * MINUTE, 60.0, {"LAeq": 55.0, "LX1": 4.0}, {}, {})
    assert noise_store(instrument=instrument, rows=[first, rest], now=NOON)
    assert [row.extra for row in stored.order_by("start_at")[:2]] == [{"LX2": 3.0}, {"LX1": 4.0, "LX2": 3.0}]


# A row in the middle says something else, and one more has come; or the answer says its first row twice.
@pytest.mark.parametrize("count", [3, 45])
@pytest.mark.parametrize("again", [0, 1])
def test_of_an_answer_that_is_mostly_known_only_the_rest_is_written(
    instrument: Instrument, count: int, again: int
) -> None:
    def told(levels: Sequence[float], again: int = 0) -> Sequence[datetime]:
        starts = [NOON + number * MINUTE for number in range(len(levels))]
        columns = framed(instrument, starts, [60.0] * len(starts), [{"LX1": 1.0}] * len(starts))
        columns["LAeq"] = levels
        return series_write(
            NoiseMeasurement, {name: [*column[:again], *column] for name, column in columns.items()}
        )

    def stored() -> list[tuple[float, dict[str, float]]]:
        rows = NoiseMeasurement.objects.filter(instrument=instrument).order_by("start_at")
        return list(rows.values_list("LAeq", "extra"))

    levels = [50.0 + number for number in range(count)]
    assert list(told(levels)) == [NOON + number * MINUTE for number in range(count)]
    assert not told(levels, again)
    assert list(told([*levels, 70.0], again)) == [NOON + count * MINUTE]
    levels[count // 2] = 90.0
    assert list(told([*levels, 70.0, 71.0], again)) == [
        NOON + count // 2 * MINUTE,
        NOON + (count + 1) * MINUTE,
    ]
    assert stored() == [(level, {"LX1": 1.0}) for level in [*levels, 70.0, 71.0]]
    # What is stored beyond the answer stays.
    assert not told(levels[:2], again)
    assert len(stored()) == count + 2


# Read by column, and in a form that is read tolerantly.
@pytest.mark.parametrize("zulu", ["Z", ".0000000Z"])
def test_a_level_that_is_said_to_be_missing_is_taken_back(instrument: Instrument, zulu: str) -> None:
    def told(**levels: float | None) -> bool:
        row = {"startTime": f"2026-11-22T12:00:00{zulu}", "duration": 60, **levels}
        table = plain_table(orjson.dumps([row]), "QT000001")
        assert (table is None) == (zulu != "Z")
        return noise_store(
            instrument=instrument, rows=table or noise_measurements([row], "QT000001"), now=NOON
        )

    told(LAeq=60.0, LAFMax=75.0)
    assert told(LAeq=60.0, LAFMax=None)
    assert NoiseMeasurement.objects.get(instrument=instrument).LAFMax is None
    assert NoiseRollup.objects.filter(instrument=instrument).exclude(LAFMax=None).count() == 0


def test_new_rows_of_a_thinner_answer_have_gaps_there(instrument: Instrument) -> None:
    noise(instrument, 2, {"LAeq": 55.0, "LAFMax": 70.0})
    noise(instrument, 3, {"LAeq": 55.0})
    stored = NoiseMeasurement.objects.filter(instrument=instrument).order_by("start_at")
    assert list(stored.values_list("LAFMax", flat=True)) == [70.0, 70.0, None]
    # What is shown is the newest row's.
    assert InstrumentStatus.objects.get(instrument=instrument).LAFMax is None


def test_what_cannot_be_true_stays_flagged_as_long_as_it_is_stored(instrument: Instrument) -> None:
    noise(instrument, 2, {"LAeq": 55.0, "LAFMax": 300.0})
    noise(instrument, 2, {"LAeq": 290.0})
    flags = ImpossibleRow.objects.filter(instrument=instrument)
    assert [row.values for row in flags] == [{"LAeq": 290.0, "LAFMax": 300.0}] * 2
    noise(instrument, 2, {"LAeq": 55.0})
    assert [row.values for row in flags.all()] == [{"LAFMax": 300.0}] * 2
    noise(instrument, 2, {"LAeq": 56.0, "LAFMax": 70.0})
    assert not flags.all().exists()


def test_samples_keep_what_an_answer_does_not_name(instrument: Instrument) -> None:
    store = HISTORIES[Resource.PARTICULATES].store
    assert store(instrument, [dust(NOON, pM10=20.0, pM1=5.0)], NOON)
    assert not store(instrument, [dust(NOON, pM10=20.0)], NOON)
    assert store(instrument, [dust(NOON, pM10=21.0), dust(NOON + MINUTE, pM10=22.0)], NOON)
    stored = ParticulateSample.objects.filter(instrument=instrument).order_by("start_at")
    assert list(stored.values_list("pm10_ugm3", "pm1_ugm3")) == [(21.0, 5.0), (22.0, None)]


def test_a_thinner_answer_about_the_newest_sample_leaves_the_present_reading(instrument: Instrument) -> None:
    store = HISTORIES[Resource.PARTICULATES].store
    store(instrument, [dust(NOON, pM10=20.0, pM1=5.0)], NOON)
    store(instrument, [dust(NOON, pM1=6.0)], NOON)
    assert InstrumentStatus.objects.get(instrument=instrument).latest == {"PM2.5": None, "PM10": 20.0}
    store(instrument, [dust(NOON + MINUTE, pM1=6.0)], NOON)
    assert InstrumentStatus.objects.get(instrument=instrument).latest == {"PM2.5": None, "PM10": None}


@pytest.mark.parametrize("count", [2, 45])
def test_rows_that_say_only_when_they_began_are_stored_and_take_nothing(
    instrument: Instrument, count: int
) -> None:
    store = HISTORIES[Resource.WEATHER].store
    empty = [
        Weather("QT000001", NOON + n * MINUTE, None, None, None, None, None, None, {}) for n in range(count)
    ]
    assert store(instrument, empty, NOON)
    assert not store(instrument, empty, NOON)
    stored = WeatherSample.objects.filter(instrument=instrument)
    assert stored.count() == count
    stored.update(temperature_c=4.0)
    assert not store(instrument, empty, NOON)
    assert set(stored.values_list("temperature_c", flat=True)) == {4.0}


@pytest.mark.parametrize("others", [0, 1])
def test_a_null_that_is_said_corrects(instrument: Instrument, others: int) -> None:
    store = HISTORIES[Resource.PARTICULATES].store
    store(instrument, [dust(NOON, pM10=20.0, pM1=5.0)], NOON)
    more = [dust(NOON + MINUTE, pM10=30.0, pM1=5.0)] * others
    assert store(instrument, [dust(NOON, pM10=None, pM1=5.0), *more], NOON)
    assert ParticulateSample.objects.get(instrument=instrument, start_at=NOON).pm10_ugm3 is None


def test_what_is_stored_under_another_unit_is_no_exception(instrument: Instrument) -> None:
    store = HISTORIES[Resource.WEATHER].store

    def weather(bar: float | None, document: dict[str, float | None]) -> list[Weather]:
        return [Weather("QT000001", NOON, 3.0, None, None, bar, None, None, {"windSpeed": 3.0, **document})]

    def pressure() -> float | None:
        return WeatherSample.objects.get(instrument=instrument).pressure_hpa

    store(instrument, weather(1.0, {"Pressure": 1.0}), NOON)
    store(instrument, weather(None, {}), NOON)
    assert pressure() == 1000.0
    store(instrument, weather(None, {"pressure": None}), NOON)
    assert pressure() is None


def test_bands_that_an_answer_does_not_name_stay(instrument: Instrument) -> None:
    store = HISTORIES[Resource.OCTAVE].store

    def octave(**bands: float) -> list[FrequencyRow]:
        return [FrequencyRow("QT000001", NOON, None, 60.0, "Leq", bands, {})]

    store(instrument, octave(**{"1KHz": 50.0, "2KHz": 40.0}), NOON)
    assert not store(instrument, octave(**{"1KHz": 50.0}), NOON)
    assert store(instrument, octave(**{"2KHz": 41.0}), NOON)
    assert FrequencyMeasurement.objects.get(instrument=instrument).levels == {"1KHz": 50.0, "2KHz": 41.0}


def test_a_spectrum_without_bands_takes_none_away(instrument: Instrument) -> None:
    store = HISTORIES[Resource.OCTAVE].store

    def octave(bands: Mapping[str, float], number: int = 0) -> FrequencyRow:
        at = NOON + number * MINUTE
        return FrequencyRow("QT000001", at, at + MINUTE, 60.0, "Octave", bands, {})

    store(instrument, [octave({"1KHz": 51.0}), octave({"1KHz": 52.0}, 1)], NOON)
    store(instrument, [octave({}), octave({"1KHz": 53.0}, 1), octave({}, 2)], NOON)
    stored = FrequencyMeasurement.objects.filter(instrument=instrument).order_by("start_at")
    assert [row.levels for row in stored] == [{"1KHz": 51.0}, {"1KHz": 53.0}, {}]
