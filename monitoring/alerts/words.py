"""An incident and its steps in words and numbers, the same on the page, in a mail and in a chat. It decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from monitoring.alerts.judges.metrics import METRICS
from monitoring.models import AlertKind, Incident, IncidentChange
from monitoring.templatetags.levels import share, written

_HEADS = {
    AlertKind.SIC_FAILED: gettext_lazy("SIC failed"),
    AlertKind.SIC_DRIFT: gettext_lazy("SIC drifts"),
    AlertKind.CALIBRATION_FAILED: gettext_lazy("Calibration failed"),
    AlertKind.CALIBRATION_STEP: gettext_lazy("Calibration stepped"),
    AlertKind.CALIBRATION_OVERDUE: gettext_lazy("Calibration overdue"),
    AlertKind.OFFLINE: gettext_lazy("Offline"),
    AlertKind.NOT_MEASURING: gettext_lazy("Not measuring"),
    AlertKind.NO_DATA: gettext_lazy("No data"),
    AlertKind.VOLTAGE: gettext_lazy("Low voltage"),
    AlertKind.SIGNAL: gettext_lazy("Weak signal"),
    AlertKind.SIM: gettext_lazy("SIM nearly used"),
    AlertKind.DISK: gettext_lazy("Disk nearly full"),
    AlertKind.TEMPERATURE: gettext_lazy("Too hot"),
    AlertKind.SUBSCRIPTION: gettext_lazy("Subscription ends"),
    AlertKind.LEVEL: gettext_lazy("Limit exceeded"),
    AlertKind.KEY: gettext_lazy("Key refused or too narrow"),
    AlertKind.UNREACHABLE: gettext_lazy("MyCirrus cannot be reached"),
    AlertKind.WEBHOOK_SILENT: gettext_lazy("Webhooks keep silent"),
    AlertKind.LATE: gettext_lazy("Cirrusweb runs late"),
    AlertKind.CHANNEL: gettext_lazy("Channel switched off"),
}
_ADVICE = {
    AlertKind.SIC_FAILED: gettext_lazy(
        "Look at the microphone and its connection, then run the check again. Levels measured since the last good "
        "check are in doubt until a check or a calibration passes."
    ),
    AlertKind.SIC_DRIFT: gettext_lazy(
        "Plan a visit before the tolerance is reached: the microphone may be ageing."
    ),
    AlertKind.CALIBRATION_FAILED: gettext_lazy("Calibrate again. Until then levels are not to be relied on."),
    AlertKind.CALIBRATION_STEP: gettext_lazy(
        "Under the field-check rule, results since the calibration before would be discarded. Look at both."
    ),
    AlertKind.CALIBRATION_OVERDUE: gettext_lazy("Plan a calibration. A SIC does not replace it."),
    AlertKind.OFFLINE: gettext_lazy(
        "Look at its power and its mobile network. What it measured arrives later."
    ),
    AlertKind.NOT_MEASURING: gettext_lazy("Start the measurement at MyCirrus or on the instrument."),
    AlertKind.NO_DATA: gettext_lazy(
        "It says that it measures. Look at its time, its memory and its connection, and where measurements come "
        "without values at its microphone or sensor."
    ),
    AlertKind.VOLTAGE: gettext_lazy("Look at battery, charger and solar panel."),
    AlertKind.SIGNAL: gettext_lazy("Look at the antenna, or where it stands."),
    AlertKind.SIM: gettext_lazy("Ask for more data, or have it send less."),
    AlertKind.DISK: gettext_lazy("Download and clear what it stores."),
    AlertKind.TEMPERATURE: gettext_lazy("Shade or ventilate it."),
    AlertKind.SUBSCRIPTION: gettext_lazy("Renew it at MyCirrus: without it no data come."),
    AlertKind.LEVEL: gettext_lazy(
        "Find out what it is. Listen to a recording if there is one, and state the cause."
    ),
    AlertKind.KEY: gettext_lazy("Replace the key, or make a wider one at MyCirrus."),
    AlertKind.UNREACHABLE: gettext_lazy(
        "It is tried again by itself; nothing that was measured is lost meanwhile."
    ),
    AlertKind.WEBHOOK_SILENT: gettext_lazy("Data still come by asking, only later. Look at the webhooks."),
    AlertKind.LATE: gettext_lazy("Look at the worker and at beat: alerts may have come late."),
    AlertKind.CHANNEL: gettext_lazy(
        "Nothing is sent there until an admin has tested it. Look whether its webhook still exists, enter the new "
        "address if it has one, and test the channel."
    ),
}
_OVER = {
    "recorded": gettext_lazy("as recorded"),
    "fixed": gettext_lazy("fixed period"),
    "rolling": gettext_lazy("rolling"),
    "hours": gettext_lazy("whole of its hours"),
}


# Why something ended that did not get well.
_WHY = {
    ("withdrawn", "paused"): gettext_lazy("The rule was paused."),
    ("withdrawn", "removed"): gettext_lazy("The rule was taken out of use."),
    ("uncovered", True): gettext_lazy("The rule is no longer about it."),
    ("gone", True): gettext_lazy("MyCirrus no longer lists it."),
    ("revoked", True): gettext_lazy("The key was revoked."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One number with its name."""

    name: str
    value: str


