"""A rule's versions in words: what each says, and what it changed of the one before. It decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.forms import ChoiceField, FloatField
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from monitoring.alerts.judges.metrics import METRICS
from monitoring.alerts.rule_forms import RuleForm
from monitoring.alerts.words import Line
from monitoring.models import AlertRuleVersion


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that a version says otherwise than the one before."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Told:
    """One version: all that it says, and what of it is new. ``changes`` None: there was none before."""

    version: AlertRuleVersion
    lines: list[Line]
    changes: list[Changed] | None


def versions_told(kind: str, versions: Sequence[AlertRuleVersion], *, sites: Mapping[int, str]) -> list[Told]:
    """Each of ``versions``, newest first, against the next older one among them."""
    lines = [_lines(kind, version, sites) for version in versions]
    return [
        Told(version, now, _changes(now, before) if before is not None else None)
        for version, now, before in zip(versions, lines, [*lines[1:], None], strict=True)
    ]


def _changes(now: Sequence[Line], before: Sequence[Line]) -> list[Changed]:
    new, old = ({line.name: line.value for line in lines} for lines in (now, before))
    none = _("none")
    return [
        Changed(name, old.get(name, none), new.get(name, none))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def _lines(kind: str, version: AlertRuleVersion, sites: Mapping[int, str]) -> list[Line]:
    form, settings = RuleForm(kind, instruments=[], sites=[]), version.settings
    unit = METRICS[settings["metric"]].unit if settings.get("metric") in METRICS else ""
    lines = [
        Line(str(field.label), _value(field, settings[name], unit if name in ("amber", "red") else ""))
        for name, field in form.fields.items()
        # By what it is and not by what it equals: zero is a limit, and equals False.
        if settings.get(name) not in (None, "") and settings[name] is not False
    ]
    if hours := settings.get("hours"):
        lines.append(Line(_("When"), _when(hours)))
        if days := hours.get("holidays"):
            on_holidays = dict(form.fields["on_holidays"].choices)  # type: ignore[attr-defined]
            how = on_holidays.get(hours.get("on_holidays", "same"), "")
            lines.append(Line(_("On holidays"), f"{how} ({', '.join(days)})"))
    if form.kind.of_instruments:
        about = [*version.serials, *(sites.get(pk, _("a site that is gone")) for pk in version.sites)]
        lines.append(Line(_("About"), ", ".join(about) or _("all instruments")))
    return lines


def _value(field: Any, value: Any, unit: str) -> str:
    if value is True:
        return _("yes")
    if isinstance(field, ChoiceField):
        choices: Any = field.choices
        return str(dict(choices).get(value, value))
    if isinstance(field, FloatField):
        number = float(value)
        value = number_format(int(number) if number.is_integer() else number)
    return f"{value} {unit}".strip()


def _when(hours: Mapping[str, Any]) -> str:
    days = hours.get("days", range(7))
    which = _("every day") if len(days) == 7 else ", ".join(str(WEEKDAYS_ABBR[day]) for day in days)
    start, end = hours.get("start", "00:00"), hours.get("end", "00:00")
    return which if start == end else f"{which}, {start}–{end}"
