"""Day, evening and night: the vectors of the rules, the clock's changes, and the page."""

import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from instruments.models import Activity, Instrument, Organisation, Site
from instruments.sites import deployment_start
from instruments.tenancy import organisation_scope
from monitoring.acoustics.day_periods import Hours, Measured, Part, is_lopsided, lden, pooled
from monitoring.models import Event, EventTag, NoiseMeasurement, SystemIntegrityCheck
from monitoring.sync.rollups import noise_rollups_refresh
from tests.conftest import People, make_instrument

LONDON = ZoneInfo("Europe/London")
PAGE = "/o/harbour/i/QT000001/days"
# The clocks go forward in the night that the second of them begins with.
THREE_DAYS = {"from": "2026-03-27T07:00", "to": "2026-03-30T07:00"}


def parts(day: float | None, evening: float | None, night: float | None) -> dict[Part, float | None]:
    return {Part.DAY: day, Part.EVENING: evening, Part.NIGHT: night}


def measured(level: float, hours: float, of: float) -> Measured:
    return Measured(3600 * hours * 10 ** (level / 10), 3600 * hours, 3600 * of)


@pytest.mark.parametrize(
    ("levels", "hours", "expected"),
    [
        ((60, 55, 50), Hours(), 60.00),
        ((50, 50, 50), Hours(), 56.40),
        ((62.4, 58.1, 53.7), Hours(), 62.99),
        # The evening shortened by two hours, of which the day got them: 14, 2 and 8.
        ((50, 50, 50), Hours(day=7, evening=21, night=23), 56.21),
    ],
)
def test_lden_is_as_the_directive_says(
    levels: tuple[float, float, float], hours: Hours, expected: float
) -> None:
    told = lden(parts(*levels), hours)
    assert told is not None
    assert round(told, 2) == expected


def test_there_is_no_lden_without_one_of_its_parts() -> None:
    assert lden(parts(60, None, 50), Hours()) is None


def test_many_days_are_pooled_by_valid_time_and_lden_is_made_once() -> None:
    """R7's vectors, whole days and with gaps."""
    first = {Part.DAY: measured(60, 12, 12), Part.EVENING: measured(55, 4, 4), Part.NIGHT: measured(50, 8, 8)}

    def of_both(second: dict[Part, Measured]) -> float:
        both = {part: pooled([first[part], second[part]]) for part in Part}
        levels = {part: 10 * math.log10(each.energy / each.valid_s) for part, each in both.items()}
        told = lden(levels, Hours())
        assert told is not None
        return round(told, 2)

    whole = {Part.DAY: measured(70, 12, 12), Part.EVENING: measured(65, 4, 4), Part.NIGHT: measured(60, 8, 8)}
    gaps = {**whole, Part.DAY: measured(70, 3, 12)}
    assert of_both(whole) == 67.40
    assert of_both(gaps) == 66.18
    assert not is_lopsided(whole)
    assert is_lopsided(gaps)


@pytest.mark.parametrize(
    ("hours", "shown", "is_whole"), [(8.99, False, False), (9, True, False), (10.8, True, True)]
)
def test_a_level_is_shown_from_three_quarters_and_whole_from_nine_tenths(
    hours: float, shown: bool, is_whole: bool
) -> None:
    each = measured(60, hours, 12)
    assert (each.level is not None, each.is_whole) == (shown, is_whole)


def test_nothing_measured_and_nothing_passed_are_gaps() -> None:
    assert Measured().level is None
    assert Measured(passed_s=60).level is None


@pytest.mark.parametrize(
    ("day", "night_hours"), [(date(2026, 3, 28), 7), (date(2026, 10, 24), 9), (date(2026, 11, 25), 8)]
)
def test_a_night_is_as_long_as_it_was(day: date, night_hours: int) -> None:
    """Of the evening's date; where the clock changes it has seven or nine hours."""
    begins = Hours().begins(day, LONDON)
    assert begins[2].astimezone(LONDON).date() == day
    assert begins[3] - begins[2] == timedelta(hours=night_hours)
    assert begins[1] - begins[0] == timedelta(hours=12)


def test_hours_are_those_of_the_place() -> None:
    assert Hours().begins(date(2026, 7, 1), LONDON)[0] == datetime(2026, 7, 1, 6, tzinfo=UTC)
    assert sum(Hours(6, 18, 22).length(part) for part in Part) == 24


# The page and the file.


@pytest.fixture
def unit(people: People) -> Iterator[Instrument]:
    """Harbour's monitor in London, with nothing measured; the other organisation has the same serial."""
    made = make_instrument(people.organisation, "QT000001")
    there = make_instrument(people.other, "QT000001")
    with organisation_scope(people.other.pk):
        quarters(there, "2026-03-27T07:00", "2026-03-30T07:00", 99)
    with organisation_scope(people.organisation.pk):
        yield made


