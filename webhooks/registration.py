"""Registering our address with MyCirrus and keeping it so, a key and a turn at a time; no call is in a transaction."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from instruments import mycirrus
from instruments.credentials import SecretUnreadable
from instruments.keys import client_for
from instruments.models import ApiKey, Instrument
from instruments.mycirrus import Client
from instruments.mycirrus.types import Webhook
from monitoring.sync import schedule
from monitoring.sync.claims import chance
from webhooks.addresses import address_is_registrable, hook_address
from webhooks.comparison import ID_LENGTH, differences, differences_store
from webhooks.messages import KINDS
from webhooks.models import Registration, Subscription
from webhooks.slots import slots_ensure, slots_of, waiting_drop

log = structlog.get_logger(__name__)

State, Outcome = Subscription.State, Registration.Outcome
READ = "webhooks:read"
EVERY = timedelta(days=1)
# One turn: little enough that others get theirs, and that it ends well within its lease.
MOST_CALLS = 100
TURN_SECONDS = 25.0
# A list this old need not be taken again for the next turn of the same work.
LIST_HOLDS = timedelta(minutes=10)
# So many instruments refused and nothing ever accepted: it is not them, and the rest would go the same way.
MOST_REFUSED = 3
NOT_OFFERED = "MyCirrus does not offer to remove webhooks ({status}): remove it on its website if it stays."
_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Turn:
    """How one turn ended, and whether there is more to do at once."""

    outcome: Registration.Outcome
    message: str = ""
    more: bool = False


class LeaseLost(Exception):
    """Somebody else took the registration over during this turn."""


def registration_claim(*, registration_id: int, now: datetime) -> Registration | None:
    """Hold the registration for a while, or None where it is not due or somebody holds it."""
    token = uuid.uuid4()
    held = (
        Registration.objects.free(now)
        .filter(pk=registration_id)
        .update(
            lease_until=now + timedelta(seconds=settings.SYNC_LEASE_SECONDS),
            lease_token=token,
            # Whoever held it last did not come to an end: what it made last may not be known here.
            listed_at=Case(When(lease_token__isnull=False, then=None), default=F("listed_at")),
        )
    )
    if not held:
        return None
    rows = Registration.objects.select_related("api_key", "organisation")
    return rows.get(pk=registration_id, lease_token=token)


def registration_run(*, registration_id: int) -> Turn | None:
    """Take one turn at the webhooks of one key, inside its organisation's scope. None where it is not to be had."""
    now = timezone.now()
    registration = registration_claim(registration_id=registration_id, now=now)
    if registration is None:
        return None
    with structlog.contextvars.bound_contextvars(organisation=registration.organisation.slug):
        try:
            turn, due_at = _turn(registration, now)
        except LeaseLost:
            log.warning("webhooks_lease_lost")
            return None
        _release(registration, turn, due_at)
        log.info("webhooks_compared", outcome=str(turn.outcome), more=turn.more, message=turn.message)
        return turn


def _turn(registration: Registration, now: datetime) -> tuple[Turn, datetime]:
    api_key = registration.api_key
    tomorrow = schedule.next_regular(now, EVERY, chance())
    if api_key.revoked_at is not None:
        return Turn(Outcome.REFUSED, "This key was revoked here."), tomorrow
    if not api_key.allows(READ):
        return Turn(Outcome.MISSING_READ, f"The key has no scope {READ}."), tomorrow
    missing = Outcome.MISSING_READ
    writes = registration.creates or registration.organisation.registers_webhooks
    writes = writes and address_is_registrable()
    try:
        with client_for(api_key) as client:
            if registration.listed_at is None or registration.listed_at < now - LIST_HOLDS:
                _compare(client, registration, writes=writes)
            missing, more = Outcome.MISSING_WRITE, False
            if writes:
                more = not _catch_up(client, registration)
    except mycirrus.MissingScope as error:
        return Turn(missing, str(error)), tomorrow
    except mycirrus.MyCirrusError as error:
        return _failed(registration, error, timezone.now())
    except SecretUnreadable as error:
        return Turn(Outcome.FAILED, str(error)), now + schedule.LONGEST_BUG_RETRY
    if more:
        return Turn(Outcome.OK, more=True), timezone.now()
    if registration.creates and not writes:
        return Turn(Outcome.NO_ADDRESS, f"MyCirrus does not send to {settings.PUBLIC_URL}."), tomorrow
    return Turn(Outcome.OK), tomorrow


