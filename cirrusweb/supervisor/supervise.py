"""Keeps children running and ends them in order; which children there are is not decided here."""

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from cirrusweb.supervisor import orphans
from cirrusweb.supervisor.child import Child
from cirrusweb.supervisor.refusal import Refusal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A start-up in which one child dies this often in a row is given up.
HOPELESS_DEATHS = 4


class StopAsked(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


def say(line: str) -> None:
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError:
        # The terminal is gone; the processes are not.
        pass


class Supervisor:
    """A single thread that sleeps until a child writes, a child ends, a signal comes or a restart is due.

    Use as a context manager: leaving the block ends every child.
    """

    def __init__(self, pidfile: Path) -> None:
        self.pidfile = pidfile
        self.children: list[Child] = []
        self.stopping = False
        self._stops_asked = 0
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._signal_writer = socket.socketpair()

    def __enter__(self) -> "Supervisor":
        for end in (self._wakeup, self._signal_writer):
            end.setblocking(False)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        # A full pipe of wake-ups is no news: the loop looks at everything each time.
        signal.set_wakeup_fd(self._signal_writer.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        signal.set_wakeup_fd(-1)
        self._selector.close()

    def _on_stop(self, *_: object) -> None:
        self._stops_asked += 1

    def start(self, child: Child) -> None:
        if child not in self.children:
            self.children.append(child)
        child.start()
        assert child.output is not None  # noqa: S101
        self._selector.register(child.output, selectors.EVENT_READ, child)
        self._remember()

    def wait_for(
        self, done: Callable[[], bool], *, what: str, seconds: float, log: Path | None = None
    ) -> None:
        """Keeps everything running until ``done()``; Refusal when it is not in time."""
        deadline = time.monotonic() + seconds
        while not done():
            self._turn(0.05)
            hopeless = [child for child in self.children if child.deaths_in_a_row >= HOPELESS_DEATHS]
            if hopeless:
                raise Refusal(f"The {hopeless[0].name} does not stay up: see {hopeless[0].log.path}.")
            if time.monotonic() > deadline:
                raise Refusal(
                    f"{what} did not come up within {seconds:.0f} s{f': see {log}' if log else ''}."
                )

    def complete(self, child: Child, *, seconds: float) -> None:
        """Waits until a command that ends by itself has; Refusal when it failed."""
        self.wait_for(
            lambda: child.exit_code is not None, what=f"The {child.name}", seconds=seconds, log=child.log.path
        )
        self.children.remove(child)
        if child.exit_code != 0:
            self._show_tail(child)
            raise Refusal(f"The {child.name} {child.obituary()}: see {child.log.path}.")

    def run(self) -> None:
        """Keeps everything running until it is asked to stop."""
        while True:
            self._turn(None)

    def stop(self, seconds: float = 6.0) -> None:
        """Ends the children in their stop order, and kills those that take longer than ``seconds`` in all."""
        self.stopping = True
        asked_before = self._stops_asked
        deadline = time.monotonic() + seconds
        for group in _by_stop_order(self.children):
            for child in group:
                child.terminate()
            # What serves others keeps a second of its own, however long the others took.
            patience = max(deadline, time.monotonic() + 1.0)
            while any(child.process for child in group) and time.monotonic() < patience:
                self._turn(0.05)
                if self._stops_asked > asked_before:
                    patience = 0.0
            for child in group:
                if child.process:
                    say(f"The {child.name} did not stop by itself: killed.")
                    child.kill()
        while any(child.process for child in self.children):
            self._turn(0.05)
        self._remember()

    def _turn(self, longest: float | None) -> None:
        """One round: wait at most ``longest`` seconds for something to happen, then act on what did."""
        due = [child.start_due_at for child in self.children if child.start_due_at is not None]
        if due and not self.stopping:
            until_due = max(0.0, min(due) - time.monotonic())
            longest = until_due if longest is None else min(longest, until_due)
        for key, _ in self._selector.select(longest):
            if key.fileobj is self._wakeup:
                self._drain_wakeup()
            else:
                self._read(key.data)
        for child in self.children:
            if child.reap():
                self._on_death(child)
        if self._stops_asked and not self.stopping:
            raise StopAsked
        now = time.monotonic()
        for child in self.children:
            if child.start_due_at is not None and child.start_due_at <= now and not self.stopping:
                self.start(child)

    def _drain_wakeup(self) -> None:
        try:
            while self._wakeup.recv(1024):
                pass
        except BlockingIOError:
            pass

    def _read(self, child: Child) -> None:
        assert child.output is not None  # noqa: S101
        try:
            data = os.read(child.output.fileno(), 65536)
        except BlockingIOError:
            return
        if data:
            child.log.write(data)
        else:
            self._close_output(child)

    def _close_output(self, child: Child) -> None:
        if child.output is not None:
            self._selector.unregister(child.output)
            child.output.close()
            child.output = None

    def _on_death(self, child: Child) -> None:
        # What it wrote last explains the death; its pipe may be held open by a grandchild, so do not wait.
        if child.output is not None:
            self._read(child)
        self._close_output(child)
        self._remember()
        if self.stopping or child.once:
            return
        pause = child.pause_before_restart()
        child.start_due_at = time.monotonic() + pause
        say(f"The {child.name} {child.obituary()}; starting it again in {pause:g} s.")
        if child.crashed:
            self._show_tail(child)

    def _show_tail(self, child: Child) -> None:
        for line in child.log.tail():
            say(f"  {child.name}: {line}")

    def _remember(self) -> None:
        orphans.remember(self.pidfile, [child.pid for child in self.children if child.pid is not None])


def _by_stop_order(children: Iterable[Child]) -> list[list[Child]]:
    groups: dict[int, list[Child]] = {}
    for child in children:
        groups.setdefault(child.stop_order, []).append(child)
    return [groups[order] for order in sorted(groups)]
