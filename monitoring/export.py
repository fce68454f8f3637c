"""Stored rows of one organisation as CSV or JSON lines, in the vendor's names; it asks MyCirrus for nothing.

A missing value is empty in CSV and null in JSON, never zero. Times are UTC and end in Z. Units are the vendor's.
Rows come by serial and then by time, so that the same store always writes the same bytes.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import starmap
from typing import Any, TextIO

from django.db.models import Q

from instruments.models import Deployment, Instrument
from instruments.mycirrus import NOISE_VALUES
from instruments.sites import Stay, Stays
from monitoring.models import (
    AudioRecording,
    Calibration,
    CalibrationLogEntry,
    Event,
    FrequencyMeasurement,
    GasSample,
    MonitorStats,
    NoiseMeasurement,
    ParticulateSample,
    PeakParticleVelocity,
    StatusChange,
    SystemIntegrityCheck,
    VibrationDose,
    WeatherSample,
)
from monitoring.possible import BOUNDS, is_impossible

PAGE = 2_000
Row = tuple[Any, ...]


class UnknownInstrument(LookupError):
    """The organisation has no instrument with this serial number, its one argument."""


@dataclass(frozen=True)
class Series:
    """Where a resource lies: its model, the column of its time, and the vendor's name for each column.

    `tie` orders rows of one instant, where the time alone does not tell them apart. `only` narrows a shared table.
    `read` makes of a stored value what the vendor's name stands for.
    """

    model: Any
    time: str
    columns: dict[str, str]
    tie: str = ""
    only: Mapping[str, Any] = field(default_factory=dict)
    # By which bounds its values are looked at; the last column then names those that cannot be true.
    bounds: str = ""
    read: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


def _bar(hpa: float | None) -> float | None:
    # Rounded far below what any sensor tells: dividing leaves 1.0120000000000002 of 1.012.
    return None if hpa is None else round(hpa / 1000, 9)


def _member(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Reads a member of the vendor's own document, in whatever case it came."""

    def read(document: Mapping[str, Any]) -> Any:
        return next((value for key, value in document.items() if key.lower() == name.lower()), None)

    return read


def _text(value: str) -> str | None:
    return value or None


def _bands(bands: FrequencyMeasurement.Bands) -> Series:
    """Levels by the name of the band: which bands there are differs between instruments."""
    return Series(
        FrequencyMeasurement,
        "start_at",
        {
            "startTime": "start_at",
            "duration": "duration_s",
            "type": "bands",
            "bands": "levels",
            "extra": "extra",
        },
        only={"bands": bands},
    )


def _periods(model: Any, bounds: str = "", **columns: str) -> Series:
    return Series(
        model,
        "start_at",
        {"startTime": "start_at", "duration": "duration_s", **columns, "extra": "extra"},
        bounds=bounds,
    )


