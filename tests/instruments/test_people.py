"""Roles and removals: what each member may do to another, and that an organisation never loses its last owner."""

import pytest
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.urls import reverse

from instruments.models import Membership, Role, User
from instruments.people import membership_remove, membership_set_role
from instruments.tenancy import organisation_scope
from tests.conftest import People, join, make_user


def membership_of(people: People, user: User) -> Membership:
    with organisation_scope(people.organisation.pk):
        return Membership.objects.get(user=user)


def address(name: str, people: People, user: User) -> str:
    return reverse(f"instruments:{name}", args=["harbour", membership_of(people, user).pk])


def test_owner_changes_roles(people: People) -> None:
    answer = people.client(people.alice).post(
        address("member-role", people, people.bob), {"role": Role.OWNER}
    )
    assert answer.status_code == 302
    assert membership_of(people, people.bob).role == Role.OWNER


def test_admin_changes_roles_below_owner(people: People) -> None:
    client = people.client(people.adam)
    client.post(address("member-role", people, people.bob), {"role": Role.ADMIN})
    assert membership_of(people, people.bob).role == Role.ADMIN
    client.post(address("member-role", people, people.bob), {"role": Role.OWNER})
    assert membership_of(people, people.bob).role == Role.ADMIN


def test_admin_cannot_unmake_an_owner(people: People) -> None:
    join(people.organisation, second := make_user("second@example.com"), Role.OWNER)
    client = people.client(people.adam)
    client.post(address("member-role", people, second), {"role": Role.VIEWER})
    client.post(address("member-remove", people, second))
    assert membership_of(people, second).role == Role.OWNER


def test_admin_cannot_make_themselves_an_owner(people: People) -> None:
    people.client(people.adam).post(address("member-role", people, people.adam), {"role": Role.OWNER})
    assert membership_of(people, people.adam).role == Role.ADMIN


@pytest.mark.parametrize("name", ["member-role", "member-remove"])
def test_last_owner_stays(people: People, name: str) -> None:
    answer = people.client(people.alice).post(
        address(name, people, people.alice), {"role": Role.VIEWER}, follow=True
    )
    assert "keeps at least one owner" in answer.content.decode()
    assert membership_of(people, people.alice).role == Role.OWNER


def test_one_of_two_owners_may_leave(people: People) -> None:
    join(people.organisation, make_user("second@example.com"), Role.OWNER)
    answer = people.client(people.alice).post(address("member-remove", people, people.alice))
    assert answer["Location"] == "/"
    assert people.client(people.alice).get("/o/harbour/people/").status_code == 404


def test_removing_is_asked_about_on_a_page_first(people: People) -> None:
    join(people.organisation, make_user("second@example.com"), Role.OWNER)
    alices = people.client(people.alice)
    for user, says in ((people.bob, "Remove Bob?"), (people.alice, "Leave Harbour?")):
        path = address("member-remove", people, user)
        answer = alices.get(path)
        assert answer.status_code == 200
        page = answer.content.decode()
        assert says in page
        assert '<form class="card form" method="post">' in page
        assert "csrfmiddlewaretoken" in page
        assert membership_of(people, user).pk
        # The list leads there; it has no button that acts at once.
        listed = alices.get("/o/harbour/people/").content.decode()
        assert f'href="{path}"' in listed
        assert f'action="{path}"' not in listed
    # Whoever may not remove somebody is told so before anything else.
    refused = people.client(people.adam).get(address("member-remove", people, people.alice), follow=True)
    assert "Only an owner can make or unmake an owner." in refused.content.decode()


def test_removed_member_is_out_at_once(people: People) -> None:
    bobs = people.client(people.bob)
    assert bobs.get("/o/harbour/people/").status_code == 200
    people.client(people.alice).post(address("member-remove", people, people.bob))
    assert bobs.get("/o/harbour/people/").status_code == 404


def test_member_of_another_organisation_is_not_found(people: People) -> None:
    with organisation_scope(people.other.pk):
        charlies = Membership.objects.get(user=people.charlie)
    client = people.client(people.alice)
    for name in ("member-role", "member-remove"):
        theirs = reverse(f"instruments:{name}", args=["harbour", charlies.pk])
        assert client.post(theirs, {"role": Role.VIEWER}).status_code == 404
    with organisation_scope(people.other.pk):
        assert Membership.objects.get(user=people.charlie).role == Role.OWNER


def test_verbs_refuse_what_pages_do_not_offer(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        bobs, alices = membership_of(people, people.bob), membership_of(people, people.alice)
    with organisation_scope(people.organisation.pk):
        for actor in (people.mary, people.bob, people.charlie):
            with pytest.raises(ValidationError):
                membership_set_role(membership=bobs, role=Role.ADMIN, actor=actor)
            with pytest.raises(ValidationError):
                membership_remove(membership=alices, actor=actor)


def test_everybody_sees_the_members_and_only_managers_more(people: People) -> None:
    for user, manages in (
        (people.bob, False),
        (people.mary, False),
        (people.adam, True),
        (people.alice, True),
    ):
        page = people.client(user).get("/o/harbour/people/").content.decode()
        assert "adam@example.com" in page
        assert "charlie@example.com" not in page
        assert ("Send the invitation" in page) is manages
        assert ("/remove/" in page) is manages


def test_admin_is_offered_no_owner_role(people: People) -> None:
    assert 'value="owner"' not in people.client(people.adam).get("/o/harbour/people/").content.decode()
    assert 'value="owner"' in people.client(people.alice).get("/o/harbour/people/").content.decode()


def test_only_an_owner_sees_who_has_a_second_factor(people: People) -> None:
    Authenticator.objects.create(user=people.bob, type=Authenticator.Type.TOTP, data={"secret": "x"})
    page = people.client(people.alice).get("/o/harbour/people/")
    factors = {each.membership.user: each.second_factor for each in page.context["members"]}
    assert factors == {people.alice: False, people.adam: False, people.mary: False, people.bob: True}
    assert "Second factor</th>" in page.content.decode()
    assert "Second factor</th>" not in people.client(people.adam).get("/o/harbour/people/").content.decode()


def test_queries_do_not_grow_with_members(people: People, django_assert_max_num_queries) -> None:
    client = people.client(people.alice)
    for number in range(30):
        join(people.organisation, make_user(f"more{number}@example.com"), Role.MEMBER)
    with django_assert_max_num_queries(10):
        client.get("/o/harbour/people/")
