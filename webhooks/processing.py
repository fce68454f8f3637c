"""Turns a stored delivery into its effect: targets made due. The message is a hint; the API says what is true."""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.models import F, Q

from instruments.models import Instrument
from monitoring.models import Resource
from monitoring.sync.claims import list_make_due, make_due, poll_soon
from monitoring.sync.wanted import resources_of
from webhooks.messages import Message, NotUnderstood, message_of
from webhooks.models import Delivery, Subscription
from webhooks.models.deliveries import DeliveryQuerySet

log = structlog.get_logger(__name__)

# A task's time limit < this lease < the broker's visibility timeout.
LEASE = timedelta(seconds=60)
ATTEMPTS = 5
# Until the database is asked again after it could not.
PUT_OFF = timedelta(seconds=10)
EFFECT_LENGTH = 300
# Replayed by one wish at most, and in one UPDATE.
MOST_REPLAYED = 5000
_REPLAYED_TOGETHER = 500

# A measurement is of what the instrument measures.
_MEASURED = (Resource.NOISE, Resource.PARTICULATES, Resource.GASES, Resource.PPV, Resource.VDV)
WANTED: dict[str, tuple[Resource, ...]] = {
    "NewMeasurement": _MEASURED,
    "NewEvent": (Resource.EVENTS, Resource.AUDIO),
    "InstrumentStatus": (Resource.STATUS,),
    "CalibrationFinished": (Resource.CALIBRATIONS,),
    "SicFinished": (Resource.SIC,),
}
# What changes with it, and what no mail waits for: it must not take places from what one waits for.
ALSO: dict[str, tuple[Resource, ...]] = dict.fromkeys(
    ("CalibrationFinished", "SicFinished"), (Resource.STATUS,)
)
_LEGACY_WANTED = (*_MEASURED, Resource.STATUS)


@dataclass(frozen=True, slots=True)
class Effect:
    """How a delivery ended, and whether something is to be fetched now."""

    state: Delivery.State
    text: str
    type: str = ""
    serial: str = ""
    fetch: bool = False


class LeaseLost(Exception):
    """Somebody else took the delivery over while it was being processed."""


def delivery_claim(*, delivery_id: int, now: datetime) -> Delivery | None:
    """Hold the delivery for a while, or None where it is not due or somebody holds it."""
    token = uuid.uuid4()
    held = (
        Delivery.objects.due(now)
        .filter(pk=delivery_id)
        .update(lease_until=now + LEASE, lease_token=token, attempts=F("attempts") + 1)
    )
    # Counted before anything is tried: a message that kills its worker must not be tried for ever.
    return Delivery.objects.get(pk=delivery_id, lease_token=token) if held else None


def delivery_process(*, delivery_id: int, now: datetime) -> Effect | None:
    """Process one delivery of the organisation in scope; None where there was nothing to do or it will be retried.

    The effect and its receipt are one transaction. A failure's receipt is written outside it, or it would be
    rolled back with what failed.
    """
    delivery = delivery_claim(delivery_id=delivery_id, now=now)
    if delivery is None:
        return None
    if delivery.attempts > ATTEMPTS:
        effect = Effect(Delivery.State.FAILED, f"Given up: none of {ATTEMPTS} attempts came to an end.")
        _release(delivery, state=effect.state, effect=effect.text, processed_at=now)
        return effect
    try:
        with transaction.atomic():
            effect = effect_of(delivery, now)
            kept = _release(
                delivery,
                state=effect.state,
                effect=effect.text[:EFFECT_LENGTH],
                type=effect.type,
                serial=effect.serial,
                processed_at=now,
            )
            if not kept:
                raise LeaseLost
            _note_arrival(delivery)
    except LeaseLost:
        log.warning("webhook_lease_lost", delivery=delivery.pk)
        return None
    except (OperationalError, InterfaceError) as error:
        # The database's own trouble is not the message's, and takes none of its attempts.
        log.warning("webhook_processing_put_off", delivery=delivery.pk, error=str(error).strip())
        # Where it cannot even write that, the lease ends and the tick rings again.
        with suppress(DatabaseError, InterfaceError):
            _release(delivery, attempts=F("attempts") - 1, due_at=now + PUT_OFF)
        return None
    except Exception as error:
        log.exception("webhook_processing_failed", delivery=delivery.pk, attempt=delivery.attempts)
        return _failure(delivery, error, now)
    log.info(
        "webhook_processed",
        delivery=delivery.pk,
        type=effect.type,
        serial=effect.serial,
        state=str(effect.state),
    )
    return effect


def delivery_replay(*, delivery: Delivery, now: datetime) -> bool:
    """Have a finished delivery processed once more; False where it is waiting already."""
    return bool(deliveries_replay(deliveries=Delivery.objects.filter(pk=delivery.pk), now=now))


