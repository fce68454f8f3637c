"""Identify, Calibration and SIC as they run: started by a request or a socket, told to all when they end."""

import asyncio
from typing import Any

from simulator.checks import calibration_at, sic_at
from simulator.fleet import Instrument
from simulator.wire import instant
from simulator.world import World

ACTIONS = ("Identify", "Calibration", "SIC")
_running: set[asyncio.Task[None]] = set()


def action_start(
    world: World, instrument: Instrument, action: str, *, failing: bool = False
) -> dict[str, Any]:
    """Start an action and answer how it stands. An offline or busy instrument fails it at once."""
    possible = world.online(instrument) and instrument.serial not in world.busy
    if action == "SIC":
        possible = possible and instrument.has_sic
    if action == "Calibration":
        possible = possible and instrument.is_noise
    if not possible:
        _tell(world, instrument, action, "Failed", error=_reason(world, instrument))
        return {"action": action, "status": "Failed"}
    if action == "Identify":
        _tell(world, instrument, action, "Success")
        return {"action": action, "status": "Success"}
    world.busy[instrument.serial] = action
    _tell(world, instrument, action, "InProgress")
    task = asyncio.get_running_loop().create_task(_finish(world, instrument, action, failing))
    # The loop keeps only a weak hold on a task.
    _running.add(task)
    task.add_done_callback(_running.discard)
    return {"action": action, "status": "InProgress"}


async def _finish(world: World, instrument: Instrument, action: str, failing: bool) -> None:
    await asyncio.sleep(world.action_seconds)
    world.busy.pop(instrument.serial, None)
    # A moment in the past, so that the row is there for whoever asks at once; to the millisecond, so that two differ.
    at = round(world.now() - 0.002, 3)
    if action == "Calibration":
        calibration = calibration_at(instrument, at, failed=failing)
        world.record_calibration(instrument, calibration)
        status, data, kind = calibration.status, calibration.document(), "CalibrationFinished"
    else:
        sic = sic_at(instrument, at, failed=failing)
        world.record_sic(instrument, sic)
        status, data, kind = sic.status, sic.document(), "SicFinished"
    error = None if status == "Success" else f"{action} failed"
    _tell(world, instrument, action, status, error=error, data=data)
    world.tell(instrument, finished_message(world, instrument, kind, data))


def finished_message(world: World, instrument: Instrument, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """The webhook message of a finished calibration or SIC."""
    message: dict[str, Any] = {
        "type": kind,
        "instrument": instrument.serial,
        "time": instant(int(world.now())),
    }
    message["status"] = data["status"]
    if data["status"] != "Success":
        message["error"] = "The level is outside the tolerance."
    return {**message, "data": data}


def _tell(
    world: World,
    instrument: Instrument,
    action: str,
    status: str,
    error: str | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    message: dict[str, Any] = {"type": "ActionStatus", "time": instant(int(world.now())), "action": action}
    message["status"] = status
    if error is not None:
        message["error"] = error
    if data is not None:
        message["data"] = data
    world.tell(instrument, message)


def _reason(world: World, instrument: Instrument) -> str:
    if not world.online(instrument):
        return "The instrument is offline."
    if instrument.serial in world.busy:
        return "The instrument is busy."
    return "The instrument cannot do this."
