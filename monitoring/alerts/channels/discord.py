"""A message as Discord's webhooks take it. Pure."""

from typing import Any

from django.utils.translation import gettext_lazy

from monitoring.alerts.channels.markdown import escaped
from monitoring.alerts.channels.message import Message
from monitoring.alerts.channels.sending import Chat
from monitoring.models import AlertChannel, Severity

# Discord's own limits.
_TITLE, _TOLD = 256, 4096
_COLOURS = {Severity.RED: 0xC62828, Severity.AMBER: 0xB26A00, Severity.CLEAR: 0x2E7D32}


def write(message: Message) -> dict[str, Any]:
    """One embed; whatever a name says, nobody is called by it."""
    lines = (f"**{escaped(line.name)}:** {escaped(line.value)}" for line in message.lines)
    return {
        "embeds": [
            {
                "title": escaped(message.title)[:_TITLE],
                "url": message.link,
                "description": "\n".join([escaped(message.state), *lines])[:_TOLD],
                "color": _COLOURS[message.severity],
            }
        ],
        "allowed_mentions": {"parse": []},
    }


CHAT = Chat(
    AlertChannel.Kind.DISCORD,
    write,
    gettext_lazy(
        "In Discord, open the channel's settings, then Integrations, Webhooks, and copy the webhook's URL. It begins "
        "with https://discord.com/api/webhooks/."
    ),
)
