"""What MyCirrus says, as frozen rows with units in their names; must not parse, fetch or judge.

Every row keeps the remote `document` it was read from. None means that MyCirrus did not say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

Document = Mapping[str, Any]
Row = TypeVar("Row")

NOISE_VALUES: tuple[str, ...] = (
    *("LAeq", "LCeq", "LZeq", "LAE", "LCE", "LZE", "LEX8"),
    *("LAPeak", "LCPeak", "LZPeak"),
    *("LAFMax", "LASMax", "LAIMax", "LCFMax", "LCSMax", "LCIMax", "LZFMax", "LZSMax", "LZIMax"),
    *("LAF1", "LAF5", "LAF10", "LAF50", "LAF90", "LAF95", "LAF99"),
    *("LeqT1Max", "LeqT2Max"),
)
# Above 200 dB there is no sound in air; below −20 dB no instrument of this kind hears any.
POSSIBLE_DB = (-20.0, 200.0)

_PASSED = frozenset({"success", "passed", "pass", "ok"})
_FAILED = frozenset({"failed", "failure", "fail", "error"})
# The words that say either, in lower case.
DECIDED = _PASSED | _FAILED


class Rows(list[Row]):
    """A list of rows, with `skipped`: the documents that could not be understood, so that none is lost."""

    def __init__(self, rows: Iterable[Row] = (), skipped: Iterable[Any] = ()) -> None:
        super().__init__(rows)
        self.skipped: list[Any] = list(skipped)

    @property
    def is_whole(self) -> bool:
        """Whether what is not among the rows was not sent, either."""
        return not odd(self.skipped)

    def only(self, serials: Collection[str]) -> Rows[Row]:
        """Themselves without those that name an instrument other than ``serials``, which go to the skipped ones."""
        others = others_than(serials, (getattr(row, "serial", None) for row in self))
        if not others:
            return self
        mine = [row for row in self if getattr(row, "serial", None) not in others]
        foreign = (row for row in self if getattr(row, "serial", None) in others)
        return Rows(mine, [*self.skipped, *(getattr(row, "document", None) for row in foreign)])


def odd(skipped: Iterable[Any]) -> int:
    """How many documents could not be understood. The vendor's mock puts the text "..." among rows, which is none."""
    return sum(isinstance(each, dict) for each in skipped)


def others_than(serials: Iterable[str], named: Iterable[str | None]) -> set[str]:
    """Those of ``named`` that were not asked for. A row that names nobody may be anybody's."""
    asked = {serial.casefold() for serial in serials}
    return {serial for serial in set(named) if serial and serial.casefold() not in asked}


def passed(status: str) -> bool | None:
    """Whether a status text says success or failure; None for anything else, such as InProgress."""
    word = status.strip().casefold()
    return True if word in _PASSED else False if word in _FAILED else None


@dataclass(frozen=True, slots=True)
class Instrument:
    serial: str
    type: str
    model: str
    name: str
    image: str
    subscription_status: str
    subscription_tier: str
    subscription_addons: tuple[str, ...]
    latitude: float | None
    longitude: float | None
    features: tuple[str, ...]
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Calibration:
    """`offset_db` is against the factory calibration."""

    serial: str | None
    at: datetime
    status: str
    level_db: float | None
    offset_db: float | None
    document: Document = field(repr=False, compare=False)

    @property
    def passed(self) -> bool | None:
        return passed(self.status)


@dataclass(frozen=True, slots=True)
class Sic:
    """One system integrity check. Levels may be there although it failed, and absent although it passed."""

    serial: str | None
    at: datetime
    status: str
    level_500hz_db: float | None
    level_1khz_db: float | None
    level_8khz_db: float | None
    document: Document = field(repr=False, compare=False)

    @property
    def passed(self) -> bool | None:
        return passed(self.status)


@dataclass(frozen=True, slots=True)
class Status:
    online: bool | None
    measuring: bool | None
    calibration_in_progress: bool | None
    sic_in_progress: bool | None
    last_calibration: Calibration | None
    last_sic: Sic | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """`status` is Success, Failed or InProgress; a failed action is an ordinary answer, not an error."""

    action: str
    status: str
    document: Document = field(repr=False, compare=False)

    @property
    def passed(self) -> bool | None:
        return passed(self.status)


