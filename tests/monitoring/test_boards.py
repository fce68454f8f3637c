"""The boards of checks: what is wrong stands first, in as many queries for any fleet."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from instruments import mycirrus
from instruments.activity import activities
from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from monitoring.acoustics.validity import Suspect
from monitoring.boards import (
    BOARDS,
    LIMIT,
    OLDEST,
    SORTS,
    STEP,
    WORST,
    BoardTime,
    board,
    board_after,
    board_counts,
    board_page,
    board_row,
)
from monitoring.check_standings import sic_baseline_clear, sic_baseline_set, standing_refresh
from monitoring.models import (
    Calibration,
    CalibrationLogEntry,
    Calibrator,
    Certificate,
    CheckStanding,
    SicBaseline,
    SystemIntegrityCheck,
    Tolerances,
)
from monitoring.models.tolerances import months_later
from monitoring.sync.ingest import calibrations_store, sics_store
from tests.conftest import People, make_instrument

NOW = datetime.now(UTC).replace(microsecond=0)
BOARD = "/o/harbour/checks/calibrations/"


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    """No day ends while days are counted."""
    with time_machine.travel(NOW, tick=False):
        yield


def calibrated(
    instrument: Instrument, *offsets: float | None, status: str = "Success", every: int = 30
) -> None:
    """Calibrations with these offsets, the last one five days ago; ``status`` is of that last one."""
    with organisation_scope(instrument.organisation_id):
        for index, offset in enumerate(reversed(offsets)):
            Calibration.objects.create(
                organisation_id=instrument.organisation_id,
                instrument=instrument,
                at=NOW - timedelta(days=5 + every * index),
                status=status if index == 0 else "Success",
                level_db=93.7,
                offset_db=offset,
            )
        standing_refresh(instrument=instrument)


def checked(instrument: Instrument, levels: list[float], *, passed: bool = True) -> None:
    """One SIC a night with these levels at 1 kHz, the last of them last night; ``passed`` is of that last one."""
    with organisation_scope(instrument.organisation_id):
        for index, level in enumerate(reversed(levels)):
            good = passed if index == 0 else True
            SystemIntegrityCheck.objects.create(
                organisation_id=instrument.organisation_id,
                instrument=instrument,
                at=NOW - timedelta(hours=8, days=index),
                status="Success" if good else "Failed",
                passed=good,
                level_500hz_db=98.5,
                level_1khz_db=level,
                level_8khz_db=98.4,
            )
        standing_refresh(instrument=instrument)


@pytest.mark.parametrize("wild", [12345.678, -32768.0, 1e300])
def test_a_number_that_is_too_large_for_the_board_is_no_reason_to_store_nothing(
    people: People, wild: float
) -> None:
    meter, other = (make_instrument(people.organisation, serial=serial) for serial in ("QT1", "QT2"))
    calibrated(meter, -wild, wild)
    checked(other, [98.0] * 15 + [-wild, wild] * 10 + [wild])
    with organisation_scope(people.organisation.pk):
        calibrated_to = CheckStanding.objects.get(instrument=meter)
        heard = CheckStanding.objects.get(instrument=other)
    farthest = Decimal("9999.999") if wild > 0 else Decimal("-9999.999")
    assert (calibrated_to.offset_db, calibrated_to.step_db) == (farthest, farthest)
    assert abs(heard.sic_difference_db or 0) > 9000


def rows_of(people: People, kind: str, **held: Any) -> dict[str, str]:
    """The state of each row by its serial, in the board's order."""
    with organisation_scope(people.organisation.pk):
        tolerances, time = Tolerances(**held), BoardTime(NOW, NOW.date())
        rows = board(kind, tolerances=tolerances, time=time)
        return {each.serial: board_row(each, kind, tolerances=tolerances, time=time).state for each in rows}


