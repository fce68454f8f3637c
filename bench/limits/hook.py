"""A Django view that checks an HMAC and inserts one row: the least that taking in a signed webhook can cost."""

import hashlib
import hmac
from datetime import UTC, datetime

from django.db import connection
from django.http import HttpRequest, HttpResponse

from bench.limits.site import application as bare

SECRET = b"bench-only-secret"
_INSERT = "INSERT INTO limit_delivery (received_at, webhook_id, signature, body, digest) VALUES (%s, %s, %s, %s, %s)"
_STORED = b'{"status":"stored"}'


def hook(request: HttpRequest) -> HttpResponse:
    body = request.body
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("X-Webhook-Signature", "")):
        return HttpResponse(status=401)
    now = str(datetime.now(UTC).replace(tzinfo=None)) if connection.vendor == "sqlite" else datetime.now(UTC)
    values = (now, request.headers["X-Webhook-Id"], "valid", body, hashlib.sha256(body).hexdigest())
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
    return HttpResponse(
        _STORED, content_type="application/json", headers={"Content-Length": str(len(_STORED))}
    )


application = bare(hook)