SERIES: dict[str, Series] = {
    "noise": Series(
        NoiseMeasurement,
        "start_at",
        {
            "startTime": "start_at",
            "duration": "duration_s",
            **{name: name for name in NOISE_VALUES},
            "extra": "extra",
        },
        bounds="noise",
    ),
    "calibrations": Series(
        Calibration,
        "at",
        {"time": "at", "status": "status", "level": "level_db", "offset": "offset_db"},
    ),
    "sic": Series(
        SystemIntegrityCheck,
        "at",
        {
            "time": "at",
            "status": "status",
            "_500Hz": "level_500hz_db",
            "_1KHz": "level_1khz_db",
            "_8KHz": "level_8khz_db",
        },
    ),
    "status-changes": Series(
        StatusChange, "at", {"time": "at", "online": "online", "measuring": "measuring"}
    ),
    "octave": _bands(FrequencyMeasurement.Bands.OCTAVE),
    "third-octave": _bands(FrequencyMeasurement.Bands.THIRD),
    "weather": Series(
        WeatherSample,
        "start_at",
        {
            "time": "start_at",
            "windSpeed": "wind_speed_ms",
            "windDirection": "wind_direction_deg",
            "temperature": "temperature_c",
            "pressure": "pressure_hpa",
            "humidity": "humidity_pct",
            "precipitation": "precipitation_mmh",
            "extra": "extra",
        },
        bounds="weather",
        read={"pressure": _bar},
    ),
    "particulates": _periods(
        ParticulateSample,
        bounds="pm",
        pM1="pm1_ugm3",
        pM2p5="pm2p5_ugm3",
        pM4p25="pm4p25_ugm3",
        pM10="pm10_ugm3",
    ),
    "gases": _periods(
        GasSample,
        bounds="gas",
        co="co_ppb",
        cO2="co2_ppm",
        h2S="h2s_ppb",
        no="no_ppb",
        nO2="no2_ppb",
        o3="o3_ppb",
        sO2="so2_ppb",
        voc="voc",
    ),
    "ppv": _periods(
        PeakParticleVelocity,
        bounds="ppv",
        vMaxX="v_max_x_mms",
        vMaxY="v_max_y_mms",
        vMaxZ="v_max_z_mms",
        fDomX="f_dom_x_hz",
        fDomY="f_dom_y_hz",
        fDomZ="f_dom_z_hz",
    ),
    "vdv": _periods(VibrationDose, vdvX="vdv_x", vdvY="vdv_y", vdvZ="vdv_z"),
    "stats": Series(
        MonitorStats,
        "start_at",
        {
            "time": "start_at",
            "period": "duration_s",
            "cpu": "cpu_pct",
            "mem": "mem_mb",
            "mTot": "mem_total_mb",
            "cache": "cache_mb",
            "disk": "disk_mb",
            "dTot": "disk_total_mb",
            "temp": "temperature_c",
            "voltage": "voltage_v",
            "netRx": "net_rx_kbit",
            "netTx": "net_tx_kbit",
            "lteRsrp": "lte_rsrp",
            "lteRsrq": "lte_rsrq",
            "lteSinr": "lte_sinr",
            "lteSignal": "lte_signal",
            "ping": "ping_ms",
            "extra": "extra",
        },
    ),
    "events": Series(
        Event,
        "start_at",
        {
            "startTime": "start_at",
            "endTime": "end_at",
            "name": "name",
            "type": "type",
            "level": "level_db",
            "audioTime": "audio_at",
            "overall": "document",
            "octave": "document",
            "thirdOctave": "document",
            "timeHistoryId": "time_history_id",
            "audioId": "audio_id",
            # What people said of it here; MyCirrus knows nothing of these three.
            "cause": "tag__cause",
            "comment": "tag__comment",
            "excluded": "tag__excluded",
        },
        tie="name",
        read={
            **{name: _member(name) for name in ("overall", "octave", "thirdOctave")},
            # An event without a recording has none, not one that is called nothing.
            "timeHistoryId": _text,
            "audioId": _text,
        },
    ),
    "audio": Series(
        AudioRecording,
        "start_at",
        {
            "id": "remote_id",
            "startTime": "start_at",
            "endTime": "end_at",
            "triggerName": "trigger_name",
            "triggerStartTime": "document",
            "triggerEndTime": "document",
        },
        tie="remote_id",
        read={name: _member(name) for name in ("triggerStartTime", "triggerEndTime")},
    ),
    "calibration-log": Series(
        CalibrationLogEntry, "at", {"time": "at", "user": "user", "message": "message"}, tie="digest"
    ),
}
# One row each, in the vendor's names where it has one; the last three are ours.
INSTRUMENT_COLUMNS = {
    "serialNumber": "serial",
    "type": "type",
    "model": "model",
    "name": "name",
    "subscription.status": "subscription_status",
    "subscription.tier": "subscription_tier",
    "subscription.addons": "subscription_addons",
    "feature": "features",
    "position.latitude": "latitude",
    "position.longitude": "longitude",
    "firstSeen": "first_seen_at",
    "lastSeen": "seen_at",
    "gone": "gone_at",
}
RESOURCES = (*SERIES, "instruments")
# Ours: the names of the values of a row that cannot be true (monitoring/possible.py); they stay as they came.
IMPOSSIBLE = "impossible"
# Ours too: where the instrument stood then.
SITE = "site"


def columns(resource: str) -> list[str]:
    """The names of a row's values, in order."""
    if resource == "instruments":
        return list(INSTRUMENT_COLUMNS)
    return ["instrument", *SERIES[resource].columns, *([IMPOSSIBLE] if SERIES[resource].bounds else []), SITE]


