"""One request for many instruments: who may be asked for together, and what was learnt of whether MyCirrus lets us.

Each target keeps its own claim, watermark, transaction and outcome: only the request is shared. Where an answer
cannot be attributed, or one bad serial may have failed the rest, everybody is asked for alone again.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Greatest

from instruments.mycirrus import Client, NoiseTable, PermanentError, Rows, serial_of
from monitoring.models import Lane, Resource, SyncTarget
from monitoring.sync.histories import HISTORIES
from monitoring.sync.kept import started
from monitoring.sync.wanted import every

log = structlog.get_logger(__name__)

# Of 25 serials the address stays short and the answer small.
MOST_TOGETHER = 25
# What is due within this part of its interval comes along.
EARLY = 0.25
ALONE_FOR = timedelta(hours=1)
KNOWN_FOR = timedelta(days=1)

Encoding = Literal["repeat", "comma"]


class NotShared(Exception):
    """Ask for each alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What MyCirrus said of several instruments at once, from ``start`` on.

    Only once several have come in one answer an empty one is known to be empty: see `sure_of`.
    """

    start: datetime
    rows: dict[str, Rows[Any]]
    memory: "_Memory"

    def sure_of(self, serial: str) -> bool:
        """Whether what is there of ``serial`` is all there is."""
        rows = self.rows[serial]
        # Of whom nothing was understood is asked for alone, where that is an error and not nothing.
        return bool(rows) or (self.memory.proven and not rows.skipped)

    def of(self, serial: str, start: datetime) -> Rows[Any] | None:
        """The rows of one instrument from ``start`` on; None where that is further back than was asked."""
        if start < self.start:
            return None
        rows = self.rows[serial]
        return Rows((row for row in rows if started(row) >= start), rows.skipped)


# Until where a live target was asked for last, whether there was anything or not.
ASKED_UNTIL = Greatest("watermark_at", Coalesce("silent_until_at", "watermark_at"))


def comes_along(resource: str, asked_until: datetime | None, now: datetime) -> bool:
    """Whether a live target can be asked for with others of its key: the kind allows it, and it is not far behind."""
    if resource == Resource.NOW:
        return True
    near = HISTORIES[resource].near if resource in HISTORIES else None
    return near is not None and asked_until is not None and asked_until >= now - near


def _asked_until(target: SyncTarget) -> datetime | None:
    if target.watermark_at is None or target.silent_until_at is None:
        return target.watermark_at
    return max(target.watermark_at, target.silent_until_at)


def _shareable(target: SyncTarget, now: datetime) -> bool:
    if target.lane != Lane.LIVE or not comes_along(target.resource, _asked_until(target), now):
        return False
    # The latest check can be had without this scope, each instrument's by itself.
    single = target.resource in (Resource.SIC, Resource.CALIBRATIONS)
    return (not single or target.api_key.allows("data.system:read")) and not alone(
        target.api_key.fingerprint, target.resource
    )


def companions_claim(target: SyncTarget, now: datetime) -> list[SyncTarget]:
    """Hold, by the same token, what can be asked for together with ``target``, which is held already.

    With what somebody rang for only what was rung for too: a mail must not wait for the storing of polls.
    """
    if not _shareable(target, now):
        return []
    soon = now + every(target.resource) * EARLY
    like = SyncTarget.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now),
        api_key_id=target.api_key_id,
        resource=target.resource,
        lane=Lane.LIVE,
        parked_at=None,
        done_at=None,
        due_at__lte=soon,
        instrument__gone_at=None,
    )
    if target.resource != Resource.NOW:
        near = now - (HISTORIES[target.resource].near or timedelta(0))
        like = like.filter(
            Q(watermark_at__gte=near) | Q(watermark_at__isnull=False, silent_until_at__gte=near)
        )
    if target.hinted_at is not None:
        like = like.hinted()
    with transaction.atomic():
        free = like.select_for_update(skip_locked=True, of=("self",)).order_by("due_at")
        found = list(free.values_list("pk", flat=True)[: MOST_TOGETHER - 1])
        if not found:
            return []
        SyncTarget.objects.filter(pk__in=found).update(
            lease_until=target.lease_until, lease_token=target.lease_token
        )
    held = list(SyncTarget.objects.filter(pk__in=found).select_related("instrument__status").order_by("pk"))
    for other in held:
        other.api_key = target.api_key
    return held


def ask_together(
    client_of: Callable[[Encoding], Client], targets: Sequence[SyncTarget], now: datetime
) -> Answer:
    """One answer for all of ``targets``. Raises NotShared, having remembered why, or a TransientError."""
    target, memory = targets[0], _Memory(targets[0])
    serials = [each.instrument.serial for each in targets if each.instrument is not None]
    history = HISTORIES.get(target.resource)
    start = None
    if history is not None:
        # Whoever has to look further back today asks for that alone.
        furthest = now - (history.near or timedelta(0)) - history.overlap - history.astride
        start = min(max(history.live_start(each, now), furthest) for each in targets)
    try:
        with client_of(memory.encoding) as client:
            rows: Rows[Any] | NoiseTable
            if history is None or start is None:
                rows = client.monitor_current(serials)
            else:
                rows = history.fetch(client, serials, start, now)
    except PermanentError as error:
        memory.disprove(f"{type(error).__name__}")
        raise NotShared from None
    by_serial: dict[str, Rows[Any]] = {serial: Rows() for serial in serials}
    unread = [each for each in rows.skipped if isinstance(each, dict)]
    for serial, row in [*((row.serial, row) for row in rows), *((serial_of(each), each) for each in unread)]:
        if serial not in by_serial:
            # Whose it is cannot be told: the example of one operation names no instrument at all.
            memory.disprove("rows without an instrument")
            raise NotShared
        (by_serial[serial].skipped if isinstance(row, dict) else by_serial[serial]).append(row)
    if sum(map(bool, by_serial.values())) > 1:
        memory.prove()
    return Answer(start or now, by_serial, memory)


class _Memory:
    """What was learnt at one address, in Redis: it may be forgotten at any time and is then learnt again."""

    def __init__(self, target: SyncTarget) -> None:
        self.target = target
        self._key = f"mycirrus:shared:{target.api_key.base_url}"
        try:
            found = _redis(settings.REDIS_URL).hgetall(self._key)
        except redis.RedisError:
            raise NotShared from None
        self.encoding: Encoding = "comma" if found.get("encoding") == "comma" else "repeat"
        self.proven = found.get("proven") == "1"

    def prove(self) -> None:
        if not self.proven:
            self.proven = True
            self._keep(self.encoding, True)

    def disprove(self, why: str) -> None:
        """Ask for this resource alone for a while; next time, if it never worked, in the other spelling."""
        target = self.target
        log.info("asked alone", resource=target.resource, why=why, encoding=self.encoding, proven=self.proven)
        with suppress(redis.RedisError):
            key = _alone_key(target.api_key.fingerprint, target.resource)
            _redis(settings.REDIS_URL).set(key, why, ex=ALONE_FOR)
        if not self.proven:
            self._keep("comma" if self.encoding == "repeat" else "repeat", False)

    def _keep(self, encoding: Encoding, is_proven: bool) -> None:
        connection = _redis(settings.REDIS_URL)
        with suppress(redis.RedisError):
            connection.hset(self._key, mapping={"encoding": encoding, "proven": int(is_proven)})
            connection.expire(self._key, KNOWN_FOR)


def _alone_key(fingerprint: str, resource: str) -> str:
    return f"mycirrus:alone:{fingerprint}:{resource}"


def alone(fingerprint: str, resource: str) -> bool:
    """Whether this resource of this key is asked for one by one at present; so it is while Redis is away."""
    try:
        return bool(_redis(settings.REDIS_URL).exists(_alone_key(fingerprint, resource)))
    except redis.RedisError:
        return True


@lru_cache(maxsize=2)
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0, decode_responses=True)
