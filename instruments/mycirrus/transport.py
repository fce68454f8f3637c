"""Carries one call to MyCirrus and back: key, deadline, size cap, quick retries, errors; must never show the key."""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from . import errors
from .answer import Answer, failure_of, retry_after_of
from .wire import KeptConnections, UnfollowingSession, deadline, environment

MEGABYTE = 1024 * 1024
_KEPT_BODY = 4000

# Escapes and numbers that most answers never hold, so that only those few are walked through.
_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])|[eE]\+?\d{3}|\d{300}")
# The vendor's list of codes is open, and a code may come under more than one status (NotFound under 400).
_BY_CODE: dict[str, type[errors.MyCirrusError]] = {
    "toomanyrequests": errors.RateLimited,
    "tokenexpired": errors.AuthenticationFailed,
    "accessdenied": errors.MissingScope,
    "notfound": errors.NotFound,
    "missingparam": errors.BadRequest,
    "invalidaction": errors.BadRequest,
}
_BY_STATUS: dict[int, type[errors.MyCirrusError]] = {
    401: errors.AuthenticationFailed,
    403: errors.MissingScope,
    404: errors.NotFound,
    408: errors.TimedOut,
    410: errors.NotFound,
    429: errors.RateLimited,
}


class Limiter(Protocol):
    """What the client asks of a rate limiter (limits.RateLimiter is one)."""

    def acquire(self) -> None: ...

    def penalise(self, retry_after: float | None) -> float: ...


