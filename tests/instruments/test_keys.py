"""Keys against a simulated MyCirrus and against broken servers, over real sockets: state, message, nothing lost."""

import re
import socket
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.urls import reverse

from instruments.credentials import SecretUnreadable
from instruments.keys import (
    KeyNotReplaced,
    api_key_add,
    api_key_revoke,
    api_key_rotate,
    api_key_verify,
    client_for,
)
from instruments.models import ApiKey
from instruments.mycirrus import AuthenticationFailed
from instruments.mycirrus.scopes import SCOPES
from instruments.scopes import scope_lines
from instruments.signals import api_key_changed
from instruments.tenancy import organisation_scope
from tests.conftest import SECRET, People, make_instrument, make_key, make_user
from tests.simulated import SimulatedMyCirrus

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NARROW = "mycirrus-000002-AAAABBBBCCCC0002"
BLIND = "mycirrus-000003-AAAABBBBCCCC0003"
SECOND = "mycirrus-000004-AAAABBBBCCCC0004"
WRONG = "mycirrus-000009-AAAABBBBCCCC0009"


@pytest.fixture(scope="module")
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(fleet=3) as simulated:
        simulated.add_key(NARROW, [scope for scope in SCOPES if scope != "data.noise:read"])
        simulated.add_key(BLIND, ["data.noise:read"])
        simulated.add_key(SECOND)
        yield simulated


