"""The client's errors, named by the caller's next move; must never hold or show a key."""

from __future__ import annotations


class MyCirrusError(Exception):
    """Anything that went wrong between us and MyCirrus.

    `status` is the HTTP status (None when there was no answer), `code` the body's `error` member ("" when there
    was none), `operation` what was being done, and `next_move` a sentence for the person who reads about it.
    """

    next_move = "Look at the details of this error."

    # Only `message` is positional, so that the default pickling of exceptions (args, then __dict__) works
    # when one travels from a worker process.
    def __init__(
        self, message: str, *, operation: str = "", status: int | None = None, code: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.status = status
        self.code = code

    def __str__(self) -> str:
        text = f"{self.operation}: {self.message}" if self.operation else self.message
        details = ", ".join(
            part for part in (f"HTTP {self.status}" if self.status else "", self.code) if part
        )
        return f"{text} ({details})" if details else text

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"


class TransientError(MyCirrusError):
    """Nothing is wrong with the request: the same one may succeed later."""

    next_move = "Nothing to do: it will be tried again."


class ConnectionFailed(TransientError):
    """No connection, or the answer broke off."""

    next_move = "Nothing to do if it passes; otherwise check the network and the address of MyCirrus."


class NotConnected(ConnectionFailed):
    """No connection was made at all: the request never left this machine."""


class TimedOut(TransientError):
    """The answer, or the rest of it, did not come in time."""

    next_move = "Nothing to do if it passes; MyCirrus or the network is slow."


class ServerError(TransientError):
    """MyCirrus answered with a 5xx."""

    next_move = "Nothing to do if it passes; the fault is on the side of MyCirrus."


class RateLimited(TransientError):
    """Too many requests with this key; `retry_after` is in seconds, as MyCirrus says or else the key's pace.

    `status` is 429 (or what MyCirrus sent) when MyCirrus refused, and None when our own limiter refused before
    any request was made.
    """

    next_move = "Nothing to do: this key's requests are slowed down and tried again."

    def __init__(
        self,
        message: str = "Too many requests in a short time.",
        *,
        retry_after: float | None = None,
        operation: str = "",
        status: int | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message, operation=operation, status=status, code=code)
        self.retry_after = retry_after


class PermanentError(MyCirrusError):
    """The same request would fail again: a person or a change is needed."""

    next_move = "A person has to look at this; trying again will not help."


class AuthenticationFailed(PermanentError):
    """The key is wrong, revoked or expired."""

    next_move = (
        "Check the API key in the MyCirrus console, and replace it here if it was revoked or has expired."
    )


class MissingScope(PermanentError):
    """The key is good but may not do this."""

    next_move = "Make a key with the missing permission in the MyCirrus console, and replace it here."


class NotFound(PermanentError):
    """MyCirrus does not know the thing, or not for this key."""

    next_move = "Check that the instrument or item still belongs to the MyCirrus account of this key."


class BadRequest(PermanentError):
    """MyCirrus did not accept the request."""

    next_move = "Change the request: a value, a period or a range is not accepted by MyCirrus."


class UnexpectedResponse(PermanentError):
    """The answer cannot be understood; `body` keeps its beginning (the key redacted) for the report."""

    next_move = "Report this, with the kept answer: MyCirrus said something this version does not understand."

    def __init__(
        self, message: str, *, body: str = "", operation: str = "", status: int | None = None, code: str = ""
    ) -> None:
        super().__init__(message, operation=operation, status=status, code=code)
        self.body = body
