"""What a monitor's state means to a person. Pure: no ORM, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Three missed polls: one can be a hiccup, three are silence.
STALE_AFTER_POLLS = 3


class State(StrEnum):
    """How a monitor stands, the worst first."""

    SIC_FAILED = "sic-failed"
    OFFLINE = "offline"
    NOT_MEASURING = "not-measuring"
    STALE = "stale"
    EMPTY = "empty"
    UNKNOWN = "unknown"
    CHECKING = "checking"
    MEASURING = "measuring"
    GONE = "gone"

    @property
    def severity(self) -> int:
        """0 for the worst."""
        return list(State).index(self)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a monitor. None is not known, never no."""

    online: bool | None = None
    measuring: bool | None = None
    calibration_in_progress: bool | None = None
    sic_in_progress: bool | None = None
    sic_passed: bool | None = None
    # What arrives holds no value.
    empty: bool = False
    observed_at: datetime | None = None
    gone: bool = False


def state_of(facts: Facts, now: datetime, poll_every: timedelta) -> State:
    """The one word for a monitor.

    A failed SIC outranks being offline: the levels that were measured are in doubt either way. Silence of
    MyCirrus is a state of its own and is never shown as the last thing heard.
    """
    if facts.gone:
        return State.GONE
    if facts.sic_passed is False:
        return State.SIC_FAILED
    if facts.observed_at is None:
        return State.UNKNOWN
    if now - facts.observed_at > poll_every * STALE_AFTER_POLLS:
        return State.STALE
    if facts.online is None:
        return State.UNKNOWN
    if not facts.online:
        return State.OFFLINE
    if facts.calibration_in_progress or facts.sic_in_progress:
        return State.CHECKING
    if facts.measuring is None:
        return State.UNKNOWN
    if not facts.measuring:
        return State.NOT_MEASURING
    return State.EMPTY if facts.empty else State.MEASURING
