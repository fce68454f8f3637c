"""One browser's stream of server-sent events, as a response's iterator; who may see it is decided elsewhere."""

import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import Error, connections

from monitoring.live.audience import Audience, Viewer

HEARTBEAT_SECONDS = 15.0
# So long may somebody hear on who is not let in any more.
ADMISSION_SECONDS = 12.0
# Then the browser comes again.
LIFE_SECONDS = 600.0
# A browser that takes nothing for so long is gone, or as good as gone: its thread is wanted elsewhere.
WRITE_SECONDS = 30.0
_LOOK_SECONDS = 1.0


class Stream:
    """A class, not a generator: `close` of a generator that never began would not let the viewer leave."""

    def __init__(
        self,
        audience: Audience,
        viewer: Viewer,
        admitted: Callable[[], bool],
        connection: Any = None,
        *,
        life: float = LIFE_SECONDS,
    ) -> None:
        """``admitted`` asks the database whether the viewer may still hear this."""
        self._audience, self._viewer, self._admitted, self._connection = (
            audience,
            viewer,
            admitted,
            connection,
        )
        self._begun = False
        self._ask_at = _soon()
        # Spread, so that viewers who came together do not come back together.
        self._until = time.monotonic() + life * random.uniform(0.9, 1.1)  # noqa: S311
        self._written_at = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._begun:
            return self._begin()
        while time.monotonic() < self._until and not self._audience.stopping() and self._may_go_on():
            frames = self._viewer.take(_LOOK_SECONDS)
            if frames:
                return self._written(b"".join(b"data: %s\n\n" % frame for frame in frames))
            if self._gone():
                break
            if time.monotonic() - self._written_at >= HEARTBEAT_SECONDS:
                return self._written(b":\n\n")
        raise StopIteration

    def _begin(self) -> bytes:
        """Before the first byte, and after the last middleware."""
        self._begun = True
        _let_go_of_the_database()
        if self._connection is not None:
            self._connection.settimeout(WRITE_SECONDS)
        # The first bytes at once, so that the browser knows that it is connected.
        return self._written(b"retry: 3000\n\n")

    def _may_go_on(self) -> bool:
        if time.monotonic() < self._ask_at:
            return True
        self._ask_at = _soon()
        try:
            return self._admitted()
        except Error:
            # Who can be removed while the database is away? What it said last holds.
            return True
        finally:
            _let_go_of_the_database()

    def _gone(self) -> bool:
        """Whether the browser hung up: while nothing is written nothing else would tell, and its thread is wanted."""
        if self._connection is None:
            return False
        try:
            readable = select.poll()
            readable.register(self._connection, select.POLLIN)
            return bool(readable.poll(0)) and self._connection.recv(1, socket.MSG_PEEK) == b""
        except ValueError:
            # TLS ends here rather than in front: what arrives cannot be peeked at.
            return False
        except OSError:
            return True

    def _written(self, data: bytes) -> bytes:
        self._written_at = time.monotonic()
        return data

    def close(self) -> None:
        self._audience.leave(self._viewer)


def _soon() -> float:
    """Spread, so that viewers who came together do not ask together."""
    return time.monotonic() + ADMISSION_SECONDS * random.uniform(0.6, 1.0)  # noqa: S311


def _let_go_of_the_database() -> None:
    # Django closes a request's connection when its response ends, which is minutes away: a hundred viewers would hold
    # a hundred database connections for nothing. A test's transaction is left alone.
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
