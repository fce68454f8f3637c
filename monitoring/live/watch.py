"""What hub and web processes say to each other through Redis: who is watched, by which hub, and what it hears.

Everything here is a lease or a message: losing all of it costs the viewers seconds, and nothing else anything.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from instruments.mycirrus.live import OCTAVES

# What a viewer may ask for; a connection asks for the groups of all its viewers together.
GROUPS: dict[str, tuple[str, ...]] = {"levels": ("LAeq", "LAF", "LCPeak"), "octaves": OCTAVES}

WATCHED = "live:watched"
# There while a hub is at work.
ALIVE = "live:alive"
WATCH_SECONDS = 12.0
RENEW_SECONDS = 4.0
HUB_SECONDS = 8.0

# Redis' own clock judges leases, so that web servers and hub need not agree on the time.
RENEW_WATCH = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i]) end
redis.call('EXPIRE', KEYS[1], 3600)
"""
READ_WATCHED = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
# Claims an instrument for one hub or renews the claim; the last state lives no longer than the claim.
HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end
"""


@dataclass(frozen=True, order=True)
class Watched:
    """One instrument of one organisation."""

    organisation_id: int
    serial: str

    @property
    def claim(self) -> str:
        """The key that says which hub holds its socket."""
        return f"live:hub:{self.organisation_id}:{self.serial}"

    @property
    def last(self) -> str:
        """The key with its last state, for a viewer that comes later."""
        return f"live:last:{self.organisation_id}:{self.serial}"

    def member(self, group: str) -> str:
        """Its entry among the watched."""
        return f"{self.organisation_id}:{group}:{self.serial}"


def watched_groups(members: list[Any]) -> dict[Watched, tuple[str, ...]]:
    """Who is watched, with the value names that all its viewers want together."""
    groups: dict[Watched, set[str]] = {}
    for member in members:
        # The serial comes last: it may hold anything, colons too.
        organisation_id, group, serial = _text(member).split(":", 2)
        if group in GROUPS:
            groups.setdefault(Watched(int(organisation_id), serial), set()).add(group)
    return {
        watched: tuple(name for group, names in GROUPS.items() if group in wanted for name in names)
        for watched, wanted in groups.items()
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Channels:
    """The names of the channels. Publishing knows no databases, so the database's number is part of each."""

    def __init__(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        number = parse_qs(parts.query).get("db", [""])[0]
        if not number and parts.scheme != "unix":
            number = parts.path.strip("/")
        self._prefix = f"live:{number or 0}:"
        self.pattern = f"{self._prefix}*"
        # Rung by a first viewer, so that the hub need not look often.
        self.bell = f"live-bell:{number or 0}"

    def of(self, watched: Watched) -> str:
        return f"{self._prefix}{watched.organisation_id}:{watched.serial}"

    def watched(self, channel: Any) -> Watched:
        organisation_id, serial = _text(channel).removeprefix(self._prefix).split(":", 1)
        return Watched(int(organisation_id), serial)
