"""Operations that find instruments, read their state and act on them (section 2 of the contract)."""

from typing import Any

from simulator.actions import ACTIONS, action_start
from simulator.asked import Answer, Asked
from simulator.fleet import Instrument
from simulator.wire import invalid_param, missing_param
from simulator.world import World


def instruments(asked: Asked) -> list[dict[str, Any]]:
    world, key = asked.world, asked.key
    return [i.list_row(world.name(i)) for i in world.fleet if key.reaches(i.serial)]


def instrument(asked: Asked) -> dict[str, Any]:
    found = asked.instrument()
    return found.document(asked.world.name(found))


def rename(asked: Asked) -> Answer:
    found = asked.instrument()
    body = {name.lower(): value for name, value in asked.object().items()}
    if "name" not in body:
        raise missing_param("Name")
    if not isinstance(body["name"], str) or not body["name"].strip():
        raise invalid_param("Name must be text that is not empty.")
    asked.world.rename(found, body["name"])
    return Answer(204)


def flags(world: World, found: Instrument) -> dict[str, bool]:
    """The four flags that the status and the live socket share."""
    online, busy = world.online(found), world.busy.get(found.serial)
    return {
        "online": online,
        "measuring": online and busy is None,
        "calibrationInProgress": busy == "Calibration",
        "sicInProgress": busy == "SIC",
    }


def status(asked: Asked) -> dict[str, Any]:
    world, found = asked.world, asked.instrument()
    document: dict[str, Any] = dict(flags(world, found))
    if calibration := world.last_calibration(found):
        document["lastCalibration"] = calibration.document()
    if sic := world.last_sic(found):
        document["lastSic"] = sic.document()
    return document


def calibration(asked: Asked) -> dict[str, Any]:
    last = asked.world.last_calibration(asked.instrument())
    return last.document() if last else {}


def sic(asked: Asked) -> dict[str, Any]:
    last = asked.world.last_sic(asked.instrument())
    return last.document() if last else {}


def action(asked: Asked) -> dict[str, Any]:
    found = asked.instrument()
    if asked.one("action") is None:
        raise missing_param("Action")
    return action_start(asked.world, found, asked.choice("action", ACTIONS, ""))
