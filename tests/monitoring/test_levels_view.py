"""The level chart's data, table and files over any stretch of time: what they mark, cover, and refuse."""

import csv
import html
import io
import re
from collections.abc import Iterator
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Instrument, Site
from instruments.sites import deployment_start
from instruments.tenancy import organisation_scope
from monitoring.charts.marks import MOST
from monitoring.charts.percentiles import recorded_percentiles
from monitoring.charts.ranges import CLOSEST, LONGEST, BadWindow, Fault, Window, window_of
from monitoring.charts.series import level_series
from monitoring.models import (
    ActionKind,
    Calibration,
    Event,
    EventTag,
    InstrumentAction,
    InstrumentStatus,
    NoiseMeasurement,
    SystemIntegrityCheck,
)
from monitoring.sync.rollups import noise_rollups_refresh
from tests.conftest import People, make_instrument

NOON = datetime(2026, 6, 22, 12, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
PAGE = "/o/harbour/i/QT000001/"
HOUR_BEFORE = {"from": "2026-06-22T11:00:00Z", "to": "2026-06-22T12:00:00Z"}


@pytest.fixture
def unit(people: People) -> Iterator[Instrument]:
    """Harbour's monitor with an hour of minutes before noon, ten of them missing, and something of each layer."""
    made = make_instrument(people.organisation, "QT000001")
    make_instrument(people.other, "QT000001")
    with organisation_scope(people.organisation.pk):
        owned: dict[str, Any] = {"organisation": people.organisation, "instrument": made}
        InstrumentStatus.objects.create(**owned, level_seconds=60, changed_at=NOON)
        measured(made, [minute for minute in range(60) if not 20 <= minute < 30])
        Calibration.objects.create(**owned, at=NOON - timedelta(minutes=50), status="Success", offset_db=0.1)
        for minutes, passed in ((45, True), (15, False), (5, True)):
            at = NOON - timedelta(minutes=minutes)
            SystemIntegrityCheck.objects.create(**owned, at=at, status="x", passed=passed)
        Event.objects.create(
            **owned, start_at=NOON - timedelta(minutes=40), name="85 dB", level_db=87.5, end_at=NOON
        )
        InstrumentAction.objects.create(
            **owned,
            kind=ActionKind.SIC,
            token="11111111-1111-1111-1111-111111111111",
            requested_at=NOON - timedelta(minutes=16),
            due_at=NOON,
        )
        yield made


def measured(instrument: Instrument, minutes: list[int]) -> None:
    """A minute's measurement at each of these of the hour before noon."""
    start = NOON - timedelta(hours=1)
    NoiseMeasurement.objects.bulk_create(
        NoiseMeasurement(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            start_at=start + timedelta(minutes=minute),
            duration_s=60,
            LAeq=50 + minute / 10,
            LAFMax=60.0,
            LCPeak=80.0,
            LAF10=53.0,
            LAF90=44.0,
        )
        for minute in minutes
    )
    noise_rollups_refresh(instrument=instrument, first=start, last=NOON)


# The stretch that is asked for.


def window(**asked: str) -> Window:
    return window_of(asked, now=NOON, zone=LONDON)


def test_a_window_is_a_range_up_to_now_or_from_an_instant_to_another() -> None:
    assert window() == Window(NOON - timedelta(days=1), NOON, "24h")
    assert window(range="7d").query == "range=7d"
    fixed = window(**HOUR_BEFORE)
    assert fixed == Window(NOON - timedelta(hours=1), NOON)
    assert fixed.query == "from=2026-06-22T11:00:00Z&to=2026-06-22T12:00:00Z"
    assert window(**{"from": "2026-06-22T11:00Z"}).end == NOON


def test_a_form_s_times_are_the_wall_clock_of_the_place() -> None:
    """Noon in London in June is eleven in UTC."""
    assert window(**{"from": "2026-06-22T12:00", "to": "2026-06-22T13:00"}) == window(**HOUR_BEFORE)
    # The doubled hour is read as the earlier one.
    autumn = {"from": "2026-10-25T01:30", "to": "2026-10-25T03:00"}
    assert window(**autumn).start == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "fault"),
    [
        ("yesterday", "", Fault.UNREADABLE),
        ("2026-06-22T11:00Z", "noon", Fault.UNREADABLE),
        ("0001-01-01T00:00+14:00", "2026-06-22T11:00Z", Fault.UNREADABLE),
        ("\0", "", Fault.UNREADABLE),
        ("", "2026-06-22T11:00Z", Fault.NO_START),
        ("2026-06-22T11:00Z", "2026-06-22T11:00Z", Fault.ORDER),
        ("2026-06-22T12:00Z", "2026-06-22T11:00Z", Fault.ORDER),
        ("2023-06-22T12:00Z", "2026-06-22T11:00Z", Fault.LONG),
    ],
)
def test_what_is_no_stretch_says_why(start: str, end: str, fault: Fault) -> None:
    with pytest.raises(BadWindow) as raised:
        window(**{"from": start, "to": end})
    assert raised.value.fault == fault


