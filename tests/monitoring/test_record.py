"""The record page: what is stored, what comes yet, what is missing, and what the key may not read."""

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Gap, Lane, Resource, SyncTarget
from monitoring.record import record_of
from monitoring.sync.claims import targets_ensure
from tests.conftest import People, make_instrument, make_key

NOW = datetime.now(UTC)


def fleet(organisation: Organisation, count: int, key: ApiKey) -> list[Instrument]:
    made = [
        make_instrument(
            organisation, f"QT{number:06}", api_key=key, first_seen_at=NOW - timedelta(hours=2), seen_at=NOW
        )
        for number in range(count)
    ]
    with organisation_scope(organisation.pk):
        targets_ensure(instruments=made, now=NOW)
    return made


def test_history_is_told_in_days_rows_and_time_left(people: People, settings: object) -> None:
    settings.HISTORY_DAYS = 31  # type: ignore[attr-defined]
    organisation = people.organisation
    fleet(organisation, 2, make_key(organisation))
    with organisation_scope(organisation.pk):
        history = SyncTarget.objects.filter(lane=Lane.BACKFILL)
        # Half of the thirty days that are history came in the two hours since: two more to go.
        history.update(watermark_at=NOW - timedelta(days=16), rows=5)
        record = record_of(now=NOW)
        assert record.total is not None
        assert record.left is not None
        assert abs(record.left - timedelta(hours=2)) < timedelta(minutes=1)
        noise = next(held for held in record.held if held.resource == Resource.NOISE)
        assert (noise.instruments, noise.rows) == (2, 10)
        assert noise.history is not None
        assert round(noise.history.days_done) == 2 * 16
        history.update(done_at=NOW)
        assert record_of(now=NOW).left == timedelta(0)


def test_gaps_and_what_is_not_allowed_are_not_shown_as_empty(people: People) -> None:
    organisation = people.organisation
    key = make_key(organisation, scopes={"data.noise:read": False})
    (instrument,) = fleet(organisation, 1, key)
    with organisation_scope(organisation.pk):
        for kind, hours in ((Gap.Kind.ABSENT, 3), (Gap.Kind.OFF, 6), (Gap.Kind.OFF, 9)):
            start = NOW - timedelta(hours=hours)
            Gap.objects.create(
                instrument=instrument,
                resource=Resource.EVENTS,
                kind=kind,
                start_at=start,
                end_at=start + timedelta(hours=1),
                found_at=NOW,
            )
    page = people.client(people.bob).get(reverse("monitoring:record", args=["harbour"])).content.decode()
    assert "the key has no scope data.noise:read" in page
    assert "1 that MyCirrus does not have" in page
    assert "2 while off" in page
    # Another organisation's page knows nothing of it.
    other = people.client(people.charlie).get(reverse("monitoring:record", args=["quarry"])).content.decode()
    assert "Nothing is recorded yet" in other
    assert (
        people.client(people.charlie).get(reverse("monitoring:record", args=["harbour"])).status_code == 404
    )


def test_a_larger_fleet_costs_the_same_queries(people: People) -> None:
    organisation = people.organisation
    key = make_key(organisation)
    client, address = people.client(people.bob), reverse("monitoring:record", args=["harbour"])
    counts = []
    for size in (2, 40):
        with organisation_scope(organisation.pk):
            Instrument.objects.all().delete()
        fleet(organisation, size, key)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_poll_brings_the_part_that_the_page_shows(people: People) -> None:
    fleet(people.organisation, 1, make_key(people.organisation))
    client, address = people.client(people.bob), reverse("monitoring:record", args=["harbour"])
    part = client.get(address, headers={"HX-Request": "true"})
    assert part["Cache-Control"] == "no-store"
    assert part.content.decode().strip().startswith('<div id="record-table" hx-get=')
    assert "<html" not in part.content.decode()
