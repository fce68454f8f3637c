"""The pages of monitors: who may see them, what a poll costs, and that their cost does not grow with the rows."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instruments.models import ApiKey, Instrument, Organisation
from instruments.mycirrus import Status
from instruments.tenancy import organisation_scope
from monitoring.models import (
    AlertDelivery,
    AlertKind,
    AlertPreference,
    Calibration,
    Incident,
    IncidentChange,
    InstrumentStatus,
    NoiseMeasurement,
    Resource,
    SyncTarget,
    SystemIntegrityCheck,
)
from monitoring.status import State
from monitoring.sync import ingest
from monitoring.templatetags.levels import period
from tests.conftest import People, make_instrument, make_key
from tests.monitoring.failing import NIGHT, arrive, check

NOW = datetime.now(UTC)
FLEET, INSTRUMENT, SERIAL = "/o/harbour/", "/o/harbour/i/QT000001/", "QT000001"
PAGES = [
    FLEET,
    f"{FLEET}?view=table",
    f"{FLEET}notifications/",
    INSTRUMENT,
    f"{INSTRUMENT}levels.json",
    f"{INSTRUMENT}levels/?range=30d",
    f"{INSTRUMENT}calibrations/",
    f"{INSTRUMENT}sics/",
]
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    """From NOW on: a long run comes to these tests minutes after it, and what was fresh would fall silent amid one."""
    with time_machine.travel(NOW):
        yield


@pytest.fixture
def unit(people: People) -> Iterator[Instrument]:
    """Harbour's monitor with some of everything; Quarry has one of the same serial."""
    for organisation in (people.other, people.organisation):
        made = make_instrument(
            organisation, SERIAL, name=f"{organisation.name} gate", latitude=53.7, longitude=-0.3
        )
        with organisation_scope(organisation.pk):
            fill(made)
    with organisation_scope(people.organisation.pk):
        yield made


def fill(instrument: Instrument, *, checks: int = 3) -> None:
    """A present, an hour of levels, and ``checks`` calibrations and SICs."""
    owned = {"organisation_id": instrument.organisation_id, "instrument": instrument}
    InstrumentStatus.objects.update_or_create(
        instrument=instrument,
        defaults={
            "organisation_id": instrument.organisation_id,
            "online": True,
            "measuring": True,
            "observed_at": NOW,
            "changed_at": NOW,
            "level_at": NOW - timedelta(minutes=1),
            "level_seconds": 60,
            "LAeq": 57.25,
            "sic_passed": True,
        },
    )
    NoiseMeasurement.objects.bulk_create(
        NoiseMeasurement(
            start_at=NOW - timedelta(minutes=number), duration_s=60, LAeq=57.25, LAFMax=70, **owned
        )
        for number in range(1, 61)
    )
    days = [NOW.replace(microsecond=0) - timedelta(days=number) for number in range(checks)]
    Calibration.objects.bulk_create(
        Calibration(at=at, status="Success", level_db=93.7, offset_db=0.1, **owned) for at in days
    )
    SystemIntegrityCheck.objects.bulk_create(
        SystemIntegrityCheck(at=at, status="Success", passed=True, level_1khz_db=98.3, **owned) for at in days
    )


def polled(client: Client, page: HttpResponse, part: str) -> HttpResponse:
    """What the browser asks for next: the address that the part names for itself."""
    opening = re.search(rf'<[^>]* id="{part}"[^>]*>', page.content.decode())
    assert opening is not None
    address = re.search(r'hx-get="([^"]*)"', opening[0])
    assert address is not None
    assert "version=" in address[1]
    return client.get(address[1].replace("&amp;", "&"), headers=HTMX)