def suspects_of(people: People) -> list[Suspect | None]:
    """What each row of the board of calibrations leaves in doubt."""
    with organisation_scope(people.organisation.pk):
        tolerances, time = Tolerances(), BoardTime(NOW, NOW.date())
        rows = board("calibrations", tolerances=tolerances, time=time)
        return [board_row(each, "calibrations", tolerances=tolerances, time=time).suspect for each in rows]


def certificate(instrument: Instrument, due_on: date, **fields: Any) -> Certificate:
    with organisation_scope(instrument.organisation_id):
        return Certificate.objects.create(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            number=fields.pop("number", "U-17"),
            laboratory="Acoustics Laboratory",
            issued_on=fields.pop("issued_on", due_on - timedelta(days=700)),
            due_on=due_on,
            **fields,
        )


def test_calibrations_stand_worst_first(people: People) -> None:
    made = {serial: make_instrument(people.organisation, serial) for serial in "ABCDEFGHI"}
    calibrated(made["A"], 0.0, 0.1)
    calibrated(made["B"], 0.0, 0.50)
    calibrated(made["C"], 0.0, 0.51)
    calibrated(made["D"], 1.2, 1.6)
    calibrated(made["E"], 0.0, 0.0, status="Failed")
    calibrated(made["G"], 0.0, 0.0)
    certificate(made["G"], NOW.date() - timedelta(days=1))
    calibrated(made["H"], 0.0, 0.0)
    certificate(made["H"], NOW.date() + timedelta(days=20))
    calibrated(made["I"], 0.0, 0.0, status="Whatever")
    # F was never calibrated; air and what is gone are on no board.
    make_instrument(people.organisation, "AIR", type="AirQuality")
    make_instrument(people.organisation, "GONE", gone_at=NOW)
    make_instrument(people.other, "THEIRS")
    assert rows_of(people, "calibrations") == {
        "E": "failed",
        "C": "moved",
        "D": "moved",
        "G": "certificate",
        "F": "never",
        "H": "soon",
        "I": "unclear",
        "A": "good",
        "B": "good",
    }


def test_half_a_decibel_passes_as_decimals_do(people: People) -> None:
    # 0.8 − 0.3 is 0.5000000000000001 in binary, and the database has to agree with the page.
    instrument = make_instrument(people.organisation)
    calibrated(instrument, 0.3, 0.8)
    assert rows_of(people, "calibrations") == {"QT000001": "good"}
    assert rows_of(people, "calibrations", step_db=Decimal("0.49")) == {"QT000001": "moved"}
    assert rows_of(people, "calibrations", offset_db=Decimal("0.80")) == {"QT000001": "good"}
    assert rows_of(people, "calibrations", offset_db=Decimal("0.79")) == {"QT000001": "moved"}


def test_what_is_due_is_counted_from_the_last_good_calibration_and_no_sic_moves_it(people: People) -> None:
    instrument = make_instrument(people.organisation)
    calibrated(instrument, 0.0, 0.0)
    checked(instrument, [98.3] * 4)
    assert rows_of(people, "calibrations", calibration_days=4) == {"QT000001": "overdue"}
    assert rows_of(people, "calibrations", calibration_days=6) == {"QT000001": "soon"}
    assert rows_of(people, "calibrations", calibration_days=60) == {"QT000001": "good"}
    assert rows_of(people, "calibrations") == {"QT000001": "good"}


def test_sics_stand_worst_first(people: People) -> None:
    made = {serial: make_instrument(people.organisation, serial) for serial in "ABCDEFG"}
    checked(made["A"], [98.3] * 12)
    checked(made["B"], [*[98.3] * 11, 97.6])
    checked(made["C"], [*[98.3] * 11, 97.59])
    checked(made["D"], [98.3 - 0.02 * night for night in range(25)])
    checked(made["E"], [98.3] * 4, passed=False)
    checked(made["F"], [98.3, 98.3])
    assert rows_of(people, "sics") == {
        "E": "failed",
        "C": "moved",
        "D": "drifting",
        "G": "silent",
        "F": "unclear",
        "A": "good",
        "B": "good",
    }


