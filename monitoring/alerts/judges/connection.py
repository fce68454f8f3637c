"""Keys, MyCirrus itself, webhooks, and our own beat and queue. Pure: no ORM, no clock."""

from datetime import datetime, timedelta

from monitoring.alerts.judges.presence import for_too_long
from monitoring.alerts.judges.verdict import State, Verdict, over


def key(state: str, missing: list[str], now: datetime, *, message: str = "") -> Verdict:
    """Refused is red: nothing is read. A missing scope is amber: some of it is not."""
    facts = {"missing": missing, "message": message}
    if state == "refused":
        return Verdict(State.RED, now, facts)
    if state == "missing_scope":
        return Verdict(State.AMBER, now, facts)
    # Out of reach it may still be good: nothing is known.
    return Verdict(State.CLEAR if state == "good" else State.NO_DATA, now, facts)


def unreachable(
    since: datetime | None, now: datetime, *, amber: timedelta | None, red: timedelta | None
) -> Verdict:
    """MyCirrus has not answered ``since``; None where it does."""
    if since is None:
        return Verdict(State.CLEAR, now)
    return for_too_long(since, now, amber, red, {})


def late(
    beat_s: float | None, queue_s: float | None, now: datetime, *, amber: timedelta, red: timedelta | None
) -> Verdict:
    """The longer of: since the beat's last tick, and how long the oldest due work has been waiting, in seconds."""
    waits = [wait for wait in (beat_s, queue_s) if wait is not None]
    state = over(
        max(waits, default=None), amber.total_seconds(), None if red is None else red.total_seconds()
    )
    return Verdict(state, now, {"beat_s": beat_s, "queue_s": queue_s})
