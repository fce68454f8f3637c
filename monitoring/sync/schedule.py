"""When to ask next. Pure: no ORM, no clock, and chance comes in as an argument."""

from collections.abc import Iterator
from datetime import datetime, timedelta

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
# A key that is refused is tried once an hour by its instrument list, so that it heals without a person.
REFUSED_RETRY = timedelta(hours=1)
# What is not understood may be a gateway's page that is gone in a minute, or a change that takes a new version.
LONGEST_BUG_RETRY = timedelta(hours=6)
# Where neither MyCirrus nor the key's pace tells how long to wait.
_DEFAULT_PAUSE_S = 60.0


def next_regular(now: datetime, every: timedelta, chance: float) -> datetime:
    """The next turn after a good one: ``every`` ± 10 %, so that a fleet added together drifts apart.

    ``chance`` is uniform in [0, 1).
    """
    return now + every * (0.9 + 0.2 * chance)


def next_retry(now: datetime, failures: int, chance: float, longest: timedelta = LONGEST_RETRY) -> datetime:
    """The next turn after the ``failures``-th failure in a row: 30 s doubled each time, ``longest`` at most.

    Half of each wait is chance (uniform in [0, 1)), so that a whole fleet does not come back at one instant.
    """
    # The exponent is bounded first: 2 ** 3000 would be computed before the minimum is taken.
    wait = min(FIRST_RETRY * 2 ** min(max(failures - 1, 0), 12), longest)
    return now + wait * (0.5 + 0.5 * chance)


def pause(retry_after: float | None) -> timedelta:
    """How long a key waits that was told ``retry_after`` seconds: a second at least, or nothing would be waited for."""
    return timedelta(seconds=max(1.0, _DEFAULT_PAUSE_S if retry_after is None else retry_after))


def windows(start: datetime, end: datetime, longest: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """[start, end] cut into consecutive windows of at most ``longest``; nothing when start is not before end."""
    while start < end:
        stop = min(start + longest, end)
        yield start, stop
        start = stop
