"""One pace per API key, shared by every worker through Redis; must never make the work stop because Redis did.

No rate is published by MyCirrus, so it is found: additive recovery while requests go well, halved on a 429.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import RateLimited

logger = logging.getLogger(__name__)

# The state is one hash: rate (requests a second), next_at (when the next slot is free), touched_at (until when
# recovery is counted), blocked_until, halved_at, strikes, ahead_at (the next slot of what goes ahead of the rest).
# Redis' own clock, so that workers need not agree on one.
_READ = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local s = redis.call('HMGET', KEYS[1], 'rate', 'next_at', 'touched_at', 'blocked_until', 'halved_at', 'strikes',
                     'ahead_at')
local start, floor, ceiling, recovery = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local rate = tonumber(s[1]) or start
local next_at, touched_at = tonumber(s[2]) or 0, tonumber(s[3]) or now
local blocked_until, halved_at, strikes = tonumber(s[4]) or 0, tonumber(s[5]) or 0, tonumber(s[6]) or 0
local ahead_at = tonumber(s[7]) or 0
-- The clock was turned back: what was noted with it would hold the key up for as long.
if touched_at > now + 1 then
  touched_at, next_at, blocked_until, halved_at, ahead_at = now, 0, 0, 0, 0
end
-- Idle time proves nothing about the limit: at most ten seconds of it count towards recovery.
rate = math.min(ceiling, rate + recovery * math.max(0, math.min(10, now - touched_at)))
local function number(x) return string.format('%.6f', x) end
"""
_ACQUIRE = (
    _READ
    + """
local burst, longest, holding, ahead = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8] == '1'
local earliest = now - (burst - 1) / rate
local slot = math.max(next_at, earliest)
-- What goes ahead has a queue of its own and pushes the other back by as much, so that both together keep the rate.
-- It takes three slots of four at most: those who wait are never starved.
if ahead then slot = math.max(ahead_at, earliest) end
-- Who holds a slot already only has to learn of a block that came while it waited.
if holding and blocked_until <= now then return {1, '0'} end
local wait = math.max(0, math.max(slot, blocked_until) - now)
if wait > longest then return {0, number(wait)} end
local taken_at = math.max(slot, blocked_until)
if ahead then
  redis.call('HSET', KEYS[1], 'ahead_at', number(taken_at + 4 / 3 / rate))
  taken_at = math.max(next_at, earliest)
end
redis.call('HSET', KEYS[1], 'rate', number(rate), 'touched_at', number(now), 'next_at', number(taken_at + 1 / rate),
           'blocked_until', number(blocked_until), 'halved_at', number(halved_at))
redis.call('EXPIRE', KEYS[1], 86400)
return {1, number(wait)}
"""
)
_PENALISE = (
    _READ
    + """
local told, pause = tonumber(ARGV[5]), tonumber(ARGV[6])
-- Requests in flight together are refused together: that is one overload, so it halves once.
if now - halved_at >= 1 then
  rate = math.max(floor, rate / 2)
  strikes = now - halved_at < 120 and strikes + 1 or 1
  halved_at = now
end
local wait = told
if wait < 0 then wait = math.min(60, pause * 2 ^ (strikes - 1)) end
redis.call('HSET', KEYS[1], 'rate', number(rate), 'touched_at', number(now), 'halved_at', number(halved_at),
           'strikes', strikes, 'blocked_until', number(math.max(blocked_until, now + wait)))
redis.call('EXPIRE', KEYS[1], 86400 + math.ceil(wait))
return number(wait)
"""
)
_LOOK = _READ + "return {number(rate), number(math.max(0, blocked_until - now))}"

_LOCAL_SHARE = 4
_REDIS_PAUSE_S = 5.0
_LONGEST_WAIT_AHEAD_S = 5.0