def _compare(client: Client, registration: Registration, *, writes: bool) -> None:
    """Take MyCirrus' list in whole, store what it says, and make room for what is to be registered."""
    api_key = registration.api_key
    listed = client.webhooks()
    now = timezone.now()
    serials = set(Instrument.objects.present().filter(api_key=api_key).values_list("serial", flat=True))
    url = hook_address(registration.organisation)
    with transaction.atomic():
        held = Registration.objects.select_for_update().filter(
            pk=registration.pk, lease_token=registration.lease_token
        )
        if not held.exists():
            raise LeaseLost
        found = differences(
            listed=listed,
            rows=Subscription.objects.all(),
            url=url,
            serials=serials,
            api_key_id=api_key.pk,
        )
        differences_store(found=found, slots=slots_of(), api_key=api_key, now=now)
        if writes:
            slots_ensure(api_key=api_key, serials=serials)
        else:
            waiting_drop(api_key=api_key)
        held.update(listed_at=now, checked_at=now)


def _catch_up(client: Client, registration: Registration) -> bool:
    """Register what waits and then remove what was at an address of before; False where there is more to do."""
    until = time.monotonic() + TURN_SECONDS
    url = hook_address(registration.organisation)
    theirs = Subscription.objects.filter(api_key=registration.api_key)
    # What was refused before comes last: it must not be in the way of what never was.
    rows = list(theirs.filter(state=State.WANTED).order_by("message", "pk")[: MOST_CALLS + 1])
    accepted, refused = theirs.in_place().exists(), set[str]()
    for row in rows[:MOST_CALLS]:
        if time.monotonic() > until:
            return False
        try:
            webhook = client.webhook_create(type=row.type, serial=row.serial, url=url)
        except (mycirrus.BadRequest, mycirrus.NotFound, mycirrus.MissingScope) as error:
            refused.add(row.serial)
            # MyCirrus answers 403 for one instrument whose subscription has ended as for a key without the scope.
            if not accepted and (isinstance(error, mycirrus.MissingScope) or len(refused) >= MOST_REFUSED):
                raise
            Subscription.objects.filter(pk=row.pk, state=State.WANTED).update(
                state=State.FAILED, message=str(error)[:_MESSAGE]
            )
        else:
            accepted = True
            webhook_keep(row=row, webhook=webhook, api_key=registration.api_key, now=timezone.now())
    if len(rows) > MOST_CALLS:
        return False
    return _remove_retired(client, registration, until)


def webhook_keep(*, row: Subscription, webhook: Webhook, api_key: ApiKey, now: datetime) -> None:
    """Store a webhook that MyCirrus has just made, with its secret, in the place that waits for it.

    In one statement, and without asking who holds the registration: its secret is told once here.
    """
    values = Subscription(organisation_id=api_key.organisation_id, remote_id=webhook.id[:ID_LENGTH])
    values.type, values.serial, values.api_key, values.created_by_us = row.type, row.serial, api_key, True
    values.registered_at = values.checked_at = now
    if webhook.secret:
        values.secret_set(webhook.secret)
    else:
        values.state = State.FAILED
        values.message = "MyCirrus made it without telling its secret: what it sends is refused."
    columns = ("remote_id", "ciphertext", "state", "api_key", "registered_at", "checked_at", "message")
    waits = Subscription.objects.filter(pk=row.pk, state=State.WANTED)
    try:
        with transaction.atomic():
            if waits.update(host="", **{name: getattr(values, name) for name in columns}):
                return
            # The place was taken meanwhile: it is one more than needed, and still has to be understood.
            values.created_by_us = False
            values.save()
    except IntegrityError:
        # The list has brought it in already.
        log.info("webhook_known_already", webhook_id=webhook.id)


