"""Days and instants in forms: a year in which nobody measures is refused in words wherever one can be written."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module

import pytest
from django import forms
from django.conf import settings
from django.utils import timezone

from instruments.models import Deployment, Site
from instruments.tenancy import organisation_scope
from instruments.time_fields import DayField, InstantField
from monitoring.models import Certificate, Maintenance
from tests.conftest import People, make_instrument

TOLD = "Give a year from 1970 to 2100."
ENDS = ["0001-01-01T00:00", "1969-12-31T23:59", "2101-01-01T00:00", "9999-12-31T23:59"]


def _forms(root: type) -> Iterator[type]:
    for each in root.__subclasses__():
        yield each
        yield from _forms(each)


def test_every_form_has_the_fields_that_know_their_years() -> None:
    import_module(settings.ROOT_URLCONF)
    found = [
        (form.__name__, name, field)
        for form in _forms(forms.BaseForm)
        if form.__module__.partition(".")[0] in ("instruments", "monitoring", "webhooks")
        for name, field in form.base_fields.items()  # type: ignore[attr-defined]
        if isinstance(field, forms.DateField | forms.DateTimeField)
    ]
    assert len(found) >= 10
    assert [each[:2] for each in found if not isinstance(each[2], DayField | InstantField)] == []


@pytest.mark.parametrize("at", ENDS)
def test_an_instant_at_the_end_of_the_calendar_is_refused(people: People, at: str) -> None:
    unit, mary = make_instrument(people.organisation), people.client(people.mary)
    people.organisation.timezone = "America/New_York"
    people.organisation.save()
    with organisation_scope(people.organisation.pk):
        site = Site.objects.create(organisation=people.organisation, name="Quay")
    deploy = f"/o/harbour/sites/{site.pk}/deploy/"
    window = {"do": "maintenance", "maintenance-reason": "Crane", "maintenance-start_at": "2026-11-24T08:00"}
    asked = [
        (deploy, {"serial": unit.serial, "start_at": at}),
        (deploy, {"serial": unit.serial, "start_at": "2026-05-01T09:00", "end_at": at}),
        ("/o/harbour/alerts/settings/", {**window, "maintenance-end_at": at}),
        (
            f"/o/harbour/i/{unit.serial}/history/",
            {
                "token": "7f9e3f6e-3c51-4f7e-9d92-3d1d3c7b8a10",
                "kind": "noise",
                "step_ms": 1000,
                "start": at,
                "end": at,
            },
        ),
    ]
    for path, form in asked:
        answer = mary.post(path, form)
        assert (answer.status_code, TOLD in answer.content.decode()) == (422, True), path
    assert mary.get("/o/harbour/alerts/settings/").status_code == 200
    with organisation_scope(people.organisation.pk):
        assert not Deployment.objects.exists()
        assert not Maintenance.objects.exists()


@pytest.mark.parametrize("on", [at.partition("T")[0] for at in ENDS])
def test_a_day_at_the_end_of_the_calendar_is_refused(people: People, on: str) -> None:
    unit, mary = make_instrument(people.organisation), people.client(people.mary)
    told = {"number": "U-17", "laboratory": "Lab", "instrument": unit.serial}
    for days in ({"issued_on": on}, {"issued_on": "2026-01-31", "due_on": on}):
        answer = mary.post("/o/harbour/checks/certificates/add/", told | days)
        assert answer.status_code == 422
        assert TOLD in answer.content.decode()
    with organisation_scope(people.organisation.pk):
        assert not Certificate.objects.exists()
    for name in ("start", "end"):
        answer = mary.get(f"/o/harbour/events/?{name}={on}")
        assert answer.status_code == 200
        assert TOLD in answer.content.decode()


class Window(forms.Form):
    start = InstantField()
    end = InstantField(required=False)


FIRST, SECOND = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(("began", "meant"), [(None, FIRST), (FIRST, FIRST), (SECOND, SECOND)])
def test_an_hour_that_the_clocks_repeat_is_the_one_that_the_form_began_with(
    began: datetime | None, meant: datetime
) -> None:
    with timezone.override("Europe/London"):
        form = Window({"start": "2026-10-25T01:30"}, initial={"start": began})
        assert form.is_valid(), form.errors
    assert form.cleaned_data["start"].astimezone(UTC) == meant


def test_in_the_second_of_two_equal_hours_a_time_is_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: SECOND)
    with timezone.override("Europe/London"):
        form = Window({"start": "2026-10-25T01:40", "end": "2026-10-25T02:10"})
        assert form.is_valid(), form.errors
    assert form.cleaned_data["start"].astimezone(UTC) == datetime(2026, 10, 25, 1, 40, tzinfo=UTC)
    assert form.cleaned_data["end"].astimezone(UTC) == datetime(2026, 10, 25, 2, 10, tzinfo=UTC)


def test_an_hour_that_the_clocks_skip_is_refused_in_words() -> None:
    with timezone.override("Europe/London"):
        form = Window({"start": "2026-03-29T01:30"})
        assert form.errors == {
            "start": ["The clocks skip 01:30 on that day. Give a time before or after it."]
        }


def test_a_deployment_of_the_second_of_two_equal_hours_is_saved_as_it_was(people: People) -> None:
    unit, mary = make_instrument(people.organisation), people.client(people.mary)
    with organisation_scope(people.organisation.pk):
        site = Site.objects.create(organisation=people.organisation, name="Quay", timezone="Europe/London")
        stood = Deployment.objects.create(
            organisation=people.organisation, instrument=unit, site=site, start_at=SECOND
        )
    path = f"/o/harbour/deployments/{stood.pk}/"
    page = mary.get(path)
    assert "2026-10-25T01:30" in page.content.decode()
    answer = mary.post(path, {"start_at": "2026-10-25T01:30", "note": "Roof"})
    assert answer.status_code == 302, answer.content.decode()
    with organisation_scope(people.organisation.pk):
        assert [*Deployment.objects.values_list("start_at", "note")] == [(SECOND, "Roof")]