def test_limit_is_where_the_line_leaves_the_tolerance(people: People) -> None:
    instrument = make_instrument(people.organisation)
    checked(instrument, [98.3 - 0.02 * night for night in range(25)])
    # As the page has it: by the organisation's own days.
    with organisation_scope(people.organisation.pk), timezone.override(people.organisation.zone):
        tolerances, time = Tolerances(), BoardTime(NOW, timezone.localdate(NOW))
        (found,) = board("sics", tolerances=tolerances, time=time)
        row = board_row(found, "sics", tolerances=tolerances, time=time)
        days = row.limit_days
        each = {one.name: one for one in row.frequencies}["1 kHz"]
        # Baseline 98.26 (the median of the first five), 97.82 last night, 0.02 dB a night: 97.56 in 13 nights.
        assert each.baseline_db == Decimal("98.26")
        assert each.difference_db == Decimal("-0.44")
        assert each.per_month_db == pytest.approx(-0.6)
        assert each.days_left == pytest.approx(13)
        limit_at = row.standing.sic_limit_at
        assert limit_at == pytest.approx(
            NOW - timedelta(hours=8) + timedelta(days=13), abs=timedelta(seconds=1)
        )
        assert days == (timezone.localdate(limit_at) - timezone.localdate(NOW)).days
        assert [one.days_left for one in row.frequencies if one.name != "1 kHz"] == [None, None]
    with time_machine.travel(NOW, tick=False):
        text = people.client(people.bob).get("/o/harbour/checks/sics/").content.decode()
        answer = people.client(people.bob).get("/o/harbour/checks/sics.csv")
        (told,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))  # type: ignore[attr-defined]
    assert f"{days} days" in text
    assert told["limit_days"] == str(days)


def test_baseline_begins_anew_with_a_calibration_and_can_be_set(people: People) -> None:
    instrument = make_instrument(people.organisation)
    checked(instrument, [98.3] * 10 + [97.0] * 4)
    assert rows_of(people, "sics") == {"QT000001": "moved"}
    with organisation_scope(people.organisation.pk):
        Calibration.objects.create(
            organisation=people.organisation,
            instrument=instrument,
            at=NOW - timedelta(days=3, hours=12),
            status="Success",
        )
        assert standing_refresh(instrument=instrument).sic["of"] == 4
        assert rows_of(people, "sics") == {"QT000001": "good"}
        levels = {"level_1khz_db": Decimal("98.0")}
        sic_baseline_set(instrument=instrument, levels=levels, note="lab", actor=people.mary, now=NOW)
        assert CheckStanding.objects.get().sic["source"] == "set"
        assert CheckStanding.objects.get().sic_difference_db == Decimal("-1.0")
        assert activities(before=None, most=1)[0].verb == "sic_baseline_set"
        sic_baseline_clear(instrument=instrument, actor=people.mary)
        assert not SicBaseline.objects.exists()
        assert CheckStanding.objects.get().sic_difference_db == 0


def _fleet(people: People, size: int) -> None:
    for number in range(size):
        instrument = make_instrument(people.organisation, f"QT{size:03}{number:03}")
        calibrated(instrument, 0.0, 0.6 if number % 3 else 0.1)
        checked(instrument, [98.3] * 4, passed=bool(number % 4))


def drifting(people: People) -> dict[str, Instrument]:
    """Monitors at any distance from their limit: B is beyond it, D nearest, then E and F alike, the others nowhere."""
    names = {"F": "Monitor E"}
    made = {
        serial: make_instrument(people.organisation, serial, name=names.get(serial, f"Monitor {serial}"))
        for serial in "ABCDEFG"
    }
    checked(made["A"], [98.3] * 12)
    checked(made["B"], [*[98.3] * 11, 97.0])
    for serial, pace in (("C", 0.01), ("D", 0.025), ("E", 0.015), ("F", 0.015)):
        checked(made[serial], [98.3 - pace * night for night in range(25)])
    return made


