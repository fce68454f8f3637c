"""What people may type about webhooks; a secret is taken and never shown again."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from webhooks.messages import KINDS
from webhooks.models import Subscription


class SubscriptionForm(forms.ModelForm):
    """A webhook at MyCirrus and the secret that it signs with."""

    type = forms.ChoiceField(
        label=_("Message type"),
        required=False,
        choices=[("", _("Any")), *((kind, kind) for kind in KINDS)],
    )
    secret = forms.CharField(
        label=_("Secret"),
        min_length=8,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "secret", "spellcheck": "false"}),
        help_text=_("As MyCirrus shows it, hyphens and all. It is stored encrypted and never shown again."),
    )

    class Meta:
        model = Subscription
        fields = ["remote_id", "type", "serial"]
        widgets = {
            "remote_id": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            "serial": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Left empty it is the one that all webhooks share; None would be one that is still to be registered.
        self.fields["remote_id"].empty_value = ""  # type: ignore[attr-defined]
        self.fields["serial"].help_text = _("For your own overview, e.g. QT123456.")

    def _get_validation_exclusions(self) -> set[str]:
        # The organisation is set by the view, so "once in an organisation" can be checked here too.
        return super()._get_validation_exclusions() - {"organisation"}  # type: ignore[misc]
