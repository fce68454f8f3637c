"""One turn of one claimed target, from the key to the outcome; the tasks and the command line both come here."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from instruments import mycirrus
from instruments.credentials import SecretUnreadable
from instruments.keys import client_for
from instruments.models import ApiKey, Organisation
from monitoring.models import AlertDelivery, Lane, Outcome, Resource, SyncTarget
from monitoring.sync import schedule
from monitoring.sync.claims import (
    MESSAGE_LENGTH,
    Claim,
    chance,
    list_make_due,
    target_release,
)
from monitoring.sync.held import held_end, held_move, held_read
from monitoring.sync.resources import Step, steps_of
from monitoring.sync.sharing import Answer, NotShared, ask_together, companions_claim
from monitoring.sync.wanted import every, scope_of

log = structlog.get_logger(__name__)

# How long a worker stays with one piece of history before it looks for something newer.
BACKFILL_TURN_SECONDS = 5.0


class TakenOver(Exception):
    """The lease ended and somebody else holds the target: what was fetched is dropped, they fetch it again."""


@dataclass(slots=True)
class Turn:
    """What one turn did, and what is to be queued after it."""

    outcome: Outcome
    rows: int = 0
    message: str = ""
    alerts: bool = False
    more: bool = False
    # The turns of others that were asked for in the same request.
    together: list["Turn"] = field(default_factory=list)

    def whole(self) -> list["Turn"]:
        """This turn and those that came along."""
        return [self, *self.together]


def target_run(*, claim: Claim) -> Turn | None:
    """Fetch and store one claimed target, inside its organisation's scope. None where the claim no longer holds.

    Others that can be asked for in the same request come along, each with a turn of its own.
    """
    now = timezone.now()
    target = held_read(target_id=claim.target_id, token=claim.token, now=now)
    if target is None:
        return None
    others, answer = companions_claim(target, now), None
    try:
        if others:
            answer = _asked_together(target, others, now)
    except NotShared:
        pass
    except (mycirrus.MyCirrusError, SecretUnreadable) as error:
        # It would be the same for each: the others are given back, and their own turns will tell.
        _give_back(others)
        with _logged(target):
            return _refused(target, error)
    if answer is None:
        _give_back(others)
        return _run(target, now)
    turn = _run(target, now, answer)
    for other in others:
        also = _run(other, now, answer)
        if turn is not None and also is not None:
            turn.together.append(also)
    return turn


def _asked_together(target: SyncTarget, others: list[SyncTarget], now: datetime) -> Answer:
    ahead = target.hinted_at is not None
    return ask_together(
        lambda encoding: client_for(target.api_key, ahead=ahead, encoding=encoding), [target, *others], now
    )


def _give_back(targets: list[SyncTarget]) -> None:
    for target in targets:
        SyncTarget.objects.filter(pk=target.pk, lease_token=target.lease_token).update(
            lease_until=None, lease_token=None
        )


@contextmanager
def _logged(target: SyncTarget) -> Iterator[None]:
    serial = target.instrument.serial if target.instrument else ""
    with structlog.contextvars.bound_contextvars(
        organisation=_slug(target.organisation_id), serial=serial, resource=target.resource
    ):
        yield


def _run(target: SyncTarget, now: datetime, answer: Answer | None = None) -> Turn | None:
    """One target's turn, by what was asked for together where that is all there is of it."""
    with _logged(target):
        serial = target.instrument.serial if target.instrument else ""
        doubtful = answer is not None and not answer.sure_of(serial)
        try:
            turn = _fetch(target, now, None if doubtful else answer)
        except TakenOver:
            log.warning("lease lost, turn dropped")
            return None
        if answer is not None and doubtful and turn.rows:
            # It was empty among the others and is not: MyCirrus does not read our lists as we write them.
            answer.memory.disprove("a serial was left out")
        log.info("synced", outcome=turn.outcome, rows=turn.rows, message=turn.message)
        return turn


@lru_cache(maxsize=4096)
def _slug(organisation_id: int) -> str:
    """For the log alone, where a name from before a renaming does no harm."""
    return Organisation.objects.values_list("slug", flat=True).get(pk=organisation_id)


