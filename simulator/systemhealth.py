"""Operations on system health: calibration history and log, SIC history (section 5); monitor values are elsewhere."""

from typing import Any

from simulator.asked import Asked
from simulator.chance import mixed
from simulator.wire import instant

_YEAR = 365
_PEOPLE = ("Ann Field", "Ben Castle", "Site office", "Quantum Demo")
_NOTES = (
    "Calibrated, calibrator battery good",
    "Windshield changed and calibrated",
    "Routine visit, no adjustment needed",
    "Calibrated after moving the mast",
)


def calibrations(asked: Asked) -> list[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(_YEAR)
    return [
        {**row.document(), "instrument": instrument.serial}
        for instrument in instruments
        for row in asked.world.calibrations(instrument, start, end)
    ]


def calibration_log(asked: Asked) -> list[dict[str, Any]]:
    """What people noted at their calibrations; as with the vendor, no row names its instrument."""
    instruments, (start, end) = asked.instruments(), asked.range(_YEAR)
    rows = []
    for instrument in instruments:
        # The note is written two minutes after the calibration that it is about.
        for row in asked.world.calibrations(instrument, start - 120, end - 120):
            if row.time + 120 > asked.world.known_until(instrument):
                continue
            pick = mixed(instrument.salt, int(row.time), 501)
            good = row.status == "Success"
            message = _NOTES[pick % len(_NOTES)] if good else "Calibration failed, calibrator not seated"
            rows.append(
                {
                    "time": instant(row.time + 120),
                    "user": _PEOPLE[pick // 8 % len(_PEOPLE)],
                    "message": message,
                }
            )
    return rows


def sics(asked: Asked) -> list[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(_YEAR)
    return [
        {**row.document(), "instrument": instrument.serial}
        for instrument in instruments
        for row in asked.world.sics(instrument, start, end)
    ]
