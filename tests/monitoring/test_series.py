"""Level series read from the database: energy means that equal pure Python's, gaps as gaps, figures Plotly takes."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import example, given
from hypothesis import strategies as st
from plotly import graph_objects as go

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.acoustics.levels import energy_mean
from monitoring.charts.figures import level_figure, rounded
from monitoring.charts.marks import Mark
from monitoring.charts.series import BUCKETS, MOST_POINTS, bucket_for, epoch_sql, level_series
from monitoring.models import NoiseMeasurement
from monitoring.sync.rollups import noise_rollups_refresh
from monitoring.templatetags.levels import written
from tests.conftest import People, make_instrument

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

Level = tuple[datetime, float, float | None]


@pytest.fixture
def instrument(organisation: Organisation) -> Iterator[Instrument]:
    with organisation_scope(organisation.pk):
        yield make_instrument(organisation)


def measured(instrument: Instrument, levels: list[Level]) -> None:
    """Rows of (start, seconds, LAeq); their maximum is 10 dB and their peak 25 dB above it."""
    NoiseMeasurement.objects.bulk_create(
        NoiseMeasurement(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            start_at=at,
            duration_s=seconds,
            LAeq=level,
            LAFMax=None if level is None else level + 10,
            LCPeak=None if level is None else level + 25,
        )
        for at, seconds, level in levels
    )
    starts = [at for at, *_ in levels]
    noise_rollups_refresh(instrument=instrument, first=min(starts), last=max(starts))


def minutes(count: int, start: datetime = NOON - HOUR) -> list[Level]:
    return [(start + number * MINUTE, 60.0, 45 + 30 * math.sin(number) ** 2) for number in range(count)]


def series_of(instrument: Instrument, start: datetime, end: datetime, **more: Any) -> Any:
    return level_series(instrument=instrument, start=start, end=end, **{"period_s": 60.0, "now": end, **more})


@pytest.mark.parametrize("span", [timedelta(hours=hours) for hours in (2, 30, 96, 24 * 30)])
def test_each_bucket_equals_pure_python(instrument: Instrument, span: timedelta) -> None:
    levels = minutes(3 * 60, NOON - 3 * HOUR)
    levels += [(NOON - 4 * HOUR + number * 300 * timedelta(seconds=1), 300.0, 61.5) for number in range(12)]
    measured(instrument, levels)
    series = series_of(instrument, NOON - span, NOON)
    by_bucket: dict[int, list[Level]] = {}
    for level in levels:
        if NOON - span <= level[0] < NOON:
            place = int((level[0] - series.start_at).total_seconds() // series.bucket_s)
            by_bucket.setdefault(place, []).append(level)
    for place, value in enumerate(series.LAeq):
        within = by_bucket.get(place, [])
        mean = energy_mean((level, seconds) for _, seconds, level in within)
        assert value == (None if mean is None else pytest.approx(mean, abs=1e-6))
        most = max((level for *_, level in within if level is not None), default=None)
        assert series.LAFMax[place] == (None if most is None else pytest.approx(most + 10))
        assert series.LCPeak[place] == (None if most is None else pytest.approx(most + 25))
    within_all = [level for rows in by_bucket.values() for level in rows]
    assert series.LAeq_total == pytest.approx(energy_mean((level, s) for _, s, level in within_all), abs=1e-6)
    assert series.LAFMax_total == pytest.approx(max(level or 0 for *_, level in within_all) + 10)
    assert series.count == len(within_all)


def test_the_worked_example_of_laeq_through_the_database(instrument: Instrument) -> None:
    """R1's published answer: 60 dB for 30 min, 90 for 15 and 75 for 30 are 83.28."""
    start = NOON - 2 * HOUR
    measured(
        instrument,
        [(start, 1800, 60), (start + 30 * MINUTE, 900, 90), (start + 45 * MINUTE, 1800, 75)],
    )
    series = series_of(instrument, start, NOON, period_s=900.0)
    assert round(series.LAeq_total, 2) == 83.28


