"""Reading once more what was not understood when it came: a later version may understand it."""

import json
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction

from instruments.models import Instrument
from instruments.mycirrus import Client, MyCirrusError, NoiseTable, Replay, Rows
from monitoring.models import Resource, SeriesRow, UnreadRow
from monitoring.sync.histories import HISTORIES, covered
from monitoring.sync.kept import started
from monitoring.sync.ledger import gaps_note
from monitoring.sync.resources import series_hold
from monitoring.vendor_columns import SERIES

log = structlog.get_logger(__name__)


def unread_again(*, now: datetime, until: float) -> int:
    """Store what is understood by now of the organisation in scope; return how many documents that was.

    Nothing is begun after ``until``, in seconds of time.monotonic().
    """
    pairs = list(UnreadRow.objects.order_by().values_list("instrument_id", "resource").distinct())
    # In an order by chance: what there is no time for is another one each time.
    random.shuffle(pairs)
    total = 0
    for pk, resource in pairs:
        if time.monotonic() >= until:
            break
        kept = UnreadRow.objects.filter(instrument=pk, resource=resource).order_by("found_at", "pk")
        try:
            if resource == Resource.INSTRUMENTS:
                total += _listed(kept)
            elif resource in HISTORIES:
                total += _stored(kept, Instrument.objects.select_related("status").get(pk=pk), resource, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # One that cannot be stored holds up no other.
            log.exception("reread failed", instrument=pk, resource=resource)
    return total


def _understood(
    kept: Any, fetch: Callable[[Client], Rows[Any] | NoiseTable]
) -> tuple[Sequence[Any], list[int]]:
    """What ``fetch`` makes of the documents ``kept``, and the keys of those that it understands."""
    documents = {pk: json.loads(document) for pk, document in kept.values_list("pk", "document")}
    try:
        with Replay(list(documents.values())) as client:
            rows = fetch(client)
    except MyCirrusError:
        # None of them is understood, as before.
        return [], []
    odd = {json.dumps(each, sort_keys=True) for each in rows.skipped}
    return rows, [pk for pk, each in documents.items() if json.dumps(each, sort_keys=True) not in odd]


def _listed(kept: Any) -> int:
    """Of a list of instruments: what is understood by now came with the next list, or is no longer in it."""
    _, understood = _understood(kept, lambda client: client.instruments())
    UnreadRow.objects.filter(pk__in=understood).delete()
    return len(understood)


def _stored(kept: Any, instrument: Instrument, resource: str, now: datetime) -> int:
    history, place = HISTORIES[resource], SERIES[resource]
    rows, understood = _understood(
        kept, lambda client: history.fetch(client, [instrument.serial], now - timedelta(days=1), now)
    )
    if not understood:
        return 0
    with transaction.atomic():
        series_hold(instrument, resource)
        fresh = list(rows)
        if issubclass(place.model, SeriesRow):
            # What came of the same time since then, and was understood, is newer.
            stored = place.model.objects.filter(instrument=instrument, **place.only)
            known = set(stored.filter(start_at__in=map(started, fresh)).values_list("start_at", flat=True))
            fresh = [row for row in fresh if started(row) not in known]
        history.store(instrument, fresh, now)
        if history.usual is not None:
            spans, longest = covered(fresh, history.usual_of(instrument), now)
            for start, end in spans:
                gaps_note(
                    instrument=instrument,
                    resource=Resource(resource),
                    start=start,
                    end=end,
                    spans=spans,
                    usual=longest,
                    now=now,
                )
        UnreadRow.objects.filter(pk__in=understood).delete()
    log.info("reread", serial=instrument.serial, resource=resource, documents=len(understood))
    return len(understood)
