"""The forms of tolerances, SIC baselines, certificates and calibrators."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from instruments.instrument_field import InstrumentField
from instruments.time_fields import DayField, InstantField
from monitoring.acoustics.validity import Suspect
from monitoring.checks import FREQUENCIES
from monitoring.models import Calibrator, Certificate, Tolerances
from monitoring.models.tolerances import months_later


class TolerancesForm(forms.ModelForm):
    """Tolerances and periods, each with where its default comes from and how that is known."""

    class Meta:
        model = Tolerances
        fields = [
            "step_db",
            "offset_db",
            "calibration_days",
            "sic_db",
            "meter_months",
            "calibrator_months",
        ]
        labels = {
            "step_db": _("Step between two calibrations, dB"),
            "offset_db": _("Offset from the factory calibration, dB"),
            "calibration_days": _("A calibration is due every, days"),
            "sic_db": _("SIC from its baseline, dB"),
            "meter_months": _("Meter's certificate is good for, months"),
            "calibrator_months": _("Calibrator's certificate is good for, months"),
        }
        help_texts = {
            "step_db": _(
                "0.5 dB: ISO 1996-2:2017, 5.2, two consecutive field checks without adjustment (from an account of "
                "the standard). 1.0 dB: NSW regulation of 2008, repealed (read). Exactly as much is within it."
            ),
            "offset_db": _(
                "1.5 dB: what 10EaZy refuses a calibration beyond (from an account of its manual)."
            ),
            "calibration_days": _(
                "Your own rule: no published one is known for permanent monitors. Leave it empty and nothing is due."
            ),
            "sic_db": _("0.7 dB of 0.5 to 5 dB: what NorCloud advises for its own electrical check (read)."),
            "meter_months": _(
                "24: usual in the UK (read); ISO 1996-2:2017, 5.3 has two years at most (from an account)."
            ),
            "calibrator_months": _("12: usual in the UK (read)."),
        }


class DoubtReviewForm(forms.Form):
    """Until when levels were still good, and how that is known; to take one back only why."""

    good_until = InstantField(label=_("Good until"))
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What was checked, by whom and with what, so that somebody else can judge it in a year."),
    )

    def __init__(self, *args: Any, suspect: Suspect, taken_back: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.suspect = suspect
        if taken_back:
            self.fields["good_until"].required = False

    def clean_good_until(self) -> datetime | None:
        at: datetime | None = self.cleaned_data["good_until"]
        if at is None:
            return None
        since, found = self.suspect.since_at, self.suspect.found_at
        if (since is not None and at <= since) or at > found:
            raise ValidationError(
                _("It has to lie within the doubt, and not after the check that found it out.")
            )
        return at


class SicBaselineForm(forms.Form):
    """A level for each frequency; at least one."""

    note = forms.CharField(
        label=_("Why"),
        max_length=200,
        required=False,
        help_text=_(
            "Kept beside it and in the activity log: after which calibration it was taken, for example."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for words, name in FREQUENCIES:
            self.fields[name] = forms.DecimalField(
                label=_("%(frequency)s, dB") % {"frequency": words},
                required=False,
                min_value=Decimal(-200),
                max_value=Decimal(200),
                max_digits=6,
                decimal_places=3,
            )
        self.order_fields([*(name for _words, name in FREQUENCIES), "note"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and all(cleaned.get(name) is None for _words, name in FREQUENCIES):
            raise ValidationError(_("Give the level of at least one frequency."))
        return cleaned


class CertificateForm(forms.ModelForm):
    """A laboratory certificate of an instrument or a calibrator; when it is due follows from the rule in force."""

    instrument = InstrumentField(required=False)
    calibrator: forms.ModelChoiceField = forms.ModelChoiceField(
        queryset=None, required=False, label=_("Or calibrator"), empty_label=_("None")
    )

    class Meta:
        model = Certificate
        fields = ["number", "laboratory", "issued_on", "due_on"]
        field_classes = {"issued_on": DayField, "due_on": DayField}
        help_texts = {
            "laboratory": _("Best one accredited to ISO/IEC 17025, such as UKAS."),
            "due_on": _("Left empty it follows from the months in force."),
        }

    field_order = ("instrument", "calibrator", "number", "laboratory", "issued_on", "due_on")

    def __init__(self, *args: Any, tolerances: Tolerances, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tolerances = tolerances
        self.fields["due_on"].required = False
        self.fields["calibrator"].queryset = Calibrator.objects.all()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        of = self.instance.instrument, self.instance.calibrator = (
            cleaned.get("instrument"),
            cleaned.get("calibrator"),
        )
        if not {"instrument", "calibrator"} & set(self.errors) and of.count(None) != 1:
            self.add_error(
                "instrument", _("Say whose certificate it is: one instrument's or one calibrator's.")
            )
        issued, held = cleaned.get("issued_on"), self.tolerances
        if issued and not cleaned.get("due_on") and "due_on" not in self.errors:
            months = held.meter_months if of[1] is None else held.calibrator_months
            cleaned["due_on"] = months_later(issued, months)
        return cleaned


class CalibratorForm(forms.ModelForm):
    """A sound calibrator."""

    class Meta:
        model = Calibrator
        fields = ["serial", "model"]

    def clean_serial(self) -> str:
        """One that is not there yet: the organisation is not in the form, so the constraint is not asked."""
        serial: str = self.cleaned_data["serial"].strip()
        if Calibrator.objects.filter(serial=serial).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("There is a calibrator of this serial number already."))
        return serial
