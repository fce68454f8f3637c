"""Python imports this by itself: it moves the clock of a process under test by what the file CLOCK_AHEAD says."""

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import time_machine


def _follow(file: Path) -> None:
    ahead = 0.0
    while True:
        wanted = float(file.read_text() or ahead) if file.exists() else 0.0
        if wanted != ahead:
            _clock.shift(wanted - ahead)
            ahead = wanted
        time.sleep(0.1)


def _begin() -> None:
    threading.Thread(target=_follow, args=(Path(os.environ["CLOCK_AHEAD"]),), daemon=True).start()


if "CLOCK_AHEAD" in os.environ:
    # It ticks as ever, and time.monotonic() goes on as it does when a machine's clock is set.
    _clock = time_machine.travel(datetime.now(UTC), tick=True).start()
    _begin()
