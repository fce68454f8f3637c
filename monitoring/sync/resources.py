"""How a claimed target is fetched and stored: network first, then one transaction with rows and watermark."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from instruments.mirror import instrument_store, instruments_mirror
from instruments.models import Instrument
from instruments.mycirrus import Client, MissingScope
from instruments.statements import hold
from monitoring.alerts.leaving import fleet_look
from monitoring.models import InstrumentStatus, Lane, Resource, SyncTarget
from monitoring.possible import is_ahead
from monitoring.sync import ingest
from monitoring.sync.claims import hint, list_make_due
from monitoring.sync.gaps import Span
from monitoring.sync.held import Reached
from monitoring.sync.histories import DAY, HISTORIES, History, covered
from monitoring.sync.ledger import gap_looked, gaps_due, gaps_note
from monitoring.sync.sharing import Answer
from monitoring.sync.targets import targets_ensure
from monitoring.sync.unread import unread_keep
from monitoring.sync.wanted import SWEEP_BACK, scopes_needed

DETAILS_EVERY = timedelta(days=1)
# For how long the status' word of a check is a reason to ask for its history.
HINTED_FOR = timedelta(days=2)


_AS_BEFORE = Reached()


@dataclass(frozen=True, slots=True)
class Step:
    """One answer, not stored yet. `store` runs in a transaction and returns whether anything was new.

    `reached` is written in the same transaction.
    """

    store: Callable[[], bool]
    reached: Reached = _AS_BEFORE
    rows: int = 0
    # The back-fill has reached its floor.
    done: bool = False
    # Nothing follows: how the turn ended is written in the same transaction.
    last: bool = False


Steps = Iterator[Step]


def _instrument(target: SyncTarget) -> Instrument:
    if target.instrument is None:
        raise ValueError(f"A target for {target.resource} needs an instrument.")
    return target.instrument


def _instruments(client: Client, target: SyncTarget, now: datetime, answer: Answer | None) -> Steps:
    rows = client.instruments()

    def store() -> bool:
        unread_keep(target=target, rows=rows, now=now)
        mirrored = instruments_mirror(
            api_key=target.api_key, rows=rows, needs=scopes_needed, now=now, whole=rows.is_whole
        )
        listed = list(Instrument.objects.present().filter(api_key=target.api_key))
        for instrument in mirrored.created:
            ingest.present_of(instrument, now)
        targets_ensure(instruments=listed, now=now)
        fleet_look(gone=mirrored.gone, returned=mirrored.returned, now=now)
        if mirrored.gone:
            # Perhaps another key reaches them now. Afterwards: no row of another target is waited for in here.
            transaction.on_commit(lambda: list_make_due(now=now, but=target.api_key))
        touched = [*mirrored.created, *mirrored.changed, *mirrored.returned, *mirrored.gone]
        InstrumentStatus.objects.filter(instrument__in=touched).update(changed_at=timezone.now())
        return bool(touched)

    yield Step(store, rows=len(rows), last=True)


def _status(client: Client, target: SyncTarget, now: datetime, answer: Answer | None) -> Steps:
    instrument = _instrument(target)
    details = None
    if instrument.detailed_at is None or instrument.detailed_at <= now - DETAILS_EVERY:
        details = client.instrument(instrument.serial)
    row = client.status(instrument.serial)
    # Read with the target: a poll that brings nothing new costs one UPDATE of it.
    present: InstrumentStatus | None = getattr(instrument, "status", None)

    def store() -> bool:
        known = present or ingest.present_of(instrument, now)
        changed = False
        if details is not None:
            changed = instrument_store(instrument=instrument, row=details)
            Instrument.objects.filter(pk=instrument.pk).update(detailed_at=now)
            if changed:
                InstrumentStatus.objects.filter(instrument=instrument).update(changed_at=timezone.now())
                # Its features may have become known only now.
                targets_ensure(instruments=[instrument], now=now)
        changed = ingest.status_store(instrument=instrument, row=row, now=now, present=known) or changed
        # The status names the last check of each kind: a newer one than ours is a reason to ask now. One that
        # the history does not hold although it should by now would be a reason for ever, at each poll.
        for resource, last, stored_at in (
            (Resource.CALIBRATIONS, row.last_calibration, known.calibrated_at),
            (Resource.SIC, row.last_sic, known.sic_at),
        ):
            if last is None or last.at < now - HINTED_FOR or is_ahead(last.at, now):
                continue
            if stored_at is None or ingest.whole_second(last.at) > stored_at:
                hint(targets=SyncTarget.objects.filter(instrument=instrument, resource=resource), now=now)
        return changed

    yield Step(store, rows=1, last=True)


def _now(client: Client, target: SyncTarget, now: datetime, answer: Answer | None) -> Steps:
    instrument = _instrument(target)
    serial = instrument.serial
    rows: Sequence[Any] = answer.rows[serial] if answer else client.monitor_current([serial])

    def store() -> bool:
        return bool(rows) and ingest.health_store(instrument=instrument, row=rows[0], now=now)

    yield Step(store, rows=len(rows), last=True)


def _history(client: Client, target: SyncTarget, now: datetime, answer: Answer | None) -> Steps:
    history = HISTORIES[target.resource]
    if target.lane == Lane.LIVE:
        yield from _live(client, target, history, now, answer)
    else:
        lane = _backfill if target.lane == Lane.BACKFILL else _sweep
        yield from lane(client, target, history, now)


def _live(
    client: Client, target: SyncTarget, history: History, now: datetime, answer: Answer | None
) -> Steps:
    """Everything since the watermark, a window at a time; empty stretches in longer windows.

    The watermark moves to the end of the last row and never past it, so that an instrument which was offline
    and uploads later loses nothing at its end. What is read again anyway moves it to now.
    """
    watermark, known = target.watermark_at, bool(target.rows)
    since, start = history.since(target, now), history.live_start(target, now)
    # Whoever was away for longer than the API answers at once is caught up by the back-fill's windows here too.
    window = history.window
    skipped = start > since
    # Silence is judged once there are rows after it.
    unjudged = start
    while start < now:
        end, shared = min(start + window, now), None
        if answer is not None:
            shared = answer.of(_instrument(target).serial, start)
        rows: Sequence[Any]
        if shared is not None:
            # It goes up to now, whatever is asked for at a time.
            rows, end = shared, now
        else:
            rows = history.fetch(client, [_instrument(target).serial], start, end)
        if rows and skipped:
            # It is back, and what it had not sent when the rest was asked for may have come with this.
            start, window, unjudged, skipped = since, history.window, since, False
            continue
        spans, longest = covered(rows, history.usual_of(_instrument(target)), now)
        # A row may claim to last into the future: nothing would be asked for before that is over.
        last = min(max(span_end for _, span_end in spans), end) if spans else None
        # A first look begins anywhere, amid a row that is not in its answer, too; later ones where a row ended.
        judged_from = unjudged if known else _judged_from(unjudged, spans, longest)
        known = known or bool(spans)
        moved = end if history.overlap else last
        if moved is not None and watermark is not None and moved <= watermark:
            moved = None
        watermark = moved or watermark
        silent_until = None if history.overlap else watermark if spans else end
        yield _step(
            target,
            history,
            rows,
            spans,
            longest,
            now,
            (judged_from, last or unjudged),
            Reached(moved, silent_until),
            last=end >= now,
        )
        start, window = end, history.window if rows else history.longest
        unjudged = last or unjudged


def _backfill(client: Client, target: SyncTarget, history: History, now: datetime) -> Steps:
    """From where the live lane began down to the floor, newest first, so that a page is useful within a minute."""
    if target.watermark_at is None or target.floor_at is None:
        raise ValueError("A back-fill needs a watermark to start from and a floor to end at.")
    end, window = target.watermark_at, history.window
    while end > target.floor_at:
        start = max(_midnight_from(end - window), target.floor_at)
        rows = history.fetch(client, [_instrument(target).serial], start, end)
        spans, longest = covered(rows, history.usual_of(_instrument(target)), now)
        done = start <= target.floor_at
        # The newer window, asked for before this one, knew nothing of what this one's last row measured there.
        judged = (_judged_from(start, spans, longest), max([end, *(span_end for _, span_end in spans)]))
        yield _step(target, history, rows, spans, longest, now, judged, Reached(start), done=done, last=done)
        window = history.window_after(end - start, len(rows))
        end = start
    if target.watermark_at <= target.floor_at:
        yield Step(lambda: False, done=True, last=True)


def _sweep(client: Client, target: SyncTarget, history: History, now: datetime) -> Steps:
    """The recent past once more: rows that arrived late or were corrected, found by asking, not by hoping.

    Before it what was found missing, a few times over a month. One that was interrupted goes on from its watermark;
    one that ended leaves it where the next begins anyway.
    """
    first = _midnight_from(now - SWEEP_BACK - DAY)
    start = max(at for at in (first, target.floor_at, target.watermark_at) if at is not None)
    if history.usual is not None:
        yield from _gaps_again(client, target, history, first, now)
    # What began before the window and lasts into it is asked for, too, or is of the window before.
    usual, measured_until = history.usual_of(_instrument(target)), start
    asked_from = start - usual
    while start < now:
        end = min(_midnight_from(start + history.window - DAY + timedelta(microseconds=1)), now)
        rows = history.fetch(client, [_instrument(target).serial], asked_from, end)
        spans, longest = covered(rows, usual, now)
        known_until = max([measured_until, *(span_end for _, span_end in spans)])
        # Before now everything is judged; the last window only as far as there are rows.
        until = end if end < now else min(known_until, end)
        judged, last = (max(_judged_from(start, spans, longest), measured_until), until), end >= now
        yield _step(
            target,
            history,
            rows,
            spans,
            longest,
            now,
            judged,
            Reached(first if last else end),
            last=last,
        )
        start, asked_from, measured_until = end, end, known_until


def _gaps_again(
    client: Client, target: SyncTarget, history: History, before: datetime, now: datetime
) -> Steps:
    instrument, resource = _instrument(target), Resource(target.resource)
    for span in gaps_due(instrument=instrument, resource=resource, before=before, now=now):
        (start, until), window = span, history.window
        start = measured_until = max(start, target.floor_at or start)
        while start < until:
            end = min(start + window, until)
            rows = history.fetch(client, [instrument.serial], start, end)
            spans, longest = covered(rows, history.usual_of(instrument), now)
            judged_from = max(_judged_from(start, spans, longest), measured_until)
            measured_until = max([measured_until, *(span_end for _, span_end in spans)])
            judged = (judged_from, max(end, measured_until))
            step = _step(target, history, rows, spans, longest, now, judged, _AS_BEFORE)
            yield step if end < until else _looked(step, instrument, resource, span, now)
            start, window = end, history.window_after(end - start, len(rows))


def _looked(step: Step, instrument: Instrument, resource: Resource, span: Span, now: datetime) -> Step:
    def store() -> bool:
        changed = step.store()
        gap_looked(instrument=instrument, resource=resource, span=span, now=now)
        return changed

    return dataclasses.replace(step, store=store)


def _midnight_from(at: datetime) -> datetime:
    """The first UTC midnight from ``at`` on: no period that divides a day is cut by a window's edge."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == at else midnight + DAY