def serials(people: People, kind: str = "sics", sort: str = LIMIT, *, most: int = 100) -> list[str]:
    """A board in an order, that of SICs by the nearest limit unless said otherwise, read ``most`` at a time."""
    with organisation_scope(people.organisation.pk):
        tolerances, time = Tolerances(), BoardTime(NOW, NOW.date())
        rows = board(kind, tolerances=tolerances, time=time, sort=sort)
        seen: list[str] = []
        after = ""
        while found := board_page(rows, after=after, most=most, sort=sort):
            seen += [each.serial for each in found]
            after = board_after(found[-1], sort)
        return seen


def test_sics_stand_by_the_nearest_limit_and_those_without_one_last(people: People) -> None:
    drifting(people)
    make_instrument(people.other, "THEIRS")
    for most in (100, 3, 2, 1):
        assert serials(people, most=most) == ["B", "D", "E", "F", "C", "A", "G"]


def test_the_nearest_limit_is_that_of_the_tolerance_in_force(people: People) -> None:
    drifting(people)
    form = {"step_db": "0.5", "offset_db": "1.5", "meter_months": "24", "calibrator_months": "12"}
    address, adam = "/o/harbour/checks/tolerances/change/", people.client(people.adam)
    # Beyond it now is D alone, the fastest but for B.
    with CaptureQueriesContext(connection) as queries:
        assert adam.post(address, form | {"sic_db": "0.54"}).status_code == 302
    assert "monitoring_systemintegritycheck" not in " ".join(each["sql"] for each in queries)
    assert set(serials(people)[:2]) == {"B", "D"}
    with organisation_scope(people.organisation.pk):
        (held,) = Tolerances.objects.all()
        for row in board("sics", tolerances=held, time=BoardTime(NOW, NOW.date())):
            if hasattr(row, "check_standing"):
                kept = row.check_standing.sic_limit_at
                assert standing_refresh(instrument=row).sic_limit_at == kept
    assert adam.post(address, form | {"sic_db": "2"}).status_code == 302
    assert serials(people)[:2] == ["D", "E"]


def test_the_page_and_the_file_stand_in_the_order_that_was_asked_for(people: People) -> None:
    drifting(people)
    client = people.client(people.bob)
    text = client.get("/o/harbour/checks/sics/", {"sort": "limit"}).content.decode()
    assert '<option value="limit" selected>Nearest limit first</option>' in text
    assert '<th scope="col" aria-sort="ascending">Limit</th>' in text
    assert re.findall(r'class="serial">(\w)<', text) == ["B", "D", "E", "F", "C", "A", "G"]
    assert "reached" in text
    assert "sics.csv?sort=limit" in text
    assert "?state=moved&amp;sort=limit" in text
    answer = client.get("/o/harbour/checks/sics.csv", {"sort": "limit"})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [row["serial"] for row in rows] == ["B", "D", "E", "F", "C", "A", "G"]
    assert (rows[0]["limit_days"], rows[-1]["limit_days"]) == ("0", "")
    # Calibrations have no limit to come nearer to, and what nobody can sort by sorts nothing.
    for address in (f"{BOARD}?sort=limit", "/o/harbour/checks/sics/?sort=-rank"):
        assert client.get(address).status_code == 200
    assert "Nearest limit" not in client.get(BOARD, {"sort": "limit"}).content.decode()
    for odd in ("x", "-.", "-.no-such", "9" * 18 + ".A", ".A", "1.", "²2.A"):
        assert client.get("/o/harbour/checks/sics/", {"sort": "limit", "after": odd}).status_code == 200


