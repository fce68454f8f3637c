"""Weather, air and vibration: buckets that equal pure Python's, gaps as gaps, the newest reading on the fleet."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from plotly import graph_objects as go

from instruments.models import Instrument, Organisation, Site
from instruments.mycirrus.types import Particulates, Ppv
from instruments.sites import deployment_start
from instruments.tenancy import organisation_scope
from monitoring.charts.figures import sample_figure
from monitoring.charts.ranges import RANGES
from monitoring.charts.sample_kinds import KINDS, How
from monitoring.charts.samples import SampleSeries, sample_series
from monitoring.charts.series import MOST_POINTS
from monitoring.models import (
    InstrumentStatus,
    NoiseMeasurement,
    ParticulateSample,
    Resource,
    SeriesRow,
    WeatherSample,
)
from monitoring.sync.histories import HISTORIES
from monitoring.sync.rollups import sample_rollups_refresh
from monitoring.tiles import tile_of
from tests.conftest import People, make_instrument
from tests.monitoring.test_levels_view import read

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PANELS = [(kind, panel) for kind, told in KINDS.items() for panel in told.panels]
AIR, VIBRATION = Instrument.Kind.AIR_QUALITY, Instrument.Kind.VIBRATION

Row = tuple[datetime, float | None, dict[str, float | None]]


@pytest.fixture
def instrument(organisation: Organisation) -> Iterator[Instrument]:
    with organisation_scope(organisation.pk):
        yield make_instrument(organisation, "AQ000001", type=AIR)


def recorded(instrument: Instrument, model: type[SeriesRow], rows: list[Row]) -> None:
    model._default_manager.bulk_create(
        model(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            start_at=at,
            duration_s=seconds,
            **values,
        )
        for at, seconds, values in rows
    )
    if rows:
        starts = [at for at, _, _ in rows]
        sample_rollups_refresh(instrument=instrument, model=model, first=min(starts), last=max(starts))


def pm(*rows: tuple[datetime, float | None, float | None]) -> list[Row]:
    return [(at, seconds, {"pm10_ugm3": value}) for at, seconds, value in rows]


def series_of(instrument: Instrument, kind: str, panel: str, span: timedelta, **more: Any) -> SampleSeries:
    told = KINDS[kind]
    return sample_series(
        instrument=instrument,
        kind=told,
        panel=told.panels[panel],
        **{"start": NOON - span, "end": NOON, "now": NOON, **more},
    )


def pm10(instrument: Instrument, span: timedelta = HOUR, **more: Any) -> Any:
    series = series_of(instrument, Resource.PARTICULATES, "pm", span, **more)
    return series, next(line for line in series.lines if line.quantity.column == "pm10_ugm3")


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize(("kind", "panel"), PANELS)
def test_each_bucket_equals_pure_python(instrument: Instrument, kind: str, panel: str, range_: str) -> None:
    told, span = KINDS[kind], RANGES[range_]
    chance = random.Random(f"{kind} {panel} {range_}")
    columns = {
        name
        for quantity in told.panels[panel].quantities
        for name in (quantity.column, quantity.speed)
        if name
    }
    rows: list[Row] = []
    for number in range(240):
        values = {name: chance.choice([None, chance.uniform(-5, 90)]) for name in columns}
        seconds = 60.0 if number == 239 else chance.choice([60.0, 30.0, None])
        rows.append((NOON - (240 - number) * MINUTE, seconds, values))
    recorded(instrument, told.model, rows)
    series = series_of(instrument, kind, panel, span)
    assert len(series.lines[0].values) <= MOST_POINTS
    within = [row for row in rows if series.start_at <= row[0] < NOON]
    for line in series.lines:
        if line.quantity.how == How.DIRECTION:
            # It has no extremes; its values are the next test's.
            assert set(line.lower) == set(line.upper) == {None}
            continue
        buckets: dict[int, list[tuple[float, float]]] = {}
        for at, seconds, values in within:
            value = values[line.quantity.column]
            if value is not None:
                place = int((at - series.start_at).total_seconds() // series.bucket_s)
                buckets.setdefault(place, []).append((value, seconds or 60.0))
        for place, value in enumerate(line.values):
            held = buckets.get(place)
            assert value == (None if held is None else pytest.approx(together(line.quantity.how, held)))
            assert line.upper[place] == (None if held is None else pytest.approx(max(held)[0]))
            assert line.lower[place] == (None if held is None else pytest.approx(min(held)[0]))
        everything = [pair for held in buckets.values() for pair in held]
        assert line.total == pytest.approx(together(line.quantity.how, everything))
        assert line.highest == pytest.approx(max(everything)[0])
    told_of = [quantity.column for quantity in told.panels[panel].quantities]
    valid = [row for row in within if any(row[2][name] is not None for name in told_of)]
    assert series.count == len(valid)
    assert series.valid_s == pytest.approx(sum(seconds or 60.0 for _, seconds, _ in valid))


def together(how: How, held: list[tuple[float, float]]) -> float:
    if how != How.MEAN:
        return (max if how == How.MAXIMUM else min)(value for value, _ in held)
    return sum(value * seconds for value, seconds in held) / sum(seconds for _, seconds in held)


def test_what_has_a_rule_has_that_one() -> None:
    rules = {
        quantity.column: {other.how for other in panel.quantities if other.column == quantity.column}
        for kind in KINDS.values()
        for panel in kind.panels.values()
        for quantity in panel.quantities
    }
    for column, how in rules.items():
        if column.startswith(("v_max", "vdv")):
            assert how == {How.MAXIMUM}, column
        elif column.startswith("lte"):
            # Decibels have no arithmetic mean.
            assert how == {How.MINIMUM}, column
        elif column == "wind_direction_deg":
            # Arithmetic means of directions are wrong.
            assert how == {How.DIRECTION}, column
        else:
            assert How.MEAN in how, column
    assert rules["wind_speed_ms"] == {How.MEAN, How.MAXIMUM}


@pytest.mark.parametrize(
    ("winds", "direction"),
    [
        # Direction in degrees, speed in m/s; the arithmetic mean of the first two would be south.
        ([(359.0, 2.0), (1.0, 2.0)], 0.0),
        ([(90.0, 3.0), (0.0, 3.0)], 45.0),
        # The wind that blew harder says more: mean wind vectors, as MyCirrus forms them.
        ([(90.0, 3.0), (0.0, 1.0)], 71.565051),
        ([(-90.0, 2.0)], 270.0),
        # A calm has no direction, nor have winds that undo each other, nor one of which only half is known.
        ([(123.0, 0.0)], None),
        ([(0.0, 2.0), (180.0, 2.0)], None),
        ([(123.0, None)], None),
        ([(None, 4.0)], None),
    ],
)
def test_a_direction_is_that_of_the_mean_wind(
    instrument: Instrument, winds: list[tuple[float | None, float | None]], direction: float | None
) -> None:
    rows: list[Row] = [
        (
            NOON - HOUR + number * 30 * timedelta(seconds=1),
            30.0,
            {"wind_direction_deg": told, "wind_speed_ms": speed},
        )
        for number, (told, speed) in enumerate(winds)
    ]
    recorded(instrument, WeatherSample, rows)
    series = series_of(instrument, Resource.WEATHER, "direction", HOUR)
    (line,) = series.lines
    value = line.values[0]
    if direction is None:
        assert value is line.total is None
    else:
        assert value == line.total == pytest.approx(direction, abs=1e-4)
    # What follows is a gap.
    assert set(line.values[1:]) == {None}


def test_a_long_period_weighs_more(instrument: Instrument) -> None:
    rows = pm((NOON - HOUR, 900, 10), (NOON - HOUR + 15 * MINUTE, 300, 50))
    recorded(instrument, ParticulateSample, rows)
    series, line = pm10(instrument)
    # 900 s at 10 and 300 s at 50; the plain mean would say 30.
    assert line.total == pytest.approx(20)
    assert (line.highest, series.valid_s, series.bucket_s) == (50, 1200, 300)


def test_a_gap_is_none_and_no_zero(instrument: Instrument) -> None:
    rows = pm(*((NOON - HOUR + number * MINUTE, 60, 7.5) for number in range(60) if not 20 <= number < 40))
    recorded(instrument, ParticulateSample, rows)
    series, line = pm10(instrument)
    assert line.values[20:40] == line.lower[20:40] == line.upper[20:40] == [None] * 20
    assert set(line.values[:20] + line.values[40:60]) == {7.5}
    assert series.coverage_pct == pytest.approx(100 * 40 / 60)


def test_an_empty_value_is_neither_zero_nor_time_that_was_measured(instrument: Instrument) -> None:
    recorded(instrument, ParticulateSample, pm((NOON - 2 * MINUTE, 60, 8), (NOON - MINUTE, 60, None)))
    series, line = pm10(instrument, 2 * MINUTE)
    assert line.values == [8, None]
    assert (line.total, series.coverage_pct, series.count) == (8, 50, 1)


def test_coverage_counts_elapsed_time_only(instrument: Instrument) -> None:
    recorded(instrument, ParticulateSample, pm(*((NOON - HOUR + n * MINUTE, 60, 8.0) for n in range(30))))
    series, _ = pm10(instrument, end=NOON + HOUR)
    assert series.coverage_pct == 50


def test_nothing_recorded_has_no_value_and_no_coverage(instrument: Instrument) -> None:
    series, line = pm10(instrument)
    assert set(line.values) == {None}
    assert (line.total, line.highest, series.count, series.coverage_pct) == (None, None, 0, 0)


def test_another_organisation_s_instrument_is_refused(people: People) -> None:
    theirs = make_instrument(people.other, type=AIR)
    with organisation_scope(people.other.pk):
        recorded(theirs, ParticulateSample, pm((NOON - MINUTE, 60, 8)))
    with organisation_scope(people.organisation.pk), pytest.raises(NoiseMeasurement.DoesNotExist):
        pm10(theirs)


@pytest.mark.parametrize("range_", ["1h", "30d"])
@pytest.mark.parametrize(("kind", "panel"), PANELS)
def test_every_figure_is_one_that_plotly_takes(
    instrument: Instrument, kind: str, panel: str, range_: str
) -> None:
    told = KINDS[kind]
    names = {quantity.column for quantity in told.panels[panel].quantities}
    names |= {quantity.speed for quantity in told.panels[panel].quantities if quantity.speed}
    rows: list[Row] = [
        (NOON - number * MINUTE, 60.0, dict.fromkeys(names, 0.1234 * number))
        for number in range(1, 120)
        if number % 7
    ]
    recorded(instrument, told.model, rows)
    span = RANGES[range_]
    series = series_of(instrument, kind, panel, span)
    figure = sample_figure(
        series,
        start=NOON - span,
        end=NOON,
        now=NOON,
        zone="Europe/London",
        summary="So it was.",
        empty="Nothing.",
        band="Range of {}",
    )
    json.dumps(figure)
    lines = [trace for trace in figure["traces"] if trace.get("kind") != "band"]
    bands = [trace for trace in figure["traces"] if trace.get("kind") == "band"]
    assert [trace["name"] for trace in lines] == [str(q.label) for q in told.panels[panel].quantities]
    for trace in figure["traces"]:
        for name in ("lower", "upper") if trace in bands else ("y",):
            assert len(trace[name]) <= MOST_POINTS
            drawn = go.Scatter(name=trace["name"], x0=trace["x0"], dx=trace["dx"], y=trace[name])
            assert list(drawn.y) == trace[name]
    # A minute's bucket holds one value, and there is nothing between the lowest and the highest of one.
    spread = [quantity for quantity in told.panels[panel].quantities if quantity.spread]
    assert len(bands) == (len(spread) if range_ == "30d" else 0)
    assert {band["name"] for band in bands} <= {f"Range of {quantity.label}" for quantity in spread}
    for band in bands:
        mean = next(trace["y"] for trace in lines if trace["series"] == band["series"])
        for low, middle, high in zip(band["lower"], mean, band["upper"], strict=True):
            assert (low is None) == (middle is None) == (high is None)
            assert middle is None or low <= middle <= high
    assert None in lines[0]["y"]
    # A line between two directions would pass through those between, which never blew.
    assert {trace["kind"] for trace in lines} == {"points" if panel == "direction" else "line"}
    assert 0 <= figure["coverage"] <= 1
    assert figure["unit"] == lines[0]["unit"]
    go.Figure(layout=figure["layout"])


# Pages.

AIR_PAGE = "/o/harbour/i/AQ000001/"


def test_each_kind_has_its_address(instrument: Instrument, people: People) -> None:
    now = datetime.now(UTC)
    recorded(instrument, ParticulateSample, pm((now - 5 * MINUTE, 60, 21.25)))
    bob = people.client(people.bob)
    for kind, panel in PANELS:
        answer = bob.get(f"{AIR_PAGE}samples/{kind}.json", {"range": "1h", "panel": panel})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json()["end"] - answer.json()["start"] == 3_600_000
    told = bob.get(f"{AIR_PAGE}samples/particulates.json").json()
    assert "PM10 mean 21.2 µg/m³" in told["summary"] or "PM10 mean 21.3 µg/m³" in told["summary"]
    # The longest that there is, whose points are days.
    long = bob.get(f"{AIR_PAGE}samples/particulates.json?range=2y").json()
    assert long["end"] - long["start"] == 730 * 86_400_000
    assert "PM10 mean 21.2 µg/m³" in long["summary"] or "PM10 mean 21.3 µg/m³" in long["summary"]


@pytest.mark.parametrize("address", ["noise.json", "status.json", "ppv.json?panel=nothing"])
def test_what_is_no_kind_is_not_found(instrument: Instrument, people: People, address: str) -> None:
    assert people.client(people.bob).get(f"{AIR_PAGE}samples/{address}").status_code == 404


def test_outsiders_and_other_organisations_get_404(instrument: Instrument, people: People) -> None:
    make_instrument(people.other, "AQ000009", type=AIR)
    assert people.client(people.charlie).get(f"{AIR_PAGE}samples/particulates.json").status_code == 404
    across = "/o/harbour/i/AQ000009/samples/particulates.json"
    assert people.client(people.bob).get(across).status_code == 404
    assert people.client(people.charlie).get("/o/quarry/i/AQ000009/samples/gases.json").status_code == 200


@pytest.mark.parametrize(
    ("type_", "features", "kinds"),
    [
        (AIR, [], {"particulates", "gases"}),
        (VIBRATION, [], {"ppv", "vdv"}),
        ("Noise", ["SIC", "Weather"], {"weather", "stats"}),
        ("Noise", ["SIC"], {"stats"}),
    ],
)
def test_an_instrument_has_the_cards_of_what_it_measures(
    people: People, type_: str, features: list[str], kinds: set[str]
) -> None:
    make_instrument(people.organisation, type=type_, features=features)
    page = people.client(people.bob).get("/o/harbour/i/QT000001/").content.decode()
    assert {kind for kind in KINDS if f"/samples/{kind}.json" in page} == kinds
    assert "There is no table of its values on this page." not in page
    for kind in kinds:
        for part in (
            f"{kind}/?range=24h",
            f"{kind}.csv?range=24h",
            f"{kind}.csv?range=24h&amp;rows=recorded",
        ):
            assert f"/samples/{part}" in page
        for panel in KINDS[kind].panels:
            for tool in ("png", "readout"):
                assert f'data-chart-{tool}="{kind}-{panel}-chart"' in page


# What can be taken away.


HOUR_BEFORE = {"from": f"{NOON - HOUR:%Y-%m-%dT%H:%M:%SZ}", "to": f"{NOON:%Y-%m-%dT%H:%M:%SZ}"}


@pytest.fixture
def moved(instrument: Instrument, people: People) -> Instrument:
    """Half an hour of dust at the quay, ten minutes of nothing, and twenty of dust at the mill."""
    rows = pm(*((NOON - HOUR + n * MINUTE, 60, n + 0.25) for n in range(60) if not 30 <= n < 40))
    recorded(instrument, ParticulateSample, rows)
    for name, start in (("Quay", 120), ("Mill", 20)):
        deployment_start(
            instrument=instrument,
            site=Site.objects.create(organisation=people.organisation, name=name),
            start_at=NOON - start * MINUTE,
            end_at=None,
            note="",
            actor=people.mary,
        )
    return instrument


def test_what_is_shown_comes_as_csv_with_units_coverage_and_site(people: People, moved: Instrument) -> None:
    answer = people.client(people.bob).get(f"{AIR_PAGE}samples/particulates.csv", HOUR_BEFORE)
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="AQ000001-particulates-20261122T1100Z-20261122T1200Z.csv"'
    )
    rows = read(answer)
    assert list(rows[0]) == [
        "instrument",
        "startTime",
        "duration",
        *("pM2p5 (µg/m³)", "pM2p5Lowest (µg/m³)", "pM2p5Highest (µg/m³)", "pM2p5Coverage (%)"),
        *("pM10 (µg/m³)", "pM10Lowest (µg/m³)", "pM10Highest (µg/m³)", "pM10Coverage (%)"),
        *("pM1 (µg/m³)", "pM1Coverage (%)", "pM4p25 (µg/m³)", "pM4p25Coverage (%)"),
        "site",
    ]
    assert len(rows) == 60
    told = [[row[name] for name in ("startTime", "pM10 (µg/m³)", "pM10Coverage (%)", "site")] for row in rows]
    assert told[29] == ["2026-11-22T11:29:00Z", "29.25", "100.0", "Quay"]
    # A gap is empty and no zero.
    assert told[30] == ["2026-11-22T11:30:00Z", "", "0.0", "Quay"]
    assert told[40] == ["2026-11-22T11:40:00Z", "40.25", "100.0", "Mill"]
    assert (rows[29]["pM1 (µg/m³)"], rows[29]["pM1Coverage (%)"]) == ("", "0.0")


def test_all_panels_of_a_kind_come_in_one_file(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation, features=["Weather"])
        values = {"wind_speed_ms": 3.0, "wind_direction_deg": 200.0, "pressure_hpa": 1012.25}
        recorded(unit, WeatherSample, [(NOON - MINUTE, 60.0, values)])
    page = "/o/harbour/i/QT000001/samples/weather"
    row = read(people.client(people.bob).get(f"{page}.csv", HOUR_BEFORE))[-1]
    told = {name: value for name, value in row.items() if value not in ("", "0.0")}
    assert told == {
        "instrument": "QT000001",
        "startTime": "2026-11-22T11:59:00Z",
        "duration": "60",
        "windSpeed (m/s)": "3.0",
        "windSpeedHighest (m/s)": "3.0",
        "windSpeedCoverage (%)": "100.0",
        "windDirection (°)": "200.0",
        "windDirectionCoverage (%)": "100.0",
        "pressure (hPa)": "1012.25",
        "pressureLowest (hPa)": "1012.25",
        "pressureHighest (hPa)": "1012.25",
        "pressureCoverage (%)": "100.0",
    }


def test_each_quantity_has_a_coverage_of_its_own(instrument: Instrument, people: People) -> None:
    """A sensor that failed is not covered by another's minutes."""
    rows = [
        (NOON - n * MINUTE, 60.0, {"pm2p5_ugm3": 1.0, "pm10_ugm3": 2.0 if n % 2 else None})
        for n in range(1, 61)
    ]
    recorded(instrument, ParticulateSample, rows)  # type: ignore[arg-type]
    fortnight = {**HOUR_BEFORE, "from": f"{NOON - timedelta(days=14):%Y-%m-%dT%H:%M:%SZ}"}
    row = read(people.client(people.bob).get(f"{AIR_PAGE}samples/particulates.csv", fortnight))[-1]
    told = [row[name] for name in ("duration", "pM2p5Coverage (%)", "pM10Coverage (%)", "pM1Coverage (%)")]
    assert told == ["900", "100.0", "53.3", "0.0"]
    page = people.client(people.bob).get(f"{AIR_PAGE}samples/particulates/", fortnight).content.decode()
    assert '53.3 %<span class="sub">the least; the best 100 %</span>' in page
    drawn = people.client(people.bob).get(f"{AIR_PAGE}samples/particulates.json", fortnight).json()["traces"]
    last = {trace["name"]: trace["covered"][-1] for trace in drawn if trace["kind"] == "line"}
    assert (last["PM2.5"], last["PM10"]) == (1.0, 0.533)


