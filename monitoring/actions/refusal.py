"""Why an instrument cannot be acted on, as a word that pages turn into a sentence; it asks MyCirrus nothing."""

from datetime import datetime

from instruments.models import ApiKey, Instrument
from monitoring.models import ActionKind

_SCOPES = {ActionKind.RENAME: "instruments:write"}


def scope_of(kind: str) -> str:
    """The scope that a key needs for ``kind``."""
    return _SCOPES.get(ActionKind(kind), "instruments:action")


def action_refusal(*, instrument: Instrument, kind: str, now: datetime) -> str:
    """ "" when it can be tried, else "gone", "type", "key" or "scope".

    A scope that no harmless call can show is tried; once MyCirrus has refused it, it is not asked for again.
    """
    if instrument.is_gone(now):
        return "gone"
    if not _suits(instrument, kind):
        return "type"
    key = instrument.api_key
    if key is None or key.revoked_at is not None or key.state == ApiKey.State.REFUSED:
        return "key"
    return "" if key.allows(scope_of(kind)) else "scope"


def _suits(instrument: Instrument, kind: str) -> bool:
    """Whether an instrument of this type has such a thing."""
    if kind == ActionKind.CALIBRATION:
        return instrument.takes_calibrator
    return kind != ActionKind.SIC or instrument.checks_itself
