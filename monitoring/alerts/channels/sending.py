"""What a channel's module offers, and the two ways in which sending ends badly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.alerts.channels.message import Message
from monitoring.models import AlertDelivery


class NotSent(Exception):
    """It was not taken this time and is tried again; the text is kept for the page and holds no secret."""

    def __init__(self, said: str, *, retry_after: float | None = None) -> None:
        super().__init__(said)
        # Seconds that the other side asked for: until then nothing more goes to that channel.
        self.retry_after = retry_after


class MailboxRefused(NotSent):
    """The mail server will not take it for this one person: whatever else they are owed waits with it."""


class Refused(Exception):
    """It will never be taken: the channel is switched off, and the page says why."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to tell. ``send`` returns the other side's answer; it raises NotSent or Refused."""

    kind: str
    label: Any
    send: Callable[[AlertDelivery], str]


@dataclass(frozen=True, slots=True)
class Chat:
    """One kind of channel with an address: how a message is written for it. Pure; the posting is everybody's."""

    kind: str
    write: Callable[[Message], Mapping[str, Any]]
    # Where people get the address from, for the form.
    where: Any
    signed: bool = False
