"""The pages of channels: who may do what, that a secret goes in and never out, and what they cost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instruments.models import Activity, Site
from instruments.tenancy import organisation_scope
from monitoring.alerts.channels.keeping import Hears, channel_off, hears_of
from monitoring.alerts.channels.webhook import is_signing_key
from monitoring.models import AlertChannel, AlertDelivery, ChannelSecret, Incident, IncidentChange
from tests.conftest import People
from tests.monitoring.alerts.chatserver import PLAIN, ChatServer, chat_server
from tests.monitoring.alerts.test_channels import channel

PATH = "/o/harbour/alerts/channels/"
PASSWORD = "secretsecret"
NOW = datetime.now(UTC)


@pytest.fixture
def chats(settings: Any) -> Iterator[ChatServer]:
    settings.CHANNEL_PRIVATE_ADDRESSES = True
    with chat_server() as server:
        yield server


def made(people: People, chats: ChatServer, kind: str = "slack", **hears: Any) -> AlertChannel:
    with organisation_scope(people.organisation.pk):
        return channel(people, chats, kind, **hears)


def page(client: Client, path: str = PATH) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def posted(client: Client, path: str, **values: Any) -> str:
    """The page that follows; what was wrong is a failure of the test."""
    answer = client.post(path, values, follow=True)
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def deliveries(of: AlertChannel, count: int, **fields: Any) -> None:
    with organisation_scope(of.organisation_id):
        for number in range(count):
            incident = Incident.objects.create(
                kind="offline", title=f"Unit {number}", opened_at=NOW, closed_at=NOW
            )
            change = IncidentChange.objects.create(
                incident=incident, step="opened", cause=f"c:{incident.pk}", at=NOW
            )
            AlertDelivery.objects.create(
                change=change, channel=of.kind, target=of, due_at=NOW, attempts=1, **fields
            )


def test_an_empty_place_teaches_and_says_who_adds(people: People) -> None:
    text = page(people.client(people.adam))
    assert "Add a channel" in text
    assert "Slack" in text
    text = page(people.client(people.mary))
    assert "An admin of your organisation adds them" in text
    assert "channels/new/" not in text


def test_a_channel_is_added_by_its_form_tested_and_seen(people: People, chats: ChatServer) -> None:
    with organisation_scope(people.organisation.pk):
        pier = Site.objects.create(organisation=people.organisation, name="Pier 4")
    client = people.client(people.adam)
    text = page(client, PATH + "new/")
    for label in ("Slack", "Microsoft Teams", "Discord", "Signed webhook"):
        assert label in text
    text = posted(
        client,
        PATH + "new/?kind=slack",
        name="#noise",
        address=chats.address("slack"),
        minimum="2",
        kinds=["offline", "level"],
        sites=[pier.pk],
    )
    assert "Send a test" in text
    with organisation_scope(people.organisation.pk):
        row = AlertChannel.objects.get()
        assert row.secret_reveal().address == chats.address("slack")
        hears = hears_of(row)
        assert hears is not None
        assert (list(hears.kinds), [site.name for site in hears.sites], hears.minimum) == (
            ["level", "offline"],
            ["Pier 4"],
            2,
        )
        assert row.made_by == people.adam
    text = posted(client, f"{PATH}{row.pk}/test/")
    assert "The test was taken. 200 OK: ok" in text
    assert len(chats.room("slack").got) == 1
    text = page(client)
    for said in ("#noise", "127.0.0.1", "On", "at Pier 4", "red only"):
        assert said in text


def test_the_webhooks_key_is_shown_before_it_is_saved_and_never_again(
    people: People, chats: ChatServer
) -> None:
    client = people.client(people.adam)
    answer = client.get(PATH + "new/?kind=webhook")
    assert "no-store" in answer["Cache-Control"]
    key = answer.context["form"]["signing"].value()
    assert is_signing_key(key)
    assert key in answer.content.decode().replace("&#x2B;", "+").replace("&#43;", "+")
    assert client.get(PATH + "new/?kind=webhook").context["form"]["signing"].value() != key
    chats.room("webhook").key = key
    text = posted(
        client,
        PATH + "new/?kind=webhook",
        name="Program",
        address=chats.address("webhook"),
        signing=key,
        minimum="1",
    )
    assert key[6:] not in text
    with organisation_scope(people.organisation.pk):
        row = AlertChannel.objects.get()
    assert "The test was taken. 200 OK" in posted(client, f"{PATH}{row.pk}/test/")
    for path in (PATH, f"{PATH}{row.pk}/", f"{PATH}{row.pk}/edit/"):
        text = page(client, path)
        assert key[6:] not in text
        assert PASSWORD not in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"address": "https://127.0.0.1/services/secretsecret"}, "private network"),
        ({"address": "https://localhost/services/secretsecret"}, "private network"),
        ({"address": "http://hooks.slack.com/services/secretsecret"}, "begins with https://"),
        ({"address": "secretsecret"}, "begins with https://"),
        ({"address": ""}, "required"),
        ({"name": ""}, "required"),
        ({"minimum": "9"}, "valid choice"),
        ({"kinds": ["nonsense"]}, "valid choice"),
        ({"signing": "whsec_short"}, "no signing key"),
    ],
)
def test_what_makes_no_sense_is_said_and_the_address_not_repeated(
    people: People, changed: dict[str, Any], said: str
) -> None:
    form = {
        "name": "Room",
        "address": "https://192.0.2.1/services/secretsecret",
        "signing": "whsec_" + "A" * 44,
        "minimum": "1",
        **changed,
    }
    answer = people.client(people.adam).post(PATH + "new/?kind=webhook", form)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert said in text
    assert PASSWORD not in text
    with organisation_scope(people.organisation.pk):
        assert not AlertChannel.objects.exists()


def test_a_change_keeps_the_address_unless_a_new_one_is_given(people: People, chats: ChatServer) -> None:
    row, client = made(people, chats, "webhook"), people.client(people.adam)
    path = f"{PATH}{row.pk}/edit/"
    with organisation_scope(people.organisation.pk):
        before = row.secret_reveal()
    text = page(client, path)
    assert f"ends in {row.last_four}" in text
    posted(client, path, name="Renamed", address="", signing="", minimum="2")
    with organisation_scope(people.organisation.pk):
        row.refresh_from_db()
        after = row.secret_reveal()
        assert (row.name, after.address, after.signing) == ("Renamed", before.address, before.signing)
    key = "whsec_" + "B" * 44
    posted(client, path, name="Renamed", address="", signing=key, minimum="2")
    with organisation_scope(people.organisation.pk):
        row.refresh_from_db()
        after = row.secret_reveal()
        assert (after.address, after.signing) == (before.address, key)
    posted(client, path, name="Renamed", address=chats.address("slack"), signing="", minimum="2")
    with organisation_scope(people.organisation.pk):
        row.refresh_from_db()
        after = row.secret_reveal()
        assert (after.address, after.signing) == (chats.address("slack"), key)
        verbs = list(
            Activity.objects.filter(verb__startswith="channel").order_by("pk").values_list("verb", "detail")
        )
    assert verbs == [
        ("channel_added", ""),
        *[("channel_changed", each) for each in ("", *["new address"] * 2)],
    ]
    assert "Channel changed" in page(client, "/o/harbour/activity/")


def test_the_end_of_an_address_is_text_and_never_markup(people: People, chats: ChatServer) -> None:
    row, client = made(people, chats, "slack"), people.client(people.adam)
    path = f"{PATH}{row.pk}/edit/"
    posted(client, path, name="Room", address=chats.address("slack") + "?<i>", minimum="2")
    assert "ends in ?&lt;i&gt;" in page(client, path)
    assert all("?<i>" not in page(client, address) for address in (path, f"{PATH}{row.pk}/", PATH))


def test_one_that_was_switched_off_says_why_and_a_good_test_switches_it_on(
    people: People, chats: ChatServer
) -> None:
    row, client = made(people, chats), people.client(people.adam)
    with organisation_scope(people.organisation.pk):
        channel_off(channel=row, reason="404 Not Found: no_service", now=timezone.now())
    for path in (PATH, f"{PATH}{row.pk}/"):
        text = page(people.client(people.mary), path)
        assert "Switched off" in text
        assert "404 Not Found: no_service" in text
    assert "Channel switched off" in page(people.client(people.bob), "/o/harbour/alerts/")
    assert "Test and switch on" in page(client, f"{PATH}{row.pk}/")
    chats.room("slack").answers = [(404, PLAIN, b"no_service")]
    text = posted(client, f"{PATH}{row.pk}/test/")
    assert "The test was not taken. 404 Not Found: no_service" in text
    assert "Test and switch on" in text
    text = posted(client, f"{PATH}{row.pk}/test/")
    assert "the channel is on again. 200 OK: ok" in text
    assert "Switched off" not in page(client, PATH)


def test_a_removed_channel_is_gone_and_incidents_go_on_naming_it(people: People, chats: ChatServer) -> None:
    row, client = made(people, chats), people.client(people.adam)
    deliveries(row, 1, sent_at=NOW, message="200 OK: ok")
    deliveries(row, 2)
    assert "2 messages that wait for it" in page(client, f"{PATH}{row.pk}/remove/")
    text = posted(client, f"{PATH}{row.pk}/remove/")
    assert "is removed, and its address forgotten" in text
    for path in ("", "edit/", "remove/"):
        assert client.get(f"{PATH}{row.pk}/{path}").status_code == 404
    with organisation_scope(people.organisation.pk):
        sent = AlertDelivery.objects.select_related("change").get(sent_at__isnull=False)
    assert "The slack room" in page(client, f"/o/harbour/alerts/{sent.change.incident_id}/")


def test_the_log_says_what_when_and_with_which_answer(people: People, chats: ChatServer) -> None:
    row, client = made(people, chats), people.client(people.mary)
    assert "Nothing yet" in page(client, f"{PATH}{row.pk}/")
    deliveries(row, 1, sent_at=NOW, message="200 OK: <b>ok</b>")
    deliveries(row, 1, failed_at=NOW, message="410 Gone")
    deliveries(row, 1, message="503 Service Unavailable")
    text = page(client, f"{PATH}{row.pk}/")
    for said in (
        "Offline",
        "Unit 0",
        "200 OK: &lt;b&gt;ok&lt;/b&gt;",
        "Not sent",
        "410 Gone",
        "Waiting",
        "503",
    ):
        assert said in text


def _cost(client: Client, path: str) -> int:
    page(client, path)
    with CaptureQueriesContext(connection) as queries:
        page(client, path)
    return len(queries)


def test_the_log_costs_the_same_for_ten_and_for_a_thousand(people: People, chats: ChatServer) -> None:
    row, client = made(people, chats), people.client(people.mary)
    deliveries(row, 10, sent_at=NOW)
    few = _cost(client, f"{PATH}{row.pk}/")
    with organisation_scope(people.organisation.pk):
        change = IncidentChange.objects.first()
        assert change is not None
        more = IncidentChange.objects.bulk_create(
            [
                IncidentChange(
                    organisation=people.organisation,
                    incident_id=change.incident_id,
                    step="raised",
                    cause=f"more:{number}",
                    at=NOW - timedelta(minutes=number),
                )
                for number in range(990)
            ]
        )
        AlertDelivery.objects.bulk_create(
            [
                AlertDelivery(
                    organisation=people.organisation,
                    change=each,
                    channel="slack",
                    target=row,
                    due_at=NOW,
                    sent_at=NOW,
                )
                for each in more
            ]
        )
    assert _cost(client, f"{PATH}{row.pk}/") == few
    text = page(client, f"{PATH}{row.pk}/?page=20")
    assert "951–1000 of 1000" in text


def test_the_list_costs_the_same_for_one_and_for_twenty(people: People, chats: ChatServer) -> None:
    client = people.client(people.mary)
    deliveries(made(people, chats), 2)
    few = _cost(client, PATH)
    with organisation_scope(people.organisation.pk):
        pier = Site.objects.create(organisation=people.organisation, name="Pier 4")
    for _ in range(19):
        deliveries(made(people, chats, "discord", kinds=["offline"], sites=[pier]), 1, sent_at=NOW)
    assert _cost(client, PATH) == few


def test_channels_of_another_organisation_are_not_there(people: People, chats: ChatServer) -> None:
    with organisation_scope(people.other.pk):
        theirs = AlertChannel(organisation=people.other, kind="slack", name="Quarry's own")
        theirs.secret_set(ChannelSecret(chats.address("slack")))
        theirs.save()
    client = people.client(people.alice)
    assert "Quarry" not in page(client).replace("Quarry</option>", "")
    for path in ("", "edit/", "remove/"):
        assert client.get(f"{PATH}{theirs.pk}/{path}").status_code == 404
    assert client.post(f"{PATH}{theirs.pk}/test/").status_code == 404
    assert chats.asked == []


def test_sites_of_another_organisation_cannot_be_chosen(people: People, chats: ChatServer) -> None:
    with organisation_scope(people.other.pk):
        theirs = Site.objects.create(organisation=people.other, name="Face 1")
    with organisation_scope(people.organisation.pk):
        Site.objects.create(organisation=people.organisation, name="Pier 4")
    answer = people.client(people.adam).post(
        PATH + "new/?kind=slack",
        {"name": "Room", "address": chats.address("slack"), "minimum": "1", "sites": [theirs.pk]},
    )
    assert answer.status_code == 422
    assert "Face 1" not in answer.content.decode()


def test_what_it_hears_is_said_in_words(people: People, chats: ChatServer) -> None:
    made(people, chats)
    assert "everything, everywhere, amber and red" in page(people.client(people.mary))
    with organisation_scope(people.organisation.pk):
        assert hears_of(AlertChannel.objects.get()) == Hears()