def test_what_was_recorded_comes_row_by_row(people: People, moved: Instrument) -> None:
    asked = {**HOUR_BEFORE, "rows": "recorded"}
    rows = read(people.client(people.bob).get(f"{AIR_PAGE}samples/particulates.csv", asked))
    assert len(rows) == 50
    assert (rows[0]["pM10"], rows[0]["pM1"], rows[0]["site"]) == ("0.25", "", "Quay")


def test_the_table_has_the_chart_s_values(people: People, moved: Instrument) -> None:
    page = people.client(people.bob).get(f"{AIR_PAGE}samples/particulates/", HOUR_BEFORE).content.decode()
    assert '29.3<span class="unit">µg/m³</span>' in page
    assert "µg/m³" in page
    assert "Measured at Quay, Mill." in page
    assert "Moved from Quay to Mill" in page
    assert "<td>Mill</td>" in page
    # Gaps are left out, and said to be.
    assert page.count("<tbody>") == 2
    assert page.count("100 %") == 50
    empty = people.client(people.bob).get(f"{AIR_PAGE}samples/gases/", HOUR_BEFORE).content.decode()
    assert "Nothing was recorded in this range" in empty


def test_the_chart_carries_moves_and_coverage(people: People, moved: Instrument) -> None:
    told = people.client(people.bob).get(f"{AIR_PAGE}samples/particulates.json", HOUR_BEFORE).json()
    assert [mark["label"] for mark in told["marks"]] == ["Moved from Quay to Mill"]
    line = next(trace for trace in told["traces"] if trace["name"] == "PM10")
    assert (line["covered"][29], line["covered"][30], told["bucket"]) == (1.0, 0.0, 60)
    assert "Measured at Quay, Mill." in told["summary"]


