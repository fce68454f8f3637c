"""Frequency bands by the names that MyCirrus gives them. Pure."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(k?)hz(3?)\s*$", re.IGNORECASE)


def band_hz(name: str) -> float | None:
    """The centre frequency in Hz of "31.5Hz", "1KHz" or "6.3Hz3" (a third octave); None for any other name."""
    match = _NAME.match(name)
    return float(match[1]) * (1000 if match[2] else 1) if match else None


def band_label(hz: float) -> str:
    """A centre frequency as it is written: 31.5 Hz, 1 kHz."""
    return f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz:g} Hz"


def band_levels(levels: Mapping[str, float | None]) -> dict[float, float | None]:
    """Levels in dB by centre frequency in Hz, from low to high; what is no band is left out."""
    known = ((band_hz(name), level) for name, level in levels.items())
    return dict(sorted((hz, level) for hz, level in known if hz is not None))
