"""What people did and decided here comes out as well: every table, nobody else's, and never a secret."""

import json
from array import array
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from instruments.activity import activity_note
from instruments.models import Activity, Deployment, Instrument, Membership, Organisation, Role, Site
from instruments.people import invitation_send
from instruments.tenancy import organisation_scope
from monitoring import export
from monitoring.models import (
    AlertChannel,
    AlertHours,
    CalendarFeed,
    Calibrator,
    Certificate,
    ChannelSecret,
    DoubtReview,
    Event,
    EventTag,
    FleetView,
    Gap,
    HistoryKind,
    HistoryState,
    NoiseRollup,
    TimeHistoryHour,
    TimeHistoryRequest,
    Tolerances,
)
from monitoring.timehistory.packing import hundredths, packed
from tests.conftest import SECRET, People, make_instrument, make_key
from tests.monitoring.failing import NIGHT, arrive, asks, check
from webhooks.models import Subscription

from .conftest import Run
from .test_export import table

START = datetime(2026, 3, 29, tzinfo=UTC)
HOUR = timedelta(hours=1)
HIDDEN = "hidden-5ec4e7aa-1111-4222"


def history(instrument: Instrument, start: datetime, *hours: list[float | None]) -> None:
    """A fetched request in steps of a minute; of each hour the first levels."""
    request = TimeHistoryRequest.objects.create(
        instrument=instrument,
        kind=HistoryKind.NOISE,
        start_at=start,
        end_at=start + len(hours) * HOUR,
        step_ms=60_000,
        token=f"0b1c2d3e-1111-2222-3333-{start:%m%d%H%M%S}00",
        requested_at=start,
        fetched_until=start,
        due_at=start,
        state=HistoryState.DONE,
    )
    for number, levels in enumerate(hours):
        column = array("h", [hundredths(level) for level in (*levels, *[None] * (60 - len(levels)))])
        TimeHistoryHour.objects.create(
            request=request,
            start_at=start + number * HOUR,
            names=["LAeq", "LCPeak"],
            data=packed([column] * 2),
        )


def filled(people: People, organisation: Organisation, name: str) -> Instrument:
    """An organisation with something of everything that people write; ``name`` stands in each of it."""
    instrument = make_instrument(organisation, "QT000001", first_seen_at=START)
    person = people.alice if organisation == people.organisation else people.charlie
    asks(organisation, person)
    with organisation_scope(organisation.pk):
        site = Site.objects.create(name=f"{name} Quay", latitude=51.5, longitude=-0.1)
        Deployment.objects.create(instrument=instrument, site=site, start_at=START, end_at=START + HOUR)
        Gap.objects.create(
            instrument=instrument,
            resource="noise",
            start_at=START,
            end_at=START + HOUR,
            kind="off",
            found_at=START,
        )
        calibrator = Calibrator.objects.create(serial=f"{name}-CAL")
        days = {"issued_on": date(2026, 1, 31), "due_on": date(2027, 1, 31)}
        Certificate.objects.create(calibrator=calibrator, number="17", laboratory=name, **days)
        Certificate.objects.create(instrument=instrument, number="18", laboratory=name, **days)
        Tolerances.objects.create(step_db=Decimal("0.70"))
        DoubtReview.objects.create(
            instrument=instrument, found_at=START, evidence=name, reviewed_at=START, reviewed_by_name="Alice"
        )
        event = Event.objects.create(instrument=instrument, start_at=START, name=name)
        EventTag.objects.create(
            event=event, excluded=True, excluded_at=START, excluded_by_name="Alice", changed_at=START
        )
        member = Membership.objects.get(user=person)
        FleetView.objects.create(name=name, membership=member)
        AlertHours.objects.create(
            membership=member, timezone="Europe/London", quiet_from=time(22), quiet_until=time(6, 30)
        )
        NoiseRollup.objects.create(
            instrument=instrument, bucket_s=3600, start_at=START, energy=1e6, valid_s=3600.0, count=60
        )
        history(instrument, START, [50.0, None, 52.5], [60.0])
        arrive(instrument, check(NIGHT))
        activity_note(organisation=organisation, actor=person, verb="site_changed", subject=name)
    return instrument