def _instruments(serials: Sequence[str]) -> Any:
    rows = Instrument.objects.order_by("serial")
    if not serials:
        return rows
    known = set(rows.filter(serial__in=serials).values_list("serial", flat=True))
    for serial in serials:
        if serial not in known:
            raise UnknownInstrument(serial)
    return rows.filter(serial__in=known)


def _range(time: str, start: datetime | None, end: datetime | None) -> Q:
    wanted = Q()
    if start is not None:
        wanted &= Q(**{f"{time}__gte": start})
    if end is not None:
        wanted &= Q(**{f"{time}__lt": end})
    return wanted


def _series_rows(
    series: Series, instruments: Any, start: datetime | None, end: datetime | None
) -> Iterator[Row]:
    key = [series.time, series.tie] if series.tie else [series.time]
    names = list(dict.fromkeys([*key, *series.columns.values()]))
    # Where each value of a row is found, and what is made of it.
    cells = [(names.index(column), series.read.get(name)) for name, column in series.columns.items()]
    held = BOUNDS.get(series.bounds, {})
    bounded = [
        (name, column, names.index(column)) for name, column in series.columns.items() if column in held
    ]
    for pk, serial in instruments.values_list("pk", "serial"):
        rows = series.model.objects.filter(_range(series.time, start, end), instrument_id=pk, **series.only)
        rows = rows.order_by(*key).values_list(*names)
        deployments = Deployment.objects.filter(instrument_id=pk)
        stays = Stays(starmap(Stay, deployments.values_list("start_at", "end_at", "site__name")))
        # Pages by key rather than one cursor: no transaction stays open for the length of an export, which
        # would hold vacuum back on PostgreSQL and every writer on SQLite, and the index gives the order.
        page = list(rows[:PAGE])
        while page:
            for row in page:
                told = (serial, *(read(row[place]) if read else row[place] for place, read in cells))
                if series.bounds:
                    bad = [
                        n for n, column, place in bounded if is_impossible(series.bounds, column, row[place])
                    ]
                    told = (*told, bad or None)
                yield (*told, stays.at(row[0]) or None)
            last = page[-1]
            full = len(page) == PAGE
            page = []
            if full:
                page = list(rows.filter(_after(series, last))[:PAGE])


def _after(series: Series, last: Row) -> Q:
    """What comes behind the row ``last``, whose first values are the key."""
    later = Q(**{f"{series.time}__gt": last[0]})
    if not series.tie:
        return later
    # The first half alone lets the database begin at the right place of the index.
    return Q(**{f"{series.time}__gte": last[0]}) & (later | Q(**{f"{series.tie}__gt": last[1]}))


def export_rows(
    *,
    resource: str,
    start: datetime | None = None,
    end: datetime | None = None,
    serials: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows of the organisation in scope from ``start`` up to, not including, ``end``, a page in memory at a time.

    The scope has to stay open while the rows are read. For `instruments`: those that MyCirrus listed at any
    time in the range. Raises UnknownInstrument at once, before the first row.
    """
    instruments = _instruments(serials)
    if resource != "instruments":
        return _series_rows(SERIES[resource], instruments, start, end)
    if start is not None:
        instruments = instruments.filter(Q(gone_at=None) | Q(gone_at__gte=start))
    if end is not None:
        instruments = instruments.filter(first_seen_at__lt=end)
    return iter(instruments.values_list(*INSTRUMENT_COLUMNS.values()))


def utc_text(at: datetime) -> str:
    """``at`` as MyCirrus writes times: UTC with Z, fractions only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def csv_value(value: Any) -> Any:
    """A stored value as a cell of CSV."""
    if isinstance(value, datetime):
        return utc_text(value)
    # true and false, lists and objects as JSON has them; text, numbers and nothing as they are.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value


def csv_write(stream: TextIO, resource: str, rows: Iterable[Row]) -> int:
    """Write a header and ``rows`` (RFC 4180, but lines end with LF) and return how many rows there were."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns(resource))
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        writer.writerow([csv_value(value) for value in row])
    return count


def jsonl_write(stream: TextIO, resource: str, rows: Iterable[Row]) -> int:
    """Write each row as an object on a line of its own and return how many there were."""
    names = columns(resource)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        values = (utc_text(value) if isinstance(value, datetime) else value for value in row)
        stream.write(json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False) + "\n")
    return count


WRITERS: dict[str, Callable[[TextIO, str, Iterable[Row]], int]] = {"csv": csv_write, "jsonl": jsonl_write}
