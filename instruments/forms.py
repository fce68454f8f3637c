"""The forms of organisations, people and keys; a secret goes in by them and never comes out again."""

import zoneinfo
from collections import defaultdict
from functools import cache
from typing import Any

from allauth.account.forms import SignupForm
from allauth.core import context as allauth_context
from django import forms
from django.conf import settings
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from instruments.accounts import invitation_of
from instruments.models import ApiKey, Invitation, Organisation, Role
from instruments.models.keys import allowed_base_urls
from instruments.people import may_grant


@cache
def time_zones() -> list[tuple[str, Any]]:
    """Every time zone by region, for a select."""
    regions: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(zoneinfo.available_timezones()):
        region, _slash, place = name.partition("/")
        # The others are aliases kept for old programs.
        if place and region not in {
            "Etc",
            "SystemV",
            "posix",
            "right",
            "US",
            "Brazil",
            "Canada",
            "Mexico",
            "Chile",
        }:
            regions[region].append((name, place.replace("_", " ").replace("/", " / ")))
    return [("UTC", "UTC"), *((region, places) for region, places in sorted(regions.items()))]


def _time_zone_field(current: str) -> forms.ChoiceField:
    choices = time_zones()
    known = {name for _region, places in choices[1:] for name, _place in places} | {"UTC"}
    if current not in known:
        choices = [(current, current), *choices]
    return forms.ChoiceField(
        label=_("Time zone"),
        choices=choices,
        help_text=_("Pages and mails write their times in it. Stored times do not change."),
    )


class OrganisationForm(forms.ModelForm):
    """A new organisation."""

    class Meta:
        model = Organisation
        fields = ["name", "slug", "timezone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].required = False
        self.fields["slug"].help_text = _(
            "In the address of every page: /o/…/. Made from the name if left empty."
        )
        self.fields["timezone"] = _time_zone_field(self.instance.timezone)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("slug") and "slug" not in self.errors:
            cleaned["slug"] = slugify(cleaned.get("name", ""))[:60].strip("-")
            if not cleaned["slug"]:
                self.add_error("slug", _("Say which address it should have, e.g. harbour-noise."))
        return cleaned


class SettingsForm(forms.ModelForm):
    """What an organisation's admins may change of it."""

    class Meta:
        model = Organisation
        fields = [
            *("name", "timezone", "day_hour", "evening_hour", "night_hour"),
            *("registers_webhooks", "accepts_legacy_notifications"),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["timezone"] = _time_zone_field(self.instance.timezone)


class SecretField(forms.CharField):
    """A key on its way in: never put back into the page, whatever was wrong with the form."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.PasswordInput(
            render_value=False,
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "class": "secret"},
        )
        super().__init__(max_length=200, widget=widget, **kwargs)


class KeyForm(forms.Form):
    """A new key. Where it is sent is a choice only if the operator has allowed more than MyCirrus itself."""

    label = forms.CharField(
        label=_("Label"),
        max_length=80,
        initial=_("Main account"),
        help_text=_("For people, to tell keys apart."),
    )
    secret = SecretField(
        label=_("API key"),
        help_text=_(
            "Make one in the MyCirrus console at mycirrus.cloud/developer-api. It is encrypted and never shown again."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.MYCIRRUS_EXTRA_BASE_URLS:
            self.fields["base_url"] = forms.ChoiceField(
                label=ApiKey._meta.get_field("base_url").verbose_name,
                choices=[(address, address) for address in allowed_base_urls()],
            )


class RotateForm(forms.Form):
    """The secret that takes the place of the present one."""

    secret = SecretField(
        label=_("New API key"),
        help_text=_("It is tried at MyCirrus first; the present key stays until the new one is accepted."),
    )


class InvitationForm(forms.ModelForm):
    """Whom to invite, with the roles that the inviter may give."""

    class Meta:
        model = Invitation
        fields = ["email", "role"]

    def __init__(self, *args: Any, actor_role: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = _role_field(actor_role)


class RoleForm(forms.Form):
    """A member's new role, among those that the actor may give."""

    def __init__(self, *args: Any, actor_role: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = _role_field(actor_role)


def _role_field(actor_role: Role) -> forms.ChoiceField:
    choices = [(role.value, role.label) for role in Role if may_grant(actor_role, role)]
    return forms.ChoiceField(label=_("Role"), choices=choices, initial=Role.VIEWER)


class InvitedSignupForm(SignupForm):
    """Sign-up by invitation: the address is the invited one, whatever the browser sends."""

    first_name = forms.CharField(
        label=_("First name"),
        max_length=150,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "given-name"}),
    )
    last_name = forms.CharField(
        label=_("Last name"),
        max_length=150,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "family-name"}),
    )
    field_order = ["email", "first_name", "last_name", "password1", "password2"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation_of(allauth_context.request)
        if self.invitation is not None:
            # Disabled: Django then takes the initial value and ignores what was posted. Set in `self.initial`,
            # because ?email= in the address would otherwise come before the field's own.
            self.fields["email"].disabled = True
            self.initial["email"] = self.invitation.email
