"""How far the back-fill of history has come and how long the rest may take. Pure: no ORM, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)
# A rate that was seen for less than this says nothing of the hours to come.
SHORTEST_SAMPLE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The history of one resource of one instrument.

    From ``reached_at`` on everything is stored; down to ``floor_at`` it is wanted; ``newest_at`` is how far the
    live lane has come. ``rows`` is what the back-fill has fetched.
    """

    resource: str
    floor_at: datetime
    reached_at: datetime
    newest_at: datetime | None
    rows: int
    done: bool
    parked: bool

    def days_wanted(self, now: datetime) -> float:
        """From the floor up to ``now``."""
        return max((now - self.floor_at) / DAY, 0.0)

    def days_left(self) -> float:
        """What is still to be fetched."""
        return 0.0 if self.done else max((self.reached_at - self.floor_at) / DAY, 0.0)


@dataclass(frozen=True, slots=True)
class Progress:
    """One resource (or all of them) of a fleet; days are summed over its instruments."""

    resource: str
    instruments: int
    complete: int
    parked: int
    rows: int
    days_wanted: float
    days_left: float
    oldest_at: datetime
    newest_at: datetime | None

    @property
    def days_done(self) -> float:
        """What is stored, the live lane's part included."""
        return max(self.days_wanted - self.days_left, 0.0)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to fetch."""
        return self.complete == self.instruments


def total_progress(stretches: Sequence[Stretch], now: datetime, resource: str = "") -> Progress | None:
    """``stretches`` as one; None without any."""
    if not stretches:
        return None
    newest = [stretch.newest_at for stretch in stretches if stretch.newest_at is not None]
    return Progress(
        resource=resource,
        instruments=len(stretches),
        complete=sum(stretch.done for stretch in stretches),
        parked=sum(stretch.parked and not stretch.done for stretch in stretches),
        rows=sum(stretch.rows for stretch in stretches),
        days_wanted=sum(stretch.days_wanted(now) for stretch in stretches),
        days_left=sum(stretch.days_left() for stretch in stretches),
        oldest_at=min(stretch.floor_at if stretch.done else stretch.reached_at for stretch in stretches),
        newest_at=max(newest, default=None),
    )


def resource_progress(stretches: Iterable[Stretch], now: datetime) -> list[Progress]:
    """One for each resource, in the order in which they first come."""
    by_resource: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        by_resource.setdefault(stretch.resource, []).append(stretch)
    found = (total_progress(each, now, resource) for resource, each in by_resource.items())
    return [progress for progress in found if progress is not None]


def time_left(days_left: float, days_left_before: float, elapsed: timedelta) -> timedelta | None:
    """How long ``days_left`` will take at the pace at which it came down from ``days_left_before`` in ``elapsed``.

    None where that cannot be told: nothing moved, or it was looked at for too short a time.
    """
    if days_left <= 0:
        return timedelta(0)
    fetched = days_left_before - days_left
    if fetched <= 0 or elapsed < SHORTEST_SAMPLE:
        return None
    return elapsed * (days_left / fetched)