@pytest.mark.parametrize("address", ["noise.csv", "noise/", "status.csv"])
def test_what_is_no_kind_has_no_file(instrument: Instrument, people: People, address: str) -> None:
    assert people.client(people.bob).get(f"{AIR_PAGE}samples/{address}").status_code == 404


def test_a_bad_range_is_refused_in_words(instrument: Instrument, people: People) -> None:
    bob = people.client(people.bob)
    assert bob.get(f"{AIR_PAGE}samples/gases.csv?from=soon").status_code == 400
    assert "cannot be shown" in bob.get(f"{AIR_PAGE}samples/gases/?from=soon").content.decode()


def test_files_are_nobody_else_s(instrument: Instrument, people: People) -> None:
    for part in ("gases.csv", "gases.csv?rows=recorded", "gases/"):
        assert people.client(people.charlie).get(f"{AIR_PAGE}samples/{part}").status_code == 404


@pytest.mark.parametrize("part", ["particulates/", "particulates.csv"])
def test_a_file_costs_the_same_for_ten_rows_and_a_thousand(
    instrument: Instrument, people: People, part: str
) -> None:
    bob, costs = people.client(people.bob), []
    for count in (10, 1000):
        ParticulateSample.objects.all().delete()
        recorded(
            instrument, ParticulateSample, pm(*((NOON - (n + 1) * MINUTE, 60, 8.0) for n in range(count)))
        )
        with CaptureQueriesContext(connection) as queries:
            bob.get(
                f"{AIR_PAGE}samples/{part}", {**HOUR_BEFORE, "from": f"{NOON - 20 * HOUR:%Y-%m-%dT%H:%MZ}"}
            )
        costs.append(len(queries))
    assert costs[0] == costs[1]


