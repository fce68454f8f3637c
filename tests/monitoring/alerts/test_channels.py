"""Channels over real HTTP: what each service gets, what its answer means, and that nothing is lost or told twice."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from django.db import connection, transaction

from instruments.models import Activity, Deployment, Instrument, Membership, Site
from instruments.tenancy import organisation_scope
from monitoring.alerts.channels.keeping import (
    Hears,
    channel_add,
    channel_change,
    channel_off,
    channel_remove,
    channel_test,
    hears_of,
)
from monitoring.alerts.channels.webhook import signing_key
from monitoring.alerts.claims import LEASE
from monitoring.alerts.watching import step_note, tell
from monitoring.models import (
    AlertChannel,
    AlertDelivery,
    AlertKind,
    AlertRuleVersion,
    ChannelSecret,
    Incident,
    IncidentChange,
    Severity,
)
from tests.conftest import People, make_instrument
from tests.monitoring.alerts.chatserver import JSON, PLAIN, SERVICES, ChatServer, Room, chat_server
from tests.monitoring.failing import DAY, NIGHT, arrive, check
from tests.monitoring.test_deliveries import send_owed

KINDS = sorted(SERVICES)
NOW = datetime.now(UTC)
PASSWORD = "secretsecret"


@pytest.fixture
def chats(settings: Any) -> Iterator[ChatServer]:
    settings.CHANNEL_PRIVATE_ADDRESSES = True
    settings.PUBLIC_URL = "https://noise.example"
    with chat_server() as server:
        yield server


@pytest.fixture
def harbour(people: People) -> Iterator[People]:
    """Its scope is open, and nobody has asked for mail."""
    with organisation_scope(people.organisation.pk):
        yield people


@pytest.fixture
def unit(harbour: People) -> Instrument:
    return make_instrument(harbour.organisation, "QT000001", first_seen_at=NIGHT - DAY)


def channel(people: People, server: ChatServer, kind: str = "slack", **hears: Any) -> AlertChannel:
    key = ""
    if kind == "webhook":
        key = server.room(kind).key = signing_key()
    return channel_add(
        organisation=people.organisation,
        kind=kind,
        name=f"The {kind} room",
        secret=ChannelSecret(server.address(kind), key),
        hears=Hears(**hears),
        actor=people.adam,
    )


def told(room: Room) -> list[str]:
    """What came, as JSON text."""
    return [json.dumps(document, ensure_ascii=False) for document in room.got]


def opened(
    people: People,
    instrument: Instrument | None = None,
    *,
    kind: str = AlertKind.OFFLINE,
    severity: int = Severity.RED,
    **fields: Any,
) -> IncidentChange:
    """An incident that opens now, told to whoever asked."""
    now = datetime.now(UTC)
    incident = Incident.objects.create(
        organisation=people.organisation,
        instrument=instrument,
        kind=kind,
        opened_at=now,
        severity=severity,
        worst=severity,
        **fields,
    )
    change = step_note(
        incident,
        "opened",
        at=now,
        cause=f"test:{incident.pk}",
        facts={"since": now.isoformat(), "lasted_s": 900},
        severity=severity,
    )
    assert change is not None
    tell(change, instruments=[instrument.pk] if instrument else [], now=now)
    return change


@pytest.mark.parametrize("kind", KINDS)
def test_each_service_gets_what_where_when_with_numbers_and_a_link(
    harbour: People, unit: Instrument, chats: ChatServer, kind: str
) -> None:
    site = Site.objects.create(organisation=harbour.organisation, name="Pier 4", timezone="Australia/Sydney")
    Deployment.objects.create(
        organisation=harbour.organisation, instrument=unit, site=site, start_at=NIGHT - DAY
    )
    channel(harbour, chats, kind)
    arrive(unit, check(NIGHT - DAY, "Success", 98.4), check(NIGHT, "Failed", 62.1))
    assert send_owed() == [True]
    (text,) = told(chats.room(kind))
    for said in ("SIC failed", "QT000001", "Pier 4", "62.10 dB", "98.40 dB", "−36.30 dB", "Harbour"):
        assert said in text.replace("\\\\", ""), said
    # 02:00 UTC is 13:00 on the pier, whose zone is named.
    assert "21 Nov 2026 13:00:00" in text
    assert "AEDT" in text
    incident = Incident.objects.get()
    assert f"https://noise.example/o/harbour/alerts/{incident.pk}/" in text
    assert incident.version is not None
    assert "version 1" in text
    delivery = AlertDelivery.objects.get()
    assert (
        delivery.message.split(":")[0]
        == {
            "slack": "200 OK",
            "teams": "202 Accepted",
            "discord": "204 No Content",
            "webhook": "200 OK",
        }[kind]
    )


def test_a_level_is_told_with_its_unit_its_limit_and_the_version(
    harbour: People, unit: Instrument, chats: ChatServer
) -> None:
    channel(harbour, chats)
    version = AlertRuleVersion.objects.select_related("rule").get(rule__kind=AlertKind.OFFLINE)
    change = opened(harbour, unit, kind=AlertKind.DISK, version=version)
    facts = {"value": 97.5, "unit": "%", "amber": 80, "red": 95}
    IncidentChange.objects.filter(pk=change.pk).update(facts=facts)
    send_owed()
    (text,) = told(chats.room("slack"))
    for said in ("97.5 %", "Red limit: 95.0 %", f"{version.rule.name}, version 1 of "):
        assert said in text


@pytest.mark.parametrize("kind", KINDS)
def test_names_call_nobody_and_format_nothing(
    harbour: People, unit: Instrument, chats: ChatServer, kind: str
) -> None:
    unit.name = "<!channel> @everyone [free](https://evil.example) *bold*"
    unit.save(update_fields=["name"])
    channel(harbour, chats, kind)
    arrive(unit, check(NIGHT))
    assert send_owed() == [True]
    (document,) = chats.room(kind).got
    match kind:
        case "slack":
            assert "<!channel>" not in document["text"]
            assert all(block["text"]["type"] == "plain_text" for block in document["blocks"][:2])
            assert "channel" not in document["blocks"][2]["text"]["text"]
        case "discord":
            assert document["allowed_mentions"] == {"parse": []}
            assert r"\[free\]\(https://evil.example\)" in document["embeds"][0]["description"]
        case "teams":
            assert (
                r"\[free\]\(https"
                in json.loads(json.dumps(document))["attachments"][0]["content"]["body"][0]["text"]
            )
        case "webhook":
            assert document["data"]["instruments"] == [{"serial": unit.serial, "name": unit.name}]


def test_the_webhook_is_signed_and_keeps_its_id_when_it_comes_again(
    harbour: People, unit: Instrument, chats: ChatServer
) -> None:
    channel(harbour, chats, "webhook")
    room = chats.room("webhook")
    right, room.key = room.key, signing_key()
    arrive(unit, check(NIGHT))
    # A program that takes nothing signed with another key would refuse ours for good.
    room.answers = [(503, PLAIN, b"restarting")]
    assert send_owed() == [False]
    room.key = right
    assert send_owed(datetime.now(UTC) + timedelta(hours=1)) == [True]
    (document,), (headers,) = room.got, room.headers
    delivery = AlertDelivery.objects.get()
    assert headers["webhook-id"] == f"alert-{harbour.organisation.pk}-{delivery.pk}"
    assert document["type"] == "incident.opened"
    assert document["data"]["incident"]["kind"] == "sic_failed"
    assert document["data"]["facts"]["levels"][0]["level_db"] == 98.5
    assert document["timestamp"] == NIGHT.isoformat()


def test_a_wrong_signature_is_refused_by_the_program_and_switches_off(
    harbour: People, unit: Instrument, chats: ChatServer
) -> None:
    """The stand-in checks indeed: with another key nothing is taken."""
    made = channel(harbour, chats, "webhook")
    chats.room("webhook").key = signing_key()
    arrive(unit, check(NIGHT))
    assert send_owed() == [False]
    made.refresh_from_db()
    assert made.off_reason == '401 Unauthorized: {"error": "No matching signature found"}'


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 301, 302, 308])
def test_a_refusal_for_good_switches_off_says_so_and_tells_the_admins_once(
    harbour: People, unit: Instrument, chats: ChatServer, mailbox: Any, status: int
) -> None:
    made = channel(harbour, chats)
    chats.room("slack").always = (status, {**PLAIN, "Location": "http://127.0.0.1:1/"}, b"no_service")
    arrive(unit, check(NIGHT))
    opened(harbour, unit)
    assert send_owed() == [False]
    # What else it was owed ends with the channel, unasked; the admins hear of it.
    assert sorted(send_owed()) == [False, True, True]
    assert len(chats.asked) == 1
    made.refresh_from_db()
    assert made.off_at is not None
    assert made.off_reason.startswith(str(status))
    assert [each.sent_at for each in AlertDelivery.objects.filter(target=made)] == [None, None]
    assert all(each.failed_at for each in AlertDelivery.objects.filter(target=made))
    # Nothing that happens now is owed to it.
    opened(harbour, unit)
    assert AlertDelivery.objects.filter(target=made).count() == 2
    assert mailbox.recipients == ["adam@example.com", "alice@example.com"]
    mail = mailbox.mails[0][1]
    text = mail.get_body(preferencelist=("plain",)).get_content()
    assert "The slack room" in str(mail["Subject"])
    assert str(status) in text
    assert "you manage Harbour" in text
    assert mail["List-Unsubscribe"] is None
    channel_off(channel=made, reason="again", now=datetime.now(UTC))
    assert send_owed() == []
    assert Activity.objects.filter(verb="channel_off").count() == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_trouble_loses_nothing_and_leaves_it_on(
    harbour: People, unit: Instrument, chats: ChatServer, status: int
) -> None:
    made = channel(harbour, chats)
    room = chats.room("slack")
    room.always = (status, PLAIN, b"later")
    arrive(unit, check(NIGHT))
    waits, now = [], datetime.now(UTC)
    for _ in range(12):
        assert send_owed(now) == [False]
        delivery = AlertDelivery.objects.get()
        assert delivery.message.startswith(str(status))
        waits.append((delivery.due_at - datetime.now(UTC)).total_seconds())
        now = delivery.due_at
    assert waits[3] > waits[2] > waits[1] > waits[0] > 10
    assert max(waits) <= 3600
    made.refresh_from_db()
    assert made.is_on
    room.always = None
    assert send_owed(now) == [True]
    assert len(room.got) == 1
    assert send_owed(now + DAY) == []


def test_a_channel_is_left_alone_as_long_as_it_asks(
    harbour: People, unit: Instrument, chats: ChatServer, mailbox: Any
) -> None:
    """Retry-After is everybody's: what else is owed to the same channel waits too, and no other channel."""
    made, other = channel(harbour, chats), channel(harbour, chats, "discord")
    chats.room("slack").answers = [(429, {**PLAIN, "Retry-After": "600"}, b"")]
    for _ in range(3):
        opened(harbour, unit)
    now = datetime.now(UTC)
    # To each one at a time.
    assert [sorted(send_owed(now)) for _ in range(3)] == [[False, True], [True], [True]]
    assert chats.asked.count(SERVICES["slack"][0]) == 1
    assert len(chats.room("discord").got) == 3
    owed = AlertDelivery.objects.filter(target=made)
    assert {each.attempts for each in owed} == {0, 1}
    for each in owed:
        assert timedelta(seconds=590) < each.due_at - now < timedelta(seconds=660)
    assert AlertDelivery.objects.filter(target=other, sent_at=None).count() == 0
    assert send_owed(now + timedelta(seconds=580)) == []
    assert [send_owed(now + timedelta(seconds=700)) for _ in range(3)] == [[True]] * 3
    assert len(chats.room("slack").got) == 3


