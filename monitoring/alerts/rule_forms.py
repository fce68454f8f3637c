"""The form of a rule of each kind; it says what makes no sense."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument, Site
from monitoring.alerts.hours import OnHolidays
from monitoring.alerts.judges.levels import Over
from monitoring.alerts.judges.metrics import METRICS
from monitoring.alerts.judges.sense import nonsense, nonsense_sign
from monitoring.alerts.kinds import KINDS
from monitoring.alerts.rules import Draft, limit_of
from monitoring.models import AlertKind

DAYS = [
    (0, _("Monday")),
    (1, _("Tuesday")),
    (2, _("Wednesday")),
    (3, _("Thursday")),
    (4, _("Friday")),
    (5, _("Saturday")),
    (6, _("Sunday")),
]
OVERS = [
    (Over.RECORDED, _("Each value as recorded")),
    (Over.FIXED, _("Fixed periods")),
    (Over.ROLLING, _("Rolling, at each new value")),
    (Over.HOURS, _("One value for the whole of its hours")),
]
NONSENSE = {
    "none": _("Give an amber limit, a red limit, or both."),
    "order": _("Red has to lie beyond amber: as it is, amber could never be seen."),
    "never": _("It can never be exceeded: no such instrument measures as much. Is the unit right?"),
    "always": _("It would always be exceeded: it lies below what such an instrument measures in quiet."),
    "means": _("Maxima and percentiles have no mean over a longer time: choose “each value as recorded”."),
    "hours": _("It would hold on no day at all: choose weekdays or name holidays."),
}
NONSENSE_SIGN = {
    "never": _("It can never be reached: no monitor tells such a value. Is the unit right?"),
    "always": _("It would always be reached, by a monitor in the best of health."),
}
_WIDE = forms.Textarea(attrs={"rows": 3})
# With a box for each of ten thousand instruments a page has megabytes: of more, serial numbers are written.
MOST_BOXES = 1_000


class _Boxes(forms.CheckboxSelectMultiple):
    """Boxes to tick, however many: in a list of its own height, with a search above it where scripts run."""

    sifted = True


class _SerialsField(forms.CharField):
    """Cleans to the serial numbers that were written, all of which have to be in ``known``."""

    def __init__(self, known: Iterable[str], **kwargs: Any) -> None:
        super().__init__(required=False, widget=_WIDE, **kwargs)
        self.known = frozenset(known)

    def prepare_value(self, value: Any) -> Any:
        """A line for each."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        serials = list(dict.fromkeys(_words(super().clean(value))))
        for serial in serials:
            if serial not in self.known:
                raise ValidationError(
                    _("No instrument has the serial number “%(serial)s”."), params={"serial": serial}
                )
        return serials


def _words(text: str) -> list[str]:
    """What stands between spaces, commas and ends of lines."""
    return [word for word in re.split(r"[\s,;]+", text) if word]


def _by_site(instruments: Sequence[Instrument]) -> list[tuple[str, str]]:
    """Choices of instruments that were read `with_deployment`, site by site; those of no site come last."""
    sites: dict[str, list[tuple[str, str]]] = {}
    for each in instruments:
        deployed = getattr(each, "deployed", None)
        name = deployed.site.name if deployed is not None else ""
        # The site stands in the label: it is searched for as well.
        sites.setdefault(name, []).append((each.serial, f"{each} · {name}" if name else str(each)))
    nowhere = sites.pop("", [])
    return [choice for _name, choices in sorted(sites.items()) for choice in choices] + nowhere


def _serials_field(instruments: Sequence[Instrument]) -> forms.Field:
    if len(instruments) > MOST_BOXES:
        return _SerialsField(
            (each.serial for each in instruments),
            label=_("Instruments"),
            help_text=_(
                "Their serial numbers, one a line. None, and no site: all of the organisation's, new ones too."
            ),
        )
    return forms.MultipleChoiceField(
        label=_("Instruments"),
        required=False,
        choices=_by_site(instruments),
        widget=_Boxes,
        help_text=_("None chosen, and no site: all of the organisation's, new ones too."),
    )


