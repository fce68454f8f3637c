"""The record page: what is stored, what comes yet, what is missing, and what the key may not read."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Gap, Lane, Resource, SyncTarget
from monitoring.record import missing_of, record_of
from monitoring.sync.targets import key_targets_refresh, targets_ensure
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


def gap(unit: Instrument, resource: Resource, kind: str, hours: int) -> None:
    """An hour of ``resource`` that is missing, ``hours`` ago."""
    start = NOW - timedelta(hours=hours)
    Gap.objects.create(
        instrument=unit,
        resource=resource,
        kind=kind,
        start_at=start,
        end_at=start + timedelta(hours=1),
        found_at=NOW,
    )


def test_gaps_and_what_is_not_allowed_are_not_shown_as_empty(people: People) -> None:
    organisation = people.organisation
    key = make_key(organisation, scopes={"data.noise:read": False})
    (instrument,) = fleet(organisation, 1, key)
    with organisation_scope(organisation.pk):
        for kind, hours in ((Gap.Kind.ABSENT, 3), (Gap.Kind.OFF, 6), (Gap.Kind.OFF, 9)):
            gap(instrument, Resource.EVENTS, kind, hours)
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


def test_gaps_are_counted_in_an_index_alone(people: People) -> None:
    if connection.vendor == "sqlite":
        with organisation_scope(people.organisation.pk), CaptureQueriesContext(connection) as queries:
            record_of(now=NOW)
            (counted,) = (each["sql"] for each in queries if Gap._meta.db_table in each["sql"])
            with connection.cursor() as cursor:
                plan = str(cursor.execute(f"EXPLAIN QUERY PLAN {counted}").fetchall())
        assert "COVERING INDEX gap_kinds" in plan
        assert "TEMP B-TREE" not in plan


def test_a_poll_brings_the_part_that_the_page_shows(people: People) -> None:
    fleet(people.organisation, 1, make_key(people.organisation))
    client, address = people.client(people.bob), reverse("monitoring:record", args=["harbour"])
    part = client.get(address, headers={"HX-Request": "true"})
    assert part["Cache-Control"] == "no-store"
    assert part.content.decode().strip().startswith('<div id="record-table" hx-get=')
    assert "<html" not in part.content.decode()


def test_a_record_that_rests_is_renewed_and_says_aloud_what_fails(people: People) -> None:
    organisation = people.organisation
    fleet(organisation, 1, make_key(organisation))
    client, address = people.client(people.bob), reverse("monitoring:record", args=["harbour"])
    with organisation_scope(organisation.pk):
        SyncTarget.objects.update(done_at=NOW, lease_until=None)
    page = client.get(address).content.decode()
    assert 'hx-trigger="every 60s, wake"' in page
    assert 'data-announce="Everything can be read."' in page
    with organisation_scope(organisation.pk):
        SyncTarget.objects.filter(lane=Lane.LIVE, resource=Resource.NOISE).update(failures=5)
    assert 'data-announce="1 resource cannot be read."' in client.get(address).content.decode()


def missing(people: People, resource: str = "noise", **asked: object) -> str:
    answer = people.client(people.bob).get("/o/harbour/record/missing/", {"resource": resource, **asked})
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_is_missing_is_listed_behind_its_count_the_newest_first(people: People) -> None:
    organisation = people.organisation
    (instrument,) = fleet(organisation, 1, make_key(organisation))
    (theirs,) = fleet(people.other, 1, make_key(people.other))
    for owner, unit, day in ((organisation, instrument, 3), (people.other, theirs, 4)):
        with organisation_scope(owner.pk):
            for kind, hours in ((Gap.Kind.ABSENT, 24 * day), (Gap.Kind.OFF, 24 * day + 9)):
                gap(unit, Resource.NOISE, kind, hours)
            SyncTarget.objects.filter(lane=Lane.BACKFILL, resource=Resource.NOISE).update(
                floor_at=NOW - timedelta(days=31), watermark_at=NOW - timedelta(days=16)
            )
            SyncTarget.objects.filter(lane=Lane.LIVE).update(watermark_at=NOW)
    record = people.client(people.bob).get("/o/harbour/record/").content.decode()
    assert 'href="/o/harbour/record/missing/?resource=noise"' in record
    text = missing(people)
    kinds = ["MyCirrus has nothing", "Instrument was off", "Not fetched yet"]
    assert sorted(kinds, key=text.index) == kinds
    assert text.count("Monitor QT000000") == 3
    assert "Nothing is known to be missing" in missing(people, "calibrations")
    # What is complete has nothing left to fetch.
    with organisation_scope(organisation.pk):
        SyncTarget.objects.update(done_at=NOW)
    assert "Not fetched yet" not in missing(people)
    for path in ("record/missing/", "record/missing/?resource=nothing"):
        assert people.client(people.charlie).get(f"/o/harbour/{path}").status_code == 404
    assert people.client(people.bob).get("/o/harbour/record/missing/?resource=nothing").status_code == 404


def test_what_is_missing_is_paged_and_costs_the_same(people: People) -> None:
    (instrument,) = fleet(people.organisation, 1, make_key(people.organisation))
    costs = []
    for count in (10, 1000):
        with organisation_scope(people.organisation.pk):
            SyncTarget.objects.update(done_at=NOW)
            Gap.objects.all().delete()
            Gap.objects.bulk_create(
                Gap(
                    organisation=people.organisation,
                    instrument=instrument,
                    resource=Resource.NOISE,
                    kind=Gap.Kind.OFF,
                    start_at=NOW - timedelta(hours=number + 2),
                    end_at=NOW - timedelta(hours=number + 1),
                    found_at=NOW,
                )
                for number in range(count)
            )
        with CaptureQueriesContext(connection) as queries:
            text = missing(people)
        costs.append(len(queries))
    assert costs[0] == costs[1]
    assert text.count("Instrument was off") == 50
    assert "of 1000" in text
    assert missing(people, page="20").count("Instrument was off") == 50


def test_what_is_under_way_is_told_to_its_own_organisation(people: People) -> None:
    for owner in (people.organisation, people.other):
        fleet(owner, 2, make_key(owner))
        with organisation_scope(owner.pk):
            held = SyncTarget.objects.filter(lane=Lane.LIVE, resource=Resource.NOISE).earliest("pk")
            # Claimed a minute ago.
            lease = timedelta(seconds=settings.SYNC_LEASE_SECONDS)
            held.lease_until = datetime.now(UTC) + lease - timedelta(minutes=1)
            held.save()
    text = people.client(people.bob).get("/o/harbour/record/").content.decode()
    now = text[text.index("Under way now") :]
    assert now.count("Monitor QT") == 1
    assert "1 minute ago" in now
    with organisation_scope(people.organisation.pk):
        SyncTarget.objects.update(lease_until=NOW - timedelta(days=1))
    text = people.client(people.bob).get("/o/harbour/record/").content.decode()
    assert "Nothing is being fetched at this moment" in text


def test_a_list_is_a_keys_and_not_an_instruments(people: People) -> None:
    key = make_key(people.organisation)
    fleet(people.organisation, 3, key)
    with organisation_scope(people.organisation.pk):
        key_targets_refresh(api_key=key, now=NOW)
        SyncTarget.objects.filter(resource=Resource.INSTRUMENTS).update(failures=2)
        held = {each.resource: each for each in record_of(now=NOW).held}
    assert (held[Resource.INSTRUMENTS].instruments, held[Resource.NOISE].instruments) == (0, 3)
    text = people.client(people.bob).get("/o/harbour/record/").content.decode()
    assert "1 key fails" in text
    assert "1 instrument fails" not in text


def test_less_than_a_minute_is_not_told_as_none(people: People, settings: Any) -> None:
    settings.HISTORY_DAYS = 31
    fleet(people.organisation, 1, make_key(people.organisation))
    with organisation_scope(people.organisation.pk):
        SyncTarget.objects.filter(lane=Lane.BACKFILL).update(
            watermark_at=F("floor_at") + timedelta(minutes=1)
        )
    text = people.client(people.bob).get("/o/harbour/record/").content.decode()
    assert "Less than a minute left" in text
    assert "0\N{NO-BREAK SPACE}minutes" not in text


def test_what_came_since_a_key_was_refused_is_not_fetched_yet(people: People) -> None:
    """In the list beside what is asked for and absent; a monitor that says nothing was asked and is in none."""
    units = fleet(people.organisation, 3, make_key(people.organisation))
    at = NOW - timedelta(hours=5)
    with organisation_scope(people.organisation.pk):
        live = SyncTarget.objects.filter(lane=Lane.LIVE, resource=Resource.NOISE)
        SyncTarget.objects.exclude(lane=Lane.LIVE).update(done_at=NOW)
        live.update(watermark_at=at, silent_until_at=NOW)
        live.filter(instrument=units[1]).update(watermark_at=NOW - timedelta(minutes=30))
        live.filter(instrument=units[2]).update(silent_until_at=None, parked_at=NOW)
        held = {each.resource: each for each in record_of(now=NOW).held}
        assert (held[Resource.NOISE].late, held[Resource.NOISE].waits) == (1, True)
        rows = list(missing_of(Resource.NOISE, now=NOW))
    assert [(row["start_at"], row["end_at"], row["serial"]) for row in rows] == [(at, NOW, units[2].serial)]
    text = people.client(people.bob).get("/o/harbour/record/").content.decode()
    assert "new rows of 1 instrument not fetched yet" in text
    assert "Not fetched yet" in missing(people)
