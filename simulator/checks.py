"""Calibrations each month and SICs each night, as a function of time; finished actions are kept elsewhere."""

from dataclasses import dataclass
from typing import Any

from simulator.chance import mixed, signed, unit
from simulator.fleet import DRIFTING, FAILING_SIC, Instrument
from simulator.presence import measured
from simulator.wire import DAY, instant

_MONTH = 30 * DAY
_SIC_LEVELS = (98.5, 98.3, 98.4)  # 500 Hz, 1 kHz, 8 kHz
_SIC_TOLERANCE = 1.5
SIC_HOUR = 2
NOMINAL = 93.7


@dataclass(frozen=True, slots=True)
class Calibration:
    """One calibration; `level` and `offset` in dB."""

    time: float
    status: str
    level: float
    offset: float

    def document(self) -> dict[str, Any]:
        return {"time": instant(self.time), "status": self.status, "level": self.level, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class Sic:
    """One system integrity check; the three levels in dB at 500 Hz, 1 kHz and 8 kHz."""

    time: float
    status: str
    levels: tuple[float, float, float]

    def document(self) -> dict[str, Any]:
        low, middle, high = self.levels
        return {
            "time": instant(self.time),
            "status": self.status,
            "_500Hz": low,
            "_1KHz": middle,
            "_8KHz": high,
        }


def offset_at(instrument: Instrument, at: float) -> float:
    """Offset from factory calibration, dB: a slow walk for all, a steepening creep for the drifting one."""
    years = (at - instrument.epoch) / (365 * DAY)
    offset = signed(instrument.salt, 201) * 0.12 + signed(instrument.salt, 202) * 0.05 * years
    if instrument.character == DRIFTING:
        # 1.1 dB at the epoch, 0.12 dB more each month: each step passes, the sum soon does not.
        offset += 1.1 * 2.0 ** min(years / 0.55, 1.5)
    return offset


def calibration_at(instrument: Instrument, at: float, failed: bool = False) -> Calibration:
    """What a calibration at this instant finds."""
    salt, second = instrument.salt, int(at)
    if failed:
        return Calibration(at, "Failed", round(NOMINAL - 6 + signed(salt, second, 203) * 3, 2), 0.0)
    level = NOMINAL + signed(salt, second, 204) * 0.04
    return Calibration(
        at, "Success", round(level, 2), round(offset_at(instrument, at) + signed(salt, second, 205) * 0.02, 2)
    )


def calibrations(instrument: Instrument, start: float, end: float) -> list[Calibration]:
    """Calibrations in [start, end), oldest first."""
    found: list[Calibration] = []
    if not instrument.is_noise:
        return found
    salt = instrument.salt
    for month in range(int(start // _MONTH) - 1, int(end // _MONTH) + 1):
        day = month * 30 + mixed(salt, month, 206) % 26
        at = day * DAY + 9 * 3600 + mixed(salt, month, 207) % (7 * 3600)
        rows = [calibration_at(instrument, at)]
        if unit(salt, month, 208) < 0.05:
            # The calibrator was not seated: it failed, and somebody tried again.
            rows = [calibration_at(instrument, at - 240, failed=True), *rows]
        found += [
            row for row in rows if start <= row.time < end and measured(instrument, row.time, row.time + 1)
        ]
    return found


def sic_at(instrument: Instrument, at: float, failed: bool = False) -> Sic:
    """What a SIC at this instant finds; `failed` collapses the 8 kHz level as a torn membrane would."""
    salt, second = instrument.salt, int(at)
    levels = [
        level + signed(salt, 210 + place) * 0.2 + signed(salt, second, 213 + place) * 0.06
        for place, level in enumerate(_SIC_LEVELS)
    ]
    days = (at - instrument.epoch) / DAY
    if instrument.character == DRIFTING:
        # 8 kHz: 0.84 dB down at the epoch, 0.014 dB more each night.
        levels[2] -= min(max(days + 60, 0) * 0.014, 4.0)
        failed = failed or levels[2] < _SIC_LEVELS[2] - _SIC_TOLERANCE
    collapsed = failed and instrument.character != DRIFTING
    if instrument.character == FAILING_SIC and days >= -2:
        collapsed = True
    if collapsed:
        levels[2] -= 36 + 2 * signed(salt, second, 217)
    low, middle, high = (round(level, 2) for level in levels)
    return Sic(at, "Failed" if failed or collapsed else "Success", (low, middle, high))


def sics(instrument: Instrument, start: float, end: float) -> list[Sic]:
    """SICs in [start, end), oldest first."""
    if not instrument.has_sic:
        return []
    found: list[Sic] = []
    for day in range(int(start // DAY) - 1, int(end // DAY) + 1):
        at = day * DAY + (SIC_HOUR - instrument.utc_offset) * 3600 + mixed(instrument.salt, day, 209) % 180
        if start <= at < end and measured(instrument, at, at + 20):
            found.append(sic_at(instrument, at))
    return found