# The newest reading.


def store(instrument: Instrument, resource: str, *rows: Any) -> InstrumentStatus:
    HISTORIES[resource].store(instrument, rows, datetime.now(UTC))
    return InstrumentStatus.objects.get(instrument=instrument)


def dust(at: datetime, small: float | None, large: float | None) -> Particulates:
    return Particulates("AQ000001", at, 60.0, None, small, None, large, {"pM2p5": small, "pM10": large})


def shake(at: datetime, *axes: float | None) -> Ppv:
    return Ppv("VB000001", at, 300.0, *axes, None, None, None, dict.fromkeys(("vMaxX", "vMaxY", "vMaxZ")))


def test_the_newest_sample_is_the_present_reading(instrument: Instrument) -> None:
    present = store(instrument, Resource.PARTICULATES, dust(NOON, 7, 19), dust(NOON - MINUTE, 99, 99))
    assert present.latest == {"PM2.5": 7, "PM10": 19}
    assert (present.latest_at, present.latest_seconds) == (NOON, 60)
    # What comes later and is older does not hide it; from before its last day it leaves the page as it is.
    assert store(instrument, Resource.PARTICULATES, dust(NOON - HOUR, 1, 2)).latest == present.latest
    present = InstrumentStatus.objects.get(instrument=instrument)
    older = store(instrument, Resource.PARTICULATES, dust(NOON - 25 * HOUR, 1, 2))
    again = store(instrument, Resource.PARTICULATES, dust(NOON, 7, 19))
    assert older.latest == again.latest == present.latest
    assert older.changed_at == again.changed_at == present.changed_at
    corrected = store(instrument, Resource.PARTICULATES, dust(NOON, 7, 20))
    assert corrected.latest["PM10"] == 20
    assert corrected.changed_at > present.changed_at