def test_moving_and_zooming_stay_within_bounds() -> None:
    hour = window(**HOUR_BEFORE)
    assert hour.moved(-1, NOON) == Window(NOON - timedelta(minutes=90), NOON - timedelta(minutes=30))
    assert hour.moved(1, NOON) == hour
    assert hour.zoomed(1, NOON).span == timedelta(minutes=30)
    assert hour.zoomed(-1, NOON).span == timedelta(hours=2)
    assert hour.zoomed(-1, NOON).end == NOON
    assert hour.zoomed(9, NOON).span == CLOSEST
    assert hour.zoomed(-30, NOON).span == LONGEST


# The chart's data.


def test_a_fixed_stretch_is_drawn_at_its_own_fineness(people: People, unit: Instrument) -> None:
    bob = people.client(people.bob)
    near = bob.get(f"{PAGE}levels.json", HOUR_BEFORE).json()
    assert (near["start"], near["end"], near["bucket"]) == (
        NOON.timestamp() * 1000 - 3_600_000,
        NOON.timestamp() * 1000,
        60,
    )
    assert near["traces"][0]["y"][:21] == [round(50 + minute / 10, 1) for minute in range(20)] + [None]
    far = bob.get(f"{PAGE}levels.json", {"from": "2025-06-22T12:00Z", "to": "2026-06-22T12:00Z"}).json()
    assert far["bucket"] == 86_400
    # True extremes at every zoom: the minute's maximum is the day's, the lowest LAeq is the band's.
    band = next(trace for trace in far["traces"] if trace.get("kind") == "band")
    assert [value for value in band["lower"] if value is not None] == [50.0]
    assert [value for value in band["upper"] if value is not None] == [55.9]


def test_percentiles_are_drawn_as_recorded_and_never_together(people: People, unit: Instrument) -> None:
    """R5: an hour by minutes has them, a year by days does not."""
    bob = people.client(people.bob)
    near = bob.get(f"{PAGE}levels.json", HOUR_BEFORE).json()
    told = {
        trace["id"]: trace
        for trace in near["traces"]
        if trace["id"].startswith("LAF1") or "90" in trace["id"]
    }
    assert told["LAF90"]["name"] == "LAF90,1min"
    assert set(told["LAF90"]["y"]) == {44.0, None}
    # None was recorded.
    assert "LAF50" not in {trace["id"] for trace in near["traces"]}
    far = bob.get(f"{PAGE}levels.json", {"from": "2026-06-15T12:00Z", "to": "2026-06-22T12:00Z"}).json()
    assert {trace["id"] for trace in far["traces"]} == {"LAeq", "LAFMax", "LCPeak"}


def test_two_percentiles_in_one_point_are_none(people: People, unit: Instrument) -> None:
    unit_rows = NoiseMeasurement.objects.get(start_at=NOON - timedelta(hours=1))
    unit_rows.start_at += timedelta(seconds=30)
    unit_rows.save(force_insert=True)
    series = level_series(instrument=unit, start=NOON - timedelta(hours=1), end=NOON, period_s=60.0, now=NOON)
    found = recorded_percentiles(instrument=unit, series=series, period_s=60.0)
    assert found["LAF90"][:2] == [None, 44.0]


def test_what_happened_is_marked_for_those_who_may_see_it(people: People, unit: Instrument) -> None:
    def layers(person: Any) -> dict[str, list[str]]:
        marks = people.client(person).get(f"{PAGE}levels.json", HOUR_BEFORE).json()["marks"]
        found: dict[str, list[str]] = {}
        for mark in marks:
            found.setdefault(mark["layer"], []).append(mark["label"])
        return found

    alice = layers(people.alice)
    assert alice["events"] == ["Event 85 dB, 87.5 dB"]
    assert alice["sics"] == ["SIC passed", "SIC failed", "SIC passed"]
    assert alice["actions"] == ["SIC: Waiting to be sent"]
    assert alice["suspect"] == ["Levels in doubt"]
    assert set(layers(people.bob)) == set(alice) - {"actions"}