@dataclass(frozen=True, slots=True)
class CalibrationLogEntry:
    serial: str | None
    at: datetime
    user: str
    message: str
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class NoiseMeasurement:
    """`values` holds only what was measured, in dB, under the names of NOISE_VALUES (others as they came)."""

    serial: str | None
    start_at: datetime
    end_at: datetime | None
    duration_s: float | None
    values: Mapping[str, float] = field(hash=False)
    labels: Mapping[str, str] = field(hash=False)
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TimeHistoryBlock:
    """A contiguous run: sample i starts at start_at + i * sample_s; None is a missing sample."""

    start_at: datetime
    end_at: datetime | None
    sample_s: float | None
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class TimeHistory:
    """One value (`name`, such as LAeq) of one instrument; `document` leaves out the blocks."""

    serial: str | None
    name: str
    blocks: tuple[TimeHistoryBlock, ...]
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class FrequencyMeasurement:
    """`bands` holds dB by band name (31.5Hz .. 16KHz); `kind` is Octave or Third as MyCirrus said, or ""."""

    serial: str | None
    start_at: datetime
    end_at: datetime | None
    duration_s: float | None
    kind: str
    bands: Mapping[str, float] = field(hash=False)
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class FrequencyBlock:
    start_at: datetime
    end_at: datetime | None
    sample_s: float | None
    bands: Mapping[str, tuple[float | None, ...]] = field(hash=False)


@dataclass(frozen=True, slots=True)
class FrequencyHistory:
    """`kind` is Octave or Third; `document` leaves out the blocks."""

    serial: str | None
    kind: str
    blocks: tuple[FrequencyBlock, ...]
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Weather:
    serial: str | None
    at: datetime
    wind_speed_ms: float | None
    wind_direction_deg: float | None
    temperature_c: float | None
    pressure_bar: float | None
    humidity_pct: float | None
    precipitation_mmh: float | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Particulates:
    serial: str | None
    start_at: datetime
    duration_s: float | None
    pm1_ugm3: float | None
    pm2p5_ugm3: float | None
    pm4p25_ugm3: float | None
    pm10_ugm3: float | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Gases:
    """CO2 is in ppm among ppb; the unit of `voc` is not published."""

    serial: str | None
    start_at: datetime
    duration_s: float | None
    co_ppb: float | None
    co2_ppm: float | None
    h2s_ppb: float | None
    no_ppb: float | None
    no2_ppb: float | None
    o3_ppb: float | None
    so2_ppb: float | None
    voc: float | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Ppv:
    """Peak particle velocity and its dominant frequency, per axis."""

    serial: str | None
    start_at: datetime
    duration_s: float | None
    v_max_x_mms: float | None
    v_max_y_mms: float | None
    v_max_z_mms: float | None
    f_dom_x_hz: float | None
    f_dom_y_hz: float | None
    f_dom_z_hz: float | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Vdv:
    """Vibration dose value per axis, in m/s^1.75 by its definition."""

    serial: str | None
    start_at: datetime
    duration_s: float | None
    vdv_x: float | None
    vdv_y: float | None
    vdv_z: float | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Event:
    """There is no event id: (serial, start_at, name) names one. The columns of `overall` are not published."""

    serial: str | None
    start_at: datetime
    end_at: datetime | None
    name: str
    type: str
    level_db: float | None
    audio_at: datetime | None
    overall: tuple[float | None, ...] | None
    octave: tuple[float | None, ...] | None
    third_octave: tuple[float | None, ...] | None
    time_history_id: str
    audio_id: str
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AudioRecording:
    """`id` belongs to Client.audio; an event's `audio_id` belongs to Client.event_audio."""

    id: str
    serial: str | None
    start_at: datetime | None
    end_at: datetime | None
    trigger_name: str
    trigger_start_at: datetime | None
    trigger_end_at: datetime | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MonitorStats:
    """Units as sent: memory and disk in MB here, but in percent in MonitorCurrent."""

    serial: str | None
    at: datetime
    period_s: float | None
    cpu_pct: float | None
    mem_mb: float | None
    mem_total_mb: float | None
    cache_mb: float | None
    disk_mb: float | None
    disk_total_mb: float | None
    temperature_c: float | None
    voltage_v: float | None
    net_rx_kbit: float | None
    net_tx_kbit: float | None
    lte_rsrp: float | None
    lte_rsrq: float | None
    lte_sinr: float | None
    lte_signal: float | None
    ping_ms: float | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MonitorCurrent:
    serial: str | None
    cpu_pct: float | None
    mem_pct: float | None
    disk_pct: float | None
    temperature_c: float | None
    voltage_v: float | None
    network_kbits: float | None
    sim_quota_mb: float | None
    sim_usage_mb: float | None
    uptime_s: float | None
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MonitorEvent:
    """The shape of these is not published: a time, whatever names it, and the document."""

    serial: str | None
    at: datetime
    type: str
    message: str
    document: Document = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """`document` leaves out the secret, so that it may be stored and shown."""

    id: str
    type: str
    serial: str
    url: str
    secret: str = field(repr=False)
    document: Document = field(repr=False, compare=False)
