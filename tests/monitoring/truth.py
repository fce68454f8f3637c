"""What the simulator says is true and what the tables hold, in one form, so that a test can compare row by row."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.forms.models import model_to_dict

from instruments.models import Instrument
from instruments.mycirrus import NOISE_VALUES
from monitoring import export
from monitoring.models import Calibration, NoiseMeasurement, SystemIntegrityCheck
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