def test_calibrations_stand_by_the_largest_step_or_the_oldest_first(people: People) -> None:
    steps = {"A": "0.10", "B": "-0.40", "C": None, "D": "0.40", "E": "0.005", "F": "0.00"}
    for number, (serial, step) in enumerate(steps.items()):
        made = make_instrument(people.organisation, serial, name=f"Monitor {serial}")
        with organisation_scope(people.organisation.pk):
            CheckStanding.objects.create(
                instrument=made,
                calibrated_at=NOW - timedelta(days=number % 4) if step else None,
                step_db=step,
                updated_at=NOW,
            )
    make_instrument(people.organisation, "G", name="Monitor G")
    make_instrument(people.other, "THEIRS")
    for most in (100, 2, 1):
        assert serials(people, "calibrations", STEP, most=most) == ["B", "D", "A", "E", "F", "C", "G"]
        assert serials(people, "calibrations", OLDEST, most=most) == ["D", "B", "F", "A", "E", "C", "G"]
    client = people.client(people.bob)
    text = client.get(BOARD, {"sort": "step"}).content.decode()
    assert '<option value="step" selected>Largest step first</option>' in text
    assert 'aria-sort="descending">Step</th>' in text
    assert re.findall(r'class="serial">(\w)<', text) == ["B", "D", "A", "E", "F", "C", "G"]
    for odd in ("x", "-.", "9" * 9 + ".A", "1.", "²2.A"):
        assert client.get(BOARD, {"sort": "step", "after": odd}).status_code == 200


@pytest.mark.parametrize("kind", list(BOARDS))
def test_a_board_costs_the_same_queries_for_any_fleet(people: People, kind: str) -> None:
    client, counts = people.client(people.bob), []
    for size in (3, 40):
        _fleet(people, size)
        client.get(f"/o/harbour/checks/{kind}/")
        with CaptureQueriesContext(connection) as queries:
            for sort in SORTS[kind]:
                assert client.get(f"/o/harbour/checks/{kind}/", {"sort": sort}).status_code == 200
        with CaptureQueriesContext(connection) as more:
            assert client.get(f"/o/harbour/checks/{kind}.csv").status_code == 200
        counts.append((len(queries), len(more)))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", list(BOARDS))
def test_pages_go_on_below_the_last_row_without_losing_or_repeating_one(people: People, kind: str) -> None:
    _fleet(people, 13)
    for serial, name in (("X1", "Same name"), ("X2", "Same name"), ("X3", "")):
        make_instrument(people.organisation, serial, name=name)
    with organisation_scope(people.organisation.pk):
        tolerances, time = Tolerances(), BoardTime(NOW, NOW.date())
        rows = board(kind, tolerances=tolerances, time=time)
        whole = [each.serial for each in rows]
        seen: list[str] = []
        after = ""
        while found := board_page(rows, after=after, most=4):
            seen += [each.serial for each in found]
            after = board_after(found[-1], WORST)
        assert seen == whole
        assert len(whole) == 16
        assert sum(board_counts(rows, kind).values()) == 16


def test_the_board_in_a_browser_says_what_is_suspect_and_since_when(people: People) -> None:
    calibrated(make_instrument(people.organisation, name="Crane"), 0.0, 0.6)
    text = people.client(people.bob).get(BOARD).content.decode()
    assert "Crane" in text
    assert "Beyond tolerance" in text
    assert "+0.60 dB" in text
    assert "are in doubt" in text
    assert "at most 0.50 dB" in text
    # Bob may not record a certificate.
    assert "Record one" not in text
    assert "Record one" in people.client(people.mary).get(BOARD).content.decode()


