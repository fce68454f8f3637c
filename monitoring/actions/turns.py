"""One step of one claimed action: sending it once, looking for its result, ending it. The tasks come here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from instruments import mycirrus
from instruments.credentials import SecretUnreadable
from instruments.keys import api_key_scope_found, client_for
from instruments.models import Instrument, Membership, Role
from instruments.mycirrus.types import passed
from monitoring.actions import rules, words
from monitoring.actions.claims import Claim, lease
from monitoring.actions.refusal import action_refusal, scope_of
from monitoring.actions.requests import action_noted
from monitoring.actions.rules import Fate
from monitoring.models import (
    ActionKind,
    ActionState,
    Calibration,
    InstrumentAction,
    InstrumentStatus,
    Resource,
    SystemIntegrityCheck,
)
from monitoring.sync.claims import list_make_due, make_due

log = structlog.get_logger(__name__)

_RESULT: dict[str, tuple[Any, Resource]] = {
    ActionKind.CALIBRATION: (Calibration, Resource.CALIBRATIONS),
    ActionKind.SIC: (SystemIntegrityCheck, Resource.SIC),
}


@dataclass(slots=True)
class Turn:
    """How the action stands after the step; ``sync`` is whether something was made due that should be fetched now."""

    state: ActionState
    sync: bool = False


def action_turn(*, claim: Claim) -> Turn | None:
    """Take one step, inside the organisation's scope. None where the claim no longer holds."""
    now = timezone.now()
    action = (
        InstrumentAction.objects.held(claim.token, now)
        .filter(pk=claim.action_id)
        .select_related("instrument__api_key", "organisation", "requested_by")
        .first()
    )
    if action is None:
        return None
    with structlog.contextvars.bound_contextvars(
        organisation=action.organisation.slug, serial=action.instrument.serial, action=action.kind
    ):
        if action.state == ActionState.REQUESTED:
            turn = _send(action, now)
        elif action.state == ActionState.STARTED:
            # Whoever sent it never came back to say how it went.
            turn = _not_told(action, words.not_told_words(), now)
        else:
            turn = _look(action, now)
        log.info("action_turn", state=turn.state if turn else "taken over")
        return turn


def _send(action: InstrumentAction, now: datetime) -> Turn | None:
    if not rules.may_be_sent(requested_at=action.requested_at, now=now):
        return _end(action, ActionState.FAILED, words.expired_words(), now)
    scope = scope_of(action.kind)
    # Asked once more: key, instrument and person may have changed since the page was shown.
    refusal = action_refusal(instrument=action.instrument, kind=action.kind, now=now)
    if refusal or not _may_ask(action):
        return _end(action, ActionState.FAILED, words.refusal_words(refusal or "role", scope), now)
    api_key = action.instrument.api_key
    assert api_key is not None  # noqa: S101 (refused above)
    if api_key.paused_until is not None and api_key.pausing(now):
        return _later(action, api_key.paused_until)
    try:
        client = client_for(api_key)
    except SecretUnreadable:
        return _end(action, ActionState.FAILED, words.key_unreadable_words(), now)
    except mycirrus.AuthenticationFailed as error:
        return _end(action, ActionState.FAILED, words.error_words(error, scope), now)
    with client:
        started_at = timezone.now()
        # Before the call, not after: a crash in between must leave "perhaps", never a second calibration.
        if not _change(
            action, state=ActionState.STARTED, started_at=started_at, lease_until=lease(started_at)
        ):
            return None
        try:
            status = _call(client, action)
        except mycirrus.MyCirrusError as error:
            if isinstance(error, mycirrus.MissingScope):
                api_key_scope_found(api_key=api_key, scope=scope, held=False)
            return _after_error(action, error, timezone.now())
    api_key_scope_found(api_key=api_key, scope=scope, held=True)
    return _after_answer(action, status, timezone.now())


def _may_ask(action: InstrumentAction) -> bool:
    """Whether whoever asked still may: somebody can be shown the door while an action waits."""
    person = action.requested_by
    if person is None:
        return True
    membership = Membership.objects.filter(user=person).first()
    return person.is_active and membership is not None and membership.covers(Role.MEMBER)


def _call(client: mycirrus.Client, action: InstrumentAction) -> str:
    """Make the one call, and give MyCirrus' word for how it stands."""
    serial = action.instrument.serial
    match action.kind:
        case ActionKind.RENAME:
            client.instrument_rename(serial, action.name)
            return "Success"
        case ActionKind.IDENTIFY:
            return client.action(serial, "Identify").status
        case ActionKind.CALIBRATION:
            return client.action(serial, "Calibration").status
        case _:
            return client.action(serial, "SIC").status


def _after_answer(action: InstrumentAction, status: str, now: datetime) -> Turn | None:
    if action.kind != ActionKind.RENAME:
        action.remote_status = status[:64]
    match rules.answer_fate(status=status, has_result=action.is_check):
        case Fate.SUCCEEDED:
            if action.kind == ActionKind.RENAME:
                _renamed(action, now)
            return _end(action, ActionState.SUCCEEDED, "", now)
        case Fate.UNDER_WAY:
            return _wait(action, ActionState.IN_PROGRESS, "", now)
        case Fate.FAILED:
            # A failed one can leave a row as well; it is the sync's to bring.
            _ask_for_news(action, now)
            return _end(action, ActionState.FAILED, words.refused_words(action), now)
        case _:
            return _not_told(action, words.odd_words(action), now)


