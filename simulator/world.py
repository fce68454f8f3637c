"""The fleet as it is now: history by time, plus what people have done to it; it must not know of requests."""

import time
from collections.abc import Callable
from typing import Any

from simulator import checks, presence
from simulator.checks import Calibration, Sic
from simulator.fleet import Instrument, fleet_of
from simulator.state import State

Listener = Callable[[Instrument, dict[str, Any]], object]
_JOURNAL_LENGTH = 500


class World:
    """One simulated MyCirrus. `ahead` shifts its clock from ours, in seconds."""

    def __init__(
        self, *, seed: int, epoch: int, fleet: int, state: State, action_seconds: float = 4.0
    ) -> None:
        self.seed, self.epoch, self.state, self.action_seconds = seed, epoch, state, action_seconds
        self.fleet = fleet_of(fleet, seed, epoch)
        self.by_serial = {instrument.serial: instrument for instrument in self.fleet}
        self.ahead = 0.0
        # Serial to (online, since): states forced from outside.
        self.forced: dict[str, tuple[bool, float]] = {}
        # Serial to the action in progress.
        self.busy: dict[str, str] = {}
        self.listeners: list[Listener] = []
        self._names: dict[str, str] = state.section("names", {})
        self._journal: list[dict[str, Any]] = state.section("journal", [])

    def now(self) -> float:
        return time.time() + self.ahead

    def name(self, instrument: Instrument) -> str:
        return self._names.get(instrument.serial, instrument.name)

    def rename(self, instrument: Instrument, name: str) -> None:
        self._names[instrument.serial] = name
        self.state.save()

    def silent_since(self, instrument: Instrument) -> float | None:
        """Since when the instrument is offline, or None when it is online."""
        forced = self.forced.get(instrument.serial)
        if forced is not None:
            return None if forced[0] else forced[1]
        return presence.silent_since(instrument, self.now())

    def online(self, instrument: Instrument) -> bool:
        return self.silent_since(instrument) is None

    def known_until(self, instrument: Instrument) -> float:
        """Up to when its data have arrived: what an offline instrument measures comes when it is back."""
        since = self.silent_since(instrument)
        return self.now() if since is None else since

    def calibrations(self, instrument: Instrument, start: float, end: float) -> list[Calibration]:
        """Calibrations in [start, end) that have arrived, oldest first."""
        end = min(end, self.known_until(instrument))
        done = [
            Calibration(entry["time"], entry["status"], entry["level"], entry["offset"])
            for entry in self._entries(instrument, "Calibration", start, end)
        ]
        return sorted(checks.calibrations(instrument, start, end) + done, key=lambda row: row.time)

    def sics(self, instrument: Instrument, start: float, end: float) -> list[Sic]:
        """SICs in [start, end) that have arrived, oldest first."""
        end = min(end, self.known_until(instrument))
        done = [
            Sic(entry["time"], entry["status"], tuple(entry["levels"]))
            for entry in self._entries(instrument, "SIC", start, end)
        ]
        return sorted(checks.sics(instrument, start, end) + done, key=lambda row: row.time)

    def last_calibration(self, instrument: Instrument) -> Calibration | None:
        return next(reversed(self._recent(self.calibrations, instrument, 95)), None)

    def last_sic(self, instrument: Instrument) -> Sic | None:
        return next(reversed(self._recent(self.sics, instrument, 4)), None)

    def record_calibration(self, instrument: Instrument, row: Calibration) -> None:
        entry = {"time": row.time, "status": row.status, "level": row.level, "offset": row.offset}
        self._record({"serial": instrument.serial, "action": "Calibration", **entry})

    def record_sic(self, instrument: Instrument, row: Sic) -> None:
        entry = {"time": row.time, "status": row.status, "levels": list(row.levels)}
        self._record({"serial": instrument.serial, "action": "SIC", **entry})

    def tell(self, instrument: Instrument, message: dict[str, Any]) -> None:
        """Hand a message to whoever listens: the webhook sender and the live sockets."""
        for listener in list(self.listeners):
            listener(instrument, message)

    def _recent(
        self, rows: Callable[[Instrument, float, float], list[Any]], instrument: Instrument, days: int
    ) -> list[Any]:
        until = self.known_until(instrument)
        return rows(instrument, until - days * 86_400, until) or rows(instrument, until - 800 * 86_400, until)

    def _entries(self, instrument: Instrument, action: str, start: float, end: float) -> list[dict[str, Any]]:
        return [
            entry
            for entry in self._journal
            if entry["serial"] == instrument.serial
            and entry["action"] == action
            and start <= entry["time"] < end
        ]

    def _record(self, entry: dict[str, Any]) -> None:
        self._journal.append(entry)
        del self._journal[:-_JOURNAL_LENGTH]
        self.state.save()
