"""History on the command line: what is told is what is stored, and --run fetches it all and nothing of the present."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments import keys
from instruments.models import Instrument, Organisation
from instruments.mycirrus import RateLimiter
from instruments.tenancy import organisation_scope
from monitoring.models import Lane, NoiseMeasurement, Resource, SyncTarget
from monitoring.sync.claims import due_claim, target_release
from monitoring.sync.run import target_run
from monitoring.sync.targets import key_targets_refresh
from tests.conftest import People, make_key
from tests.simulated import SimulatedMyCirrus

from .conftest import Run


@pytest.fixture
def listed(
    people: People, simulated: SimulatedMyCirrus, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Organisation:
    """Harbour with one noise monitor, just listed: three days of history are wanted and none is fetched."""
    settings.MYCIRRUS_EXTRA_BASE_URLS = [simulated.base_url]
    settings.HISTORY_DAYS = 3
    monkeypatch.setattr(
        keys,
        "_limiter",
        lambda url, fingerprint: RateLimiter(keys._redis(url), fingerprint, start=900, ceiling=900, burst=50),
    )
    secret = f"mycirrus-000077-{datetime.now(UTC):%f%H%M%S}AAAA"
    simulated.add_key(secret, None, simulated.serials()[:1])
    key = make_key(people.organisation, secret, simulated.base_url)
    now = datetime.now(UTC)
    with organisation_scope(people.organisation.pk):
        key_targets_refresh(api_key=key, now=now)
        (listing,) = due_claim(now=now, organisation_id=people.organisation.pk)
        target_run(claim=listing)
    return people.organisation


def histories() -> Any:
    return SyncTarget.objects.filter(lane=Lane.BACKFILL)


def test_what_is_told_before_and_after(listed: Organisation, run: Run) -> None:
    before = run("backfill", "harbour", "--json", "--sample", "0").json
    assert (before["done"], before["seconds_left"]) == (False, None)
    noise = next(row for row in before["resources"] if row["resource"] == "noise")
    # The live lane's first day, less the hour by which the two lanes overlap.
    assert (noise["days_wanted"], noise["days_done"], noise["rows"]) == (3.0, 1.0, 0)

    said = run("backfill", "harbour", "--run", "--json")
    assert said.failure == "", said.json
    after = said.json
    assert (after["done"], after["seconds_left"], after["messages"]) == (True, 0, [])
    # Each at least one; a slow machine needs more of them, for none holds a worker for long.
    assert after["turns"] >= len(before["resources"])
    with organisation_scope(listed.pk):
        assert not histories().filter(done_at=None).exists()
        instrument = Instrument.objects.get()
        rows = NoiseMeasurement.objects.filter(instrument=instrument).count()
        noise = next(row for row in after["resources"] if row["resource"] == "noise")
        assert noise["rows"] >= rows > 2 * 24 * 60 * 0.9
        assert (noise["days_done"], noise["complete"], noise["done"]) == (3.0, 1, True)
        # What is new is the workers' affair.
        live = SyncTarget.objects.filter(lane=Lane.LIVE).exclude(resource=Resource.INSTRUMENTS)
        assert set(live.values_list("outcome", flat=True)) == {"never"}

    text = run("backfill", "harbour")
    assert "complete" in text.out
    assert "Noise levels" in text.out
    assert "left" not in text.out
    assert run("backfill", "harbour", "--run", "--json").json["turns"] == 0


def test_what_others_hold_is_left_to_them(listed: Organisation, run: Run) -> None:
    now = datetime.now(UTC)
    with organisation_scope(listed.pk):
        noise = histories().get(resource=Resource.NOISE)
        histories().exclude(pk=noise.pk).update(done_at=now)
        histories().filter(pk=noise.pk).update(lease_until=now + timedelta(seconds=2), lease_token=None)
    said = run("backfill", "harbour", "--run", "--json")
    # It waited until the lease ended, and took it then.
    assert datetime.now(UTC) >= now + timedelta(seconds=2)
    assert (said.failure, said.json["turns"], said.json["done"]) == ("", 1, True)


def test_what_waits_for_a_person_is_said(listed: Organisation, run: Run) -> None:
    now = datetime.now(UTC)
    with organisation_scope(listed.pk):
        histories().exclude(resource=Resource.NOISE).update(done_at=now)
        target_release(
            target=histories().get(resource=Resource.NOISE),
            outcome="needs_attention",  # type: ignore[arg-type]
            due_at=now,
            now=now,
            park=True,
        )
    said = run("backfill", "harbour", "--run")
    assert "1 wait for a person" in said.out
    assert said.failure.startswith("Not all of the history could be fetched now")


def test_pace_is_told_from_what_moved(
    listed: Organisation, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cirrusweb.management.commands import backfill

    def worker(_: float) -> None:
        with organisation_scope(listed.pk):
            for target in histories().filter(resource__in=[Resource.NOISE, Resource.STATS]):
                step = timedelta(days=0.5)
                SyncTarget.objects.filter(pk=target.pk).update(watermark_at=target.watermark_at - step)
        clock[0] += 10

    clock = [0.0]
    monkeypatch.setattr(backfill.time, "sleep", worker)
    monkeypatch.setattr(backfill.time, "monotonic", lambda: clock[0])
    said = run("backfill", "harbour", "--json").json
    left = said["total"]["days_wanted"] - said["total"]["days_done"]
    assert said["seconds_left"] == pytest.approx(left * 10, rel=0.1)


def test_organisation_without_instruments_and_unknown_one(people: People, run: Run) -> None:
    assert "no history" in run("backfill", "harbour").out
    assert run("backfill", "harbour", "--json").json["done"] is True
    assert run("backfill", "quay").failure == "There is no organisation “quay”. There are: harbour, quarry."
    assert run("sync", "quay").failure == "There is no organisation “quay”. There are: harbour, quarry."
