"""Owed messages over a real SMTP server: each sent once, and never lost to a refusal, a dead server or a crash."""

import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from django.core.mail import EmailMultiAlternatives
from django.db import connection

from cirrusweb import doctor
from instruments.models import Deployment, Instrument, Membership, Organisation, Site
from instruments.tenancy import organisation_scope
from monitoring.alerts import tasks
from monitoring.alerts.claims import LEASE
from monitoring.alerts.deliveries import deliveries_claim, delivery_send
from monitoring.alerts.digests.turns import digests_claim
from monitoring.models import AlertDelivery, Digest
from tests.conftest import People, join, make_instrument, make_organisation, make_user
from tests.monitoring.failing import DAY, NIGHT, SEEN, arrive, asks, check
from tests.monitoring.mailserver import Mailbox


def send_owed(now: datetime | None = None) -> list[bool]:
    """Claim what is owed and send it, as the tasks do."""
    done = []
    for organisation_id, delivery_id, token in deliveries_claim(now=now or datetime.now(UTC)):
        with organisation_scope(organisation_id):
            done.append(delivery_send(delivery_id=delivery_id, token=token))
    return done


def test_each_owed_mail_is_sent_once(mailbox: Mailbox, instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT))
    assert send_owed() == [True, True]
    assert send_owed() == []
    assert mailbox.recipients == ["alice@example.com", "bob@example.com"]
    for delivery in AlertDelivery.objects.all():
        assert delivery.sent_at is not None
        assert (delivery.attempts, delivery.lease_until, delivery.message) == (1, None, "")


def test_the_mail_says_what_against_what_when_where_with_a_link(
    mailbox: Mailbox, instrument: Instrument, people: People
) -> None:
    site = Site.objects.create(organisation=people.organisation, name="Pier 4", timezone="Australia/Sydney")
    Deployment.objects.create(
        organisation=people.organisation, instrument=instrument, site=site, start_at=NIGHT - DAY
    )
    arrive(instrument, check(NIGHT - DAY, "Success", 98.4), check(NIGHT, "Failed", 62.1))
    send_owed()
    _, mail = next(each for each in mailbox.mails if each[0] == "alice@example.com")
    subject = str(mail["Subject"])
    assert "SIC failed" in subject
    assert "QT000001" in subject
    assert "Harbour" in subject
    assert str(mail["From"]) == "Cirrusweb <alerts@noise.example>"
    for kind in ("plain", "html"):
        part = mail.get_body(preferencelist=(kind,))
        assert part is not None
        text = part.get_content()
        for told in ("Monitor QT000001", "QT000001", "8 kHz", "62.10 dB", "98.40 dB", "−36.30 dB"):
            assert told in text, (kind, told)
        # 02:00 UTC is 13:00 on the pier, and the zone is named.
        assert "21 Nov 2026 13:00" in text
        assert "AEDT" in text or "Australia/Sydney" in text
        assert "https://noise.example/o/harbour/i/QT000001/" in text
        assert "https://noise.example/o/harbour/notifications/" in text
    assert people.bob.email not in mail.as_string()


def test_the_mail_offers_a_viewer_to_look_and_the_others_to_acknowledge(
    mailbox: Mailbox, instrument: Instrument, people: People
) -> None:
    arrive(instrument, check(NIGHT))
    send_owed()
    for to, mail in mailbox.mails:
        offered, other = "Acknowledge", "Look without signing in"
        if to == people.bob.email:
            offered, other = other, offered
        for kind in ("plain", "html"):
            text = mail.get_body(preferencelist=(kind,)).get_content()
            assert offered in text, (to, kind)
            assert other not in text, (to, kind)
            assert "https://noise.example/alerts/" in text


def test_mails_of_one_incident_thread(mailbox: Mailbox, instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT))
    arrive(instrument, check(NIGHT + DAY))
    send_owed()
    assert len(mailbox.mails) == 4
    assert len({str(mail["Message-ID"]) for _, mail in mailbox.mails}) == 4
    for address in ("alice@example.com", "bob@example.com"):
        first, second = (mail for to, mail in mailbox.mails if to == address)
        assert first["References"] is None
        # A thread needs the first mail's id and its subject, or half of all mailboxes begin a new one.
        assert str(second["References"]) == str(second["In-Reply-To"]) == str(first["Message-ID"])
        assert str(second["Subject"]) == f"Re: {first['Subject']}"
        assert "Failed again" in second.get_body(preferencelist=("plain",)).get_content()


