"""The one word for a monitor: its table, and that the database ranks a fleet by the very same rule."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.fleet import Filters, fleet, state_counts
from monitoring.models import InstrumentStatus
from monitoring.status import STALE_AFTER_POLLS, Facts, State, state_of
from monitoring.tiles import facts_of, poll_every, tile_of
from tests.conftest import make_instrument

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVERY = timedelta(seconds=60)
SEEN = NOW - timedelta(seconds=30)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(online=True, measuring=True, observed_at=SEEN), State.MEASURING),
        (Facts(online=True, measuring=False, observed_at=SEEN), State.NOT_MEASURING),
        (Facts(online=True, measuring=True, empty=True, observed_at=SEEN), State.EMPTY),
        (Facts(online=True, measuring=False, empty=True, observed_at=SEEN), State.NOT_MEASURING),
        (
            Facts(online=True, measuring=True, empty=True, sic_in_progress=True, observed_at=SEEN),
            State.CHECKING,
        ),
        (Facts(online=False, measuring=False, observed_at=SEEN), State.OFFLINE),
        (Facts(online=False, measuring=None, observed_at=SEEN), State.OFFLINE),
        (Facts(online=True, measuring=None, observed_at=SEEN), State.UNKNOWN),
        (Facts(online=None, measuring=True, observed_at=SEEN), State.UNKNOWN),
        (Facts(online=True, measuring=True, sic_in_progress=True, observed_at=SEEN), State.CHECKING),
        (Facts(online=True, measuring=False, calibration_in_progress=True, observed_at=SEEN), State.CHECKING),
        (Facts(online=False, sic_in_progress=True, observed_at=SEEN), State.OFFLINE),
        (Facts(online=True, measuring=True, sic_passed=False, observed_at=SEEN), State.SIC_FAILED),
        (Facts(online=False, sic_passed=False, observed_at=SEEN), State.SIC_FAILED),
        (Facts(online=True, measuring=True, sic_passed=None, observed_at=SEEN), State.MEASURING),
        (Facts(), State.UNKNOWN),
        (Facts(online=True, measuring=True), State.UNKNOWN),
        (Facts(gone=True, sic_passed=False), State.GONE),
    ],
)
def test_state_of(facts: Facts, expected: State) -> None:
    assert state_of(facts, NOW, EVERY) is expected


def test_silence_is_stale_after_three_polls_and_not_before() -> None:
    limit = EVERY * STALE_AFTER_POLLS
    measuring = {"online": True, "measuring": True}
    assert state_of(Facts(observed_at=NOW - limit, **measuring), NOW, EVERY) is State.MEASURING
    late = NOW - limit - timedelta(microseconds=1)
    assert state_of(Facts(observed_at=late, **measuring), NOW, EVERY) is State.STALE
    assert state_of(Facts(observed_at=late, online=False), NOW, EVERY) is State.STALE


def test_the_database_ranks_as_the_rule_does(organisation: Organisation) -> None:
    limit = poll_every() * STALE_AFTER_POLLS
    seen = (None, SEEN, NOW - limit, NOW - limit - timedelta(microseconds=1))
    unsure = (None, True, False)
    with organisation_scope(organisation.pk):
        combinations = list(
            product((True, False), unsure, unsure, unsure, unsure, unsure, seen, (None, SEEN))
        )
        instruments = Instrument.objects.bulk_create(
            [
                Instrument(
                    organisation=organisation,
                    serial=f"QT{number:06}",
                    first_seen_at=NOW,
                    seen_at=NOW,
                    gone_at=NOW if combination[0] else None,
                )
                for number, combination in enumerate(combinations)
            ]
        )
        InstrumentStatus.objects.bulk_create(
            [
                InstrumentStatus(
                    organisation=organisation,
                    instrument=instrument,
                    changed_at=NOW,
                    online=online,
                    measuring=measuring,
                    calibration_in_progress=calibrating,
                    sic_in_progress=checking,
                    sic_passed=passed,
                    observed_at=observed_at,
                    empty_since_at=empty_since_at,
                )
                for instrument, (
                    _,
                    online,
                    measuring,
                    calibrating,
                    checking,
                    passed,
                    observed_at,
                    empty_since_at,
                ) in zip(instruments, combinations, strict=True)
            ]
        )
        # And those that have no status row yet.
        make_instrument(organisation, "NEW1")
        make_instrument(organisation, "NEW2", gone_at=NOW)
        # Those that are gone are shown when they are asked for.
        shown = [*fleet(now=NOW)]
        rows = list(
            {row.pk: row for row in (*shown, *fleet(now=NOW, filters=Filters(state=State.GONE)))}.values()
        )
        assert len(rows) == len(combinations) + 2
        wrong = [
            (facts_of(row, getattr(row, "status", None)), row.rank)
            for row in rows
            if row.rank != tile_of(row, NOW).state.severity
        ]
        assert wrong == []
        assert [row.rank for row in shown] == sorted(row.rank for row in shown)
        counted: dict[State, int] = {}
        for row in rows:
            state = tile_of(row, NOW).state
            counted[state] = counted.get(state, 0) + 1
        assert state_counts(now=NOW) == counted
        assert set(counted) == set(State)
        for state in State:
            assert fleet(now=NOW, filters=Filters(state=state)).count() == counted[state]
