"""The digest: at the person's hour, once whatever dies, what is wrong first, and nothing after leaving."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from instruments.models import Instrument, Membership, User
from instruments.mycirrus import Calibration as CalibrationRow
from instruments.tenancy import organisation_scope
from monitoring.alerts.claims import LEASE
from monitoring.alerts.digests.news import _measured
from monitoring.alerts.digests.times import last_until, next_after, whole_days
from monitoring.alerts.digests.turns import digest_send, digest_wish, digests_claim, digests_owe
from monitoring.models import (
    AlertKind,
    Digest,
    DigestWish,
    Incident,
    InstrumentStatus,
    NoiseRollup,
    ParticulateSample,
    PeakParticleVelocity,
    Severity,
    Tolerances,
)
from monitoring.sync.ingest import calibrations_store
from tests.conftest import People, join, make_instrument
from tests.monitoring.failing import arrive, asks, check
from tests.monitoring.mailserver import Mailbox

LONDON, SYDNEY = zoneinfo.ZoneInfo("Europe/London"), zoneinfo.ZoneInfo("Australia/Sydney")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# A Wednesday; seven in London is seven in UTC.
WEDNESDAY = datetime(2026, 11, 25, 6, tzinfo=UTC)


# --- When ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "hour", "expected"),
    [
        # The night in which the clocks go forward and one o'clock is skipped, and the one in which it comes twice.
        ("2026-03-28T12:00+00:00", 1, "2026-03-29T01:00+00:00"),
        ("2026-10-24T12:00+00:00", 1, "2026-10-25T00:00+00:00"),
        ("2026-10-25T00:00+00:00", 1, "2026-10-26T01:00+00:00"),
        ("2026-03-29T06:30+00:00", 7, "2026-03-30T06:00+00:00"),
        ("2026-03-28T07:30+00:00", 7, "2026-03-29T06:00+00:00"),
    ],
)
def test_the_hour_is_the_persons_whatever_the_clocks_do(after: str, hour: int, expected: str) -> None:
    told = next_after(datetime.fromisoformat(after), weekly=False, hour=hour, zone=LONDON)
    assert told == datetime.fromisoformat(expected)


@given(
    at=st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: WEDNESDAY + timedelta(minutes=minutes)),
    hour=st.integers(0, 23),
    weekly=st.booleans(),
    zone=st.sampled_from([LONDON, SYDNEY, zoneinfo.ZoneInfo("America/St_Johns")]),
)
def test_each_local_day_has_one_and_none_is_left_out(
    at: datetime, hour: int, weekly: bool, zone: zoneinfo.ZoneInfo
) -> None:
    first = next_after(at, weekly=weekly, hour=hour, zone=zone)
    second = next_after(first, weekly=weekly, hour=hour, zone=zone)
    days = [each.astimezone(zone).date() for each in (first, second)]
    assert first > at
    assert days[1] - days[0] == (7 * DAY if weekly else DAY)
    assert last_until(first, weekly=weekly, hour=hour, zone=zone) == days[0]
    assert last_until(second - timedelta(seconds=1), weekly=weekly, hour=hour, zone=zone) == days[0]


def test_the_days_it_is_about_are_whole_ones() -> None:
    start, end = whole_days(datetime(2026, 3, 30, 6, tzinfo=UTC), 1, LONDON)
    assert (end - start) == 23 * HOUR
    assert end == datetime(2026, 3, 29, 23, tzinfo=UTC)


# --- Once ----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def morning() -> Any:
    with time_machine.travel(WEDNESDAY, tick=False) as clock:
        yield clock


def wants(
    people: People, user: User, rhythm: str = "daily", hour: int = 7, zone: str = "Europe/London"
) -> None:
    with organisation_scope(people.organisation.pk):
        digest_wish(
            membership=Membership.objects.get(user=user),
            organisation=people.organisation,
            rhythm=rhythm,
            hour=hour,
            timezone=zone,
            now=datetime.now(UTC),
        )


def tick() -> list[bool]:
    """As the tick and its tasks do."""
    now = datetime.now(UTC)
    digests_owe(now=now)
    done = []
    for organisation_id, pk, token in digests_claim(now=now):
        with organisation_scope(organisation_id):
            done.append(digest_send(digest_id=pk, token=token, now=now))
    return done


def test_it_comes_at_the_persons_hour_once_a_day_however_often_beat_rings(
    people: People, mailbox: Mailbox, morning: Any
) -> None:
    wants(people, people.alice)
    wants(people, people.bob, hour=19, zone="Australia/Sydney")
    assert tick() == []
    heard = []
    for _ in range(3 * 24 * 2):
        morning.shift(HOUR / 2)
        tick()
        tick()
        heard += [(address.split("@")[0], datetime.now(UTC)) for address, _ in mailbox.mails]
        mailbox.mails.clear()
    assert [at for who, at in heard if who == "alice"] == [WEDNESDAY + HOUR + day * DAY for day in range(3)]
    # Seven in the evening in Sydney is eight in the morning in UTC.
    assert [at for who, at in heard if who == "bob"] == [WEDNESDAY + 2 * HOUR + day * DAY for day in range(3)]
    with organisation_scope(people.organisation.pk):
        assert Digest.objects.count() == 6


def test_a_weekly_one_comes_on_mondays(people: People, mailbox: Mailbox, morning: Any) -> None:
    wants(people, people.alice, "weekly")
    for _ in range(15):
        morning.shift(DAY)
        tick()
    with organisation_scope(people.organisation.pk):
        assert [each.on for each in Digest.objects.all()] == [date(2026, 11, 30), date(2026, 12, 7)]
    assert "The week from Mon 23 Nov to Sun 29 Nov 2026" in plain(mailbox.mails[0][1])


def test_days_on_which_nothing_ran_are_not_made_up(people: People, mailbox: Mailbox, morning: Any) -> None:
    wants(people, people.alice)
    morning.shift(5 * DAY)
    assert tick() == [True]
    assert tick() == []
    assert len(mailbox.mails) == 1
    assert "Saturday 28 November 2026" in plain(mailbox.mails[0][1])


def test_a_new_hour_on_the_same_day_sends_no_second_one(
    people: People, mailbox: Mailbox, morning: Any
) -> None:
    wants(people, people.alice)
    morning.shift(2 * HOUR)
    assert tick() == [True]
    wants(people, people.alice, hour=10)
    morning.shift(4 * HOUR)
    assert tick() == []
    morning.shift(DAY)
    assert tick() == [True]


class PowerCut(BaseException):
    pass


@pytest.mark.parametrize("sent", [False, True])
def test_a_sender_that_dies_sends_it_again_and_under_the_same_id(
    people: People, mailbox: Mailbox, morning: Any, monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    wants(people, people.alice)
    morning.shift(HOUR)
    send = EmailMultiAlternatives.send

    def cut(self: EmailMultiAlternatives, *arguments: Any) -> int:
        if sent:
            send(self, *arguments)
        raise PowerCut

    monkeypatch.setattr(EmailMultiAlternatives, "send", cut)
    with pytest.raises(PowerCut):
        tick()
    monkeypatch.undo()
    assert tick() == []
    morning.shift(LEASE)
    assert tick() == [True]
    ids = [str(mail["Message-ID"]) for _, mail in mailbox.mails]
    assert len(ids) == (2 if sent else 1)
    assert len(set(ids)) == 1
    assert tick() == []


def test_a_worker_that_dies_between_owing_and_the_next_hour_owes_it_once(
    people: People, mailbox: Mailbox, morning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants(people, people.alice)
    morning.shift(HOUR)

    def cut(*_: Any, **__: Any) -> None:
        raise PowerCut

    # Pulled out after the row is made and before the wish moves on: both are one transaction.
    monkeypatch.setattr(DigestWish, "save", cut)
    with pytest.raises(PowerCut):
        digests_owe(now=datetime.now(UTC))
    monkeypatch.undo()
    with organisation_scope(people.organisation.pk):
        assert not Digest.objects.exists()
    assert tick() == [True]
    assert len(mailbox.mails) == 1


def test_a_server_that_refuses_it_is_asked_again_later(
    people: People, mailbox: Mailbox, morning: Any
) -> None:
    wants(people, people.alice)
    mailbox.refuses["*"] = "450 busy"
    morning.shift(HOUR)
    assert tick() == [False]
    mailbox.refuses.clear()
    morning.shift(HOUR)
    assert tick() == [True]
    with organisation_scope(people.organisation.pk):
        assert Digest.objects.get().attempts == 2


def test_of_the_digests_to_a_dead_mailbox_the_newest_waits(
    people: People, mailbox: Mailbox, morning: Any
) -> None:
    wants(people, people.alice)
    mailbox.refuses["alice@example.com"] = "550 no such user"
    for _ in range(4):
        morning.shift(timedelta(days=1))
        tick()
    with organisation_scope(people.organisation.pk):
        assert Digest.objects.count() == 4
        waiting = Digest.objects.get(failed_at=None)
        assert waiting == Digest.objects.latest("on")
    mailbox.refuses.clear()
    morning.shift(timedelta(days=1))
    assert tick() == [True]
    assert len(mailbox.mails) == 1


def test_who_left_gets_nothing_more_even_of_what_was_owed(
    people: People, mailbox: Mailbox, morning: Any
) -> None:
    wants(people, people.alice)
    wants(people, people.bob)
    morning.shift(HOUR)
    digests_owe(now=datetime.now(UTC))
    with organisation_scope(people.organisation.pk):
        Membership.objects.get(user=people.alice).delete()
    people.bob.is_active = False
    people.bob.save(update_fields=["is_active"])
    assert tick() == [False, False]
    assert mailbox.mails == []
    with organisation_scope(people.organisation.pk):
        assert {each.message for each in Digest.objects.all()} == {"No longer a member."}
        assert not DigestWish.objects.filter(membership__user=people.alice).exists()


# --- What ----------------------------------------------------------------------------------------------------------


def plain(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body(preferencelist=(kind,))
    assert part is not None
    return str(part.get_content())


@pytest.fixture
def trouble(people: People) -> list[Instrument]:
    """Something of everything that a digest may have to say."""
    owner, now = people.organisation, datetime.now(UTC)
    fleet = [make_instrument(owner, f"QT00000{number}", name=f"Gate {number}") for number in range(4)]
    with organisation_scope(owner.pk):
        for number, each in enumerate(fleet):
            InstrumentStatus.objects.create(
                organisation=owner,
                instrument=each,
                online=number != 1,
                measuring=number != 1,
                online_since_at=now - 3 * HOUR,
                observed_at=now + HOUR,
                changed_at=now,
            )
            each.first_seen_at = now - 30 * DAY
            each.save(update_fields=["first_seen_at"])
            midnight = datetime(2026, 11, 24, tzinfo=UTC)
            for quarter in range(96 if number != 2 else 24):
                NoiseRollup.objects.create(
                    organisation=owner,
                    instrument=each,
                    bucket_s=900,
                    start_at=midnight + quarter * timedelta(minutes=15),
                    energy=1.0,
                    valid_s=900.0,
                    count=15,
                )
        Tolerances.objects.create(organisation=owner, calibration_days=30)
        for each in fleet:
            calibrations_store(
                instrument=each,
                rows=[calibrated(each, now - (40 if each == fleet[3] else 1) * DAY)],
                now=now,
            )
        for kind, severity, taken in (
            (AlertKind.OFFLINE, Severity.AMBER, None),
            (AlertKind.LEVEL, Severity.RED, now),
            (AlertKind.SIC_FAILED, Severity.RED, None),
        ):
            Incident.objects.create(
                organisation=owner,
                instrument=fleet[1],
                kind=kind,
                key=kind,
                title="Gate 1",
                severity=severity,
                opened_at=now - HOUR,
                acknowledged_at=taken,
                acknowledged_by=people.mary if taken else None,
            )
    return fleet


def calibrated(instrument: Instrument, at: datetime) -> CalibrationRow:
    return CalibrationRow(
        serial=instrument.serial, at=at, status="Success", level_db=93.7, offset_db=0.1, document={}
    )


def test_what_is_wrong_comes_first_and_what_was_fine_in_one_line(
    people: People, mailbox: Mailbox, trouble: list[Instrument], morning: Any
) -> None:
    wants(people, people.alice)
    morning.shift(HOUR)
    assert tick() == [True]
    ((address, mail),) = mailbox.mails
    assert address == "alice@example.com"
    assert str(mail["Subject"]).strip() == "Harbour: 3 open incidents, 1 monitor away · Wed 25 Nov"
    text = plain(mail)
    # Whoever nobody has in hand first, and of these the worst; then checks, then who is away, then gaps.
    order = [
        "What needs somebody",
        "Tuesday 24 November 2026",
        "Open incidents (3)",
        "SIC failed: Gate 1",
        "Offline: Gate 1",
        "Limit exceeded: Gate 1",
        "in hand: Mary",
        "Calibrations and certificates (1)",
        "Gate 3: Overdue, due 15 Nov 2026",
        "Offline, silent, not measuring or without values (1)",
        "Gate 1: Offline.",
        "Measured less than 75 % of the time (1)",
        "Gate 2: 25.0 %",
        "3 of 4 instruments stand well; 3 measured at least 75 % of the time, 81.2 % on average",
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    page = plain(mail, "html")
    for words in ("SIC failed: Gate 1", "Gate 3", "25.0", "https://noise.example/o/harbour/alerts/"):
        assert words in page
    assert 'name="viewport"' in page
    assert str(mail["List-Unsubscribe-Post"]) == "List-Unsubscribe=One-Click"


def test_a_quiet_day_says_so(people: People, mailbox: Mailbox, morning: Any) -> None:
    wants(people, people.alice)
    morning.shift(HOUR)
    tick()
    ((_, mail),) = mailbox.mails
    assert str(mail["Subject"]).strip() == "Harbour: all in order · Wed 25 Nov"
    assert plain(mail).startswith("All in order, Harbour")


def test_nothing_of_another_organisation_is_in_it(
    people: People, mailbox: Mailbox, trouble: list[Instrument], morning: Any
) -> None:
    theirs = join(people.other, people.alice, "viewer")  # type: ignore[arg-type]
    with organisation_scope(people.other.pk):
        digest_wish(
            membership=theirs,
            organisation=people.other,
            rhythm="daily",
            hour=7,
            timezone="Europe/London",
            now=datetime.now(UTC),
        )
    morning.shift(HOUR)
    assert tick() == [True]
    ((_, mail),) = mailbox.mails
    assert plain(mail).startswith("All in order, Quarry")
    assert "Gate" not in mail.as_string()


@pytest.mark.parametrize("many", [4, 40])
def test_a_fleet_of_any_size_costs_the_same(
    people: People, mailbox: Mailbox, trouble: list[Instrument], many: int, django_assert_num_queries: Any
) -> None:
    from monitoring.alerts.digests.news import news_of

    owner, now = people.organisation, datetime.now(UTC)
    for number in range(many):
        each = make_instrument(owner, f"QT10{number:04}")
        with organisation_scope(owner.pk):
            InstrumentStatus.objects.create(
                organisation=owner, instrument=each, online=False, observed_at=now, changed_at=now
            )
            Incident.objects.create(
                organisation=owner, instrument=each, kind=AlertKind.OFFLINE, key=each.serial, opened_at=now
            )
    with organisation_scope(owner.pk), django_assert_num_queries(13):
        news = news_of(start=now - DAY, end=now, now=now)
        assert [row.head for row in news.incidents.rows]
        assert [row.look for row in news.checks.rows]
        assert [tile.condition for tile in news.away.rows]


# --- The page ------------------------------------------------------------------------------------------------------


def test_a_person_chooses_and_stops_by_one_click_without_signing_in(
    people: People, mailbox: Mailbox, morning: Any
) -> None:
    client, page = people.client(people.bob), "/o/harbour/notifications/"
    asked = {
        "form": "digest",
        "digest-rhythm": "daily",
        "digest-hour": "7",
        "digest-timezone": "Europe/London",
    }
    assert client.post(page, {**asked, "digest-hour": "24"}).status_code == 422
    assert client.post(page, {**asked, "digest-timezone": "Mars/Here"}).status_code == 422
    assert client.post(page, asked).status_code == 302
    assert "25 Nov 2026, 07:00" in client.get(page).content.decode()
    morning.shift(HOUR)
    tick()
    ((_, mail),) = mailbox.mails
    address = str(mail["List-Unsubscribe"]).strip(" <>").removeprefix("https://noise.example")
    nobody = Client(enforce_csrf_checks=True)
    assert nobody.get(address).status_code == 200
    with organisation_scope(people.organisation.pk):
        assert DigestWish.objects.exists()
        assert nobody.post(address, {"List-Unsubscribe": "One-Click"}).status_code == 200
        assert not DigestWish.objects.exists()
    assert nobody.post(address[:-4] + "AAA/").status_code == 410
    assert client.post(page, asked).status_code == 302
    assert client.post(page, {**asked, "digest-rhythm": "never"}).status_code == 302
    with organisation_scope(people.organisation.pk):
        assert not DigestWish.objects.exists()


def test_what_was_sent_lists_digests_among_alerts_newest_first(
    people: People, mailbox: Mailbox, morning: Any
) -> None:
    wants(people, people.alice)
    asks(people.organisation, people.alice)
    unit = make_instrument(people.organisation, name="Gate 1", first_seen_at=WEDNESDAY - DAY)
    morning.shift(HOUR)
    assert tick() == [True]
    morning.shift(HOUR)
    with organisation_scope(people.organisation.pk):
        arrive(unit, check(datetime.now(UTC)))
    mailbox.refuses["*"] = "450 busy"
    morning.shift(DAY)
    assert tick() == [False]
    text = people.client(people.alice).get("/o/harbour/notifications/").content.decode()
    rows = [row.split("</tr>")[0] for row in text.split("What was sent to you")[1].split("<tr>")[2:]]
    assert [
        ("Digest" in row, "Gate 1" in row, "Sent" in row, "The mail server did not take it" in row)
        for row in rows
    ] == [(True, False, False, True), (False, True, False, False), (True, False, True, False)]
    assert "Every day" in rows[0]
    for other, slug in ((people.bob, "harbour"), (people.charlie, "quarry")):
        page = people.client(other).get(f"/o/{slug}/notifications/").content.decode()
        assert "Nothing yet" in page.split("What was sent to you")[1]


def test_a_row_without_any_value_covers_nothing(people: People) -> None:
    """R9: the contract lets a sensor send rows that hold nothing."""
    made = {
        kind: make_instrument(people.organisation, kind, type=kind) for kind in ("AirQuality", "Vibration")
    }
    minute = timedelta(minutes=1)
    with organisation_scope(people.organisation.pk):
        for number in range(4):
            owned: dict[str, Any] = {
                "organisation": people.organisation,
                "start_at": WEDNESDAY + number * minute,
                "duration_s": 60.0,
            }
            value = 1.5 if number == 0 else None
            ParticulateSample.objects.create(instrument=made["AirQuality"], **owned, pm10_ugm3=value)
            PeakParticleVelocity.objects.create(
                instrument=made["Vibration"], **owned, v_max_z_mms=value, f_dom_z_hz=4.0
            )
        assert _measured(WEDNESDAY, WEDNESDAY + HOUR) == {each.pk: 60.0 for each in made.values()}