def _judged_from(start: datetime, spans: Sequence[Span], longest: timedelta) -> datetime:
    """From when on it can be told what is missing: a row from before ``start``, which is not in the answer, may
    last until the first one begins."""
    first = min((begin for begin, _ in spans), default=start)
    return first if start < first < start + longest else start


def _step(
    target: SyncTarget,
    history: History,
    rows: Sequence[Any],
    spans: Sequence[Span],
    longest: timedelta,
    now: datetime,
    judged: Span,
    reached: Reached,
    *,
    done: bool = False,
    last: bool = False,
) -> Step:
    """``judged``: the stretch of which is noted what is missing."""
    instrument = _instrument(target)

    def store() -> bool:
        if rows or history.usual is not None:
            series_hold(instrument, target.resource)
        unread_keep(target=target, rows=rows, now=now)
        changed = history.store(instrument, rows, now)
        if history.usual is not None:
            gaps_note(
                instrument=instrument,
                resource=Resource(target.resource),
                start=judged[0],
                end=judged[1],
                spans=spans,
                usual=longest,
                now=now,
            )
        return changed

    return Step(store, reached=reached, rows=len(rows), done=done, last=last)


def series_hold(instrument: Instrument, resource: str) -> None:
    """Until this transaction ends no other lane writes the same series.

    Of rows that two store at once neither would see the other's, and the sums and gaps of the second to commit would
    leave out the first's.
    """
    hold(f"{instrument.pk} {resource}")


