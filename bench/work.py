"""Works off due targets with N threads, through the same claims and turns as the tasks of a worker."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.db import close_old_connections, connection
from django.utils import timezone

from instruments import keys
from instruments.mycirrus import RateLimiter
from instruments.tenancy import organisation_scope
from monitoring.sync.claims import Claim, due_claim
from monitoring.sync.run import target_run


@lru_cache(maxsize=64)
def _open_limiter(url: str, fingerprint: str) -> RateLimiter:
    """The real limiter with its trip to Redis, at a pace that never makes anybody wait."""
    fast = {"start": 1e6, "floor": 1.0, "ceiling": 1e6, "burst": 100_000}
    return RateLimiter(keys._redis(url), fingerprint, **fast)


@contextmanager
def unpaced() -> Any:
    """No key is slowed down within: what is measured is the work and not the politeness."""
    paced, keys._limiter = keys._limiter, _open_limiter
    try:
        yield
    finally:
        keys._limiter = paced


def work(threads: int, *, turns: int | None = None, stopped: Callable[[], bool] = lambda: False) -> int:
    """Claim and run due targets until nothing is due, ``turns`` have been run or ``stopped`` says so."""
    claims: deque[Claim] = deque()
    lock, done, running = threading.Lock(), 0, 0
    failures: list[BaseException] = []

    def take() -> Claim | None:
        nonlocal running
        with lock:
            if not claims:
                claims.extend(due_claim(now=timezone.now()))
            running += bool(claims)
            return claims.popleft() if claims else None

    def run() -> None:
        try:
            loop()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    def loop() -> None:
        nonlocal done, running
        while not failures and not stopped() and (turns is None or done < turns):
            # As Celery does around each task.
            close_old_connections()
            claim = take()
            if claim is None and running:
                # The key has as many turns under way as it may; one of them will end.
                time.sleep(0.002)
                continue
            if claim is None:
                break
            with organisation_scope(claim.organisation_id):
                turn = target_run(claim=claim)
            if turn is None or turn.message:
                raise RuntimeError(f"a turn failed: {turn}")
            with lock:
                done += 1
                running -= 1

    workers = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return done
