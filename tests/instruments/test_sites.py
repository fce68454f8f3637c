"""Where instruments stood: one place at a time on both databases, corrections, and the zone that times are told in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from instruments.activity import activities
from instruments.models import Deployment, Instrument, Organisation, Site
from instruments.sites import (
    deployment_correct,
    deployment_of,
    deployment_remove,
    deployment_start,
    site_remove,
    zone_of,
)
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_instrument

MAY = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
JUNE, JULY = MAY + timedelta(days=31), MAY + timedelta(days=61)


def make_site(organisation: Organisation, name: str = "Crane 4", **fields: Any) -> Site:
    with organisation_scope(organisation.pk):
        return Site.objects.create(organisation=organisation, name=name, **fields)


def deploy(
    people: People, instrument: Instrument, site: Site, start: datetime, end: Any = None
) -> Deployment:
    with organisation_scope(people.organisation.pk):
        return deployment_start(
            instrument=instrument, site=site, start_at=start, end_at=end, note="", actor=people.mary
        )


def _insert(instrument: Instrument, site: Site, start: datetime, end: datetime | None) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO instruments_deployment (organisation_id, instrument_id, site_id, start_at, end_at, note) "
            "VALUES (%s, %s, %s, %s, %s, '')",
            [instrument.organisation_id, instrument.pk, site.pk, *(at and adapt(at) for at in (start, end))],
        )
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_database_lets_an_instrument_be_at_one_site_at_a_time(people: People) -> None:
    one, other = make_instrument(people.organisation), make_instrument(people.organisation, "QT000002")
    here, there = make_site(people.organisation), make_site(people.organisation, "Gate")
    _insert(one, here, MAY, JULY)
    for start, end in (
        (JUNE, None),
        (JUNE, JUNE + timedelta(days=1)),
        (MAY - timedelta(days=9), JUNE),
        (MAY - timedelta(days=9), None),
        (MAY, JULY),
    ):
        with pytest.raises(IntegrityError):
            _insert(one, there, start, end)
    # Half open: what ends and what begins may share the instant. Another instrument has its own periods.
    _insert(one, there, JULY, None)
    _insert(one, there, MAY - timedelta(days=9), MAY)
    _insert(other, here, MAY, None)


def test_database_refuses_an_update_into_an_overlap_and_an_end_before_the_start(people: People) -> None:
    instrument, here = make_instrument(people.organisation), make_site(people.organisation)
    _insert(instrument, here, MAY, JUNE)
    _insert(instrument, here, JUNE, None)
    with organisation_scope(people.organisation.pk):
        first = Deployment.objects.get(start_at=MAY)
        for end in (JULY, None, MAY, MAY - timedelta(days=1)):
            with pytest.raises(IntegrityError), transaction.atomic():
                Deployment.objects.filter(pk=first.pk).update(end_at=end)
        Deployment.objects.filter(pk=first.pk).update(end_at=JUNE - timedelta(days=1))


def test_a_move_ends_the_stay_before_and_is_in_the_log(people: People) -> None:
    instrument = make_instrument(people.organisation)
    here, there = make_site(people.organisation), make_site(people.organisation, "Gate")
    first = deploy(people, instrument, here, MAY)
    deploy(people, instrument, there, JUNE)
    with organisation_scope(people.organisation.pk):
        first.refresh_from_db()
        assert first.end_at == JUNE
        told = {at: deployment_of(instrument, at) for at in (MAY - timedelta(1), MAY, JUNE, JULY)}
        assert [stay and stay.site.name for stay in told.values()] == [None, "Crane 4", "Gate", "Gate"]
        verbs = [entry.verb for entry in activities(before=None, most=9)]
        assert verbs == ["deployment_started", "deployment_ended", "deployment_started"]
        newest = activities(before=None, most=1)[0]
        assert newest.actor == people.mary
        assert "2026-06-01 10:00 – now Europe/London" in newest.detail


def test_a_past_stay_amid_one_that_goes_on_was_a_visit(people: People) -> None:
    instrument = make_instrument(people.organisation)
    here, there = make_site(people.organisation), make_site(people.organisation, "Gate")
    with organisation_scope(people.organisation.pk):
        deployment_start(
            instrument=instrument, site=here, start_at=MAY, end_at=None, note="roof", actor=people.mary
        )
    deploy(people, instrument, there, JUNE, JULY)
    with organisation_scope(people.organisation.pk):
        stays = [
            (stay.site.name, stay.start_at, stay.end_at, stay.note)
            for stay in Deployment.objects.order_by("pk")
        ]
        assert stays == [
            ("Crane 4", MAY, JUNE, "roof"),
            ("Gate", JUNE, JULY, ""),
            ("Crane 4", JULY, None, "roof"),
        ]
        entries = [(entry.verb, entry.subject) for entry in activities(before=None, most=3)]
    name = str(instrument)
    assert entries == [
        ("deployment_started", f"{name}: Crane 4"),
        ("deployment_started", f"{name}: Gate"),
        ("deployment_ended", f"{name}: Crane 4"),
    ]


def test_nobody_knows_where_it_goes_after_a_stay_that_is_to_end(people: People) -> None:
    instrument, soon = make_instrument(people.organisation), datetime.now(UTC) + timedelta(days=7)
    here, there = make_site(people.organisation), make_site(people.organisation, "Gate")
    deploy(people, instrument, here, MAY)
    deploy(people, instrument, there, JUNE, soon)
    with organisation_scope(people.organisation.pk):
        assert deployment_of(instrument, soon) is None


def test_an_overlap_is_refused_in_words_and_changes_nothing(people: People) -> None:
    instrument = make_instrument(people.organisation)
    here, there = make_site(people.organisation), make_site(people.organisation, "Gate")
    deploy(people, instrument, here, JUNE, JULY)
    with pytest.raises(ValidationError, match="It stands at Crane 4 then"):
        deploy(people, instrument, there, MAY)
    with pytest.raises(ValidationError, match="end after it began"):
        deploy(people, instrument, there, MAY, MAY)
    with organisation_scope(people.organisation.pk):
        assert Deployment.objects.count() == 1
        assert len(activities(before=None, most=9)) == 1


def test_ends_can_be_corrected_and_a_mistake_taken_back(people: People) -> None:
    instrument, here = make_instrument(people.organisation), make_site(people.organisation)
    first = deploy(people, instrument, here, MAY, JUNE)
    second = deploy(people, instrument, here, JUNE)
    with organisation_scope(people.organisation.pk):
        with pytest.raises(ValidationError, match="It stands at Crane 4 then"):
            deployment_correct(deployment=first, start_at=MAY, end_at=JULY, note="roof", actor=people.mary)
        first.refresh_from_db()
        deployment_correct(
            deployment=first, start_at=MAY, end_at=JUNE - timedelta(days=1), note="roof", actor=people.mary
        )
        first.refresh_from_db()
        assert (first.end_at, first.note) == (JUNE - timedelta(days=1), "roof")
        assert "became" in activities(before=None, most=1)[0].detail
        with pytest.raises(ValidationError, match="Instruments stood here"):
            site_remove(site=here, actor=people.mary)
        deployment_remove(deployment=first, actor=people.mary)
        deployment_remove(deployment=second, actor=people.mary)
        site_remove(site=here, actor=people.mary)
        assert not Site.objects.exists()


def test_present_site_costs_no_query_more_for_more_instruments(people: People) -> None:
    here = make_site(people.organisation)
    counts = []
    for size in (2, 12):
        for number in range(size):
            instrument = make_instrument(people.organisation, f"QT{size:03}{number:03}")
            if number % 2:
                deploy(people, instrument, here, MAY)
        with (
            organisation_scope(people.organisation.pk),
            CaptureQueriesContext(
                connection,
            ) as queries,
        ):
            rows = list(Instrument.objects.with_deployment(JUNE).order_by("pk"))
            names = [
                deployed.site.name if (deployed := getattr(row, "deployed", None)) else "" for row in rows
            ]
        counts.append(len(queries))
        assert sorted(set(names)) == ["", "Crane 4"]
    assert counts == [1, 1]
    with organisation_scope(people.organisation.pk):
        assert Instrument.objects.with_deployment(JUNE).filter(deployed__site=here).count() == 7
        assert Instrument.objects.with_deployment(MAY - timedelta(1)).filter(deployed__site=here).count() == 0


def test_zone_is_the_sites_own_while_it_stands_there(people: People) -> None:
    instrument = make_instrument(people.organisation)
    kathmandu = make_site(people.organisation, timezone="Asia/Kathmandu")
    plain = make_site(people.organisation, "Gate")
    deploy(people, instrument, kathmandu, MAY, JUNE)
    deploy(people, instrument, plain, JUNE, JULY)
    with organisation_scope(people.organisation.pk):
        told = [zone_of(instrument, at).key for at in (MAY - timedelta(1), MAY, JUNE, JULY)]
    assert told == ["Europe/London", "Asia/Kathmandu", "Europe/London", "Europe/London"]


def test_an_instruments_page_tells_times_where_it_stands(people: People) -> None:
    instrument = make_instrument(people.organisation)
    make_instrument(people.organisation, "QT000002")
    kathmandu = make_site(people.organisation, timezone="Asia/Kathmandu")
    deploy(people, instrument, kathmandu, MAY)
    client = people.client(people.bob)
    page = client.get("/o/harbour/i/QT000001/").content.decode()
    assert "Asia/Kathmandu" in page
    assert f'href="/o/harbour/sites/{kathmandu.pk}/">now at Crane 4<' in page
    assert client.get("/o/harbour/i/QT000001/levels.json").json()["zone"] == "Asia/Kathmandu"
    # The next page is the organisation's again.
    assert "Asia/Kathmandu" not in client.get("/o/harbour/i/QT000002/").content.decode()
    assert client.get("/o/harbour/i/QT000002/levels.json").json()["zone"] == "Europe/London"


def test_another_organisations_site_is_out_of_reach(people: People) -> None:
    instrument, theirs = make_instrument(people.organisation), make_site(people.other)
    with organisation_scope(people.organisation.pk), pytest.raises(Site.DoesNotExist):
        Site.objects.get(pk=theirs.pk)
    with pytest.raises(IntegrityError):
        _insert(instrument, theirs, MAY, None)


def test_names_are_not_used_twice_whatever_their_case(people: People) -> None:
    make_site(people.organisation, "Crane 4")
    make_site(people.other, "Crane 4")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_site(people.organisation, "CRANE 4")
