"""The forms of sites and deployments; instants are read in the site's time zone, which the page names."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from instruments.forms import time_zones
from instruments.instrument_field import InstrumentField
from instruments.models import Deployment, Site
from instruments.photos import Photo, photo_of
from instruments.time_fields import InstantField


class SiteForm(forms.ModelForm):
    """A place; its photo is decoded here, so that a file that is none is refused beside the other fields."""

    photo = forms.FileField(
        label=_("Photo"),
        required=False,
        help_text=_("JPEG, PNG or WebP, at most 15 MB. Where and when it was taken is removed from it."),
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
    )

    class Meta:
        model = Site
        fields = ["name", "address", "latitude", "longitude", "timezone", "placement", "notes"]
        help_texts = {
            "latitude": _("In degrees, south negative, e.g. 52.95939."),
            "longitude": _("In degrees, west negative, e.g. −1.19885."),
            "placement": _(
                "A façade reflects: levels there are usually taken to be 3 dB too high. Levels are shown as they were "
                "measured all the same; nothing is corrected here."
            ),
        }

    field_order = ("name", "address", "latitude", "longitude", "timezone", "placement", "photo", "notes")

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = _("The organisation's: %(zone)s") % {"zone": zone}
        self.fields["timezone"] = forms.ChoiceField(
            label=_("Time zone"),
            choices=[("", own), *time_zones()],
            required=False,
            help_text=_("Times of the instruments that stand here are told in it."),
        )
        self.order_fields(self.field_order)
        if self.instance.photo:
            self.fields["remove_photo"] = forms.BooleanField(
                label=_("Remove the present photo"), required=False
            )

    def clean_name(self) -> str:
        """One that is not there yet: the organisation is not in the form, so the constraint is not asked."""
        name: str = self.cleaned_data["name"].strip()
        if Site.objects.filter(name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("There is a site of this name already."))
        return name

    def clean_photo(self) -> Photo | None:
        """The picture as it is to be kept."""
        upload = self.cleaned_data.get("photo")
        return photo_of(upload, upload.size) if upload else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        ends = ("latitude", "longitude")
        if not set(ends) & set(self.errors) and (cleaned.get("latitude") is None) != (
            cleaned.get("longitude") is None
        ):
            missing = "latitude" if cleaned.get("latitude") is None else "longitude"
            self.add_error(missing, _("A position needs both latitude and longitude."))
        return cleaned


class DeploymentForm(forms.ModelForm):
    """When an instrument stood at a site, and where exactly."""

    class Meta:
        model = Deployment
        fields = ["start_at", "end_at", "note"]
        field_classes = {"start_at": InstantField, "end_at": InstantField}
        labels = {"start_at": _("From"), "end_at": _("Until"), "note": _("Where exactly")}
        help_texts = {
            "end_at": _("Left empty while it stands there."),
            "note": _("For example: roof, north side, microphone 4 m high."),
        }

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["start_at"].help_text = _("In the site's time zone, %(zone)s.") % {"zone": zone}

    def refuse(self, refusal: ValidationError) -> None:
        """Show beside its field what a verb refused."""
        told = refusal.message_dict if hasattr(refusal, "error_dict") else {None: refusal.messages}
        for field, words in told.items():
            self.add_error(field, words)

    def _post_clean(self) -> None:
        # The verbs check and store: the row itself must not change before they do.
        pass


class DeployForm(DeploymentForm):
    """The same with the instrument to be chosen."""

    field_order = ("serial", "start_at", "end_at", "note")

    serial = InstrumentField()
