"""Getting started: every step told as it stands, whatever was done where, and only to those who can do it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from instruments.models import ApiKey, Membership, Organisation, Role
from instruments.tenancy import organisation_scope
from monitoring.models import AlertKind, AlertPreference, Lane, Outcome, Resource, SyncTarget
from tests.conftest import SECRET, People, join, make_instrument, make_key, make_organisation, make_user

ADDRESS = "/o/harbour/start/"


def states(people: People, user: Any = None) -> dict[str, str]:
    """Each step's name with its badge."""
    page = people.client(user or people.adam).get(ADDRESS).content.decode()
    steps = re.findall(r'<li id="step-(\w+)".*?</li>', page, re.DOTALL)
    badges = re.findall(r'<li id="step-\w+".*?class="badge[^"]*">.*?</svg>([^<]*)<', page, re.DOTALL)
    return dict(zip(steps, badges, strict=True))


def status_target(key: ApiKey, instrument: Any, outcome: str) -> None:
    SyncTarget.objects.create(
        organisation_id=key.organisation_id,
        api_key=key,
        instrument=instrument,
        resource=Resource.STATUS,
        lane=Lane.LIVE,
        outcome=outcome,
        due_at=datetime.now(UTC),
    )


@pytest.mark.django_db
def test_an_empty_organisation_begins_with_the_key(settings: Any) -> None:
    settings.PUBLIC_URL = "https://noise.example.com"
    user = make_user("olga@example.com")
    empty = make_organisation("empty")
    join(empty, user, Role.OWNER)
    people = People(empty, empty, user, user, user, user, user)
    page = people.client(user).get("/o/empty/start/").content.decode()
    assert re.findall(r'id="step-(\w+)" aria-current="step"', page) == ["key"]
    assert "mycirrus.cloud/developer-api" in page
    assert reverse("instruments:key-add", args=["empty"]) in page


def test_steps_follow_what_is_stored(people: People, organisation: Organisation, settings: Any) -> None:
    settings.PUBLIC_URL = "https://noise.example.com"
    with organisation_scope(organisation.pk):
        key = make_key(organisation)
        assert states(people)["instruments"] == "Under way"
        unit = make_instrument(organisation, api_key=key)
        status_target(key, unit, Outcome.NEVER)
        assert states(people) == {
            "key": "Done",
            "instruments": "Under way",
            "webhooks": "Next",
            "alerts": "Next",
            "people": "Done",
        }
        SyncTarget.objects.update(outcome=Outcome.OK)
        adam = Membership.objects.get(user=people.adam)
        AlertPreference.objects.create(organisation=organisation, membership=adam, kind=AlertKind.SIC_FAILED)
        told = states(people)
        assert (told["instruments"], told["alerts"]) == ("Done", "Done")
        # Another admin's choice is not one's own.
        assert states(people, people.alice)["alerts"] == "Next"


def test_a_key_that_is_refused_needs_a_look_and_a_lack_says_what_it_costs(
    people: People, organisation: Organisation
) -> None:
    with organisation_scope(organisation.pk):
        key = make_key(organisation)
        ApiKey.objects.filter(pk=key.pk).update(state=ApiKey.State.REFUSED, message="MyCirrus says no.")
        page = people.client(people.adam).get(ADDRESS).content.decode()
        assert "MyCirrus says no." in page
        assert states(people)["key"] == "Needs a look"
        ApiKey.objects.filter(pk=key.pk).update(
            state=ApiKey.State.MISSING_SCOPE, scopes={"data.audio:read": False}, message=""
        )
        page = people.client(people.adam).get(ADDRESS).content.decode()
        assert "Events cannot be listened to." in page
        assert states(people)["key"] == "Done"
        assert SECRET not in page


def test_where_no_webhook_can_come_it_says_so(people: People, settings: Any) -> None:
    settings.PUBLIC_URL = "http://noise.example.com"
    assert states(people)["webhooks"] == "Not possible here"
    assert "PUBLIC_URL" in people.client(people.adam).get(ADDRESS).content.decode()


def test_a_poll_without_news_costs_a_204(people: People) -> None:
    client = people.client(people.adam)
    page = client.get(ADDRESS).content.decode()
    (seen,) = re.findall(r"seen=(\w+)", page)
    assert client.get(f"{ADDRESS}?seen={seen}", headers={"HX-Request": "true"}).status_code == 204
    make_key(people.organisation)
    answer = client.get(f"{ADDRESS}?seen={seen}", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith('<div id="start"')


def test_the_first_key_leads_back_to_the_steps(people: People, settings: Any) -> None:
    settings.MYCIRRUS_EXTRA_BASE_URLS = ["http://127.0.0.1:9/v1"]
    values = {"label": "Main", "secret": SECRET, "base_url": "http://127.0.0.1:9/v1"}
    answer = people.client(people.adam).post(reverse("instruments:key-add", args=["harbour"]), values)
    assert answer["Location"] == ADDRESS
