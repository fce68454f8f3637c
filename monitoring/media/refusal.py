"""Why a sound or a time history cannot be had, in words that say what to do, with the status of such an answer."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from instruments.mycirrus import (
    AuthenticationFailed,
    ConnectionFailed,
    MissingScope,
    MyCirrusError,
    NotFound,
    RateLimited,
    TimedOut,
    TransientError,
)


@dataclass
class NotFetched(Exception):
    """It could not be fetched. `status`: 404 it is gone, 409 something has to be changed first, 503 try again."""

    code: str
    message: str
    status: int
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.message


def nothing_there() -> NotFetched:
    """MyCirrus never had it."""
    return NotFetched("none", _("MyCirrus holds none for this."), 404)


def no_key() -> NotFetched:
    return NotFetched(
        "key",
        _("No working key reaches this instrument. An admin can look at it on the keys page."),
        409,
    )


def unreadable_key() -> NotFetched:
    return NotFetched(
        "unreadable",
        _("The stored key cannot be decrypted. Ask the operator of this installation."),
        409,
    )


def missing_scopes(scopes: list[str]) -> NotFetched:
    return NotFetched(
        "scope",
        _(
            "The key has no scope %(scopes)s. An admin can make a wider key in the MyCirrus console and rotate it in, "
            "or verify this one again once it has the scope."
        )
        % {"scopes": " + ".join(scopes)},
        409,
    )


def slow_words() -> str:
    return _("MyCirrus asked this key to slow down. Try again in a minute.")


def busy() -> NotFetched:
    return NotFetched("busy", _("Too much is being fetched at once. Try again in a few seconds."), 503, 5)


def too_large(megabytes: int) -> NotFetched:
    return NotFetched(
        "large",
        _(
            "It is larger than the %(megabytes)s MB that may be kept of one recording. Get it from the MyCirrus portal."
        )
        % {"megabytes": megabytes},
        409,
    )


def no_sound() -> NotFetched:
    return NotFetched(
        "format",
        _(
            "MyCirrus sent something that is no sound file. Try another format, or tell the operator if it lasts."
        ),
        409,
    )


def disk_full() -> NotFetched:
    return NotFetched(
        "disk",
        _("It could not be stored: the server's disk is full or cannot be written to. Tell the operator."),
        503,
        60,
    )


def of_error(error: MyCirrusError, scopes: list[str]) -> NotFetched:
    """What an error of MyCirrus means for whoever waits at the page."""
    if isinstance(error, MissingScope):
        return missing_scopes(scopes)
    if isinstance(error, AuthenticationFailed):
        return NotFetched(
            "refused", _("MyCirrus refused the key. An admin can look at it on the keys page."), 409
        )
    if isinstance(error, NotFound):
        return NotFetched(
            "gone",
            _(
                "MyCirrus no longer holds it: recordings are let go there after a time, "
                "or the instrument has left the account."
            ),
            404,
        )
    if isinstance(error, RateLimited):
        wait = error.retry_after
        return NotFetched("slow", slow_words(), 503, wait or 60)
    if isinstance(error, TimedOut):
        return NotFetched("timeout", _("MyCirrus did not send it in time. Try again in a while."), 503, 30)
    if isinstance(error, ConnectionFailed):
        return NotFetched(
            "connection", _("The connection to MyCirrus failed or broke off. Try again in a while."), 503, 15
        )
    if isinstance(error, TransientError):
        return NotFetched(
            "server", _("MyCirrus answered with an error of its own. Try again in a while."), 503, 30
        )
    return NotFetched("odd", _("Not fetched: %(reason)s") % {"reason": error.message}, 409)
