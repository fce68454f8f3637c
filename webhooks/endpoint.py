"""The public address that MyCirrus posts to: it bounds what is read, has it stored, and answers at once."""

import re
from collections.abc import Callable
from functools import partial

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseFailure
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from webhooks.doorbell import ring
from webhooks.ingest import Refused, UnknownAddress, delivery_store, too_large_note
from webhooks.models import Refusal

log = structlog.get_logger(__name__)

_STORED = b'{"status":"stored"}'
_REASONS: dict[str, tuple[int, str, str]] = {
    Refusal.Reason.UNSIGNED: (
        401,
        "SignatureMissing",
        "Send the message with X-Webhook-Id and X-Webhook-Signature: the HMAC-SHA256 of the raw body.",
    ),
    Refusal.Reason.WRONG_SIGNATURE: (
        401,
        "SignatureWrong",
        "X-Webhook-Signature does not match the body. Store this webhook's present secret here, "
        "under Webhooks, Address and secrets.",
    ),
    Refusal.Reason.NO_SECRET: (
        401,
        "SecretUnknown",
        "No secret is stored for this X-Webhook-Id. Add it here, under Webhooks, Address and secrets.",
    ),
    Refusal.Reason.UNREADABLE_SECRET: (
        503,
        "SecretUnreadable",
        "The stored secret cannot be decrypted. The operator has to put the encryption key back. Try again later.",
    ),
    Refusal.Reason.LEGACY: (
        403,
        "LegacyNotAccepted",
        "This organisation does not accept unsigned notifications. An admin can allow them in its settings.",
    ),
}


def short_way(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer MyCirrus before what is meant for people: session, language, sign-in, organisation in the path.

    As middleware this stands behind the ones that a machine needs too: https and the log's context.
    """
    inbox = re.compile(r"^/hooks/([^/]+)/?$")

    def middleware(request: HttpRequest) -> HttpResponse:
        match = inbox.match(request.path_info)
        if match is None:
            return get_response(request)
        answer = hook(request, match[1])
        # Otherwise it would go out in chunks: one write more, and not every sender reads them.
        answer["Content-Length"] = str(len(answer.content))
        return answer

    return middleware


@csrf_exempt
@login_not_required
def hook(request: HttpRequest, token: str) -> HttpResponse:
    """Store one delivery: 200 when it stands, 4xx when it never will, 503 when the sender should try again."""
    if request.method != "POST":
        return HttpResponse(
            "This address receives webhooks from MyCirrus by POST. There is nothing to see here: "
            "what arrived is on the Webhooks page of the organisation that it belongs to.\n",
            status=405,
            headers={"Allow": "POST"},
            content_type="text/plain; charset=utf-8",
        )
    try:
        return _receive(request, token)
    except UnknownAddress:
        return _answer(
            404, "NotFound", "No organisation has this address. Copy it anew from its Webhooks page."
        )
    except UnreadablePostError:
        return _answer(400, "BodyCutShort", "The connection ended before the whole body had arrived.")
    except DatabaseFailure:
        # Not 200: what could not be stored has to be sent again.
        log.exception("webhook_not_stored")
        answer = _answer(503, "TryAgain", "The message could not be stored just now. Send it again later.")
        answer["Retry-After"] = "10"
        return answer


def _receive(request: HttpRequest, token: str) -> HttpResponse:
    now = timezone.now()
    webhook_id = request.META.get("HTTP_X_WEBHOOK_ID", "").strip()
    body = _body(request, settings.WEBHOOK_MAX_BYTES)
    try:
        if body is None:
            too_large_note(token=token, webhook_id=webhook_id, now=now)
            raise Refused(Refusal.Reason.TOO_LARGE)
        organisation_id, delivery_id = delivery_store(
            token=token,
            webhook_id=webhook_id,
            signature=request.META.get("HTTP_X_WEBHOOK_SIGNATURE", "").strip(),
            body=body,
            now=now,
        )
    except Refused as refused:
        if refused.reason == Refusal.Reason.TOO_LARGE:
            limit = settings.WEBHOOK_MAX_BYTES
            return _answer(
                413, "TooLarge", f"The body is too large: this address takes {limit} bytes at most."
            )
        return _answer(*_REASONS[refused.reason])
    transaction.on_commit(partial(ring, organisation_id, delivery_id))
    return HttpResponse(_STORED, content_type="application/json")


def _body(request: HttpRequest, limit: int) -> bytes | None:
    """The raw body, or None where it is longer than ``limit`` bytes, of which no more than one is read."""
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > limit:
        return None
    stream = request
    if not announced and request.META.get("wsgi.input_terminated"):
        # .NET senders chunk JSON and name no length, which Django takes for an empty body.
        stream = request.META["wsgi.input"]
    body = b""
    while len(body) <= limit and (piece := stream.read(limit + 1 - len(body))):
        body += piece
    return body if len(body) <= limit else None


def _answer(status: int, error: str, description: str) -> HttpResponse:
    return JsonResponse({"error": error, "description": description}, status=status)