def test_ten_minutes_each_are_drawn_as_such(instrument: Instrument) -> None:
    start = NOON - 6 * HOUR
    measured(instrument, [(start + 10 * number * MINUTE, 600, 60) for number in range(36)])
    series = series_of(instrument, start, NOON, period_s=600.0)
    assert (series.bucket_s, series.valid) == (600, [600.0] * 36)
    # Of minutes a week's rows would be too many.
    assert bucket_for(timedelta(days=7), 60) == 900


def test_a_gap_is_none_and_no_zero(instrument: Instrument) -> None:
    rows = minutes(60)
    measured(instrument, rows[:20] + rows[40:])
    series = series_of(instrument, NOON - HOUR, NOON)
    assert series.bucket_s == 60
    assert series.LAeq[20:40] == [None] * 20
    assert series.LAFMax[20:40] == [None] * 20
    assert None not in series.LAeq[:20] + series.LAeq[40:60]


def test_a_row_without_a_level_is_neither_zero_nor_time_that_was_measured(instrument: Instrument) -> None:
    start = NOON - 2 * MINUTE
    measured(instrument, [(start, 60, 70), (start + MINUTE, 60, None)])
    series = series_of(instrument, start, NOON)
    assert series.LAeq[:2] == [pytest.approx(70), None]
    assert series.LAeq_total == pytest.approx(70)
    assert series.valid_s == 60
    assert series.coverage_pct == 50


def test_coverage_counts_elapsed_time_only(instrument: Instrument) -> None:
    measured(instrument, minutes(30))
    # Half an hour was measured in the hour that has passed of the two that are shown.
    series = level_series(instrument=instrument, start=NOON - HOUR, end=NOON + HOUR, period_s=60.0, now=NOON)
    assert series.coverage_pct == 50
    assert series.valid_s == 1800


def test_nothing_measured_has_no_level_and_no_coverage(instrument: Instrument) -> None:
    series = series_of(instrument, NOON - HOUR, NOON, period_s=None)
    assert set(series.LAeq) == {None}
    assert (series.LAeq_total, series.LAFMax_total, series.coverage_pct, series.count) == (None, None, 0, 0)


def test_the_range_holds_its_start_and_not_its_end(instrument: Instrument) -> None:
    measured(instrument, [(NOON - HOUR - MINUTE, 60, 99), (NOON - HOUR, 60, 50), (NOON, 60, 99)])
    series = series_of(instrument, NOON - HOUR, NOON)
    assert series.LAeq_total == pytest.approx(50)


def test_a_start_with_a_fraction_stays_in_its_bucket(instrument: Instrument) -> None:
    late = NOON - HOUR + timedelta(seconds=59, milliseconds=700)
    measured(instrument, [(late, 60, 50), (NOON - timedelta(milliseconds=200), 60, 60)])
    series = series_of(instrument, NOON - HOUR, NOON)
    assert series.LAeq[0] == pytest.approx(50)
    assert series.LAeq[1] is None
    assert series.LAeq[59] == pytest.approx(60)


@pytest.mark.django_db
@pytest.mark.parametrize("milliseconds", [0, 1, 499, 500, 999])
@pytest.mark.parametrize("second", [1, 86_399, 951_782_400, 1_795_910_399, 4_102_444_800])
def test_the_database_cuts_an_instant_to_its_second(second: int, milliseconds: int) -> None:
    at = datetime.fromtimestamp(second, tz=UTC) + timedelta(milliseconds=milliseconds)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {epoch_sql('%s')}", [connection.ops.adapt_datetimefield_value(at)])
        assert cursor.fetchone() == (second,)


def test_a_row_without_its_length_weighs_as_a_usual_one(instrument: Instrument) -> None:
    start = NOON - 2 * HOUR
    measured(instrument, [(start, 300, 60), (start + HOUR, 300, 60)])
    NoiseMeasurement.objects.filter(start_at=start).update(duration_s=None)
    series = series_of(instrument, start, NOON, period_s=300.0)
    assert series.valid_s == 600


def test_buckets_of_two_readings_of_one_range_are_aligned(instrument: Instrument) -> None:
    measured(instrument, minutes(60))
    first = series_of(instrument, NOON - HOUR, NOON)
    second = series_of(instrument, NOON - HOUR + timedelta(seconds=17), NOON + timedelta(seconds=17))
    assert first.start_at.timestamp() % first.bucket_s == 0
    assert second.LAeq[1:60] == first.LAeq[1:60]


