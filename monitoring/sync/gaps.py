"""What is missing in a stretch that was asked for. Pure: no ORM, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# A row may start a little late; half a period more than usual is a missing row.
TOLERANCE = 0.5

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Missing:
    """A stretch without rows, and what it is called in the ledger."""

    start_at: datetime
    end_at: datetime
    kind: str


def missing_between(spans: Iterable[Span], start: datetime, end: datetime, usual: timedelta) -> list[Span]:
    """The stretches of [start, end] that no span covers, longer than half a usual period."""
    shortest = usual * TOLERANCE
    found, reached = [], start
    for span_start, span_end in sorted(spans):
        if span_start - reached > shortest:
            found.append((reached, min(span_start, end)))
        reached = max(reached, span_end)
        if reached >= end:
            break
    if end - reached > shortest:
        found.append((reached, end))
    return found


def merged(
    known: Sequence[Missing], start: datetime, end: datetime, found: Sequence[Missing]
) -> list[Missing]:
    """The ledger after [start, end] was asked for and ``found`` is what is missing there.

    What was known inside the window is replaced, what sticks out of it stays, and neighbours of one kind become
    one: a month's silence is one line, however many windows asked about it.
    """
    pieces = []
    for gap in known:
        if gap.start_at < start:
            pieces.append(Missing(gap.start_at, min(gap.end_at, start), gap.kind))
        if gap.end_at > end:
            pieces.append(Missing(max(gap.start_at, end), gap.end_at, gap.kind))
    result: list[Missing] = []
    for gap in sorted([*pieces, *found], key=lambda piece: piece.start_at):
        last = result[-1] if result else None
        if last is not None and last.kind == gap.kind and gap.start_at <= last.end_at:
            result[-1] = Missing(last.start_at, max(last.end_at, gap.end_at), gap.kind)
        else:
            result.append(gap)
    return result
