"""Writing the gap ledger after a window was stored; it heals by being asked again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from instruments.models import Instrument
from monitoring.models import Gap, Resource, StatusChange
from monitoring.sync.gaps import Missing, Span, merged, missing_between


def _kind(instrument: Instrument, start: datetime) -> str:
    """Off where the instrument was known to be offline or not measuring when the stretch began, else absent."""
    last = (
        StatusChange.objects.filter(instrument=instrument, at__lte=start + timedelta(minutes=5))
        .order_by("-at")
        .first()
    )
    off = last is not None and (last.online is False or last.measuring is False)
    return Gap.Kind.OFF if off else Gap.Kind.ABSENT


def gaps_note(
    *,
    instrument: Instrument,
    resource: Resource,
    start: datetime,
    end: datetime,
    spans: Sequence[Span],
    usual: timedelta,
    now: datetime,
) -> int:
    """Bring the ledger of [start, end] up to date and return how many gaps it now has there."""
    if start >= end:
        return 0
    found = [
        Missing(since, until, _kind(instrument, since))
        for since, until in missing_between(spans, start, end, usual)
    ]
    rows = Gap.objects.filter(instrument=instrument, resource=resource, start_at__lte=end, end_at__gte=start)
    known = [Missing(*row) for row in rows.values_list("start_at", "end_at", "kind")]
    wanted = merged(known, start, end, found)
    if wanted != sorted(known, key=lambda gap: gap.start_at):
        rows.delete()
        Gap.objects.bulk_create(
            [
                Gap(
                    organisation_id=instrument.organisation_id,
                    instrument=instrument,
                    resource=resource,
                    start_at=gap.start_at,
                    end_at=gap.end_at,
                    kind=gap.kind,
                    found_at=now,
                )
                for gap in wanted
            ],
            batch_size=500,
        )
    return len(wanted)
