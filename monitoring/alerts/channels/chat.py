"""Telling a channel: the message in its kind's words, signed where it signs, posted once. It keeps no record."""

import json

from django.utils import timezone

from monitoring.alerts.channels import discord, slack, teams, webhook
from monitoring.alerts.channels.message import Message, message_of
from monitoring.alerts.channels.posting import post
from monitoring.alerts.channels.sending import Chat, Way
from monitoring.models import AlertChannel, AlertDelivery

CHATS: dict[str, Chat] = {chat.kind: chat for chat in (slack.CHAT, teams.CHAT, discord.CHAT, webhook.CHAT)}


def channel_post(channel: AlertChannel, message: Message) -> str:
    """Send ``message`` there; what was answered. Raises NotSent, Refused and SecretUnreadable."""
    chat, secret = CHATS[channel.kind], channel.secret_reveal()
    body = json.dumps(chat.write(message), ensure_ascii=False)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if chat.signed:
        headers |= webhook.signature(secret.signing, message_id=message.id, body=body, now=timezone.now())
    return post(secret.address, body=body.encode(), headers=headers)


def send(delivery: AlertDelivery) -> str:
    """Tell the delivery's channel."""
    if delivery.target is None:
        raise ValueError("A chat is told by its channel.")
    return channel_post(delivery.target, message_of(delivery))


WAYS = tuple(Way(chat.kind, AlertChannel.Kind(chat.kind).label, send) for chat in CHATS.values())