class Key(AuthBase):
    """An API key that can be sent but not shown. Being requests' `auth`, it also keeps .netrc out of the call."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        # Checked here because requests puts the value of a header that it cannot send into its exception.
        if not isinstance(secret, str) or not re.fullmatch(r"[!-~]+", secret := secret.strip()):
            raise errors.AuthenticationFailed(
                "This is not an API key: empty, or with spaces or other characters."
            )
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self.header())
        return request

    def header(self) -> dict[str, str]:
        """For what is sent without requests."""
        return {"X-Api-Key": self._secret}

    def __repr__(self) -> str:
        return f"<key …{self.last_four}>"

    @property
    def last_four(self) -> str:
        # Of a very short key four characters would be most of it.
        return self._secret[-4:] if len(self._secret) >= 12 else ""

    def redact(self, text: str) -> str:
        return re.sub(re.escape(self._secret), "[key]", text, flags=re.IGNORECASE)


class Transport:
    """One key's calls. Safe to share between threads as far as requests' sessions are; retries only GET."""

    def __init__(
        self,
        key: Key,
        base_url: str,
        *,
        limiter: Limiter | None,
        timeout: tuple[float, float],
        total: float,
        size_cap: int,
        user_agent: str,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("the address of MyCirrus must be http(s)://host/path")
        self.base_url = base_url.rstrip("/")
        self.key = key
        self._limiter = limiter
        self._timeout = timeout
        self._total = total
        self._size_cap = size_cap
        self._session = UnfollowingSession()
        self._session.auth = key
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})
        # What the environment says of proxies and certificates is looked up once: it costs as much as the request.
        told = environment(self.base_url)
        self._session.trust_env, self._session.proxies, self._session.verify = False, *told
        connections = KeptConnections()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, connections)

    def close(self) -> None:
        self._session.close()

    def json(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: dict[str, Any] | None = None,
        secrets: bool = False,
        read: bool = True,
        decode: Callable[[bytes], Any] = orjson.loads,
    ) -> Any:
        """The decoded answer, None where it is empty (204) or not to be `read`: success is success.

        `secrets`: the body is never kept for a report. `decode` is given JSON that needs no mending.
        """
        until = time.monotonic() + self._total

        def attempt() -> Any:
            with self.open(
                operation, method, path, params=params, body=body, secrets=secrets, until=until
            ) as answer:
                if not read:
                    return None
                content = b"".join(answer.chunks(self._size_cap))
            if content.strip():
                return self._decoded(operation, answer.status, content, secrets, decode)
            if answer.status == 200 and method == "GET":
                raise self._unexpected(operation, answer.status, "The answer is empty.", "")
            return None

        return _retried(attempt, until) if method == "GET" else attempt()

    def open(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: dict[str, Any] | None = None,
        secrets: bool = False,
        until: float | None = None,
        accept: str = "application/json",
    ) -> Answer:
        """A good answer with its body still to be read; raises the error that any other answer means."""
        until = time.monotonic() + self._total if until is None else until
        self._acquire(operation)
        failure: errors.MyCirrusError | None = None
        response: requests.Response | None = None
        try:
            with deadline(until):
                response = self._session.request(
                    method,
                    self.base_url + path,
                    params=list(params),
                    json=body,
                    headers={"Accept": accept},
                    timeout=self._timeout,
                    stream=True,
                    # A redirect would carry the key to wherever the answer points.
                    allow_redirects=False,
                )
        except (requests.RequestException, HTTPError, OSError, ValueError) as cause:
            failure = failure_of(cause)
        # Raised outside the except block: the cause holds the request, and so the key, and must not be chained.
        if response is None:
            failure = failure or errors.ConnectionFailed("No answer.")
            failure.operation = operation
            raise failure
        answer = Answer(response, operation, until)
        if 200 <= response.status_code < 300:
            return answer
        with answer:
            raise self._refusal(answer, secrets)

    def _acquire(self, operation: str) -> None:
        if self._limiter is None:
            return
        try:
            self._limiter.acquire()
        except errors.RateLimited as limited:
            limited.operation = limited.operation or operation
            raise

    def _refusal(self, answer: Answer, secrets: bool) -> errors.MyCirrusError:
        text = answer.beginning()
        code, description = _error_members(text)
        status, operation = answer.status, answer.operation
        code, description = self.key.redact(code), "" if secrets else self.key.redact(description)
        kind = self._kind(status, code)
        if kind is errors.RateLimited:
            retry_after = self._penalised(retry_after_of(answer.headers))
            return errors.RateLimited(
                description or "Too many requests in a short time.",
                retry_after=retry_after,
                operation=operation,
                status=status,
                code=code,
            )
        if kind is errors.UnexpectedResponse:
            host = self.key.redact(_host(answer.headers.get("Location", ""))) if status < 400 else ""
            message = f"MyCirrus redirects to {host}; redirects are not followed." if host else description
            return self._unexpected(
                operation,
                status,
                message or "MyCirrus answered in an unexpected way.",
                "" if secrets else text,
                code,
            )
        return kind(description or _PLAIN[kind], operation=operation, status=status, code=code)

    @staticmethod
    def _kind(status: int, code: str) -> type[errors.MyCirrusError]:
        by_code = _BY_CODE.get(code.lower())
        if by_code is errors.RateLimited:
            return by_code
        if status >= 500:
            return errors.ServerError
        if by_code is not None:
            return by_code
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        # 405 says that the operation itself is not offered: no change of the request would help.
        return errors.UnexpectedResponse if status < 400 or status == 405 else errors.BadRequest

    def _decoded(
        self, operation: str, status: int, content: bytes, secrets: bool, decode: Callable[[bytes], Any]
    ) -> Any:
        failure: errors.MyCirrusError
        # Fast where nothing needs mending; orjson takes a NUL, which JSON can only spell with an escape. One byte is
        # looked for ten times as fast as two.
        with suppress(orjson.JSONDecodeError):
            if b"\\" not in content or b"\\u" not in content:
                return decode(content)
        try:
            document = json.loads(content.decode("utf-8-sig"), parse_constant=lambda _: None)
            return _storable(document) if _UNSTORABLE.search(content) else document
        except (ValueError, RecursionError):
            text = content.decode("utf-8", "replace").strip()
            if text[0] + text[-1] not in ("[]", "{}") and text[0] in "[{":
                failure = errors.ConnectionFailed("The answer broke off.", operation=operation, status=status)
            else:
                failure = self._unexpected(
                    operation, status, "The answer is not JSON.", "" if secrets else text
                )
        raise failure

    def refused(self, operation: str, document: dict[str, Any]) -> errors.MyCirrusError:
        """The error that an error body under a status of success means."""
        text = json.dumps(document)[:_KEPT_BODY]
        code, description = (self.key.redact(part) for part in _error_members(text))
        if (kind := _BY_CODE.get(code.lower())) is errors.RateLimited:
            return kind(
                description or _PLAIN[kind],
                retry_after=self._penalised(None),
                operation=operation,
                status=200,
                code=code,
            )
        if kind is not None:
            # With the status: without one it was our own pace that refused, and nothing left this machine.
            return kind(description or _PLAIN[kind], operation=operation, status=200, code=code)
        return self._unexpected(operation, None, "The answer has an unexpected form.", text, code)

    def _penalised(self, retry_after: float | None) -> float | None:
        """For how long the key waits, as MyCirrus says or else its pace."""
        return retry_after if self._limiter is None else self._limiter.penalise(retry_after)

    def _unexpected(
        self, operation: str, status: int | None, message: str, body: str, code: str = ""
    ) -> errors.UnexpectedResponse:
        return errors.UnexpectedResponse(
            message, body=self.key.redact(body)[:_KEPT_BODY], operation=operation, status=status, code=code
        )


_PLAIN: dict[type[errors.MyCirrusError], str] = {
    errors.RateLimited: "Too many requests in a short time.",
    errors.AuthenticationFailed: "MyCirrus refused the key.",
    errors.MissingScope: "The key has no permission for this.",
    errors.NotFound: "MyCirrus does not know this.",
    errors.BadRequest: "MyCirrus did not accept the request.",
    errors.ServerError: "MyCirrus had an error.",
    errors.TimedOut: "MyCirrus gave up waiting.",
}


def _retried(attempt: Callable[[], Any], until: float) -> Any:
    """What `attempt` gives, after at most two quick further tries; a 429 or a timeout is not tried again."""
    for tries in (1, 2):
        try:
            return attempt()
        except (errors.ConnectionFailed, errors.ServerError):
            pause = random.uniform(0.05, 0.25) * tries  # noqa: S311 (jitter, not a secret)
            if time.monotonic() + pause >= until:
                raise
        time.sleep(pause)
    return attempt()


def _storable(document: Any) -> Any:
    """`document` without what JSON can carry but no database column: NUL, halves of surrogate pairs, infinity."""
    if isinstance(document, str):
        return document.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(document, float):
        return document if math.isfinite(document) else None
    if isinstance(document, list):
        return [_storable(item) for item in document]
    if isinstance(document, dict):
        return {_storable(key): _storable(value) for key, value in document.items()}
    return document


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _error_members(text: str) -> tuple[str, str]:
    """Code and description of an error body; gateways in front of an API say `message` instead."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    members = {key.lower(): value for key, value in body.items()} if isinstance(body, dict) else {}
    code = members.get("error") or members.get("code")
    description = members.get("description") or members.get("message")
    return (
        code[:100] if isinstance(code, str) else "",
        description[:500] if isinstance(description, str) else "",
    )
