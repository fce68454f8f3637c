"""Fixtures shared by all tests: Alice owns, Bob views, Charlie is an outsider with an organisation of his own."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from instruments.models import ApiKey, Instrument, Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope

# How long an example takes says how busy the machine is.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")

SECRET = "mycirrus-000001-5111C0DE5111C0DE"
PASSWORD = "correct horse battery"


def make_user(email: str, **fields: Any) -> User:
    """A person whose address is verified."""
    user = User.objects.create_user(email, PASSWORD, **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def make_organisation(slug: str) -> Organisation:
    """An organisation without members."""
    return Organisation.objects.create(name=slug.title(), slug=slug)


def join(organisation: Organisation, user: User, role: Role) -> Membership:
    """A membership."""
    with organisation_scope(organisation.pk):
        return Membership.objects.create(organisation=organisation, user=user, role=role)


def make_key(organisation: Organisation, secret: str = SECRET, base_url: str = "", **fields: Any) -> ApiKey:
    """A key with every scope, as if it had been verified."""
    with organisation_scope(organisation.pk):
        key = ApiKey(organisation=organisation, label="Main", state=ApiKey.State.GOOD, **fields)
        if base_url:
            key.base_url = base_url
        key.secret_set(secret)
        key.save()
        return key


def make_instrument(organisation: Organisation, serial: str = "QT000001", **fields: Any) -> Instrument:
    """A noise monitor that MyCirrus lists."""
    now = datetime.now(UTC)
    values = {"type": "Noise", "name": f"Monitor {serial}", "first_seen_at": now, "seen_at": now, **fields}
    with organisation_scope(organisation.pk):
        return Instrument.objects.create(organisation=organisation, serial=serial, **values)


@dataclass
class People:
    """Who is who in a test."""

    organisation: Organisation
    other: Organisation
    alice: User
    adam: User
    mary: User
    bob: User
    charlie: User

    def client(self, user: User | None) -> Client:
        """A browser signed in as ``user``, or as nobody."""
        client = Client()
        if user is not None:
            client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client


@pytest.fixture
def people(db: None) -> People:
    """Harbour: Alice owns, Adam is an admin, Mary a member, Bob a viewer. Quarry: Charlie's own."""
    harbour, quarry = make_organisation("harbour"), make_organisation("quarry")
    made = People(
        organisation=harbour,
        other=quarry,
        alice=make_user("alice@example.com", first_name="Alice"),
        adam=make_user("adam@example.com", first_name="Adam"),
        mary=make_user("mary@example.com", first_name="Mary"),
        bob=make_user("bob@example.com", first_name="Bob"),
        charlie=make_user("charlie@example.com", first_name="Charlie"),
    )
    join(harbour, made.alice, Role.OWNER)
    join(harbour, made.adam, Role.ADMIN)
    join(harbour, made.mary, Role.MEMBER)
    join(harbour, made.bob, Role.VIEWER)
    join(quarry, made.charlie, Role.OWNER)
    return made


@pytest.fixture
def organisation(people: People) -> Organisation:
    """Harbour."""
    return people.organisation
