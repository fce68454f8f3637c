"""One request as the operations see it: who asks, for which instruments, range, period and values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from simulator.fleet import Instrument
from simulator.keys import Key
from simulator.wire import (
    DAY,
    Refused,
    duration_read,
    instant_read,
    invalid_param,
    missing_param,
    not_found,
)
from simulator.world import World


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers when it is not a plain 200 with JSON."""

    status: int = 200
    document: Any = None
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request after its key was accepted; `query` keeps every value of a repeated parameter."""

    world: World
    key: Key
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: bytes = b""

    def instrument(self, serial: str | None = None) -> Instrument:
        """The instrument of the path, or the named one, when this key reaches it."""
        serial = self.path["serial"] if serial is None else serial
        found = self.world.by_serial.get(serial)
        if found is None or not self.key.reaches(serial):
            raise not_found(f"instrument {serial}")
        return found

    def instruments(self) -> list[Instrument]:
        serials = self.list_of("instruments")
        if not serials:
            raise missing_param("Instruments")
        return [self.instrument(serial) for serial in dict.fromkeys(serials)]

    def range(self, longest_days: int | None = None) -> tuple[float, float]:
        """Start and end, refused when missing, turned round or too long."""
        start, end = (instant_read(self._required(name), name) for name in ("start", "end"))
        if end < start:
            raise invalid_param("EndTime is before StartTime.")
        if longest_days is not None and end - start > longest_days * DAY:
            raise Refused(400, "InvalidRange", f"The range is longer than {longest_days} days.")
        return start, end

    def period(self, shortest: float, longest: float) -> float | None:
        """The period asked for in seconds, or None."""
        text = self.one("period")
        if text is None:
            return None
        seconds = duration_read(text)
        if not shortest <= seconds <= longest:
            raise Refused(400, "InvalidPeriod", f"The period must be {shortest:g} to {longest:g} seconds.")
        return seconds

    def one(self, name: str) -> str | None:
        return next((value for value in self.query.get(name, ()) if value), None)

    def choice(self, name: str, allowed: Iterable[str], default: str) -> str:
        """One of a closed list, matched ignoring case."""
        text = self.one(name)
        if text is None:
            return default
        for word in allowed:
            if word.lower() == text.lower():
                return word
        raise invalid_param(f"{name} cannot be {text}.")

    def list_of(self, name: str) -> list[str]:
        """An array parameter: repeated keys, literal and escaped commas are all one to us."""
        return [
            word.strip() for value in self.query.get(name, ()) for word in value.split(",") if word.strip()
        ]

    def names(self, known: Iterable[str], default: Iterable[str]) -> list[str]:
        """Value names asked for, spelled as documented: unknown ones are dropped, all unknown is an error."""
        wanted = self.list_of("values")
        if not wanted:
            return list(default)
        spelled = {name.lower(): name for name in known}
        names = [spelled[name.lower()] for name in dict.fromkeys(wanted) if name.lower() in spelled]
        if not names:
            raise invalid_param("None of the values asked for is available.")
        return list(dict.fromkeys(names))

    def object(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise invalid_param("The body is not JSON.") from None
        if not isinstance(document, dict):
            raise invalid_param("The body is not a JSON object.")
        return document

    def _required(self, name: str) -> str:
        text = self.one(name)
        if text is None:
            raise missing_param({"start": "StartTime", "end": "EndTime"}[name])
        return text