def test_what_people_wrote(people: People, run: Run) -> None:
    filled(people, people.organisation, "Harbour")
    filled(people, people.other, "Quarry")

    def one(resource: str) -> dict[str, str]:
        (row,) = table(run("export", "harbour", resource).out)
        return row

    itself = one("organisation")
    assert (itself["name"], itself["slug"], itself["timezone"]) == ("Harbour", "harbour", "Europe/London")
    assert itself["accepts_legacy_notifications"] == "false"
    assert one("deployments") == {
        "instrument": "QT000001",
        "site": "Harbour Quay",
        "start_at": "2026-03-29T00:00:00Z",
        "end_at": "2026-03-29T01:00:00Z",
        "note": "",
    }
    assert one("gaps")["kind"] == "off"
    certificates = table(run("export", "harbour", "certificates").out)
    assert [(row["calibrator"], row["instrument"], row["due_on"]) for row in certificates] == [
        ("Harbour-CAL", "", "2027-01-31"),
        ("", "QT000001", "2027-01-31"),
    ]
    assert one("tolerances")["step_db"] == "0.70"
    assert (one("doubt-reviews")["evidence"], one("doubt-reviews")["good_until_at"]) == ("Harbour", "")
    event = one("events")
    assert (event["excluded"], event["excluded_by"], event["excluded_at"]) == (
        "true",
        "Alice",
        "2026-03-29T00:00:00Z",
    )
    assert (one("fleet-views")["name"], one("fleet-views")["member"]) == ("Harbour", "alice@example.com")
    rollup = one("noise-hours")
    assert (
        rollup["startTime"],
        rollup["duration"],
        rollup["energy_s"],
        rollup["LAFMax"],
        rollup["site"],
    ) == (
        "2026-03-29T00:00:00Z",
        "3600",
        "1000000.0",
        "",
        "Harbour Quay",
    )
    incident, step = one("incidents"), one("incident-steps")
    assert (incident["kind"], incident["closed_at"], step["incident"]) == ("sic_failed", "", incident["id"])
    assert one("incident-instruments")["incident"] == one("alert-deliveries")["incident"] == incident["id"]
    assert one("alert-deliveries")["recipient"] == "alice@example.com"
    assert one("activity")["subject"] == "Harbour"
    assert {row["email"]: row["role"] for row in table(run("export", "harbour", "people").out)} == {
        "alice@example.com": "owner",
        "adam@example.com": "admin",
        "mary@example.com": "member",
        "bob@example.com": "viewer",
    }
    hours = json.loads(run("export", "harbour", "alert-hours", "--format", "jsonl").out)
    assert (hours["quiet_from"], hours["quiet_until"]) == ("22:00:00", "06:30:00")
    assert json.loads(run("export", "harbour", "tolerances", "--format", "jsonl").out)["step_db"] == 0.7
    assert json.loads(table(run("export", "harbour", "alert-rules").out)[0]["serials"]) == []


def test_time_history_sample_by_sample(people: People, run: Run) -> None:
    filled(people, people.organisation, "Harbour")
    filled(people, people.other, "Quarry")
    rows = [
        json.loads(line)
        for line in run("export", "harbour", "time-history", "--format", "jsonl").out.splitlines()
    ]
    assert [(row["startTime"], row["values"]["LAeq"], row["site"]) for row in rows] == [
        ("2026-03-29T00:00:00Z", 50.0, "Harbour Quay"),
        ("2026-03-29T00:02:00Z", 52.5, "Harbour Quay"),
        ("2026-03-29T01:00:00Z", 60.0, None),
    ]
    assert {(row["instrument"], row["duration"], row["type"]) for row in rows} == {
        ("QT000001", 60.0, "noise")
    }
    words = ("--start", "2026-03-29T00:01", "--end", "2026-03-29T01:00", "--serial", "QT000001")
    assert [row["startTime"] for row in table(run("export", "harbour", "time-history", *words).out)] == [
        "2026-03-29T00:02:00Z"
    ]


