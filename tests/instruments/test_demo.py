"""The demo: joined with one click, left with another; and sign-up where the operator opened it to all."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from instruments.models import Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope
from monitoring.alerts.links import incident_link
from monitoring.models import AlertDelivery, Incident, IncidentChange
from tests.conftest import PASSWORD, People, join, make_instrument, make_organisation, make_user

JOIN, LEAVE = "/demo/join/", "/demo/leave/"


@pytest.fixture
def demo(people: People) -> Organisation:
    made = make_organisation("demo")
    Organisation.objects.filter(pk=made.pk).update(is_demo=True)
    join(made, make_user("demo@example.com"), Role.OWNER)
    return made


def membership_of(organisation: Organisation, user: User) -> Membership | None:
    with organisation_scope(organisation.pk):
        return Membership.objects.filter(user=user).first()


def role_in(organisation: Organisation, user: User) -> str | None:
    membership = membership_of(organisation, user)
    return membership.role if membership else None


def test_joined_with_one_click_and_left_with_another(people: People, demo: Organisation) -> None:
    charlie = people.client(people.charlie)
    assert charlie.get("/o/demo/").status_code == 404
    assert JOIN in charlie.get("/?all").content.decode()
    assert charlie.post(JOIN)["Location"] == "/o/demo/"
    assert role_in(demo, people.charlie) == Role.VIEWER
    page = charlie.get("/o/demo/").content.decode()
    assert "its monitors are simulated" in page
    assert LEAVE in page
    assert JOIN not in charlie.get("/?all").content.decode()
    # Twice is once.
    charlie.post(JOIN)
    assert charlie.post(LEAVE)["Location"] == "/"
    assert role_in(demo, people.charlie) is None
    assert charlie.get("/o/demo/").status_code == 404
    assert role_in(people.other, people.charlie) == Role.OWNER


def test_strangers_in_the_demo_learn_nobodys_address(people: People, demo: Organisation) -> None:
    nora, ivan = make_user("nora@example.com"), make_user("ivan@example.com")
    olga, unit = make_user("olga@example.com"), make_instrument(demo, "QT000001")
    for user in (nora, ivan):
        people.client(user).post(JOIN)
    join(demo, olga, Role.MEMBER)
    now = datetime.now(UTC)
    with organisation_scope(demo.pk):
        incident = Incident.objects.create(instrument=unit, kind="offline", opened_at=now)
        change = IncidentChange.objects.create(incident=incident, step="opened", cause="offline", at=now)
        AlertDelivery.objects.create(change=change, recipient=nora, due_at=now, sent_at=now)
    handle = f"/o/demo/alerts/{incident.pk}/handle/"
    people.client(olga).post(handle, {"do": "acknowledge"})
    people.client(olga).post(handle, {"do": "assign", "member": getattr(membership_of(demo, nora), "pk", "")})
    owner = User.objects.get(email="demo@example.com")
    people.client(owner).post("/o/demo/people/invite/", {"email": "new@example.com", "role": "viewer"})
    pages = ("", "people/", "alerts/", f"alerts/{incident.pk}/", "i/QT000001/", "activity/", "notifications/")
    for reader in (ivan, olga):
        for page in pages:
            answer = people.client(reader).get(f"/o/demo/{page}")
            assert answer.status_code == (403 if page == "activity/" and reader == ivan else 200)
            found = set(re.findall(r"\w+@example\.com", answer.content.decode()))
            assert found <= {reader.email}, page
    told = people.client(ivan).get("/o/demo/people/").content.decode()
    assert "4 people (Viewer 2, Member 1, Owner 1)" in told
    assert "ivan@example.com" in told
    link = incident_link(organisation_id=demo.pk, user_id=ivan.pk, incident_id=incident.pk)
    assert "olga" not in Client().get("/" + link.split("/", 3)[3]).content.decode()
    # Whoever runs it knows who is there.
    told = people.client(owner).get("/o/demo/people/").content.decode()
    assert {"nora@example.com", "ivan@example.com", "olga@example.com"} <= set(
        re.findall(r"\w+@example\.com", told)
    )


def test_whoever_runs_the_demo_stays(demo: Organisation) -> None:
    owner = User.objects.get(email="demo@example.com")
    client = Client()
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    client.post(JOIN)
    client.post(LEAVE)
    assert role_in(demo, owner) == Role.OWNER


def test_without_a_demo_there_is_nothing_to_join(people: People) -> None:
    client = people.client(people.charlie)
    assert JOIN not in client.get("/?all").content.decode()
    assert client.post(JOIN).status_code == 404
    assert client.post(LEAVE).status_code == 404


def test_open_sign_up_ends_in_an_organisation_of_ones_own(people: People, settings: Any) -> None:
    settings.SIGN_UP_OPEN = True
    browser = Client()
    assert reverse("account_signup") in browser.get(reverse("account_login")).content.decode()
    values = {"email": "nora@example.com", "password1": PASSWORD, "password2": PASSWORD}
    browser.post(reverse("account_signup"), values)
    # The address has to be proven first.
    assert browser.get("/").status_code == 302
    (proof,) = re.findall(r"https?://[^/\s]+(/accounts/confirm-email/\S+)", str(mail.outbox[-1].body))
    browser.post(proof)
    browser.post(reverse("account_login"), {"login": "nora@example.com", "password": PASSWORD})
    made = browser.post(
        reverse("instruments:organisation-create"), {"name": "Nora & Co", "slug": "", "timezone": "UTC"}
    )
    assert made["Location"] == "/o/nora-co/start/"
    assert (
        role_in(Organisation.objects.get(slug="nora-co"), User.objects.get(email="nora@example.com"))
        == Role.OWNER
    )
    assert browser.get("/o/harbour/").status_code == 404


def test_one_person_cannot_fill_an_open_installation(people: People, settings: Any) -> None:
    settings.SIGN_UP_OPEN = True
    client, address = people.client(people.bob), reverse("instruments:organisation-create")
    for number in range(10):
        join(make_organisation(f"bobs-{number}"), people.bob, Role.OWNER)
    answer = client.post(address, {"name": "One more", "slug": "", "timezone": "UTC"})
    assert answer.status_code == 422
    assert not Organisation.objects.filter(slug="one-more").exists()
