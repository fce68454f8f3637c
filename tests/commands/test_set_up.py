"""organisation_create and api_key_add: what they make, what they say, and what they never show."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from instruments.models import ApiKey, Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope
from tests.conftest import SECRET, People, make_user
from tests.simulated import SimulatedMyCirrus

from .conftest import Run

WORDS = ("organisation_create", "Harbour Works")


def test_organisation_with_a_new_owner(db: None, run: Run) -> None:
    said = run(*WORDS, "--owner", "Alice@Example.com", "--timezone", "Australia/Perth", "--json")
    organisation = Organisation.objects.get(slug="harbour-works")
    assert (organisation.name, organisation.timezone) == ("Harbour Works", "Australia/Perth")
    with organisation_scope(organisation.pk):
        membership = Membership.objects.get()
    assert (membership.role, membership.user.email) == (Role.OWNER, "alice@example.com")
    assert not membership.user.has_usable_password()
    assert EmailAddress.objects.get(user=membership.user).verified
    assert said.json["owner_created"]
    assert mail.outbox == []


def test_the_link_sets_a_password_once(db: None, run: Run) -> None:
    link = run(*WORDS, "--owner", "alice@example.com", "--json").json["password_link"]
    path = re.sub(r"^https?://[^/]+", "", link)
    client = Client()
    form = client.get(path, follow=True)
    password = "a long enough phrase"
    client.post(form.redirect_chain[-1][0], {"password1": password, "password2": password})
    assert User.objects.get(email="alice@example.com").check_password(password)
    again = Client().get(path, follow=True)
    assert b"password1" not in again.content


def test_the_link_can_be_mailed(db: None, run: Run) -> None:
    said = run(*WORDS, "--owner", "alice@example.com", "--mail")
    (message,) = mail.outbox
    assert message.to == ["alice@example.com"]
    assert "/accounts/password/reset/key/" in message.body
    assert "/accounts/password/reset/key/" not in said.out


def test_an_unreachable_mail_server_loses_no_link(db: None, run: Run, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    said = run(*WORDS, "--owner", "alice@example.com", "--mail")
    assert "could not be sent" in said.err
    assert "/accounts/password/reset/key/" in said.out


def test_somebody_with_an_account_gets_no_link(db: None, run: Run) -> None:
    make_user("alice@example.com")
    answer = run(*WORDS, "--owner", "ALICE@example.com", "--json").json
    assert not answer["owner_created"]
    assert answer["password_link"] is None


def test_the_only_operator_owns_what_nobody_is_named_for(db: None, run: Run) -> None:
    assert run(*WORDS).failure == "Say whose it is: --owner EMAIL."
    make_user("root@example.com", is_superuser=True)
    assert run(*WORDS, "--json").json["owner"] == "root@example.com"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("Harbour",), "There is an organisation at “harbour” already: choose another with --slug."),
        (("X", "--timezone", "Mars/Olympus"), "“Mars/Olympus” is not a time zone."),
        (("X", "--slug", "No Spaces"), "lower-case letters"),
        (("!!!",), "No address can be made from this name: choose one with --slug."),
        (("X", "--owner", "nobody"), "“nobody” is not an email address."),
    ],
)
def test_mistakes_make_nothing(people: People, run: Run, words: tuple[str, ...], sentence: str) -> None:
    owner = () if "--owner" in words else ("--owner", "new@example.com")
    assert sentence in run("organisation_create", *words, *owner).failure
    assert Organisation.objects.count() == 2
    assert not User.objects.filter(email="new@example.com").exists()


# --- Keys ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def allowed(settings: Any, simulated: SimulatedMyCirrus) -> str:
    """The simulated MyCirrus as the operator has allowed it."""
    settings.MYCIRRUS_EXTRA_BASE_URLS = [simulated.base_url]
    return simulated.base_url


def stored(people: People) -> list[ApiKey]:
    with organisation_scope(people.organisation.pk):
        return list(ApiKey.objects.all())


def test_key_is_stored_verified_and_not_shown(people: People, run: Run, allowed: str) -> None:
    said = run(
        "api_key_add", "harbour", "--label", "Main account", "--base-url", allowed, stdin=f"{SECRET}\n"
    )
    assert said.failure == ""
    (key,) = stored(people)
    assert (key.label, key.state, key.secret_reveal()) == ("Main account", ApiKey.State.GOOD, SECRET)
    assert SECRET not in said.out + said.err
    assert SECRET[-4:] in said.out
    assert re.search(r"instruments:read +yes", said.out)
    assert "Good" in said.out


def test_key_without_a_scope_is_taken_and_said(
    people: People, run: Run, allowed: str, simulated: SimulatedMyCirrus
) -> None:
    narrow = "mycirrus-000002-0123456789ABCDEF"
    simulated.add_key(narrow, scopes=["instruments:read", "data.noise:read"])
    answer = run("api_key_add", "harbour", "--base-url", allowed, "--json", stdin=narrow)
    assert answer.failure == ""
    assert answer.json["state"] == "missing_scope"
    assert answer.json["scopes"]["data.noise:read"] is True
    assert answer.json["scopes"]["data.system:read"] is False


def test_refused_key_is_told_apart(people: People, run: Run, allowed: str) -> None:
    wrong = "mycirrus-000003-BADBADBADBADBAD0"
    said = run("api_key_add", "harbour", "--base-url", allowed, stdin=wrong)
    assert "nothing can be read with it yet" in said.failure
    assert "refused" in said.failure
    assert wrong not in said.out + said.err + said.failure


def test_unreachable_mycirrus_loses_no_key(people: People, run: Run, settings: Any) -> None:
    settings.MYCIRRUS_EXTRA_BASE_URLS = ["http://127.0.0.1:1/v1"]
    said = run("api_key_add", "harbour", "--base-url", "http://127.0.0.1:1/v1", stdin=SECRET)
    assert "No connection to MyCirrus" in said.failure
    assert [key.state for key in stored(people)] == [ApiKey.State.UNREACHABLE]


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        (("quay",), SECRET, "There is no organisation “quay”. There are: harbour, quarry."),
        (("harbour",), "", "No key on standard input"),
        (("harbour",), f"{SECRET}\n{SECRET}", "the API key alone"),
        (("harbour",), "x" * 5000, "the API key alone"),
        (("harbour",), "short", "does not look like a MyCirrus API key"),
        (
            ("harbour", "--base-url", "https://evil.example"),
            SECRET,
            "Keys may not be sent to https://evil.example.",
        ),
    ],
)
def test_key_mistakes_store_nothing(
    people: People, run: Run, words: tuple[str, ...], stdin: str, sentence: str
) -> None:
    said = run("api_key_add", *words, stdin=stdin)
    assert sentence in said.failure
    assert SECRET not in said.out + said.err + said.failure
    assert stored(people) == []


def test_same_key_twice(people: People, run: Run, allowed: str) -> None:
    run("api_key_add", "harbour", "--base-url", allowed, stdin=SECRET)
    assert "added already" in run("api_key_add", "harbour", "--base-url", allowed, stdin=SECRET).failure
