"""Invitations from the mail to the membership, through the real forms, and each way in which one is refused."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from instruments.models import Invitation, Membership, Role, User
from instruments.models.people import invitation_digest
from instruments.people import (
    InvitationClosed,
    InvitationNotMailed,
    WrongPerson,
    invitation_accept,
    invitation_send,
)
from instruments.tenancy import organisation_scope
from tests.conftest import PASSWORD, People, make_organisation, make_user

NEW = "nora@example.com"


@pytest.fixture(autouse=True)
def _no_limits_from_other_tests() -> None:
    cache.clear()


@pytest.fixture
def invite(people: People, django_capture_on_commit_callbacks: Any) -> Any:
    """Invite through the page, as Alice unless said; gives the link of the mail."""

    def send(email: str = NEW, role: str = Role.MEMBER, by: User | None = None) -> str:
        mail.outbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            answer = people.client(by or people.alice).post(
                reverse("instruments:invite", args=["harbour"]), {"email": email, "role": role}
            )
        assert answer.status_code == 302, answer.content.decode()
        (message,) = mail.outbox
        assert message.to == [email.lower()]
        found = re.search(r"https?://[^/\s]+(/invitations/\S+)", message.body)
        assert found
        return found[1]

    return send


def role_in_harbour(people: People, email: str) -> str | None:
    with organisation_scope(people.organisation.pk):
        membership = Membership.objects.filter(user__email=email).first()
    return membership.role if membership else None


def the_invitation(people: People) -> Invitation:
    with organisation_scope(people.organisation.pk):
        return Invitation.objects.latest("pk")


def age(people: People, **fields: Any) -> None:
    with organisation_scope(people.organisation.pk):
        Invitation.objects.update(**fields)


def sign_up(browser: Client, link: str, email: str = NEW, query: str = "") -> Any:
    assert browser.get(link).status_code == 200
    values = {"email": email, "first_name": "Nora", "password1": PASSWORD, "password2": PASSWORD}
    return browser.post(reverse("account_signup") + query, values)


def test_stranger_signs_up_by_the_link_and_is_in(people: People, invite: Any) -> None:
    link, browser = invite(), Client()
    page = browser.get(link).content.decode()
    assert "Join Harbour" in page
    assert reverse("account_signup") in page
    form = browser.get(reverse("account_signup")).content.decode()
    assert f'value="{NEW}"' in form
    assert "Harbour" in form
    mail.outbox.clear()
    answer = sign_up(browser, link)
    assert answer.status_code == 302
    # The mailed link has proven the address: no second mail to prove it again.
    assert mail.outbox == []
    user = User.objects.get(email=NEW)
    assert user.first_name == "Nora"
    assert EmailAddress.objects.get(user=user).verified
    assert role_in_harbour(people, NEW) == Role.MEMBER
    assert browser.get("/o/harbour/people/").status_code == 200
    assert the_invitation(people).accepted_at is not None


def test_another_address_cannot_sign_up_by_the_link(people: People, invite: Any) -> None:
    link, browser = invite(), Client()
    sign_up(browser, link, email="eve@example.com", query="?email=eve@example.com")
    assert not User.objects.filter(email="eve@example.com").exists()
    assert role_in_harbour(people, NEW) == Role.MEMBER


def test_sign_up_is_closed_without_an_invitation(people: People) -> None:
    browser = Client()
    assert "invitation" in browser.get(reverse("account_signup")).content.decode()
    browser.post(
        reverse("account_signup"), {"email": "eve@example.com", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert not User.objects.filter(email="eve@example.com").exists()


def test_sign_up_closes_when_the_invitation_is_revoked(people: People, invite: Any) -> None:
    link, browser = invite(), Client()
    browser.get(link)
    age(people, revoked_at=datetime.now(UTC))
    browser.post(reverse("account_signup"), {"email": NEW, "password1": PASSWORD, "password2": PASSWORD})
    assert not User.objects.filter(email=NEW).exists()


def test_somebody_with_an_account_signs_in_and_accepts(people: People, invite: Any) -> None:
    link, browser = invite("charlie@example.com", Role.VIEWER), Client()
    page = browser.get(link).content.decode()
    assert f"{reverse('account_login')}?next={link}" in page
    answer = browser.post(
        f"{reverse('account_login')}?next={link}",
        {"login": "charlie@example.com", "password": PASSWORD, "next": link},
    )
    assert answer["Location"] == link
    assert "Accept" in browser.get(link).content.decode()
    assert role_in_harbour(people, "charlie@example.com") is None
    answer = browser.post(link)
    assert answer["Location"] == "/o/harbour/"
    assert role_in_harbour(people, "charlie@example.com") == Role.VIEWER
    assert browser.get("/o/harbour/people/").status_code == 200


def test_only_the_invited_address_may_accept_and_the_page_says_which(people: People, invite: Any) -> None:
    link = invite()
    browser = people.client(people.charlie)
    page = browser.get(link).content.decode()
    assert NEW in page
    assert "charlie@example.com" in page
    assert browser.post(link).status_code == 403
    assert role_in_harbour(people, "charlie@example.com") is None
    assert the_invitation(people).accepted_at is None


def test_unproven_address_does_not_count(people: People, invite: Any) -> None:
    link = invite()
    EmailAddress.objects.create(user=people.charlie, email=NEW, verified=False)
    assert people.client(people.charlie).post(link).status_code == 403
    EmailAddress.objects.filter(email=NEW).update(verified=True)
    assert people.client(people.charlie).post(link).status_code == 302


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"expires_at": datetime.now(UTC) - timedelta(minutes=1)}, "has run out"),
        ({"revoked_at": datetime.now(UTC)}, "withdrawn"),
        ({"accepted_at": datetime.now(UTC)}, "was used"),
    ],
)
@pytest.mark.parametrize("somebody", ["anonymous", "invited"])
def test_closed_link_gets_one_clear_page(
    people: People, invite: Any, fields: dict[str, Any], says: str, somebody: str
) -> None:
    link = invite()
    age(people, **fields)
    browser = people.client(make_user(NEW) if somebody == "invited" else None)
    for answer in (browser.get(link), browser.post(link)):
        assert answer.status_code == 410
        assert says in answer.content.decode()
    assert role_in_harbour(people, NEW) is None


def test_unknown_link_is_not_found(people: People) -> None:
    answer = Client().get(reverse("instruments:invitation", args=["nonsense"]))
    assert answer.status_code == 404
    assert "not known" in answer.content.decode()


def test_inviting_again_replaces_the_earlier_link(people: People, invite: Any) -> None:
    first, second = invite(), invite(NEW.upper(), Role.VIEWER)
    assert Client().get(first).status_code == 410
    sign_up(Client(), second)
    assert role_in_harbour(people, NEW) == Role.VIEWER


def test_token_is_in_the_mail_only(people: People, invite: Any) -> None:
    token = invite().rstrip("/").rsplit("/", 1)[1]
    stored = the_invitation(people)
    assert stored.digest == invitation_digest(token)
    assert token not in str(vars(stored))
    page = people.client(people.alice).get(reverse("instruments:people", args=["harbour"])).content.decode()
    assert NEW in page
    assert token not in page
    assert stored.digest not in page


def test_mail_says_who_where_and_how_long(people: People, invite: Any) -> None:
    invite()
    (message,) = mail.outbox
    assert "Harbour" in message.subject
    html = message.alternatives[0][0]
    for text in (message.body, html):
        for needed in ("Member", "Alice", NEW, "BST" if "BST" in message.body else "GMT"):
            assert needed in text


def test_member_cannot_be_invited(people: People) -> None:
    answer = people.client(people.alice).post(
        reverse("instruments:invite", args=["harbour"]), {"email": "Bob@example.com", "role": Role.OWNER}
    )
    assert answer.status_code == 422
    assert "is a member already" in answer.content.decode()


def test_admin_cannot_invite_an_owner(people: People) -> None:
    answer = people.client(people.adam).post(
        reverse("instruments:invite", args=["harbour"]), {"email": NEW, "role": Role.OWNER}
    )
    assert answer.status_code == 422
    assert mail.outbox == []


def test_revoking_from_the_page_closes_the_link(people: People, invite: Any) -> None:
    link = invite()
    address = reverse("instruments:invitation-revoke", args=["harbour", the_invitation(people).pk])
    assert people.client(people.mary).post(address).status_code == 403
    assert people.client(people.charlie).post(address).status_code == 404
    # It asks first, whom it would meet.
    page = people.client(people.adam).get(reverse("instruments:people", args=["harbour"])).content.decode()
    assert f'href="{address}"' in page
    assert f'action="{address}"' not in page
    asked = people.client(people.adam).get(address).content.decode()
    assert f"Revoke the invitation of {NEW}?" in asked
    assert people.client(people.mary).get(address).status_code == 403
    assert Client().get(link).status_code == 200
    assert people.client(people.adam).post(address).status_code == 302
    assert Client().get(link).status_code == 410


def test_invitation_of_another_organisation_cannot_be_revoked(people: People, invite: Any) -> None:
    link = invite()
    theirs = reverse("instruments:invitation-revoke", args=["quarry", the_invitation(people).pk])
    assert people.client(people.charlie).post(theirs).status_code == 404
    assert Client().get(link).status_code == 200


def test_failed_mail_is_said_and_the_invitation_stands(
    people: People, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    # The discard port: nothing listens there.
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 1
    with organisation_scope(people.organisation.pk):
        with pytest.raises(InvitationNotMailed), django_capture_on_commit_callbacks(execute=True):
            invitation_send(
                organisation=people.organisation,
                email=NEW,
                role=Role.VIEWER,
                actor=people.alice,
                now=datetime.now(UTC),
            )
        assert Invitation.objects.filter(email=NEW, revoked_at=None).exists()


def test_second_acceptance_finds_it_used(people: People, invite: Any) -> None:
    invite()
    digest, nora, now = the_invitation(people).digest, make_user(NEW), datetime.now(UTC)
    invitation_accept(digest=digest, user=nora, now=now)
    with pytest.raises(InvitationClosed):
        invitation_accept(digest=digest, user=nora, now=now)
    with pytest.raises(InvitationClosed):
        invitation_accept(digest="", user=nora, now=now)
    with pytest.raises(WrongPerson):
        invitation_accept(digest=digest, user=people.charlie, now=now)


def test_accepting_never_narrows_a_role(people: People, invite: Any) -> None:
    link = invite("zoe@example.com", Role.VIEWER)
    zoe = make_user("zoe@example.com")
    with organisation_scope(people.organisation.pk):
        Membership.objects.create(organisation=people.organisation, user=zoe, role=Role.ADMIN)
    people.client(zoe).post(link)
    assert role_in_harbour(people, "zoe@example.com") == Role.ADMIN


def test_invited_with_no_other_organisation_lands_on_its_fleet(people: People, invite: Any) -> None:
    make_organisation("forest")
    answer = sign_up(Client(), invite())
    assert answer["Location"] == "/"