def test_vibration_reads_its_largest_axis(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation, "VB000001", type=VIBRATION)
        assert store(unit, Resource.PPV, shake(NOON, 0.2, 1.234, None)).latest == {"PPV": 1.234}
        assert store(unit, Resource.PPV, shake(NOON + MINUTE, None, None, None)).latest == {"PPV": None}


@pytest.mark.parametrize("view", ["tiles", "table"])
def test_the_fleet_shows_value_unit_period_and_age(people: People, view: str) -> None:
    now = datetime.now(UTC)
    with organisation_scope(people.organisation.pk):
        air = make_instrument(people.organisation, "AQ000001", type=AIR)
        store(air, Resource.PARTICULATES, dust(now - 4 * MINUTE, 7.04, 19.26))
        unit = make_instrument(people.organisation, "VB000001", type=VIBRATION)
        store(unit, Resource.PPV, shake(now - 10 * MINUTE, 0.2, 1.234, None))
    page = people.client(people.bob).get(f"/o/harbour/?view={view}").content.decode()
    for words in ("7.0", "19.3", "µg/m³", "1.23", "mm/s", "1 min", "5 min", "data-relative"):
        assert words in page, words
    assert "status only" not in page
    # When the period of the newest sample ended, for the age that grows on the page.
    assert f"{now - 3 * MINUTE:%M:%S}" in page


