"""How the instrument's own computer fares: monitor history and present values (sections 5.4 and 5.5)."""

import math
from collections.abc import Iterator
from typing import Any

from simulator import weather
from simulator.asked import Asked
from simulator.chance import mixed, signed, smooth, unit
from simulator.fleet import WEAK_SIM, Instrument
from simulator.presence import power_cuts, power_cuts_between
from simulator.wire import DAY, instant

_PERIOD = 300
_MEMORY_MB, _DISK_MB, _QUOTA_MB = 1024, 29_000, 5_000


def monitor_stats(asked: Asked) -> Iterator[dict[str, Any]]:
    instruments, (start, end) = asked.instruments(), asked.range(31)
    return (row for i in instruments if i.is_noise for row in _stats(asked, i, start, end))


def monitor_current(asked: Asked) -> list[dict[str, Any]]:
    """Present values of those that are online to be asked."""
    world = asked.world
    return [_current(i, world.now()) for i in asked.instruments() if i.is_noise and world.online(i)]


def _stats(asked: Asked, instrument: Instrument, start: float, end: float) -> Iterator[dict[str, Any]]:
    last = min(end, asked.world.known_until(instrument))
    for at in range(math.ceil(start / _PERIOD) * _PERIOD, math.ceil(last), _PERIOD):
        if at < instrument.installed or power_cuts_between(instrument, at, at + 1):
            continue
        machine, radio = _machine(instrument, at), _radio(instrument, at)
        yield {
            "time": instant(at),
            "instrument": instrument.serial,
            "period": _PERIOD,
            "cpu": machine["cpu"],
            "mem": round(machine["mem"] * _MEMORY_MB / 100, 1),
            "cache": round(210 + 30 * smooth(instrument.salt + 71, at / 7200), 1),
            "temp": machine["temp"],
            "voltage": machine["voltage"],
            "disk": round(machine["disk"] * _DISK_MB / 100, 1),
            "netRx": round(_used_mb(instrument, at) * 800),
            "netTx": round(_used_mb(instrument, at) * 7200),
            "mTot": _MEMORY_MB,
            "dTot": _DISK_MB,
            **radio,
        }


def _current(instrument: Instrument, now: float) -> dict[str, Any]:
    minute = int(now // 60) * 60
    machine = _machine(instrument, minute)
    return {
        "instrument": instrument.serial,
        **machine,
        "network": round(3 + 2.5 * unit(instrument.salt, minute, 72), 1),
        "simQuota": _QUOTA_MB,
        "simUsage": round(_used_mb(instrument, now), 1),
        "uptime": int(now - _started(instrument, now)),
    }


def _machine(instrument: Instrument, at: int) -> dict[str, float]:
    """cpu, mem and disk in %, temperature in deg C, supply in V."""
    salt = instrument.salt
    air = weather.minute(instrument.region, at)[2]
    night = 0.35 * math.cos((at % DAY) / DAY * 2 * math.pi)
    return {
        "cpu": round(11 + 4 * smooth(salt + 73, at / 3600) + 3 * unit(salt, at, 74), 1),
        "mem": round(38 + 4 * smooth(salt + 75, at / 86_400) + unit(salt, at, 76), 1),
        "temp": round(air + 27 + 2 * smooth(salt + 77, at / 5400), 1),
        "voltage": round(12.6 + 0.2 * signed(salt, 78) - night + 0.03 * signed(salt, at, 79), 2),
        # The disk fills and is tidied every quarter.
        "disk": round(6 + (at / DAY + salt % 90) % 90 * 0.3, 1),
    }


def _radio(instrument: Instrument, at: int) -> dict[str, Any]:
    salt, weak = instrument.salt, instrument.character == WEAK_SIM
    wobble = 4 * smooth(salt + 80, at / 1800) + 2 * signed(salt, at, 81)
    rsrp = (-117 if weak else -92 + 6 * signed(salt, 82)) + wobble
    return {
        "lteRsrp": round(rsrp, 1),
        "lteRsrq": round((-17 if weak else -10) + wobble / 3, 1),
        "lteSinr": round((-1 if weak else 13) + wobble, 1),
        "lteSignal": max(0, min(100, round((rsrp + 124) * 2.2))),
        "ping": round((310 if weak else 62) * (1 + 0.3 * unit(salt, at, 83)), 1),
    }


def _used_mb(instrument: Instrument, at: float) -> float:
    """Megabytes of the SIM used in the thirty days that hold this instant; the weak one is always near its quota."""
    part = at % (30 * DAY) / (30 * DAY)
    if instrument.character == WEAK_SIM:
        return _QUOTA_MB * (0.93 + 0.06 * part)
    return _QUOTA_MB * (0.1 + 0.3 * unit(instrument.salt, 84)) * part


def _started(instrument: Instrument, now: float) -> float:
    """When the instrument was last switched on: after a power cut, or for an update each thirty days or so."""
    today = int(now // DAY)
    for day in range(today, today - 30, -1):
        ended = [end for _, end in power_cuts(instrument, day) if end <= now]
        if ended:
            return float(ended[-1])
    update = today // 30 * 30 * DAY + mixed(instrument.salt, today // 30, 85) % (6 * 3600)
    return float(update if update <= now else update - 30 * DAY)
