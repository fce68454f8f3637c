"""Celery's hourly clean-up of what the installation itself leaves behind: ended sessions, mails kept as files."""

import structlog
from celery import shared_task
from django.utils import timezone

from cirrusweb.outbox import outbox_expire
from instruments.sessions import sessions_expire

log = structlog.get_logger(__name__)


@shared_task
def clean_up() -> None:
    """Let go of what nobody can use any more."""
    now = timezone.now()
    sessions, mails = sessions_expire(now=now), outbox_expire(now=now)
    if sessions or mails:
        log.info("clean_up", sessions=sessions, mails=mails)
