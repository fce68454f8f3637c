"""Writing the gap ledger after a window was stored; it heals by being asked again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from instruments.models import Instrument
from monitoring.models import Gap, Resource, StatusChange
from monitoring.sync.gaps import Missing, Span, merged, missing_between

# So long after a gap was found it is asked for again: who was away for long uploads the newest first, and the rest
# over days.
LOOKS = (timedelta(days=1), timedelta(days=3), timedelta(days=10), timedelta(days=30))
# So far back from its end, and so many of an instrument at a time: from the newest on.
LATE, MOST_AT_ONCE = timedelta(days=92), 10


def gaps_due(*, instrument: Instrument, resource: Resource, before: datetime, now: datetime) -> list[Span]:
    """The stretches up to ``before`` that may have come late and are to be asked for again, the newest first.

    Of those that ended lately: what MyCirrus does not have of years ago it will not get.
    """
    oldest = now - LOOKS[-1] - timedelta(days=10)
    rows = Gap.objects.filter(
        instrument=instrument,
        resource=resource,
        end_at__gte=oldest,
        found_at__gte=oldest,
        start_at__lt=before,
    )
    due = [
        (max(start_at, end_at - LATE), min(end_at, before))
        for start_at, end_at, found_at, looked_at in rows.order_by("-start_at").values_list(
            "start_at", "end_at", "found_at", "looked_at"
        )
        if any(
            look <= now - found_at and (looked_at is None or looked_at - found_at < look) for look in LOOKS
        )
    ]
    return due[:MOST_AT_ONCE]


def gap_looked(*, instrument: Instrument, resource: Resource, span: Span, now: datetime) -> None:
    """Note that all of ``span`` was asked for again, in the transaction that stored the last of it."""
    start, end = span
    rows = Gap.objects.filter(instrument=instrument, resource=resource, start_at__lt=end, end_at__gt=start)
    rows.update(looked_at=now)


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
    columns = ("start_at", "end_at", "kind", "found_at", "looked_at")
    seen = {Missing(since, until, kind): at for since, until, kind, *at in rows.values_list(*columns)}
    known = list(seen)
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
                    found_at=found_at,
                    looked_at=looked_at,
                )
                for gap in wanted
                for found_at, looked_at in [seen.get(gap, (now, None))]
            ],
            batch_size=500,
        )
    return len(wanted)