def head_of(incident: Incident) -> str:
    """What is wrong, in two or three words."""
    return str(_HEADS[AlertKind(incident.kind)])


def advice_of(incident: Incident) -> str:
    """What to do about it."""
    return str(_ADVICE[AlertKind(incident.kind)])


def subject_of(incident: Incident, organisation: str) -> str:
    """One line that stays the same for the life of an incident, so that its mails are one thread."""
    about = incident.title or str(incident.instrument or "")
    if incident.instrument is not None and incident.instrument.serial not in about:
        about = f"{about} ({incident.instrument.serial})"
    whole = (
        f"{head_of(incident)}: {about}, {organisation}" if about else f"{head_of(incident)}, {organisation}"
    )
    return " ".join(whole.split())


def state_of(change: IncidentChange) -> str:
    """What the step says, for the first line of a message."""
    step = IncidentChange.Step(change.step)
    if step in (step.OPENED, step.RAISED, step.REMINDED, step.ESCALATED, step.AWAKE):
        return f"{change.get_severity_display()}. {step.label}."
    return f"{step_of(change)}."


def step_of(change: IncidentChange) -> str:
    """The step by itself: what ended for another reason than that it got well did not recover."""
    step = IncidentChange.Step(change.step)
    if why_of(change.facts):
        return str({step.CLOSED: _("Closed"), step.LEFT: _("One instrument left")}.get(step, step.label))
    return str(step.label)


def why_of(facts: Mapping[str, Any]) -> str:
    """Why it ended without getting well; empty where it did."""
    return next((str(why) for (name, value), why in _WHY.items() if facts.get(name) == value), "")


def number(value: float | None, unit: str = "", places: int = 1) -> str:
    """A value with its unit, a real minus, and a word where there is none."""
    if value is None:
        return _("not known")
    return f"{written(value, places)}{' ' if unit else ''}{unit}"


def instant(text: str | None) -> str:
    """An ISO time in the active zone."""
    if not text:
        return ""
    at = timezone.localtime(datetime.fromisoformat(text))
    return f"{date_format(at, 'j M Y H:i:s')} ({at:%Z})"


def duration(seconds: float) -> str:
    """1 h 5 min."""
    minutes = round(seconds / 60)
    days, rest = divmod(minutes, 1440)
    hours, left = divmod(rest, 60)
    parts = [f"{days} d"] if days else []
    parts += [f"{hours} h"] if hours else []
    parts += [f"{left} min"] if left or not parts else []
    return " ".join(parts)


def lines_of(change: IncidentChange) -> list[Line]:
    """The numbers of a step as they were judged."""
    return _lines(change.facts)


def standing_of(incident: Incident, steps: Sequence[IncidentChange], now: datetime) -> list[Line]:
    """How an incident stands: since when and for how long by now, then the newest numbers."""
    # A later step may tell since when it is well.
    since = next((step.facts["since"] for step in steps if "since" in step.facts), None)
    began_at = datetime.fromisoformat(since) if since else incident.opened_at
    lasted = duration(((incident.closed_at or now) - began_at).total_seconds())
    return [
        Line(_("Began"), instant(began_at.isoformat())),
        Line(_("Lasted") if incident.closed_at else _("Lasts"), lasted),
        *next(filter(None, (_lines({**step.facts, "since": None}) for step in reversed(steps))), []),
    ]


