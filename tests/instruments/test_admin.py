"""The operator's admin: superusers only, every organisation in it, keys that are checked and never shown."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import reverse

from instruments.models import Activity, ApiKey, Invitation, Membership, Organisation, Role, User
from instruments.tenancy import all_organisations, organisation_scope
from tests.conftest import (
    PASSWORD,
    SECRET,
    People,
    join,
    make_instrument,
    make_key,
    make_organisation,
    make_user,
)
from tests.simulated import SimulatedMyCirrus

SECOND = "mycirrus-000004-AAAABBBBCCCC0004"
WRONG = "mycirrus-000009-AAAABBBBCCCC0009"
OURS = [model for model in admin.site._registry if model._meta.app_label == "instruments"]


@pytest.fixture(scope="module")
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus(fleet=1) as simulated:
        simulated.add_key(SECOND)
        yield simulated


@pytest.fixture
def base_url(mycirrus: SimulatedMyCirrus, settings: Any) -> str:
    settings.MYCIRRUS_EXTRA_BASE_URLS = [mycirrus.base_url]
    return mycirrus.base_url


@pytest.fixture
def operator(people: People) -> Client:
    return people.client(make_user("op@example.com", is_staff=True, is_superuser=True))


def address(model: Any, view: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


def add_key(operator: Client, organisation: Organisation, base_url: str, secret: str) -> Any:
    values = {"organisation": organisation.pk, "label": "Main", "base_url": base_url, "secret": secret}
    return operator.post(address(ApiKey, "add"), values, follow=True)


def only_key() -> ApiKey:
    with all_organisations(reason="test"):
        return ApiKey.objects.get()


def test_only_superusers_enter(people: People) -> None:
    staff = make_user("staff@example.com", is_staff=True)
    for user in (None, people.alice, people.charlie, staff):
        browser = people.client(user)
        for page in (reverse("admin:index"), address(ApiKey, "changelist"), address(User, "changelist")):
            answer = browser.get(page, follow=True)
            assert "Cirrusweb administration" not in answer.content.decode()
            assert answer.redirect_chain
        assert answer.status_code == (200 if user is None else 403)


def test_admin_has_no_sign_in_of_its_own(people: People) -> None:
    """Its form would let a password alone in, past the second factor."""
    op = make_user("op@example.com", is_staff=True, is_superuser=True)
    staff = people.client(make_user("staff@example.com", is_staff=True))
    for browser in (Client(), staff):
        answer = browser.post(reverse("admin:login"), {"username": op.email, "password": PASSWORD})
        assert answer.status_code in (302, 403)
        assert browser.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_lists_and_forms_show_all_organisations(people: People, operator: Client, model: Any) -> None:
    for organisation in (people.organisation, people.other):
        key = make_key(organisation)
        make_instrument(organisation, api_key=key)
        with organisation_scope(organisation.pk):
            Invitation.objects.create(
                organisation=organisation,
                email="x@example.com",
                digest=organisation.slug,
                expires_at=organisation.created_at,
            )
    page = operator.get(address(model, "changelist"))
    assert page.status_code == 200
    assert operator.get(address(model, "changelist"), {"q": "quarry"}).status_code == 200
    with all_organisations(reason="test"):
        assert page.context["cl"].result_count == model.objects.count() > 1
        pk = model.objects.first().pk
    assert operator.get(address(model, "change", pk)).status_code == 200
    assert operator.get(address(model, "history", pk)).status_code == 200
    model_admin = admin.site._registry[model]
    if model_admin.has_add_permission(page.wsgi_request):
        assert operator.get(address(model, "add")).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_queries_do_not_grow_with_rows(
    people: People, operator: Client, model: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(15):
        organisation = make_organisation(f"more-{number}")
        join(organisation, make_user(f"more{number}@example.com"), Role.OWNER)
        make_instrument(organisation, api_key=make_key(organisation))
        with organisation_scope(organisation.pk):
            Invitation.objects.create(
                organisation=organisation,
                email="x@example.com",
                digest=organisation.slug,
                expires_at=organisation.created_at,
            )
    with django_assert_max_num_queries(8) as queries:
        rows = operator.get(address(model, "changelist")).context["cl"].queryset
    # Django's own filter over a column of free words would ask for all of them.
    assert not [each["sql"] for each in queries.captured_queries if "DISTINCT" in each["sql"]]
    if connection.vendor == "sqlite" and model is not Organisation:
        with all_organisations(reason="a test looks at the plan"):
            assert "TEMP B-TREE" not in rows.explain()


def test_autocomplete_sees_every_organisation(people: People, operator: Client) -> None:
    answer = operator.get(
        reverse("admin:autocomplete"),
        {"app_label": "instruments", "model_name": "apikey", "field_name": "organisation", "term": ""},
    )
    assert {row["text"] for row in answer.json()["results"]} == {"Harbour", "Quarry"}


def test_new_key_is_encrypted_verified_and_never_shown(
    people: People, operator: Client, base_url: str
) -> None:
    page = add_key(operator, people.organisation, base_url, SECRET).content.decode()
    key = only_key()
    assert key.secret_reveal() == SECRET
    assert key.state == ApiKey.State.GOOD
    assert "Main (…C0DE): Good" in page
    assert SECRET not in page
    form = operator.get(address(ApiKey, "change", key.pk)).content.decode()
    assert SECRET not in form
    assert key.ciphertext not in form
    assert key.fingerprint in form


def test_wrong_new_key_is_said_in_a_message(people: People, operator: Client, base_url: str) -> None:
    page = add_key(operator, people.organisation, base_url, WRONG).content.decode()
    assert "Refused by MyCirrus" in page
    assert only_key().state == ApiKey.State.REFUSED


@pytest.mark.parametrize(("secret", "says"), [("short", "does not look like"), (SECRET, "added already")])
def test_bad_new_key_is_refused_in_the_form(
    people: People, operator: Client, base_url: str, secret: str, says: str
) -> None:
    make_key(people.organisation, base_url=base_url)
    answer = add_key(operator, people.organisation, base_url, secret)
    assert says in answer.content.decode()
    assert only_key().secret_reveal() == SECRET


def test_key_is_rotated_only_by_a_good_one(people: People, operator: Client, base_url: str) -> None:
    key = make_key(people.organisation, base_url=base_url)
    change = address(ApiKey, "change", key.pk)
    page = operator.post(change, {"label": "Renamed", "secret": WRONG}, follow=True).content.decode()
    assert "The old key was kept" in page
    assert WRONG not in page
    assert (only_key().label, only_key().secret_reveal()) == ("Renamed", SECRET)
    page = operator.post(change, {"label": "Renamed", "secret": SECOND}, follow=True).content.decode()
    assert "the new key is in use" in page
    assert only_key().secret_reveal() == SECOND
    operator.post(change, {"label": "Again", "secret": ""})
    assert (only_key().label, only_key().secret_reveal()) == ("Again", SECOND)


def test_keys_are_verified_and_revoked_from_the_list(people: People, operator: Client, base_url: str) -> None:
    key = make_key(people.organisation, base_url=base_url)
    keys, chosen = address(ApiKey, "changelist"), {"_selected_action": [key.pk]}
    operator.post(keys, {"action": "verify", **chosen})
    assert only_key().verified_at is not None
    page = operator.post(keys, {"action": "revoke", **chosen}).content.decode()
    # Asked first: nothing has happened yet, and the answer holds all that the second request needs.
    assert "cannot be brought back" in page
    assert f'name="_selected_action" value="{key.pk}"' in page
    assert "csrfmiddlewaretoken" in page
    assert only_key().revoked_at is None
    operator.post(keys, {"action": "revoke", "sure": "yes", **chosen})
    assert only_key().revoked_at is not None
    assert operator.get(address(ApiKey, "change", key.pk)).status_code == 200
    assert operator.get(address(ApiKey, "delete", key.pk)).status_code == 403


def test_mirrored_rows_cannot_be_edited(people: People, operator: Client) -> None:
    instrument = make_instrument(people.organisation)
    assert operator.get(reverse("admin:instruments_instrument_add")).status_code == 403
    change = reverse("admin:instruments_instrument_change", args=[instrument.pk])
    assert operator.post(change, {"name": "x"}).status_code == 403


def test_person_is_made_by_address(people: People, operator: Client) -> None:
    operator.post(
        address(User, "add"),
        {
            "email": "new@example.com",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    assert User.objects.get(email="new@example.com").check_password(PASSWORD)


def test_members_are_edited_with_their_organisation(people: People, operator: Client) -> None:
    page = operator.get(address(Organisation, "change", people.organisation.pk)).content.decode()
    assert "alice@example.com" in page or "Alice" in page
    assert "charlie" not in page.lower()


def save_members(operator: Client, organisation: Organisation, *rows: dict[str, Any]) -> Any:
    """Send the organisation's page with these members' rows, as its form does."""
    old = sum("id" in row for row in rows)
    page = operator.get(change := address(Organisation, "change", organisation.pk))
    prefix = page.context["inline_admin_formsets"][0].formset.prefix
    own = ("name", "slug", "timezone", "day_hour", "evening_hour", "night_hour")
    values = {name: getattr(organisation, name) for name in own}
    values |= {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": old}
    for number, row in enumerate(rows):
        values |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return operator.post(change, values)


def test_members_changed_here_stand_in_the_organisations_log(people: People, operator: Client) -> None:
    with organisation_scope(people.organisation.pk):
        alice, adam, mary, bob = (
            {"id": each.pk, "user": each.user_id, "role": each.role}
            for each in Membership.objects.order_by("pk")
        )
    # Owner and admin change places in one go, Mary goes, Charlie comes, and Bob's row stays as it is.
    answer = save_members(
        operator,
        people.organisation,
        {**alice, "role": Role.ADMIN},
        {**adam, "role": Role.OWNER},
        {**mary, "DELETE": "on"},
        # Whose place it is never changes.
        {**bob, "user": people.charlie.pk},
        {"user": people.charlie.pk, "role": Role.VIEWER},
    )
    assert answer.status_code == 302, answer.context["errors"]
    with organisation_scope(people.organisation.pk):
        assert dict(Membership.objects.values_list("user__email", "role")) == {
            "alice@example.com": Role.ADMIN,
            "adam@example.com": Role.OWNER,
            "bob@example.com": Role.VIEWER,
            "charlie@example.com": Role.VIEWER,
        }
        noted = Activity.objects.values_list("verb", "subject", "detail", "actor__email")
        assert sorted(noted) == [
            ("member_added", "Charlie", "Viewer", "op@example.com"),
            ("member_removed", "Mary", "Member", "op@example.com"),
            ("member_role_set", "Adam", "Admin → Owner", "op@example.com"),
            ("member_role_set", "Alice", "Owner → Admin", "op@example.com"),
        ]


@pytest.mark.parametrize("change", [{"role": Role.ADMIN}, {"DELETE": "on"}])
def test_last_owner_stays_here_as_well(people: People, operator: Client, change: dict[str, Any]) -> None:
    with organisation_scope(people.organisation.pk):
        alice = Membership.objects.get(user=people.alice)
    answer = save_members(
        operator,
        people.organisation,
        {"id": alice.pk, "user": alice.user_id, "role": alice.role, **change},
    )
    assert "keeps at least one owner" in answer.content.decode()
    with organisation_scope(people.organisation.pk):
        assert Membership.objects.get(user=people.alice).role == Role.OWNER
        assert not Activity.objects.exists()


def test_members_have_no_other_door(people: People, operator: Client) -> None:
    """A second form for the same rows would need the same rules."""
    with organisation_scope(people.organisation.pk):
        alice = Membership.objects.get(user=people.alice)
    for view, args in (("add", []), ("delete", [alice.pk])):
        assert operator.post(address(Membership, view, *args), {"post": "yes"}).status_code == 403
    change = address(Membership, "change", alice.pk)
    assert operator.post(change, {"role": Role.VIEWER}).status_code == 403
    # It leads to where they are changed.
    assert address(Organisation, "change", people.organisation.pk) in operator.get(change).content.decode()


def test_second_factor_can_be_removed_but_not_read(people: People, operator: Client) -> None:
    factor = TOTP.activate(people.bob, "JBSWY3DPEHPK3PXP").instance
    for view, args in (("changelist", []), ("change", [factor.pk]), ("history", [factor.pk])):
        assert "JBSWY3DPEHPK3PXP" not in operator.get(address(Authenticator, view, *args)).content.decode()
    operator.post(address(Authenticator, "delete", factor.pk), {"post": "yes"})
    assert not Authenticator.objects.filter(user=people.bob).exists()


def signs_in(email: str) -> bool:
    answer = Client().post(reverse("account_login"), {"login": email, "password": PASSWORD})
    return answer.status_code == 302 and "confirm-email" not in answer["Location"]


def test_people_sign_in_with_the_address_that_the_operator_gave_them(
    people: People, operator: Client
) -> None:
    bob = address(User, "change", people.bob.pk)
    operator.post(bob, {"email": "Robert@Example.com", "is_active": "on"})
    people.bob.refresh_from_db()
    assert people.bob.email == "robert@example.com"
    addresses = EmailAddress.objects.filter(user=people.bob)
    assert list(addresses.values_list("email", "verified", "primary")) == [("robert@example.com", True, True)]
    assert [signs_in(each) for each in ("bob@example.com", "Robert@example.com")] == [False, True]
    # What is saved without a change of it leaves the address alone.
    kept = addresses.get().pk
    operator.post(bob, {"email": "robert@example.com", "first_name": "Robert", "is_active": "on"})
    assert addresses.get().pk == kept

    values = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    operator.post(address(User, "add"), {"email": "Capital@Example.com", **values})
    assert signs_in("capital@example.com")
    EmailAddress.objects.create(user=people.mary, email="second@example.com", verified=True)
    for page, more in ((bob, {"is_active": "on"}), (address(User, "add"), values)):
        answer = operator.post(page, {"email": "SECOND@example.com", **more})
        assert "Somebody else signs in with this address" in answer.content.decode()
