"""The forms by which actions are asked for; each carries a number of its own, so that sent twice it is one action."""

import uuid
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from monitoring.models import ActionKind

_WHY: dict[str, Any] = {
    "label": _("Why"),
    "max_length": 300,
    "help_text": _("Kept in the activity log, for whoever asks later."),
    "error_messages": {"required": _("Say in a few words why: whoever asks later will want to know.")},
}


class ActionForm(forms.Form):
    """A SIC, or what any action is asked for with."""

    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    why = forms.CharField(**_WHY)

    def __init__(self, *args: Any, instrument: Instrument, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instrument = instrument

    @property
    def asked(self) -> dict[str, Any]:
        """What of it goes into the action."""
        return {
            name: self.cleaned_data[name] for name in ("token", "why", "name") if name in self.cleaned_data
        }


# What Identify is there for: it is one click, and the log has its reason all the same.
TO_TELL_APART = _("To tell it from others beside it")


class IdentifyForm(ActionForm):
    """A flash of the instrument's light."""

    why = forms.CharField(initial=TO_TELL_APART, **_WHY)


class CalibrationForm(ActionForm):
    """A calibration, after it was said that the calibrator is in place."""

    calibrator = forms.BooleanField(
        label=_("The acoustic calibrator is on the microphone and switched on"),
        error_messages={"required": _("Put the calibrator on the microphone first, then say so here.")},
    )

    field_order = ("calibrator", "why")


class RenameForm(ActionForm):
    """A new name for an instrument."""

    name = forms.CharField(label=_("New name"), max_length=200)

    field_order = ("name", "why")

    def clean_name(self) -> str:
        """A name that differs: without a difference nothing could show that it was taken."""
        name = self.cleaned_data["name"]
        if name == self.instrument.name:
            raise ValidationError(_("That is its name already."))
        return name


FORMS: dict[str, type[ActionForm]] = {
    ActionKind.IDENTIFY: IdentifyForm,
    ActionKind.CALIBRATION: CalibrationForm,
    ActionKind.SIC: ActionForm,
    ActionKind.RENAME: RenameForm,
}
