"""Times and durations, in every form that MyCirrus was seen to write them."""

# ruff: noqa: DTZ001 (hypothesis wants naive bounds, and one test is about a naive time)

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.mycirrus import format_duration, format_time, parse_duration, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-06-09T01:00:00Z", datetime(2023, 6, 9, 1, tzinfo=UTC)),
        ("2022-06-07T11:18:42.814Z", datetime(2022, 6, 7, 11, 18, 42, 814000, tzinfo=UTC)),
        ("2023-06-14T14:00:00.2074974Z", datetime(2023, 6, 14, 14, 0, 0, 207497, tzinfo=UTC)),
        ("2023-06-14T23:59:59.9999999Z", datetime(2023, 6, 14, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2023-06-12T10:28:00", datetime(2023, 6, 12, 10, 28, tzinfo=UTC)),
        ("2023-06-12T10:28", datetime(2023, 6, 12, 10, 28, tzinfo=UTC)),
        ("2023-06-12 10:28:00z", datetime(2023, 6, 12, 10, 28, tzinfo=UTC)),
        ("2023-06-12T10:28:00+02:00", datetime(2023, 6, 12, 8, 28, tzinfo=UTC)),
        ("2023-06-12T10:28:00-0530", datetime(2023, 6, 12, 15, 58, tzinfo=UTC)),
        ("2023-06-12T10:28:00+01", datetime(2023, 6, 12, 9, 28, tzinfo=UTC)),
    ],
)
def test_every_seen_form_is_read_as_utc(text: str, expected: datetime) -> None:
    found = parse_time(text)
    assert found == expected
    assert found is not None
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "junk",
    [
        *(None, 0, 1686272400, True, [], {}, "", "...", "2023-06-12", "2023-02-30T00:00:00Z", "yesterday"),
        *(
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59-23:00",
            "2023-06-12T10:28:00+99:00",
            "٢٠٢٣-06-12T10:28:00Z",
        ),
        *("2023-06-12T24:00:00Z", "2023-06-12T10:28:00Z\n2023", "2023-06-12T10:28:00.Z"),
    ],
)
def test_what_is_no_time_is_none(junk: object) -> None:
    assert parse_time(junk) is None


@given(st.text())
def test_no_text_makes_a_parser_raise(text: str) -> None:
    parse_time(text)
    parse_duration(text)


@given(st.datetimes(datetime(1900, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)))
def test_a_written_time_reads_back(at: datetime) -> None:
    assert format_time(at).endswith("Z")
    assert parse_time(format_time(at)) == at


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(0, 9_999_999),
    st.sampled_from([3, 7, 9]),
)
def test_digits_past_the_microsecond_are_cut_not_rounded(at: datetime, ticks: int, digits: int) -> None:
    at = at.replace(microsecond=0, tzinfo=UTC)
    fraction = f"{ticks:07d}00"[:digits]
    found = parse_time(f"{at:%Y-%m-%dT%H:%M:%S}.{fraction}Z")
    assert found == at + timedelta(microseconds=int(fraction.ljust(9, "0")) // 1000)


def test_other_zones_are_sent_as_utc() -> None:
    summer = timezone(timedelta(hours=2))
    assert format_time(datetime(2023, 6, 9, 3, tzinfo=summer)) == "2023-06-09T01:00:00Z"


def test_a_time_without_zone_is_never_sent() -> None:
    with pytest.raises(ValueError, match="zone"):
        format_time(datetime(2023, 6, 9))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("P1D", timedelta(days=1)),
        ("PT1H", timedelta(hours=1)),
        ("PT5M", timedelta(minutes=5)),
        ("PT1S", timedelta(seconds=1)),
        ("PT0.1S", timedelta(milliseconds=100)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
    ],
)
def test_durations_go_both_ways(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length
    assert format_duration(length) == text


@pytest.mark.parametrize(
    ("text", "length"),
    [("P1W", timedelta(weeks=1)), ("PT60M", timedelta(hours=1)), ("pt0,5s", timedelta(0, 0.5))],
)
def test_other_spellings_of_a_duration_are_read(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("junk", [None, 60, "", "P", "PT", "P1M", "P1Y", "1H", "PT-1S", "P" + "9" * 40 + "D"])
def test_what_is_no_duration_is_none(junk: object) -> None:
    assert parse_duration(junk) is None


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=400)))
def test_a_written_duration_reads_back(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-1)])
def test_a_period_is_longer_than_nothing(length: timedelta) -> None:
    with pytest.raises(ValueError, match="longer"):
        format_duration(length)