@pytest.mark.parametrize("path", ["levels.json", "levels.csv"])
def test_what_is_no_range_is_refused_with_a_sentence(people: People, unit: Instrument, path: str) -> None:
    answer = people.client(people.bob).get(PAGE + path, {"from": "soon"})
    assert answer.status_code == 400
    assert b"Write both like" in answer.content


@pytest.mark.parametrize("path", ["", "levels/"])
def test_a_page_says_what_is_wrong_with_a_range_and_shows_the_usual_one(
    people: People, unit: Instrument, path: str
) -> None:
    page = people.client(people.bob).get(PAGE + path, {"from": "2026-06-22T12:00", "to": "2026-06-22T11:00"})
    assert page.status_code == 200
    assert "at least a minute after" in page.content.decode()


def test_the_page_of_a_link_asks_for_the_same_stretch_lines_and_layers(
    people: People, unit: Instrument
) -> None:
    page = people.client(people.bob).get(PAGE, {**HOUR_BEFORE, "lines": "LAeq LAF90 events"}).content.decode()
    assert 'data-window="from=2026-06-22T11:00:00Z&amp;to=2026-06-22T12:00:00Z"' in page
    assert 'value="2026-06-22T12:00"' in page
    assert 'value="LAFMax" >' in page.replace('value="LAFMax">', 'value="LAFMax" >')
    assert 'value="events" checked' in page
    assert 'value="sics">' in page


# The table and the files.


def test_the_table_has_coverage_doubt_and_what_happened(people: People, unit: Instrument) -> None:
    page = people.client(people.bob).get(f"{PAGE}levels/", HOUR_BEFORE).content.decode()
    assert "LAF90" in page
    assert "SIC failed" in page
    assert page.count("in doubt</span>") == 30
    assert page.count("100 %") == 50


def test_a_long_table_comes_in_pages_and_whole_if_wished(people: People, unit: Instrument) -> None:
    client, address = people.client(people.bob), f"{PAGE}levels/"
    day = {"from": "2026-06-21T12:00Z", "to": "2026-06-22T12:00Z"}
    with organisation_scope(people.organisation.pk):
        NoiseMeasurement.objects.bulk_create(
            NoiseMeasurement(
                organisation=people.organisation,
                instrument=unit,
                start_at=NOON - timedelta(hours=2, minutes=minute),
                duration_s=60,
                LAeq=50.0,
            )
            for minute in range(300)
        )

    def shown(query: str = "", **more: str) -> tuple[str, int]:
        page = client.get(f"{address}{query}", {} if query else {**day, **more}).content.decode()
        levels = page.partition("table-levels")[2]
        return page, levels.count('<th scope="row">')

    page, rows = shown()
    assert rows == 100
    # The pages' links hold the stretch still: of a range that ends now rows would move from one to the next.
    (further,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert "from=2026-06-21T12:00:00Z" in further
    (whole,) = re.findall(r'href="([^"]+)">Show all (?:\d+) rows on one page', page)
    assert shown(html.unescape(further))[1] == 100
    assert shown(html.unescape(whole))[1] > 300
    assert shown(page="99")[1] < 100


def read(answer: Any) -> list[dict[str, str]]:
    """As a server does: after the request, when no scope is open any more."""
    content = Context().run(lambda: b"".join(answer.streaming_content))
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_what_is_shown_comes_as_csv_with_coverage_and_validity(people: People, unit: Instrument) -> None:
    answer = people.client(people.bob).get(f"{PAGE}levels.csv", HOUR_BEFORE)
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="QT000001-levels-20260622T1100Z-20260622T1200Z.csv"'
    )
    rows = read(answer)
    assert len(rows) == 60
    assert rows[0] == {
        "instrument": "QT000001",
        "startTime": "2026-06-22T11:00:00Z",
        "duration": "60",
        "LAeq": "50.0",
        "LAFMax": "60.0",
        "LCPeak": "80.0",
        "LAeqLowest": "50.0",
        "LAeqHighest": "50.0",
        "LAF10": "53.0",
        "LAF50": "",
        "LAF90": "44.0",
        "coverage": "100.0",
        "validity": "valid",
        "site": "",
    }
    # The file's words are the page's, which says what they mean.
    page = people.client(people.bob).get(f"{PAGE}levels/", HOUR_BEFORE).content.decode()
    assert all(
        word in page for word in ("valid,", "in doubt", "out of doubt", "excluded", "missing", "impossible")
    )
    gap = rows[20]
    assert (gap["LAeq"], gap["coverage"], gap["validity"]) == ("", "0.0", "missing")
    assert [row["validity"] for row in rows[15:20]] == ["in doubt"] * 5
    assert [row["validity"] for row in rows[55:]] == ["valid"] * 5


