"""Levels in doubt under the organisation's tolerances, and what a reviewer takes out of it."""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from instruments.models import Activity, Instrument
from instruments.tenancy import organisation_scope
from monitoring.acoustics.validity import Suspect, released
from monitoring.charts.marks import marks_of
from monitoring.check_standings import standing_refresh
from monitoring.doubt import checks_around, doubt_of
from monitoring.models import (
    Calibration,
    DoubtReview,
    InstrumentStatus,
    NoiseMeasurement,
    SystemIntegrityCheck,
    Tolerances,
)
from tests.conftest import People, make_instrument

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def meter(people: People) -> Instrument:
    """Calibrated well at noon, and found 0.6 dB off at six in the evening."""
    instrument = make_instrument(people.organisation)
    with organisation_scope(people.organisation.pk):
        for hours, offset in ((-24, 0.0), (0, 0.0), (6, 0.6), (30, 0.6)):
            Calibration.objects.create(
                organisation=people.organisation,
                instrument=instrument,
                at=NOON + hours * HOUR,
                status="Success",
                offset_db=offset,
            )
    return instrument


def marked(
    instrument: Instrument, layer: str, *, since: datetime = NOON - HOUR
) -> list[tuple[Any, Any, str]]:
    with organisation_scope(instrument.organisation_id):
        found = marks_of(instrument=instrument, start=since, end=NOON + 12 * HOUR)
    return [(mark.at, mark.until, mark.label) for mark in found.marks if mark.layer == layer]


def test_checks_are_read_as_the_orm_reads_them(people: People, meter: Instrument) -> None:
    with organisation_scope(people.organisation.pk):
        for hour, passed in enumerate((True, False, None)):
            SystemIntegrityCheck.objects.create(
                organisation=people.organisation,
                instrument=meter,
                at=NOON + hour * HOUR,
                status=str(passed),
                passed=passed,
            )
        checked = checks_around(instrument=meter, start=NOON, end=NOON + 12 * HOUR)
        calibrations, sics = Calibration.objects.order_by("at"), SystemIntegrityCheck.objects.order_by("at")
        assert [check[1:] for check in checked.calibrations] == [
            (check.at, check.status, check.offset_db, None) for check in calibrations
        ]
        assert [check[1:] for check in checked.sics] == [
            (check.at, check.status, None, check.passed) for check in sics
        ]
        assert {type(check.passed) for check in checked.sics} == {bool, type(None)}
    with organisation_scope(people.other.pk), pytest.raises(NoiseMeasurement.DoesNotExist):
        checks_around(instrument=meter, start=NOON, end=NOON + 12 * HOUR)


def hours(instrument: Instrument) -> None:
    """An hour's level from ten in the morning to eight in the evening."""
    with organisation_scope(instrument.organisation_id):
        NoiseMeasurement.objects.bulk_create(
            NoiseMeasurement(
                organisation_id=instrument.organisation_id,
                instrument=instrument,
                start_at=NOON + (number - 2) * HOUR,
                duration_s=3600,
                LAeq=55,
            )
            for number in range(10)
        )


def address(instrument: Instrument, at: datetime) -> str:
    return reverse("monitoring:doubt-review", args=["harbour", instrument.serial, int(at.timestamp())])


def test_the_organisations_tolerance_decides(meter: Instrument) -> None:
    assert marked(meter, "suspect") == [(NOON, NOON + 6 * HOUR, "Levels in doubt")]
    with organisation_scope(meter.organisation_id):
        Tolerances.objects.create(organisation_id=meter.organisation_id, step_db=Decimal("0.7"))
    assert marked(meter, "suspect") == []


@pytest.mark.parametrize("kind", ["calibration", "sic"])
def test_checks_that_say_neither_hide_no_failure(people: People, kind: str) -> None:
    """R12: what a failed check began goes on until the next satisfactory one, whatever was broken off between."""
    instrument = make_instrument(people.organisation)
    with organisation_scope(people.organisation.pk):
        for hours, status in (
            (-48, "Success"),
            (-24, "Failed"),
            (-23, "Aborted"),
            (-22, "Aborted"),
            (15, ""),
        ):
            owned: dict[str, Any] = {
                "organisation": people.organisation,
                "instrument": instrument,
                "at": NOON + hours * HOUR,
                "status": status,
            }
            if kind == "calibration":
                Calibration.objects.create(**owned)
            else:
                SystemIntegrityCheck.objects.create(
                    **owned, passed={"Success": True, "Failed": False}.get(status)
                )
    ((start, end, _),) = marked(instrument, "suspect")
    assert (start, end) == (NOON - HOUR, NOON + 12 * HOUR)


