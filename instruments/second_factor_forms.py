"""allauth's forms for the code of a second factor, for when the key ring that it was stored under is lost."""

from allauth.mfa.base import forms as allauth_forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from instruments.credentials import SecretUnreadable


class _Told(allauth_forms.BaseAuthenticateForm):
    """No code is right for a factor that cannot be read; whoever types one is told why."""

    def clean_code(self) -> str:
        """allauth's."""
        try:
            return str(super().clean_code())
        except SecretUnreadable:
            raise ValidationError(
                _(
                    "Your second factor cannot be read any more. Ask the operator of this installation to remove it, "
                    "then set it up anew."
                )
            ) from None


class AuthenticateForm(_Told, allauth_forms.AuthenticateForm):
    """At sign-in."""


class ReauthenticateForm(_Told, allauth_forms.ReauthenticateForm):
    """Before something that matters."""
