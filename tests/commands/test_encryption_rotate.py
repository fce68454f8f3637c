"""Rotating the key ring: everything ends under the first key, once, and nothing is lost on the way."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from cirrusweb.management.commands import encryption_rotate
from instruments.models import ApiKey
from instruments.tenancy import all_organisations, organisation_scope
from tests.conftest import SECRET, People, make_key
from webhooks.models import Subscription

from .conftest import Run

NEW = Fernet.generate_key().decode()


def ciphertexts() -> dict[int, str]:
    with all_organisations(reason="a test looks at everything"):
        return dict(ApiKey.objects.exclude(ciphertext="").values_list("pk", "ciphertext"))


@pytest.fixture
def keys(people: People) -> list[ApiKey]:
    """Three keys of two organisations, and one that was revoked and forgotten."""
    made = [make_key(people.organisation, SECRET + str(n)) for n in range(2)] + [make_key(people.other)]
    gone = make_key(people.organisation, SECRET + "gone")
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.filter(pk=gone.pk).update(ciphertext="")
    return made


def test_everything_ends_under_the_first_key(
    people: People, keys: list[ApiKey], run: Run, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption_rotate, "CHUNK", 2)
    with organisation_scope(people.organisation.pk):
        hook = Subscription(organisation=people.organisation, remote_id="w1")
        hook.secret_set("webhook-secret")
        hook.save()
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    assert run("encryption_rotate", "--check", "--json").json["waiting"] == 4
    assert run("encryption_rotate", "--json").json == {
        "keys": 2,
        "rotated": 4,
        "current": 0,
        "waiting": 0,
        "unreadable": 0,
    }

    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    for key in keys:
        with organisation_scope(key.organisation_id):
            assert ApiKey.objects.get(pk=key.pk).secret_reveal().startswith(SECRET)
    with organisation_scope(people.organisation.pk):
        assert Subscription.objects.get().secret_reveal() == "webhook-secret"


def test_twice_is_once(people: People, keys: list[ApiKey], run: Run, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    run("encryption_rotate")
    first = ciphertexts()
    assert run("encryption_rotate", "--json").json["current"] == 3
    assert ciphertexts() == first


def test_what_cannot_be_read_stays_and_the_rest_goes_on(
    people: People, keys: list[ApiKey], run: Run, settings: Any
) -> None:
    lost = Fernet(Fernet.generate_key()).encrypt(b"lost").decode()
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.filter(pk=keys[0].pk).update(ciphertext=lost)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    said = run("encryption_rotate", "--json")
    assert said.json == {"keys": 2, "rotated": 2, "current": 0, "waiting": 0, "unreadable": 1}
    assert said.failure.startswith("No key of FIELD_ENCRYPTION_KEYS decrypts 1 of the secrets")
    assert ciphertexts()[keys[0].pk] == lost


def test_a_new_key_that_has_not_arrived_is_warned_of(
    people: People, keys: list[ApiKey], run: Run, settings: Any
) -> None:
    """Else "0 still to be done" would be read as leave to drop the only key that opens anything."""
    said = run("encryption_rotate", "--check")
    assert said.out.startswith("1 key in FIELD_ENCRYPTION_KEYS. ")
    assert "has not reached this process" in said.err
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    said = run("encryption_rotate", "--check")
    assert (said.out.startswith("2 keys in FIELD_ENCRYPTION_KEYS. "), said.err) == (True, "")


def test_a_malformed_ring_says_so(people: People, run: Run, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["not-a-key"]
    said = run("encryption_rotate", "--skip-checks")
    assert said.failure == "FIELD_ENCRYPTION_KEYS holds a value that is not a Fernet key."
