"""What is wrong with an organisation's webhooks, in words, with the next move; it changes nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from instruments.models import Organisation
from monitoring.notices import Notice
from webhooks.models import Registration, Subscription
from webhooks.silence import Silent, silent_webhooks

State, Outcome = Subscription.State, Registration.Outcome
# How long it is told that a webhook had to be made again.
MADE_AGAIN = timedelta(days=7)


def registrations_in_use() -> list[Registration]:
    """Those of the keys in use of the organisation in scope."""
    rows = Registration.objects.filter(api_key__revoked_at=None).select_related("api_key")
    return list(rows.order_by("pk"))


def webhook_notices(
    *,
    organisation: Organisation,
    now: datetime,
    can_manage: bool,
    registrations: Sequence[Registration] | None = None,
    silent: Sequence[Silent] | None = None,
) -> list[Notice]:
    """One notice for each cause, for the organisation in scope."""
    here = reverse("webhooks:registration", args=[organisation.slug])
    keys = reverse("instruments:keys", args=[organisation.slug]) if can_manage else ""
    rows = registrations_in_use() if registrations is None else registrations
    notices = [
        notice for row in rows if (notice := _of_key(row, keys, wanted=organisation.registers_webhooks))
    ]
    counts = Subscription.objects.aggregate(
        removed=Count("pk", filter=Q(state=State.REMOVED)),
        failed=Count("pk", filter=Q(state=State.FAILED)),
        again=Count("pk", filter=Q(state=State.REGISTERED, removed_at__gt=now - MADE_AGAIN)),
    )
    look = _("See which")
    if count := counts["removed"]:
        title = ngettext("MyCirrus has removed %d webhook.", "MyCirrus has removed %d webhooks.", count)
        text = _("It does so when deliveries keep failing. What they would have told comes by asking, later.")
        notices.append(Notice("warn", title % count, text, f"{here}#instruments-title", look))
    if count := counts["failed"]:
        title = ngettext("%d webhook was not accepted.", "%d webhooks were not accepted.", count)
        notices.append(
            Notice("warn", title % count, _("It is tried again daily."), f"{here}#instruments-title", look)
        )
    quiet = silent_webhooks(now=now) if silent is None else silent
    if count := len(quiet):
        title = ngettext("%d webhook keeps silent.", "%d webhooks keep silent.", count)
        text = _("Something arrived by asking, and no webhook had announced it.")
        notices.append(Notice("warn", title % count, text, f"{here}#silent-title", look))
    if count := counts["again"]:
        title = ngettext(
            "%d webhook was made again this week.", "%d webhooks were made again this week.", count
        )
        text = _("MyCirrus had removed it: was this installation out of reach?")
        notices.append(Notice("muted", title % count, text))
    return notices


def _of_key(registration: Registration, keys: str, *, wanted: bool) -> Notice | None:
    name = {"key": registration.api_key.label}
    tone = "warn" if wanted or registration.creates else "muted"
    match registration.outcome:
        case Outcome.MISSING_READ:
            title = _("The key “%(key)s” may not see webhooks.") % name
            text = _(
                "It lacks the scope webhooks:read, so that it cannot be told which instruments have any."
            )
        case Outcome.MISSING_WRITE:
            title = _("The key “%(key)s” may not register webhooks.") % name
            text = _("It lacks the scope webhooks:write. Make a wider key at MyCirrus and rotate to it.")
        case Outcome.NO_ADDRESS:
            return Notice(tone, _("Nothing was registered."), registration.message)
        case Outcome.REFUSED:
            title = _("MyCirrus refuses the key “%(key)s”.") % name
            text = _("Its webhooks cannot be compared or registered.")
        case Outcome.FAILED:
            title = _("The webhooks of the key “%(key)s” could not be compared.") % name
            return Notice("warn", title, registration.message)
        case Outcome.TRANSIENT if registration.failures >= 3:
            title = _("MyCirrus does not answer about the webhooks of the key “%(key)s”.") % name
            return Notice("warn", title, _("It is tried again by itself."))
        case _:
            return None
    return Notice(tone, title, text, keys, _("Look at the key") if keys else "")