def test_what_was_recorded_comes_row_by_row_under_the_vendor_s_names(
    people: People, unit: Instrument
) -> None:
    rows = read(people.client(people.bob).get(f"{PAGE}levels.csv", {**HOUR_BEFORE, "rows": "recorded"}))
    assert len(rows) == 50
    assert (rows[0]["LAF90"], rows[0]["LAF50"], rows[0]["validity"]) == ("44.0", "", "valid")
    assert rows[20]["startTime"] == "2026-06-22T11:30:00Z"
    assert rows[20]["validity"] == "in doubt"


def test_an_event_that_was_set_aside_is_marked_and_said_and_its_levels_stay(
    people: People, unit: Instrument
) -> None:
    event = Event.objects.get()
    event.end_at = event.start_at + timedelta(minutes=2)
    event.save()
    EventTag.objects.create(organisation=people.organisation, event=event, excluded=True, changed_at=NOON)
    Calibration.objects.all().delete()
    SystemIntegrityCheck.objects.all().delete()
    bob = people.client(people.bob)
    marks = bob.get(f"{PAGE}levels.json", HOUR_BEFORE).json()["marks"]
    assert [mark["label"] for mark in marks if mark["layer"] == "exclusions"] == [
        "Excluded: Event 85 dB, 87.5 dB"
    ]
    rows = read(bob.get(f"{PAGE}levels.csv", HOUR_BEFORE))
    # Twenty past lies in the gap: what was not measured is missing, not excluded.
    assert {row["validity"] for row in rows[20:22]} == {"missing"}
    Event.objects.update(start_at=NOON - timedelta(minutes=58), end_at=NOON - timedelta(minutes=56))
    rows = read(bob.get(f"{PAGE}levels.csv", HOUR_BEFORE))
    assert [(row["validity"], row["LAeq"]) for row in rows[1:5]] == [
        ("valid", "50.1"),
        ("excluded", "50.2"),
        ("excluded", "50.3"),
        ("valid", "50.4"),
    ]
    recorded = read(bob.get(f"{PAGE}levels.csv", {**HOUR_BEFORE, "rows": "recorded"}))
    assert [row["validity"] for row in recorded[1:5]] == ["valid", "excluded", "excluded", "valid"]
    assert "excluded</span>" in bob.get(f"{PAGE}levels/", HOUR_BEFORE).content.decode()


def test_every_event_that_was_set_aside_is_said_in_a_file(people: People, unit: Instrument) -> None:
    """One that began before the file does, and of very many the oldest too; the chart draws the newest."""
    Event.objects.all().delete()
    Calibration.objects.all().delete()
    SystemIntegrityCheck.objects.all().delete()
    starts = [
        NOON - timedelta(minutes=70),
        *(NOON - timedelta(seconds=5 * number) for number in range(1, 400)),
    ]
    lengths = [timedelta(minutes=12), *[timedelta(seconds=1)] * 399]
    events = Event.objects.bulk_create(
        Event(organisation=people.organisation, instrument=unit, start_at=start, end_at=start + length)
        for start, length in zip(starts, lengths, strict=True)
    )
    EventTag.objects.bulk_create(
        EventTag(organisation=people.organisation, event=event, excluded=True, changed_at=NOON)
        for event in events
    )
    bob = people.client(people.bob)
    expected = ["excluded"] * 2 + ["valid"] * 18 + ["missing"] * 10
    rows = read(bob.get(f"{PAGE}levels.csv", HOUR_BEFORE))
    assert [row["validity"] for row in rows[:30]] == expected
    # 399 of them, five seconds apart, are the last 34 minutes.
    assert {row["validity"] for row in rows[30:]} == {"excluded"}
    recorded = read(bob.get(f"{PAGE}levels.csv", {**HOUR_BEFORE, "rows": "recorded"}))
    assert [row["validity"] for row in recorded] == ["excluded"] * 2 + ["valid"] * 18 + ["excluded"] * 30
    marks = bob.get(f"{PAGE}levels.json", HOUR_BEFORE).json()["marks"]
    drawn = [mark["at"] for mark in marks if mark["layer"] == "exclusions"]
    assert len(drawn) == MOST
    assert max(drawn) == int((NOON - timedelta(seconds=5)).timestamp() * 1000)


