"""What stands in the way of a whole fleet, a notice for each cause with the next move. It changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from instruments.models import ApiKey, Instrument
from instruments.scopes import scope_lines


@dataclass(frozen=True, slots=True)
class Notice:
    """One banner; ``at`` ends its title where a time belongs to it."""

    tone: str
    title: str
    text: str
    href: str = ""
    link: str = ""
    at: datetime | None = None


def key_notices(keys: Sequence[ApiKey], *, now: datetime, slug: str, can_manage: bool) -> list[Notice]:
    """What is wrong with the organisation's keys. Those who may mend it get the way there, others whom to ask."""
    href = reverse("instruments:keys", args=[slug]) if can_manage else ""
    ask = "" if can_manage else " " + _("Ask an admin of this organisation to look at the keys.")
    notices = []
    # One query for the rare case: a refused key that never read anything must not alarm the whole fleet.
    refused = [key.pk for key in keys if key.state == ApiKey.State.REFUSED]
    reading = set(
        Instrument.objects.present()
        .filter(api_key__in=refused)
        .values_list("api_key_id", flat=True)
        .distinct()
        if refused
        else ()
    )
    for key in keys:
        told = _notice(key, now, reads=key.pk in reading)
        if told is not None:
            tone, title, text, link, at = told
            notices.append(Notice(tone, title, text + ask, href, link if href else "", at))
    return notices


def _notice(key: ApiKey, now: datetime, *, reads: bool) -> tuple[str, str, str, str, datetime | None] | None:
    name = {"key": key.label}
    match key.state:
        case ApiKey.State.REFUSED:
            text = (
                _("Its instruments are no longer read; what is shown is the last that was heard.")
                if reads
                else _("No instrument is read with it.")
            )
            title = _("MyCirrus refuses the key “%(key)s”.") % name
            return ("bad" if reads else "warn", title, text, _("Replace the key"), None)
        case ApiKey.State.UNREACHABLE:
            return (
                "warn",
                _("MyCirrus cannot be reached with the key “%(key)s”.") % name,
                _("It is tried again by itself; nothing that was measured is lost meanwhile."),
                _("Look at the key"),
                None,
            )
        case ApiKey.State.MISSING_SCOPE:
            costs = [str(line.cost) for line in scope_lines(key.scopes) if line.held is False]
            return (
                "warn",
                _("The key “%(key)s” may not do everything.") % name,
                " ".join(costs),
                _("See what it may do"),
                None,
            )
    if key.pausing(now):
        return (
            "muted",
            _("MyCirrus asked to slow down:"),
            _("reading with the key “%(key)s” goes on by itself at") % name,
            "",
            key.paused_until,
        )
    return None
