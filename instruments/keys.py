"""Keys to MyCirrus: adding, verifying, rotating, revoking, and the client that speaks with one; it shows no secret."""

import math
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import redis
import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from redis.backoff import NoBackoff
from redis.retry import Retry

from instruments.activity import activity_note
from instruments.credentials import SecretUnreadable
from instruments.models import ApiKey, Organisation, User
from instruments.mycirrus import (
    AuthenticationFailed,
    Client,
    ConnectionFailed,
    MyCirrusError,
    RateLimited,
    RateLimiter,
    ServerError,
    TimedOut,
)
from instruments.scopes import NEEDED
from instruments.signals import api_key_changed

logger = structlog.get_logger(__name__)

CONSOLE = "mycirrus.cloud/developer-api"
# Somebody waits for the page: a call that takes longer than this is as good as none.
HURRY_CONNECT_SECONDS = 3.0
HURRY_READ_SECONDS = 6.0
HURRY_CALL_SECONDS = 10.0
# What is further from its slot goes back to the schedule: a worker that sleeps is none.
LONGEST_WAIT_SECONDS = 2.0

Scopes = dict[str, bool | None]
Encoding = Literal["repeat", "comma"]


class KeyNotReplaced(ValidationError):
    """The new secret was not taken; the old one stands as it was."""


@lru_cache(maxsize=2)
def _redis(url: str) -> redis.Redis:
    # Pacing is not worth waiting for: the limiter goes on without Redis.
    return redis.Redis.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 1)
    )


@lru_cache(maxsize=4096)
def _limiter(url: str, fingerprint: str) -> RateLimiter:
    # Kept for the life of the process: it holds the process's own pace for while Redis is away. Named by
    # fingerprint, because MyCirrus counts a key's requests whichever of our organisations makes them.
    return RateLimiter(_redis(url), fingerprint, longest_wait=LONGEST_WAIT_SECONDS)


def pace_of(fingerprint: str) -> float:
    """The present rate of a key in requests a second, as all workers share it."""
    limiter = _limiter(settings.REDIS_URL, fingerprint)
    return limiter.rate() if limiter is not None else math.inf


@sensitive_variables("secret")
def _client(
    secret: str,
    base_url: str,
    fingerprint: str,
    *,
    hurried: bool = False,
    ahead: bool = False,
    encoding: Encoding = "repeat",
) -> Client:
    connect, read, call = settings.MYCIRRUS_CONNECT_TIMEOUT, settings.MYCIRRUS_READ_TIMEOUT, 60.0
    if hurried:
        connect, read = min(connect, HURRY_CONNECT_SECONDS), min(read, HURRY_READ_SECONDS)
        call = HURRY_CALL_SECONDS
    limiter = _limiter(settings.REDIS_URL, fingerprint)
    if limiter is not None and (hurried or ahead):
        limiter = limiter.ahead()
    return Client(secret, base_url, limiter, (connect, read), deadline=call, array_encoding=encoding)


@sensitive_variables("secret")
def client_for(
    api_key: ApiKey, *, hurried: bool = False, ahead: bool = False, encoding: Encoding = "repeat"
) -> Client:
    """A client that speaks with this key at the pace all workers share; close it, or use it in a ``with``.

    ``hurried`` shortens the timeouts for calls that a page waits for; those and what is asked ``ahead`` do not
    queue behind polls. ``encoding`` is how lists of serials are sent. Raises AuthenticationFailed for a revoked
    key and SecretUnreadable where the installation's key ring does not open it.
    """
    if api_key.revoked_at is not None:
        raise AuthenticationFailed("This key was revoked here.")
    secret = api_key.secret_reveal()
    return _client(
        secret, api_key.base_url, api_key.fingerprint, hurried=hurried, ahead=ahead, encoding=encoding
    )


def _changed_on_commit(api_key: ApiKey) -> None:
    organisation_id, api_key_id = api_key.organisation_id, api_key.pk
    transaction.on_commit(
        # Robust: the key is stored, and a broker that is away must not turn that into an error page.
        lambda: api_key_changed.send_robust(
            sender=ApiKey, organisation_id=organisation_id, api_key_id=api_key_id
        )
    )


def _noted(api_key: ApiKey, actor: User, verb: str, detail: str = "") -> None:
    """In the organisation's log, by its label and last four characters."""
    activity_note(
        organisation=api_key.organisation, actor=actor, verb=verb, subject=str(api_key), detail=detail
    )


