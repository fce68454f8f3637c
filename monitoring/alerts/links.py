"""Signed addresses in messages: they name a person and an incident or a wish, and do nothing by being opened."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.urls import reverse

INCIDENT_SALT = "monitoring.alerts.incident"
WISH_SALT = "monitoring.alerts.unsubscribe"
# What an unsubscribing address names beside the kinds of alerts.
DIGEST = "digest"
_CALENDAR_SALT = "monitoring.calendar"
LASTS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Named:
    """Whom and what a signed address names."""

    organisation_id: int
    user_id: int
    subject: str


def incident_link(*, organisation_id: int, user_id: int, incident_id: int) -> str:
    """Where this person handles this incident without signing in, for a week."""
    token = signing.dumps([organisation_id, user_id, str(incident_id)], salt=INCIDENT_SALT)
    return settings.PUBLIC_URL + reverse("alert-link", args=[token])


def unsubscribe_link(*, organisation_id: int, user_id: int, kind: str) -> str:
    """Where this person stops hearing of this kind, or the digest. It does not run out: an old mail's must work too."""
    token = signing.dumps([organisation_id, user_id, kind], salt=WISH_SALT)
    return settings.PUBLIC_URL + reverse("alert-unsubscribe", args=[token])


def calendar_link(*, organisation_id: int, user_id: int, secret: str) -> str:
    """This person's address of the calendar; the same each time that it is asked for, until the secret changes."""
    token = signing.Signer(salt=_CALENDAR_SALT).sign_object([organisation_id, user_id, secret])
    return settings.PUBLIC_URL + reverse("calendar", args=[token])


def calendar_named(token: str) -> Named | None:
    """Whom the address of a calendar names; None where it was not signed here."""
    try:
        organisation_id, user_id, secret = signing.Signer(salt=_CALENDAR_SALT).unsign_object(token)
    except (signing.BadSignature, ValueError):
        return None
    return Named(organisation_id, user_id, secret)


def named(token: str, *, salt: str, lasts: timedelta | None = None) -> Named | None:
    """What ``token`` names; None where it was not signed here or has run out."""
    try:
        organisation_id, user_id, subject = signing.loads(token, salt=salt, max_age=lasts)
    except (signing.BadSignature, ValueError):
        return None
    return Named(organisation_id, user_id, subject)
