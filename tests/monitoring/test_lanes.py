"""History comes newest first, in short turns, and never holds up what is new."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Gap, Lane, NoiseMeasurement, Resource, Retention, SyncTarget
from monitoring.record import NOT_FETCHED, missing_of
from monitoring.storage.retention import rows_drop
from monitoring.sync import claims, run
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from monitoring.sync.targets import targets_ensure
from tests.conftest import People, make_instrument, make_key, make_organisation
from tests.monitoring.conftest import NewKey, again, start, turns
from tests.monitoring.truth import noise_told
from tests.simulated import SimulatedMyCirrus

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def owner(db: None) -> Organisation:
    return make_organisation("harbour")


def test_what_is_new_goes_first_and_history_leaves_room(
    owner: Organisation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "pace_of", lambda _: 1000.0)
    settings.HISTORY_DAYS = 30
    settings.SYNC_BACKFILLS_AT_ONCE = 1
    settings.SYNC_TURNS_PER_KEY = 50
    key = make_key(owner)
    instrument = make_instrument(owner, api_key=key)
    with organisation_scope(owner.pk):
        targets_ensure(instruments=[instrument], now=NOW)
        lanes = dict(SyncTarget.objects.values_list("pk", "lane"))
    assert Lane.BACKFILL in lanes.values()
    claimed = [lanes[claim.target_id] for claim in due_claim(now=NOW)]
    assert claimed.count(Lane.BACKFILL) == 1
    assert claimed == sorted(claimed)
    # The one that is held counts, whoever asks next.
    assert due_claim(now=NOW) == []


def test_history_is_read_downwards_to_its_floor_and_then_left_alone(
    mycirrus: SimulatedMyCirrus,
    new_key: NewKey,
    organisation: Organisation,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.HISTORY_DAYS = 4
    monkeypatch.setattr(run, "BACKFILL_TURN_SECONDS", 0.0)
    serial = mycirrus.serials()[0]
    key = new_key(serial)
    start(key)
    with organisation_scope(organisation.pk):
        oldest = []
        only = {"resource": Resource.NOISE, "lane": Lane.BACKFILL}
        while True:
            claims = due_claim(now=datetime.now(UTC), organisation_id=organisation.pk)
            if not claims:
                break
            for claim in claims:
                target_run(claim=claim)
            target = SyncTarget.objects.filter(**only).first()
            if target is not None and target.watermark_at not in oldest:
                oldest.append(target.watermark_at)
        # A day a turn, each older than the one before, down to the floor and no further.
        assert oldest == sorted(oldest, reverse=True)
        assert len(oldest) >= 4
        target = SyncTarget.objects.get(**only)
        assert target.done_at is not None
        assert target.watermark_at == target.floor_at
        unit = Instrument.objects.get(serial=serial)
        first = NoiseMeasurement.objects.filter(instrument=unit).order_by("start_at").first()
        assert first is not None
        assert abs(first.start_at - target.floor_at) < timedelta(minutes=2)
        stored = NoiseMeasurement.objects.filter(instrument=unit).order_by("start_at")
        live = SyncTarget.objects.get(instrument=unit, resource=Resource.NOISE, lane=Lane.LIVE)
        told = noise_told(mycirrus, serial, first.start_at, live.watermark_at)
        assert list(stored.values_list("start_at", flat=True)) == [row["start_at"] for row in told]
        # What the ledger calls missing is exactly what is not there.
        for gap in Gap.objects.filter(instrument=unit, resource=Resource.NOISE):
            assert not stored.filter(start_at__gte=gap.start_at, start_at__lt=gap.end_at).exists()
        # Done is done: not claimed again.
        SyncTarget.objects.filter(**only).update(due_at=datetime.now(UTC))
        assert due_claim(now=datetime.now(UTC), organisation_id=organisation.pk) == []


def test_more_history_is_fetched_from_where_it_stopped(owner: Organisation, settings: Any) -> None:
    settings.HISTORY_DAYS = 7
    listed = [
        make_instrument(owner, serial, api_key=make_key(owner, f"mycirrus-{serial}-AAAA")) for serial in "12"
    ]
    done, held = (
        {"lane": Lane.BACKFILL, "instrument": listed[0]},
        {"lane": Lane.BACKFILL, "instrument": listed[1]},
    )
    with organisation_scope(owner.pk):
        targets_ensure(instruments=listed, now=NOW)
        floor = NOW - timedelta(days=7)
        SyncTarget.objects.filter(**done).update(watermark_at=floor, done_at=NOW)
        SyncTarget.objects.filter(**held).update(watermark_at=floor, lease_until=NOW + timedelta(hours=1))
        later = NOW + timedelta(minutes=10)
        # A day later is no wish for more, nor is a wish for less.
        targets_ensure(instruments=listed, now=later)
        settings.HISTORY_DAYS = 5
        targets_ensure(instruments=listed, now=later)
        assert not SyncTarget.objects.filter(**done).exclude(floor_at=floor, done_at=NOW).exists()

        settings.HISTORY_DAYS = 30
        targets_ensure(instruments=listed, now=later)

        wanted = later - timedelta(days=30)
        assert not SyncTarget.objects.filter(**done).exclude(floor_at=wanted, done_at=None).exists()
        # Nothing is asked for twice, and a turn that is under way may still end at the old floor.
        assert not SyncTarget.objects.filter(lane=Lane.BACKFILL).exclude(watermark_at=floor).exists()
        assert not SyncTarget.objects.filter(**held).exclude(floor_at=floor).exists()
        targets_ensure(instruments=listed, now=later + timedelta(hours=2))
        assert not SyncTarget.objects.filter(**held, floor_at=floor).exists()
        # A live lane looks back as far as it did, which is no history.
        live = SyncTarget.objects.filter(lane=Lane.LIVE, floor_at__isnull=False)
        looked = set(live.values_list("pk", "floor_at"))
        settings.HISTORY_DAYS = 3_000
        targets_ensure(instruments=listed, now=later + timedelta(hours=2))
        assert looked
        assert set(live.values_list("pk", "floor_at")) == looked


def floors_of(unit: Instrument, resource: Resource) -> set[Any]:
    rows = SyncTarget.objects.filter(instrument=unit, resource=resource).exclude(lane=Lane.LIVE)
    return set(rows.values_list("lane", "floor_at"))


def test_no_more_history_is_fetched_than_is_kept(owner: Organisation, settings: Any) -> None:
    settings.HISTORY_DAYS = 365
    unit = make_instrument(owner, api_key=make_key(owner), features=["Weather"])
    with organisation_scope(owner.pk):
        Retention.objects.create(resource=Resource.NOISE, days=90)
        Retention.objects.create(resource=Resource.OCTAVE, days=1_000)
        targets_ensure(instruments=[unit], now=NOW)
        midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
        kept, wanted = midnight - timedelta(days=89), NOW - timedelta(days=365)
        for resource, floor in (
            (Resource.NOISE, kept),
            (Resource.OCTAVE, wanted),
            (Resource.WEATHER, wanted),
        ):
            assert floors_of(unit, resource) == {(Lane.BACKFILL, floor), (Lane.SWEEP, floor)}
        # It is told anew once a day, and costs nothing in between.
        for later, floor in ((NOW + timedelta(minutes=1), kept), (NOW + timedelta(days=1), kept + DAY)):
            targets_ensure(instruments=[unit], now=later)
            assert floors_of(unit, Resource.NOISE) == {(Lane.BACKFILL, floor), (Lane.SWEEP, floor)}
        assert floors_of(unit, Resource.WEATHER) == {(Lane.BACKFILL, wanted), (Lane.SWEEP, wanted)}


def test_history_follows_how_long_it_is_kept(people: People, settings: Any) -> None:
    settings.HISTORY_DAYS = 365
    for owner in (people.organisation, people.other):
        units = [
            make_instrument(owner, serial, api_key=make_key(owner, f"mycirrus-{owner.pk}{serial}-AAAA"))
            for serial in "123"
        ]
        with organisation_scope(owner.pk):
            targets_ensure(instruments=units, now=NOW)
            history = SyncTarget.objects.filter(lane=Lane.BACKFILL, resource=Resource.NOISE)
            # One is whole, one has come far, and one has only begun.
            for unit, days in zip(units, (365, 200, 10), strict=True):
                history.filter(instrument=unit).update(watermark_at=NOW - timedelta(days=days))
            history.filter(instrument=units[0]).update(done_at=NOW)
    with organisation_scope(people.other.pk):
        others = set(SyncTarget.objects.values_list("pk", "floor_at", "watermark_at", "done_at"))

    def told() -> list[tuple[Any, ...]]:
        rows = SyncTarget.objects.filter(lane=Lane.BACKFILL, resource=Resource.NOISE).order_by("instrument")
        return [(row.floor_at, row.watermark_at, row.done_at is not None) for row in rows]

    with organisation_scope(people.organisation.pk):
        units = list(Instrument.objects.order_by("pk"))
        rule = Retention.objects.create(resource=Resource.NOISE, days=90)
        stored = Gap.Kind.ABSENT
        for days in (100, 50):
            Gap.objects.create(
                instrument=units[0],
                resource=Resource.NOISE,
                kind=stored,
                start_at=NOW - timedelta(days=days, hours=1),
                end_at=NOW - timedelta(days=days),
                found_at=NOW,
            )
    # Rows go by the hour, the list comes every ten minutes: whichever is first.
    rows_drop(organisation=people.organisation, now=NOW)
    floor = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=89)
    with organisation_scope(people.organisation.pk):
        shortened = [(floor, floor, True), (floor, floor, True), (floor, NOW - timedelta(days=10), False)]
        assert told() == shortened
        for unit in units:
            targets_ensure(instruments=[unit], now=NOW)
        assert told() == shortened
        # Nothing of what was let go is missing, or on its way.
        assert [row["end_at"] for row in missing_of(Resource.NOISE, now=NOW) if row["kind"] == stored] == [
            NOW - timedelta(days=50)
        ]
        # Up to now no one's new rows were asked for yet, and of one also its history was not.
        waiting = [
            row
            for row in missing_of(Resource.NOISE, now=NOW)
            if row["kind"] == NOT_FETCHED and row["end_at"] < NOW
        ]
        assert [(row["start_at"], row["serial"]) for row in waiting] == [(floor, "3")]
        rule.days = 180
        rule.save()
        for unit in units:
            targets_ensure(instruments=[unit], now=NOW)
        longer = floor - timedelta(days=90)
        assert told() == [
            (longer, floor, False),
            (longer, floor, False),
            (longer, NOW - timedelta(days=10), False),
        ]
        rule.delete()
        for unit in units:
            targets_ensure(instruments=[unit], now=NOW)
        assert {floor_at for floor_at, *_ in told()} == {NOW - timedelta(days=365)}
        assert [watermark for _, watermark, _ in told()] == [floor, floor, NOW - timedelta(days=10)]
    with organisation_scope(people.other.pk):
        assert set(SyncTarget.objects.values_list("pk", "floor_at", "watermark_at", "done_at")) == others


def test_what_is_let_go_later_than_it_is_wanted_is_not_taken_for_stored(
    owner: Organisation, settings: Any
) -> None:
    """It grew older here than history is fetched at first, as in a demo that became an organisation."""
    settings.HISTORY_DAYS = 7
    unit = make_instrument(owner, api_key=make_key(owner))
    with organisation_scope(owner.pk):
        history = SyncTarget.objects.filter(lane=Lane.BACKFILL, resource=Resource.NOISE)
        targets_ensure(instruments=[unit], now=NOW - timedelta(days=60))
        first = NOW - timedelta(days=67)
        history.update(watermark_at=first, done_at=NOW - timedelta(days=60))
        rule = Retention.objects.create(resource=Resource.NOISE, days=31)
        others = floors_of(unit, Resource.OCTAVE)
    rows_drop(organisation=owner, now=NOW)
    kept = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    with organisation_scope(owner.pk):
        targets_ensure(instruments=[unit], now=NOW)
        assert floors_of(unit, Resource.NOISE) == {(Lane.BACKFILL, kept), (Lane.SWEEP, kept)}
        assert floors_of(unit, Resource.OCTAVE) == others
        assert history.get().done_at is not None
        rule.delete()
        settings.HISTORY_DAYS = 730
        targets_ensure(instruments=[unit], now=NOW)
        target = history.get()
        assert (target.watermark_at, target.done_at) == (kept, None)
        assert target.floor_at == NOW - timedelta(days=730)


def test_of_the_demo_a_week_is_fetched(owner: Organisation, settings: Any) -> None:
    settings.HISTORY_DAYS = 730
    Organisation.objects.filter(pk=owner.pk).update(is_demo=True)
    instrument = make_instrument(owner, api_key=make_key(owner))
    with organisation_scope(owner.pk):
        targets_ensure(instruments=[instrument], now=NOW)
        floors = set(SyncTarget.objects.filter(lane=Lane.BACKFILL).values_list("floor_at", flat=True))
    assert floors == {NOW - timedelta(days=7)}


def test_rows_that_arrive_late_are_found_by_the_sweep(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation
) -> None:
    serial = mycirrus.serials()[0]
    start(new_key(serial))
    turns(organisation)
    with organisation_scope(organisation.pk):
        rows = NoiseMeasurement.objects.order_by("start_at")
        lost = list(rows.values_list("start_at", flat=True)[100:110])
        rows.filter(start_at__in=lost).delete()
    # The live lane has passed them by; the sweep asks again.
    again(organisation, Resource.NOISE, lane=Lane.LIVE)
    with organisation_scope(organisation.pk):
        assert not NoiseMeasurement.objects.filter(start_at__in=lost).exists()
    with organisation_scope(organisation.pk):
        SyncTarget.objects.update(due_at=datetime.now(UTC) + timedelta(days=1))
        SyncTarget.objects.filter(resource=Resource.NOISE, lane=Lane.SWEEP).update(due_at=datetime.now(UTC))
        for claim in due_claim(now=datetime.now(UTC), organisation_id=organisation.pk):
            target_run(claim=claim)
        assert NoiseMeasurement.objects.filter(start_at__in=lost).count() == 10


@pytest.mark.parametrize(
    ("kind", "features", "checks"),
    [
        ("Noise", ["SIC", "Modem"], {Resource.SIC, Resource.CALIBRATIONS}),
        ("Noise", ["Modem"], {Resource.CALIBRATIONS}),
        # Unheard of: nothing says that there are none.
        ("Sonar", [], {Resource.SIC, Resource.CALIBRATIONS}),
        ("AirQuality", ["SIC", "Modem"], set()),
        ("Vibration", [], set()),
    ],
)
def test_checks_are_asked_of_what_makes_them_as_soon_as_that_is_known(
    owner: Organisation, kind: str, features: list[str], checks: set[Resource]
) -> None:
    """A thin list names neither type nor features."""
    unit = make_instrument(owner, api_key=make_key(owner), type="")
    with organisation_scope(owner.pk):
        targets_ensure(instruments=[unit], now=NOW)
        before = set(SyncTarget.objects.values_list("resource", "lane"))
        unit.type, unit.features = kind, features
        targets_ensure(instruments=[unit], now=NOW)
        asked = SyncTarget.objects.filter(resource__in=(Resource.SIC, Resource.CALIBRATIONS))
        assert set(asked.values_list("resource", flat=True)) == checks
        # Of the others none is lost: their history is still to be had.
        others = {each for each in before if each[0] not in (Resource.SIC, Resource.CALIBRATIONS)}
        assert others <= set(SyncTarget.objects.values_list("resource", "lane"))