@sensitive_variables("secret")
def api_key_add(*, organisation: Organisation, label: str, secret: str, base_url: str, actor: User) -> ApiKey:
    """Store a key, not verified yet. Raises ValidationError on a bad shape, address, or one that is here already."""
    api_key = ApiKey(
        organisation=organisation, label=label.strip(), base_url=base_url or settings.MYCIRRUS_BASE_URL
    )
    api_key.secret_set(secret)
    api_key.full_clean()
    with transaction.atomic():
        api_key.save()
        _noted(api_key, actor, "key_added")
        _changed_on_commit(api_key)
    logger.info("api_key_added", organisation_id=organisation.pk, api_key=api_key.pk, actor=actor.pk)
    return api_key


def _plain(failure: MyCirrusError) -> str:
    """Why a key could not be asked about, and what to do, in a sentence or two."""
    if isinstance(failure, AuthenticationFailed):
        return _(
            "MyCirrus refused this key: it is wrong, revoked or expired. "
            "Look at it in the console at %(console)s, then put a good one in its place with Rotate."
        ) % {"console": CONSOLE}
    if isinstance(failure, RateLimited):
        return _("MyCirrus asked this key to slow down. Verify it again in a minute.")
    if isinstance(failure, TimedOut):
        return _(
            "MyCirrus did not answer in time. It is asked again by itself; or press Verify now in a while."
        )
    if isinstance(failure, ServerError):
        return _("MyCirrus answered with an error of its own. Press Verify now in a while.")
    if isinstance(failure, ConnectionFailed):
        return _(
            "No connection to MyCirrus, or it broke off. If it lasts, check this machine's network "
            "and the key's address, then press Verify now."
        )
    return _(
        "MyCirrus gave an answer that could not be understood. Check the key's address, then Verify now."
    )


def _judged(scopes: Scopes) -> tuple[str, str]:
    """State and message that follow from what a probe found."""
    missing = sorted(scope for scope, held in scopes.items() if held is False)
    if NEEDED in missing:
        return ApiKey.State.MISSING_SCOPE, _(
            "This key lacks instruments:read, without which nothing can be read. "
            "Make one that has it in the console at %(console)s, then Rotate."
        ) % {"console": CONSOLE}
    if scopes.get(NEEDED) is None:
        return ApiKey.State.UNREACHABLE, _(
            "MyCirrus gave an answer that could not be understood. Check the key's address, then Verify now."
        )
    if missing:
        return ApiKey.State.MISSING_SCOPE, _(
            "Works, without %(scopes)s. If you need what is missing, make a wider key in the console and Rotate."
        ) % {"scopes": ", ".join(missing)}
    return ApiKey.State.GOOD, ""


def api_key_verify(*, api_key: ApiKey, now: datetime) -> ApiKey:
    """Ask MyCirrus, by harmless calls, whether the key is good and what it may do; keep the answer with the key.

    Must not be called inside a transaction: it waits for the network, for some seconds at most. An answer that
    could not be had leaves the scopes and the time of the last answer as they were.
    """
    found: dict[str, Any]
    try:
        with client_for(api_key, hurried=True) as client:
            scopes = client.probe_scopes()
    except AuthenticationFailed as failure:
        found = {"state": ApiKey.State.REFUSED, "message": _plain(failure), "verified_at": now}
    except RateLimited as failure:
        found = {"message": _plain(failure)}
    except MyCirrusError as failure:
        found = {"state": ApiKey.State.UNREACHABLE, "message": _plain(failure)}
    except SecretUnreadable:
        found = {
            "state": ApiKey.State.UNVERIFIED,
            "message": _(
                "The stored key cannot be decrypted. Ask the operator to put the old FIELD_ENCRYPTION_KEYS back, "
                "or Rotate."
            ),
        }
    else:
        state, message = _judged(scopes)
        found = {"state": state, "message": message}
        if state != ApiKey.State.UNREACHABLE:
            found |= {"scopes": scopes, "verified_at": now}
    with transaction.atomic():
        # By fingerprint as well: what was found belongs to the secret that was asked with, not to its successor.
        kept = ApiKey.objects.usable().filter(pk=api_key.pk, fingerprint=api_key.fingerprint).update(**found)
        if kept and "scopes" in found and api_key_can_read(found["scopes"]):
            _changed_on_commit(api_key)
    api_key.refresh_from_db()
    logger.info(
        "api_key_verified", organisation_id=api_key.organisation_id, api_key=api_key.pk, state=api_key.state
    )
    return api_key


