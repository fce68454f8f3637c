"""When the beat's tick was last carried out, and when none was for too long; it knows only what Redis keeps."""

from datetime import UTC, datetime, timedelta

import redis
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)
BEAT_KEY = "cirrusweb:beat"
AWAY_KEY = "cirrusweb:beat:away"
# A tick comes every five seconds; a busy worker leaves some of them out.
LOST = timedelta(minutes=2)
MOST_KEPT = 50
Stretch = tuple[datetime, datetime]


def beat_note(*, client: redis.Redis, now: datetime) -> datetime | None:
    """Note that a tick is carried out; returns when the one before was. A stretch without any is kept."""
    noted = client.set(BEAT_KEY, now.isoformat(), get=True)
    before = _instant(noted) if isinstance(noted, bytes) else None
    if before is not None and now - before > LOST:
        client.lpush(AWAY_KEY, f"{before.isoformat()} {now.isoformat()}")
        client.ltrim(AWAY_KEY, 0, MOST_KEPT - 1)
    return before


def away(*, now: datetime) -> list[Stretch]:
    """The stretches without a tick, the one that may last until ``now`` among them. None, where Redis does not tell."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=2) as client:
            noted, kept = client.get(BEAT_KEY), client.lrange(AWAY_KEY, 0, -1)
    except redis.RedisError:
        log.warning("beat could not be looked at")
        return []
    stretches = [(_instant(start), _instant(end)) for start, end in (each.split() for each in kept)]
    # After a start, whoever asks may be earlier than the first tick.
    if noted and now - _instant(noted) > LOST:
        stretches.append((_instant(noted), now))
    return stretches


def _instant(noted: bytes) -> datetime:
    return datetime.fromisoformat(noted.decode()).astimezone(UTC)
