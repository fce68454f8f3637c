"""What MyCirrus calls each value that is stored, and where it lies: the columns of an export, in the vendor's names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from instruments.mycirrus import NOISE_VALUES
from monitoring.models import (
    AudioRecording,
    BandRollup,
    Bucket,
    Calibration,
    CalibrationLogEntry,
    Event,
    FrequencyMeasurement,
    GasSample,
    MonitorStats,
    NoiseMeasurement,
    NoiseRollup,
    ParticulateSample,
    PeakParticleVelocity,
    SampleRollup,
    StatusChange,
    SystemIntegrityCheck,
    VibrationDose,
    WeatherSample,
)


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


def _rollups(bucket: Bucket) -> Series:
    """Sums of levels in names of ours: LAeq is 10 log(energy_s / valid_s), over several rows of their sums (R1)."""
    return Series(
        NoiseRollup,
        "start_at",
        {
            "startTime": "start_at",
            "duration": "bucket_s",
            "energy_s": "energy",
            "valid_s": "valid_s",
            "count": "count",
            **{name: name for name in ("LAeq_min", "LAeq_max", "LAFMax", "LCPeak")},
        },
        only={"bucket_s": bucket},
    )


def _sample_rollups(resource: str, bucket: Bucket) -> Series:
    """Sums of samples by our names of their values: see `SampleRollup`."""
    columns = {
        "startTime": "start_at",
        "duration": "bucket_s",
        "count": "count",
        "sums": "sums",
        "valid": "valid",
    }
    return Series(SampleRollup, "start_at", columns, only={"resource": resource, "bucket_s": bucket})


def _band_rollups(bands: FrequencyMeasurement.Bands, bucket: Bucket) -> Series:
    """Sums of spectra by the names of their bands: see `BandRollup`."""
    columns = {
        "startTime": "start_at",
        "duration": "bucket_s",
        "type": "bands",
        "count": "count",
        "valid_s": "valid_s",
        "sums": "sums",
    }
    return Series(BandRollup, "start_at", columns, only={"bands": bands, "bucket_s": bucket})


def _periods(model: Any, bounds: str = "", **columns: str) -> Series:
    return Series(
        model,
        "start_at",
        {"startTime": "start_at", "duration": "duration_s", **columns, "extra": "extra"},
        bounds=bounds,
    )


_BUCKETS = {"quarters": Bucket.QUARTER, "hours": Bucket.HOUR, "days": Bucket.DAY}
_SAMPLED = ("weather", "particulates", "gases", "ppv", "vdv", "stats")

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
    **{f"noise-{name}": _rollups(bucket) for name, bucket in _BUCKETS.items()},
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
            # What people said of it here; MyCirrus knows nothing of these six.
            "cause": "tag__cause",
            "comment": "tag__comment",
            "excluded": "tag__excluded",
            "excluded_at": "tag__excluded_at",
            "excluded_by": "tag__excluded_by_name",
            "tagged_at": "tag__changed_at",
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
    **{
        f"{resource}-{name}": _band_rollups(bands, bucket)
        for resource, bands in (
            ("octave", FrequencyMeasurement.Bands.OCTAVE),
            ("third-octave", FrequencyMeasurement.Bands.THIRD),
        )
        for name, bucket in _BUCKETS.items()
    },
    **{
        f"{resource}-{name}": _sample_rollups(resource, bucket)
        for resource in _SAMPLED
        for name, bucket in _BUCKETS.items()
    },
}
