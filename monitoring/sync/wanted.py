"""Which resources an instrument has, which scope each needs and how often it is asked for. Pure but for settings."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from instruments.models import Instrument
from monitoring.models import Lane, Resource
from monitoring.sync.histories import HISTORIES

SCOPES: dict[str, str] = {
    Resource.INSTRUMENTS: "instruments:read",
    Resource.STATUS: "instruments:read",
    # Without data.system:read their latest one is still to be had: see resources.py.
    Resource.CALIBRATIONS: "instruments:read",
    Resource.SIC: "instruments:read",
    Resource.NOISE: "data.noise:read",
    Resource.OCTAVE: "data.noise:read",
    Resource.THIRD_OCTAVE: "data.noise:read",
    Resource.EVENTS: "data.events:read",
    Resource.AUDIO: "data.audio:read",
    Resource.CALIBRATION_LOG: "data.system:read",
    Resource.STATS: "data.system:read",
    Resource.NOW: "data.system:read",
    Resource.WEATHER: "data.enviro:read",
    Resource.PARTICULATES: "data.enviro:read",
    Resource.GASES: "data.enviro:read",
    Resource.PPV: "data.enviro:read",
    Resource.VDV: "data.enviro:read",
}
_NOISE = (
    Resource.NOISE,
    Resource.NOW,
    Resource.EVENTS,
    Resource.AUDIO,
    Resource.STATS,
    Resource.OCTAVE,
    Resource.THIRD_OCTAVE,
)
_BY_TYPE: dict[str, tuple[Resource, ...]] = {
    Instrument.Kind.NOISE: _NOISE,
    # MyCirrus may leave the type out; noise monitors are what it was made for.
    "": _NOISE,
    Instrument.Kind.AIR_QUALITY: (Resource.PARTICULATES, Resource.GASES),
    Instrument.Kind.VIBRATION: (Resource.PPV, Resource.VDV),
}
SWEEP_EVERY = timedelta(hours=6)
SWEEP_BACK = timedelta(days=3)


def scope_of(resource: str, lane: int) -> str:
    """The scope without which a target is not asked for at all."""
    if resource in (Resource.CALIBRATIONS, Resource.SIC) and lane != Lane.LIVE:
        return "data.system:read"
    return SCOPES[resource]


def resources_of(instrument: Instrument) -> list[Resource]:
    """What ``instrument`` can be asked for, in the order in which it is wanted: first what its page shows first."""
    first, *others = _BY_TYPE.get(instrument.type) or (None,)
    found = [Resource.STATUS, *([first] if first else [])]
    found += [Resource.SIC] if instrument.checks_itself else []
    found += [Resource.CALIBRATIONS] if instrument.takes_calibrator else []
    # People write notes about any instrument.
    found += [Resource.CALIBRATION_LOG, *others]
    if "Weather" in instrument.features:
        found.append(Resource.WEATHER)
    return found


def scopes_needed(instrument: Instrument) -> set[str]:
    """The scopes without which something of ``instrument`` stays unread."""
    return {scope_of(resource, lane) for resource in resources_of(instrument) for lane in lanes_of(resource)}


def lanes_of(resource: str) -> Iterator[Lane]:
    """The lanes that ``resource`` has: what has no history is only ever live."""
    yield Lane.LIVE
    history = HISTORIES.get(resource)
    if history is None:
        return
    yield Lane.BACKFILL
    # Checks and notes read their recent past again at every turn.
    if not history.overlap:
        yield Lane.SWEEP


def every(resource: str, lane: int = Lane.LIVE) -> timedelta:
    """How often ``resource`` is fetched when no webhook asks for it earlier."""
    if lane == Lane.SWEEP:
        return SWEEP_EVERY
    named = {
        Resource.INSTRUMENTS: settings.POLL_INSTRUMENTS_SECONDS,
        Resource.STATUS: settings.POLL_STATUS_SECONDS,
        Resource.NOISE: settings.POLL_NOISE_SECONDS,
        Resource.SIC: settings.POLL_SIC_SECONDS,
        Resource.CALIBRATIONS: settings.POLL_CALIBRATIONS_SECONDS,
    }
    return timedelta(seconds=named.get(Resource(resource), settings.POLL_OTHER_SECONDS))
