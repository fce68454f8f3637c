"""The sentences that people read about actions: why not, what now, how it ended with its numbers. It stores nothing."""

from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from instruments.mycirrus import AuthenticationFailed, MissingScope, MyCirrusError, NotConnected, RateLimited
from instruments.mycirrus.types import passed
from monitoring.actions.expectation import last_good_calibration
from monitoring.checks import sic_rows
from monitoring.models import ActionKind, Calibration, InstrumentAction, SystemIntegrityCheck
from monitoring.templatetags.levels import signed, written

# What each entry of the organisation's log says, by kind and by how it stands.
ACTIVITY_WORDS = {
    "fleet_view_saved": gettext_lazy("View of the fleet kept for everybody"),
    "fleet_view_removed": gettext_lazy("View of the fleet removed"),
    "alert_rule_saved": gettext_lazy("Alert rule saved"),
    "alert_rule_paused": gettext_lazy("Alert rule paused"),
    "alert_rule_resumed": gettext_lazy("Alert rule judges again"),
    "alert_rule_removed": gettext_lazy("Alert rule taken out of use"),
    "escalation_step_added": gettext_lazy("Escalation: person added"),
    "escalation_step_removed": gettext_lazy("Escalation: person removed"),
    "maintenance_added": gettext_lazy("Maintenance entered"),
    "maintenance_ended": gettext_lazy("Maintenance ended"),
    "maintenance_removed": gettext_lazy("Maintenance removed"),
    "channel_added": gettext_lazy("Channel added"),
    "channel_changed": gettext_lazy("Channel changed"),
    "channel_off": gettext_lazy("Channel switched off"),
    "channel_on": gettext_lazy("Channel switched on again"),
    "channel_removed": gettext_lazy("Channel removed"),
    "identify_requested": gettext_lazy("Identify asked for"),
    "identify_succeeded": gettext_lazy("Identify succeeded"),
    "identify_failed": gettext_lazy("Identify failed"),
    "identify_unknown": gettext_lazy("Identify: outcome not known"),
    "calibration_requested": gettext_lazy("Calibration asked for"),
    "calibration_succeeded": gettext_lazy("Calibration succeeded"),
    "calibration_failed": gettext_lazy("Calibration failed"),
    "calibration_unknown": gettext_lazy("Calibration: outcome not known"),
    "sic_requested": gettext_lazy("SIC asked for"),
    "sic_succeeded": gettext_lazy("SIC passed"),
    "sic_failed": gettext_lazy("SIC failed"),
    "sic_unknown": gettext_lazy("SIC: outcome not known"),
    "rename_requested": gettext_lazy("New name asked for"),
    "rename_succeeded": gettext_lazy("Instrument renamed"),
    "rename_failed": gettext_lazy("New name refused"),
    "rename_unknown": gettext_lazy("New name: outcome not known"),
}


def refusal_words(refusal: str, scope: str) -> str:
    """Why an action cannot be asked for, and what to do."""
    return {
        "gone": _("MyCirrus no longer lists this instrument."),
        "type": _("This instrument has nothing of the kind."),
        "key": _("No working key reaches this instrument. An admin can look at it on the keys page."),
        "scope": _(
            "The key has no scope %(scope)s. An admin can make a wider key in the MyCirrus console and rotate it in, "
            "or verify this one again once it has the scope."
        )
        % {"scope": scope},
        "busy": _("A calibration or SIC of this instrument has not ended yet."),
        "used": _("This form was used for something else already. Open the page again."),
        "role": _("Not sent: whoever asked may no longer act on instruments here."),
    }[refusal]


def expired_words() -> str:
    return _(
        "Not sent: it could not be sent within 10 minutes, and an action must not start by surprise later."
    )


def waiting_words() -> str:
    return _("Waits for its turn: this key is being slowed down.")


def not_told_words() -> str:
    return _("MyCirrus did not say whether it started.")


def overdue_words(action: InstrumentAction) -> str:
    """That nothing showed up in time, and what may have happened."""
    told = _("No result within 5 minutes.")
    if action.kind == ActionKind.RENAME:
        told = _("The new name did not show up within 5 minutes.")
    return f"{not_told_words()} {told}" if not action.remote_status else told


def error_words(error: MyCirrusError, scope: str) -> str:
    """Why it was not begun, in words; MyCirrus' own text where it gave one."""
    if isinstance(error, MissingScope):
        return refusal_words("scope", scope)
    if isinstance(error, AuthenticationFailed):
        return _("Not started: MyCirrus refused the key. An admin can look at it on the keys page.")
    if isinstance(error, RateLimited):
        return _("Not started: MyCirrus asked this key to slow down. Try again in a minute.")
    if isinstance(error, NotConnected):
        return _("Not started: no connection to MyCirrus. Try again once the fleet is being read again.")
    return _("Not started: %(reason)s") % {"reason": error.message}


def believed_words(action: InstrumentAction) -> str:
    """That MyCirrus said it went well, but the numbers that belong to it did not come."""
    return _("MyCirrus answered “%(status)s”, but gave no numbers within 5 minutes.") % {
        "status": action.remote_status
    }


def key_unreadable_words() -> str:
    return _("Not sent: the stored key cannot be decrypted. Ask the operator of this installation.")


def refused_words(action: InstrumentAction) -> str:
    """That MyCirrus answered Failed: it gives no reason over this way, so the likely ones are named."""
    return _(
        "MyCirrus answered “%(status)s” at once. The instrument may be offline, or busy with another check."
    ) % {"status": action.remote_status}


def odd_words(action: InstrumentAction) -> str:
    """An answer in a word that is not known here."""
    if not action.remote_status:
        return not_told_words()
    return _("MyCirrus answered “%(status)s”, which does not say whether it was done.") % {
        "status": action.remote_status
    }


def result_words(row: Calibration | SystemIntegrityCheck) -> str:
    """A calibration's or SIC's numbers in one line; of a failed one also what it is compared with."""
    told = _calibration_words(row) if isinstance(row, Calibration) else _sic_words(row)
    return told or _("MyCirrus gave “%(status)s” and no numbers.") % {"status": row.status}


def _calibration_words(row: Calibration) -> str:
    parts = [_level(row.level_db)] if row.level_db is not None else []
    if row.offset_db is not None:
        parts.append(_("offset %(offset)s dB") % {"offset": signed(row.offset_db)})
    if parts and not passed(row.status):
        good = last_good_calibration(instrument=row.instrument, before=row.at)
        if good is not None and good.level_db is not None:
            parts.append(_("where the last good one read %(level)s") % {"level": _level(good.level_db)})
    return ", ".join(parts)


def _sic_words(row: SystemIntegrityCheck) -> str:
    parts = []
    (shown,) = sic_rows(instrument=row.instrument, before=row.at + timedelta(seconds=1), most=1)
    for level in shown.levels:
        if level.level_db is None:
            continue
        told = f"{level.name} {_level(level.level_db)}"
        if level.stands_out and level.difference_db is not None:
            difference = {"difference": signed(level.difference_db)}
            told += " " + _("(%(difference)s dB against the last that passed)") % difference
        parts.append(told)
    return ", ".join(parts)


def _level(level_db: float) -> str:
    return f"{written(level_db, 2)} dB"
