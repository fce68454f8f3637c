"""An instrument as every page of it reads it: by a statement of ours, the same as by the ORM, and never another's."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.http import Http404
from django.utils import timezone

from instruments.access import instrument_for
from instruments.models import ApiKey, Deployment, Instrument, Site
from instruments.tenancy import NoOrganisation, organisation_scope
from tests.conftest import People, make_instrument


def values(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.fixture
def request_of(people: People, rf: Any) -> Any:
    request = rf.get("/")
    request.organisation = people.organisation
    yield request
    # What the middleware does at a request's end.
    timezone.deactivate()


def test_it_is_read_as_the_orm_reads_it(people: People, request_of: Any) -> None:
    now = timezone.now()
    for serial in ("QT000001", "QT000002", "QT000003"):
        make_instrument(people.organisation, serial, features=["Audio"], latitude=52.5, longitude=None)
    with organisation_scope(people.organisation.pk):
        key = ApiKey(organisation=people.organisation, label="Main")
        key.secret_set("mycirrus-000001-5111C0DE5111C0DE")
        key.save()
        Instrument.objects.filter(serial="QT000001").update(api_key=key, document={"a": [1, None]})
        site = Site.objects.create(organisation=people.organisation, name="Quay", timezone="Europe/Lisbon")
        for serial, start, end in (
            ("QT000001", now - timedelta(days=9), now - timedelta(days=2)),
            ("QT000001", now - timedelta(days=2), None),
            ("QT000002", now - timedelta(days=9), now - timedelta(days=2)),
            ("QT000002", now + timedelta(days=2), None),
            ("QT000003", now - timedelta(days=2), now + timedelta(days=2)),
        ):
            Deployment.objects.create(
                organisation=people.organisation,
                instrument=Instrument.objects.get(serial=serial),
                site=site,
                start_at=start,
                end_at=end,
            )
        for serial, stands in (("QT000001", True), ("QT000002", False), ("QT000003", True)):
            ours = instrument_for(request_of, serial)
            theirs = Instrument.objects.select_related("api_key").with_deployment(now).get(serial=serial)
            pairs = [(ours, theirs), (ours.api_key, theirs.api_key)][: 2 if serial == "QT000001" else 1]
            if stands:
                pairs += [(ours.deployed, theirs.deployed), (ours.deployed.site, theirs.deployed.site)]  # type: ignore[attr-defined]
            else:
                assert ours.deployed is None  # type: ignore[attr-defined]
            for mine, its in pairs:
                assert values(mine) == values(its)
                assert [type(each) for each in values(mine).values()] == [
                    type(each) for each in values(its).values()
                ]
            assert (ours.api_key is None) == (serial != "QT000001")
            assert timezone.get_current_timezone_name() == "Europe/Lisbon"


def test_another_organisation_s_is_not_found(people: People, request_of: Any) -> None:
    make_instrument(people.other, "QT000009")
    with organisation_scope(people.organisation.pk), pytest.raises(Http404):
        instrument_for(request_of, "QT000009")
    with pytest.raises(NoOrganisation):
        instrument_for(request_of, "QT000009")
