"""A form's fields for a day and for an instant, which refuse years in which nobody measures."""

from datetime import UTC, date, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
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
    """An instant, by the wall clock of the present time zone.

    Of an hour that the clocks repeat it is the first, unless the form began with an instant of the second or it is
    that now: what was stored or offered comes back unchanged. An hour that they skip is refused.
    """

    default_validators = [within_years]
    default_error_messages = {"invalid": gettext_lazy("Give a day and a time such as 2026-11-25 14:00.")}
    widget: Any = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        self._began_with = form.get_initial_for_field(self, field_name)
        return super().get_bound_field(form, field_name)

    def to_python(self, value: Any) -> datetime | None:
        try:
            return super().to_python(value)
        except ValidationError as refusal:
            if refusal.code != "ambiguous_timezone":
                raise
            told: datetime = (refusal.params or {})["datetime"]
        zone = timezone.get_current_timezone()
        first, second = (told.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        # Where the clocks go forward the hour between is, by the offset before, later than by the one after.
        if first.astimezone(UTC) > second.astimezone(UTC):
            raise ValidationError(
                _("The clocks skip %(time)s on that day. Give a time before or after it."),
                params={"time": f"{told:%H:%M}"},
            )
        reference = self._began_with if isinstance(self._began_with, datetime) else timezone.now()
        return second if timezone.localtime(reference).fold else first
