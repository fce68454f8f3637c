"""Asking for an action: it is checked, stored and noted in the log; sending it is the tasks' affair."""

import uuid
from datetime import datetime
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from instruments.activity import activity_note
from instruments.models import Instrument, User
from monitoring.actions.refusal import action_refusal, scope_of
from monitoring.actions.words import refusal_words
from monitoring.models import ActionKind, InstrumentAction

log = structlog.get_logger(__name__)


class ActionRefused(ValidationError):
    """It cannot be asked for; the message says why and what to do, `code` is the refusal's word."""


def action_request(
    *,
    instrument: Instrument,
    kind: ActionKind,
    actor: User | None,
    token: uuid.UUID,
    now: datetime,
    why: str,
    name: str = "",
) -> InstrumentAction:
    """Ask ``instrument`` for ``kind``; the tasks send it soon after the commit. ``actor`` None: the installation asks.

    ``why`` is kept in the organisation's activity log.

    The same ``token`` gives the action that is there already, whoever was first. Raises ActionRefused.
    """
    known = _with_token(token, instrument, kind)
    if known is not None:
        return known
    refusal = action_refusal(instrument=instrument, kind=kind, now=now)
    if refusal:
        raise _refused(refusal, kind)
    fields: dict[str, Any] = {
        "organisation_id": instrument.organisation_id,
        "instrument": instrument,
        "kind": kind,
        "token": token,
        "requested_by": actor,
        "requested_at": now,
        "due_at": now,
        "why": why,
        "name": name,
    }
    try:
        with transaction.atomic():
            action = InstrumentAction.objects.create(**fields)
            action_noted(action, "requested", detail=_asked(instrument, name, why))
    except IntegrityError:
        # Of two clicks at once the other one was faster, or another check of this instrument has not ended.
        known = _with_token(token, instrument, kind)
        if known is not None:
            return known
        raise _refused("busy", kind) from None
    log.info("action_requested", action=action.pk, kind=kind, serial=instrument.serial)
    return action


def action_noted(action: InstrumentAction, step: str, *, detail: str) -> None:
    """Note a step of the action in the organisation's log, in the name of who asked for it."""
    activity_note(
        organisation=action.organisation,
        actor=action.requested_by,
        verb=f"{action.kind.lower()}_{step}",
        subject=str(action.instrument),
        detail=detail,
    )


def _asked(instrument: Instrument, name: str, why: str) -> str:
    wanted = f"{instrument.name or instrument.serial} → {name}" if name else ""
    return ". ".join(part for part in (wanted, why) if part)


def _with_token(token: uuid.UUID, instrument: Instrument, kind: str) -> InstrumentAction | None:
    known = InstrumentAction.objects.filter(token=token).first()
    if known is not None and (known.instrument_id, known.kind) != (instrument.pk, kind):
        # A form carried over to another page: what it asks for was never confirmed there.
        raise _refused("used", kind)
    return known


def _refused(refusal: str, kind: str) -> ActionRefused:
    return ActionRefused(refusal_words(refusal, scope_of(kind)), code=refusal)