def test_another_organisation_s_instrument_is_refused(people: People) -> None:
    theirs = make_instrument(people.other)
    with organisation_scope(people.other.pk):
        measured(theirs, minutes(5))
    with organisation_scope(people.organisation.pk), pytest.raises(NoiseMeasurement.DoesNotExist):
        series_of(theirs, NOON - HOUR, NOON)


@given(
    st.floats(min_value=60, max_value=3 * 366 * 86_400),
    st.none() | st.sampled_from([1.0, 60.0, 300.0, 420.0, 900.0, 3600.0]),
)
@example(seconds=1500 * 60, period=None)
@example(seconds=1500 * 300, period=None)
def test_never_more_points_than_a_chart_can_show(seconds: float, period: float | None) -> None:
    bucket = bucket_for(timedelta(seconds=seconds), period)
    # One more where neither end lies on the grid.
    assert seconds / bucket + 1 <= MOST_POINTS
    assert bucket >= (period or 60)
    assert bucket in BUCKETS or bucket % 86_400 == 0


@pytest.mark.parametrize("places", [0, 1])
def test_a_chart_rounds_as_its_table_does(places: int) -> None:
    """Hundredths, as MyCirrus gives them: 54.25 is 54.3 in both, and what rounds to nothing has no sign."""
    values = [hundredths / 100 for hundredths in range(-1_000, 15_000)]
    told = [written(value, places) for value in values]
    assert [written(value, places) for value in rounded(values, places) if value is not None] == told
    assert "-0.0" not in map(str, rounded([-0.0, -0.01, -0.04], places))
    assert rounded([None, 54.25, math.nan, 1e308], 1)[:2] == [None, 54.3]


@pytest.mark.parametrize("hours", [1, 24, 24 * 30])
def test_every_figure_is_one_that_plotly_takes(instrument: Instrument, hours: int) -> None:
    rows = minutes(60)
    measured(instrument, rows[:20] + rows[40:])
    start = NOON - hours * HOUR
    series = series_of(instrument, start, NOON)
    figure = level_figure(
        series,
        start=start,
        end=NOON,
        now=NOON,
        zone="Europe/London",
        summary="All is well.",
        empty="Nothing.",
        band="Lowest to highest",
        marks=[Mark("calibrations", NOON - HOUR, "Calibration"), Mark("suspect", NOON - HOUR, "!", NOON)],
    )
    assert [mark.get("until") for mark in figure["marks"]] == [None, figure["end"]]
    # R9: each point carries how much of its time was measured, of what has passed.
    assert len(figure["covered"]) == len(figure["traces"][0]["y"])
    for value, part in zip(figure["traces"][0]["y"], figure["covered"], strict=True):
        assert (value is None) == (part == 0)
    bands = [trace for trace in figure["traces"] if trace.get("kind") == "band"]
    lines = [trace for trace in figure["traces"] if trace not in bands]
    assert [trace["name"] for trace in lines] == ["LAeq", "LAF,max", "LC,peak"]
    for trace in figure["traces"]:
        for name in ("lower", "upper") if trace in bands else ("y",):
            values = trace[name]
            assert len(values) <= MOST_POINTS
            grid = {"x0": trace["x0"], "dx": trace["dx"]}
            drawn = go.Scatter(name=trace["name"], y=values, connectgaps=False, **grid)
            assert list(drawn.y) == values
    assert {trace["unit"] for trace in lines} == {figure["unit"]} == {"dB"}
    for band in bands:
        for low, mean, high in zip(band["lower"], lines[0]["y"], band["upper"], strict=True):
            assert (low is None) == (mean is None) == (high is None)
            assert mean is None or low <= mean <= high
    go.Figure(layout=figure["layout"])
    first = lines[0]
    at = datetime.fromtimestamp(first["x0"] / 1000, tz=UTC)
    assert at == series.start_at
    assert first["y"].count(None) == series.LAeq.count(None)
    assert 0 <= figure["coverage"] <= 1
    assert figure["marks"][0]["at"] == (NOON - HOUR).timestamp() * 1000
