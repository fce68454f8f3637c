"""An answer of MyCirrus while it is being read, within its deadline and size; must not judge what it says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ReadTimeoutError

from . import errors
from .wire import deadline

_CHUNK = 64 * 1024
_ERROR_BODY_CAP = 64 * 1024
_LONGEST_RETRY_AFTER = 86_400.0


class Answer:
    """A response being read, within its deadline; close it or use it as a context manager."""

    def __init__(self, response: requests.Response, operation: str, until: float) -> None:
        self._response = response
        self._until = until
        self.operation = operation
        self.status = response.status_code
        self.headers = response.headers

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()

    def chunks(self, size_cap: int) -> Iterator[bytes]:
        """The body in pieces; raises ConnectionFailed, TimedOut, or UnexpectedResponse past `size_cap` bytes."""
        size = 0
        pieces = self._response.iter_content(_CHUNK)
        while True:
            failure: errors.MyCirrusError | None = None
            piece = None
            try:
                with deadline(self._until):
                    piece = next(pieces, None)
            except (requests.RequestException, HTTPError, OSError, ValueError) as cause:
                failure = failure_of(cause)
            if failure is None and piece is None:
                return
            if failure is None:
                size += len(piece or b"")
                if size > size_cap:
                    failure = errors.UnexpectedResponse(f"The answer is larger than {size_cap} bytes.")
            if failure is not None:
                self.close()
                failure.operation, failure.status = self.operation, self.status
                raise failure
            yield piece or b""

    def beginning(self) -> str:
        """As much of an error's body as came; that it is missing or cut is no further error."""
        content = b""
        try:
            for piece in self.chunks(_ERROR_BODY_CAP):
                content += piece
        except errors.MyCirrusError:
            pass
        return content.decode("utf-8", "replace")


def failure_of(cause: Exception) -> errors.TransientError:
    """What a failure below HTTP means. Only its kind is used: its text may hold more than should be shown."""
    if isinstance(cause, requests.Timeout | ReadTimeoutError | TimeoutError) or "timed out" in str(cause):
        if isinstance(cause, requests.ConnectTimeout):
            return errors.NotConnected("No connection in time.")
        return errors.TimedOut("No complete answer in time.")
    if isinstance(cause, requests.exceptions.SSLError):
        return errors.ConnectionFailed("The encrypted connection could not be trusted or made.")
    if isinstance(cause, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return errors.ConnectionFailed("The answer broke off.")
    refused = cause.args[0] if cause.args else None
    if isinstance(refused, MaxRetryError) and isinstance(refused.reason, NewConnectionError):
        return errors.NotConnected("No connection.")
    return errors.ConnectionFailed("No connection.")  # Perhaps lost after the request had left.


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header in either of its forms, at most a day; ``headers`` of whatever case."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        # Against the server's own clock where it tells it: ours may differ by more than the wait.
        now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
        wait = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, 0.0), _LONGEST_RETRY_AFTER)
