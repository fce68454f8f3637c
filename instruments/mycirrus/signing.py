"""Signs and checks webhook messages (contract 8.2); must not read the body as anything but bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_HEX = re.compile(r"[0-9a-fA-F]{64}")
# 32 bytes are 43 base64 characters and one of padding, which some senders leave out.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=?")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]{43}=?")
_PREFIX = "sha256="


def sign(secret: str | bytes, body: bytes) -> bytes:
    """The 32 bytes of HMAC-SHA256 over the raw `body`; a text secret is taken as UTF-8, hyphens and all."""
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, body, hashlib.sha256).digest()


def verify(secret: str | bytes, body: bytes, header: str | bytes | None) -> str | None:
    """The encoding ("hex", "base64" or "base64url") in which `header` signs `body`, or None where it does not.

    The vendor does not say how the signature is encoded, so every encoding of the one right value is taken.
    Never raises for any header or secret. An empty secret verifies nothing: anybody could sign with it.
    """
    decoded = _decoded(header)
    if decoded is None or not secret:
        return None
    encoding, signature = decoded
    try:
        expected = sign(secret, body)
    except UnicodeEncodeError:
        return None
    return encoding if hmac.compare_digest(expected, signature) else None


def _decoded(header: str | bytes | None) -> tuple[str, bytes] | None:
    if isinstance(header, bytes):
        header = header.decode("latin-1")
    if not isinstance(header, str):
        return None
    text = header.strip()
    if text[: len(_PREFIX)].lower() == _PREFIX:
        text = text[len(_PREFIX) :].strip()
    if _HEX.fullmatch(text):
        return "hex", bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        return "base64", base64.b64decode(text[:43] + "=")
    if _BASE64URL.fullmatch(text):
        return "base64url", base64.urlsafe_b64decode(text[:43] + "=")
    return None
