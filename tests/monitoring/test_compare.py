"""Comparing instruments, and a stretch with an earlier one at the same time of the local clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Deployment, Instrument, Site
from instruments.tenancy import organisation_scope
from monitoring.charts.comparison import compared_periods, local_shift
from monitoring.charts.ranges import Window
from monitoring.models import NoiseMeasurement
from monitoring.sync.rollups import noise_rollups_refresh
from tests.conftest import People, make_instrument
from tests.monitoring.test_levels_view import read

LONDON = ZoneInfo("Europe/London")
NOON = datetime(2026, 6, 22, 12, tzinfo=UTC)
RANGE = {"from": "2026-06-22T00:00:00Z", "to": "2026-06-23T00:00:00Z"}


@pytest.fixture
def units(people: People) -> Iterator[list[Instrument]]:
    """Five noise monitors and one of dust in Harbour, and one noise monitor in Quarry."""
    made = [
        make_instrument(people.organisation, f"QT00000{number}", name=f"Gate {number}") for number in range(5)
    ]
    make_instrument(people.organisation, "AQ000001", type="AirQuality")
    make_instrument(people.other, "QT000009", name="Gate of Quarry")
    with organisation_scope(people.organisation.pk):
        for number, instrument in enumerate(made):
            loud(instrument, NOON, 50.0 + number)
        yield made


def loud(instrument: Instrument, at: datetime, level: float) -> None:
    """One minute's measurement."""
    NoiseMeasurement.objects.create(
        organisation_id=instrument.organisation_id,
        instrument=instrument,
        start_at=at,
        duration_s=60,
        LAeq=level,
    )
    noise_rollups_refresh(instrument=instrument, first=at, last=at)


@pytest.mark.parametrize(
    ("at", "days", "expected"),
    [
        # Across the end of summer time: ten in the morning stays ten in the morning.
        ("2026-10-26T10:00Z", -7, "2026-10-19T09:00Z"),
        ("2026-10-19T09:00Z", 7, "2026-10-26T10:00Z"),
        # Across its beginning.
        ("2026-03-30T09:00Z", -7, "2026-03-23T10:00Z"),
        ("2026-06-22T12:00Z", -364, "2025-06-23T12:00Z"),
    ],
)
def test_a_day_earlier_is_the_same_time_of_the_clock(at: str, days: int, expected: str) -> None:
    assert local_shift(datetime.fromisoformat(at), days, LONDON) == datetime.fromisoformat(expected)


def test_a_week_lies_over_the_week_before_although_the_clocks_changed(units: list[Instrument]) -> None:
    """Ten in the morning is 09:00 UTC before 25 October 2026 and 10:00 after it."""
    loud(units[0], datetime(2026, 10, 26, 10, tzinfo=UTC), 60.0)
    loud(units[0], datetime(2026, 10, 19, 9, tzinfo=UTC), 70.0)
    end = datetime(2026, 10, 27, tzinfo=UTC)
    window = Window(end - timedelta(days=1), end)
    later, earlier = compared_periods(
        instrument=units[0], window=window, days=7, zone=LONDON, period_s=60.0, now=end
    )

    def place(x: list[int], levels: list[float | None]) -> list[tuple[int, float]]:
        return [(at, round(level, 6)) for at, level in zip(x, levels, strict=True) if level is not None]

    ten = datetime(2026, 10, 26, 10, tzinfo=UTC).timestamp() * 1000
    assert place(later.x, later.series.LAeq) == [(ten, 60.0)]
    assert place(earlier.x, earlier.series.LAeq) == [(ten, 70.0)]


def test_up_to_four_are_drawn_in_the_order_of_the_address(people: People, units: list[Instrument]) -> None:
    bob = people.client(people.bob)
    serials = ["QT000002", "QT000000", "QT000009", "AQ000001", "QT000001", "QT000004", "QT000003"]
    told = bob.get("/o/harbour/compare.json", {**RANGE, "i": serials}).json()
    # The first four that were named; those of others and of another kind are left out.
    assert [trace["name"] for trace in told["traces"]] == ["Gate 2", "Gate 0"]
    told = bob.get("/o/harbour/compare.json", {**RANGE, "i": ["QT000002", "QT000000", "QT000001"]}).json()
    assert [max(filter(None, trace["y"])) for trace in told["traces"]] == [52.0, 50.0, 51.0]
    assert all(len(trace["covered"]) == len(trace["y"]) == len(trace["x"]) for trace in told["traces"])
    assert "Gate 2: LAeq 52.0 dB (0.1 % covered)" in told["summary"]


