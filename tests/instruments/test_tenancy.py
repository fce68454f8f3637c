"""Tenancy fails closed: no scope, no rows; a scope, only its own."""

import pytest
from django.db import models

from instruments.models import Instrument, Membership, Role
from instruments.tenancy import ForeignOrganisation, NoOrganisation, all_organisations, organisation_scope
from tests.conftest import People, make_instrument


@pytest.mark.parametrize(
    "query",
    [
        lambda: Instrument.objects.all(),
        lambda: Instrument.objects.exists(),
        lambda: Instrument.objects.count(),
        lambda: Instrument.objects.filter(serial="QT000001").explain(),
        lambda: Instrument.objects.none(),
        lambda: Instrument.objects.present(),
        lambda: Instrument.objects.aggregate(models.Count("pk")),
        lambda: Instrument.objects.update(name="x"),
        lambda: Instrument.objects.raw("SELECT * FROM instruments_instrument")[0],
    ],
)
def test_query_without_scope_raises(people: People, query) -> None:
    make_instrument(people.organisation)
    with pytest.raises(NoOrganisation):
        query()


def test_scope_shows_only_its_own_rows(people: People) -> None:
    mine, theirs = make_instrument(people.organisation), make_instrument(people.other)
    with organisation_scope(people.organisation.pk):
        assert list(Instrument.objects.all()) == [mine]
        assert not Instrument.objects.filter(pk=theirs.pk).exists()
    with all_organisations(reason="test"):
        assert Instrument.objects.count() == 2


def test_scope_of_nobody_is_refused() -> None:
    with pytest.raises(TypeError), organisation_scope(None):  # type: ignore[arg-type]
        pass


def test_writes_cannot_cross(people: People) -> None:
    theirs = make_instrument(people.other)
    with organisation_scope(people.organisation.pk):
        for write in (
            theirs.save,
            theirs.delete,
            lambda: Instrument.objects.create(organisation=people.other, serial="X"),
            lambda: Instrument.objects.bulk_create([theirs]),
            lambda: Instrument.objects.bulk_update([theirs], ["name"]),
            lambda: Instrument.objects.update(organisation=people.other),
        ):
            with pytest.raises(ForeignOrganisation):
                write()


def test_children_cannot_be_joined_from_the_organisation(people: People) -> None:
    related = [field.name for field in type(people.organisation)._meta.related_objects if not field.hidden]
    assert related == []


def test_roles_cover_those_below() -> None:
    assert [role for role in Role if Role.ADMIN.covers(role)] == [Role.VIEWER, Role.MEMBER, Role.ADMIN]


def test_membership_is_scoped(people: People) -> None:
    with organisation_scope(people.other.pk):
        assert [membership.user for membership in Membership.objects.all()] == [people.charlie]
