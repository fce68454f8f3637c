"""Where history ends is moved beside whoever works on the same targets: nobody waits for the other."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections

from instruments.tenancy import organisation_scope
from monitoring.models import Lane, Resource, Retention, SyncTarget
from monitoring.sync.floors import floors_follow, floors_of
from monitoring.sync.targets import targets_ensure
from tests.conftest import make_instrument, make_key, make_organisation

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_who_holds_a_target_is_not_waited_for() -> None:
    owner = make_organisation("harbour")
    with organisation_scope(owner.pk):
        instrument = make_instrument(owner, api_key=make_key(owner))
        targets_ensure(instruments=[instrument], now=NOW)
        Retention.objects.create(resource=Resource.NOISE, days=40)
        floors = floors_of(owner.pk, NOW)
        kept = floors.kept[Resource.NOISE]
        mine = SyncTarget.objects.filter(resource=Resource.NOISE).exclude(lane=Lane.LIVE)
        held = mine.get(lane=Lane.SWEEP)
        mine.update(floor_at=kept - 10 * DAY)
        other = connections.create_connection("default")
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute(
                    f'SELECT 1 FROM "{SyncTarget._meta.db_table}" WHERE id = %s FOR UPDATE',  # noqa: S608 - ours
                    [held.pk],
                )
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '10s'")
            floors_follow(targets=SyncTarget.objects.all(), floors=floors, now=NOW)
            assert mine.get(lane=Lane.BACKFILL).floor_at == kept
            other.rollback()
        finally:
            other.close()
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
        assert mine.get(lane=Lane.SWEEP).floor_at == kept - 10 * DAY
        floors_follow(targets=SyncTarget.objects.all(), floors=floors, now=NOW)
        assert mine.get(lane=Lane.SWEEP).floor_at == kept
