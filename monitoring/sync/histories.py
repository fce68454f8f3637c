"""What is kept of each resource that has a history: how it is asked for, how it is stored, how far back at once."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from instruments.models import Instrument
from instruments.mycirrus import NOISE_VALUES, Client, NoiseTable
from monitoring.alerts.facts import instrument_judge
from monitoring.alerts.incidents import sics_judge
from monitoring.alerts.kinds import CALIBRATION
from monitoring.alerts.limits import levels_judge
from monitoring.flags import impossible_note
from monitoring.models import (
    AlertKind,
    AudioRecording,
    CalibrationLogEntry,
    Event,
    FrequencyMeasurement,
    GasSample,
    MonitorStats,
    ParticulateSample,
    PeakParticleVelocity,
    Resource,
    SeriesRow,
    VibrationDose,
    WeatherSample,
)
from monitoring.possible import BOUNDS
from monitoring.sync import ingest
from monitoring.sync.gaps import Span
from monitoring.sync.upsert import series_upsert, value_columns

# MyCirrus takes a year for checks and notes, 31 days for everything else.
YEAR = timedelta(days=365)
MONTH = timedelta(days=31)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
# Of checks and notes, read again at each live turn: a monitor without a modem goes on checking itself, and uploads it
# all once it is back. There are few of them, so that a month costs no request more.
CHECKS_OVERLAP = MONTH

Fetch = Callable[[Client, Sequence[str], datetime, datetime], Sequence[Any]]
Store = Callable[[Instrument, Sequence[Any], datetime], bool]


@dataclass(frozen=True, slots=True)
class History:
    """One resource's past.

    `window` is asked for at a time where there are rows, `longest` where there are none; history in as many windows
    at once as hold about `most` rows. `first_look` is how far back the first live turn goes; the rest is history.
    `overlap` is read again at each live turn. `usual` is the
    length of a row that does not say its own; None where rows are single happenings and silence is no gap. `near`
    is how far a watermark may be behind for its instrument to be asked for together with others; None where the
    rows name no instrument.
    """

    fetch: Fetch
    store: Store
    window: timedelta
    longest: timedelta = MONTH
    first_look: timedelta = DAY
    overlap: timedelta = timedelta(0)
    most: int = 1_500
    usual: timedelta | None = None
    near: timedelta | None = timedelta(hours=2)

    def window_after(self, asked: timedelta, rows: int) -> timedelta:
        """How much history to ask for after ``asked`` held ``rows``, which is nearly always as dense."""
        if not rows:
            return self.longest
        windows = max(self.most * asked // (rows * self.window), 1)
        return min(windows * self.window, self.longest)


def span_of(row: Any, usual: timedelta) -> tuple[datetime, datetime]:
    """From when to when ``row`` measured."""
    start, end = started(row), getattr(row, "end_at", None)
    if end is not None and timedelta(0) < end - start <= ingest.DAY:
        return start, end
    seconds = _seconds(row)
    return start, start + (usual if seconds is None else timedelta(seconds=seconds))


def covered(rows: Sequence[Any], usual: timedelta) -> tuple[Sequence[Span], timedelta]:
    """The stretches that ``rows`` measured, and the length of the longest row."""
    if isinstance(rows, NoiseTable):
        return rows.covered(usual)
    spans = [span_of(row, usual) for row in rows]
    return spans, max((end - begin for begin, end in spans), default=usual)


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


def _samples(
    model: type[SeriesRow], *, latest: Latest | None = None, **renamed: Callable[[Any], Any]
) -> Store:
    """Storing rows whose members are named like the model's columns, but for those in ``renamed``.

    ``latest`` reads from the newest row what a fleet page shows of it.
    """
    plain = [name for name in value_columns(model) if name not in {"duration_s", "extra", *renamed}]

    def store(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
        cells = [
            {
                "organisation_id": instrument.organisation_id,
                "instrument_id": instrument.pk,
                "start_at": started(row),
                "duration_s": _seconds(row),
                **{name: getattr(row, name) for name in plain},
                **{name: read(row) for name, read in renamed.items()},
            }
            for row in rows
        ]
        written = series_upsert(model, cells)
        if rows and latest is not None:
            newest = max(rows, key=started)
            ingest.latest_store(
                instrument=instrument,
                at=started(newest),
                seconds=_seconds(newest),
                values=latest(newest),
                now=now,
            )
        if rows and model in LIMITED:
            starts, table = [started(row) for row in rows], LIMITED[model]
            values = {name: [cell.get(name) for cell in cells] for name in BOUNDS[table]}
            impossible_note(instrument=instrument, table=table, starts=starts, columns=values)
            levels_judge(instrument=instrument, table=table, starts=starts, changed=len(written), now=now)
        if rows and model is MonitorStats:
            instrument_judge(instrument=instrument, kinds=[AlertKind.SIGNAL], now=now)
        return bool(written)

    return store


def _seconds(row: Any) -> float | None:
    return ingest.believable(getattr(row, "duration_s", None) or getattr(row, "period_s", None))


def _pm(row: Any) -> dict[str, float | None]:
    return {"PM2.5": row.pm2p5_ugm3, "PM10": row.pm10_ugm3}


def _ppv(row: Any) -> dict[str, float | None]:
    """Of the largest axis."""
    axes = (row.v_max_x_mms, row.v_max_y_mms, row.v_max_z_mms)
    return {"PPV": max((value for value in axes if value is not None), default=None)}


def _bands(bands: str) -> Store:
    def store(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
        written = series_upsert(
            FrequencyMeasurement,
            (
                {
                    "organisation_id": instrument.organisation_id,
                    "instrument_id": instrument.pk,
                    "bands": bands,
                    "start_at": row.start_at,
                    "duration_s": _seconds(row),
                    "levels": dict(row.bands),
                }
                for row in rows
            ),
        )
        return bool(written)

    return store


def _records(model: Any, key: Sequence[str], cells: Callable[[Any], dict[str, Any]]) -> Store:
    """Storing happenings by their natural key; what was corrected at MyCirrus is corrected here."""

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
        names = {field.name for field in model._meta.concrete_fields} - {
            "id",
            "organisation",
            "instrument",
            *key,
        }
        model.objects.bulk_create(
            unique.values(),
            update_conflicts=True,
            unique_fields=["organisation", "instrument", *key],
            update_fields=sorted(names),
            batch_size=500,
        )
        return True

    return store


def _event(row: Any) -> dict[str, Any]:
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


def _recording(row: Any) -> dict[str, Any]:
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


_notes_store = _records(CalibrationLogEntry, ("at", "digest"), _note)


def _notes(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
    # The key is all that a note says: what is known is not written again, turn after turn.
    since = min((row.at for row in rows), default=now)
    stored = CalibrationLogEntry.objects.filter(instrument=instrument, at__gte=since)
    known = set(stored.values_list("at", "digest"))
    return _notes_store(instrument, [row for row in rows if (row.at, _digest(row)) not in known], now)


def _calibrations(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
    news = ingest.calibrations_store(instrument=instrument, rows=rows, now=now)
    if news:
        instrument_judge(instrument=instrument, kinds=CALIBRATION, now=now)
    return bool(news)


def _sics(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
    news = ingest.sics_store(instrument=instrument, rows=rows, now=now)
    sics_judge(instrument=instrument, checks=news, now=now)
    if news:
        instrument_judge(instrument=instrument, kinds=[AlertKind.SIC_DRIFT], now=now)
    return bool(news)


def _noise(instrument: Instrument, rows: Sequence[Any], now: datetime) -> bool:
    return ingest.noise_store(instrument=instrument, rows=rows, now=now)


HISTORIES: dict[str, History] = {
    Resource.NOISE: History(
        lambda client, serials, start, end: client.noise_measurements(
            serials, start, end, values=NOISE_VALUES
        ),
        _noise,
        window=DAY,
        most=4_500,
        usual=MINUTE,
    ),
    Resource.OCTAVE: History(
        lambda client, serials, start, end: client.frequency_measurements(
            serials, start, end, bands="Octave"
        ),
        _bands(FrequencyMeasurement.Bands.OCTAVE),
        window=DAY,
        usual=MINUTE,
    ),
    Resource.THIRD_OCTAVE: History(
        lambda client, serials, start, end: client.frequency_measurements(serials, start, end, bands="Third"),
        _bands(FrequencyMeasurement.Bands.THIRD),
        window=DAY,
        usual=MINUTE,
    ),
    Resource.WEATHER: History(
        lambda client, serials, start, end: client.weather(serials, start, end),
        _samples(
            WeatherSample,
            pressure_hpa=lambda row: None if row.pressure_bar is None else row.pressure_bar * 1000,
        ),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.PARTICULATES: History(
        lambda client, serials, start, end: client.particulates(serials, start, end),
        _samples(ParticulateSample, latest=_pm),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.GASES: History(
        lambda client, serials, start, end: client.gases(serials, start, end),
        _samples(GasSample),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.PPV: History(
        lambda client, serials, start, end: client.vibration("PPV", serials, start, end),
        _samples(PeakParticleVelocity, latest=_ppv),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.VDV: History(
        lambda client, serials, start, end: client.vibration("VDV", serials, start, end),
        _samples(VibrationDose),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.STATS: History(
        lambda client, serials, start, end: client.monitor_stats(serials, start, end),
        _samples(MonitorStats),
        window=timedelta(days=7),
        near=DAY,
    ),
    Resource.EVENTS: History(
        lambda client, serials, start, end: client.events(serials, start, end),
        _records(Event, ("start_at", "name"), _event),
        window=timedelta(days=7),
        near=timedelta(days=7),
    ),
    Resource.AUDIO: History(
        lambda client, serials, start, end: [
            row
            for row in client.audio_list(serials, start, end)
            # A recording that says no time at all cannot be placed.
            if row.start_at or row.trigger_start_at
        ],
        _records(AudioRecording, ("remote_id",), _recording),
        window=timedelta(days=7),
        near=timedelta(days=7),
    ),
    Resource.CALIBRATION_LOG: History(
        lambda client, serials, start, end: client.calibration_log(serials[0], start, end),
        _notes,
        window=YEAR,
        longest=YEAR,
        first_look=YEAR,
        overlap=CHECKS_OVERLAP,
        near=None,
    ),
    Resource.CALIBRATIONS: History(
        lambda client, serials, start, end: client.calibrations(serials, start, end),
        _calibrations,
        window=YEAR,
        longest=YEAR,
        first_look=YEAR,
        overlap=CHECKS_OVERLAP,
        near=DAY,
    ),
    Resource.SIC: History(
        lambda client, serials, start, end: client.sics(serials, start, end),
        _sics,
        window=YEAR,
        longest=YEAR,
        first_look=YEAR,
        overlap=CHECKS_OVERLAP,
        near=DAY,
    ),
}
