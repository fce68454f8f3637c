"""How the rows of each resource are kept: as series, as happenings by their natural key, or as checks."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from instruments.models import Instrument
from instruments.mycirrus import beside_bands, told_by
from instruments.statements import in_parts
from monitoring.alerts.facts import instrument_judge
from monitoring.alerts.incidents import sics_judge
from monitoring.alerts.kinds import CALIBRATION
from monitoring.alerts.limits import levels_judge
from monitoring.charts.sample_sums import USUAL_S
from monitoring.flags import impossible_note
from monitoring.models import (
    AlertKind,
    CalibrationLogEntry,
    FrequencyMeasurement,
    GasSample,
    MonitorStats,
    ParticulateSample,
    PeakParticleVelocity,
    SeriesRow,
    WeatherSample,
)
from monitoring.possible import newest_of
from monitoring.sync import ingest
from monitoring.sync.band_rollups import band_rollups_refresh
from monitoring.sync.rollups import sample_rollups_refresh
from monitoring.sync.upsert import series_write, value_columns

Store = Callable[[Instrument, Sequence[Any], datetime], bool]


def started(row: Any) -> datetime:
    """When ``row`` happened: the API says `startTime` for some and `time` for others."""
    at: datetime | None = row.start_at if hasattr(row, "start_at") else row.at
    # A recording may say no more than when it was triggered.
    return at or row.trigger_start_at


# The tables, beside noise, whose values can be limited: monitoring.alerts.judges.metrics.
LIMITED: dict[type[SeriesRow], str] = {
    GasSample: "gas",
    ParticulateSample: "pm",
    PeakParticleVelocity: "ppv",
    WeatherSample: "weather",
}
Latest = Callable[[Any], dict[str, float | None]]


def samples(
    model: type[SeriesRow], *, latest: Latest | None = None, **renamed: Callable[[Any], Any]
) -> Store:
    """Storing rows whose members are named like the model's columns, but for those in ``renamed``.

    ``latest`` reads from the newest row what a fleet page shows of it.
    """
    plain = [name for name in value_columns(model) if name not in {"duration_s", "extra"}]
    readers = {name: renamed.get(name, attrgetter(name)) for name in plain}

    def store(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
        if not rows:
            return False
        starts, seconds = list(map(started, rows)), list(map(seconds_of, rows))
        kind: type = type(rows[0])
        told = told_by(kind, names_of(rows))
        read = {name: list(map(reader, rows)) for name, reader in readers.items()}
        columns = {
            name: column
            for name, column in read.items()
            if any(value is not None for value in column) or readers[name](told.row) is not None
        }
        framed = ingest.framed(instrument, starts, seconds, extras(rows, told.unknown))
        written = series_write(model, framed | columns)
        usual = next((each for each in reversed(seconds) if each), USUAL_S)
        for first, last in ingest.stretches(written) if written else ():
            sample_rollups_refresh(instrument=instrument, model=model, first=first, last=last, usual_s=usual)
        at = newest_of(starts, now)
        newest = None if at is None else rows[starts.index(at)]
        if latest is not None and newest is not None and len(columns) < len(plain):
            # What it does not name is shown as it is stored.
            newest = model.objects.get(instrument=instrument, start_at=started(newest))
        ingest.sample_present_store(
            instrument=instrument,
            model=model,
            at=at,
            seconds=seconds_of(newest),
            values=latest(newest) if latest is not None and newest is not None else None,
            starts=starts,
            columns=columns,
            changed=written,
            now=now,
        )
        if model in LIMITED:
            table = LIMITED[model]
            impossible_note(instrument=instrument, table=table, starts=starts, columns=columns)
            levels_judge(instrument=instrument, table=table, starts=starts, changed=len(written), now=now)
        if model is MonitorStats:
            instrument_judge(instrument=instrument, kinds=[AlertKind.SIGNAL], now=now)
        return bool(written)

    return store


def names_of(rows: Sequence[Any]) -> frozenset[str]:
    """Every name of a member, as MyCirrus spelt it."""
    return frozenset().union(*(row.document for row in rows))


def extras(rows: Sequence[Any], unknown: Sequence[str]) -> list[dict[str, Any] | None]:
    """What came beside the known values, under MyCirrus' own names; hardly ever anything."""
    if not unknown:
        return []
    return [
        {name: value for name in unknown if (value := row.document.get(name)) is not None} or None
        for row in rows
    ]


def seconds_of(row: Any) -> float | None:
    return ingest.believable(getattr(row, "duration_s", None) or getattr(row, "period_s", None))


def particulates(row: Any) -> dict[str, float | None]:
    return {"PM2.5": row.pm2p5_ugm3, "PM10": row.pm10_ugm3}