@pytest.mark.parametrize("path", PAGES)
def test_members_see_it_outsiders_get_404_and_nobody_is_asked_to_sign_in(
    people: People, unit: Instrument, path: str
) -> None:
    for member in (people.alice, people.bob):
        answer = people.client(member).get(path)
        assert answer.status_code == 200, path
        assert "Quarry" not in answer.content.decode()
    assert people.client(people.charlie).get(path).status_code == 404
    assert people.client(people.charlie).get(path, headers=HTMX).status_code == 404
    nobody = people.client(None).get(path)
    assert nobody.status_code == 302
    assert nobody["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("view", ["tiles", "table"])
def test_the_fleet_names_the_level_that_it_shows(people: People, unit: Instrument, view: str) -> None:
    page = people.client(people.bob).get(f"{FLEET}?view={view}").content.decode()
    assert f"LAeq,{period(60)}" in page


def test_an_unknown_serial_is_404_for_a_member_too(people: People, unit: Instrument) -> None:
    client = people.client(people.alice)
    for path in PAGES[3:]:
        assert client.get(path.replace(SERIAL, "QT999999")).status_code == 404


@pytest.mark.parametrize("path", [FLEET, INSTRUMENT])
def test_a_session_that_ended_sends_the_whole_browser_to_sign_in(people: People, path: str) -> None:
    here = f"http://testserver{path}"
    answer = people.client(None).get(path, headers={**HTMX, "HX-Current-URL": here})
    assert answer.content == b""
    target = urlsplit(answer["HX-Redirect"])
    assert target.path == reverse("account_login")
    assert parse_qs(target.query)["next"][0].endswith(path)


def test_an_unchanged_instrument_is_told_by_the_minute_as_heard_of(people: People, unit: Instrument) -> None:
    """A status without news moves nothing but its age, and the page shows that."""
    client, minute = people.client(people.bob), NOW.replace(second=0, microsecond=0)

    def heard(seconds: int) -> datetime:
        at = minute + timedelta(seconds=seconds)
        InstrumentStatus.objects.filter(instrument=unit).update(observed_at=at)
        return at

    SyncTarget.objects.create(
        organisation=unit.organisation,
        api_key=make_key(people.organisation),
        instrument=unit,
        resource=Resource.STATUS,
        due_at=NOW,
    )
    heard(0)
    page = client.get(INSTRUMENT)
    heard(59)
    assert polled(client, page, "instrument-status").status_code == 204
    at = heard(60)
    answer = polled(client, page, "instrument-status")
    assert answer.status_code == 200
    assert f'status heard <time class="nowrap" datetime="{at.isoformat()}"' in answer.content.decode()
    assert polled(client, page, "instrument-checks").status_code == 204


@pytest.mark.parametrize(
    ("path", "part"),
    [(FLEET, "status-grid"), (INSTRUMENT, "instrument-status"), (INSTRUMENT, "instrument-checks")],
)
def test_a_poll_costs_a_204_until_something_changes(
    people: People, unit: Instrument, path: str, part: str
) -> None:
    client = people.client(people.bob)
    page = client.get(path)
    quiet = polled(client, page, part)
    assert (quiet.status_code, quiet.content) == (204, b"")
    assert "HX-Request" in quiet["Vary"]
    arrive(unit, check(NIGHT + timedelta(days=2)))
    changed = polled(client, page, part)
    assert changed.status_code == 200
    assert changed["Cache-Control"] == "no-store"
    assert "HX-Request" in changed["Vary"]
    whole = client.get(path)
    text = changed.content.decode().strip()
    assert text.startswith("<")
    assert f'id="{part}"' in text
    # What is swapped in is what a reload would show in its place.
    assert squeezed(text) in squeezed(whole.content.decode())
    assert polled(client, whole, part).status_code == 204


def squeezed(markup: str) -> str:
    """Markup without what differs from one rendering to the next."""
    markup = re.sub(r'(csrfmiddlewaretoken" value|nonce)="[^"]*"', "", markup)
    # An age grows while one looks.
    markup = re.sub(r"data-relative>[^<]*<", "data-relative><", markup)
    return re.sub(r"\s+", " ", markup)


def test_two_changes_within_one_second_are_both_seen(people: People, unit: Instrument) -> None:
    client = people.client(people.bob)
    second = NOW.replace(microsecond=0) + timedelta(seconds=5)
    InstrumentStatus.objects.update(changed_at=second + timedelta(milliseconds=100))
    page = client.get(FLEET)
    InstrumentStatus.objects.update(changed_at=second + timedelta(milliseconds=900), LAeq=88.0)
    assert polled(client, page, "status-grid").status_code == 200


def test_a_change_that_took_long_to_fetch_is_seen_although_later_ones_came_first(
    people: People, unit: Instrument
) -> None:
    """Its turn began before another's and ended after it: what it stores must still move the page."""
    client = people.client(people.bob)
    slow, quick = unit, make_instrument(people.organisation, "QT000002")
    fill(quick)
    began = datetime.now(UTC)
    quick_began = datetime.now(UTC)
    assert ingest.status_store(instrument=quick, row=status(online=False), now=quick_began)
    page = client.get(FLEET)
    assert ingest.status_store(instrument=slow, row=status(online=False), now=began)
    assert polled(client, page, "status-grid").status_code == 200


def status(*, online: bool) -> Status:
    return Status(
        online=online,
        measuring=online,
        calibration_in_progress=False,
        sic_in_progress=False,
        last_calibration=None,
        last_sic=None,
        document={},
    )


def test_silence_moves_the_page_without_any_row_being_written(
    people: People, unit: Instrument, settings: Any
) -> None:
    client = people.client(people.bob)
    with organisation_scope(people.organisation.pk):
        # Heard just now, however long the tests before this one took.
        InstrumentStatus.objects.update(observed_at=datetime.now(UTC))
    fleet, page = client.get(FLEET), client.get(INSTRUMENT)
    settings.POLL_STATUS_SECONDS = -1
    assert polled(client, fleet, "status-grid").status_code == 200
    assert polled(client, page, "instrument-status").status_code == 200


def test_a_part_that_is_restored_from_history_is_a_whole_page(people: People, unit: Instrument) -> None:
    client = people.client(people.bob)
    for more in ({"HX-History-Restore-Request": "true"}, {"HX-Boosted": "true"}):
        answer = client.get(FLEET, headers={**HTMX, **more})
        assert b"<html" in answer.content


def test_a_filter_under_htmx_is_answered_whatever_version_is_on_the_screen(
    people: People, unit: Instrument
) -> None:
    make_instrument(people.organisation, "QT000002", name="Depot")
    client = people.client(people.bob)
    answer = client.get(f"{FLEET}?text=depot", headers=HTMX)
    assert answer.status_code == 200
    assert b"Depot" in answer.content
    assert b"Harbour gate" not in answer.content
    # And its own poll keeps the filter.
    assert b"text=depot" in answer.content


@pytest.mark.parametrize(
    "query",
    [
        "state=nonsense",
        "sort=nonsense",
        "page=nonsense",
        "page=-1",
        "page=99999999999999999999",
        "type=%27%3B--",
        "text=%25_%5C",
        "text=%00",
        "state=%00",
        "type=%00",
        "view=%3Cscript%3E",
    ],
)
def test_odd_questions_to_the_fleet_are_answered(people: People, unit: Instrument, query: str) -> None:
    answer = people.client(people.bob).get(f"{FLEET}?{query}")
    assert answer.status_code == 200
    assert b"<script>" not in answer.content


@pytest.mark.parametrize("state", [*State, ""])
@pytest.mark.parametrize("sort", ["state", "name", "serial", "type", "level"])
def test_every_filter_and_sort(people: People, unit: Instrument, state: str, sort: str) -> None:
    assert people.client(people.bob).get(f"{FLEET}?state={state}&sort={sort}").status_code == 200


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("sics/?before=nonsense", 404),
        ("sics/?before=2026-11-22", 404),
        ("sics/?before=0001-01-01T00:00:00%2B14:00", 404),
        ("sics/?before=9999-12-31T23:59:59-14:00", 404),
        ("sics/?before=2026-11-22T02:00:00Z", 200),
        ("levels.json?range=nonsense", 200),
        ("levels/?range=%00", 200),
        *(
            (f"{path}?{query}", 400 if ".json" in path else 200)
            for path in ("", "levels/", "levels.json", "spectrum/", "spectrogram.json")
            for query in (
                "from=0001-01-01T00:00Z&to=0001-01-02T00:00Z",
                "from=0001-01-01T00:00&to=0001-01-02T00:00",
                "from=9999-12-30T00:00Z&to=9999-12-31T23:59Z",
                "from=9999-12-30T00:00&to=9999-12-31T23:59",
            )
        ),
        ("spectrum/?at=0001-01-01T00:00:00Z", 200),
        ("spectrum.json?at=9999-12-31T23:59:59Z", 400),
        ("history/?start=0001-01-01T00:00&end=9999-12-31T23:59", 200),
        ("history/?start=0001-01-01T00:00Z&end=9999-12-31T23:59Z", 200),
    ],
)
def test_odd_questions_to_an_instrument(people: People, unit: Instrument, path: str, expected: int) -> None:
    # On either side of Greenwich another end of the calendar has no time to tell.
    for zone in ("America/New_York", "Asia/Kathmandu"):
        Organisation.objects.filter(pk=people.organisation.pk).update(timezone=zone)
        assert people.client(people.bob).get(INSTRUMENT + path).status_code == expected


