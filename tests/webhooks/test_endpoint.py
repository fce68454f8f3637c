"""The public address over a real socket: what is stored, what is turned away, and what the sender is told."""

import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from django.conf import settings
from django.db import connection

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from tests.webhooks.conftest import (
    ENCODINGS,
    HOOK_ID,
    MEASUREMENT,
    SECRET,
    Sender,
    deliveries,
    mac,
    make_subscription,
    missing_table,
    refusals,
)
from webhooks import ingest
from webhooks.models import Delivery, Refusal, Subscription

pytestmark = pytest.mark.django_db(transaction=True)

LEGACY = {
    "text": "G123456: Noise Alert '85dB 1s' 03/05/2018 11:37:13",
    "icon": "https://mycirrus.cloud/images/webhook-icon.png",
    "name": "MyCirrus",
    "instrument": "G123456",
    "raw": {"Time": "2018-05-03T11:37:13", "Name": "85dB 1s"},
}


@pytest.mark.parametrize("spelling", ENCODINGS)
def test_every_allowed_spelling_of_a_signature_is_taken(
    sender: Sender, organisation: Organisation, subscription: Subscription, spelling: str
) -> None:
    encoding, spell = ENCODINGS[spelling]
    # "é" is two bytes: a signature over anything but the raw body would not match.
    body = json.dumps({**MEASUREMENT, "note": "é"}, ensure_ascii=False).encode()
    # Base64 of this very MAC must hold a letter that tells the two alphabets apart, or the test proves nothing.
    while encoding.startswith("base64") and not {"+", "/"} & set(ENCODINGS["base64"][1](mac(body))):
        body += b" "
    answer = sender.post(body, signature=spell(mac(body)))
    assert answer.status_code == 200
    stored = deliveries(organisation)[0]
    assert bytes(stored.body) == body
    assert (stored.signature, stored.encoding, stored.webhook_id) == ("valid", encoding, HOOK_ID)
    assert stored.state == Delivery.State.RECEIVED
    with organisation_scope(organisation.pk):
        subscription.refresh_from_db()
    assert subscription.encoding_seen == encoding


@pytest.mark.parametrize(
    ("headers", "error", "reason"),
    [
        ({"signature": "0" * 64}, "SignatureWrong", "wrong_signature"),
        ({"signature": "nonsense"}, "SignatureWrong", "wrong_signature"),
        ({"signature": None}, "SignatureMissing", "unsigned"),
        ({"signature": None, "id": None}, "SignatureMissing", "unsigned"),
        ({"id": "another"}, "SecretUnknown", "no_secret"),
    ],
)
def test_a_delivery_that_nobody_vouches_for_is_refused_and_only_counted(
    sender: Sender, organisation: Organisation, headers: dict[str, Any], error: str, reason: str
) -> None:
    for _ in range(3):
        answer = sender.post(**headers)
        assert answer.status_code == 401
        assert answer.json()["error"] == error
        assert len(answer.json()["description"]) > 30
    assert deliveries(organisation) == []
    assert refusals(organisation) == {reason: 3}


def test_a_body_changed_by_one_byte_is_refused(sender: Sender, organisation: Organisation) -> None:
    body = json.dumps(MEASUREMENT).encode()
    assert sender.post(body + b" ", signature=mac(body).hex()).status_code == 401
    assert deliveries(organisation) == []


def test_a_secret_that_was_replaced_is_dead_at_once(
    sender: Sender, organisation: Organisation, subscription: Subscription
) -> None:
    body = json.dumps(MEASUREMENT).encode()
    assert sender.post(body).status_code == 200
    with organisation_scope(organisation.pk):
        subscription.secret_set("another-secret-altogether")
        subscription.save()
    assert sender.post(body).status_code == 401
    assert sender.post(body, signature=mac(body, "another-secret-altogether").hex()).status_code == 200
    assert len(deliveries(organisation)) == 2


