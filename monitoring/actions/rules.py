"""What an answer or an error of MyCirrus means for an action, and how long to wait for what. Pure: no ORM, no clock."""

from datetime import datetime, timedelta
from enum import Enum

from instruments.mycirrus.errors import (
    AuthenticationFailed,
    BadRequest,
    MissingScope,
    MyCirrusError,
    NotConnected,
    NotFound,
    RateLimited,
    UnexpectedResponse,
)
from instruments.mycirrus.types import passed

# A calibration must not start by surprise: what could not be sent by then is not sent at all.
SEND_WITHIN = timedelta(minutes=10)
# How long a calibration or SIC may take to show its result.
RESULT_WITHIN = timedelta(minutes=5)
# Between two looks for the result. A list is looked at less often: it names a whole fleet.
LOOK_EVERY = timedelta(seconds=4)
LIST_EVERY = timedelta(seconds=30)


class Fate(Enum):
    """What an answer says of an action."""

    SUCCEEDED = "it was done"
    UNDER_WAY = "it goes on, and its result will show"
    FAILED = "it was not done"
    NOT_KNOWN = "it may have been done"
    LATER = "nothing was sent: it can be tried once more"


def answer_fate(*, status: str, has_result: bool) -> Fate:
    """What MyCirrus' word for the state means. ``has_result``: the action ends with a row that tells how it went.

    HTTP 200 with Failed is a failure. Success of an action with a result is believed only once the result is there.
    """
    said = passed(status)
    if said is False:
        return Fate.FAILED
    if not status.strip():
        return Fate.NOT_KNOWN
    if has_result:
        return Fate.UNDER_WAY
    known = said or status.strip().casefold() == "inprogress"
    return Fate.SUCCEEDED if known else Fate.NOT_KNOWN


def error_fate(error: MyCirrusError) -> Fate:
    """Whether an action that ended in ``error`` was begun. Where that is open it is never tried again."""
    if isinstance(error, RateLimited):
        # Without a status it was our own pace that refused: nothing left this machine.
        return Fate.LATER if error.status is None else Fate.FAILED
    if isinstance(error, NotConnected | AuthenticationFailed | MissingScope | NotFound | BadRequest):
        return Fate.FAILED
    if isinstance(error, UnexpectedResponse) and error.status is not None and error.status >= 300:
        # A redirect, or a method that is not offered: whatever answered, it did not take the order.
        return Fate.FAILED
    return Fate.NOT_KNOWN


def may_be_sent(*, requested_at: datetime, now: datetime) -> bool:
    """Whether it is still early enough that nobody is surprised."""
    return now - requested_at < SEND_WITHIN


def is_overdue(*, started_at: datetime, now: datetime) -> bool:
    """Whether the result should have shown by now."""
    return now - started_at >= RESULT_WITHIN