def test_a_serial_with_a_zero_byte_is_unknown(people: People, unit: Instrument) -> None:
    assert people.client(people.bob).get("/o/harbour/i/QT%00/").status_code == 404


@pytest.mark.parametrize("kind", ["sics", "calibrations"])
def test_older_checks_are_one_link_after_another_and_each_is_shown_once(
    people: People, unit: Instrument, kind: str
) -> None:
    fill_checks(unit, 120)
    client, path = people.client(people.bob), f"{INSTRUMENT}{kind}/"
    shown: list[Any] = []
    address, pages = path, 0
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, address
        shown += [row.check.at for row in answer.context["rows"]]
        older = re.search(r'rel="next" href="([^"]*)"', answer.content.decode())
        address, pages = (path + older[1].replace("&amp;", "&") if older else ""), pages + 1
    model = Calibration if kind == "calibrations" else SystemIntegrityCheck
    assert shown == list(model.objects.filter(instrument=unit).values_list("at", flat=True))
    assert pages == 3


def fill_checks(instrument: Instrument, count: int) -> None:
    owned = {"organisation_id": instrument.organisation_id, "instrument": instrument}
    days = [NOW.replace(microsecond=0) - timedelta(days=10 + number) for number in range(count)]
    Calibration.objects.bulk_create(
        Calibration(at=at, status="Success", level_db=93.7, offset_db=0.1, **owned) for at in days
    )
    SystemIntegrityCheck.objects.bulk_create(
        SystemIntegrityCheck(at=at, status="Failed", passed=False, level_1khz_db=98.3, **owned) for at in days
    )