@pytest.fixture
def base_url(mycirrus: SimulatedMyCirrus, settings: Any) -> Iterator[str]:
    settings.MYCIRRUS_EXTRA_BASE_URLS = [mycirrus.base_url]
    yield mycirrus.base_url
    mycirrus.moods()


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The ids of the keys that were announced as changed."""
    ids: list[int] = []

    def listen(api_key_id: int, **_: Any) -> None:
        ids.append(api_key_id)

    api_key_changed.connect(listen)
    yield ids
    api_key_changed.disconnect(listen)


@pytest.fixture
def in_harbour(people: People) -> Iterator[People]:
    with organisation_scope(people.organisation.pk):
        yield people


def add_by_page(people: People, secret: str, base_url: str, **more: Any) -> Any:
    values = {"label": "Main", "secret": secret, "base_url": base_url, **more}
    return people.client(people.adam).post(
        reverse("instruments:key-add", args=["harbour"]), values, follow=True
    )


def only_key(people: People) -> ApiKey:
    with organisation_scope(people.organisation.pk):
        return ApiKey.objects.get()


def test_good_key_is_verified_as_it_is_saved(people: People, base_url: str) -> None:
    # The first key leads on to the other steps.
    assert "Done" in add_by_page(people, SECRET, base_url).content.decode()
    page = people.client(people.adam).get(reverse("instruments:keys", args=["harbour"])).content.decode()
    key = only_key(people)
    assert key.state == ApiKey.State.GOOD
    assert key.verified_at is not None
    assert key.scopes["data.system:read"] is True
    assert key.scopes["webhooks:write"] is None
    assert key.secret_reveal() == SECRET
    for shown in ("Good", f"…{SECRET[-4:]}", key.fingerprint, "Shows when used", base_url):
        assert shown in page
    assert SECRET not in page
    assert SECRET not in key.ciphertext


def test_wrong_key_is_stored_as_refused_and_the_page_says_what_to_do(people: People, base_url: str) -> None:
    page = add_by_page(people, WRONG, base_url).content.decode()
    key = only_key(people)
    assert key.state == ApiKey.State.REFUSED
    assert key.verified_at is not None
    assert key.secret_reveal() == WRONG
    for said in ("Refused by MyCirrus", "mycirrus.cloud/developer-api", "Rotate"):
        assert said in page


def test_missing_scope_is_named_with_its_cost(people: People, base_url: str) -> None:
    page = add_by_page(people, NARROW, base_url).content.decode()
    key = only_key(people)
    assert key.state == ApiKey.State.MISSING_SCOPE
    assert key.missing_scopes() == ["data.noise:read"]
    assert "Works, without data.noise:read" in key.message
    assert "charts stay empty" in page
    assert "Missing a scope" in page


def test_key_that_can_see_no_instruments_is_of_no_use(
    people: People, base_url: str, heard: list[int]
) -> None:
    add_by_page(people, BLIND, base_url)
    key = only_key(people)
    assert key.state == ApiKey.State.MISSING_SCOPE
    assert "lacks instruments:read" in key.message


def _refusing_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _verify_at(people: People, settings: Any, base_url: str, secret: str = SECRET) -> ApiKey:
    """A key that was good until now, verified at a server gone bad."""
    settings.MYCIRRUS_EXTRA_BASE_URLS = [base_url]
    scopes = dict.fromkeys(SCOPES, True)
    key = make_key(people.organisation, secret, base_url, scopes=scopes, verified_at=NOW)
    with organisation_scope(people.organisation.pk):
        api_key_verify(api_key=key, now=datetime.now(UTC))
    # Nothing that was known is lost to a server that cannot be asked.
    assert key.scopes == scopes
    assert key.verified_at == NOW
    assert key.secret_reveal() == secret
    return key


def test_unreachable_server(people: People, settings: Any) -> None:
    key = _verify_at(people, settings, f"http://127.0.0.1:{_refusing_port()}/v1")
    assert key.state == ApiKey.State.UNREACHABLE
    assert "No connection" in key.message
    assert "network" in key.message


def test_silent_server_is_given_up_soon(people: People, settings: Any) -> None:
    settings.MYCIRRUS_READ_TIMEOUT = 0.5
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = datetime.now(UTC)
        key = _verify_at(people, settings, f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
    assert (datetime.now(UTC) - started).total_seconds() < 5
    assert key.state == ApiKey.State.UNREACHABLE
    assert "in time" in key.message


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"rows": null}',
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_malformed_answers(people: People, settings: Any, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        key = _verify_at(people, settings, f"http://127.0.0.1:{server.getsockname()[1]}/v1")
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert key.state == ApiKey.State.UNREACHABLE
    assert "could not be understood" in key.message


@pytest.mark.parametrize(
    ("mood", "says"),
    [("500", "error of its own"), ("429", "slow down"), ("cut-body", "No connection"), ("hang", "in time")],
)
def test_server_in_a_bad_mood(
    people: People, settings: Any, mycirrus: SimulatedMyCirrus, base_url: str, mood: str, says: str
) -> None:
    # Its own secret: the pace that a 429 slows down is kept by key, outside the database.
    own = f"mycirrus-000006-{uuid.uuid4().hex}"
    mycirrus.add_key(own)
    mycirrus.moods(**{mood: True})
    settings.MYCIRRUS_READ_TIMEOUT = 0.5
    key = _verify_at(people, settings, base_url, own)
    assert says in key.message


def test_verify_now_recovers(people: People, base_url: str, mycirrus: SimulatedMyCirrus) -> None:
    mycirrus.moods(**{"500": True})
    add_by_page(people, SECOND, base_url)
    assert only_key(people).state == ApiKey.State.UNREACHABLE
    mycirrus.moods()
    verify = reverse("instruments:key-verify", args=["harbour", only_key(people).pk])
    assert "Good" in people.client(people.adam).post(verify, follow=True).content.decode()
    assert only_key(people).state == ApiKey.State.GOOD
    assert only_key(people).message == ""


def test_revoked_at_mycirrus_shows_at_the_next_verification(
    people: People, base_url: str, mycirrus: SimulatedMyCirrus
) -> None:
    passing = "mycirrus-000005-AAAABBBBCCCC0005"
    mycirrus.add_key(passing)
    add_by_page(people, passing, base_url)
    mycirrus.revoke_key(passing)
    people.client(people.adam).post(reverse("instruments:key-verify", args=["harbour", only_key(people).pk]))
    assert only_key(people).state == ApiKey.State.REFUSED


@pytest.mark.parametrize("secret", ["short", "mycirrus 000001 with spaces", "mycirrus-000001-ÄÖÜÄÖÜÄÖ"])
def test_what_is_no_key_is_refused_in_the_form_and_not_shown_again(
    people: People, base_url: str, secret: str
) -> None:
    answer = add_by_page(people, secret, base_url)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "does not look like a MyCirrus API key" in page
    assert secret not in page
    with organisation_scope(people.organisation.pk):
        assert not ApiKey.objects.exists()


def test_same_key_twice_is_refused(people: People, base_url: str) -> None:
    add_by_page(people, SECRET, base_url)
    answer = add_by_page(people, SECRET, base_url)
    assert answer.status_code == 422
    assert "added already" in answer.content.decode()
    assert only_key(people).state == ApiKey.State.GOOD


def test_keys_are_sent_only_where_the_operator_allows(people: People, settings: Any) -> None:
    settings.MYCIRRUS_EXTRA_BASE_URLS = []
    page = people.client(people.adam).get(reverse("instruments:key-add", args=["harbour"])).content.decode()
    assert 'name="base_url"' not in page
    with organisation_scope(people.organisation.pk), pytest.raises(ValidationError, match="may not be sent"):
        api_key_add(
            organisation=people.organisation,
            label="x",
            secret=SECRET,
            base_url="http://169.254.169.254/v1",
            actor=people.adam,
        )
    settings.MYCIRRUS_EXTRA_BASE_URLS = ["http://127.0.0.1:1/v1"]
    answer = add_by_page(people, SECRET, "http://169.254.169.254/v1")
    assert answer.status_code == 422
    with organisation_scope(people.organisation.pk):
        assert not ApiKey.objects.exists()


def test_rotation_replaces_and_says_so(people: People, base_url: str) -> None:
    add_by_page(people, SECRET, base_url)
    before = only_key(people)
    rotate = reverse("instruments:key-rotate", args=["harbour", before.pk])
    assert people.client(people.adam).post(rotate, {"secret": SECOND}).status_code == 302
    after = only_key(people)
    assert after.secret_reveal() == SECOND
    assert (after.last_four, after.fingerprint) != (before.last_four, before.fingerprint)
    assert after.rotated_at is not None
    assert after.state == ApiKey.State.GOOD


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (WRONG, "The old key was kept"),
        (BLIND, "The old key was kept"),
        ("short", "does not look like"),
        (SECRET, "stored already"),
    ],
)
def test_rotation_keeps_the_old_key_when_the_new_one_is_no_good(
    people: People, base_url: str, secret: str, says: str
) -> None:
    add_by_page(people, SECRET, base_url)
    rotate = reverse("instruments:key-rotate", args=["harbour", only_key(people).pk])
    answer = people.client(people.adam).post(rotate, {"secret": secret})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert says in page
    assert WRONG not in page
    kept = only_key(people)
    assert kept.secret_reveal() == SECRET
    assert kept.state == ApiKey.State.GOOD
    assert kept.rotated_at is None


def test_rotation_keeps_the_old_key_when_mycirrus_cannot_be_asked(
    in_harbour: People, settings: Any, base_url: str
) -> None:
    gone = f"http://127.0.0.1:{_refusing_port()}/v1"
    settings.MYCIRRUS_EXTRA_BASE_URLS = [gone]
    key = make_key(in_harbour.organisation, base_url=gone)
    with organisation_scope(in_harbour.organisation.pk), pytest.raises(KeyNotReplaced, match="No connection"):
        api_key_rotate(api_key=key, secret=SECOND, actor=in_harbour.adam, now=NOW)
    assert only_key(in_harbour).secret_reveal() == SECRET


def test_rotation_to_a_key_that_is_here_already_is_refused(in_harbour: People, base_url: str) -> None:
    first = make_key(in_harbour.organisation, base_url=base_url)
    make_key(in_harbour.organisation, secret=SECOND, base_url=base_url)
    with (
        organisation_scope(in_harbour.organisation.pk),
        pytest.raises(ValidationError, match="added already"),
    ):
        api_key_rotate(api_key=first, secret=SECOND, actor=in_harbour.adam, now=NOW)


def test_revoking_asks_first_then_forgets_the_secret(people: People, base_url: str) -> None:
    add_by_page(people, SECRET, base_url)
    key = only_key(people)
    make_instrument(people.organisation, api_key=key)
    client, revoke = people.client(people.adam), reverse("instruments:key-revoke", args=["harbour", key.pk])
    assert "1 instrument is read with" in client.get(revoke).content.decode()
    assert only_key(people).revoked_at is None
    page = client.post(revoke, follow=True).content.decode()
    assert "Revoked here" in page
    gone = only_key(people)
    assert gone.revoked_at is not None
    assert gone.ciphertext == ""
    with pytest.raises(SecretUnreadable):
        gone.secret_reveal()
    with pytest.raises(AuthenticationFailed):
        client_for(gone)
    assert client.post(revoke).status_code == 404
    # The same secret may be pasted again later.
    assert add_by_page(people, SECRET, base_url).status_code == 200


def test_others_hear_of_every_change_after_its_commit(
    in_harbour: People, base_url: str, heard: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    people = in_harbour
    with django_capture_on_commit_callbacks() as callbacks:
        key = api_key_add(
            organisation=people.organisation, label="x", secret=SECRET, base_url=base_url, actor=people.adam
        )
    assert heard == []
    for callback in callbacks:
        callback()
    assert heard == [key.pk]
    with django_capture_on_commit_callbacks(execute=True):
        api_key_verify(api_key=key, now=NOW)
    assert heard == [key.pk] * 2
    with django_capture_on_commit_callbacks(execute=True):
        api_key_rotate(api_key=key, secret=SECOND, actor=people.adam, now=NOW)
    assert heard == [key.pk] * 3
    with django_capture_on_commit_callbacks(execute=True):
        api_key_revoke(api_key=key, actor=people.adam, now=NOW)
        api_key_revoke(api_key=key, actor=people.adam, now=NOW)
    assert heard == [key.pk] * 4


def test_refused_key_is_not_announced_as_usable(
    in_harbour: People, base_url: str, heard: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    key = make_key(in_harbour.organisation, secret=WRONG, base_url=base_url)
    with organisation_scope(in_harbour.organisation.pk), django_capture_on_commit_callbacks(execute=True):
        api_key_verify(api_key=key, now=NOW)
    assert heard == []


def test_verification_of_a_replaced_secret_is_dropped(in_harbour: People, base_url: str) -> None:
    stale = make_key(in_harbour.organisation, secret=WRONG, base_url=base_url)
    with organisation_scope(in_harbour.organisation.pk):
        fresh = ApiKey.objects.get(pk=stale.pk)
        fresh.secret_set(SECRET)
        fresh.save()
        api_key_verify(api_key=stale, now=NOW)
    assert only_key(in_harbour).state == ApiKey.State.GOOD


def test_secret_of_a_lost_key_ring_is_said_plainly(in_harbour: People, settings: Any, base_url: str) -> None:
    key = make_key(in_harbour.organisation, base_url=base_url)
    settings.FIELD_ENCRYPTION_KEYS = ["b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMTI="]
    with organisation_scope(in_harbour.organisation.pk):
        api_key_verify(api_key=key, now=NOW)
    assert key.state == ApiKey.State.UNVERIFIED
    assert "FIELD_ENCRYPTION_KEYS" in key.message


def test_lost_key_ring_lets_the_same_key_be_entered_anew(
    people: People, settings: Any, base_url: str
) -> None:
    add_by_page(people, SECRET, base_url)
    key, adam = only_key(people), people.client(people.adam)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert adam.get(reverse("instruments:keys", args=["harbour"])).status_code == 200

    answer = adam.post(reverse("instruments:key-rotate", args=["harbour", key.pk]), {"secret": SECRET})

    assert answer.status_code == 302, answer.content.decode()
    assert (only_key(people).state, only_key(people).secret_reveal()) == (ApiKey.State.GOOD, SECRET)
    # What opens is the one that is stored already.
    again = adam.post(reverse("instruments:key-rotate", args=["harbour", key.pk]), {"secret": SECRET})
    assert (again.status_code, "stored already" in again.content.decode()) == (422, True)


def test_admin_takes_the_same_key_anew_too(people: People, settings: Any, base_url: str) -> None:
    key = make_key(people.organisation, base_url=base_url)
    operator = people.client(make_user("op@example.com", is_staff=True, is_superuser=True))
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    page = reverse("admin:instruments_apikey_change", args=[key.pk])
    answer = operator.post(page, {"label": "Main", "secret": SECRET}, follow=True)
    assert "the new key is in use" in answer.content.decode()
    assert only_key(people).secret_reveal() == SECRET


def test_every_scope_has_words() -> None:
    lines = scope_lines({"data.noise:read": False, "data.audio:read": True})
    assert [line.scope for line in lines] == list(SCOPES)
    assert all(str(line.gives) and str(line.cost) for line in lines)
    assert {line.scope: line.held for line in lines}["data.noise:read"] is False
    assert {line.scope: line.held for line in lines}["instruments:read"] is None


def test_the_page_tells_each_keys_pace(people: People, base_url: str) -> None:
    add_by_page(people, SECOND, base_url)
    text = people.client(people.adam).get(reverse("instruments:keys", args=["harbour"])).content.decode()
    assert "Present pace" in text
    assert re.search(r"up to \d+\.\d requests a second", text)


def test_a_refused_key_says_what_to_do_and_a_good_one_does_not(in_harbour: People) -> None:
    key, client = make_key(in_harbour.organisation), in_harbour.client(in_harbour.adam)
    path = reverse("instruments:keys", args=["harbour"])
    rotate = reverse("instruments:key-rotate", args=["harbour", key.pk])
    page = client.get(path).content.decode()
    assert "Make a new key in MyCirrus, then rotate" not in page
    assert f'<a class="btn btn-small" href="{rotate}">' in page
    ApiKey.objects.filter(pk=key.pk).update(state=ApiKey.State.REFUSED, message="MyCirrus refuses it.")
    page = client.get(path).content.decode()
    assert "Make a new key in MyCirrus, then rotate" in page
    assert f'<a class="btn btn-small btn-primary" href="{rotate}">' in page
