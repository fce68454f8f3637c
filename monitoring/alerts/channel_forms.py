"""The form of a channel: where it is and what it hears. An address goes in by it and never comes out again."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from instruments.models import Site
from monitoring.alerts.channels.chat import CHATS
from monitoring.alerts.channels.keeping import Hears, hears_of
from monitoring.alerts.channels.posting import address_check
from monitoring.alerts.channels.sending import Refused
from monitoring.alerts.channels.webhook import is_signing_key, signing_key
from monitoring.models import AlertChannel, AlertKind, ChannelSecret, Severity

_SECRET = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "class": "secret"}


class ChannelForm(forms.Form):
    """A channel of one kind; of one that is there already, an empty secret means the present one."""

    name = forms.CharField(
        label=_("Name"), max_length=120, help_text=_("For people, e.g. “#noise-alerts” or “Works council”.")
    )
    address = forms.CharField(
        label=_("Address"),
        max_length=2000,
        widget=forms.PasswordInput(attrs=_SECRET),
    )
    signing = forms.CharField(
        label=_("Signing key"), max_length=100, widget=forms.TextInput(attrs=_SECRET), initial=signing_key
    )
    minimum = forms.TypedChoiceField(
        label=_("From which severity on"),
        coerce=int,
        choices=[(Severity.AMBER, _("Amber and red")), (Severity.RED, _("Red only"))],
    )
    kinds = forms.MultipleChoiceField(
        label=_("What it hears of"),
        choices=AlertKind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: everything, and what is added in later versions."),
    )

    def __init__(
        self, kind: str, *args: Any, sites: Sequence[Site], channel: AlertChannel | None = None, **kwargs: Any
    ) -> None:
        hears = hears_of(channel) if channel is not None else None
        initial: dict[str, Any] = {}
        if channel is not None:
            initial = {"name": channel.name, "signing": ""}
        if hears is not None:
            initial |= {"minimum": hears.minimum, "kinds": hears.kinds, "sites": [s.pk for s in hears.sites]}
        super().__init__(*args, **{**kwargs, "initial": initial})
        self.channel, self._sites = channel, {site.pk: site for site in sites}
        chat = CHATS[kind]
        self.fields["address"].help_text = chat.where
        if not chat.signed:
            del self.fields["signing"]
        elif channel is None:
            self.fields["signing"].help_text = _(
                "Copy it into your program now: it is stored encrypted and never shown again. One of your own is fine."
            )
        if channel is not None:
            self.fields["address"].required = False
            self.fields["address"].help_text = _(
                "Leave it empty to keep the present one, at %(host)s, that ends in %(four)s."
            ) % {"host": channel.host, "four": channel.last_four}
            if chat.signed:
                self.fields["signing"].required = False
                self.fields["signing"].help_text = _(
                    "Leave it empty to keep the present one. It begins with whsec_ and is never shown again."
                )
        if sites:
            self.fields["sites"] = forms.TypedMultipleChoiceField(
                label=_("At which sites"),
                coerce=int,
                choices=[(site.pk, site.name) for site in sites],
                required=False,
                widget=forms.CheckboxSelectMultiple,
                help_text=_("None chosen: everywhere, and what stands nowhere."),
            )

    def clean_address(self) -> str:
        """One that a message could be sent to."""
        address: str = self.cleaned_data["address"].strip()
        if address:
            try:
                address_check(address)
            except Refused as refused:
                raise ValidationError(str(refused)) from None
        return address

    def clean_signing(self) -> str:
        """One that receivers' libraries take."""
        signing: str = self.cleaned_data["signing"].strip()
        if signing and not is_signing_key(signing):
            raise ValidationError(_("That is no signing key: whsec_ and 24 to 64 bytes in base64."))
        return signing

    @property
    def hears(self) -> Hears:
        """What the valid form says that it hears."""
        chosen = [self._sites[pk] for pk in self.cleaned_data.get("sites", [])]
        return Hears(kinds=self.cleaned_data["kinds"], sites=chosen, minimum=self.cleaned_data["minimum"])

    @property
    def secret(self) -> ChannelSecret | None:
        """The secret that the valid form says, with what it leaves empty as it was; None where nothing changes."""
        address, signing = self.cleaned_data["address"], self.cleaned_data.get("signing", "")
        if not address and not signing:
            return None
        if self.channel is None or (address and (signing or "signing" not in self.fields)):
            return ChannelSecret(address, signing)
        before = self.channel.secret_reveal()
        return ChannelSecret(address or before.address, signing or before.signing)
