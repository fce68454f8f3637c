"""What happens as time passes, told as webhook messages; only instruments that somebody watches are looked at."""

import asyncio
from collections.abc import Iterator
from typing import Any

from simulator import checks
from simulator.actions import finished_message
from simulator.events import events
from simulator.fleet import Instrument
from simulator.presence import measured
from simulator.webhooks import Webhooks
from simulator.wire import instant
from simulator.world import World

_TICK = 0.5
_LONGEST_LOOK_BACK = 86_400.0  # a clock put forward by more tells of the last day only
_LONGEST_EVENT = 200


class Happenings:
    """A clock that turns history into messages as it becomes the present."""

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        self._world, self._webhooks = world, webhooks
        self._told_until: dict[str, float] = {}
        self._online: dict[str, bool] = {}
        webhooks.on_new = self.look_at

    async def run(self) -> None:
        while True:
            for serial in self._webhooks.watched():
                self.look_at(serial)
            await asyncio.sleep(_TICK)

    def look_at(self, serial: str) -> None:
        """Tell what became of one instrument since the last look; the first look tells nothing."""
        instrument = self._world.by_serial.get(serial)
        if instrument is not None:
            self._look_at(instrument)

    def _look_at(self, instrument: Instrument) -> None:
        world, serial = self._world, instrument.serial
        now, online = world.now(), world.online(instrument)
        known = world.known_until(instrument)
        since = max(self._told_until.get(serial, known), known - _LONGEST_LOOK_BACK)
        if online != self._online.get(serial, online):
            world.tell(
                instrument,
                {
                    "type": "InstrumentStatus",
                    "instrument": serial,
                    "time": instant(int(now)),
                    "online": online,
                },
            )
        self._online[serial] = online
        if known > since:
            for message in happened(world, instrument, since, known):
                world.tell(instrument, message)
        self._told_until[serial] = max(known, since)


def happened(world: World, instrument: Instrument, since: float, until: float) -> Iterator[dict[str, Any]]:
    """Messages of what history holds in (since, until], beside actions, which tell of themselves."""
    now = instant(int(world.now()))
    # After a time offline the measurements come in one batch, and one message tells of the last.
    end = int(until // instrument.period) * instrument.period
    if end > since and measured(instrument, end - instrument.period, end):
        yield {
            "type": "NewMeasurement",
            "instrument": instrument.serial,
            "time": now,
            "endTime": instant(end),
        }
    ended = [e for e in events(instrument, since - _LONGEST_EVENT, until) if since < e.end <= until]
    if ended:
        start = instant(ended[-1].start)
        yield {"type": "NewEvent", "instrument": instrument.serial, "time": now, "eventTime": start}
    for calibration in checks.calibrations(instrument, since, until):
        yield finished_message(world, instrument, "CalibrationFinished", calibration.document())
    for sic in checks.sics(instrument, since, until):
        yield finished_message(world, instrument, "SicFinished", sic.document())
