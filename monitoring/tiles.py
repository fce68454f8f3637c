"""One instrument of a fleet with its present, as pages show it: state, newest values, whether they are current."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings

from instruments.models import Instrument
from instruments.mycirrus.types import passed
from monitoring.conditions import LOOKS, Condition, Look, condition_of, level_end
from monitoring.models import InstrumentStatus
from monitoring.status import Facts, State, state_of


def poll_every() -> timedelta:
    """How often a status is asked for."""
    return timedelta(seconds=settings.POLL_STATUS_SECONDS)


@dataclass(frozen=True, slots=True)
class Reading:
    """A present value that is no sound level; None is a gap."""

    name: str
    value: float | None
    unit: str
    places: int


# A failed SIC is the one word for a monitor; these are told beside it, for they say that what is shown is old.
HIDDEN = (State.OFFLINE, State.NOT_MEASURING, State.STALE, State.EMPTY, State.UNKNOWN)

# What is shown of instruments that measure no noise: the name in `InstrumentStatus.latest`, unit, decimals.
READINGS: dict[str, tuple[tuple[str, str, int], ...]] = {
    Instrument.Kind.AIR_QUALITY: (("PM2.5", "µg/m³", 1), ("PM10", "µg/m³", 1)),
    Instrument.Kind.VIBRATION: (("PPV", "mm/s", 2),),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One instrument on the fleet page: `present` is None until its first status."""

    instrument: Instrument
    present: InstrumentStatus | None
    state: State
    # Until when the newest level or reading is as new as this monitor's period and our polling let it be.
    current_until: datetime | None = None
    level_is_current: bool = False
    # What a failed SIC hides: that it is offline, silent, unread or without a measurement besides.
    hidden: State | None = None

    @property
    def look(self) -> Look:
        """Its sign."""
        return LOOKS[self.state]

    @property
    def condition(self) -> Condition:
        """Its state in words."""
        return condition_of(self.state, self.instrument, self.present)

    @property
    def hidden_look(self) -> Look | None:
        """The sign of what a failed SIC hides."""
        return LOOKS[self.hidden] if self.hidden else None

    @property
    def hidden_condition(self) -> Condition | None:
        """The same in words."""
        return condition_of(self.hidden, self.instrument, self.present) if self.hidden else None

    @property
    def level_end_at(self) -> datetime | None:
        """When the newest level ended."""
        return level_end(self.present) if self.present else None

    @property
    def readings(self) -> list[Reading]:
        """What a monitor of air or vibration reads now; none for a kind that is only watched."""
        latest = self.present.latest if self.present else {}
        return [
            Reading(name, latest.get(name), unit, places)
            for name, unit, places in READINGS.get(self.instrument.type, ())
        ]

    @property
    def main_reading(self) -> str:
        """The name of what is shown large; "" for a kind that is only watched."""
        if self.instrument.measures_noise:
            return "LAeq"
        return next((name for name, _, _ in READINGS.get(self.instrument.type, ())), "")

    @property
    def reading_end_at(self) -> datetime | None:
        """When the newest sample with a value ended."""
        return _reading_end(self.present) if self.present else None

    @property
    def calibration_passed(self) -> bool | None:
        """What MyCirrus' word for the last calibration means; None for none, or a word that means neither."""
        return passed(self.present.calibration_status) if self.present else None


def facts_of(instrument: Instrument, present: InstrumentStatus | None) -> Facts:
    """What the pure rules need to know."""
    gone = instrument.gone_at is not None
    if present is None:
        return Facts(gone=gone)
    return Facts(
        online=present.online,
        measuring=present.measuring,
        calibration_in_progress=present.calibration_in_progress,
        sic_in_progress=present.sic_in_progress,
        sic_passed=present.sic_passed,
        empty=present.empty_since_at is not None,
        observed_at=present.observed_at,
        gone=gone,
    )


def tile_of(instrument: Instrument, now: datetime) -> Tile:
    """The tile of an instrument that was read with `select_related("status")`."""
    present = getattr(instrument, "status", None)
    facts = facts_of(instrument, present)
    state = state_of(facts, now, poll_every())
    hidden = None
    if state == State.SIC_FAILED:
        besides = state_of(replace(facts, sic_passed=None), now, poll_every())
        hidden = besides if besides in HIDDEN else None
    until = _current_until(instrument, present) if present is not None and hidden is None else None
    return Tile(instrument, present, state, until, until is not None and now <= until, hidden)


def _patience() -> timedelta:
    """How long after a measurement's end it must have been fetched: one fetch may fail."""
    return 2 * timedelta(seconds=settings.POLL_NOISE_SECONDS) + timedelta(minutes=1)


def _sample_patience() -> timedelta:
    """The same for samples."""
    return 2 * timedelta(seconds=settings.POLL_OTHER_SECONDS) + timedelta(minutes=1)


def _current_until(instrument: Instrument, present: InstrumentStatus) -> datetime | None:
    # The next measurement takes as long as the last.
    if instrument.measures_noise:
        ended_at, seconds, patience = level_end(present), present.level_seconds, _patience()
    else:
        ended_at, seconds, patience = _reading_end(present), present.latest_seconds, _sample_patience()
    return ended_at + timedelta(seconds=seconds or 0) + patience if ended_at is not None else None


def _reading_end(present: InstrumentStatus) -> datetime | None:
    if present.empty_since_at is not None or present.latest_at is None:
        return present.empty_since_at
    return present.latest_at + timedelta(seconds=present.latest_seconds or 0)
