"""The life of one subject under one rule: from verdicts to steps. Pure: no ORM, no clock.

No data never ends anything. Amber that grows to red is one life. What comes and goes is held open until it has been
quiet for a while, and said to be so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from monitoring.alerts.judges.verdict import State, Verdict

_TIMES = ("since", "dark_since", "clear_since", "at")


class Step(StrEnum):
    """What a verdict changed; the words are IncidentChange.Step's."""

    OPENED = "opened"
    RAISED = "raised"
    EASED = "eased"
    DARK = "dark"
    LIGHT = "light"
    FLAPPING = "flapping"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Policy:
    """When coming and going is flapping: the ``times``-th beginning within ``within``, held until ``quiet``."""

    times: int = 3
    within: timedelta = timedelta(hours=2)
    quiet: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Standing:
    """What has to be remembered between two verdicts. ``severity`` 0: nothing is open."""

    severity: int = 0
    # The worst since it opened: what was told already is not told again.
    worst: int = 0
    since: datetime | None = None
    dark_since: datetime | None = None
    flapping: bool = False
    # Of what flaps: since when it has been quiet.
    clear_since: datetime | None = None
    # When the last ones began.
    begun: tuple[datetime, ...] = ()
    # The newest instant that was judged: an older verdict arriving late changes nothing.
    at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is wrong by what is known."""
        return self.since is not None

    def look_at(self, policy: Policy) -> datetime | None:
        """When it could end by mere quiet."""
        return None if self.clear_since is None else self.clear_since + policy.quiet

    def no_later_than(self, now: datetime) -> "Standing":
        """The same, where a clock that ran ahead had noted times that are yet to come."""
        times = {name: min(at, now) for name in _TIMES if (at := getattr(self, name)) is not None}
        return replace(self, begun=tuple(min(at, now) for at in self.begun), **times)

    def to_json(self) -> dict[str, Any]:
        """For a JSON column; empty where there is nothing to remember."""
        told = {
            "severity": self.severity,
            "worst": self.worst,
            "flapping": self.flapping,
            "begun": [at.isoformat() for at in self.begun],
        }
        for name in _TIMES:
            value = getattr(self, name)
            told[name] = None if value is None else value.isoformat()
        return {name: value for name, value in told.items() if value}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Standing":
        """As `to_json` wrote it."""
        times = {name: datetime.fromisoformat(told[name]) for name in _TIMES if told.get(name)}
        return cls(
            severity=told.get("severity", 0),
            worst=told.get("worst", 0),
            flapping=told.get("flapping", False),
            begun=tuple(datetime.fromisoformat(at) for at in told.get("begun", ())),
            **times,
        )


def advance(
    standing: Standing, verdict: Verdict, policy: Policy = Policy()
) -> tuple[Standing, tuple[Step, ...]]:
    """The next standing, and the steps on the way there in their order. The same verdict twice takes no step twice."""
    if standing.at is not None and verdict.at < standing.at:
        return standing, ()
    standing = replace(standing, at=verdict.at)
    if verdict.state == State.NO_DATA:
        if not standing.is_open or standing.dark_since is not None:
            return standing, ()
        # Quiet has to be heard, not merely not contradicted.
        return replace(standing, dark_since=verdict.at, clear_since=None), (Step.DARK,)
    steps: list[Step] = []
    if standing.dark_since is not None:
        standing = replace(standing, dark_since=None)
        steps.append(Step.LIGHT)
    if verdict.state == State.CLEAR:
        standing, more = _clear(standing, verdict.at, policy)
    else:
        standing, more = _wrong(standing, verdict, policy)
    return standing, (*steps, *more)


def _clear(standing: Standing, at: datetime, policy: Policy) -> tuple[Standing, tuple[Step, ...]]:
    if not standing.is_open:
        return standing, ()
    if standing.flapping:
        since = standing.clear_since or at
        if at - since < policy.quiet:
            return replace(standing, clear_since=since), ()
    return Standing(begun=standing.begun, at=at), (Step.CLOSED,)


def _wrong(standing: Standing, verdict: Verdict, policy: Policy) -> tuple[Standing, tuple[Step, ...]]:
    severity = verdict.state.severity
    if not standing.is_open:
        begun = (*(at for at in standing.begun if verdict.at - at <= policy.within), verdict.at)
        flapping = len(begun) >= policy.times
        opened = Standing(
            severity=severity,
            worst=severity,
            since=verdict.at,
            flapping=flapping,
            begun=begun[-policy.times :],
            at=verdict.at,
        )
        return opened, (Step.OPENED, Step.FLAPPING) if flapping else (Step.OPENED,)
    before = standing.severity
    standing = replace(standing, severity=severity, worst=max(standing.worst, severity), clear_since=None)
    if severity > before:
        return standing, (Step.RAISED,)
    return standing, (Step.EASED,) if severity < before else ()