def quarters(instrument: Instrument, start: str, end: str, level: float) -> None:
    """Measurements of a quarter of an hour at a steady level, between two times of London's clock."""
    first, last = (datetime.fromisoformat(at).replace(tzinfo=LONDON).astimezone(UTC) for at in (start, end))
    NoiseMeasurement.objects.bulk_create(
        NoiseMeasurement(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            start_at=first + number * timedelta(minutes=15),
            duration_s=900,
            LAeq=level,
            LAFMax=level + 10,
        )
        for number in range((last - first) // timedelta(minutes=15))
    )
    noise_rollups_refresh(instrument=instrument, first=first, last=last - timedelta(minutes=15))


def three_days(instrument: Instrument) -> None:
    """60, 55 and 50 dB on the first day, 10 dB more on the second, and a third whose evening is missing."""
    quarters(instrument, "2026-03-27T07:00", "2026-03-27T19:00", 60)
    quarters(instrument, "2026-03-27T19:00", "2026-03-27T23:00", 55)
    quarters(instrument, "2026-03-27T23:00", "2026-03-28T07:00", 50)
    quarters(instrument, "2026-03-28T07:00", "2026-03-28T19:00", 70)
    quarters(instrument, "2026-03-28T19:00", "2026-03-28T23:00", 65)
    quarters(instrument, "2026-03-28T23:00", "2026-03-29T07:00", 60)
    quarters(instrument, "2026-03-29T07:00", "2026-03-29T19:00", 60)
    quarters(instrument, "2026-03-29T23:00", "2026-03-30T07:00", 50)


def lines(people: People, **asked: str) -> list[dict[str, str]]:
    answer = people.client(people.bob).get(f"{PAGE}.csv", asked)
    assert answer.status_code == 200
    text = b"".join(answer).decode()  # type: ignore[call-overload]
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_has_a_line_for_each_day(people: People, unit: Instrument) -> None:
    three_days(unit)
    first, second, third = lines(people, **THREE_DAYS)
    names = ("date", "Lday", "Levening", "Lnight", "Lden", "LAFMax", "validity")
    assert [first[name] for name in names] == ["2026-03-27", "60.0", "55.0", "50.0", "60.0", "70.0", "valid"]
    # Its night has seven hours, all of which were measured.
    assert [second[name] for name in names] == ["2026-03-28", "70.0", "65.0", "60.0", "70.0", "80.0", "valid"]
    assert (second["LnightCoverage"], second["LnightHours"]) == ("100.0", "23–07")
    assert [third[name] for name in names] == ["2026-03-29", "60.0", "", "50.0", "", "70.0", "valid"]
    assert (third["LeveningCoverage"], third["timeZone"]) == ("0.0", "Europe/London")


def test_the_hours_are_the_organisation_s(people: People, unit: Instrument) -> None:
    quarters(unit, "2026-03-27T06:00", "2026-03-27T18:00", 60)
    quarters(unit, "2026-03-27T18:00", "2026-03-27T22:00", 55)
    quarters(unit, "2026-03-27T22:00", "2026-03-28T06:00", 50)
    Organisation.objects.filter(pk=people.organisation.pk).update(day_hour=6, evening_hour=18, night_hour=22)
    (line,) = lines(people, **{"from": "2026-03-27T06:00", "to": "2026-03-28T06:00"})
    assert (line["Lday"], line["LdayHours"], line["Lden"]) == ("60.0", "06–18", "60.0")


def test_what_lacks_a_moment_is_not_whole_in_the_file(people: People, unit: Instrument) -> None:
    three_days(unit)
    first = datetime(2026, 3, 27, 7, tzinfo=UTC)
    NoiseMeasurement.objects.filter(instrument=unit, start_at=first).update(duration_s=890)
    noise_rollups_refresh(instrument=unit, first=first, last=first)
    # 43,190 of 43,200 seconds are 99.98 %.
    assert lines(people, **THREE_DAYS)[0]["LdayCoverage"] == "99.9"


def test_the_small_hours_are_of_the_evening_before(people: People, unit: Instrument) -> None:
    asked = {"from": "2026-03-28T01:00", "to": "2026-03-28T02:00"}
    assert [line["date"] for line in lines(people, **asked)] == ["2026-03-27"]


def test_the_page_tells_each_day_and_all_as_one(people: People, unit: Instrument) -> None:
    three_days(unit)
    text = people.client(people.bob).get(f"{PAGE}/", THREE_DAYS).content.decode()
    # Pooled by valid time: the evening is that of two days, and covers too little to stand for three.
    assert "66.6 % measured" in text
    assert "Much more is missing from one part of the day" in text
    text = text[text.index("<tbody>") :]
    assert text.index("29 Mar 2026") < text.index("28 Mar 2026") < text.index("27 Mar 2026")
    two = {**THREE_DAYS, "to": "2026-03-29T07:00"}
    text = people.client(people.bob).get(f"{PAGE}/", two).content.decode()
    assert "Much more is missing" not in text
    # R7: of a night of eight hours and a louder one of seven; it would be 67.4 were both as long.
    assert '67.3<span class="unit">dB</span>' in text


def test_a_day_that_goes_on_has_no_lden_yet(people: People, unit: Instrument, time_machine: Any) -> None:
    time_machine.move_to(datetime(2026, 3, 28, 6, 30, tzinfo=UTC), tick=False)
    three_days(unit)
    (line,) = lines(people, **{"from": "2026-03-27T07:00", "to": "2026-03-28T06:30"})
    assert (line["Lnight"], line["LnightCoverage"], line["Lden"]) == ("50.0", "100.0", "")
    text = people.client(people.bob).get(f"{PAGE}/?range=24h").content.decode()
    assert "so far" in text


def test_what_is_in_doubt_or_excluded_is_said(people: People, unit: Instrument) -> None:
    three_days(unit)
    owned: dict[str, Any] = {"organisation": people.organisation, "instrument": unit}
    noon = datetime(2026, 3, 27, 12, tzinfo=UTC)
    event = Event.objects.create(**owned, start_at=noon, end_at=noon + timedelta(minutes=1), name="85 dB")
    EventTag.objects.create(organisation=people.organisation, event=event, excluded=True, changed_at=noon)
    for hours, passed in ((30, True), (44, False), (45, True)):
        at = noon + timedelta(hours=hours)
        SystemIntegrityCheck.objects.create(**owned, at=at, status="x", passed=passed)
    assert [line["validity"] for line in lines(people, **THREE_DAYS)] == ["excluded", "in doubt", "in doubt"]
    text = people.client(people.bob).get(f"{PAGE}/", THREE_DAYS).content.decode()
    assert "in doubt" in text
    assert "holds an excluded event" in text


def test_a_facade_is_told_and_nothing_is_taken_off(people: People, unit: Instrument) -> None:
    three_days(unit)
    site = Site.objects.create(
        organisation=people.organisation, name="Quay wall", placement=Site.Placement.FACADE
    )
    start = datetime(2026, 3, 1, tzinfo=UTC)
    deployment_start(instrument=unit, site=site, start_at=start, end_at=None, note="", actor=people.bob)
    text = people.client(people.bob).get(f"{PAGE}/", THREE_DAYS).content.decode()
    assert "The microphone was at a façade: Quay wall." in text
    assert lines(people, **THREE_DAYS)[0]["Lden"] == "60.0"


def test_nothing_measured_teaches_and_a_bad_range_is_refused(people: People, unit: Instrument) -> None:
    client = people.client(people.bob)
    assert b"No levels in this range" in client.get(f"{PAGE}/", THREE_DAYS).content
    assert b"This range cannot be shown" in client.get(f"{PAGE}/?from=soon").content
    assert client.get(f"{PAGE}.csv?from=soon").status_code == 400


def test_two_years_cost_as_many_queries_as_a_day(people: People, unit: Instrument) -> None:
    client, costs = people.client(people.bob), []
    three_days(unit)
    client.get(f"{PAGE}/", THREE_DAYS)
    for asked in (THREE_DAYS, {"from": "2024-04-01T07:00", "to": "2026-03-30T07:00"}):
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{PAGE}/", asked)
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_the_hours_are_set_where_everything_of_the_organisation_is(people: People) -> None:
    client, address = people.client(people.alice), "/o/harbour/settings/"
    shown = client.get(address).context["form"].initial
    chosen = {**shown, "day_hour": 6, "evening_hour": 18, "night_hour": 22}
    assert client.post(address, chosen).status_code == 302
    with organisation_scope(people.organisation.pk):
        assert "day begins at: 07:00 → 06:00" in Activity.objects.latest("pk").detail.lower()
    refused = client.post(address, {**chosen, "evening_hour": 22})
    assert refused.status_code == 422
    assert b"The evening has to begin after the day" in refused.content


def test_the_database_holds_the_order_of_the_hours(people: People) -> None:
    rows = Organisation.objects.filter(pk=people.organisation.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(evening_hour=23)
    with pytest.raises(ValidationError):
        Organisation(name="x", slug="x", day_hour=3).full_clean()