def test_names_of_instruments_cannot_forge_headers_or_markup(
    mailbox: Mailbox, instrument: Instrument
) -> None:
    instrument.name = "Gate\r\nBcc: everybody@example.com\n<script>alert(1)</script>"
    instrument.save(update_fields=["name"])
    arrive(instrument, check(NIGHT))
    assert send_owed() == [True, True]
    assert mailbox.recipients == ["alice@example.com", "bob@example.com"]
    mail = mailbox.mails[0][1]
    assert mail["Bcc"] is None
    page = mail.get_body(preferencelist=("html",))
    assert page is not None
    assert "<script>" not in page.get_content()


def test_a_refusal_is_tried_again_with_growing_pauses_and_never_dropped(
    mailbox: Mailbox, instrument: Instrument
) -> None:
    arrive(instrument, check(NIGHT))
    mailbox.refuses["bob@example.com"] = "450 mailbox busy"
    now = datetime.now(UTC)
    assert sorted(send_owed()) == [False, True]
    waits = []
    for _ in range(12):
        delivery = AlertDelivery.objects.get(recipient__email="bob@example.com")
        assert delivery.sent_at is None
        assert delivery.lease_until is None
        assert "SMTPRecipientsRefused" in delivery.message
        waits.append((delivery.due_at - datetime.now(UTC)).total_seconds())
        assert send_owed(delivery.due_at - timedelta(seconds=1)) == []
        assert send_owed(delivery.due_at) == [False]
    assert waits[0] > 10
    assert waits[3] > waits[2] > waits[1] > waits[0]
    assert max(waits) <= 3600
    mailbox.refuses.clear()
    assert send_owed(now + timedelta(days=1)) == [True]
    assert mailbox.recipients == ["alice@example.com", "bob@example.com"]
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.message) == (14, "")


def test_a_mailbox_that_is_gone_waits_as_a_whole_and_up_to_a_day(
    mailbox: Mailbox, instrument: Instrument, people: People
) -> None:
    for night in range(3):
        arrive(instrument, check(NIGHT + night * DAY), check(NIGHT + night * DAY + DAY / 2, "Success", 98.4))
    mailbox.refuses["bob@example.com"] = "550 5.1.1 no such user"
    owed = AlertDelivery.objects.filter(recipient=people.bob, sent_at=None)
    count, now = owed.count(), datetime.now(UTC)
    assert count >= 3
    assert send_owed().count(True) == AlertDelivery.objects.exclude(recipient=people.bob).count()
    # Whoever else is owed something has it; of Bob's one was tried.
    assert owed.filter(attempts=1).count() == 1
    assert owed.filter(message="The mailbox was refused: 550 5.1.1 no such user").count() == count
    waits = []
    for _ in range(12):
        (until,) = set(owed.values_list("due_at", flat=True))
        waits.append(until - datetime.now(UTC))
        assert send_owed(until - timedelta(seconds=1)) == []
        send_owed(until)
    assert waits == sorted(waits)
    assert timedelta(hours=6) < waits[-1] <= timedelta(days=1)
    (finding,) = doctor.mailboxes()
    assert finding.message.startswith(f"bob@example.com: {count} wait. The mailbox was refused: 550")
    # Mended: what comes next is tried at once, and the others come after it.
    mailbox.refuses.clear()
    arrive(instrument, check(NIGHT + 5 * DAY))
    assert send_owed(now + timedelta(minutes=2)) == [True, True]
    assert send_owed(now + timedelta(minutes=2)) == [True] * count
    assert not owed.exists()
    assert list(doctor.mailboxes()) == []


@pytest.mark.parametrize("answer", ["451 try later", "554 this is spam"])
def test_a_server_that_takes_the_recipient_but_not_the_mail(
    mailbox: Mailbox, instrument: Instrument, answer: str
) -> None:
    arrive(instrument, check(NIGHT))
    mailbox.refuses["data"] = answer
    assert send_owed() == [False, False]
    mailbox.refuses.clear()
    assert send_owed(datetime.now(UTC) + timedelta(hours=2)) == [True, True]
    assert len(mailbox.mails) == 2