def test_what_lasts_is_chosen_by_any_part_of_it(people: People, run: Run) -> None:
    filled(people, people.organisation, "Harbour")

    def count(resource: str, start: str, end: str) -> int:
        return len(table(run("export", "harbour", resource, "--start", start, "--end", end).out))

    for resource in ("deployments", "gaps"):
        assert count(resource, "2026-03-29T00:30", "2026-03-30") == 1
        assert count(resource, "2026-03-28", "2026-03-29T00:30") == 1
        assert count(resource, "2026-03-29T01:00", "2026-03-30") == 0
        assert count(resource, "2026-03-28", "2026-03-29") == 0
    assert count("incidents", "2036-01-01", "2036-01-02") == 1
    assert count("doubt-reviews", "2026-03-29", "2026-03-30") == 1
    assert count("doubt-reviews", "2026-03-30", "2026-03-31") == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sites", "--start", "2026-01-01"), "sites has no times to choose by: it is written whole."),
        (("people", "--serial", "QT000001"), "people has no instruments to choose by: it is written whole."),
        (("incidents", "--serial", "QT404"), "Harbour has no instrument QT404."),
    ],
)
def test_what_cannot_be_chosen_is_said(
    people: People, run: Run, words: tuple[str, ...], sentence: str
) -> None:
    said = run("export", "harbour", *words)
    assert (said.failure, said.out) == (sentence, "")


def test_tables_come_in_pages(people: People, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_instrument(people.organisation, "QT000009")
    make_instrument(people.organisation, "QT000004")
    with organisation_scope(people.organisation.pk):
        Activity.objects.bulk_create(
            Activity(organisation=people.organisation, at=START, verb="x", subject=str(n)) for n in range(7)
        )
    whole = run("export", "harbour", "activity").out
    for page in (1, 3, 7):
        monkeypatch.setattr(export, "PAGE", page)
        assert run("export", "harbour", "activity").out == whole
        serials = [row["serialNumber"] for row in table(run("export", "harbour", "instruments").out)]
        assert serials == ["QT000004", "QT000009"]
    assert [row["subject"] for row in table(whole)] == [str(n) for n in range(7)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_no_secret_and_nothing_of_anybody_else(people: People, run: Run, form: str) -> None:
    filled(people, people.organisation, "Harbour")
    filled(people, people.other, "Quarry")
    key = make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        invitation = invitation_send(
            organisation=people.organisation,
            email="new@example.com",
            role=Role.VIEWER,
            actor=people.alice,
            now=START,
        )
        channel = AlertChannel(
            organisation=people.organisation, name="Site chat", kind="slack", made_by=people.alice
        )
        channel.secret_set(ChannelSecret(f"https://chat.example/{HIDDEN}", HIDDEN))
        channel.save()
        hook = Subscription(organisation=people.organisation, remote_id="w1")
        hook.secret_set(HIDDEN)
        hook.save()
        feed = CalendarFeed.objects.create(
            membership=Membership.objects.get(user=people.alice), made_at=START
        )
    said = {resource: run("export", "harbour", resource, "--format", form) for resource in export.RESOURCES}
    assert {resource: each.failure for resource, each in said.items() if each.failure} == {}
    text = "".join(each.out for each in said.values())
    assert "Site chat" in text
    assert "chat.example" in text
    assert "Harbour" in text
    for hidden in (
        SECRET,
        HIDDEN,
        key.ciphertext,
        key.fingerprint,
        channel.ciphertext,
        hook.ciphertext,
        feed.secret,
        invitation.digest,
        people.organisation.webhook_token,
        people.alice.password,
    ):
        assert hidden not in text
    assert "Quarry" not in text
    assert "charlie" not in text
