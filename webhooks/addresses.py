"""The organisation's webhook address and the secrets that sign what comes to it; secrets go in and never come out."""

from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from instruments.activity import activity_note
from instruments.models import Organisation, User
from instruments.models.organisations import webhook_token
from webhooks.models import Subscription
from webhooks.schedule import registrations_ask

log = structlog.get_logger(__name__)


def hook_address(organisation: Organisation) -> str:
    """The whole address that MyCirrus is to post to."""
    return settings.PUBLIC_URL + reverse("hook", args=[organisation.webhook_token])


def address_is_deliverable() -> bool:
    """Whether MyCirrus would take our address at all: it posts to https only."""
    return urlsplit(settings.PUBLIC_URL).scheme == "https"


def address_is_registrable() -> bool:
    """Whether to register it: MyCirrus takes it, or this is a trial on one machine, where a simulator does."""
    address = urlsplit(settings.PUBLIC_URL)
    return address_is_deliverable() or (
        settings.INSECURE_HTTP and address.scheme == "http" and _is_loopback(address.hostname or "")
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@transaction.atomic
def address_rotate(*, organisation: Organisation, actor: User, now: datetime) -> Organisation:
    """Give the organisation a new address; the old one answers 404 from here on.

    What was registered from here is registered anew, and removed at the old address where MyCirrus offers that.
    """
    organisation.webhook_token = webhook_token()
    organisation.save(update_fields=["webhook_token"])
    ours = Subscription.objects.filter(created_by_us=True)
    registrations_ask(now=now, creates=ours.exists())
    # None of them sends here any more; each is known by its id until it is gone.
    ours.filter(state=Subscription.State.REGISTERED).update(state=Subscription.State.RETIRED)
    activity_note(organisation=organisation, actor=actor, verb="webhook_address_rotated", subject="")
    log.info("webhook_address_rotated", organisation=organisation.slug, actor=actor.pk)
    return organisation


@transaction.atomic
def subscription_add(*, subscription: Subscription, secret: str, actor: User) -> Subscription:
    """Keep a webhook's secret, so that what it sends can be checked."""
    subscription.secret_set(secret)
    subscription.save()
    activity_note(
        organisation=subscription.organisation,
        actor=actor,
        verb="webhook_secret_added",
        subject=str(subscription),
    )
    log.info("webhook_secret_added", webhook_id=subscription.remote_id, actor=actor.pk)
    return subscription


@transaction.atomic
def subscription_remove(*, subscription: Subscription, actor: User) -> None:
    """Forget a webhook's secret: what it sends is refused from here on. What it sent stays."""
    log.info("webhook_secret_removed", webhook_id=subscription.remote_id, actor=actor.pk)
    activity_note(
        organisation=subscription.organisation,
        actor=actor,
        verb="webhook_secret_removed",
        subject=str(subscription),
    )
    subscription.delete()