def test_a_period_that_was_changed_leaves_no_holes(people: People, unit: Instrument) -> None:
    """Five minutes each until half past, one minute each since: the present says one minute."""
    NoiseMeasurement.objects.filter(start_at__lt=NOON - timedelta(minutes=30)).delete()
    owned: dict[str, Any] = {"organisation": people.organisation, "instrument": unit}
    for minutes in range(60, 30, -5):
        at = NOON - timedelta(minutes=minutes)
        NoiseMeasurement.objects.create(**owned, start_at=at, duration_s=300, LAeq=50.0, LAF90=40.0)
    bob = people.client(people.bob)
    rows = read(bob.get(f"{PAGE}levels.csv", HOUR_BEFORE))
    assert [(row["duration"], row["coverage"]) for row in rows] == [("300", "100.0")] * 12
    # A point of one measurement has its percentile, one of several has none (R5).
    assert [row["LAF90"] for row in rows] == ["40.0"] * 6 + [""] * 6
    chart = bob.get(f"{PAGE}levels.json", HOUR_BEFORE).json()
    assert "LAF90,5min" in str(chart)


def test_outsiders_get_nothing(people: People, unit: Instrument) -> None:
    charlie = people.client(people.charlie)
    assert charlie.get(f"{PAGE}levels.csv").status_code == 404
    theirs = charlie.get("/o/quarry/i/QT000001/levels.csv", {**HOUR_BEFORE, "rows": "recorded"})
    assert read(theirs) == []


def test_a_year_with_many_marks_costs_the_queries_of_one_with_few(
    people: People, unit: Instrument, django_assert_max_num_queries: Any
) -> None:
    asked = {"from": "2025-07-01T00:00:00Z", "to": "2026-06-23T00:00:00Z"}
    page = people.client(people.alice)
    # Session, membership, instrument, zone, places, levels, checks, events, actions, tolerances, reviews: each once.
    with django_assert_max_num_queries(11) as few:
        page.get(f"{PAGE}levels.json", asked)
    owned: dict[str, Any] = {"organisation": people.organisation, "instrument": unit}
    for day in range(100):
        at = NOON - timedelta(days=day)
        SystemIntegrityCheck.objects.create(**owned, at=at, status="x", passed=day % 9 > 0)
        Calibration.objects.create(**owned, at=at, status="Success", offset_db=day % 7)
        Event.objects.create(**owned, start_at=at, end_at=at, name="85 dB")
    with django_assert_max_num_queries(len(few)):
        page.get(f"{PAGE}levels.json", asked)


def test_a_stretch_is_told_in_the_zone_of_where_it_was_measured(people: People, unit: Instrument) -> None:
    for name, zone, start, end in (
        ("Quay", "Europe/Lisbon", NOON - timedelta(days=9), NOON - timedelta(minutes=30)),
        ("Mill", "Europe/Berlin", NOON - timedelta(minutes=30), None),
    ):
        site = Site.objects.create(organisation=people.organisation, name=name, timezone=zone)
        deployment_start(instrument=unit, site=site, start_at=start, end_at=end, note="", actor=people.mary)
    page = people.client(people.alice)

    def zone(start: str, end: str) -> tuple[str, int]:
        answer = page.get(f"{PAGE}levels.json", {"from": start, "to": end}).json()
        return answer["zone"], answer["start"]

    noon = int(NOON.timestamp() * 1000)
    assert zone("2026-06-22T11:00:00Z", "2026-06-22T11:30:00Z")[0] == "Europe/Lisbon"
    assert zone("2026-06-22T11:00:00Z", "2026-06-22T12:00:00Z")[0] == "Europe/Berlin"
    # What a form says is the clock on that wall: noon in Lisbon was an hour after noon in London's winter time.
    assert zone("2026-06-22T12:00", "2026-06-22T12:20") == ("Europe/Lisbon", noon - 3_600_000)
    table = page.get(f"{PAGE}levels/", {"from": "2026-06-22T11:00:00Z", "to": "2026-06-22T11:10:00Z"})
    assert "Europe/Lisbon" in table.content.decode()
    assert "12:05" in table.content.decode()