def api_key_scope_found(*, api_key: ApiKey, scope: str, held: bool) -> None:
    """Remember what a real call has shown of ``scope``, which no harmless one can: Verify forgets it and asks anew.

    A refusal says nothing of a scope that is known to be held: MyCirrus says 403 of one instrument or recording, too.
    """
    with transaction.atomic():
        # By fingerprint as well: it was found of this secret, not of one that has come in its place.
        same = ApiKey.objects.usable().filter(pk=api_key.pk, fingerprint=api_key.fingerprint)
        kept = same.select_for_update().first()
        if kept is None or kept.scopes.get(scope) in (held, True):
            return
        found: dict[str, Any] = {"scopes": {**kept.scopes, scope: held}}
        if kept.state in (ApiKey.State.GOOD, ApiKey.State.MISSING_SCOPE) and api_key_can_read(kept.scopes):
            found["state"], found["message"] = _judged(found["scopes"])
        same.update(**found)
    api_key.scopes = found["scopes"]
    logger.info("api_key_scope_found", api_key=api_key.pk, scope=scope, held=held)


def api_key_can_read(scopes: Scopes) -> bool:
    """Whether a key with these scopes is of any use: it must be able to list instruments."""
    return scopes.get(NEEDED) is True


def _opens(api_key: ApiKey) -> bool:
    """Whether the key ring opens its secret. Where that was lost, the very same secret is entered anew."""
    try:
        api_key.secret_reveal()
    except SecretUnreadable:
        return False
    return True


@sensitive_variables("secret")
def api_key_rotate(*, api_key: ApiKey, secret: str, actor: User, now: datetime) -> ApiKey:
    """Put ``secret`` in the place of the present one, once MyCirrus has accepted it. Not inside a transaction.

    Raises ValidationError on a bad shape or a secret that is here already, and KeyNotReplaced when MyCirrus
    refused the new one, could not be asked, or lets it read nothing: the old one then stands.
    """
    fresh = ApiKey(organisation_id=api_key.organisation_id, label=api_key.label, base_url=api_key.base_url)
    fresh.secret_set(secret)
    if fresh.fingerprint != api_key.fingerprint:
        fresh.validate_constraints()
    elif _opens(api_key):
        raise ValidationError(_("This is the key that is stored already."), code="same")
    kept = _("The old key was kept.")
    try:
        with _client(secret, fresh.base_url, fresh.fingerprint, hurried=True) as client:
            scopes = client.probe_scopes()
    except MyCirrusError as failure:
        raise KeyNotReplaced(f"{_plain(failure)} {kept}", code="not_replaced") from None
    state, message = _judged(scopes)
    if not api_key_can_read(scopes):
        raise KeyNotReplaced(f"{message} {kept}", code="not_replaced")
    changes = {
        "ciphertext": fresh.ciphertext,
        "last_four": fresh.last_four,
        "fingerprint": fresh.fingerprint,
        "state": state,
        "message": message,
        "scopes": scopes,
        "verified_at": now,
        "rotated_at": now,
        # A pause was asked of the old secret.
        "paused_until": None,
    }
    try:
        with transaction.atomic():
            same = ApiKey.objects.usable().filter(pk=api_key.pk, fingerprint=api_key.fingerprint)
            if not same.update(**changes):
                raise KeyNotReplaced(_("Somebody else has changed this key meanwhile."), code="not_replaced")
            _noted(fresh, actor, "key_rotated", f"…{api_key.last_four} → …{fresh.last_four}")
            _changed_on_commit(api_key)
    except IntegrityError:
        raise ValidationError(_("This key has been added already."), code="unique") from None
    api_key.refresh_from_db()
    logger.info(
        "api_key_rotated", organisation_id=api_key.organisation_id, api_key=api_key.pk, actor=actor.pk
    )
    return api_key


def api_key_revoke(*, api_key: ApiKey, actor: User, now: datetime) -> ApiKey:
    """Stop using a key for good and forget its secret; what was read with it stays."""
    with transaction.atomic():
        # Forgotten, not only marked: a secret that is of no more use here can only be stolen.
        if ApiKey.objects.usable().filter(pk=api_key.pk).update(revoked_at=now, ciphertext="", message=""):
            _noted(api_key, actor, "key_revoked")
            _changed_on_commit(api_key)
    api_key.refresh_from_db()
    logger.info(
        "api_key_revoked", organisation_id=api_key.organisation_id, api_key=api_key.pk, actor=actor.pk
    )
    return api_key
