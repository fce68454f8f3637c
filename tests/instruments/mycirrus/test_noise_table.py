"""Measurements read by column are those that are read row by row, and whatever is odd is left to the latter."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.mycirrus import NOISE_VALUES, NoiseTable
from instruments.mycirrus.levels import noise_measurements
from instruments.mycirrus.noise import plain_table

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat() + "Z"


def plain(documents: list[Any], serial: str | None = None) -> NoiseTable | None:
    return plain_table(json.dumps(documents).encode(), serial)


def minutes(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "instrument": "QT1",
            "startTime": told(NOON + number * MINUTE),
            "endTime": told(NOON + (number + 1) * MINUTE),
            "duration": 60,
            "LAeq": 50 + number,
            "lafMax": 60.5,
            **more,
        }
        for number in range(count)
    ]


def test_a_plain_answer_is_read_by_column() -> None:
    documents = minutes(3, LAF90=None, Lnew=1, leqT1Type="LAeq,5m")
    table = plain(documents)
    assert table is not None
    assert list(table) == list(noise_measurements(documents, None))
    assert table.values["LAeq"] == (50.0, 51.0, 52.0)
    assert table[1].values == {"LAeq": 51.0, "LAFMax": 60.5, "Lnew": 1.0}
    assert table[-1].labels == {"LeqT1Type": "LAeq,5m"}
    assert [row.start_at for row in table[1:]] == [NOON + MINUTE, NOON + 2 * MINUTE]


@pytest.mark.parametrize(
    ("value", "possible"),
    [(None, True), (200, True), (-20, True), (200.1, False), (-20.1, False), (1e300, False)],
)
def test_reading_tells_whether_every_level_can_be_true(value: float | None, possible: bool) -> None:
    """What is no level of ours is held to nothing."""
    table = plain([*minutes(1, LCPeak=90, Lnew=1e6), *minutes(1, LCPeak=value, Lnew=1e6)])
    assert table is not None
    assert table.possible is possible
    assert table.values["LCPeak"] == (90.0, value)


VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)
ODD = (
    st.booleans() | st.sampled_from(["...", "", "50.5"]) | st.floats() | st.just([1.0]) | st.just({"LAeq": 1})
)
TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)).map(told)
ODD_TIMES = st.sampled_from(
    [
        "2026-10-31T00:00:00",
        "2026-10-31T00:00:00.2074974Z",
        "2026-10-31 00:00:00Z",
        "2026-10-31t00:00:00z",
        "2026-10-31T00:00:00+01:00",
        "2026-W44-6T00:00:00Z",
        "20261031T000000.000Z",
        "2026-13-31T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "",
    ]
)
FRAME = {
    **dict.fromkeys(("startTime", "Time", "start", "endTime", "END"), TIMES | ODD_TIMES),
    "duration": VALUES | st.just("PT1M"),
    "period": VALUES,
    "instrument": st.sampled_from(["QT1", "QT2", "", None, 7]),
    "type": st.just("Noise"),
}


@st.composite
def answers(draw: st.DrawFn) -> list[Any]:
    """Like rows, as MyCirrus sends them, and now and then one that is not."""
    names = draw(
        st.lists(st.sampled_from([*NOISE_VALUES, "laeq", "Lnew", "LeqT1Type"]), max_size=5, unique=True)
    )
    frame = draw(st.lists(st.sampled_from([*FRAME]), max_size=5, unique=True))
    odd = draw(st.booleans())
    cells = {**dict.fromkeys(names, VALUES | ODD if odd else VALUES), **{name: FRAME[name] for name in frame}}
    rows: list[Any] = draw(st.lists(st.fixed_dictionaries(cells), max_size=4))
    return [*rows, *draw(st.lists(st.just("...") | st.just({"LAeq": 1.0}), max_size=1 if odd else 0))]


@given(answers(), st.sampled_from([None, "QT9"]))
def test_a_column_and_a_row_read_the_same(documents: list[Any], serial: str | None) -> None:
    table, tolerant = plain(documents, serial), noise_measurements(documents, serial)
    if table is not None:
        assert list(table) == list(tolerant)
        assert [row.document for row in table] == documents
        assert not tolerant.skipped


@pytest.mark.parametrize(
    "oddity",
    [
        {"LAeq": "..."},
        {"LAeq": True},
        {"LAeq": float("inf")},
        {"LAeq": 10**400},
        {"LAeq": [1.0]},
        {"laeq": 1.0},
        {"startTime": "2026-10-31T00:00:00.2074974Z"},
        {"startTime": "2026-10-31T00:00:00+01:00"},
        {"startTime": "2026-10-31T00:00:00"},
        {"startTime": None},
        {"endTime": None},
        {"duration": "PT1M"},
        {"instrument": ""},
        {"type": "Noise"},
        {"blocks": []},
    ],
)
def test_one_odd_row_sends_the_whole_answer_to_the_tolerant_reader(oddity: dict[str, Any]) -> None:
    documents = minutes(3)
    documents[1] |= oddity
    assert plain(documents) is None


@pytest.mark.parametrize("documents", [[], ["..."], [None], [{}], [{"LAeq": 1.0}], [[]]])
def test_what_is_no_measurement_is_not_plain(documents: list[Any]) -> None:
    assert plain(documents) is None
    assert noise_measurements(documents, None).skipped == documents


def test_rows_without_a_gap_are_one_stretch() -> None:
    documents = [row for number, row in enumerate(minutes(10)) if number not in (3, 7)]
    for table in (plain(documents), noise_measurements(documents, None)):
        assert table is not None
        assert table.covered(MINUTE) == (
            [
                (NOON, NOON + 3 * MINUTE),
                (NOON + 4 * MINUTE, NOON + 7 * MINUTE),
                (NOON + 8 * MINUTE, NOON + 10 * MINUTE),
            ],
            MINUTE,
        )
    assert NoiseTable.of([]).covered(MINUTE) == ([], MINUTE)


def test_a_row_that_does_not_say_its_length_covers_the_usual() -> None:
    table = plain([{"time": told(NOON), "LAeq": 50.0}], "QT1")
    assert table is not None
    assert table.covered(5 * MINUTE) == ([(NOON, NOON + 5 * MINUTE)], 5 * MINUTE)


@pytest.mark.parametrize("end", [NOON, NOON - MINUTE, NOON + timedelta(days=2), None])
def test_an_end_that_cannot_be_true_is_not_taken_for_one(end: datetime | None) -> None:
    documents = minutes(3)
    documents[1] |= {"endTime": end and told(end)}
    table = noise_measurements(documents, None)
    assert table.covered(MINUTE) == ([(NOON, NOON + 3 * MINUTE)], MINUTE)