def _after_error(action: InstrumentAction, error: mycirrus.MyCirrusError, now: datetime) -> Turn | None:
    log.warning("action_not_answered", error=type(error).__name__, status=error.status)
    match rules.error_fate(error):
        case Fate.LATER:
            wait = getattr(error, "retry_after", None) or rules.LOOK_EVERY.total_seconds()
            return _later(action, now + timedelta(seconds=wait))
        case Fate.FAILED:
            if isinstance(error, mycirrus.AuthenticationFailed | mycirrus.NotFound):
                # The list will say what has become of the key or the instrument.
                list_make_due(now=now)
            text = words.error_words(error, scope_of(action.kind))
            return _end(action, ActionState.FAILED, text, now)
        case _:
            return _not_told(action, words.not_told_words(), now)


def _not_told(action: InstrumentAction, message: str, now: datetime) -> Turn | None:
    """It may have begun: watch for what it would leave behind. An Identify leaves nothing."""
    if action.kind == ActionKind.IDENTIFY:
        return _end(action, ActionState.UNKNOWN, message, now)
    return _wait(action, ActionState.UNKNOWN, message, now)


def _look(action: InstrumentAction, now: datetime) -> Turn | None:
    """Whether it has ended: by its row or by the new name, whoever brought them, webhook or poll."""
    if action.kind == ActionKind.RENAME and action.instrument.name == action.name:
        return _end(action, ActionState.SUCCEEDED, "", now)
    row = _result(action)
    if row is not None:
        action.result_at = row.at
        state = ActionState.SUCCEEDED if passed(row.status) else ActionState.FAILED
        return _end(action, state, words.result_words(row), now)
    if not rules.is_overdue(started_at=action.started_at or action.requested_at, now=now):
        return _wait(action, ActionState(action.state), action.message, now)
    if passed(action.remote_status):
        return _end(action, ActionState.SUCCEEDED, words.believed_words(action), now)
    return _end(action, ActionState.UNKNOWN, words.overdue_words(action), now)


def _result(action: InstrumentAction) -> Calibration | SystemIntegrityCheck | None:
    """The first row since the start that says how it went and that no earlier action has for its own."""
    if not action.is_check:
        return None
    model, _resource = _RESULT[action.kind]
    earlier = InstrumentAction.objects.filter(
        instrument_id=action.instrument_id, kind=action.kind, result_at__gte=action.result_from()
    )
    taken = set(earlier.values_list("result_at", flat=True))
    rows = model.objects.filter(instrument_id=action.instrument_id, at__gte=action.result_from())
    # One that only says InProgress is not its end.
    fresh = (row for row in rows.select_related("instrument").order_by("at") if row.at not in taken)
    return next((row for row in fresh if passed(row.status) is not None), None)


def _ask_for_news(action: InstrumentAction, now: datetime) -> timedelta:
    """Make due what would show the result; gives when to look again."""
    if action.kind == ActionKind.RENAME:
        list_make_due(now=now)
        return rules.LIST_EVERY
    if action.is_check:
        _model, resource = _RESULT[action.kind]
        make_due(serial=action.instrument.serial, resources=[resource, Resource.STATUS], now=now)
    return rules.LOOK_EVERY


def _wait(action: InstrumentAction, state: ActionState, message: str, now: datetime) -> Turn | None:
    pause = _ask_for_news(action, now)
    held = _change(
        action,
        state=state,
        message=message,
        remote_status=action.remote_status,
        due_at=now + pause,
        lease_until=None,
        lease_token=None,
    )
    return Turn(state, sync=True) if held else None


def _later(action: InstrumentAction, due_at: datetime) -> Turn | None:
    """Nothing was sent: try once more at ``due_at``, or find then that it is too late."""
    held = _change(
        action,
        state=ActionState.REQUESTED,
        started_at=None,
        message=words.waiting_words(),
        due_at=min(due_at, action.requested_at + rules.SEND_WITHIN),
        lease_until=None,
        lease_token=None,
    )
    return Turn(ActionState.REQUESTED) if held else None


def _end(action: InstrumentAction, state: ActionState, message: str, now: datetime) -> Turn | None:
    with transaction.atomic():
        held = _change(
            action,
            state=state,
            message=message[:300],
            remote_status=action.remote_status,
            result_at=action.result_at,
            finished_at=now,
            lease_until=None,
            lease_token=None,
        )
        if not held:
            return None
        action_noted(action, state.value, detail=message or action.name)
    return Turn(state, sync=True)


def _change(action: InstrumentAction, **fields: object) -> bool:
    """Write where the claim still holds; False where somebody else took the action over."""
    mine = InstrumentAction.objects.open().filter(
        pk=action.pk, lease_token=action.lease_token, state=action.state
    )
    if not mine.update(**fields):
        return False
    for name, value in fields.items():
        setattr(action, name, value)
    return True


def _renamed(action: InstrumentAction, now: datetime) -> None:
    """Show the new name at once; the list, asked for now, tells it again by itself."""
    Instrument.objects.filter(pk=action.instrument_id).update(name=action.name)
    InstrumentStatus.objects.filter(instrument_id=action.instrument_id).update(changed_at=now)
    list_make_due(now=now)
