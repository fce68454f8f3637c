"""What the sync does when a key was added, verified, rotated or revoked."""

from typing import Any

import structlog
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis import RedisError

from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from monitoring.sync.targets import key_targets_refresh

log = structlog.get_logger(__name__)


def api_key_heard(sender: Any, *, organisation_id: int, api_key_id: int, **_: Any) -> None:
    """Make the key's list due now. A dead broker only means that the next tick finds it."""
    from monitoring.sync.tasks import dispatch

    with organisation_scope(organisation_id):
        api_key = ApiKey.objects.filter(pk=api_key_id).first()
        if api_key is not None:
            key_targets_refresh(api_key=api_key, now=timezone.now())
    try:
        dispatch.delay()
    except (OperationalError, RedisError, OSError):
        log.warning("broker does not answer; the next tick will find what is due")
