"""One JSON object of MyCirrus, whatever its spelling: members by any of several names, numbers, times and spans."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from .times import parse_duration, parse_time

START = ("startTime", "time", "start")
END = ("endTime", "end")


class Folded:
    """One JSON object whose members are found without regard to case, under any of several names."""

    __slots__ = ("_members", "document")

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._members: dict[str, Any] = {}
        for key, value in document.items():
            if value is not None:
                self._members.setdefault(key.lower(), value)

    def raw(self, *names: str) -> Any:
        for name in names:
            if (value := self._members.get(name.lower())) is not None:
                return value
        return None

    def text(self, *names: str) -> str:
        value = self.raw(*names)
        if isinstance(value, str):
            return value
        return "" if value is None or isinstance(value, bool | dict | list) else str(value)

    def number(self, *names: str) -> float | None:
        return number(self.raw(*names))

    def flag(self, *names: str) -> bool | None:
        value = self.raw(*names)
        return value if isinstance(value, bool) else None

    def time(self, *names: str) -> datetime | None:
        return parse_time(self.raw(*names))

    def inner(self, *names: str) -> Folded:
        value = self.raw(*names)
        return Folded(value if isinstance(value, dict) else {})

    def texts(self, *names: str) -> tuple[str, ...]:
        value = self.raw(*names)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def numbers(self, *names: str) -> tuple[float | None, ...] | None:
        value = self.raw(*names)
        return samples(value) if isinstance(value, list) else None

    def seconds(self, *names: str) -> float | None:
        value = self.raw(*names)
        length = parse_duration(value)
        return number(value) if length is None else length.total_seconds()

    def members(self) -> Iterator[tuple[str, Any]]:
        return iter(self.document.items())

    def without(self, *names: str) -> dict[str, Any]:
        left_out = {name.lower() for name in names}
        return {key: value for key, value in self.document.items() if key.lower() not in left_out}


class Asked(Folded):
    """One that notes in `asked`, in small letters, every name that it was asked for."""

    __slots__ = ("asked",)

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document)
        self.asked: set[str] = set()

    def raw(self, *names: str) -> Any:
        self.asked.update(map(str.lower, names))
        return super().raw(*names)


def number(value: object) -> float | None:
    """A finite number, or None: texts such as the mock's "..." are missing samples, not zeros."""
    # Nearly every value is one of these, and a year of measurements holds fifteen million.
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        finite = float(value)
    except OverflowError:
        return None
    return finite if math.isfinite(finite) else None


def samples(values: Sequence[Any]) -> tuple[float | None, ...]:
    return tuple(number(value) for value in values)


def span(row: Folded) -> tuple[datetime | None, datetime | None, float | None]:
    """Start, end and length in seconds of a row, each from the other two where it is not said."""
    start, end, duration = row.time(*START), row.time(*END), row.seconds("duration", "period")
    if start is None and end is not None and duration is not None:
        start = _later(end, -duration)
    if duration is None and start is not None and end is not None and end > start:
        duration = (end - start).total_seconds()
    if end is None and start is not None and duration is not None:
        end = _later(start, duration)
    return start, end, duration


def _later(at: datetime, seconds: float) -> datetime | None:
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:
        return None
