"""A message as Slack's incoming webhooks take it, and those that do as Slack does, such as Mattermost. Pure."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from monitoring.alerts.channels.message import Message
from monitoring.alerts.channels.sending import Chat
from monitoring.models import AlertChannel

# Slack's own limits.
_HEADER, _SECTION = 150, 3000


def write(message: Message) -> dict[str, Any]:
    """Blocks for Slack; ``text`` is what its notification shows, and all that others know."""
    return {
        "text": _escaped(message.text),
        "blocks": [
            {"type": "header", "text": _plain(message.title, _HEADER)},
            {"type": "section", "text": _plain(_told(message), _SECTION)},
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": f"<{message.link}|{_escaped(_('Open in Cirrusweb'))}>"},
            },
        ],
        "unfurl_links": False,
    }


def _told(message: Message) -> str:
    lines = (f"{line.name}: {line.value}" for line in message.lines)
    return "\n".join([message.state, *lines])


def _plain(text: str, most: int) -> dict[str, Any]:
    # Plain text: the name of an instrument calls nobody and formats nothing.
    return {"type": "plain_text", "text": text[:most], "emoji": False}


def _escaped(text: str) -> str:
    """The three characters by which Slack tells commands, such as <!channel>, from text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


CHAT = Chat(
    AlertChannel.Kind.SLACK,
    write,
    gettext_lazy(
        "In Slack, open api.slack.com/apps, make an app, switch on Incoming Webhooks and add one for the channel. Its "
        "address begins with https://hooks.slack.com/services/. Mattermost and Rocket.Chat take the same messages."
    ),
)
