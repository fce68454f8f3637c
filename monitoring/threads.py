"""How many of a web process' threads may be held for long, and by whom; the rest is for pages, webhooks and /readyz.

Whoever holds one gives it back; how long that may take, and what the refused are told, is decided where it is taken.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Full(Exception):
    """No thread is left that this organisation may hold."""


class Places:
    """The threads that one kind of request may hold at the same time in this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, organisation_id: int) -> None:
        """Hold one more. Raises Full."""
        with self._lock:
            mine = self._held[organisation_id]
            # Who has some leaves one to the others, and one more for each eight that it has.
            left = 1 + mine // 8 if mine else 0
            if self.most - self._held.total() <= left:
                raise Full
            self._held[organisation_id] += 1

    def give_back(self, organisation_id: int) -> None:
        """Hold one less."""
        with self._lock:
            self._held[organisation_id] -= 1

    @contextmanager
    def held(self, organisation_id: int) -> Iterator[None]:
        """Hold one within it. Raises Full."""
        self.take(organisation_id)
        try:
            yield
        finally:
            self.give_back(organisation_id)


# Without a server that says how many threads it has.
VIEWERS, FETCHES = Places(100), Places(8)


def share_out(threads: int) -> None:
    """Told by the web server: an eighth for fetches from MyCirrus, an eighth for what is short, the rest to watch."""
    FETCHES.most = max(1, threads // 8)
    VIEWERS.most = max(1, threads - FETCHES.most - max(2, threads // 8))
