"""Letting old rows go: per organisation and resource, in bounded chunks; rollups are always kept.

Checks and notes are never let go: an instrument's whole record hangs on them, and they are few.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from instruments.models import Instrument, Organisation
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.media.fetch import files_drop, files_of
from monitoring.models import (
    AudioRecording,
    Event,
    EventTag,
    FrequencyMeasurement,
    Gap,
    GasSample,
    ImpossibleRow,
    MonitorStats,
    NoiseMeasurement,
    ParticulateSample,
    PeakParticleVelocity,
    Resource,
    Retention,
    SeriesRow,
    SyncTarget,
    UnreadRow,
    VibrationDose,
    WeatherSample,
)
from monitoring.storage.partitions import TableBusy, partitions, table_change
from monitoring.sync.floors import floors_follow, floors_of

log = structlog.get_logger(__name__)
CHUNK = 5_000

# What can be let go, and the condition that tells two resources of one table apart.
KEPT_IN: dict[str, tuple[type[SeriesRow], dict[str, Any]]] = {
    Resource.NOISE: (NoiseMeasurement, {}),
    Resource.OCTAVE: (FrequencyMeasurement, {"bands": FrequencyMeasurement.Bands.OCTAVE}),
    Resource.THIRD_OCTAVE: (FrequencyMeasurement, {"bands": FrequencyMeasurement.Bands.THIRD}),
    Resource.WEATHER: (WeatherSample, {}),
    Resource.PARTICULATES: (ParticulateSample, {}),
    Resource.GASES: (GasSample, {}),
    Resource.PPV: (PeakParticleVelocity, {}),
    Resource.VDV: (VibrationDose, {}),
    Resource.STATS: (MonitorStats, {}),
}
# Happenings go with the sound that was fetched of them.
HAPPENED: dict[str, type[Event] | type[AudioRecording]] = {
    Resource.EVENTS: Event,
    Resource.AUDIO: AudioRecording,
}
# What flags call the tables whose values have bounds: monitoring/possible.py.
FLAGGED: dict[str, str] = {
    Resource.NOISE: "noise",
    Resource.WEATHER: "weather",
    Resource.PARTICULATES: "pm",
    Resource.GASES: "gas",
    Resource.PPV: "ppv",
}


def partitions_drop(*, now: datetime) -> list[str]:
    """Drop the months that no organisation keeps any longer, whole; return their names."""
    dropped: list[str] = []
    for table, cutoff in cutoffs(now).items():
        for partition in partitions(table):
            if partition.end_at <= cutoff:
                try:
                    table_change(f"DROP TABLE {connection.ops.quote_name(partition.name)}")
                except TableBusy:
                    return dropped
                dropped.append(partition.name)
    return dropped


def cutoffs(now: datetime) -> dict[str, datetime]:
    """For each table the instant before which nobody keeps anything; tables that somebody keeps whole are left out."""
    owners = Organisation.objects.count()
    with all_organisations(reason="a month is dropped only when no organisation keeps it"):
        days = {
            resource: list(Retention.objects.filter(resource=resource).values_list("days", flat=True))
            for resource in KEPT_IN
        }
    kept: dict[str, list[int] | None] = {}
    for resource, (model, _) in KEPT_IN.items():
        table = model._meta.db_table
        if len(days[resource]) < owners:
            kept[table] = None
        elif (others := kept.setdefault(table, [])) is not None:
            others += days[resource]
    return {table: now - timedelta(days=max(longest)) for table, longest in kept.items() if longest}


def rows_drop(*, organisation: Organisation, now: datetime, most: int = 200_000) -> int:
    """Delete what is older than the organisation keeps, a chunk in each transaction; return how many rows.

    ``most`` are about as many as each rule may take in one go: the first of them would leave the others nothing.
    """
    total = 0
    with organisation_scope(organisation.pk):
        rules = list(Retention.objects.all())
        if rules:
            # Before the rows go: a target must not say that they are here, should they be wanted again.
            floors_follow(targets=SyncTarget.objects.all(), floors=floors_of(organisation.pk, now), now=now)
        for rule in rules:
            edge = now - timedelta(days=rule.days)
            # A flag of a row that is gone would point at nothing.
            ImpossibleRow.objects.filter(table=FLAGGED.get(rule.resource, ""), start_at__lt=edge).delete()
            UnreadRow.objects.filter(resource=rule.resource, found_at__lt=edge).delete()
            # Of what is not kept nothing is missing.
            Gap.objects.filter(resource=rule.resource, end_at__lte=edge).delete()
            old = _rows(rule.resource).filter(start_at__lt=edge)
            instruments = Instrument.objects.order_by("pk").values_list("pk", flat=True)
            dropped = 0
            for count in chain.from_iterable(_chunks(old.filter(instrument_id=pk)) for pk in instruments):
                dropped += count
                if dropped >= most:
                    break
            total += dropped
    if total:
        log.info("retention", organisation=organisation.slug, rows=total)
    return total


def _rows(resource: str) -> Any:
    if resource == Resource.EVENTS:
        # What somebody has said of an event keeps it.
        return Event.objects.exclude(Exists(EventTag.objects.filter(event=OuterRef("pk"))))
    if resource in HAPPENED:
        return HAPPENED[resource].objects.all()
    model, where = KEPT_IN[resource]
    return model._default_manager.filter(**where)


def _chunks(old: Any) -> Iterator[int]:
    """Delete one instrument's rows from the oldest on, a chunk in each transaction: an index range, no long lock.

    Each begins where the last one ended: what was deleted lies in PostgreSQL's index until it is vacuumed.
    """
    if not old.exists():
        return
    while True:
        edge = old.order_by("start_at").values_list("start_at", flat=True)[CHUNK : CHUNK + 1].first()
        rows = old if edge is None else old.filter(start_at__lt=edge)
        if not issubclass(rows.model, SeriesRow):
            # Before their rows, by which whoever is stopped in between finds them: they can be fetched again.
            for row in rows.select_related("instrument"):
                files_drop(files_of(row))
        with transaction.atomic():
            count: int = rows._raw_delete(rows.db)
        if count:
            yield count
        if edge is None:
            return
        old = old.filter(start_at__gte=edge)
