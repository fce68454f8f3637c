"""What a judge says: a state, since when, by which numbers, and when to look again. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How one subject stands by one rule. No data is a state of its own and never means clear."""

    CLEAR = "clear"
    AMBER = "amber"
    RED = "red"
    NO_DATA = "no_data"

    @property
    def severity(self) -> int:
        """0 clear or no data, 1 amber, 2 red: monitoring.models.Severity."""
        return {"amber": 1, "red": 2}.get(self, 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement. ``at``: the instant that it speaks of, not when it was made."""

    state: State
    at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    # When time alone would change it; None: only new facts can.
    look_at: datetime | None = None


def over(value: float | None, amber: float | None, red: float | None, *, below: bool = False) -> State:
    """``value`` against two limits, either of which may be missing; a limit itself is still within.

    ``below``: too little is what is bad. None is no data.
    """
    if value is None:
        return State.NO_DATA
    for state, limit in ((State.RED, red), (State.AMBER, amber)):
        if limit is not None and (value < limit if below else value > limit):
            return state
    return State.CLEAR


def worst(states: list[State]) -> State:
    """The worst of several; no data only where there is nothing else."""
    known = [state for state in states if state != State.NO_DATA]
    return max(known, key=lambda state: state.severity) if known else State.NO_DATA
