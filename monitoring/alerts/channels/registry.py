"""Which ways to tell there are: a new chat is one module and one line in chat.py."""

from monitoring.alerts.channels import chat, email
from monitoring.alerts.channels.sending import Way

WAYS: dict[str, Way] = {way.kind: way for way in (email.WAY, *chat.WAYS)}