def cost(client: Client, path: str, **headers: str) -> int:
    # The first request of a process fills caches: only the second is counted.
    client.get(path, headers=headers)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path, headers=headers).status_code == 200
    return len(queries)


def test_the_fleet_page_costs_the_same_whatever_the_fleet(people: People, unit: Instrument) -> None:
    client = people.client(people.bob)
    for number in range(9):
        fill(make_instrument(people.organisation, f"QT1{number:05}"), checks=1)
    paths = [FLEET, f"{FLEET}?view=table", f"{FLEET}?text=mon&state=measuring&sort=level"]
    few = [cost(client, path) for path in paths] + [cost(client, FLEET, **HTMX)]
    more = Instrument.objects.bulk_create(
        Instrument(
            organisation=people.organisation,
            serial=f"QT2{number:05}",
            name=f"Monitor {number}",
            type="Noise",
            first_seen_at=NOW,
            seen_at=NOW,
        )
        for number in range(290)
    )
    InstrumentStatus.objects.bulk_create(
        InstrumentStatus(
            organisation=people.organisation,
            instrument=each,
            online=True,
            measuring=True,
            observed_at=NOW,
            changed_at=NOW,
            sic_passed=number % 7 != 0,
        )
        for number, each in enumerate(more)
    )
    many = [cost(client, path) for path in paths] + [cost(client, FLEET, **HTMX)]
    assert many == few
    assert max(many) <= 14


def test_a_poll_without_news_costs_few_queries(people: People, unit: Instrument) -> None:
    client = people.client(people.bob)
    page = client.get(FLEET)
    with CaptureQueriesContext(connection) as queries:
        assert polled(client, page, "status-grid").status_code == 204
    # Session, membership with the person, version.
    assert len(queries) == 3


def test_an_incident_or_a_pause_of_the_key_is_news_of_a_silent_instrument(
    people: People, unit: Instrument
) -> None:
    client, key = people.client(people.bob), make_key(people.organisation)
    Instrument.objects.filter(pk=unit.pk).update(api_key=key)

    def opened() -> None:
        Incident.objects.create(
            organisation=people.organisation, instrument=unit, kind="offline", opened_at=NOW
        )

    def closed() -> None:
        Incident.objects.update(closed_at=NOW)

    def paused() -> None:
        ApiKey.objects.update(paused_until=datetime.now(UTC) + timedelta(minutes=5))

    def over() -> None:
        ApiKey.objects.update(paused_until=datetime.now(UTC))

    for news in (opened, closed, paused, over):
        page = client.get(INSTRUMENT)
        assert polled(client, page, "instrument-status").status_code == 204
        with organisation_scope(people.organisation.pk):
            news()
        assert polled(client, page, "instrument-status").status_code == 200
        assert polled(client, page, "instrument-checks").status_code == 204


@pytest.mark.parametrize(("part", "most"), [("instrument-status", 4), ("instrument-checks", 3)])
def test_a_poll_of_an_instrument_without_news_costs_few_queries(
    people: People, unit: Instrument, part: str, most: int
) -> None:
    client = people.client(people.bob)
    page = client.get(INSTRUMENT)
    with CaptureQueriesContext(connection) as queries:
        assert polled(client, page, part).status_code == 204
    # Session, membership with the person, the instrument with its key and its present, and what is open of it.
    assert len(queries) == most