def _check(client: Client, target: SyncTarget, now: datetime, answer: Answer | None) -> Steps:
    """The history of checks or, where it cannot be read or holds none so young, the last check alone."""
    if target.lane != Lane.LIVE:
        yield from _history(client, target, now, None)
        return
    found, readable = 0, False
    if target.api_key.allows("data.system:read"):
        try:
            for step in _history(client, target, now, answer):
                found += step.rows
                readable = True
                # Without any the last check may be asked for after it.
                follows = not found and target.watermark_at is None
                yield dataclasses.replace(step, last=step.last and not follows)
        except MissingScope:
            # Taken away since the key was verified. The watermark stays: the history is read when it is back.
            pass
    if not found and (not readable or target.watermark_at is None):
        instrument, history = _instrument(target), HISTORIES[target.resource]
        last = client.calibration if target.resource == Resource.CALIBRATIONS else client.sic
        latest = last(instrument.serial)
        rows = [latest] if latest is not None else []
        yield Step(lambda: history.store(instrument, rows, now), rows=len(rows), last=True)


FETCH: dict[str, Callable[[Client, SyncTarget, datetime, Answer | None], Steps]] = {
    **dict.fromkeys(HISTORIES, _history),
    Resource.INSTRUMENTS: _instruments,
    Resource.STATUS: _status,
    Resource.NOW: _now,
    Resource.CALIBRATIONS: _check,
    Resource.SIC: _check,
}


def steps_of(client: Client, target: SyncTarget, now: datetime, answer: Answer | None = None) -> Steps:
    """The answers to ``target``, one at a time; each is fetched only after the one before was stored.

    ``answer`` is what was asked for several together, where it was.
    """
    return FETCH[target.resource](client, target, now, answer)
