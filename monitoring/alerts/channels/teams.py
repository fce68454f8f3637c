"""A message as Microsoft Teams takes it: an adaptive card, by a workflow's webhook or an old connector. Pure."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from monitoring.alerts.channels.markdown import escaped
from monitoring.alerts.channels.message import Message
from monitoring.alerts.channels.sending import Chat
from monitoring.models import AlertChannel, Severity

_COLOURS = {Severity.RED: "Attention", Severity.AMBER: "Warning", Severity.CLEAR: "Good"}


def write(message: Message) -> dict[str, Any]:
    """One card, as wide as Teams allows."""
    facts = [{"title": escaped(line.name), "value": escaped(line.value)} for line in message.lines]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            {
                "type": "TextBlock",
                "text": escaped(message.title),
                "size": "Medium",
                "weight": "Bolder",
                "wrap": True,
            },
            {
                "type": "TextBlock",
                "text": escaped(message.state),
                "color": _COLOURS[message.severity],
                "wrap": True,
            },
            {"type": "FactSet", "facts": facts},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": _("Open in Cirrusweb"), "url": message.link}],
    }
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
        ],
    }


CHAT = Chat(
    AlertChannel.Kind.TEAMS,
    write,
    gettext_lazy(
        "In Teams, open the channel's menu, then Workflows, and choose “Send webhook alerts to a channel”. Copy the "
        "address that it ends with, all of it: the long part behind sig= is its password."
    ),
)
