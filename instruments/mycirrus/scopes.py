"""Finds out which scopes a key has, by real calls; must not make a call that changes anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from . import errors, types

if TYPE_CHECKING:
    from .client import Client

# Contract 1.3.
SCOPES: tuple[str, ...] = (
    *("instruments:read", "instruments:write", "instruments:action", "data.live:read"),
    *("data.noise:read", "data.enviro:read", "data.events:read", "data.audio:read", "data.system:read"),
    *("webhooks:read", "webhooks:write"),
)


def probe(client: Client) -> dict[str, bool | None]:
    """Each of SCOPES with whether the key of `client` has it.

    True: a call was allowed. False: MyCirrus said that access is denied. None: it cannot be told. That is so for
    the writing and acting scopes and for data.live:read, which no harmless call shows; for every data scope when
    no instrument can be listed to ask about; and for one whose call failed for another reason.
    Raises AuthenticationFailed for a refused key, and TransientError when MyCirrus cannot be asked.
    """
    found: dict[str, bool | None] = dict.fromkeys(SCOPES)
    listed: list[types.Instrument] = []
    found["instruments:read"] = _allowed(lambda: listed.extend(client.instruments()))
    found["webhooks:read"] = _allowed(client.webhooks)
    end = datetime.now(UTC).replace(microsecond=0)
    start = end - timedelta(minutes=1)
    calls: tuple[tuple[str, str, Callable[..., Any]], ...] = (
        ("data.noise:read", "Noise", client.noise_measurements),
        ("data.enviro:read", "AirQuality", client.weather),
        ("data.events:read", "Noise", client.events),
        ("data.audio:read", "Noise", client.audio_list),
        ("data.system:read", "Noise", client.calibrations),
    )
    for scope, fitting, call in calls:
        # An instrument of the fitting type if there is one: another may be refused for what it is.
        serial = next((each.serial for each in listed if each.type == fitting), None)
        if serial is None and listed:
            serial = listed[0].serial
        if serial is not None:
            found[scope] = _allowed(partial(call, [serial], start, end))
    return found


def _allowed(call: Callable[[], object]) -> bool | None:
    try:
        call()
    except errors.MissingScope:
        return False
    except errors.AuthenticationFailed:
        raise
    except errors.PermanentError:
        return None
    return True