class RuleForm(forms.Form):
    """A rule of one kind; `draft` is what it says once it is valid."""

    name = forms.CharField(label=_("Name"), max_length=120)

    def __init__(
        self, kind: str, *args: Any, instruments: Sequence[Instrument], sites: Sequence[Site], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kind = KINDS[kind]
        if kind == AlertKind.LEVEL:
            self._level_fields()
        for setting in self.kind.settings:
            self.fields[setting.name] = forms.FloatField(
                label=f"{setting.label} ({setting.unit})",
                required=setting.required,
                initial=setting.default,
                min_value=setting.least,
                max_value=setting.most,
                widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
            )
        if "confirm" in self.kind.extra:
            self.fields["confirm"] = forms.BooleanField(
                label=_("Run a second check before anybody is told"),
                required=False,
                help_text=_("The message then holds both results, and comes up to eight minutes later."),
            )
        if self.kind.of_instruments:
            self.fields["serials"] = _serials_field(instruments)
            if sites:
                self.fields["sites"] = forms.TypedMultipleChoiceField(
                    label=_("Sites"),
                    coerce=int,
                    required=False,
                    widget=_Boxes,
                    choices=[(each.pk, each.name) for each in sites],
                    help_text=_("Whatever stands there."),
                )
        self.fields["repeat_min"] = forms.IntegerField(
            label=_("Tell again until somebody acknowledges, every (min)"),
            required=False,
            min_value=5,
            max_value=10_080,
        )

    def _level_fields(self) -> None:
        self.fields |= {
            "metric": forms.ChoiceField(
                label=_("What"),
                choices=[(each.name, f"{each.label} ({each.unit})") for each in METRICS.values()],
            ),
            "over": forms.ChoiceField(
                label=_("Formed over"),
                choices=OVERS,
                help_text=_(
                    "LAeq is averaged by energy, PM and gases by time; maxima and percentiles are not."
                ),
            ),
            "period_min": forms.FloatField(
                label=_("Period (min)"), required=False, min_value=1, max_value=1440, initial=15
            ),
            "minimum_min": forms.FloatField(
                label=_("Lasting at least (min)"), required=False, min_value=0, max_value=1440
            ),
            "amber": forms.FloatField(label=_("Amber above"), required=False),
            "red": forms.FloatField(label=_("Red above"), required=False),
            "coverage_pct": forms.FloatField(
                label=_("Coverage needed (%)"),
                initial=75,
                min_value=0,
                max_value=100,
                help_text=_("Below it a value says nothing, and ends nothing. 75 % is usual."),
            ),
            "days": forms.TypedMultipleChoiceField(
                label=_("Days"),
                coerce=int,
                choices=DAYS,
                initial=list(range(7)),
                required=False,
                widget=forms.CheckboxSelectMultiple,
            ),
            "start": forms.TimeField(
                label=_("From"),
                initial="00:00",
                widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            ),
            "end": forms.TimeField(
                label=_("Until"),
                initial="00:00",
                widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
                help_text=_(
                    "By the site's clock. The same twice is all day; past midnight is the evening's."
                ),
            ),
            "holidays": forms.CharField(
                label=_("Holidays"),
                required=False,
                widget=_WIDE,
                help_text=_("Dates such as 2026-12-25, one a line."),
            ),
            "on_holidays": forms.ChoiceField(
                label=_("On holidays"),
                choices=[
                    (OnHolidays.SAME, _("as on any other day")),
                    (OnHolidays.NEVER, _("it does not hold")),
                    (OnHolidays.ONLY, _("it holds on these days only")),
                ],
            ),
        }

    def clean_holidays(self) -> list[str]:
        """The dates, in their order."""
        found = []
        for word in _words(self.cleaned_data["holidays"]):
            try:
                found.append(date.fromisoformat(word).isoformat())
            except ValueError:
                raise ValidationError(
                    _("“%(word)s” is no date. Write it as 2026-12-25."), params={"word": word}
                ) from None
        return sorted(set(found))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        if self.kind.kind == AlertKind.LEVEL:
            word = nonsense(limit_of(self._settings()))
            if word:
                self.add_error(
                    "red" if word in ("none", "order", "never", "always") else None, NONSENSE[word]
                )
            return cleaned
        limits = [name for name in ("amber", "red") if name in self.fields]
        amber, red = cleaned.get("amber"), cleaned.get("red")
        if limits and amber is None and red is None:
            self.add_error("amber", NONSENSE["none"])
        elif amber is not None and red is not None and (amber <= red if self.kind.falling else red <= amber):
            self.add_error("red", NONSENSE["order"])
        elif word := nonsense_sign(self.kind.kind, amber, red, falling=self.kind.falling):
            self.add_error("amber" if amber is not None else "red", NONSENSE_SIGN[word])
        return cleaned

    def _settings(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        settings = {
            name: cleaned[name]
            for name in self.fields
            if name not in {"name", "serials", "sites", "days", "start", "end", "holidays", "on_holidays"}
            # 0 is a limit, and in Python equal to False.
            and cleaned.get(name) not in (None, "")
            and cleaned[name] is not False
        }
        if self.kind.kind == AlertKind.LEVEL:
            settings["hours"] = {
                "days": sorted(cleaned["days"]),
                "start": cleaned["start"].strftime("%H:%M"),
                "end": cleaned["end"].strftime("%H:%M"),
                "holidays": cleaned["holidays"],
                "on_holidays": cleaned["on_holidays"],
            }
        return settings

    def draft(self, source: str = "") -> Draft:
        """What the valid form says."""
        return Draft(
            kind=self.kind.kind,
            name=self.cleaned_data["name"],
            settings=self._settings(),
            serials=self.cleaned_data.get("serials", []),
            sites=self.cleaned_data.get("sites", []),
            source=source,
        )


def rule_initial(settings: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """A version's settings as the form's first values."""
    hours = settings.get("hours") or {}
    # What was read from JSON as 65.0 was written as 65.
    told = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in settings.items()
        if name != "hours"
    }
    return {**told, **hours, "holidays": "\n".join(hours.get("holidays", ())), **rest}