def test_a_refusal_is_logged_without_body_or_signature(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        sender.post(b'{"type": "NewMeasurement", "instrument": "MARKER"}', signature="ab" * 32)
    logged = " ".join(f"{record.msg}" for record in caplog.records)
    assert "harbour" in logged
    assert HOOK_ID in logged
    assert "wrong_signature" in logged
    assert "MARKER" not in logged
    assert "abab" not in logged
    assert SECRET not in logged


def test_one_shared_secret_serves_webhooks_that_have_none_of_their_own(
    sender: Sender, organisation: Organisation
) -> None:
    make_subscription(organisation, remote_id="", secret="shared-secret-of-all")
    body = json.dumps(MEASUREMENT).encode()
    shared = mac(body, "shared-secret-of-all").hex()
    assert sender.post(body, id="never seen before", signature=shared).status_code == 200
    assert sender.post(body, id=None, signature=shared).status_code == 200
    # A webhook with a secret of its own answers to that one alone.
    assert sender.post(body, id=HOOK_ID, signature=shared).status_code == 401


def test_another_organisations_secret_opens_nothing(
    sender: Sender, organisation: Organisation, people: Any
) -> None:
    make_subscription(people.other, remote_id="theirs", secret="the-quarry-secret")
    body = json.dumps(MEASUREMENT).encode()
    answer = sender.post(body, id="theirs", signature=mac(body, "the-quarry-secret").hex())
    assert answer.status_code == 401
    assert deliveries(organisation) == deliveries(people.other) == []


def test_an_unknown_address_answers_404(sender: Sender, organisation: Organisation) -> None:
    answer = sender.post(url=sender.address.replace(organisation.webhook_token, "guessed"))
    assert answer.status_code == 404
    assert deliveries(organisation) == []


def test_an_address_without_its_last_slash_loses_nothing(sender: Sender, organisation: Organisation) -> None:
    assert sender.post(url=sender.address.rstrip("/")).status_code == 200
    assert len(deliveries(organisation)) == 1


def test_an_oversized_body_answers_413_and_is_counted(sender: Sender, organisation: Organisation) -> None:
    answer = sender.post(b"[" + b" " * settings.WEBHOOK_MAX_BYTES + b"]")
    assert answer.status_code == 413
    assert str(settings.WEBHOOK_MAX_BYTES) in answer.json()["description"]
    assert deliveries(organisation) == []
    assert refusals(organisation) == {"too_large": 1}


def test_a_body_of_just_the_allowed_size_is_stored(sender: Sender, organisation: Organisation) -> None:
    body = b"[" + b" " * (settings.WEBHOOK_MAX_BYTES - 2) + b"]"
    assert sender.post(body).status_code == 200
    assert len(deliveries(organisation)[0].body) == settings.WEBHOOK_MAX_BYTES


@pytest.mark.parametrize("body", [b"not json", b"", b"\xff\xfe\x00", b"[1, 2]"])
def test_a_signed_body_that_is_no_message_is_stored_all_the_same(
    sender: Sender, organisation: Organisation, body: bytes
) -> None:
    assert sender.post(body).status_code == 200
    assert bytes(deliveries(organisation)[0].body) == body


@pytest.mark.parametrize("body", [b"not json", b"", b"[1, 2]", b"[" * 10_000])
def test_an_unsigned_body_that_is_no_message_is_refused(
    sender: Sender, organisation: Organisation, body: bytes
) -> None:
    assert sender.post(body, id=None, signature=None).status_code == 401
    assert deliveries(organisation) == []


def test_a_legacy_notification_needs_the_organisations_leave(
    sender: Sender, organisation: Organisation
) -> None:
    answer = sender.post(LEGACY, id=None, signature=None)
    assert answer.status_code == 403
    assert "settings" in answer.json()["description"]
    assert deliveries(organisation) == []
    assert refusals(organisation) == {"legacy": 1}

    organisation.accepts_legacy_notifications = True
    organisation.save(update_fields=["accepts_legacy_notifications"])
    assert sender.post(LEGACY, id=None, signature=None).status_code == 200
    stored = deliveries(organisation)[0]
    assert (stored.signature, stored.encoding) == (Delivery.Signature.LEGACY, "")


def test_leave_for_legacy_notifications_lets_no_other_unsigned_message_in(
    sender: Sender, organisation: Organisation
) -> None:
    organisation.accepts_legacy_notifications = True
    organisation.save(update_fields=["accepts_legacy_notifications"])
    assert sender.post(MEASUREMENT, id=None, signature=None).status_code == 401
    assert sender.post({**LEGACY, "Type": "NewMeasurement"}, id=None, signature=None).status_code == 401
    assert sender.post(LEGACY, signature="0" * 64).status_code == 401
    assert sender.post({**LEGACY, "text": "x" * 20_000}, id=None, signature=None).status_code == 413
    assert deliveries(organisation) == []


def test_a_database_that_fails_answers_503_so_that_the_sender_tries_again(
    sender: Sender, organisation: Organisation
) -> None:
    with missing_table("webhooks_delivery"):
        answer = sender.post()
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert sender.post().status_code == 200
    assert len(deliveries(organisation)) == 1


@pytest.fixture
def somebody_writes(sender: Sender) -> Iterator[sqlite3.Connection]:
    """Another process that is in the middle of a transaction. One delivery is here already: the first is noted more."""
    assert sender.post().status_code == 200
    if connection.vendor != "sqlite":
        pytest.skip("a matter of SQLite only: it has one writer at a time")
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_a_delivery_waits_for_who_writes(
    sender: Sender, organisation: Organisation, somebody_writes: sqlite3.Connection
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(sender.post)
        time.sleep(0.3)
        assert not answer.done()
        somebody_writes.execute("ROLLBACK")
        assert answer.result().status_code == 200
    assert len(deliveries(organisation)) == 2


def test_who_writes_for_too_long_has_the_sender_try_again(
    sender: Sender, organisation: Organisation, somebody_writes: sqlite3.Connection, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ingest, "LONGEST_WAIT_SECONDS", 0.2)
    assert sender.post().status_code == 503
    somebody_writes.execute("ROLLBACK")
    assert sender.post().status_code == 200
    assert len(deliveries(organisation)) == 2


def test_nobody_else_gets_impatient(organisation: Organisation, subscription: Subscription) -> None:
    def patience() -> int:
        with connection.cursor() as cursor:
            return int(cursor.execute("PRAGMA busy_timeout").fetchone()[0])

    if connection.vendor != "sqlite":
        pytest.skip("a matter of SQLite only")
    before = patience()
    body = json.dumps(MEASUREMENT).encode()
    ingest.delivery_store(
        token=organisation.webhook_token,
        webhook_id=HOOK_ID,
        signature=mac(body).hex(),
        body=body,
        now=datetime.now(UTC),
    )
    assert patience() == before > 1000


def test_a_secret_that_cannot_be_decrypted_answers_503_and_says_whose_turn_it_is(
    sender: Sender, organisation: Organisation, subscription: Subscription
) -> None:
    with organisation_scope(organisation.pk):
        Subscription.objects.update(ciphertext="gAAAAAnonsense")
    answer = sender.post()
    assert answer.status_code == 503
    assert "operator" in answer.json()["description"]
    assert refusals(organisation) == {"unreadable_secret": 1}


def test_every_delivery_is_stored_even_when_it_comes_twice(
    sender: Sender, organisation: Organisation
) -> None:
    assert [sender.post().status_code for _ in range(2)] == [200, 200]
    first, second = deliveries(organisation)
    assert first.digest == second.digest


def test_a_browser_that_opens_the_address_is_told_what_it_is(sender: Sender) -> None:
    answer = requests.get(sender.address, timeout=10)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "receives webhooks" in answer.text


def test_refusals_begin_a_new_count_after_an_hour(organisation: Organisation) -> None:
    from datetime import UTC, datetime, timedelta

    start = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with organisation_scope(organisation.pk):
        for minutes in (0, 30, 59):
            now = start + timedelta(minutes=minutes)
            Refusal.objects.note(reason="no_secret", webhook_id="a", now=now)
        assert Refusal.objects.get().count == 3
        Refusal.objects.note(reason="no_secret", webhook_id="b", now=start + timedelta(minutes=61))
        counted = Refusal.objects.get()
    assert (counted.count, counted.webhook_id, counted.since_at.minute) == (1, "b", 1)


def test_a_delivery_costs_two_queries(
    organisation: Organisation, subscription: Subscription, client: Any, django_assert_num_queries: Any
) -> None:
    body = json.dumps(MEASUREMENT).encode()
    headers = {"X-Webhook-Id": HOOK_ID, "X-Webhook-Signature": mac(body).hex()}

    def post() -> int:
        path = f"/hooks/{organisation.webhook_token}/"
        return client.post(path, body, content_type="application/json", headers=headers).status_code

    # The first also notes which spelling this sender uses.
    assert post() == 200
    with django_assert_num_queries(2):
        assert post() == 200