@pytest.mark.parametrize("address", ["/o/harbour/", "/o/harbour/?view=table", AIR_PAGE])
def test_a_reading_that_is_missing_is_a_dash(instrument: Instrument, people: People, address: str) -> None:
    bob = people.client(people.bob)
    assert "no value" in bob.get(address).content.decode()
    store(instrument, Resource.PARTICULATES, dust(datetime.now(UTC), None, 19.26))
    page = bob.get(address).content.decode()
    assert "no value" in page
    assert "19.3" in page
    assert 'class="reading">0' not in page


def test_an_aged_reading_is_not_taken_for_the_present(instrument: Instrument) -> None:
    store(instrument, Resource.PARTICULATES, dust(NOON, 7, 19))
    instrument = Instrument.objects.select_related("status").get(pk=instrument.pk)
    fresh, late = NOON + 10 * MINUTE, NOON + 2 * HOUR
    assert tile_of(instrument, fresh).level_is_current
    assert not tile_of(instrument, late).level_is_current


@pytest.mark.parametrize("view", ["tiles", "table"])
def test_the_fleet_s_cost_does_not_grow_with_its_readings(people: People, view: str) -> None:
    now, bob = datetime.now(UTC), people.client(people.bob)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert bob.get(f"/o/harbour/?view={view}").status_code == 200
        return len(queries)

    def add(first: int, count: int) -> None:
        with organisation_scope(people.organisation.pk):
            for number in range(first, first + count):
                air = make_instrument(people.organisation, f"AQ{number:06}", type=AIR)
                store(air, Resource.PARTICULATES, dust(now, 7, 19))

    add(0, 1)
    cost()
    few = cost()
    add(1, 15)
    assert cost() == few
