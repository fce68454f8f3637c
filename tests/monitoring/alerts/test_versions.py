"""The rules that judge are read at every turn and made into objects only where they say something else."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.alerts.rules import versions_for
from monitoring.models import AlertKind, AlertRule
from tests.conftest import People


def names() -> list[str]:
    return [version.rule.name for version in versions_for([AlertKind.OFFLINE])]


def test_asking_again_costs_one_read_and_makes_nothing_anew(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        (before,) = versions_for([AlertKind.OFFLINE])
        with CaptureQueriesContext(connection) as asked:
            (after,) = versions_for([AlertKind.OFFLINE])
    assert after is before
    assert len(asked) == 1


def test_each_change_is_seen_at_once(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        rule = AlertRule.objects.get(kind=AlertKind.OFFLINE)
        (usual,) = names()
        AlertRule.objects.filter(pk=rule.pk).update(name="Quay is away")
        assert names() == ["Quay is away"]
        AlertRule.objects.filter(pk=rule.pk).update(paused_at=datetime.now(UTC))
        assert names() == []
        AlertRule.objects.filter(pk=rule.pk).update(paused_at=None, name=usual)
        assert names() == [usual]
        Organisation.objects.filter(pk=organisation.pk).update(timezone="Europe/Madrid")
        (version,) = versions_for([AlertKind.OFFLINE])
        assert version.organisation.timezone == "Europe/Madrid"


@pytest.mark.django_db
def test_each_organisation_has_its_own(people: People) -> None:
    for each in (people.organisation, people.other, people.organisation):
        with organisation_scope(each.pk):
            assert [version.organisation_id for version in versions_for([AlertKind.OFFLINE])] == [each.pk]
