"""The organisation: the tenant that owns every other row."""

import secrets
import zoneinfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


def _hours(first: int, last: int) -> list[tuple[int, str]]:
    return [(hour, f"{hour:02}:00") for hour in range(first, last + 1)]


def validate_time_zone(name: str) -> None:
    """Refuse a name that is no time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValidationError(
            _("“%(name)s” is not a time zone. Use a name such as Europe/London."), params={"name": name}
        ) from None


def registers_by_default() -> bool:
    """MyCirrus posts to https only: where we have no such address there is nothing to register."""
    return settings.PUBLIC_URL.startswith("https://")


def webhook_token() -> str:
    """The unguessable part of an organisation's webhook address: 192 bits."""
    return secrets.token_urlsafe(24)


class Organisation(models.Model):
    """A consultancy, a council, a site: the people who share keys and instruments."""

    name = models.CharField(_("name"), max_length=120)
    slug = models.SlugField(
        _("address"),
        max_length=60,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z0-9][-a-z0-9]*$", _("Use lower-case letters, digits and hyphens."))
        ],
    )
    timezone = models.CharField(
        _("time zone"), max_length=64, default="Europe/London", validators=[validate_time_zone]
    )
    webhook_token = models.CharField(max_length=64, unique=True, default=webhook_token, editable=False)
    accepts_legacy_notifications = models.BooleanField(
        _("accept unsigned legacy notifications"),
        default=False,
        help_text=_(
            "The website's older “Custom” notifications carry no signature: anybody who knows the address can send one."
        ),
    )
    registers_webhooks = models.BooleanField(
        _("keep webhooks registered"),
        default=registers_by_default,
        help_text=_(
            "Every instrument's webhooks are made at MyCirrus, compared daily, and made again where they are missing."
        ),
    )
    # By the clock of the place. Countries differ (Directive 2002/49/EC Annex I); none begins a part at an hour that the
    # change of the clocks leaves out or repeats.
    day_hour = models.PositiveSmallIntegerField(
        _("day begins at"),
        default=7,
        choices=_hours(4, 11),
        help_text=_(
            "Day, evening and night make Lden. The European directive says 07:00, 19:00 and 23:00; countries differ."
        ),
    )
    evening_hour = models.PositiveSmallIntegerField(
        _("evening begins at"), default=19, choices=_hours(12, 22)
    )
    night_hour = models.PositiveSmallIntegerField(_("night begins at"), default=23, choices=_hours(13, 23))
    # Anybody of this installation may look around in it, and leave it again.
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(day_hour__lt=F("evening_hour"), evening_hour__lt=F("night_hour")),
                name="organisation_hours_in_order",
                violation_error_message=_(
                    "The evening has to begin after the day, and the night after the evening."
                ),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The time zone its pages and reports are written in."""
        return zoneinfo.ZoneInfo(self.timezone)
