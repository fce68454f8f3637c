"""The gap ledger: what is missing is found, one silence is one line, and it heals by being asked again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Gap, Resource, StatusChange
from monitoring.sync.gaps import Missing, merged, missing_between
from monitoring.sync.ledger import gaps_note
from tests.conftest import make_instrument

DAY = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minutes(*indices: int) -> list[tuple[datetime, datetime]]:
    return [(DAY + index * MINUTE, DAY + (index + 1) * MINUTE) for index in indices]


def test_a_full_stretch_has_no_gap() -> None:
    assert missing_between(minutes(*range(60)), DAY, DAY + 60 * MINUTE, MINUTE) == []


def test_missing_rows_are_one_gap_at_their_place() -> None:
    rows = minutes(*range(10), *range(15, 60))
    assert missing_between(rows, DAY, DAY + 60 * MINUTE, MINUTE) == [(DAY + 10 * MINUTE, DAY + 15 * MINUTE)]


def test_nothing_at_all_is_one_gap_of_everything() -> None:
    assert missing_between([], DAY, DAY + 60 * MINUTE, MINUTE) == [(DAY, DAY + 60 * MINUTE)]


def test_a_row_that_starts_a_little_late_is_no_gap() -> None:
    late = [(DAY + timedelta(seconds=20), DAY + timedelta(seconds=80))]
    assert missing_between(late, DAY, DAY + timedelta(seconds=80), MINUTE) == []


@given(st.sets(st.integers(0, 59)))
def test_gaps_and_rows_make_up_the_whole_stretch(present: set[int]) -> None:
    gaps = missing_between(minutes(*present), DAY, DAY + 60 * MINUTE, MINUTE)
    absent = sum(((end - start) for start, end in gaps), timedelta())
    assert absent == (60 - len(present)) * MINUTE


def test_neighbouring_windows_of_silence_become_one_line() -> None:
    known = [Missing(DAY, DAY + 60 * MINUTE, "absent")]
    window = (DAY + 60 * MINUTE, DAY + 120 * MINUTE)
    assert merged(known, *window, [Missing(*window, "absent")]) == [
        Missing(DAY, DAY + 120 * MINUTE, "absent")
    ]


def test_asking_again_replaces_only_what_was_asked() -> None:
    known = [Missing(DAY, DAY + 60 * MINUTE, "absent")]
    assert merged(known, DAY + 20 * MINUTE, DAY + 40 * MINUTE, []) == [
        Missing(DAY, DAY + 20 * MINUTE, "absent"),
        Missing(DAY + 40 * MINUTE, DAY + 60 * MINUTE, "absent"),
    ]


def test_the_ledger_heals_and_tells_off_from_absent(organisation: Organisation) -> None:
    instrument = make_instrument(organisation)
    end = DAY + 60 * MINUTE

    def note(*indices: int) -> list[tuple[datetime, datetime, str]]:
        gaps_note(
            instrument=instrument,
            resource=Resource.NOISE,
            start=DAY,
            end=end,
            spans=minutes(*indices),
            usual=MINUTE,
            now=end,
        )
        return list(Gap.objects.order_by("start_at").values_list("start_at", "end_at", "kind"))

    with organisation_scope(organisation.pk):
        StatusChange.objects.create(
            instrument=instrument, at=DAY + 30 * MINUTE, online=False, measuring=False
        )
        assert note(*range(10), *range(15, 30)) == [
            (DAY + 10 * MINUTE, DAY + 15 * MINUTE, "absent"),
            (DAY + 30 * MINUTE, end, "off"),
        ]
        # The same answer again changes nothing; the late rows heal it.
        again = note(*range(10), *range(15, 30))
        assert len(again) == 2
        assert note(*range(60)) == []