def test_the_summary_rounds_as_the_chart_does(people: People, units: list[Instrument]) -> None:
    loud(units[0], NOON + timedelta(days=1), 68.19)
    day = {"from": "2026-06-23T00:00:00Z", "to": "2026-06-24T00:00:00Z"}
    told = people.client(people.bob).get("/o/harbour/compare.json", {**day, "i": "QT000000"}).json()
    assert told["summary"] == "Gate 0: LAeq 68.2 dB (0.1 % covered)"


def test_the_page_finds_what_to_add_and_totals_what_is_chosen(
    people: People, units: list[Instrument]
) -> None:
    bob = people.client(people.bob)
    page = bob.get("/o/harbour/compare/", {**RANGE, "i": "QT000002", "text": "gate"}).content.decode()
    assert "Gate of Quarry" not in page
    assert "i=QT000002&amp;i=QT000003" in page
    assert "52.0<" in page
    # Without a script, too, another range is of the same instruments.
    assert 'href="?i=QT000002&amp;range=7d"' in page
    nothing = bob.get("/o/harbour/compare/", {"text": "nobody"}).content.decode()
    assert "Nothing to compare yet" in nothing
    assert "No other noise monitor" in nothing
    part = bob.get("/o/harbour/compare/", {**RANGE, "i": "QT000002"}, headers={"HX-Request": "true"})
    assert part.content.decode().lstrip().startswith('<section id="compare-totals"')
    week = bob.get("/o/harbour/compare/", {**RANGE, "i": "QT000002", "before": "7d"}).content.decode()
    assert "15 Jun 2026" in week


@pytest.mark.parametrize(
    "query",
    [
        "i=%00",
        "i=",
        "value=LAF90",
        "before=yesterday",
        "from=soon&i=QT000001",
        "from=0001-01-01T00:01Z&to=soon&i=QT000001",
        "",
    ],
)
def test_odd_questions_are_answered(people: People, units: list[Instrument], query: str) -> None:
    bob = people.client(people.bob)
    assert bob.get(f"/o/harbour/compare/?{query}").status_code == 200
    assert bob.get(f"/o/harbour/compare.json?{query}").status_code == (400 if "soon" in query else 200)


def test_the_page_costs_the_same_whatever_the_fleet(people: People, units: list[Instrument]) -> None:
    bob = people.client(people.bob)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert bob.get("/o/harbour/compare/", {**RANGE, "i": "QT000002"}).status_code == 200
        return len(queries)

    before = cost()
    for number in range(100, 160):
        make_instrument(people.organisation, f"QT000{number}")
    assert cost() == before


def test_what_is_compared_comes_as_csv_each_line_at_its_own_time(
    people: People, units: list[Instrument]
) -> None:
    site = Site.objects.create(organisation=people.organisation, name="Quay")
    Deployment.objects.create(
        organisation=people.organisation, instrument=units[2], site=site, start_at=NOON - timedelta(hours=1)
    )
    bob = people.client(people.bob)
    answer = bob.get("/o/harbour/compare.csv", {**RANGE, "i": ["QT000002", "QT000000"]})
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="compare-QT000002-QT000000-20260622T0000Z-20260623T0000Z.csv"'
    )
    rows = read(answer)
    assert len(rows) == 2 * 1440
    assert [row for row in rows if row["LAeq"]] == [
        {
            "instrument": serial,
            "startTime": "2026-06-22T12:00:00Z",
            "duration": "60",
            "LAeq": level,
            "LAFMax": "",
            "LCPeak": "",
            "coverage": "100.0",
            "site": name,
        }
        for serial, level, name in (("QT000002", "52.0", "Quay"), ("QT000000", "50.0", ""))
    ]
    loud(units[0], NOON - timedelta(days=7), 70.0)
    week = read(bob.get("/o/harbour/compare.csv", {**RANGE, "i": "QT000000", "before": "7d"}))
    assert [(row["startTime"], row["LAeq"]) for row in week if row["LAeq"]] == [
        ("2026-06-22T12:00:00Z", "50.0"),
        ("2026-06-15T12:00:00Z", "70.0"),
    ]
    assert bob.get("/o/harbour/compare.csv", {"from": "soon"}).status_code == 400
    assert people.client(people.charlie).get("/o/harbour/compare.csv").status_code == 404


def test_outsiders_get_404(people: People, units: list[Instrument]) -> None:
    charlie = people.client(people.charlie)
    assert charlie.get("/o/harbour/compare/").status_code == 404
    assert charlie.get("/o/quarry/compare.json", {**RANGE, "i": "QT000002"}).json()["traces"] == []