def _fetch(target: SyncTarget, now: datetime, answer: Answer | None) -> Turn:
    started, rows, changed = time.monotonic(), 0, False
    scope = scope_of(target.resource, target.lane)
    if not target.api_key.allows(scope):
        # Not asked for at all: what is not allowed must not read as empty, nor cost the key requests.
        message = f"The key has no scope {scope}."
        _park(target, message, now)
        return Turn(Outcome.NEEDS_ATTENTION, message=message)
    longest = BACKFILL_TURN_SECONDS if target.lane == Lane.BACKFILL else settings.SYNC_TASK_SECONDS / 2
    ended = False
    try:
        with client_for(target.api_key, ahead=target.hinted_at is not None) as client:
            for step in steps_of(client, target, now, answer):
                ended = step.last
                changed = _store(target, step, changed) or changed
                rows += step.rows
                if ended:
                    break
                if time.monotonic() - started > longest:
                    # The rest in a later turn: no lease is outlived, and history holds up nothing new.
                    target_release(
                        target=target, outcome=Outcome.OK, due_at=timezone.now(), now=timezone.now()
                    )
                    return Turn(Outcome.OK, rows, more=True)
    except (mycirrus.MyCirrusError, SecretUnreadable) as error:
        return _refused(target, error, rows)
    except (TakenOver, OperationalError, InterfaceError):
        # The database's own trouble is not the target's: its lease ends and it is simply due again.
        raise
    except Exception as error:
        log.exception("turn failed")
        return _bug(target, error, rows)
    done = timezone.now()
    if not ended:
        target_release(target=target, now=done, **_well(target, done, changed))
    if target.resource == Resource.INSTRUMENTS:
        _key_answered(target, done)
    alerts = changed and AlertDelivery.objects.due(done).exists()
    return Turn(Outcome.OK if changed else Outcome.UNCHANGED, rows, alerts=alerts)


def _well(target: SyncTarget, now: datetime, changed: bool) -> dict[str, Any]:
    """How a turn ends that went well: with news or without, and when it is asked again."""
    return {
        "outcome": Outcome.OK if changed else Outcome.UNCHANGED,
        "due_at": schedule.next_regular(now, every(target.resource, target.lane), chance()),
    }


def _store(target: SyncTarget, step: Step, changed_before: bool) -> bool:
    """Rows, watermark and, after the last step, the outcome: in one transaction, where the token still matches."""
    with transaction.atomic():
        changed = step.store()
        now = timezone.now()
        # Last, and not first: what is written under a lost lease goes with the transaction, and no row of another
        # target is waited for while this one's is held.
        if step.last:
            well = _well(target, now, changed or changed_before)
            kept = held_end(
                target=target, rows=step.rows, reached=step.reached, done=step.done, now=now, **well
            )
        else:
            kept = held_move(target=target, rows=step.rows, reached=step.reached, now=now)
        if not kept:
            raise TakenOver
    return changed


def _refused(target: SyncTarget, error: mycirrus.MyCirrusError | SecretUnreadable, rows: int = 0) -> Turn:
    now, message = timezone.now(), str(error)
    if isinstance(error, SecretUnreadable):
        return _key_unusable(target, ApiKey.State.UNVERIFIED, message, rows)
    retry = schedule.next_retry(now, target.failures + 1, chance())
    if isinstance(error, mycirrus.RateLimited) and error.status is None:
        # Our own pace, not MyCirrus' word: only this turn waits.
        due_at = now + timedelta(seconds=error.retry_after or 1)
        target_release(target=target, outcome=Outcome.RATE_LIMITED, due_at=due_at, now=now, message=message)
        return Turn(Outcome.RATE_LIMITED, rows, message)
    if isinstance(error, mycirrus.RateLimited):
        until = now + schedule.pause(error.retry_after)
        # The whole key waits: MyCirrus counts per key, not per instrument. Of several answers the longest holds.
        ApiKey.objects.filter(Q(paused_until=None) | Q(paused_until__lt=until), pk=target.api_key_id).update(
            paused_until=until
        )
        target_release(target=target, outcome=Outcome.RATE_LIMITED, due_at=until, now=now, message=message)
        return Turn(Outcome.RATE_LIMITED, rows, message)
    if isinstance(error, mycirrus.AuthenticationFailed):
        return _key_unusable(target, ApiKey.State.REFUSED, message, rows)
    if isinstance(error, mycirrus.MissingScope):
        # A key that is known to hold the scope is refused for this instrument alone, whose subscription has ended
        # perhaps: nobody tells when it is renewed.
        held = target.api_key.scopes.get(scope_of(target.resource, target.lane)) is True
        alone = held and target.instrument is not None
        _park(target, message, now, after=schedule.LONGEST_BUG_RETRY if alone else None)
        return Turn(Outcome.NEEDS_ATTENTION, rows, message)
    if isinstance(error, mycirrus.NotFound):
        # Perhaps it was taken out of the account: the list will say.
        list_make_due(now=now)
    if isinstance(error, mycirrus.TransientError | mycirrus.NotFound):
        if target.resource == Resource.INSTRUMENTS:
            ApiKey.objects.filter(pk=target.api_key_id).exclude(state=ApiKey.State.REFUSED).update(
                state=ApiKey.State.UNREACHABLE, message=message[:MESSAGE_LENGTH]
            )
        target_release(target=target, outcome=Outcome.TRANSIENT, due_at=retry, now=now, message=message)
        return Turn(Outcome.TRANSIENT, rows, message)
    return _bug(target, error, rows)


