"""API keys: which exist, what each may do and which instruments it reaches; it must never print one."""

from dataclasses import dataclass

from simulator.state import State
from simulator.wire import Refused, access_denied, token_expired

DEFAULT_KEY = "mycirrus-000001-5111C0DE5111C0DE"
SCOPES = (
    "instruments:read",
    "instruments:write",
    "instruments:action",
    "data.live:read",
    "data.noise:read",
    "data.enviro:read",
    "data.events:read",
    "data.audio:read",
    "data.system:read",
    "webhooks:read",
    "webhooks:write",
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key; `instruments` None means the whole fleet."""

    secret: str
    scopes: frozenset[str]
    instruments: frozenset[str] | None

    def reaches(self, serial: str) -> bool:
        return self.instruments is None or serial in self.instruments

    def require(self, scopes: tuple[str, ...], lacking: str | None = None) -> None:
        """Refuse when a scope is missing; `lacking` is one taken away by a mood."""
        if any(scope not in self.scopes or scope == lacking for scope in scopes):
            raise access_denied()


class Keys:
    """The key ring: the default key, those given at the start and those added since, less those revoked."""

    def __init__(self, state: State, extra: list[str]) -> None:
        self._state = state
        self._added: dict[str, dict[str, list[str] | None]] = state.section("keys", {})
        self._revoked: list[str] = state.section("revoked", [])
        self._built_in = {DEFAULT_KEY, *extra}

    def add(self, secret: str, scopes: list[str] | None, instruments: list[str] | None) -> None:
        unknown = sorted(set(scopes or ()) - set(SCOPES))
        if unknown:
            raise Refused(400, "InvalidParam", f"No such scope: {', '.join(unknown)}.")
        self._added[secret] = {
            "scopes": list(SCOPES if scopes is None else scopes),
            "instruments": instruments,
        }
        if secret in self._revoked:
            self._revoked.remove(secret)
        self._state.save()

    def revoke(self, secret: str) -> bool:
        known = self._find(secret) is not None
        self._added.pop(secret, None)
        if secret in self._built_in and secret not in self._revoked:
            self._revoked.append(secret)
        self._state.save()
        return known

    def require(self, secret: str | None) -> Key:
        key = self._find(secret) if secret else None
        if key is None:
            raise token_expired()
        return key

    def _find(self, secret: str) -> Key | None:
        if secret in self._revoked:
            return None
        if (entry := self._added.get(secret)) is not None:
            instruments = entry["instruments"]
            return Key(
                secret,
                frozenset(entry["scopes"] or ()),
                None if instruments is None else frozenset(instruments),
            )
        return Key(secret, frozenset(SCOPES), None) if secret in self._built_in else None
