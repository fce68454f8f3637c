"""The forms of alerts beside those of rules and channels: places, maintenance, escalation, quiet hours, digests."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from instruments.forms import time_zones
from instruments.models import Instrument, Membership, Site
from instruments.time_fields import InstantField
from monitoring.alerts.kinds import KINDS
from monitoring.models import AlertHours, DigestWish, EscalationStep, Maintenance, Severity

# What a select says where a row has nothing, or there is none.
ANY, NEVER = "any", "never"


class PlaceField(forms.TypedChoiceField):
    """One site or one instrument of the organisation in scope, as (instrument, site); empty is everything."""

    def __init__(self, *, everywhere: bool = False, **kwargs: Any) -> None:
        super().__init__(coerce=self._place, empty_value=None, **kwargs)
        groups: list[Any] = [("", _("All of the organisation's"))] if everywhere else []
        self._things: dict[str, tuple[Instrument | None, Site | None]] = {}
        sites = {f"s{site.pk}": site for site in Site.objects.all()}
        instruments = {f"i{each.pk}": each for each in Instrument.objects.present()}
        self._things |= {key: (None, site) for key, site in sites.items()}
        self._things |= {key: (each, None) for key, each in instruments.items()}
        if sites:
            groups.append((_("Sites"), [(key, str(site)) for key, site in sites.items()]))
        if instruments:
            groups.append((_("Instruments"), [(key, str(each)) for key, each in instruments.items()]))
        self.choices = groups

    def _place(self, value: str) -> tuple[Instrument | None, Site | None]:
        return self._things[value]


class PlacePreferenceForm(forms.Form):
    """One's own wish to hear of one site or instrument."""

    kind = forms.ChoiceField(
        label=_("What"),
        choices=[
            (ANY, _("Everything that can be wrong there")),
            *((kind.kind, kind.kind.label) for kind in KINDS.values() if kind.of_instruments),
        ],
    )
    minimum = forms.TypedChoiceField(
        label=_("From which severity on"),
        coerce=int,
        choices=[(Severity.AMBER, _("Amber and red")), (Severity.RED, _("Red only"))],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields = {"place": PlaceField(label=_("Where")), **self.fields}

    def clean_kind(self) -> str:
        """As a wish has it: empty is everything."""
        kind = str(self.cleaned_data["kind"])
        return "" if kind == ANY else kind


class MaintenanceForm(forms.ModelForm):
    """A time in which nobody is told."""

    class Meta:
        model = Maintenance
        # The place is added with its choices: outside a request there is no organisation to choose from.
        fields = ["start_at", "end_at", "reason"]
        field_classes = {"start_at": InstantField, "end_at": InstantField}

    def __init__(self, *args: Any, now: datetime | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now = now
        self.fields["place"] = PlaceField(label=_("Where"), required=False, everywhere=True)
        self.order_fields(["place", "start_at", "end_at", "reason"])
        if now is not None and self.instance.start_at is None:
            self.initial["start_at"] = timezone.localtime(now)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.instance.instrument, self.instance.site = cleaned.get("place") or (None, None)
        return cleaned

    def clean_end_at(self) -> datetime:
        """Not over already: nothing would be tagged."""
        end_at: datetime = self.cleaned_data["end_at"]
        if self.now is not None and end_at <= self.now:
            raise ValidationError(_("It would be over already."))
        return end_at


class EscalationForm(forms.ModelForm):
    """The next person, and after how long."""

    class Meta:
        model = EscalationStep
        fields = ["after_minutes", "minimum"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["membership"] = forms.ModelChoiceField(
            label=_("Person"), queryset=Membership.objects.select_related("user")
        )
        self.fields["after_minutes"] = forms.IntegerField(
            label=_("When nobody acknowledged for (min)"), min_value=1, max_value=10_080, initial=30
        )
        self.fields["minimum"] = forms.TypedChoiceField(
            label=_("Of incidents that are"),
            coerce=int,
            choices=[(Severity.RED, _("red")), (Severity.AMBER, _("amber or red"))],
        )
        # The empty instance's None would be shown in place of the fields' own first values.
        self.initial = {}
        self.order_fields(["membership", "after_minutes", "minimum"])

    def clean_membership(self) -> Membership:
        """Each person stands on one step."""
        membership: Membership = self.cleaned_data["membership"]
        if EscalationStep.objects.filter(membership=membership).exists():
            raise ValidationError(_("This person is told already. Remove that step first."))
        self.instance.membership = membership
        return membership


class HoursForm(forms.ModelForm):
    """One's own quiet hours."""

    class Meta:
        model = AlertHours
        fields = ["quiet_from", "quiet_until", "timezone", "red_breaks"]
        widgets = {
            "quiet_from": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "quiet_until": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["timezone"] = forms.ChoiceField(label=_("Your time zone"), choices=time_zones())


class DigestForm(forms.Form):
    """One's own digest: never, daily or weekly, and at which hour by one's own clock."""

    rhythm = forms.ChoiceField(
        label=_("How often"),
        choices=[(NEVER, _("Never")), *DigestWish.Rhythm.choices],
    )
    hour = forms.TypedChoiceField(
        label=_("At"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)], initial=7
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["timezone"] = forms.ChoiceField(label=_("Your time zone"), choices=time_zones())
