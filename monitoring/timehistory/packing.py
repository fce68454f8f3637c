"""An hour of samples as few bytes: hundredths of a decibel in 16 bits, column after column, compressed. Pure."""

import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence

# No level is as low; it stands for a sample that is missing.
MISSING = -32768
_LOWEST, _HIGHEST = -32767, 32767


def hundredths(level_db: float | None) -> int:
    """A level as it is packed; what does not fit into 16 bits is no level."""
    if level_db is None:
        return MISSING
    value = round(level_db * 100)
    return value if _LOWEST <= value <= _HIGHEST else MISSING


def packed(columns: Sequence["array[int]"]) -> bytes:
    """``columns`` of equal length as bytes, the same on every machine."""
    joined = array("h")
    for column in columns:
        joined.extend(column)
    if sys.byteorder == "big":
        joined.byteswap()
    return zlib.compress(joined.tobytes(), 6)


def unpacked(data: bytes, columns: int) -> "list[array[int]]":
    """The columns that `packed` was given."""
    joined: array[int] = array("h")
    joined.frombytes(zlib.decompress(data))
    if sys.byteorder == "big":
        joined.byteswap()
    length = len(joined) // columns
    return [joined[place * length : (place + 1) * length] for place in range(columns)]


def levels(column: "array[int]") -> Iterator[float | None]:
    """A column in dB, None where a sample is missing."""
    return (None if value == MISSING else value / 100 for value in column)
