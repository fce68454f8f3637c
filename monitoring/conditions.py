"""A monitor's state in words: its sign, why it is so, since when, what to do. It decides nothing and asks nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from instruments.models import Instrument
from monitoring.models import InstrumentStatus
from monitoring.status import State


@dataclass(frozen=True, slots=True)
class Look:
    """The sign of a state: colour is never alone, an icon and a word stand beside it."""

    word: Any
    icon: str
    tone: str
    needs_attention: bool = False


LOOKS = {
    State.SIC_FAILED: Look(gettext_lazy("SIC failed"), "x-circle", "bad", True),
    State.OFFLINE: Look(gettext_lazy("Offline"), "signal-slash", "bad", True),
    State.NOT_MEASURING: Look(gettext_lazy("Not measuring"), "pause-circle", "warn", True),
    State.STALE: Look(gettext_lazy("No news"), "clock", "warn", True),
    State.EMPTY: Look(gettext_lazy("No values"), "no-symbol", "warn", True),
    State.UNKNOWN: Look(gettext_lazy("Unknown"), "question-mark-circle", "muted"),
    State.CHECKING: Look(gettext_lazy("Checking"), "arrow-path", "live"),
    State.MEASURING: Look(gettext_lazy("Measuring"), "play-circle", "live"),
    State.GONE: Look(gettext_lazy("Gone"), "archive-box", "muted"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """Why a monitor stands as it does; ``since_at`` ends the sentence of ``reason`` where it is known."""

    reason: str = ""
    since_at: datetime | None = None
    advice: str = ""


def condition_of(state: State, instrument: Instrument, present: InstrumentStatus | None) -> Condition:
    """The words for ``state``; nothing for a monitor that measures: there is nothing to explain."""
    if state == State.GONE:
        return Condition(
            _("MyCirrus no longer lists it:"),
            instrument.gone_at,
            _("What it measured is kept here. If it moved to another account, add a key of that account."),
        )
    if present is None or present.observed_at is None:
        if state == State.UNKNOWN:
            return Condition(
                _("Its first status has not arrived yet"), None, _("It is asked for within a minute.")
            )
        present = present or InstrumentStatus()
    match state:
        case State.SIC_FAILED:
            return Condition(
                _("System Integrity Check failed"),
                present.sic_at,
                _(
                    "Repeat the SIC. If it fails again, look at the microphone, its cable and windshield, "
                    "and calibrate."
                ),
            )
        case State.OFFLINE:
            level_end_at = level_end(present)
            since_at: datetime | None
            if level_end_at is not None:
                reason, since_at = _("No connection to MyCirrus. Last level:"), level_end_at
            else:
                reason, since_at = _("Connection to MyCirrus lost"), present.online_since_at
            return Condition(
                reason,
                since_at,
                _("Check its power supply and modem. What it stores meanwhile is read when it is back."),
            )
        case State.NOT_MEASURING:
            since_at = level_end(present)
            return Condition(
                _("Online without a measurement. Last level:")
                if since_at
                else _("Online without a measurement"),
                since_at,
                _("Start a measurement at the instrument or in MyCirrus."),
            )
        case State.STALE:
            return Condition(
                _("Last heard from MyCirrus"),
                present.observed_at,
                _("The instrument may be well: see how fetching stands below, and the keys."),
            )
        case State.EMPTY:
            return Condition(
                _("It sends measurements without values. That began"),
                present.empty_since_at,
                _("Look at its microphone or sensor, and the cable. What is missing does not come later."),
            )
        case State.UNKNOWN:
            return Condition(
                _("MyCirrus does not say how it stands"), None, _("It is asked again each minute.")
            )
        case State.CHECKING if present.calibration_in_progress:
            return Condition(_("A calibration is running"))
        case State.CHECKING:
            return Condition(_("A System Integrity Check is running"))
    return Condition()


def level_end(present: InstrumentStatus) -> datetime | None:
    """When the newest level ended: a measurement without any value brings none."""
    if present.empty_since_at is not None or present.level_at is None:
        return present.empty_since_at
    return present.level_at + timedelta(seconds=present.level_seconds or 0)
