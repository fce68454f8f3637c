"""Secrets at rest: the key ring, encryption, fingerprints; it never logs and never returns what it cannot decrypt."""

import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SecretUnreadable(RuntimeError):
    """No key of the ring decrypts this secret. Put the old key back behind the new one and start again."""


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def key_ring() -> MultiFernet:
    """The installation's ring: its first key encrypts, every key decrypts. Raises ValueError on a malformed key."""
    return _ring(tuple(settings.FIELD_ENCRYPTION_KEYS))


def encrypt(secret: str) -> str:
    """``secret`` as text for the database."""
    return key_ring().encrypt(secret.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """The secret. Raises SecretUnreadable rather than ever handing back ciphertext as if it were a key."""
    return _decrypted(tuple(settings.FIELD_ENCRYPTION_KEYS), ciphertext)


# By the ciphertext, which is read from the database each time: a secret that was replaced is never used again.
@lru_cache(maxsize=512)
def _decrypted(keys: tuple[str, ...], ciphertext: str) -> str:
    try:
        return _ring(keys).decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        # Without the cause: nothing of the ciphertext may travel in a traceback.
        raise SecretUnreadable(
            "A stored secret cannot be decrypted with FIELD_ENCRYPTION_KEYS. "
            "Put the key that encrypted it back into the list."
        ) from None


def rotate(ciphertext: str) -> str:
    """``ciphertext`` encrypted anew with the first key of the ring."""
    try:
        return key_ring().rotate(ciphertext.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable("A stored secret cannot be decrypted with FIELD_ENCRYPTION_KEYS.") from None


def fingerprint(secret: str) -> str:
    """A name for ``secret`` that tells two keys apart and gives nothing of either away (hex, 16 characters).

    Keyed with SECRET_KEY: a plain hash of a key whose shape is known could be guessed.
    """
    return hmac.new(settings.SECRET_KEY.encode(), secret.encode(), hashlib.sha256).hexdigest()[:16]
