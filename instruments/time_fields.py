"""A form's fields for a day and for an instant, which refuse years in which nobody measures."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from instruments.years import YEARS


def within_years(value: date) -> None:
    """Raises ValidationError for a day or an instant of any other year."""
    if value.year not in YEARS:
        raise ValidationError(
            _("Give a year from %(first)s to %(last)s."), params={"first": YEARS[0], "last": YEARS[-1]}
        )


class DayField(forms.DateField):
    """A day, by the browser's own calendar."""

    default_validators = [within_years]
    default_error_messages = {"invalid": gettext_lazy("Give a day such as 2026-11-25.")}
    widget: Any = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class InstantField(forms.DateTimeField):
    """An instant, by the wall clock of the present time zone."""

    default_validators = [within_years]
    default_error_messages = {"invalid": gettext_lazy("Give a day and a time such as 2026-11-25 14:00.")}
    widget: Any = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
