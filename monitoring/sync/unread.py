"""Keeping what stands among the rows of an answer and is not understood; what is known of it is how it came."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitoring.models import SyncTarget, UnreadRow

# Of one instrument and resource. A form that is new comes with every row, and the first of them tell it.
MOST = 1_000


def unread_keep(*, target: SyncTarget, rows: Sequence[Any], now: datetime) -> None:
    """Store what came with the ``rows`` that ``target`` is for, and is none of them, once each, up to MOST."""
    documents = [each for each in getattr(rows, "skipped", ()) if isinstance(each, dict)]
    if not documents:
        return
    rows_kept = UnreadRow.objects.filter(instrument=target.instrument_id, resource=target.resource)
    known = set(rows_kept.values_list("sha256", flat=True))
    texts = {json.dumps(document, sort_keys=True) for document in documents}
    found = {hashlib.sha256(text.encode()).hexdigest(): text for text in sorted(texts)}
    new = [(digest, text) for digest, text in found.items() if digest not in known]
    UnreadRow.objects.bulk_create(
        [
            UnreadRow(
                organisation_id=target.organisation_id,
                instrument_id=target.instrument_id,
                resource=target.resource,
                sha256=digest,
                document=text,
                found_at=now,
            )
            for digest, text in new[: max(MOST - len(known), 0)]
        ],
        ignore_conflicts=True,
        batch_size=500,
    )