@pytest.mark.parametrize(
    ("last", "offset", "ends"), [("Failed", 0.0, False), ("Success", 0.6, True), ("Aborted", None, False)]
)
def test_a_run_of_bad_calibrations_is_one_doubt_and_its_review_is_shown(
    people: People, last: str, offset: float | None, ends: bool
) -> None:
    """R12: a doubt is known by the first check that failed, on the board as on chart and page."""
    meter = make_instrument(people.organisation)
    good_at, failed_at, last_at = (NOW - timedelta(days=days) for days in (9, 6, 3))
    with organisation_scope(people.organisation.pk):
        for at, status, moved in (
            (NOW - timedelta(days=12), "Failed", 0.0),
            (good_at, "Success", 0.0),
            (failed_at, " FAILED ", 0.0),
            (last_at, last, offset),
        ):
            Calibration.objects.create(
                organisation=people.organisation, instrument=meter, at=at, status=status, offset_db=moved
            )
        standing_refresh(instrument=meter)
    (suspect,) = suspects_of(people)
    assert suspect == Suspect(good_at, last_at if ends else None, failed_at)
    page, until = people.client(people.mary), failed_at - timedelta(days=1)
    address = reverse("monitoring:doubt-review", args=["harbour", meter.serial, int(failed_at.timestamp())])
    local = until.astimezone(people.organisation.zone)
    page.post(address, {"good_until": f"{local:%Y-%m-%dT%H:%M}", "evidence": "By hand."})
    (suspect,) = suspects_of(people)
    assert suspect is not None
    assert (suspect.since_at, suspect.found_at) == (until.replace(second=0), failed_at)


def test_a_monitor_that_was_never_checked_stands_there_without_numbers(people: People) -> None:
    make_instrument(people.organisation, name="Crane")
    client = people.client(people.bob)
    assert "Never calibrated" in client.get(BOARD).content.decode()
    assert "No recent SIC" in client.get("/o/harbour/checks/sics/").content.decode()
    for kind in BOARDS:
        answer = client.get(f"/o/harbour/checks/{kind}.csv")
        text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
        (row,) = csv.DictReader(io.StringIO(text))
        assert row["name"] == "Crane"


def test_filters_and_a_page_from_anywhere(people: People) -> None:
    calibrated(make_instrument(people.organisation, "QT000001", name="Crane"), 0.0, 0.6)
    calibrated(make_instrument(people.organisation, "QT000002", name="Gate"), 0.0, 0.1)
    client = people.client(people.bob)
    assert "Gate" not in client.get(BOARD, {"state": "moved"}).content.decode()
    assert "Crane" not in client.get(BOARD, {"text": "gate"}).content.decode()
    assert "Nothing matches" in client.get(BOARD, {"text": "zzz"}).content.decode()
    for odd in ("x", "1.", ".QT000001", "99999999.a", "1.\0", "0.no-such-serial", "²2.x", "9" * 5000 + ".x"):
        assert client.get(BOARD, {"after": odd}).status_code == 200


