"""Whether an instrument is there, measures and sends. Pure: no ORM, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.alerts.judges.verdict import State, Verdict


@dataclass(frozen=True, slots=True)
class Presence:
    """What is known of an instrument's present. None is not known, never no."""

    online: bool | None = None
    measuring: bool | None = None
    # Since when it is as ``online`` says, and as ``measuring`` says.
    online_since: datetime | None = None
    measuring_since: datetime | None = None
    # When MyCirrus last told, and until when measurements are stored.
    observed_at: datetime | None = None
    data_until: datetime | None = None
    # How long a measurement is: the next is there no sooner.
    period: timedelta = timedelta(0)
    # A calibration or SIC under way: it measures nothing for a minute, by design.
    checking: bool = False


def for_too_long(
    since: datetime, now: datetime, amber: timedelta | None, red: timedelta | None, facts: dict
) -> Verdict:
    """Something that is bad once it has lasted; looks again when the next limit would be reached."""
    lasted = now - since
    state = State.CLEAR
    if red is not None and lasted >= red:
        state = State.RED
    elif amber is not None and lasted >= amber:
        state = State.AMBER
    ahead = [since + limit for limit in (amber, red) if limit is not None and since + limit > now]
    told = {**facts, "since": since.isoformat(), "lasted_s": round(lasted.total_seconds())}
    return Verdict(state, now, told, min(ahead, default=None))


def _silent(presence: Presence, now: datetime, stale: timedelta) -> bool:
    return presence.observed_at is None or now - presence.observed_at > stale


def offline(
    presence: Presence, now: datetime, *, amber: timedelta | None, red: timedelta | None, stale: timedelta
) -> Verdict:
    """Offline for too long. While MyCirrus itself tells nothing, nothing is known: no data."""
    if presence.online is None or _silent(presence, now, stale):
        return Verdict(State.NO_DATA, now)
    if presence.online or presence.online_since is None:
        return Verdict(State.CLEAR, now)
    return for_too_long(presence.online_since, now, amber, red, {})


def not_measuring(
    presence: Presence, now: datetime, *, amber: timedelta | None, red: timedelta | None, stale: timedelta
) -> Verdict:
    """Online and not measuring for too long. Whoever is offline is another rule's affair: no data here."""
    if _silent(presence, now, stale) or presence.measuring is None or not presence.online:
        return Verdict(State.NO_DATA, now)
    if presence.measuring or presence.checking or presence.measuring_since is None:
        return Verdict(State.CLEAR, now)
    return for_too_long(presence.measuring_since, now, amber, red, {})


def no_data(
    presence: Presence, now: datetime, *, amber: timedelta | None, red: timedelta | None, stale: timedelta
) -> Verdict:
    """Online and measuring by its own word, and nothing arrives. It counts from when it last began to measure."""
    if _silent(presence, now, stale) or not presence.online or not presence.measuring:
        return Verdict(State.NO_DATA, now)
    if presence.data_until is None:
        # It never sent anything: what it measures may not be what is read.
        return Verdict(State.NO_DATA, now)
    due = presence.data_until + presence.period
    known = [at for at in (due, presence.online_since, presence.measuring_since) if at is not None]
    return for_too_long(max(known), now, amber, red, {"data_until": presence.data_until.isoformat()})