class RateLimiter:
    """The pace of the key named `key_id` (never the secret itself). Rates are in requests a second.

    `acquire` before each request sleeps until its turn, or raises RateLimited when that is more than `longest_wait`
    seconds away. `penalise` after each 429 halves the rate, at most once a second, and blocks the key for the told
    time (without one for 2 s, doubling with each strike in a row up to a minute). The rate recovers by `recovery`
    requests a second each second while it is used. When Redis is away each process paces itself at a quarter of
    `start`, and asks Redis again after five seconds.
    """

    def __init__(
        self,
        connection: redis.Redis,
        key_id: object,
        *,
        start: float = 4.0,
        floor: float = 0.1,
        ceiling: float = 20.0,
        recovery: float = 0.05,
        burst: int = 4,
        longest_wait: float = 5.0,
        prefix: str = "mycirrus:rate",
    ) -> None:
        if not 0 < floor <= start <= ceiling or burst < 1 or recovery < 0:
            raise ValueError("a pace needs 0 < floor <= start <= ceiling, burst >= 1 and recovery >= 0")
        self._redis = connection
        self._key = f"{prefix}:{key_id}"
        self._pace = (start, floor, ceiling, recovery)
        self._burst = burst
        self._longest_wait = longest_wait
        self._ahead = False
        self._acquire = connection.register_script(_ACQUIRE)
        self._penalise = connection.register_script(_PENALISE)
        self._look = connection.register_script(_LOOK)
        self._local = _local_pace(self._key, start / _LOCAL_SHARE)

    @classmethod
    def from_url(cls, url: str, key_id: object, **options: Any) -> RateLimiter:
        """A limiter whose connection gives up on Redis quickly: pacing is not worth waiting for."""
        connection = redis.Redis.from_url(
            url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 1)
        )
        return cls(connection, key_id, **options)

    def ahead(self) -> RateLimiter:
        """The same pace for what somebody waits for: its requests do not queue behind the others, but slow them."""
        other = copy.copy(self)
        other._ahead = True
        other._longest_wait = max(self._longest_wait, _LONGEST_WAIT_AHEAD_S)
        return other

    def acquire(self) -> None:
        """Wait for a turn. Raises RateLimited(retry_after) instead of waiting longer than `longest_wait`."""
        left, holding = self._longest_wait, False
        while True:
            arguments = (self._burst, f"{left:.6f}", int(holding), int(self._ahead))
            answer = self._ask(self._acquire, *arguments)
            granted, wait = (int(answer[0]), float(answer[1])) if answer else self._local.turn(left)
            if not granted:
                raise RateLimited("This key is being slowed down.", retry_after=wait)
            if wait <= 0:
                return
            time.sleep(wait)
            left, holding = max(0.0, left - wait), True
            if answer is None:
                return

    def penalise(self, retry_after: float | None = None) -> float:
        """Note a 429: everybody with this key halves, and waits for `retry_after` seconds.

        Returns how long: without `retry_after` 2 s, doubled at each overload that follows within two minutes, 60 s at
        most.
        """
        told = -1.0 if retry_after is None else max(0.0, retry_after)
        answer = self._ask(self._penalise, f"{told:.6f}", 2)
        wait = 2.0 if retry_after is None else told
        self._local.block(wait)
        return wait if answer is None else float(answer)

    def rate(self) -> float:
        """The present rate, for display."""
        answer = self._ask(self._look)
        return float(answer[0]) if answer else self._local.rate

    def blocked_for(self) -> float:
        """Seconds until this key may be used again, 0 when it may."""
        answer = self._ask(self._look)
        return float(answer[1]) if answer else self._local.blocked_for()

    def _ask(self, script: Callable[..., Any], *arguments: object) -> Any:
        """What the script answers, or None while Redis is away."""
        if time.monotonic() < self._local.redis_again_at:
            return None
        try:
            return script(keys=[self._key], args=[*self._pace, *arguments])
        except redis.RedisError as failure:
            self._local.redis_again_at = time.monotonic() + _REDIS_PAUSE_S
            logger.warning("pacing without Redis: %s", type(failure).__name__)
            return None


class _LocalPace:
    """This process's own careful pace, for while Redis is away."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.redis_again_at = 0.0
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._blocked_until = 0.0

    def turn(self, longest: float) -> tuple[bool, float]:
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._next_at, self._blocked_until)
            if slot - now > longest:
                return False, slot - now
            self._next_at = slot + 1 / self.rate
            return True, slot - now

    def block(self, seconds: float) -> None:
        with self._lock:
            self._blocked_until = max(self._blocked_until, time.monotonic() + seconds)

    def blocked_for(self) -> float:
        return max(0.0, self._blocked_until - time.monotonic())


# Kept for the life of the process: a limiter is often made anew for each piece of work, its pace must not be.
_local_paces: dict[tuple[str, float], _LocalPace] = {}


def _local_pace(key: str, rate: float) -> _LocalPace:
    return _local_paces.setdefault((key, rate), _LocalPace(rate))
