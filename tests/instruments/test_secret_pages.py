"""A key's secret in no page, header, message, session, log line or admin history, whatever happens to the key."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import serializers
from django.test import Client
from django.urls import reverse

from instruments.models import ApiKey, Organisation
from instruments.tenancy import all_organisations
from tests.conftest import People, make_user
from tests.simulated import SimulatedMyCirrus

FIRST = "mycirrus-000021-5EC12E7000000021"
NEXT = "mycirrus-000022-5EC12E7000000022"
WRONG = "mycirrus-000023-5EC12E7000000023"
# Shorter pieces as well: a page that shows all but the last four gives the key away.
PIECES = [secret[:20] for secret in (FIRST, NEXT, WRONG)]


class Watched:
    """Somebody whose every answer is searched for a secret."""

    def __init__(self, browser: Client) -> None:
        self.browser = browser
        self.seen = 0

    def _searched(self, answer: Any) -> Any:
        self.seen += 1
        text = answer.content.decode() + str(answer.headers) + str(answer.cookies)
        for piece in PIECES:
            assert piece not in text
        return answer

    def get(self, address: str) -> Any:
        return self._searched(self.browser.get(address))

    def post(self, address: str, **values: Any) -> Any:
        answer = self._searched(self.browser.post(address, values))
        return self.get(answer["Location"]) if answer.status_code == 302 else answer


@pytest.fixture(scope="module")
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(fleet=1) as simulated:
        simulated.add_key(FIRST)
        simulated.add_key(NEXT)
        yield simulated


@pytest.fixture(autouse=True)
def _allowed(mycirrus: SimulatedMyCirrus, settings: Any) -> None:
    settings.MYCIRRUS_EXTRA_BASE_URLS = [mycirrus.base_url]


def _kept() -> str:
    """Everything in the database that a secret could have slipped into, in clear."""
    with all_organisations(reason="test"):
        rows = serializers.serialize("json", [*ApiKey.objects.all(), *Organisation.objects.all()])
        rows += "".join(repr(vars(key)) for key in ApiKey.objects.all())
    return rows + "".join(str(session.get_decoded()) for session in Session.objects.all())


def test_pages_of_keys(people: People, mycirrus: SimulatedMyCirrus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    adam = Watched(people.client(people.adam))

    def address(name: str, *pk: int) -> str:
        return reverse(f"instruments:{name}", args=["harbour", *pk])

    values = {"label": "Main", "base_url": mycirrus.base_url}
    adam.post(address("key-add"), **values, secret=FIRST)
    # Refused by the form, by us and by MyCirrus: each page comes back with the form.
    adam.post(address("key-add"), base_url=mycirrus.base_url, secret=FIRST)
    adam.post(address("key-add"), **values, secret=FIRST)
    with all_organisations(reason="test"):
        key = ApiKey.objects.get()
    assert key.state == ApiKey.State.GOOD
    adam.post(address("key-rotate", key.pk), secret=WRONG)
    adam.post(address("key-verify", key.pk))
    adam.post(address("key-rotate", key.pk), secret=NEXT)
    mycirrus.revoke_key(NEXT)
    adam.post(address("key-verify", key.pk))
    mycirrus.add_key(NEXT)
    for name in ("keys", "key-add", "organisation-settings", "people"):
        adam.get(address(name))
    for name in ("key-rotate", "key-revoke"):
        adam.get(address(name, key.pk))
    adam.post(address("key-revoke", key.pk))
    adam.get(address("keys"))
    assert adam.seen >= 18
    for piece in PIECES:
        assert piece not in caplog.text
        assert piece not in _kept()


def test_pages_of_the_admin(
    people: People, mycirrus: SimulatedMyCirrus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    operator = Watched(people.client(make_user("op@example.com", is_staff=True, is_superuser=True)))
    values = {"organisation": people.organisation.pk, "label": "Main", "base_url": mycirrus.base_url}
    add, everything = reverse("admin:instruments_apikey_add"), reverse("admin:instruments_apikey_changelist")
    operator.post(add, **values, secret=FIRST)
    operator.post(add, **values, secret=FIRST)
    with all_organisations(reason="test"):
        pk = ApiKey.objects.get().pk
    change = reverse("admin:instruments_apikey_change", args=[pk])
    for secret in (WRONG, NEXT, "short"):
        operator.post(change, label="Main", secret=secret)
    for action in ("verify", "revoke"):
        operator.post(everything, action=action, _selected_action=pk)
    pages = (
        add,
        change,
        everything,
        reverse("admin:instruments_apikey_history", args=[pk]),
        reverse("admin:index"),
    )
    for page in pages:
        assert operator.get(page).status_code == 200
    for piece in PIECES:
        assert piece not in caplog.text
        assert piece not in _kept()