def _remove_retired(client: Client, registration: Registration, until: float) -> bool:
    """Remove what sends to an address of before; True where nothing is left that could be removed."""
    rows = Subscription.objects.filter(api_key=registration.api_key, state=State.RETIRED).order_by("pk")
    for row in rows[:MOST_CALLS]:
        if time.monotonic() > until:
            return False
        try:
            client.webhook_delete(row.remote_id or "")
        except mycirrus.NotFound:
            pass
        except mycirrus.UnexpectedResponse as error:
            # Inferred, never documented: that it is missing is an answer and no fault.
            status = f"HTTP {error.status}" if error.status else "no such operation"
            rows.update(message=NOT_OFFERED.format(status=status))
            log.info("webhook_removal_not_offered", status=error.status)
            return True
        row.delete()
    return not rows.exists()


def _failed(
    registration: Registration, error: mycirrus.MyCirrusError, now: datetime
) -> tuple[Turn, datetime]:
    message = str(error)
    if isinstance(error, mycirrus.RateLimited):
        until = now + schedule.pause(error.retry_after)
        if error.status is not None:
            # MyCirrus' own word holds for everything that is asked with this key.
            ApiKey.objects.filter(
                Q(paused_until=None) | Q(paused_until__lt=until), pk=registration.api_key_id
            ).update(paused_until=until)
        return Turn(Outcome.TRANSIENT, message), until
    if isinstance(error, mycirrus.AuthenticationFailed):
        return Turn(Outcome.REFUSED, message), now + schedule.REFUSED_RETRY
    # Whether the last call was carried out is not known: the list will tell.
    Registration.objects.filter(pk=registration.pk, lease_token=registration.lease_token).update(
        listed_at=None
    )
    transient = isinstance(error, mycirrus.TransientError)
    longest = schedule.LONGEST_RETRY if transient else schedule.LONGEST_BUG_RETRY
    due_at = schedule.next_retry(now, registration.failures + 1, chance(), longest)
    return Turn(Outcome.TRANSIENT if transient else Outcome.FAILED, message), due_at


def _release(registration: Registration, turn: Turn, due_at: datetime) -> None:
    """Write how the turn ended, where it is still ours; who asked meanwhile is not lost under it."""
    undisturbed = Q(due_at=registration.due_at)
    good = turn.outcome == Outcome.OK
    fields: dict[str, object] = {
        "outcome": turn.outcome,
        "outcome_at": timezone.now(),
        "message": turn.message[:_MESSAGE],
        "lease_until": None,
        "lease_token": None,
        "failures": 0 if good else F("failures") + 1,
        "due_at": Case(When(undisturbed, then=Value(due_at)), default=F("due_at")),
        "listed_at": Case(When(undisturbed, then=F("listed_at")), default=None),
    }
    if (good and not turn.more) or turn.outcome == Outcome.NO_ADDRESS:
        fields["creates"] = Case(When(undisturbed, then=Value(False)), default=F("creates"))
    Registration.objects.filter(pk=registration.pk, lease_token=registration.lease_token).update(**fields)


def webhooks_register(*, client: Client, api_key: ApiKey, serials: Iterable[str], url: str) -> int:
    """Create what is missing at MyCirrus for ``url``, at once and in one go. Returns how many were created.

    For few instruments and a MyCirrus at hand; everything else is done in turns. Idempotent: a webhook that stands
    there already for the same address is taken over, not made twice.
    """
    serials, now = set(serials), timezone.now()
    rows = Subscription.objects.all()
    found = differences(listed=client.webhooks(), rows=rows, url=url, serials=serials, api_key_id=api_key.pk)
    with transaction.atomic():
        differences_store(found=found, slots=slots_of(), api_key=api_key, now=now)
        slots_ensure(api_key=api_key, serials=serials)
    waiting = Subscription.objects.filter(api_key=api_key, state=State.WANTED, type__in=KINDS)
    created = 0
    for row in waiting.order_by("serial", "pk"):
        webhook = client.webhook_create(type=row.type, serial=row.serial, url=url)
        webhook_keep(row=row, webhook=webhook, api_key=api_key, now=timezone.now())
        created += 1
    return created