def test_a_doubt_from_far_outside_reaches_in(people: People) -> None:
    instrument = make_instrument(people.organisation)
    with organisation_scope(people.organisation.pk):
        for days, passed in ((-9, True), (-8, False), (40, True)):
            SystemIntegrityCheck.objects.create(
                organisation=people.organisation,
                instrument=instrument,
                at=NOON + days * DAY,
                status="Success" if passed else "Failed",
                passed=passed,
            )
    assert marked(instrument, "suspect") == [(NOON - HOUR, NOON + 12 * HOUR, "Levels in doubt")]


def test_a_review_shortens_the_doubt_and_is_shown(people: People, meter: Instrument) -> None:
    hours(meter)
    page = people.client(people.mary)
    found = NOON + 6 * HOUR
    answer = page.post(
        address(meter, found),
        {"good_until": "2026-11-24T15:00", "evidence": "Hand-held meter beside it read the same at 3."},
        follow=True,
    )
    assert "Hand-held meter beside it" in answer.content.decode()
    assert marked(meter, "suspect") == [(NOON + 3 * HOUR, found, "Levels in doubt")]
    ((since, until, words),) = marked(meter, "reviewed")
    assert (since, until) == (NOON, NOON + 3 * HOUR)
    assert words == "Out of doubt: Hand-held meter beside it read the same at 3. (Mary)"
    lines = page.get(
        reverse("monitoring:levels-csv", args=["harbour", meter.serial]),
        {"from": "2026-11-24T10:00Z", "to": "2026-11-24T20:00Z", "rows": "recorded"},
    )
    text = b"".join(lines.streaming_content).decode()  # type: ignore[attr-defined]
    told = [row["validity"] for row in csv.DictReader(text.splitlines())]
    assert told == ["valid"] * 2 + ["out of doubt"] * 3 + ["in doubt"] * 3 + ["valid"] * 2
    record = page.get(reverse("monitoring:record", args=["harbour"])).content.decode()
    assert "Hand-held meter beside it" in record
    with organisation_scope(meter.organisation_id):
        entry = Activity.objects.get(verb="doubt_reviewed")
    assert "2026-11-24 15:00 UTC" in entry.detail


def test_taking_it_back_keeps_what_was_said(people: People, meter: Instrument) -> None:
    page, found = people.client(people.mary), address(meter, NOON + 6 * HOUR)
    page.post(found, {"good_until": "2026-11-24T15:00", "evidence": "A hand-held meter."})
    # Until when is no question then: the browser may not insist on it.
    assert 'value="1" formnovalidate' in page.get(found).content.decode()
    page.post(found, {"clear": "1", "evidence": "It was the other meter."})
    assert marked(meter, "suspect") == [(NOON, NOON + 6 * HOUR, "Levels in doubt")]
    with organisation_scope(meter.organisation_id):
        assert list(DoubtReview.objects.values_list("evidence", flat=True)) == [
            "A hand-held meter.",
            "It was the other meter.",
        ]


@pytest.mark.parametrize("until", ["2026-11-24T11:59", "2026-11-24T18:01", "", "soon"])
def test_only_what_is_in_doubt_can_be_taken_out(people: People, meter: Instrument, until: str) -> None:
    answer = people.client(people.mary).post(
        address(meter, NOON + 6 * HOUR), {"good_until": until, "evidence": "So it was."}
    )
    assert answer.status_code == 422
    with organisation_scope(meter.organisation_id):
        assert not DoubtReview.objects.exists()


def test_evidence_is_asked_for(people: People, meter: Instrument) -> None:
    answer = people.client(people.mary).post(
        address(meter, NOON + 6 * HOUR), {"good_until": "2026-11-24T15:00", "evidence": " "}
    )
    assert answer.status_code == 422