def test_csv_has_units_offsets_and_runs_no_formula(people: People) -> None:
    calibrated(make_instrument(people.organisation, "QT000001", name="=2+2"), 0.0, 0.6)
    answer = people.client(people.bob).get("/o/harbour/checks/calibrations.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["name"] == "'=2+2"
    assert (row["step_db"], row["offset_db"], row["step_tolerance_db"]) == ("0.600", "0.600", "0.50")
    assert datetime.fromisoformat(row["calibrated_at"]) == NOW - timedelta(days=5)
    assert row["certificate_due_on"] == ""


@pytest.mark.parametrize("kind", ["calibrations", "sics"])
def test_csv_tells_times_in_the_organisations_own_zone(people: People, kind: str) -> None:
    people.organisation.timezone = "Asia/Kathmandu"
    people.organisation.save()
    unit = make_instrument(people.organisation, "QT000001")
    calibrated(unit, 0.0)
    checked(unit, [94.0])
    answer = people.client(people.bob).get(f"/o/harbour/checks/{kind}.csv")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(io.StringIO(text))
    times = [value for name, value in row.items() if name.endswith("_at") and value]
    assert times
    assert all(value.endswith("+05:45") for value in times)


def test_admins_change_tolerances_and_the_log_says_from_what_to_what(people: People) -> None:
    address = "/o/harbour/checks/tolerances/"
    form = {
        "step_db": "1.0",
        "offset_db": "1.5",
        "calibration_days": "30",
        "sic_db": "0.7",
        "meter_months": "24",
        "calibrator_months": "12",
    }
    change = f"{address}change/"
    assert people.client(people.bob).post(change, form).status_code == 403
    assert "ISO 1996-2:2017" in people.client(people.bob).get(address).content.decode()
    adam = people.client(people.adam)
    assert adam.post(change, form | {"sic_db": "0.1"}).status_code == 422
    assert adam.post(change, form).status_code == 302
    assert adam.post(change, form | {"step_db": "0.8"}).status_code == 302
    with organisation_scope(people.organisation.pk):
        held = Tolerances.objects.get()
        assert (held.step_db, held.calibration_days) == (Decimal("0.80"), 30)
        assert "1.00 → 0.8" in activities(before=None, most=1)[0].detail
    with organisation_scope(people.other.pk):
        assert not Tolerances.objects.exists()


def test_certificates_are_recorded_and_fall_due_by_the_rule_in_force(people: People) -> None:
    instrument = make_instrument(people.organisation)
    theirs = make_instrument(people.other, "QT000009")
    mary = people.client(people.mary)
    assert (
        mary.post("/o/harbour/checks/calibrators/add/", {"serial": "88", "model": "CR:515"}).status_code
        == 302
    )
    assert mary.post("/o/harbour/checks/calibrators/add/", {"serial": "88"}).status_code == 422
    with organisation_scope(people.organisation.pk):
        calibrator = Calibrator.objects.get()
    told = {"number": "U-17", "laboratory": "Lab", "issued_on": "2026-01-31"}
    address = "/o/harbour/checks/certificates/add/"
    assert mary.post(address, told | {"instrument": theirs.serial}).status_code == 422
    assert mary.post(address, told | {"instrument": instrument.serial}).status_code == 302
    assert mary.post(address, told | {"calibrator": calibrator.pk}).status_code == 302
    with organisation_scope(people.organisation.pk):
        due = {bool(row.instrument_id): row.due_on for row in Certificate.objects.all()}
        assert due == {True: date(2028, 1, 31), False: date(2027, 1, 31)}
        row = Certificate.objects.get(calibrator=calibrator)
    assert mary.post(f"/o/harbour/checks/certificates/{row.pk}/remove/").status_code == 302
    with organisation_scope(people.organisation.pk):
        assert Certificate.objects.count() == 1
        assert activities(before=None, most=1)[0].verb == "certificate_removed"


def test_the_newest_certificate_of_each_thing_is_in_force_on_whichever_page(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.views.certificates.PER_PAGE", 2)
    instrument, today = make_instrument(people.organisation), NOW.date()
    for years in range(1, 4):
        certificate(instrument, today - timedelta(days=365 * years), number=f"R-{years}")
    certificate(instrument, today + timedelta(days=99), number="U-1")
    certificate(make_instrument(people.organisation, "QT2"), today - timedelta(days=9), number="U-2")
    page = people.client(people.bob)
    first, second, third = (
        page.get("/o/harbour/checks/certificates/", {"page": number}).content.decode() for number in (1, 2, 3)
    )
    # What is in force stands first, the first to run out before the rest.
    assert first.index("U-2") < first.index("U-1")
    assert (first.count("overdue"), first.count("replaced by a newer one")) == (1, 0)
    for text, count in ((second, 2), (third, 1)):
        assert (text.count("overdue"), text.count("replaced by a newer one")) == (0, count)
    assert 'rel="next" href="?page=2"' in first


def test_what_is_overdue_is_said_in_words_whatever_the_state(people: People) -> None:
    instrument = make_instrument(people.organisation)
    calibrated(instrument, 0.0, 0.0, status="Failed")
    certificate(instrument, NOW.date() - timedelta(days=1))
    with organisation_scope(people.organisation.pk):
        Tolerances.objects.create(organisation=people.organisation, calibration_days=4)
    text = people.client(people.bob).get(BOARD).content.decode()
    row = text[text.index("<tbody>") : text.index("</tbody>")]
    assert "Failed" in row
    assert row.count('<span class="visually-hidden"> overdue</span>') == 2


def test_months_end_where_a_month_does() -> None:
    assert months_later(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert months_later(date(2024, 2, 29), 24) == date(2026, 2, 28)
    assert months_later(date(2026, 11, 30), 1) == date(2026, 12, 30)
    assert months_later(date(2026, 12, 15), 12) == date(2027, 12, 15)


def test_history_page_has_chart_notes_and_suspects(people: People) -> None:
    instrument = make_instrument(people.organisation)
    calibrated(instrument, 0.0, 0.6, 0.6)
    checked(instrument, [98.3] * 4)
    with organisation_scope(people.organisation.pk):
        CalibrationLogEntry.objects.create(
            organisation=people.organisation,
            instrument=instrument,
            at=NOW,
            user="Sam",
            message="New windshield",
            digest="1",
        )
    client = people.client(people.bob)
    text = client.get("/o/harbour/i/QT000001/calibrations/").content.decode()
    assert "New windshield" in text
    assert "are in doubt" in text
    figure = client.get("/o/harbour/i/QT000001/calibrations.json").json()
    assert figure["traces"][0]["y"] == [0.0, 0.6, 0.6]
    assert figure["traces"][1]["y"] == [0.6]
    assert [mark["label"] for mark in figure["marks"]] == ["+0.60 dB"]
    # Without a layer that the script knows, a mark is not drawn.
    assert [(mark["layer"], mark["failed"]) for mark in figure["marks"]] == [("checks", True)]
    figure = client.get("/o/harbour/i/QT000001/sics.json").json()
    assert figure["traces"][1]["y"] == [0.0, 0.0, 0.0, 0.0]
    assert [limit["level"] for limit in figure["limits"]] == [0.7, -0.7]
    assert "median of the first 4" in client.get("/o/harbour/i/QT000001/sics/").content.decode()


def test_baseline_form(people: People) -> None:
    instrument = make_instrument(people.organisation)
    checked(instrument, [98.3] * 4)
    mary, address = people.client(people.mary), "/o/harbour/i/QT000001/sic-baseline/"
    assert 'value="98.3"' in mary.get(address).content.decode()
    assert mary.post(address, {}).status_code == 422
    assert mary.post(address, {"level_1khz_db": "98.0"}).status_code == 302
    with organisation_scope(people.organisation.pk):
        assert CheckStanding.objects.get().sic_difference_db == Decimal("0.3")
    assert mary.post(address, {"clear": "1"}).status_code == 302
    with organisation_scope(people.organisation.pk):
        assert not SicBaseline.objects.exists()


def test_what_is_fetched_stands_on_the_board_in_the_same_transaction(people: People) -> None:
    instrument = make_instrument(people.organisation)
    with organisation_scope(people.organisation.pk):
        for days, offset in ((40, 0.0), (1, 0.6)):
            told = mycirrus.Calibration("QT000001", NOW - timedelta(days=days), "Success", 93.7, offset, {})
            calibrations_store(instrument=instrument, rows=[told], now=NOW)
        assert CheckStanding.objects.get().step_db == Decimal("0.6")
        failed = mycirrus.Sic("QT000001", NOW - timedelta(hours=1), "Failed", 98.5, 98.3, 62.1, {})
        sics_store(instrument=instrument, rows=[failed], now=NOW)
        assert rows_of(people, "sics") == {"QT000001": "failed"}
        # Checks from before there were standings get theirs with the next answer, though nothing in it is new.
        CheckStanding.objects.all().delete()
        sics_store(instrument=instrument, rows=[failed], now=NOW)
        assert CheckStanding.objects.get().step_db == Decimal("0.6")
