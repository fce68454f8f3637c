"""A message for a program of one's own, signed as Standard Webhooks says (www.standardwebhooks.com). Pure."""

import base64
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy
from standardwebhooks import Webhook

from monitoring.alerts.channels.message import Message
from monitoring.alerts.channels.sending import Chat
from monitoring.models import AlertChannel

_PREFIX = "whsec_"
# What the specification allows a key to have.
_KEY_BYTES = range(24, 65)


def write(message: Message) -> dict[str, Any]:
    """Type, time and data, as the specification names them; ``text`` is the same for people."""
    return {
        "type": message.event,
        "timestamp": message.at.isoformat(),
        "data": {**message.data, "text": message.text},
    }


def signing_key() -> str:
    """A new key, as receivers' libraries take it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def is_signing_key(text: str) -> bool:
    """Whether receivers' libraries would take it."""
    if not re.fullmatch(r"whsec_[A-Za-z0-9+/]+={0,2}", text):
        return False
    try:
        return len(base64.b64decode(text.removeprefix(_PREFIX), validate=True)) in _KEY_BYTES
    except ValueError:
        return False


def signature(key: str, *, message_id: str, body: str, now: datetime) -> Mapping[str, str]:
    """The three headers; ``message_id`` stays the same when it is sent again, the time does not."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(key).sign(message_id, now, body),
    }


CHAT = Chat(
    AlertChannel.Kind.WEBHOOK,
    write,
    gettext_lazy(
        "The https address of a program of your own. It gets JSON, and proves by the signing key that we sent it: any "
        "library of www.standardwebhooks.com does that. webhook-id is the same when a message comes twice."
    ),
    signed=True,
)
