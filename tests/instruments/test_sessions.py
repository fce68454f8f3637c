"""Who is signed in, as every request finds it out: by the statements of ours, the same as by Django's own."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.utils import timezone

from instruments.access import membership_for, signed_in_member
from instruments.sessions import SessionStore
from tests.conftest import People

HERE = "/o/harbour/people/"


def values(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_the_member_is_read_as_the_orm_reads_it(people: People, rf: Any) -> None:
    request = rf.get(HERE)
    request.session = people.client(people.bob).session
    ours, theirs = signed_in_member(request, "harbour"), membership_for(people.bob, "harbour")
    assert ours is not None
    assert theirs is not None
    for mine, its in ((ours, theirs), (ours.user, theirs.user), (ours.organisation, theirs.organisation)):
        assert values(mine) == values(its)
        assert [type(each) for each in values(mine).values()] == [type(each) for each in values(its).values()]
    assert request.user == people.bob
    assert signed_in_member(request, "quarry") is None
    assert signed_in_member(request, "nowhere") is None


def django_session() -> str:
    store = db.SessionStore()
    store["told"] = "before"
    store.save()
    return str(store.session_key)


@pytest.mark.django_db
def test_a_session_of_django_s_own_is_read() -> None:
    assert SessionStore(django_session())["told"] == "before"


@pytest.mark.django_db
def test_a_session_that_ended_or_never_was_holds_nothing() -> None:
    ended = django_session()
    Session.objects.filter(pk=ended).update(expire_date=timezone.now() - timedelta(seconds=1))
    for key in (ended, "0" * 32):
        store = SessionStore(key)
        assert store.get("told") is None
        # A key that somebody else chose is never taken over.
        assert store.session_key is None


def test_whoever_is_out_is_out_at_once(people: People) -> None:
    browser = people.client(people.bob)
    assert browser.get(HERE).status_code == 200
    people.bob.set_password("another one altogether")
    people.bob.save()
    assert browser.get(HERE).status_code == 302
    browser = people.client(people.mary)
    people.mary.is_active = False
    people.mary.save()
    assert browser.get(HERE).status_code == 302
    browser = people.client(people.adam)
    Session.objects.all().delete()
    assert browser.get(HERE).status_code == 302


@pytest.mark.parametrize(
    ("came_from", "back"),
    [
        ("http://testserver/o/harbour/people/?page=2", "/o/harbour/people/?page=2"),
        ("https://elsewhere.example/o/harbour/people/", "/"),
        (None, "/"),
    ],
)
def test_what_was_sent_after_the_session_ended_leads_back_to_its_page(
    people: People, came_from: str | None, back: str
) -> None:
    """Not to the address of the form, which shows nothing by itself; and it is said that nothing was saved."""
    browser, sent = people.client(None), "/o/harbour/people/invite/"
    answer = browser.post(sent, headers={"Referer": came_from} if came_from else {})
    assert parse_qs(urlsplit(answer["Location"]).query)["next"] == [back]
    assert "nothing was saved" in browser.get(answer["Location"]).content.decode()
    answer = browser.post(sent, headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{HERE}"})
    assert parse_qs(urlsplit(answer["HX-Redirect"]).query)["next"] == [HERE]
    assert "nothing was saved" in browser.get(answer["HX-Redirect"]).content.decode()
    # A page that is only read loses nothing.
    answer = browser.get(HERE, headers={"Referer": came_from} if came_from else {})
    assert parse_qs(urlsplit(answer["Location"]).query)["next"] == [HERE]
    assert "nothing was saved" not in browser.get(answer["Location"]).content.decode()


def test_the_address_of_a_form_says_that_it_is_one(people: People) -> None:
    answer = people.client(people.alice).get("/o/harbour/people/invite/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    text = answer.content.decode()
    assert "Nothing was changed" in text
    assert 'href="/o/harbour/"' in text
