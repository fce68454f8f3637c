"""What the simulator does wrong on purpose, switched while it runs; each mood is described in README.md."""

import random
from dataclasses import dataclass
from typing import Any

from simulator.wire import Refused

# Moods of the answer as a whole, then of the webhooks, then of the spelling (section 11 of the contract).
FAULTS = (
    "latency",
    "429",
    "500",
    "hang",
    "cut-body",
    "bad-json",
    "expired-key",
    "missing-scope",
    "no-error-body",
    "lists",
)
HOOKS = ("signature", "no-webhook-changes", "webhook-twice", "webhook-lost", "retry-spacing")
SPELLINGS = (
    "sic-names",
    "calibrations",
    "position",
    "bare-instruments",
    "status-word",
    "fraction",
    "no-zone",
    "nulls",
    "dots",
    "camel-values",
    "measurements",
    "no-instrument",
    "not-found-400",
    "unknown-words",
)
NAMES = frozenset(FAULTS + HOOKS + SPELLINGS)
_ALIASES = {"too-many-requests": "429", "server-error": "500"}
_LIMITS = ("path", "count", "probability")


@dataclass(slots=True)
class Mood:
    """One mood; `path` is a prefix such as /v1/data, `count` how many requests are left to spoil."""

    name: str
    value: Any = True
    path: str = ""
    count: int | None = None
    probability: float = 1.0

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "path": self.path,
            "count": self.count,
            "probability": self.probability,
        }


class Moods:
    """The moods that are on."""

    def __init__(self) -> None:
        self._on: dict[str, Mood] = {}

    def change(self, wishes: dict[str, Any]) -> None:
        """Switch moods on, or off with false or null. `path`, `count`, `probability` beside them apply to all."""
        common = {name: wishes[name] for name in _LIMITS if name in wishes}
        for name, wish in wishes.items():
            if name in _LIMITS:
                continue
            name = name.replace("_", "-")
            name = _ALIASES.get(name, name)
            if name not in NAMES:
                raise Refused(
                    400, "InvalidMood", f"No such mood: {name}. There are {', '.join(sorted(NAMES))}."
                )
            if wish is None or wish is False:
                self._on.pop(name, None)
            elif isinstance(wish, dict):
                self._on[name] = Mood(name, **{"value": True, **common, **wish})
            else:
                self._on[name] = Mood(name, wish, **common)

    def clear(self, name: str | None = None) -> None:
        if name is None:
            self._on.clear()
        else:
            self._on.pop(_ALIASES.get(name, name), None)

    def documents(self) -> list[dict[str, Any]]:
        return [mood.document() for mood in self._on.values()]

    def take(self, name: str, path: str = "") -> Any:
        """The value of a mood for one request, using up one of its count; None when it does not apply."""
        mood = self._on.get(name)
        if mood is None or not path.startswith(mood.path):
            return None
        if mood.probability < 1.0 and random.random() >= mood.probability:
            return None
        if mood.count is not None:
            mood.count -= 1
            if mood.count <= 0:
                del self._on[name]
        return mood.value

    def spellings(self, path: str) -> dict[str, Any]:
        """Every spelling mood that applies to one request."""
        if not self._on:
            return {}
        taken = {name: self.take(name, path) for name in SPELLINGS if name in self._on}
        return {name: value for name, value in taken.items() if value is not None}


def mood_read(text: str) -> dict[str, Any]:
    """A mood from the command line: NAME or NAME=VALUE, numbers as numbers."""
    name, _, value = text.partition("=")
    if not value:
        return {name: True}
    try:
        return {name: float(value) if "." in value else int(value)}
    except ValueError:
        return {name: value}