def deliveries_replay(*, deliveries: DeliveryQuerySet, now: datetime) -> list[tuple[int, int]]:
    """Have finished ones among ``deliveries`` processed once more, the oldest first, MOST_REPLAYED at most.

    Returns the ids of their organisation and of themselves, to be rung for; the tick finds them too.
    """
    finished = deliveries.exclude(state=Delivery.State.RECEIVED).order_by("received_at", "pk")
    found = list(finished.values_list("organisation_id", "pk")[:MOST_REPLAYED])
    for start in range(0, len(found), _REPLAYED_TOGETHER):
        # In pieces: one UPDATE of thousands would hold up SQLite's only writer, and with it what arrives.
        pks = [pk for _, pk in found[start : start + _REPLAYED_TOGETHER]]
        Delivery.objects.filter(pk__in=pks).exclude(state=Delivery.State.RECEIVED).update(
            state=Delivery.State.RECEIVED,
            due_at=now,
            attempts=0,
            effect="",
            processed_at=None,
            lease_until=None,
            lease_token=None,
        )
    return found


def effect_of(delivery: Delivery, now: datetime) -> Effect:
    """Take the hint in the delivery's body: make what it speaks of due. Doing it twice equals doing it once."""
    try:
        message = message_of(bytes(delivery.body))
    except NotUnderstood as reason:
        return Effect(Delivery.State.FAILED, f"Kept, but not understood: {reason}.")
    legacy = message.is_legacy
    resources = _LEGACY_WANTED if legacy else WANTED.get(message.type, ())
    if not resources:
        text = f"Messages of the type {message.type} are new to this version. The text is kept."
        return _finished(Delivery.State.IGNORED, message, text)
    if not message.serial:
        return _finished(Delivery.State.FAILED, message, "The message names no instrument.")
    if legacy and message.serial == "Test":
        return _finished(Delivery.State.IGNORED, message, "A test notification: it arrived.")
    instrument = Instrument.objects.filter(serial=message.serial).first()
    if instrument is None:
        lists = list_make_due(now=now)
        then = "Set off a fetch of the instrument list." if lists else "There is no key to fetch a list with."
        text = f"No instrument {message.serial} is known here. {then}"
        return _finished(Delivery.State.PROCESSED, message, text, fetch=lists > 0)
    fetched = resources_of(instrument)
    also = tuple(resource for resource in ALSO.get(message.type, ()) if resource in fetched and not legacy)
    resources = tuple(resource for resource in resources if resource in fetched)
    if not resources and not also:
        text = f"Nothing of what it announces is fetched for an instrument of the type {instrument.type}."
        return _finished(Delivery.State.IGNORED, message, text)
    due = make_due(serial=message.serial, resources=resources, now=now)
    due += poll_soon(serial=message.serial, resources=also, now=now)
    told = f"The message says: {message.status}. " if message.status else ""
    # A label may hold a comma itself: "Vibration, PPV".
    wanted = "; ".join(str(resource.label) for resource in (*resources, *also))
    text = f"{told}Set off a fetch: {wanted}." if due else f"{told}Nothing to fetch it with: {wanted}."
    return _finished(Delivery.State.PROCESSED, message, text, fetch=due > 0)


def _note_arrival(delivery: Delivery) -> None:
    """When its webhook was last heard: by that a silent one is told from one with nothing to say."""
    if delivery.webhook_id:
        Subscription.objects.filter(
            Q(delivered_at=None) | Q(delivered_at__lt=delivery.received_at), remote_id=delivery.webhook_id
        ).update(delivered_at=delivery.received_at)


def _finished(state: Delivery.State, message: Message, text: str, *, fetch: bool = False) -> Effect:
    return Effect(state, text, message.type, message.serial, fetch)


def _failure(delivery: Delivery, error: Exception, now: datetime) -> Effect | None:
    # The kind of error only: a database's own text can quote the row.
    kind = type(error).__name__
    if delivery.attempts >= ATTEMPTS:
        text = f"Given up after {ATTEMPTS} attempts ({kind}). Replay it when the cause is mended."
        _release(delivery, state=Delivery.State.FAILED, effect=text, processed_at=now)
        return Effect(Delivery.State.FAILED, text)
    wait = timedelta(seconds=15 * 4 ** (delivery.attempts - 1))
    text = f"Attempt {delivery.attempts} of {ATTEMPTS} failed ({kind}); it is tried again."
    _release(delivery, effect=text, due_at=now + wait)
    return None


def _release(delivery: Delivery, **values: object) -> bool:
    """Write how it ended where the lease is still ours."""
    return bool(
        Delivery.objects.filter(pk=delivery.pk, lease_token=delivery.lease_token).update(
            lease_until=None, lease_token=None, **values
        )
    )
