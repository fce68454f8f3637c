"""How loud a place is by hour and weekday: the rhythm that every other level leans on; no chance in here."""

from simulator.fleet import Instrument

# LAeq in dB by local hour 0..23, on a working day, a Saturday and a Sunday.
_Week = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
_SITES: dict[str, _Week] = {
    "road": (
        (54, 52, 51, 51, 54, 60, 67, 71, 72, 69, 67, 67, 67, 67, 68, 69, 71, 72, 71, 68, 65, 63, 60, 57),
        (56, 54, 52, 51, 52, 55, 59, 62, 65, 67, 68, 68, 68, 68, 67, 67, 67, 66, 66, 65, 63, 62, 61, 59),
        (57, 55, 53, 51, 51, 52, 54, 56, 59, 63, 65, 66, 66, 66, 66, 66, 66, 66, 65, 63, 61, 59, 57, 55),
    ),
    "town": (
        (46, 44, 43, 43, 44, 48, 54, 60, 63, 61, 60, 60, 61, 61, 60, 61, 62, 63, 62, 59, 57, 55, 52, 49),
        (49, 47, 45, 43, 43, 45, 48, 52, 56, 60, 62, 62, 62, 62, 61, 61, 61, 60, 60, 59, 58, 58, 56, 53),
        (51, 48, 45, 43, 42, 43, 45, 47, 50, 54, 57, 58, 58, 58, 57, 57, 57, 56, 55, 54, 53, 51, 49, 47),
    ),
    "harbour": (
        (50, 49, 48, 48, 50, 54, 60, 65, 67, 68, 68, 67, 64, 67, 68, 68, 66, 63, 60, 58, 56, 54, 53, 51),
        (49, 48, 48, 47, 48, 51, 55, 60, 62, 63, 63, 62, 60, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50),
        (48, 47, 47, 46, 47, 48, 50, 52, 53, 54, 54, 54, 54, 54, 54, 54, 53, 53, 52, 51, 50, 50, 49, 48),
    ),
    "works": (
        (42, 41, 41, 41, 42, 46, 54, 66, 71, 73, 72, 73, 66, 72, 73, 72, 70, 64, 55, 50, 47, 45, 44, 43),
        (42, 41, 41, 41, 41, 43, 48, 58, 67, 69, 69, 68, 61, 53, 50, 49, 48, 47, 46, 45, 44, 44, 43, 42),
        (42, 41, 40, 40, 40, 41, 43, 45, 46, 48, 48, 49, 49, 49, 48, 48, 48, 47, 46, 45, 44, 43, 43, 42),
    ),
    "school": (
        (40, 39, 38, 38, 39, 43, 49, 57, 66, 58, 62, 57, 65, 63, 57, 67, 60, 57, 55, 52, 49, 47, 44, 42),
        (42, 40, 39, 38, 38, 40, 43, 47, 51, 54, 55, 55, 55, 55, 55, 54, 54, 53, 52, 50, 49, 48, 46, 44),
        (43, 41, 39, 38, 38, 39, 41, 43, 46, 50, 52, 53, 53, 53, 52, 52, 52, 51, 50, 48, 46, 45, 43, 41),
    ),
}


def activity(instrument: Instrument, at: float) -> float:
    """LAeq in dB of what people do there at this instant, before weather and events."""
    local = at + instrument.utc_offset * 3600
    hour, rest = divmod(int(local), 3600)
    this, following = _level(instrument.site, hour), _level(instrument.site, hour + 1)
    return this + (following - this) * rest / 3600


def working(instrument: Instrument, at: float) -> float:
    """How busy the place is, 0 to about 1."""
    return min(1.0, max(0.0, (activity(instrument, at) - 44) / 28))


def _level(site: str, hour: int) -> int:
    day, hour_of_day = divmod(hour, 24)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    return _SITES[site][0 if weekday < 5 else weekday - 4][hour_of_day]