def test_a_mail_server_that_is_down_loses_nothing(
    mailbox: Mailbox, instrument: Instrument, settings: Any
) -> None:
    arrive(instrument, check(NIGHT))
    good = settings.EMAIL_PORT
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = nobody.getsockname()[1]
        assert send_owed() == [False, False]
    assert all("ConnectionRefused" in each.message for each in AlertDelivery.objects.all())
    settings.EMAIL_PORT = good
    assert send_owed(datetime.now(UTC) + timedelta(hours=2)) == [True, True]
    assert mailbox.recipients == ["alice@example.com", "bob@example.com"]


def test_a_crash_between_sending_and_marking_sends_again_under_the_same_id(
    mailbox: Mailbox, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(instrument, check(NIGHT))
    send = EmailMultiAlternatives.send

    class PowerCut(BaseException):
        pass

    def cut(self: EmailMultiAlternatives, *arguments: Any) -> int:
        send(self, *arguments)
        raise PowerCut

    now = datetime.now(UTC)
    (first, *_) = deliveries_claim(now=now)
    monkeypatch.setattr(EmailMultiAlternatives, "send", cut)
    with pytest.raises(PowerCut):
        delivery_send(delivery_id=first[1], token=first[2])
    monkeypatch.undo()
    assert len(mailbox.mails) == 1
    # Nobody else takes it while it is held, and then it is sent once more.
    assert send_owed(now + LEASE - timedelta(seconds=1)) == []
    assert send_owed(now + LEASE) == [True, True]
    ids = [str(mail["Message-ID"]) for address, mail in mailbox.mails if address == mailbox.mails[0][0]]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert send_owed(now + 10 * LEASE) == []


def test_a_mail_that_cannot_be_written_waits_longer_each_time_and_holds_up_no_other(
    mailbox: Mailbox, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours must not be tried every two minutes for ever, nor be forgotten."""
    arrive(instrument, check(NIGHT))
    AlertDelivery.objects.filter(recipient__email="alice@example.com").update(channel="email")
    broken = AlertDelivery.objects.get(recipient__email="alice@example.com")
    change = broken.change
    change.facts = {**change.facts, "passed_before_at": "not a time"}
    change.save(update_fields=["facts"])
    assert send_owed() == [False, False]
    broken.refresh_from_db()
    assert broken.attempts == 1
    assert broken.message
    assert broken.lease_until is None
    change.facts = {**change.facts, "passed_before_at": None}
    change.save(update_fields=["facts"])
    assert send_owed(datetime.now(UTC) + timedelta(hours=2)) == [True, True]


def test_who_left_the_organisation_is_sent_nothing_more(
    mailbox: Mailbox, instrument: Instrument, people: People
) -> None:
    arrive(instrument, check(NIGHT))
    Membership.objects.get(user=people.bob).delete()
    people.alice.is_active = False
    people.alice.save(update_fields=["is_active"])
    send_owed()
    send_owed(datetime.now(UTC) + timedelta(days=2))
    assert mailbox.mails == []
    for delivery in AlertDelivery.objects.all():
        assert delivery.sent_at is None
        assert delivery.failed_at is not None
        assert delivery.message


def test_a_claim_of_another_is_not_sent(mailbox: Mailbox, instrument: Instrument) -> None:
    arrive(instrument, check(NIGHT))
    now = datetime.now(UTC)
    first = deliveries_claim(now=now)
    assert deliveries_claim(now=now) == []
    second = deliveries_claim(now=now + LEASE)
    assert {claim[1] for claim in first} == {claim[1] for claim in second}
    assert [delivery_send(delivery_id=each, token=token) for _, each, token in first] == [False, False]
    assert [delivery_send(delivery_id=each, token=token) for _, each, token in second] == [True, True]
    assert [delivery_send(delivery_id=each, token=token) for _, each, token in second] == [False, False]
    assert len(mailbox.mails) == 2


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_send_one_mail_each(mailbox: Mailbox) -> None:
    owner = make_organisation("harbour")
    for number in range(5):
        user = make_user(f"person{number}@example.com")
        join(owner, user, "viewer")  # type: ignore[arg-type]
        asks(owner, user)
    instrument = make_instrument(owner, first_seen_at=SEEN)
    with organisation_scope(owner.pk):
        arrive(instrument, check(NIGHT), check(NIGHT + DAY))
    barrier, failures = threading.Barrier(3), []

    def sender() -> None:
        try:
            barrier.wait(10)
            for _ in range(3):
                send_owed()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=sender) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(mailbox.mails) == 10
    assert len({str(mail["Message-ID"]) for _, mail in mailbox.mails}) == 10


def owes(owner: Organisation, count: int) -> None:
    """``count`` people of ``owner`` are owed a mail each."""
    for number in range(count):
        user = make_user(f"person{number}@{owner.slug}.example")
        join(owner, user, "viewer")  # type: ignore[arg-type]
        asks(owner, user)
    unit = make_instrument(owner, first_seen_at=SEEN)
    with organisation_scope(owner.pk):
        arrive(unit, check(NIGHT))


def test_few_are_on_their_way_at_once_and_never_all_of_one_organisation(
    mailbox: Mailbox, settings: Any, db: None
) -> None:
    """Each may hold a worker's thread for as long as a mail server says nothing."""
    settings.SENDS_AT_ONCE = 3
    harbour, other = make_organisation("harbour"), make_organisation("other")
    owes(harbour, 6)
    now = datetime.now(UTC)
    first = deliveries_claim(now=now)
    assert [claim[0] for claim in first] == [harbour.pk, harbour.pk]
    assert deliveries_claim(now=now) == []
    owes(other, 6)
    now = datetime.now(UTC)
    assert [claim[0] for claim in deliveries_claim(now=now)] == [other.pk]
    assert deliveries_claim(now=now) == []
    with organisation_scope(harbour.pk):
        assert delivery_send(delivery_id=first[0][1], token=first[0][2])
    assert [claim[0] for claim in deliveries_claim(now=now)] == [harbour.pk]
    # Whoever died with a message in hand gives its place back with the lease.
    assert len(deliveries_claim(now=now + LEASE)) == 3


def test_digests_and_alerts_share_the_places(mailbox: Mailbox, settings: Any, db: None) -> None:
    settings.SENDS_AT_ONCE = 1
    harbour = make_organisation("harbour")
    owes(harbour, 1)
    now = datetime.now(UTC)
    with organisation_scope(harbour.pk):
        member = Membership.objects.get()
        Digest.objects.create(
            organisation=harbour,
            recipient=member.user,
            rhythm="daily",
            on=now.date(),
            asked_at=now,
            due_at=now,
        )
    assert len(digests_claim(now=now)) == 1
    assert deliveries_claim(now=now) == []


def test_each_send_that_ends_has_the_next_one_begin(mailbox: Mailbox, settings: Any, db: None) -> None:
    """At once, and not with the next tick."""
    settings.SENDS_AT_ONCE = 1
    harbour = make_organisation("harbour")
    owes(harbour, 4)
    assert tasks.dispatch() == 1
    for sent in range(1, 5):
        with organisation_scope(harbour.pk):
            out = AlertDelivery.objects.get(lease_until__gt=datetime.now(UTC))
        tasks.send(harbour.pk, out.pk, str(out.lease_token))
        assert len(mailbox.mails) == sent
    with organisation_scope(harbour.pk):
        assert not AlertDelivery.objects.filter(sent_at=None).exists()


def test_what_a_dead_broker_does_not_take_keeps_no_place(mailbox: Mailbox, db: None) -> None:
    dead = Celery("dead", broker="redis://127.0.0.1:9/0", set_as_current=False)
    dead.conf.task_publish_retry = False

    @dead.task
    def send(*_: Any) -> None:
        """Nobody ever hears of it."""

    owes(make_organisation("harbour"), 2)
    now = datetime.now(UTC)
    claims = deliveries_claim(now=now)
    assert (len(claims), deliveries_claim(now=now)) == (2, [])
    with pytest.raises(tasks.BROKER_FAILURES):
        tasks._queued(send, AlertDelivery, claims)
    assert len(deliveries_claim(now=now)) == 2