def largest_axis(row: Any) -> dict[str, float | None]:
    """Of the largest axis."""
    axes = (row.v_max_x_mms, row.v_max_y_mms, row.v_max_z_mms)
    return {"PPV": max((value for value in axes if value is not None), default=None)}


def bands(bands: str) -> Store:
    def store(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
        if not rows:
            return False
        starts, seconds = list(map(started, rows)), list(map(seconds_of, rows))
        bare = [row.start_at for row in rows if not row.bands]
        stored = FrequencyMeasurement.objects.filter(instrument=instrument, bands=bands, start_at__in=bare)
        held = dict(stored.values_list("start_at", "levels")) if bare else {}
        levels = [dict(row.bands) or held.get(row.start_at, {}) for row in rows]
        columns: dict[str, Sequence[Any]] = {"bands": [bands] * len(rows), "levels": levels}
        beside = extras(rows, beside_bands(names_of(rows)))
        framed = ingest.framed(instrument, starts, seconds, beside)
        written = series_write(FrequencyMeasurement, framed | columns)
        usual = next((each for each in reversed(seconds) if each), ingest.level_seconds(instrument))
        for first, last in ingest.stretches(written) if written else ():
            band_rollups_refresh(
                instrument=instrument, bands=bands, first=first, last=last, usual_s=usual or USUAL_S
            )
        return bool(written)

    return store


def records(model: Any, key: Sequence[str], cells: Callable[[Any], dict[str, Any]], at: str) -> Store:
    """Storing happenings by their natural key; what was corrected at MyCirrus is corrected here.

    What an answer leaves out or leaves empty stays as it is stored, and so does a document's member. ``at`` names the
    column of when they were: what is stored of that time is read first, for nearly all of it is there.
    """
    names = {field.name for field in model._meta.concrete_fields if not field.generated}
    names -= {"id", "organisation", "instrument"}
    told = sorted(names - set(key))

    def store(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
        unique = {}
        for row in rows:
            record = model(
                organisation_id=instrument.organisation_id,
                instrument=instrument,
                document=dict(row.document),
                **cells(row),
            )
            unique[tuple(getattr(record, name) for name in key)] = record
        if not unique:
            return False
        instants = [getattr(record, at) for record in unique.values()]
        known = {
            row[: len(key)]: row[len(key) :]
            for few in in_parts(instants)
            for row in model.objects.filter(instrument=instrument, **{f"{at}__in": few}).values_list(
                *key, *told
            )
        }
        for name, held in known.items():
            _keep(unique.get(name), dict(zip(told, held, strict=True)))
        news = [
            record
            for name, record in unique.items()
            if known.get(name) != tuple(getattr(record, field) for field in told)
        ]
        model.objects.bulk_create(
            news,
            update_conflicts=True,
            unique_fields=["organisation", "instrument", *key],
            update_fields=told,
            batch_size=500,
        )
        return bool(news)

    return store


def _keep(record: Any, held: dict[str, Any]) -> None:
    """Put into a record that is stored as ``held`` what its answer does not say."""
    for field, value in held.items() if record is not None else ():
        said = getattr(record, field)
        if isinstance(said, dict):
            setattr(record, field, value | said)
        elif said is None or said == "":
            setattr(record, field, value)


def event(row: Any) -> dict[str, Any]:
    return {
        "start_at": row.start_at,
        "end_at": row.end_at,
        "name": row.name[:100],
        "type": row.type[:32],
        "level_db": row.level_db,
        "audio_at": row.audio_at,
        "time_history_id": row.time_history_id[:200],
        "audio_id": row.audio_id[:200],
    }


def recording(row: Any) -> dict[str, Any]:
    return {
        "remote_id": row.id[:200],
        "start_at": started(row),
        "end_at": row.end_at,
        "trigger_name": row.trigger_name[:100],
    }


def _digest(row: Any) -> str:
    return hashlib.sha256(f"{row.user}\0{row.message}".encode()).hexdigest()


def _note(row: Any) -> dict[str, Any]:
    return {"at": row.at, "user": row.user[:200], "message": row.message, "digest": _digest(row)}


notes = records(CalibrationLogEntry, ("at", "digest"), _note, at="at")


def calibrations(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
    news = ingest.calibrations_store(instrument=instrument, rows=rows, now=now)
    if news:
        instrument_judge(instrument=instrument, kinds=CALIBRATION, now=now)
    return bool(news)


def sics(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
    news = ingest.sics_store(instrument=instrument, rows=rows, now=now)
    sics_judge(instrument=instrument, checks=news, now=now)
    if news:
        instrument_judge(instrument=instrument, kinds=[AlertKind.SIC_DRIFT], now=now)
    return bool(news)


def noise(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
    return ingest.noise_store(instrument=instrument, rows=rows, now=now)
