"""Every page of organisations, keys and people renders for those who may see it, with the figures it is for."""

import pytest
from django.urls import reverse

from instruments.models import Activity, Organisation, Role
from instruments.tenancy import organisation_scope
from tests.conftest import People, join, make_key, make_organisation, make_user

PAGES = ["organisation-settings", "keys", "key-add", "people"]


@pytest.mark.parametrize("name", PAGES)
def test_owner_sees_the_page(people: People, name: str) -> None:
    make_key(people.organisation)
    page = people.client(people.alice).get(reverse(f"instruments:{name}", args=["harbour"]))
    assert page.status_code == 200
    assert "Harbour" in page.content.decode()


def test_only_organisation_is_opened_at_once(people: People) -> None:
    answer = people.client(people.bob).get("/")
    assert answer.status_code == 302
    assert answer["Location"] == "/o/harbour/"
    assert people.client(people.bob).get("/?all").status_code == 200


@pytest.mark.parametrize("slug", ["Harbour", "har_bour", "HARBOUR"])
def test_an_organisation_that_is_none_is_not_found_however_it_is_written(people: People, slug: str) -> None:
    for path in ("", "sites/", "settings/"):
        assert people.client(people.bob).get(f"/o/{slug}/{path}").status_code == 404


def test_several_organisations_are_a_choice(people: People) -> None:
    join(people.other, people.bob, Role.VIEWER)
    make_organisation("forest")
    page = people.client(people.bob).get("/").content.decode()
    assert 'href="/o/harbour/"' in page
    assert 'href="/o/quarry/"' in page
    assert "forest" not in page


def test_nobodys_start_says_what_to_do(people: People) -> None:
    lone = make_user("lone@example.com")
    page = people.client(lone).get("/").content.decode()
    assert "lone@example.com" in page
    assert "People page" in page
    assert reverse("instruments:organisation-create") not in page


def test_anonymous_is_sent_to_sign_in(people: People) -> None:
    answer = people.client(None).get("/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


def test_operator_makes_an_organisation_and_owns_it(people: People) -> None:
    operator = make_user("op@example.com", is_superuser=True, is_staff=True)
    client = people.client(operator)
    assert reverse("instruments:organisation-create") in client.get("/").content.decode()
    answer = client.post(
        reverse("instruments:organisation-create"),
        {"name": "Canal Works", "slug": "", "timezone": "Europe/Paris"},
    )
    assert answer.status_code == 302
    assert answer["Location"] == "/o/canal-works/start/"
    made = Organisation.objects.get(slug="canal-works")
    assert made.timezone == "Europe/Paris"
    assert client.get("/o/canal-works/start/").status_code == 200


def test_taken_slug_is_refused_in_the_form(people: People) -> None:
    operator = make_user("op@example.com", is_superuser=True)
    answer = people.client(operator).post(
        reverse("instruments:organisation-create"), {"name": "Harbour", "slug": "", "timezone": "UTC"}
    )
    assert answer.status_code == 422
    assert Organisation.objects.filter(slug="harbour").count() == 1


def test_only_the_operator_makes_organisations(people: People) -> None:
    answer = people.client(people.alice).get(reverse("instruments:organisation-create"))
    assert answer.status_code == 403


def test_settings_are_saved(people: People) -> None:
    client, page = people.client(people.adam), reverse("instruments:organisation-settings", args=["harbour"])
    values = {"name": "Harbour Noise", "timezone": "America/New_York", "accepts_legacy_notifications": "on"}
    values |= {"day_hour": "7", "evening_hour": "19", "night_hour": "23"}
    assert client.post(page, values).status_code == 302
    people.organisation.refresh_from_db()
    assert people.organisation.name == "Harbour Noise"
    assert people.organisation.timezone == "America/New_York"
    assert people.organisation.accepts_legacy_notifications is True
    assert people.organisation.slug == "harbour"
    client.post(page, values)
    with organisation_scope(people.organisation.pk):
        entry = Activity.objects.get()
    assert (entry.actor, entry.subject) == (people.adam, "Harbour Noise")
    assert "Name: Harbour → Harbour Noise; Time zone: Europe/London → America/New_York;" in entry.detail
    assert "Accept unsigned legacy notifications: no → yes" in entry.detail
    told = client.get(reverse("monitoring:activity", args=["harbour"])).content.decode()
    assert "Settings of the organisation changed" in told


def test_unknown_time_zone_is_refused_and_the_page_keeps_its_name(people: People) -> None:
    client, page = people.client(people.adam), reverse("instruments:organisation-settings", args=["harbour"])
    answer = client.post(page, {"name": "X", "timezone": "Mars/Olympus"})
    assert answer.status_code == 422
    assert "Harbour" in answer.content.decode()
    people.organisation.refresh_from_db()
    assert people.organisation.name == "Harbour"


def test_key_of_another_organisation_is_not_found(people: People) -> None:
    theirs = make_key(people.other)
    client = people.client(people.alice)
    for name in ("key-rotate", "key-revoke", "key-verify"):
        assert client.post(reverse(f"instruments:{name}", args=["harbour", theirs.pk])).status_code == 404
    with organisation_scope(people.other.pk):
        theirs.refresh_from_db()
    assert theirs.revoked_at is None


def test_a_page_that_is_not_there_is_in_no_part_of_the_navigation(people: People) -> None:
    answer = people.client(people.bob).get("/o/harbour/nonsense/")
    assert answer.status_code == 404
    page = answer.content.decode()
    assert "Nothing is here" in page
    navigation = page[page.index('<nav class="nav"') : page.index("</nav>")]
    assert "Manage" in navigation
    assert "aria-current" not in navigation
    assert 'aria-label="Manage"' not in page