@pytest.fixture
def moved(people: People, unit: Instrument) -> Instrument:
    """It came to the quay ten minutes into its hour, was moved to the mill at half past, and left ten minutes later."""
    for name, start, end in (("Quay", 50, 30), ("Mill", 30, 20)):
        deployment_start(
            instrument=unit,
            site=Site.objects.create(organisation=people.organisation, name=name),
            start_at=NOON - timedelta(minutes=start),
            end_at=NOON - timedelta(minutes=end),
            note="",
            actor=people.mary,
        )
    return unit


def test_moves_are_marked_and_the_summary_names_the_places(people: People, moved: Instrument) -> None:
    told = people.client(people.bob).get(f"{PAGE}levels.json", HOUR_BEFORE).json()
    marks = [(mark["at"], mark["label"]) for mark in told["marks"] if mark["layer"] == "moves"]
    noon = int(NOON.timestamp() * 1000)
    assert marks == [
        (noon - 50 * 60_000, "Put up at Quay"),
        (noon - 30 * 60_000, "Moved from Quay to Mill"),
        (noon - 20 * 60_000, "Taken down at Mill"),
    ]
    assert "Measured at Quay, Mill." in told["summary"]


def test_files_and_table_name_the_site_of_each_row(people: People, moved: Instrument) -> None:
    bob = people.client(people.bob)
    rows = read(bob.get(f"{PAGE}levels.csv", HOUR_BEFORE))
    sites = ["", "Quay", "Mill", ""]
    assert [rows[minute]["site"] for minute in (9, 29, 30, 40)] == sites
    recorded = {
        row["startTime"]: row["site"]
        for row in read(bob.get(f"{PAGE}levels.csv", {**HOUR_BEFORE, "rows": "recorded"}))
    }
    assert [recorded[f"2026-06-22T11:{minute}:00Z"] for minute in ("09", "19", "30", "40")] == sites
    page = bob.get(f"{PAGE}levels/", HOUR_BEFORE).content.decode()
    assert '<th scope="col">Site</th>' in page
    assert "<td>Mill</td>" in page
    # A point that holds a move names both places.
    long = read(bob.get(f"{PAGE}levels.csv", {"from": "2026-05-01T00:00:00Z", "to": "2026-06-23T00:00:00Z"}))
    assert "Quay; Mill" in {row["site"] for row in long}


@pytest.mark.parametrize("address", ["levels.csv", "compare.csv"])
def test_a_file_runs_no_site_s_name(people: People, unit: Instrument, address: str) -> None:
    site = Site.objects.create(organisation=people.organisation, name="=2+2")
    deployment_start(
        instrument=unit, site=site, start_at=NOON - timedelta(1), end_at=None, note="", actor=people.mary
    )
    page = "/o/harbour/" if address.startswith("compare") else PAGE
    rows = read(people.client(people.bob).get(f"{page}{address}", {**HOUR_BEFORE, "i": unit.serial}))
    assert {row["site"] for row in rows} == {"'=2+2"}


def test_where_nothing_moved_a_sentence_names_the_place_for_all(people: People, unit: Instrument) -> None:
    bob = people.client(people.bob)
    assert "Measured at" not in bob.get(f"{PAGE}levels/", HOUR_BEFORE).content.decode()
    site = Site.objects.create(organisation=people.organisation, name="Quay")
    deployment_start(
        instrument=unit, site=site, start_at=NOON - timedelta(1), end_at=None, note="", actor=people.mary
    )
    page = bob.get(f"{PAGE}levels/", HOUR_BEFORE).content.decode()
    assert "Measured at Quay." in page
    assert '<th scope="col">Site</th>' not in page
    heading = bob.get(PAGE).content.decode()
    assert "now at Quay" in heading
    # Where it stands and stood throughout is asked once.
    with CaptureQueriesContext(connection) as queries:
        bob.get(f"{PAGE}levels.json", HOUR_BEFORE)
    assert sum("instruments_deployment" in query["sql"] for query in queries) == 1
