"""Sending what is owed: claimed with a lease, sent, then marked, so that a crash repeats and never forgets."""

from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError
from django.utils import timezone

from instruments.models import Membership
from monitoring.alerts.channels.keeping import channel_off
from monitoring.alerts.channels.registry import WAYS
from monitoring.alerts.channels.sending import MailboxRefused, NotSent, Refused
from monitoring.alerts.claims import (
    owed_claim,
    owed_dropped,
    owed_held,
    owed_later,
    owed_put_off,
    owed_refused,
    owed_released,
    owed_sent,
)
from monitoring.models import AlertChannel, AlertDelivery

log = structlog.get_logger(__name__)


def deliveries_claim(*, now: datetime) -> list[tuple[int, int, str]]:
    """Claim messages to send: (organisation id, delivery id, token) for each."""
    return owed_claim(AlertDelivery, now=now)


def delivery_send(*, delivery_id: int, token: str) -> bool:
    """Send one claimed message and mark it; False where the claim no longer holds or it was not taken.

    A failure is tried again with growing pauses for as long as it takes: an owed message is never dropped, unless
    its channel is refused for good and switched off.
    """
    delivery = (
        owed_held(AlertDelivery, pk=delivery_id, token=token)
        .select_related(
            "change__incident__instrument__status",
            "change__incident__version__rule",
            "recipient",
            "target",
            "organisation",
        )
        .first()
    )
    if delivery is None:
        return False
    if owed_put_off(delivery):
        # Claimed together with one that has failed since: its channel or mailbox waits as a whole.
        owed_released(delivery)
        return False
    refusal = _no_longer(delivery)
    if refusal:
        owed_dropped(delivery, why=refusal)
        return False
    attempts = delivery.attempts + 1
    try:
        answer = WAYS[delivery.channel].send(delivery)
    except MailboxRefused as error:
        log.warning("mailbox refused", delivery=delivery_id, attempts=attempts)
        owed_refused(delivery, why=str(error))
        return False
    except NotSent as error:
        log.warning("message not sent", delivery=delivery_id, attempts=attempts, error=str(error))
        due_at = owed_later(delivery, why=str(error), pause=timedelta(seconds=error.retry_after or 0))
        if delivery.target is not None:
            _wait(delivery.target, until=due_at)
        return False
    except Refused as error:
        log.warning("channel refused", delivery=delivery_id, error=str(error))
        if delivery.target is not None:
            channel_off(channel=delivery.target, reason=str(error), now=timezone.now())
        owed_dropped(delivery, why=str(error))
        return False
    except DatabaseError:
        # Not the message's fault: the lease ends, and it is simply due again.
        raise
    except Exception as error:
        log.exception("message not written", delivery=delivery_id, attempts=attempts)
        owed_later(delivery, why=f"The message could not be written ({type(error).__name__}).")
        return False
    owed_sent(delivery, answer=answer)
    return True


def _wait(channel: AlertChannel, *, until: datetime) -> None:
    """Let all that a channel is owed wait: what refuses one message now refuses them all, a call and a pause each."""
    owed = AlertDelivery.objects.filter(target=channel, sent_at=None, failed_at=None)
    owed.filter(due_at__lt=until).update(due_at=until)


def _no_longer(delivery: AlertDelivery) -> str:
    """Why it must not be sent any more: it may have waited for hours, and who left meanwhile must not read on."""
    if delivery.target is not None and not delivery.target.is_on:
        return "The channel was switched off or removed."
    user_id = delivery.recipient_id
    if user_id is not None and not Membership.objects.filter(user_id=user_id, user__is_active=True).exists():
        return "No longer a member."
    return ""
