"""Digests owed and sent: a row for each person and day, claimed with a lease, sent, then marked."""

from datetime import datetime

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q

from instruments.models import Membership, Organisation
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.channels.email import hand_over
from monitoring.alerts.channels.sending import MailboxRefused, NotSent
from monitoring.alerts.claims import (
    REFUSED,
    owed_claim,
    owed_dropped,
    owed_held,
    owed_later,
    owed_put_off,
    owed_refused,
    owed_released,
    owed_sent,
)
from monitoring.alerts.digests.mail import digest_mail
from monitoring.alerts.digests.times import last_until, next_after, occurs_at
from monitoring.models import Digest, DigestWish

log = structlog.get_logger(__name__)
MOST_AT_ONCE = 100


def digest_wish(
    *,
    membership: Membership,
    rhythm: str,
    hour: int,
    timezone: str,
    organisation: Organisation,
    now: datetime,
) -> DigestWish:
    """Have ``membership`` sent the digest from its next time on."""
    wish = DigestWish(
        organisation=organisation, membership=membership, rhythm=rhythm, hour=hour, timezone=timezone
    )
    told = {"rhythm": rhythm, "hour": hour, "timezone": timezone, "next_at": _next(wish, now)}
    return DigestWish.objects.update_or_create(
        membership=membership, defaults=told, create_defaults={**told, "organisation": organisation}
    )[0]


def digests_plan(*, now: datetime) -> None:
    """Have no digest in scope come later than its next time from ``now``: a clock that ran ahead had planned it."""
    for wish in DigestWish.objects.filter(next_at__gt=now):
        DigestWish.objects.filter(pk=wish.pk, next_at__gt=_next(wish, now)).update(next_at=_next(wish, now))


def digests_owe(*, now: datetime) -> int:
    """Owe each person the digest whose time has come. Returns how many wishes were due."""
    with all_organisations(reason="the tick serves every organisation"):
        due = list(
            DigestWish.objects.filter(next_at__lte=now)
            .order_by("next_at")
            .values_list("organisation_id", "pk")[:MOST_AT_ONCE]
        )
    for organisation_id, pk in due:
        with organisation_scope(organisation_id):
            digest_owe(pk=pk, now=now)
    return len(due)


@transaction.atomic
def digest_owe(*, pk: int, now: datetime) -> None:
    """Owe one person the newest of the digests that were due; those of days that were slept through are not made up."""
    wish = (
        DigestWish.objects.select_for_update(of=("self",))
        .select_related("membership")
        .filter(pk=pk, next_at__lte=now)
        .first()
    )
    if wish is None:
        return
    on = last_until(now, weekly=_weekly(wish), hour=wish.hour, zone=wish.zone)
    Digest.objects.bulk_create(
        [
            Digest(
                organisation_id=wish.organisation_id,
                recipient_id=wish.membership.user_id,
                rhythm=wish.rhythm,
                on=on,
                asked_at=occurs_at(on, wish.hour, wish.zone),
                due_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    # A mailbox that takes nothing is not to find a month of them on the day that it is mended.
    Digest.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now),
        recipient_id=wish.membership.user_id,
        sent_at=None,
        failed_at=None,
        on__lt=on,
        message__startswith=REFUSED,
    ).update(failed_at=now, message="The mailbox was refused, and a newer one is owed.")
    wish.next_at = _next(wish, now)
    wish.save(update_fields=["next_at"])


def digests_claim(*, now: datetime) -> list[tuple[int, int, str]]:
    """Claim digests to send: (organisation id, digest id, token) for each."""
    return owed_claim(Digest, now=now)


def digest_send(*, digest_id: int, token: str, now: datetime) -> bool:
    """Send one claimed digest as things stand ``now``; False where the claim no longer holds or it was not taken."""
    digest = owed_held(Digest, pk=digest_id, token=token).select_related("recipient", "organisation").first()
    if digest is None:
        return False
    if owed_put_off(digest):
        owed_released(digest)
        return False
    member = Membership.objects.filter(user_id=digest.recipient_id, user__is_active=True).first()
    if member is None:
        owed_dropped(digest, why="No longer a member.")
        return False
    if not DigestWish.objects.filter(membership=member).exists():
        owed_dropped(digest, why="No longer wanted.")
        return False
    try:
        hand_over(digest_mail(digest, now=now))
    except MailboxRefused as error:
        log.warning("mailbox refused", digest=digest_id)
        owed_refused(digest, why=str(error))
        return False
    except NotSent as error:
        log.warning("digest not sent", digest=digest_id, error=str(error))
        owed_later(digest, why=str(error))
        return False
    except DatabaseError:
        raise
    except Exception as error:
        log.exception("digest not written", digest=digest_id)
        owed_later(digest, why=f"The digest could not be written ({type(error).__name__}).")
        return False
    owed_sent(digest)
    return True


def _weekly(wish: DigestWish) -> bool:
    return wish.rhythm == DigestWish.Rhythm.WEEKLY


def _next(wish: DigestWish, now: datetime) -> datetime:
    return next_after(now, weekly=_weekly(wish), hour=wish.hour, zone=wish.zone)