def test_a_check_that_threw_nothing_in_doubt_is_no_page(people: People, meter: Instrument) -> None:
    assert people.client(people.mary).get(address(meter, NOON)).status_code == 404


def test_nobody_shortens_what_is_void_after_the_failure() -> None:
    suspect = Suspect(NOON, None, NOON + HOUR)
    assert released(suspect, NOON + DAY).since_at == NOON + HOUR
    assert released(suspect, NOON - HOUR) == suspect
    assert released(suspect, None) == suspect


def test_both_check_pages_lead_there(people: People, meter: Instrument) -> None:
    with organisation_scope(people.organisation.pk):
        SystemIntegrityCheck.objects.create(
            organisation=people.organisation,
            instrument=meter,
            at=NOON + 40 * HOUR,
            status="Failed",
            passed=False,
        )
    page = people.client(people.mary)
    told = "are in doubt, until a SIC or a calibration is good"
    assert told in page.get(address(meter, NOON + 40 * HOUR)).content.decode()
    for kind, hour in (("calibrations", 6), ("sics", 40)):
        text = page.get(reverse(f"monitoring:{kind}", args=["harbour", meter.serial])).content.decode()
        assert f'href="{address(meter, NOON + hour * HOUR)}"' in text
        assert page.get(address(meter, NOON + hour * HOUR)).status_code == 200
    with organisation_scope(people.organisation.pk):
        InstrumentStatus.objects.create(
            organisation=people.organisation,
            instrument=meter,
            online=True,
            measuring=True,
            observed_at=datetime.now(UTC),
            changed_at=NOON,
            sic_at=NOON + 40 * HOUR,
            sic_status="Failed",
            sic_passed=False,
        )
    own = f"/o/harbour/i/{meter.serial}/"
    link = f'href="{address(meter, NOON + 40 * HOUR)}"'
    assert link in page.get(own).content.decode()
    assert link not in people.client(people.bob).get(own).content.decode()


def test_board_and_instrument_page_know_of_it(people: People, meter: Instrument) -> None:
    page = people.client(people.mary)
    with organisation_scope(people.organisation.pk):
        Calibration.objects.filter(at__gt=NOON + 6 * HOUR).delete()
        standing_refresh(instrument=meter)
        for hour, passed in ((7, True), (8, False)):
            SystemIntegrityCheck.objects.create(
                organisation=people.organisation,
                instrument=meter,
                at=NOON + hour * HOUR,
                status="x",
                passed=passed,
            )
    board = reverse("monitoring:checks-calibrations", args=["harbour"])
    assert "Levels from 24 Nov 2026, 12:00 to" in page.get(board).content.decode()
    page.post(address(meter, NOON + 6 * HOUR), {"good_until": "2026-11-24T15:00", "evidence": "By hand."})
    assert "Levels from 24 Nov 2026, 15:00 to" in page.get(board).content.decode()
    with organisation_scope(people.organisation.pk):
        assert doubt_of(instrument=meter) == Suspect(NOON + 7 * HOUR, None, NOON + 8 * HOUR)
    page.post(address(meter, NOON + 8 * HOUR), {"good_until": "2026-11-24T19:30", "evidence": "By hand."})
    with organisation_scope(people.organisation.pk):
        found = doubt_of(instrument=meter)
    assert found is not None
    assert (found.since_at, found.is_reviewed) == (NOON + HOUR * 7.5, True)


def test_the_list_of_calibrations_is_held_to_the_same_tolerance(people: People, meter: Instrument) -> None:
    page = people.client(people.bob)
    addresses = [f"/o/harbour/i/{meter.serial}/", f"/o/harbour/i/{meter.serial}/calibrations/"]
    assert all("more than the tolerance" in page.get(each).content.decode() for each in addresses)
    with organisation_scope(meter.organisation_id):
        Tolerances.objects.create(organisation_id=meter.organisation_id, step_db=Decimal("0.7"))
    for each in addresses:
        text = page.get(each).content.decode()
        assert "more than the tolerance" not in text
        assert "in force here: at most 0.70 dB" in text
