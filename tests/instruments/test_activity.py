"""The organisation's log: who did what to keys and people, for members, and never a secret in it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse

from instruments.activity import activities, activity_note, verb_words
from instruments.keys import (
    KeyNotReplaced,
    api_key_add,
    api_key_revoke,
    api_key_rotate,
    api_key_scope_found,
    api_key_verify,
)
from instruments.models import Activity, ApiKey, Invitation, Membership, Role
from instruments.people import (
    invitation_accept,
    invitation_revoke,
    invitation_send,
    membership_remove,
    membership_set_role,
)
from instruments.tenancy import all_organisations, organisation_scope
from tests.conftest import SECRET, People, make_user
from tests.simulated import SimulatedMyCirrus

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = "mycirrus-000004-AAAABBBBCCCC0004"
WRONG = "mycirrus-000009-AAAABBBBCCCC0009"


@pytest.fixture
def in_harbour(people: People) -> Iterator[People]:
    with organisation_scope(people.organisation.pk):
        yield people


@pytest.fixture
def mycirrus(settings: Any) -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(fleet=1) as simulated:
        simulated.add_key(SECOND)
        settings.MYCIRRUS_EXTRA_BASE_URLS = [simulated.base_url]
        yield simulated


def told() -> list[tuple[str, str, str, str]]:
    """What the log of the organisation in scope says, oldest first."""
    return [
        (each.actor_name, each.verb, each.subject, each.detail) for each in Activity.objects.order_by("pk")
    ]


def note(people: People, subject: str = "", **more: Any) -> Activity:
    return activity_note(
        organisation=people.organisation, actor=people.mary, verb="told", subject=subject, **more
    )


def member(people: People, user: Any) -> Membership:
    return Membership.objects.get(user=user)


def test_what_happens_to_a_key(in_harbour: People, mycirrus: SimulatedMyCirrus) -> None:
    key = api_key_add(
        organisation=in_harbour.organisation,
        label="Main",
        secret=SECRET,
        base_url=mycirrus.base_url,
        actor=in_harbour.adam,
    )
    with pytest.raises(KeyNotReplaced):
        api_key_rotate(api_key=key, secret=WRONG, actor=in_harbour.adam, now=NOW)
    api_key_rotate(api_key=key, secret=SECOND, actor=in_harbour.alice, now=NOW)
    api_key_revoke(api_key=key, actor=in_harbour.alice, now=NOW)
    # Revoked already: nothing is done, so nothing is noted.
    api_key_revoke(api_key=key, actor=in_harbour.adam, now=NOW)
    assert told() == [
        ("Adam", "key_added", "Main (…C0DE)", ""),
        ("Alice", "key_rotated", "Main (…0004)", "…C0DE → …0004"),
        ("Alice", "key_revoked", "Main (…0004)", ""),
    ]


def test_what_happens_to_people(
    in_harbour: People, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    def invite(email: str) -> Invitation:
        return invitation_send(
            organisation=in_harbour.organisation,
            email=email,
            role=Role.MEMBER,
            actor=in_harbour.adam,
            now=datetime.now(UTC),
        )

    invitation = invite("new@example.com")
    invitation_revoke(invitation=invitation, actor=in_harbour.alice, now=datetime.now(UTC))
    newcomer = make_user("nina@example.com", first_name="Nina")
    invitation_accept(digest=invite("nina@example.com").digest, user=newcomer, now=datetime.now(UTC))
    bob = member(in_harbour, in_harbour.bob)
    membership_set_role(membership=bob, role=Role.MEMBER, actor=in_harbour.alice)
    membership_set_role(membership=bob, role=Role.MEMBER, actor=in_harbour.alice)
    membership_remove(membership=bob, actor=in_harbour.alice)
    assert told() == [
        ("Adam", "invitation_sent", "new@example.com", "Member"),
        ("Alice", "invitation_revoked", "new@example.com", ""),
        ("Adam", "invitation_sent", "nina@example.com", "Member"),
        ("Nina", "member_joined", "Nina", "Member"),
        ("Alice", "member_role_set", "Bob", "Viewer → Member"),
        ("Alice", "member_removed", "Bob", "Member"),
    ]


def test_a_deed_that_is_undone_is_not_in_the_log(in_harbour: People) -> None:
    with transaction.atomic():
        membership_remove(membership=member(in_harbour, in_harbour.bob), actor=in_harbour.alice)
        assert len(told()) == 1
        transaction.set_rollback(True)
    assert told() == []
    assert member(in_harbour, in_harbour.bob)


def test_no_secret_is_kept(in_harbour: People) -> None:
    entry = note(in_harbour, f"look at {SECRET}", detail=f"because {SECRET} and token={'x' * 40}")
    entry.refresh_from_db()
    assert SECRET not in entry.subject + entry.detail
    assert "x" * 40 not in entry.detail


def test_long_texts_are_cut_not_refused(in_harbour: People) -> None:
    entry = note(in_harbour, "s" * 1000, detail="d" * 1000)
    entry.refresh_from_db()
    assert (len(entry.subject), len(entry.detail)) == (300, 500)
    assert entry.detail.endswith("…")


def test_the_log_outlives_the_account(in_harbour: People) -> None:
    entry = note(in_harbour, "a thing")
    with all_organisations(reason="a test removes a person for good"):
        in_harbour.mary.delete()
    entry.refresh_from_db()
    assert (entry.actor, entry.actor_name) == (None, "Mary")


def test_words() -> None:
    assert verb_words("key_added") == "Key added"
    assert verb_words("something_new") == "Something new"


def test_page_tells_who_did_what_and_why(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        activity_note(
            organisation=people.organisation,
            actor=people.adam,
            verb="key_revoked",
            subject="Main (…C0DE)",
            detail="<b>left the company</b>",
        )
    with organisation_scope(people.other.pk):
        activity_note(organisation=people.other, actor=people.charlie, verb="key_added", subject="Quarry's")
    page = people.client(people.mary).get(reverse("monitoring:activity", args=["harbour"])).content.decode()
    for words in ("Adam", "Key revoked", "Main (…C0DE)", "&lt;b&gt;left the company&lt;/b&gt;"):
        assert words in page
    assert "Quarry's" not in page
    theirs = people.client(people.charlie)
    assert theirs.get(reverse("monitoring:activity", args=["harbour"])).status_code == 404
    assert "Quarry&#x27;s" in theirs.get(reverse("monitoring:activity", args=["quarry"])).content.decode()


def test_page_is_not_for_viewers(people: People) -> None:
    address = reverse("monitoring:activity", args=["harbour"])
    assert people.client(people.bob).get(address).status_code == 403
    assert address not in people.client(people.bob).get("/o/harbour/").content.decode()
    assert address in people.client(people.mary).get("/o/harbour/").content.decode()


def test_pages_continue_below_an_entry_and_lose_none(
    people: People, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    with organisation_scope(people.organisation.pk):
        for number in range(120):
            note(people, f"entry {number:03}")
        seen = [each.subject for each in activities(before=None, most=120)]
    client, address, found = people.client(people.mary), reverse("monitoring:activity", args=["harbour"]), []
    asked = address
    while asked:
        with django_assert_max_num_queries(6):
            answer = client.get(asked)
        assert answer.status_code == 200
        found += [each.subject for each in answer.context["entries"]]
        # Written while somebody pages: what they see neither moves nor repeats.
        with organisation_scope(people.organisation.pk):
            note(people, "meanwhile")
        older = answer.context["older"]
        asked = f"{address}?before={older}" if older else ""
    assert found == seen
    for nonsense in ("x", "-1", "9" * 40, "1.5"):
        assert client.get(f"{address}?before={nonsense}").status_code == 404


def test_a_refused_scope_is_remembered_of_the_secret_it_was_found_of(in_harbour: People) -> None:
    key = ApiKey(organisation=in_harbour.organisation, label="Main", state=ApiKey.State.GOOD)
    key.secret_set(SECRET)
    key.scopes = {"instruments:read": True, "instruments:action": None}
    key.save()
    assert key.allows("instruments:action")
    api_key_scope_found(api_key=key, scope="instruments:action", held=False)
    key.refresh_from_db()
    assert not key.allows("instruments:action")
    assert (key.state, "instruments:action" in key.message) == (ApiKey.State.MISSING_SCOPE, True)
    asked_before = ApiKey.objects.get(pk=key.pk)
    key.secret_set(SECOND)
    key.scopes, key.state = {"instruments:read": True}, ApiKey.State.GOOD
    key.save()
    api_key_scope_found(api_key=asked_before, scope="instruments:action", held=False)
    key.refresh_from_db()
    assert key.allows("instruments:action")
    assert key.state == ApiKey.State.GOOD


def test_a_refusal_of_one_thing_takes_no_scope_that_is_known_to_be_held(in_harbour: People) -> None:
    key = ApiKey(organisation=in_harbour.organisation, label="Main", state=ApiKey.State.GOOD)
    key.secret_set(SECRET)
    key.scopes = {"instruments:read": True, "data.audio:read": True}
    key.save()
    api_key_scope_found(api_key=key, scope="data.audio:read", held=False)
    key.refresh_from_db()
    assert key.allows("data.audio:read")
    assert key.state == ApiKey.State.GOOD


def test_verify_asks_anew_what_was_refused(in_harbour: People, mycirrus: SimulatedMyCirrus) -> None:
    key = api_key_add(
        organisation=in_harbour.organisation,
        label="Main",
        secret=SECRET,
        base_url=mycirrus.base_url,
        actor=in_harbour.adam,
    )
    key = api_key_verify(api_key=key, now=NOW)
    api_key_scope_found(api_key=key, scope="instruments:action", held=False)
    assert not ApiKey.objects.get(pk=key.pk).allows("instruments:action")
    assert api_key_verify(api_key=key, now=NOW).allows("instruments:action")
