"""Rows of the future, as of a clock that was set ahead: kept as they came, and never taken for the present."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from instruments.models import Instrument
from instruments.mycirrus import Calibration as CalibrationRow
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.mycirrus import Particulates
from instruments.mycirrus import Sic as SicRow
from monitoring.alerts.facts import verdict_of
from monitoring.alerts.judges.verdict import State
from monitoring.alerts.limits import _mark_mend
from monitoring.alerts.rules import Draft, rule_save
from monitoring.charts.spectra import spectrum_at
from monitoring.models import (
    AlertKind,
    AlertRuleVersion,
    AlertWatch,
    CheckStanding,
    FrequencyMeasurement,
    Incident,
    InstrumentStatus,
    MonitorStats,
    NoiseMeasurement,
    ParticulateSample,
)
from monitoring.possible import AHEAD, newest_of
from monitoring.sync.ingest import noise_store, sics_store
from monitoring.sync.kept import calibrations, particulates, samples
from tests.conftest import make_instrument
from tests.monitoring.alerts.story import HOUR, MINUTE, START, Story
from tests.monitoring.failing import arrive, check

DAY, YEAR = timedelta(days=1), timedelta(days=365)
Comes = Callable[[timedelta, float], None]


@pytest.fixture
def level(story: Story, instrument: Instrument) -> Comes:
    """One minute that begins so long after now; the clock then goes on by a minute."""

    def comes(ahead: timedelta, LAeq: float) -> None:
        start = story.now + ahead
        row = NoiseRow(
            serial=instrument.serial,
            start_at=start,
            end_at=start + MINUTE,
            duration_s=60.0,
            values={"LAeq": LAeq},
            labels={},
            document={},
        )
        # As a turn reads it.
        known = Instrument.objects.select_related("status").get(pk=instrument.pk)
        noise_store(instrument=known, rows=[row], now=story.now)
        story.clock.shift(MINUTE)
        story.tick()

    return comes


def test_what_can_be_of_the_present() -> None:
    assert newest_of([], START) is None
    assert newest_of([START + AHEAD, START, START + AHEAD + MINUTE], START) == START + AHEAD
    assert newest_of([START + YEAR], START) is None


def test_a_level_of_the_future_is_stored_and_not_shown(story: Story, level: Comes) -> None:
    level(-MINUTE, 50.0)
    before = InstrumentStatus.objects.get()
    level(YEAR, 90.0)
    assert NoiseMeasurement.objects.filter(LAeq=90.0).count() == 1
    after = InstrumentStatus.objects.get()
    assert (after.LAeq, after.level_at, after.day_at) == (50.0, before.level_at, before.day_at)
    assert after.day_values == before.day_values == "500"
    level(-MINUTE, 60.0)
    after = InstrumentStatus.objects.get()
    assert (after.LAeq, after.level_at) == (60.0, story.now - 2 * MINUTE)
    # A clock that is a little ahead of ours is no reason to show nothing.
    level(3 * MINUTE, 61.0)
    assert InstrumentStatus.objects.get().LAeq == 61.0


def test_a_level_that_is_frozen_already_gives_way_to_the_next_true_one(
    story: Story,
    level: Comes,
) -> None:
    level(-MINUTE, 50.0)
    ahead = story.now + YEAR
    InstrumentStatus.objects.update(level_at=ahead, LAeq=90.0, day_at=ahead, day_values="900")
    # History is no news of the present.
    level(-10 * DAY, 40.0)
    assert InstrumentStatus.objects.get().day_values == "900"
    level(-MINUTE, 60.0)
    after = InstrumentStatus.objects.get()
    assert (after.LAeq, after.level_at) == (60.0, story.now - 2 * MINUTE)
    assert (after.day_values, after.day_at) == ("500,600", START)


def test_a_sample_of_the_future_is_stored_and_not_shown(story: Story) -> None:
    unit, now = make_instrument(story.owner, "AQ000001", type=Instrument.Kind.AIR_QUALITY), story.now
    store = samples(ParticulateSample, latest=particulates)

    def comes(*told: tuple[datetime, float | None]) -> tuple[Any, ...]:
        answer = [
            Particulates(unit.serial, at, 60.0, None, value, None, None, {"pM2p5": value})
            for at, value in told
        ]
        store(unit, answer, now)
        present = InstrumentStatus.objects.get(instrument=unit)
        return present.latest_at, present.latest["PM2.5"] if present.latest else None, present.day_values

    assert comes((now - MINUTE, 10.0), (now + YEAR, 90.0)) == (now - MINUTE, 10.0, "100")
    assert comes((now + 2 * YEAR, 90.0)) == (now - MINUTE, 10.0, "100")
    assert ParticulateSample.objects.count() == 3
    InstrumentStatus.objects.update(latest_at=now + YEAR, latest={"PM2.5": 90.0}, day_at=now + YEAR)
    assert comes((now, 20.0))[:2] == (now, 20.0)


def test_a_limit_goes_on_to_be_judged(story: Story, level: Comes) -> None:
    settings = {"metric": "LAeq", "over": "recorded", "red": 65.0}
    rule_save(draft=Draft(AlertKind.LEVEL, "Site limit", settings), rule=None, actor=None, now=story.now)
    level(timedelta(0), 50.0)
    level(YEAR, 90.0)
    assert Incident.objects.count() == 0
    assert AlertWatch.objects.get().judged_until <= story.now  # type: ignore[operator]
    level(-MINUTE, 70.0)
    incident = Incident.objects.get()
    assert (incident.opened_at, incident.closed_at) == (story.now - MINUTE, None)
    level(-MINUTE, 50.0)
    incident.refresh_from_db()
    assert incident.closed_at == story.now - MINUTE


def test_a_mark_that_is_frozen_already_comes_back(story: Story, level: Comes) -> None:
    settings = {"metric": "LAeq", "over": "recorded", "red": 65.0}
    rule_save(draft=Draft(AlertKind.LEVEL, "Site limit", settings), rule=None, actor=None, now=story.now)
    level(timedelta(0), 70.0)
    watch, ahead = AlertWatch.objects.get(), story.now + YEAR
    watch.judged_until, watch.standing = ahead, {**watch.standing, "at": ahead.isoformat()}
    watch.save()
    level(-MINUTE, 50.0)
    assert Incident.objects.get().closed_at == story.now - MINUTE
    assert AlertWatch.objects.get().judged_until == story.now - MINUTE
    level(-MINUTE, 70.0)
    assert Incident.objects.filter(closed_at=None).count() == 1


def test_a_mark_that_another_turn_brought_back_meanwhile_stays_as_that_left_it(
    story: Story, level: Comes
) -> None:
    settings = {"metric": "LAeq", "over": "recorded", "red": 65.0}
    rule_save(draft=Draft(AlertKind.LEVEL, "Site limit", settings), rule=None, actor=None, now=story.now)
    level(timedelta(0), 50.0)
    AlertWatch.objects.update(judged_until=story.now + YEAR)
    mine = AlertWatch.objects.get()
    level(-MINUTE, 70.0)
    theirs = AlertWatch.objects.get()
    _mark_mend(mine, story.now, story.now)
    after = AlertWatch.objects.get()
    assert (after.standing, after.judged_until) == (theirs.standing, theirs.judged_until)
    assert (mine.standing, mine.incident_id) == (theirs.standing, theirs.incident_id)
    assert mine.incident_id is not None


def test_silence_is_noticed_beneath_a_frozen_level(story: Story, instrument: Instrument) -> None:
    draft = Draft(AlertKind.NO_DATA, "Nothing arrives", {"amber": 30, "red": 60})
    rule_save(draft=draft, rule=None, actor=None, now=story.now)
    version = AlertRuleVersion.objects.get(rule__name=draft.name)
    present = InstrumentStatus(
        instrument=instrument, online=True, measuring=True, observed_at=story.now, level_at=story.now + YEAR
    )
    present.latest_at = story.now - 2 * HOUR
    assert verdict_of(version, instrument, present, story.now).state == State.RED


def test_the_newest_spectrum_signal_and_check_are_of_the_present(
    story: Story,
    instrument: Instrument,
) -> None:
    now, owner = story.now, story.owner
    for at, value in ((now - MINUTE, 1.0), (now + YEAR, 2.0)):
        frame: dict[str, Any] = {"organisation": owner, "instrument": instrument, "start_at": at}
        FrequencyMeasurement.objects.create(**frame, bands="Octave", levels={"1KHz": value})
        MonitorStats.objects.create(**frame, lte_rsrp=-80.0 if value == 1.0 else -130.0)
    found = spectrum_at(instrument=instrument, bands="Octave", at=None, now=now)
    assert found is not None
    assert found.at == now - MINUTE
    draft = Draft(AlertKind.SIGNAL, "Weak signal here", {"amber": -110, "red": -120})
    rule_save(draft=draft, rule=None, actor=None, now=now)
    version = AlertRuleVersion.objects.get(rule__name=draft.name)
    assert verdict_of(version, instrument, None, now).state == State.CLEAR
    checks = [
        SicRow(instrument.serial, at, "Passed", 90.0, 90.0, 90.0, {}) for at in (now - MINUTE, now + YEAR)
    ]
    sics_store(instrument=instrument, rows=checks, now=now)
    assert InstrumentStatus.objects.get().sic_at == now - MINUTE
    assert CheckStanding.objects.get().sic_at == now - MINUTE


def comes_sic(story: Story, instrument: Instrument, *told: tuple[datetime, str]) -> None:
    arrive(instrument, *(check(at, status=status) for at, status in told))
    story.tick()


def test_a_failed_sic_of_the_future_wakes_nobody_until_its_time(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    ahead = story.now + DAY
    comes_sic(story, instrument, (ahead, "Failed"), (ahead + HOUR, "Failed"))
    # What is asked again and again is no news.
    comes_sic(story, instrument, (ahead, "Failed"))
    assert (story.heard(), Incident.objects.count()) == ([], 0)
    story.clock.move_to(ahead - AHEAD - MINUTE)
    story.tick()
    assert (story.heard(), Incident.objects.count()) == ([], 0)
    story.clock.shift(MINUTE)
    story.tick()
    assert story.heard() == [("alice", "Red. Opened.")]
    assert Incident.objects.get().opened_at == ahead
    story.clock.move_to(ahead + HOUR)
    story.tick()
    assert story.heard() == [("alice", "Failed again.")]
    assert not AlertWatch.objects.exclude(due_at=None).exists()


def test_a_sic_of_the_future_ends_nothing_until_its_time(story: Story, instrument: Instrument) -> None:
    story.asks(story.people.alice)
    comes_sic(story, instrument, (story.now, "Failed"), (story.now + DAY, "Passed"))
    assert story.heard() == [("alice", "Red. Opened.")]
    story.clock.shift(DAY)
    story.tick()
    assert story.heard() == [("alice", "Recovered.")]


def test_how_it_stands_is_told_by_what_is_not_yet_to_come(story: Story, instrument: Instrument) -> None:
    """A failure of before it was seen here counts, where none but one of the future is newer."""
    story.asks(story.people.alice)
    comes_sic(story, instrument, (story.now - 60 * DAY, "Failed"), (story.now + DAY, "Passed"))
    assert story.heard() == [("alice", "Red. Opened.")]


def test_a_failed_calibration_of_the_future_wakes_nobody_until_its_time(
    story: Story, instrument: Instrument
) -> None:
    story.asks(story.people.alice)
    ahead = story.now + DAY
    rows = [
        CalibrationRow(instrument.serial, at, status, 93.7, 0.0, {})
        for at, status in ((story.now, "Success"), (ahead, "Failed"))
    ]
    calibrations(instrument, rows, story.now)
    story.tick()
    story.clock.move_to(ahead - AHEAD - MINUTE)
    story.tick()
    assert (story.heard(), Incident.objects.count()) == ([], 0)
    story.clock.shift(MINUTE)
    story.tick()
    assert story.heard() == [("alice", "Red. Opened.")]
