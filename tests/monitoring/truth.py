"""What the simulator says is true and what the tables hold, in one form, so that a test can compare row by row."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.forms.models import model_to_dict

from instruments.models import Instrument
from instruments.mycirrus import NOISE_VALUES
from monitoring import export
from monitoring.charts.sample_kinds import KINDS, How, Quantity
from monitoring.models import (
    BandRollup,
    Bucket,
    Calibration,
    FrequencyMeasurement,
    Gap,
    NoiseMeasurement,
    NoiseRollup,
    SampleRollup,
    SystemIntegrityCheck,
)
from tests.simulated import SimulatedMyCirrus

Row = dict[str, Any]

# The resource, the vendor's address for it, and more of its query.
MIRRORED = {
    "octave": ("/data/frequency/measurements", "&bands=Octave"),
    "third-octave": ("/data/frequency/measurements", "&bands=Third"),
    "weather": ("/data/weather", ""),
    "particulates": ("/data/particulates", ""),
    "gases": ("/data/gases", ""),
    "ppv": ("/data/vibration/PPV", ""),
    "vdv": ("/data/vibration/VDV", ""),
    "stats": ("/data/monitor/stats", ""),
    "events": ("/data/events", ""),
    "audio": ("/data/audio", ""),
    "calibration-log": ("/data/calibrations/log", ""),
}


def told(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)


def noise_told(mycirrus: SimulatedMyCirrus, serial: str, start: datetime, end: datetime) -> list[Row]:
    """The measurements that begin in [start, end), oldest first."""
    rows: list[Row] = []
    while start < end:
        stop = min(start + timedelta(days=5), end)
        query = f"instruments={serial}&start={told(start)}&end={told(stop)}&values={','.join(NOISE_VALUES)}"
        for row in mycirrus.get("/data/noise/measurements", query):
            values = {name: row.get(name) for name in NOISE_VALUES}
            begin = read(row["startTime"])
            if start <= begin < stop:
                rows.append({"start_at": begin, "duration_s": row["duration"], **values})
        start = stop
    return rows


def noise_stored(instrument: Instrument) -> list[Row]:
    """Every stored measurement, oldest first."""
    rows = NoiseMeasurement.objects.filter(instrument=instrument).order_by("start_at")
    return list(rows.values("start_at", "duration_s", *NOISE_VALUES))


def rollups_are_exact(instrument: Instrument, *, before: datetime | None = None) -> None:
    """Each rollup that ends by ``before`` is the sum of its own measurements, and none lacks or is without any."""
    measured = list(NoiseMeasurement.objects.filter(instrument=instrument).order_by("start_at"))
    for bucket_s in Bucket.values:
        buckets: dict[datetime, list[NoiseMeasurement]] = {}
        for row in measured:
            start = int(row.start_at.timestamp()) // bucket_s * bucket_s
            buckets.setdefault(datetime.fromtimestamp(start, tz=UTC), []).append(row)
        wanted = {}
        for start, rows in buckets.items():
            levels = [row.LAeq for row in rows if row.LAeq is not None]
            energy = sum(60 * 10 ** (level / 10) for level in levels)
            told = energy, 60.0 * len(levels), len(rows), min(levels, default=None), max(levels, default=None)
            if before is None or start + timedelta(seconds=bucket_s) <= before:
                wanted[start] = told
        stored = {
            rolled.start_at: (rolled.energy, rolled.valid_s, rolled.count, rolled.LAeq_min, rolled.LAeq_max)
            for rolled in NoiseRollup.objects.filter(instrument=instrument, bucket_s=bucket_s)
            if before is None or rolled.start_at + timedelta(seconds=bucket_s) <= before
        }
        assert stored.keys() == wanted.keys()
        for start, values in wanted.items():
            assert stored[start] == pytest.approx(values)


def sample_rollups_are_exact(
    instrument: Instrument, resource: str, *, before: datetime | None = None
) -> None:
    """The same of the samples of ``resource``, of each of its quantities and panels."""
    kind = KINDS[resource]
    measured = list(kind.model._default_manager.filter(instrument=instrument).order_by("start_at"))
    stored = SampleRollup.objects.filter(instrument=instrument, resource=resource)
    for rolled, rows in _each_bucket(measured, stored, before):
        for name, panel in kind.panels.items():
            for each in panel.quantities:
                assert rolled.sums[each.column] == pytest.approx(_summed(rows, each)), each.column
            valued = [
                row for row in rows if any(getattr(row, q.column) is not None for q in panel.quantities)
            ]
            assert rolled.valid[name] == pytest.approx([sum(map(_lasted, valued)), len(valued)])


def band_rollups_are_exact(instrument: Instrument, bands: str, *, before: datetime | None = None) -> None:
    """The same of spectra, of each of their bands."""
    measured = list(FrequencyMeasurement.objects.filter(instrument=instrument, bands=bands))
    stored = BandRollup.objects.filter(instrument=instrument, bands=bands)
    for rolled, rows in _each_bucket(measured, stored, before):
        assert rolled.valid_s == sum(map(_lasted, rows))
        names = {name for row in rows for name, level in row.levels.items() if level is not None}
        assert rolled.sums.keys() == names
        for name in names:
            held = [(row.levels[name], _lasted(row)) for row in rows if row.levels.get(name) is not None]
            energy = sum(seconds * 10 ** (level / 10) for level, seconds in held)
            assert rolled.sums[name] == pytest.approx([energy, sum(seconds for _, seconds in held)])


def _each_bucket(
    measured: list[Any], stored: Any, before: datetime | None
) -> Iterator[tuple[Any, list[Any]]]:
    """Each rollup that ends by ``before`` with its own rows; there is one wherever there are rows, and no other."""
    for bucket_s in Bucket.values:
        length = timedelta(seconds=bucket_s)
        wanted: dict[datetime, list[Any]] = {}
        for row in measured:
            start = datetime.fromtimestamp(int(row.start_at.timestamp()) // bucket_s * bucket_s, tz=UTC)
            if before is None or start + length <= before:
                wanted.setdefault(start, []).append(row)
        rolled = {
            each.start_at: each
            for each in stored.filter(bucket_s=bucket_s)
            if before is None or each.start_at + length <= before
        }
        assert rolled.keys() == wanted.keys()
        for start, rows in wanted.items():
            assert rolled[start].count == len(rows)
            yield rolled[start], rows


def _lasted(row: Any) -> float:
    return 60.0 if row.duration_s is None else float(row.duration_s)


def _summed(rows: list[Any], quantity: Quantity) -> list[float | None]:
    valued = [row for row in rows if getattr(row, quantity.column) is not None]
    if quantity.how == How.DIRECTION:
        winds = [row for row in valued if getattr(row, quantity.speed) is not None]
        turns = [math.radians(getattr(row, quantity.column)) for row in winds]
        metres = [_lasted(row) * getattr(row, quantity.speed) for row in winds]
        east, north = (
            sum(metre * part(turn) for metre, turn in zip(metres, turns, strict=True))
            for part in (math.sin, math.cos)
        )
        return [east, north, sum(map(_lasted, winds)), None]
    values = [getattr(row, quantity.column) for row in valued]
    weighted = sum(value * _lasted(row) for value, row in zip(values, valued, strict=True))
    return [weighted, sum(map(_lasted, valued)), min(values, default=None), max(values, default=None)]


def stretches_missing(rows: list[Row], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The parts of [start, end) that none of the measurements ``rows``, oldest first, covers."""
    found = []
    for row in rows:
        if row["start_at"] > start:
            found.append((start, row["start_at"]))
        start = max(start, row["start_at"] + timedelta(seconds=row["duration_s"]))
    return [*found, (start, end)] if start < end else found


