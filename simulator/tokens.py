"""Opaque ids for recordings and time histories that hold their own address; it must not look anything up."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

RECORDING, EVENT_AUDIO, EVENT_HISTORY = "r", "a", "h"
_LENGTH, _CHECK = 24, 8


def token(seed: int, kind: str, index: int, start: int) -> str:
    """The id of something of one instrument that begins at one second; the kinds cannot be mixed up."""
    plain = f"{index:x}.{start:x}".encode().ljust(_LENGTH)
    check = _hash(seed, kind, plain)[:_CHECK]
    mask = _hash(seed, kind + "mask", check)
    return (
        urlsafe_b64encode(check + bytes(a ^ b for a, b in zip(plain, mask, strict=False)))
        .decode()
        .rstrip("=")
    )


def token_read(seed: int, kind: str, text: str) -> tuple[int, int] | None:
    """Index of the instrument and second of the start, or None when it is no id of this kind."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    check, mask = raw[:_CHECK], _hash(seed, kind + "mask", raw[:_CHECK])
    plain = bytes(a ^ b for a, b in zip(raw[_CHECK:], mask, strict=False))
    if len(plain) != _LENGTH or _hash(seed, kind, plain)[:_CHECK] != check:
        return None
    index, _, start = plain.decode().strip().partition(".")
    return int(index, 16), int(start, 16)


def _hash(seed: int, kind: str, data: bytes) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{kind}\x1f".encode() + data, digest_size=32).digest()
