"""Why an instrument cannot be watched live, as a word that pages turn into a sentence; it asks MyCirrus nothing."""

from datetime import datetime

from instruments.models import ApiKey, Instrument

NEEDED = ("instruments:read", "data.live:read")


def live_refusal(instrument: Instrument, now: datetime) -> str:
    """ "" when it can be watched, else "gone", "type", "key" or "scope"."""
    if instrument.is_gone(now):
        return "gone"
    if not instrument.measures_noise:
        return "type"
    key = instrument.api_key
    if key is None or key.revoked_at is not None or key.state == ApiKey.State.REFUSED:
        return "key"
    return "" if all(key.allows(scope) for scope in NEEDED) else "scope"
