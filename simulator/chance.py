"""Chance that repeats: hashed numbers from whole-number coordinates; it must not keep state or read a clock."""

import hashlib

_MASK = (1 << 64) - 1


def salt_of(*parts: object) -> int:
    """A 64-bit number that stands for these words, the same in every process."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def mixed(a: int, b: int = 0, c: int = 0) -> int:
    """64 well-stirred bits of three whole numbers (the finaliser of SplitMix64)."""
    x = (
        a * 0x9E3779B97F4A7C15 + b * 0xBF58476D1CE4E5B9 + c * 0x94D049BB133111EB + 0x2545F4914F6CDD1D
    ) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def unit(a: int, b: int = 0, c: int = 0) -> float:
    """A number in [0, 1)."""
    return mixed(a, b, c) / 18446744073709551616.0


def signed(a: int, b: int = 0, c: int = 0) -> float:
    """A number in [-1, 1)."""
    return mixed(a, b, c) / 9223372036854775808.0 - 1.0


def smooth(salt: int, position: float) -> float:
    """A curve in [-1, 1] that wanders without jumps; one lattice point for each whole position."""
    whole = int(position // 1)
    along = position - whole
    left, right = signed(salt, whole), signed(salt, whole + 1)
    return left + (right - left) * along * along * (3.0 - 2.0 * along)