def test_nobody_there_is_tried_again(harbour: People, unit: Instrument, chats: ChatServer) -> None:
    made = channel(harbour, chats)
    secret = ChannelSecret("http://127.0.0.1:9" + SERVICES["slack"][0])
    channel_change(channel=made, name=made.name, secret=secret, hears=Hears(), actor=harbour.adam)
    arrive(unit, check(NIGHT))
    assert send_owed() == [False]
    assert AlertDelivery.objects.get().message == "No connection."
    made.refresh_from_db()
    assert made.is_on


def test_an_answer_that_drips_ends_at_its_deadline(
    harbour: People, unit: Instrument, chats: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.alerts.channels.posting.TOTAL_SECONDS", 1.0)
    channel(harbour, chats)
    chats.room("slack").drips = 0.05
    arrive(unit, check(NIGHT))
    began = datetime.now(UTC)
    assert send_owed() == [False]
    assert datetime.now(UTC) - began < timedelta(seconds=10)
    assert AlertDelivery.objects.get().message == "No complete answer in time."


class PowerCut(BaseException):
    """The sender's process ends here."""


@pytest.mark.parametrize("kind", ["slack", "webhook"])
@pytest.mark.parametrize("step", ["before", "connect", "after", "marking"])
def test_a_sender_killed_at_any_step_sends_at_least_once_under_one_id(
    harbour: People,
    unit: Instrument,
    chats: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    kind: str,
) -> None:
    channel(harbour, chats, kind)
    room = chats.room(kind)
    arrive(unit, check(NIGHT))
    real = requests.Session.post

    def cut(*arguments: Any, **named: Any) -> Any:
        if step == "after":
            real(*arguments, **named)
        raise PowerCut

    match step:
        case "before":
            monkeypatch.setattr("monitoring.alerts.channels.chat.message_of", cut)
        case "connect" | "after":
            monkeypatch.setattr(requests.Session, "post", cut)
        case "marking":
            monkeypatch.setattr("monitoring.alerts.deliveries.owed_sent", cut)
    now = datetime.now(UTC)
    with pytest.raises(PowerCut):
        send_owed(now)
    monkeypatch.undo()
    sent = 1 if step in ("after", "marking") else 0
    assert len(room.got) == sent
    # Nobody else takes it while it is held, and then it is sent, or sent once more.
    assert send_owed(now + LEASE - timedelta(seconds=1)) == []
    assert send_owed(now + LEASE) == [True]
    assert len(room.got) == sent + 1
    if kind == "webhook":
        assert len({headers["webhook-id"] for headers in room.headers}) == 1
    assert send_owed(now + 10 * LEASE) == []


def test_killed_while_it_switches_off_it_is_off_or_not_and_the_mail_is_owed(
    harbour: People, unit: Instrument, chats: ChatServer, monkeypatch: pytest.MonkeyPatch, mailbox: Any
) -> None:
    made = channel(harbour, chats)
    chats.room("slack").always = (404, PLAIN, b"no_service")
    arrive(unit, check(NIGHT))

    def cut(*arguments: Any, **named: Any) -> Any:
        raise PowerCut

    now = datetime.now(UTC)
    # In the middle of the transaction: all of it is taken back.
    monkeypatch.setattr("monitoring.alerts.channels.keeping.deliveries_make", cut)
    with pytest.raises(PowerCut), transaction.atomic():
        send_owed(now)
    monkeypatch.undo()
    made.refresh_from_db()
    assert made.is_on
    assert not Incident.objects.filter(kind=AlertKind.CHANNEL).exists()
    # After it, before the message is marked: the next turn ends it, and the mail stands.
    monkeypatch.setattr("monitoring.alerts.deliveries.owed_dropped", cut)
    with pytest.raises(PowerCut):
        send_owed(now + LEASE)
    monkeypatch.undo()
    made.refresh_from_db()
    assert not made.is_on
    send_owed(now + 2 * LEASE)
    assert mailbox.recipients == ["adam@example.com", "alice@example.com"]
    delivery = AlertDelivery.objects.get(target=made)
    assert delivery.failed_at is not None
    assert delivery.message == "The channel was switched off or removed."


def test_one_message_for_a_change_however_often_it_is_owed(
    harbour: People, unit: Instrument, chats: ChatServer
) -> None:
    channel(harbour, chats)
    change = opened(harbour, unit)
    tell(change, instruments=[unit.pk], now=datetime.now(UTC))
    assert send_owed() == [True]
    assert len(chats.room("slack").got) == 1


def test_a_channel_hears_its_kinds_at_its_sites_from_its_severity_on(
    harbour: People, chats: ChatServer
) -> None:
    owner = harbour.organisation
    pier, quay = (Site.objects.create(organisation=owner, name=name) for name in ("Pier", "Quay"))
    there, elsewhere, nowhere = (make_instrument(owner, f"QT00000{n}") for n in range(3))
    for unit, site in ((there, pier), (elsewhere, quay)):
        Deployment.objects.create(organisation=owner, instrument=unit, site=site, start_at=NOW - DAY)
    channel(harbour, chats, "slack", kinds=["offline", "disk"], sites=[pier], minimum=Severity.RED)
    channel(harbour, chats, "discord")
    rows = [
        (opened(harbour, there), True),
        (opened(harbour, there, kind=AlertKind.DISK), True),
        (opened(harbour, there, kind=AlertKind.SIM), False),
        (opened(harbour, there, severity=Severity.AMBER), False),
        (opened(harbour, elsewhere), False),
        (opened(harbour, nowhere), False),
        (opened(harbour, None, kind=AlertKind.KEY), False),
    ]
    for change, heard in rows:
        of = AlertDelivery.objects.filter(change=change)
        assert of.filter(channel="slack").exists() == heard, change.incident.kind
        assert of.filter(channel="discord").exists()
    made = AlertChannel.objects.get(kind="slack")
    hears = hears_of(made)
    assert hears is not None
    assert (list(hears.kinds), list(hears.sites), hears.minimum) == (["disk", "offline"], [pier], 2)


def test_the_end_is_told_to_whoever_heard_the_beginning(
    harbour: People, unit: Instrument, chats: ChatServer
) -> None:
    channel(harbour, chats, minimum=Severity.RED)
    arrive(unit, check(NIGHT))
    send_owed()
    arrive(unit, check(NIGHT + DAY, "Success"))
    send_owed()
    first, last = chats.room("slack").got
    assert "Red. Opened." in first["text"]
    assert "Recovered." in last["text"]
    assert "Lasted: " in last["text"]


def test_another_organisation_hears_nothing(people: People, chats: ChatServer) -> None:
    with organisation_scope(people.other.pk):
        channel_add(
            organisation=people.other,
            kind="slack",
            name="Theirs",
            secret=ChannelSecret(chats.address("slack")),
            hears=Hears(),
            actor=people.charlie,
        )
    with organisation_scope(people.organisation.pk):
        arrive(make_instrument(people.organisation, first_seen_at=NIGHT - DAY), check(NIGHT))
    assert send_owed() == []
    assert chats.asked == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_test_is_really_sent_and_its_answer_kept(harbour: People, chats: ChatServer, kind: str) -> None:
    made = channel(harbour, chats, kind)
    assert channel_test(channel=made, now=NOW, actor=harbour.adam)
    (text,) = told(chats.room(kind))
    assert "Test from Cirrusweb" in text
    made.refresh_from_db()
    assert made.test_passed
    assert made.test_answer[:3] in ("200", "202", "204")
    chats.room(kind).always = (404, PLAIN, b"no_service")
    assert not channel_test(channel=made, now=NOW, actor=harbour.adam)
    made.refresh_from_db()
    assert (made.test_passed, made.test_answer) == (False, "404 Not Found: no_service")
    # Only what was owed switches it off: a test is a question.
    assert made.is_on


def test_a_good_test_switches_on_again_and_says_so(
    harbour: People, unit: Instrument, chats: ChatServer, mailbox: Any
) -> None:
    made = channel(harbour, chats)
    channel_off(channel=made, reason="404 Not Found", now=NOW)
    send_owed()
    mailbox.mails.clear()
    chats.room("slack").always = (404, PLAIN, b"no_service")
    assert not channel_test(channel=made, now=datetime.now(UTC), actor=harbour.adam)
    made.refresh_from_db()
    assert not made.is_on
    chats.room("slack").always = None
    assert channel_test(channel=made, now=datetime.now(UTC), actor=harbour.adam)
    made.refresh_from_db()
    assert made.is_on
    assert made.off_reason == ""
    assert Incident.objects.get(kind=AlertKind.CHANNEL).closed_at is not None
    send_owed()
    assert mailbox.recipients == ["adam@example.com", "alice@example.com"]
    opened(harbour, unit)
    assert send_owed() == [True]


def test_what_is_removed_forgets_its_address_and_keeps_its_record(
    harbour: People, unit: Instrument, chats: ChatServer
) -> None:
    made = channel(harbour, chats)
    opened(harbour, unit)
    assert send_owed() == [True]
    opened(harbour, unit)
    channel_remove(channel=made, now=NOW, actor=harbour.adam)
    assert send_owed() == [False]
    made.refresh_from_db()
    assert made.ciphertext == ""
    assert AlertDelivery.objects.filter(target=made).count() == 2
    assert len(chats.room("slack").got) == 1
    opened(harbour, unit)
    assert AlertDelivery.objects.count() == 2


def test_a_slow_channel_holds_up_one_worker_and_no_mail(
    harbour: People, unit: Instrument, chats: ChatServer
) -> None:
    channel(harbour, chats)
    for _ in range(4):
        opened(harbour, unit)
    from monitoring.alerts.deliveries import deliveries_claim
    from tests.monitoring.failing import asks

    asks(harbour.organisation, harbour.alice)
    arrive(unit, check(NIGHT))
    now = datetime.now(UTC)
    claimed = [pk for _, pk, _ in deliveries_claim(now=now)]
    channels = AlertDelivery.objects.filter(pk__in=claimed).values_list("channel", flat=True)
    assert sorted(channels) == ["email", "slack"]
    assert deliveries_claim(now=now) == []
    assert len(deliveries_claim(now=now + LEASE)) == 2


def test_the_address_is_in_no_row_no_log_and_no_error(
    harbour: People, unit: Instrument, chats: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in KINDS:
        made = channel(harbour, chats, kind)
        for answer in (
            (404, JSON, json.dumps({"asked": SERVICES[kind][0]}).encode()),
            (500, PLAIN, chats.address(kind).encode()),
        ):
            chats.room(kind).answers = [answer]
            channel_test(channel=made, now=NOW, actor=harbour.adam)
            made.refresh_from_db()
            assert PASSWORD not in made.test_answer
            assert made.test_answer.startswith(str(answer[0]))
        assert PASSWORD not in f"{made!r} {made} {made.secret_reveal()!r}"
        assert (made.host, made.last_four) == ("127.0.0.1", SERVICES[kind][0][-4:])
    chats.room("slack").always = (503, PLAIN, b"")
    arrive(unit, check(NIGHT))
    with caplog.at_level("DEBUG"):
        send_owed()
        chats.shutdown()
        chats.server_close()
        send_owed(datetime.now(UTC) + DAY)
    ours = [record for record in caplog.records if not record.name.startswith("urllib3")]
    assert ours
    assert not [record for record in ours if PASSWORD in record.getMessage() or record.exc_info]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            assert PASSWORD not in str(cursor.fetchall()), table


def test_admins_alone_are_told_of_a_channel_that_nobody_asked_about(
    harbour: People, chats: ChatServer
) -> None:
    made = channel(harbour, chats)
    other = channel(harbour, chats, "discord")
    channel_off(channel=made, reason="410 Gone", now=NOW)
    told_to = AlertDelivery.objects.filter(change__incident__kind=AlertKind.CHANNEL)
    people = set(told_to.exclude(recipient=None).values_list("recipient__email", flat=True))
    assert people == {"alice@example.com", "adam@example.com"}
    assert Membership.objects.count() == 4
    # Another channel that hears of everything is a good place to read it.
    assert [each.target for each in told_to.filter(recipient=None)] == [other]