def gaps_stored(instrument: Instrument, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The gaps of the noise ledger within [start, end), those that meet as one: one part may have been off."""
    found: list[tuple[datetime, datetime]] = []
    rows = Gap.objects.filter(instrument=instrument, resource="noise", end_at__gt=start, start_at__lt=end)
    for gap in rows.order_by("start_at"):
        begin, until = max(gap.start_at, start), min(gap.end_at, end)
        if found and found[-1][1] == begin:
            begin = found.pop()[0]
        found.append((begin, until))
    return found


def sics_told(mycirrus: SimulatedMyCirrus, serial: str, start: datetime, end: datetime) -> list[Row]:
    query = f"instruments={serial}&start={told(start)}&end={told(end)}"
    return [
        {
            "at": read(row["time"]).replace(microsecond=0),
            "status": row["status"],
            "passed": row["status"] == "Success",
            "level_500hz_db": row["_500Hz"],
            "level_1khz_db": row["_1KHz"],
            "level_8khz_db": row["_8KHz"],
        }
        for row in mycirrus.get("/data/sic", query)
    ]


def sics_stored(instrument: Instrument) -> list[Row]:
    rows = SystemIntegrityCheck.objects.filter(instrument=instrument).order_by("at")
    return list(rows.values("at", "status", "passed", "level_500hz_db", "level_1khz_db", "level_8khz_db"))


def calibrations_told(mycirrus: SimulatedMyCirrus, serial: str, start: datetime, end: datetime) -> list[Row]:
    query = f"instruments={serial}&start={told(start)}&end={told(end)}"
    return [
        {
            "at": read(row["time"]).replace(microsecond=0),
            "status": row["status"],
            "level_db": row["level"],
            "offset_db": row["offset"],
        }
        for row in mycirrus.get("/data/calibrations", query)
    ]


def calibrations_stored(instrument: Instrument) -> list[Row]:
    rows = Calibration.objects.filter(instrument=instrument).order_by("at")
    return list(rows.values("at", "status", "level_db", "offset_db"))


def plain(row: Row, names: list[str]) -> Row:
    """A row in one form, whoever wrote it: instants as instants, bands by name."""
    cells = {}
    for name in names:
        value = row.get(name)
        if name.lower().endswith("time") and isinstance(value, str):
            at = read(value)
            value = at if at.tzinfo else at.replace(tzinfo=UTC)
        if name == "bands" and isinstance(value, list):
            value = {band["name"]: band["value"] for band in value}
        cells[name] = value
    return cells


def exported(resource: str, **options: Any) -> list[Row]:
    """What the organisation in scope has of ``resource``, in the vendor's names."""
    names = export.columns(resource)
    return [dict(zip(names, row, strict=True)) for row in export.export_rows(resource=resource, **options)]


def _names(resource: str) -> tuple[list[str], str]:
    """The vendor's names of the cells, and the one by which rows are ordered; the serial stands by itself."""
    names = export.columns(resource)[1:]
    return names, "startTime" if "startTime" in names else "time"


def series_told(
    mycirrus: SimulatedMyCirrus, resource: str, serial: str, start: datetime, end: datetime
) -> list[Row]:
    """The rows of one of MIRRORED that begin in [start, end), oldest first."""
    (path, more), (names, time) = MIRRORED[resource], _names(resource)
    query = f"instruments={serial}&start={told(start)}&end={told(end)}{more}"
    rows = [plain(row, names) for row in mycirrus.get(path, query)]
    return sorted((row for row in rows if start <= row[time] < end), key=lambda row: (row[time], str(row)))


def series_stored(resource: str, serial: str, start: datetime, end: datetime) -> list[Row]:
    """The same of the organisation in scope."""
    names, time = _names(resource)
    rows = exported(resource, serials=[serial], start=start, end=end)
    return sorted((plain(row, names) for row in rows), key=lambda row: (row[time], str(row)))


def everything_stored(instrument: Instrument) -> Row:
    """All that is kept of one instrument, but for what moves with each poll."""
    present = model_to_dict(instrument.status, exclude=["document", "observed_at"])
    return {
        "present": present,
        "noise": noise_stored(instrument),
        "sics": sics_stored(instrument),
        "calibrations": calibrations_stored(instrument),
    }