def _lines(facts: Mapping[str, Any]) -> list[Line]:
    if "metric" in facts:
        return _level(facts)
    lines = []
    if why := why_of(facts):
        lines.append(Line(_("Why"), why))
    if facts.get("since"):
        lines.append(Line(_("Since"), instant(facts["since"])))
        lines.append(Line(_("Lasted"), duration(facts.get("lasted_s", 0))))
    if "data_until" in facts:
        lines.append(Line(_("Data until"), instant(facts["data_until"])))
    if "value" in facts and "unit" in facts:
        unit = facts["unit"]
        lines.append(Line(_("Value"), number(facts["value"], unit)))
        for name, label in (("amber", _("Amber limit")), ("red", _("Red limit"))):
            if facts.get(name) is not None:
                lines.append(Line(label, number(facts[name], unit)))
    if "status" in facts:
        lines.append(Line(_("MyCirrus says"), facts["status"] or _("nothing")))
    if "calibrated_at" in facts:
        lines.append(Line(_("Calibrated"), instant(facts["calibrated_at"])))
    if "days" in facts:
        lines.append(Line(_("Days ago"), number(facts["days"])))
    if "step_db" in facts:
        formula = (
            f"|{number(facts['offset_db'], places=2)} − ({number(facts['before_db'], places=2)})| = "
            f"{number(abs(facts['step_db']), 'dB', 2)}"
        )
        lines.append(Line(_("Step of the offset"), formula))
        lines.append(Line(_("Limit"), number(facts["limit_db"], "dB", 2)))
    for each in facts.get("frequencies", ()):
        left = each["days_left"]
        told = (
            _("no drift towards the limit")
            if left is None
            else _("%(days)s days left") % {"days": round(left)}
        )
        moved = each["level_db"] - each["reference_db"]
        lines.append(Line(each["frequency"], f"{number(moved, 'dB', 2)}, {told}"))
    if facts.get("tolerance_db"):
        lines.append(Line(_("Tolerance"), number(facts["tolerance_db"], "dB")))
    if facts.get("missing") and isinstance(facts["missing"], list):
        lines.append(Line(_("Missing scopes"), ", ".join(facts["missing"])))
    if facts.get("serials"):
        lines.append(Line(_("Instruments"), ", ".join(facts["serials"][:20])))
    for name, label in (("beat_s", _("Last tick")), ("queue_s", _("Oldest waiting work"))):
        if facts.get(name) is not None:
            lines.append(Line(label, duration(facts[name])))
    if facts.get("message"):
        lines.append(Line(_("Message"), facts["message"]))
    if facts.get("flapping"):
        lines.append(Line(_("Comes and goes"), _("held open until it has been quiet for half an hour")))
    return lines


def _level(facts: Mapping[str, Any]) -> list[Line]:
    unit, metric = facts["unit"], METRICS.get(facts["metric"])
    name = metric.label if metric else facts["metric"]
    lines = [Line(name, number(facts["value"], unit))]
    for key, label in (("amber", _("Amber limit")), ("red", _("Red limit"))):
        if facts.get(key) is not None:
            lines.append(Line(label, number(facts[key], unit)))
    lines.append(Line(_("From"), instant(facts["start"])))
    lines.append(Line(_("Until"), instant(facts["end"])))
    lines.append(Line(_("Formed over"), f"{duration(facts['period_s'])}, {_OVER[facts['over']]}"))
    if facts.get("minimum_s"):
        lines.append(Line(_("Lasting at least"), duration(facts["minimum_s"])))
    lines.append(Line(_("How it was formed"), formula_of(facts)))
    used = _("%(used)s used, %(missing)s missing") % {"used": facts["intervals"], "missing": facts["missing"]}
    lines.append(Line(_("Intervals"), used))
    cover = _("%(have)s %% measured, %(need)s %% needed") % {
        "have": share(facts["coverage_pct"]),
        "need": written(facts["needed_pct"], 0),
    }
    lines.append(Line(_("Coverage"), cover))
    if facts.get("impossible"):
        lines.append(Line(_("Impossible values left out"), str(facts["impossible"])))
    if facts.get("times", 1) > 1:
        lines.append(Line(_("Came and went"), _("%(n)s times") % {"n": facts["times"]}))
    if facts.get("over_at"):
        lines.append(Line(_("Over already, since"), instant(facts["over_at"])))
    if facts.get("late_s", 0) > 900:
        lines.append(Line(_("Heard late, by"), duration(facts["late_s"])))
    return lines


def formula_of(facts: Mapping[str, Any]) -> str:
    """How the value came about, with its numbers."""
    value = number(facts["value"], facts["unit"])
    if facts["means"] == "energy":
        told = f"10·log₁₀(Σ tᵢ·10^(Lᵢ/10) / Σ tᵢ) = {value}, Σ tᵢ = {duration(facts['valid_s'])}"
        if facts.get("early"):
            told += ". " + _("Over already, however quiet the rest of the period is")
        return told
    if facts["means"] == "arithmetic":
        return f"Σ tᵢ·xᵢ / Σ tᵢ = {value}, Σ tᵢ = {duration(facts['valid_s'])}"
    return _("as the instrument recorded it")