def _bug(target: SyncTarget, error: Exception, rows: int) -> Turn:
    now, message = timezone.now(), type(error).__name__
    if not isinstance(error, DatabaseError):
        # A database's own text can quote the row.
        message = f"{message}: {error}"
    retry = schedule.next_retry(now, target.failures + 1, chance(), schedule.LONGEST_BUG_RETRY)
    target_release(target=target, outcome=Outcome.BUG, due_at=retry, now=now, message=message)
    return Turn(Outcome.BUG, rows, message)


def _park(target: SyncTarget, message: str, now: datetime, after: timedelta | None = None) -> None:
    """Have the target wait for a person, or for a time; a key's list asks once an hour, so that the key can heal."""
    target_release(
        target=target,
        outcome=Outcome.NEEDS_ATTENTION,
        due_at=now + (after or schedule.REFUSED_RETRY),
        now=now,
        message=message,
        park=after is None and target.resource != Resource.INSTRUMENTS,
    )


@transaction.atomic
def _key_unusable(target: SyncTarget, state: ApiKey.State, message: str, rows: int) -> Turn:
    """Park everything of the key at once: one cause and one message."""
    now = timezone.now()
    # Locked: a list that goes well in this moment wakes what is parked, and must not come in between.
    present = ApiKey.objects.select_for_update().get(pk=target.api_key_id)
    if present.fingerprint != target.api_key.fingerprint:
        # The secret was rotated during this turn: what is said of the old one is not true of the new.
        target_release(target=target, outcome=Outcome.TRANSIENT, due_at=now, now=now, message=message)
        return Turn(Outcome.TRANSIENT, rows, message)
    ApiKey.objects.filter(pk=present.pk).update(state=state, message=message[:MESSAGE_LENGTH])
    _park(target, message, now)
    SyncTarget.objects.filter(api_key_id=target.api_key_id, parked_at=None).exclude(
        resource=Resource.INSTRUMENTS
    ).update(
        parked_at=now,
        outcome=Outcome.NEEDS_ATTENTION,
        outcome_at=now,
        message=message[:MESSAGE_LENGTH],
    )
    return Turn(Outcome.NEEDS_ATTENTION, rows, message)


@transaction.atomic
def _key_answered(target: SyncTarget, now: datetime) -> None:
    """The key works (again): wake what was parked for it."""
    # Read again: while the list was under way another worker may have been refused.
    api_key = ApiKey.objects.select_for_update().get(pk=target.api_key_id)
    ApiKey.objects.filter(pk=api_key.pk, paused_until__lte=now).update(paused_until=None)
    good = (ApiKey.State.GOOD, ApiKey.State.MISSING_SCOPE)
    if api_key.state in good and target.outcome != Outcome.NEEDS_ATTENTION:
        return
    if api_key.state not in good:
        state = ApiKey.State.MISSING_SCOPE if api_key.missing_scopes() else ApiKey.State.GOOD
        ApiKey.objects.filter(pk=api_key.pk).update(state=state, message="")
    # Whatever its state was called: it may have been refused first and out of reach since.
    SyncTarget.objects.filter(api_key=api_key).parked().update(parked_at=None, due_at=now, failures=0)
