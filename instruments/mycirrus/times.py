"""Reads and writes the times and durations of MyCirrus; pure, and must not guess a zone other than UTC."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from operator import itemgetter

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*([Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+(?:[.,]\d+)?)W)?(?:(?P<days>\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:[.,]\d+)?)H)?(?:(?P<minutes>\d+(?:[.,]\d+)?)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?",
    re.ASCII | re.IGNORECASE,
)
_MICROSECOND = timedelta(microseconds=1)


def parse_time(text: object) -> datetime | None:
    """The aware UTC instant that `text` names, or None where it names none.

    A missing zone is UTC (contract 1.7). Digits past the microsecond (.NET sends seven) are cut off, not
    rounded: rounding could move a reading into the next second or past the end of its range. Years 1 and 9999 are
    .NET's "never" and "for ever", and so None.
    """
    if not isinstance(text, str) or not (match := _TIME.fullmatch(text.strip())):
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if year in ("0001", "9999"):
        return None
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            microsecond,
            _zone(zone),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def spacing(starts: Iterable[datetime]) -> timedelta | None:
    """How far rows that do not say how long they last begin apart, in whole seconds: their usual distance.

    None where no distance is there twice, or where it is above MyCirrus' longest period, a day.
    """
    distances = Counter(
        round((after - before).total_seconds()) for before, after in pairwise(sorted(set(starts)))
    )
    seconds, times = max(distances.items(), key=itemgetter(1), default=(0, 0))
    return timedelta(seconds=seconds) if times > 1 and 0 < seconds <= 86_400 else None


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:].lstrip(":") or 0))
    return timezone(-offset if text[0] == "-" else offset)


def format_time(at: datetime) -> str:
    """`at` as MyCirrus wants it: UTC, ISO 8601, ending in Z. Raises ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be sent to MyCirrus")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def parse_duration(text: object) -> timedelta | None:
    """The length that an ISO 8601 duration names, or None; years and months have no fixed length."""
    if not isinstance(text, str) or not (match := _DURATION.fullmatch(text.strip())):
        return None
    parts = {name: float(part.replace(",", ".")) for name, part in match.groupdict().items() if part}
    try:
        return timedelta(**parts) if parts else None
    except OverflowError:
        return None


def format_duration(length: timedelta) -> str:
    """`length` as an ISO 8601 duration: P1D, PT1H, PT5M, PT0.1S. Raises ValueError unless it is positive."""
    if length <= timedelta(0):
        raise ValueError("a period must be longer than nothing")
    minutes, microseconds = divmod(length // _MICROSECOND, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    seconds = f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}".rstrip("0").rstrip(".")
    clock = "".join(
        f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n not in (0, "0")
    )
    return "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")