def test_an_instrument_costs_the_same_whatever_its_past(people: People, unit: Instrument) -> None:
    client = people.client(people.bob)

    def costs(checks: int, failures: int) -> list[int]:
        Calibration.objects.all().delete()
        SystemIntegrityCheck.objects.all().delete()
        fill_checks(unit, checks)
        for number in range(failures):
            arrive(unit, check(NIGHT + timedelta(hours=number)))
        return [cost(client, path) for path in PAGES[3:]]

    # More than a page even at first, so that both have the link to the next.
    assert costs(60, 3) == costs(1000, 30)


def test_the_chart_s_data_are_levels_of_this_instrument_with_its_marks(
    people: People, unit: Instrument
) -> None:
    data = people.client(people.bob).get(f"{INSTRUMENT}levels.json?range=1h").json()
    assert data["zone"] == "Europe/London"
    assert {value for value in data["traces"][0]["y"] if value is not None} <= {57.2, 57.3}
    assert sorted((mark["layer"], mark["label"]) for mark in data["marks"]) == [
        ("calibrations", "Calibration, offset +0.10 dB"),
        ("sics", "SIC passed"),
    ]
    assert "57.2" in data["summary"] or "57.3" in data["summary"]


def test_times_are_written_in_the_organisation_s_zone(people: People, unit: Instrument) -> None:
    people.organisation.timezone = "Australia/Sydney"
    people.organisation.save(update_fields=["timezone"])
    SystemIntegrityCheck.objects.all().delete()
    arrive(unit, check(datetime(2026, 7, 1, 16, 30, tzinfo=UTC)))
    page = people.client(people.bob).get(f"{INSTRUMENT}sics/").content.decode()
    assert "02:30" in page
    assert "16:30" not in re.sub(r'datetime="[^"]*"', "", page)


def test_names_are_text_and_never_markup(people: People, unit: Instrument) -> None:
    Instrument.objects.filter(pk=unit.pk).update(
        name="<script>alert(1)</script>", model='"><img src=x onerror=alert(2)>', type="<b>"
    )
    for path in PAGES:
        page = people.client(people.bob).get(path).content
        assert b"<script>alert" not in page
        assert b"<img src=x" not in page


class TestNotifications:
    path = f"{FLEET}notifications/"

    def test_each_chooses_for_oneself_alone(self, people: People, unit: Instrument) -> None:
        for user in (people.bob, people.alice):
            answer = people.client(user).post(self.path, {"kind": AlertKind.SIC_FAILED})
            assert answer.status_code == 302
        chosen = AlertPreference.objects.values_list("membership__user__email", flat=True)
        assert sorted(chosen) == ["alice@example.com", "bob@example.com"]
        people.client(people.bob).post(self.path, {})
        assert list(AlertPreference.objects.values_list("membership__user__email", flat=True)) == [
            "alice@example.com"
        ]

    def test_saving_twice_is_one_wish_and_odd_kinds_are_none(self, people: People, unit: Instrument) -> None:
        client = people.client(people.bob)
        for _ in range(2):
            client.post(self.path, {"kind": [AlertKind.SIC_FAILED, "nonsense", AlertKind.SIC_FAILED]})
        assert AlertPreference.objects.count() == 1

    def test_outsiders_and_strangers_change_nothing(self, people: People, unit: Instrument) -> None:
        wish = {"kind": AlertKind.SIC_FAILED}
        assert people.client(people.charlie).post(self.path, wish).status_code == 404
        assert people.client(None).post(self.path, wish).status_code == 302
        assert not AlertPreference.objects.exists()

    def test_one_sees_what_was_sent_to_oneself_only(self, people: People, unit: Instrument) -> None:
        incident = Incident.objects.create(
            organisation=people.organisation, instrument=unit, kind=AlertKind.SIC_FAILED, opened_at=NOW
        )
        change = IncidentChange.objects.create(
            organisation=people.organisation,
            incident=incident,
            step=IncidentChange.Step.OPENED,
            cause="sic:1",
            at=NOW,
        )
        for user in (people.alice, people.bob):
            AlertDelivery.objects.create(
                organisation=people.organisation, change=change, recipient=user, due_at=NOW, sent_at=NOW
            )
        answer = people.client(people.bob).get(self.path)
        assert "alice@example.com" not in answer.content.decode()
        assert [each.recipient for each in answer.context["sent"]] == [people.bob]
