"""System checks: settings that contradict each other are told before anything starts; they change nothing."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from cirrusweb.ciphertexts import columns
from instruments import credentials
from instruments.tenancy import all_organisations


@register(Tags.compatibility)
def leases_hold(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A task must end before its lease, and its lease before the broker delivers it again."""
    task, lease = settings.SYNC_TASK_SECONDS, settings.SYNC_LEASE_SECONDS
    visible = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    if 0 < task < lease < visible:
        return []
    return [
        Error(
            f"SYNC_TASK_SECONDS ({task}) < SYNC_LEASE_SECONDS ({lease}) < visibility timeout ({visible}) "
            "does not hold: two workers could do one piece of work at the same time.",
            hint=f"Choose SYNC_TASK_SECONDS below SYNC_LEASE_SECONDS, and that below {visible}.",
            id="cirrusweb.E001",
        )
    ]


# The smallest number that each may be. What is said of SYNC_TASK_SECONDS and SYNC_LEASE_SECONDS stands above.
MINIMA: dict[str, float] = {
    "MYCIRRUS_CONNECT_TIMEOUT": 0.1,
    "MYCIRRUS_READ_TIMEOUT": 0.1,
    "POLL_STATUS_SECONDS": 1,
    "POLL_NOISE_SECONDS": 1,
    "POLL_SIC_SECONDS": 1,
    "POLL_CALIBRATIONS_SECONDS": 1,
    "POLL_INSTRUMENTS_SECONDS": 1,
    "POLL_OTHER_SECONDS": 1,
    "HISTORY_DAYS": 1,
    "SYNC_TURNS_PER_KEY": 1,
    # 0: history waits.
    "SYNC_BACKFILLS_AT_ONCE": 0,
    "SENDS_AT_ONCE": 1,
    "MEDIA_CACHE_MB": 1,
    "MEDIA_FETCH_SECONDS": 1,
    "TIME_HISTORY_DAYS": 1,
    "TIME_HISTORY_MB": 1,
    "WEBHOOK_MAX_BYTES": 1_024,
    # 0: for ever.
    "DELIVERY_DAYS": 0,
    "SECURE_HSTS_SECONDS": 0,
}


@register(Tags.compatibility)
def numbers_hold(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """No number is below what it can mean: nothing would be sent, or everything deleted, without a word."""
    return [
        Error(
            f"{name} is {getattr(settings, name)}: it must be at least {minimum}.",
            hint=".env.example says what it means, and has its default.",
            id="cirrusweb.E004",
        )
        for name, minimum in MINIMA.items()
        if not getattr(settings, name) >= minimum
    ]


@register(Tags.security)
def encryption_keys_parse(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Every key of the ring is a Fernet key. The message never holds one."""
    try:
        credentials.key_ring()
    except ValueError:
        return [
            Error(
                "FIELD_ENCRYPTION_KEYS holds a value that is not a Fernet key.",
                hint="Make one with: python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'",
                id="cirrusweb.E002",
            )
        ]
    return []


@register(Tags.database)
def secrets_readable(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """One stored secret of each kind decrypts: a changed key ring shows here, not as refused API keys.

    A warning and no error: `migrate` runs this, and where it stops nothing starts in which a key could be entered anew.
    """
    if not databases or "default" not in databases:
        return []
    problems: list[CheckMessage] = []
    for column in columns():
        try:
            with all_organisations(reason="whether the key ring fits is a question of the installation"):
                newest = column.rows().order_by("-pk").first()
        except DatabaseError:
            # This check runs before the first migration too, when there is no table yet.
            continue
        try:
            for ciphertext in column.ciphertexts(newest[1]) if newest else ():
                credentials.decrypt(ciphertext)
        except (credentials.SecretUnreadable, ValueError):
            problems.append(
                Warning(
                    f"A stored secret ({column.model._meta.label}) cannot be decrypted with FIELD_ENCRYPTION_KEYS.",
                    hint="Put the key that encrypted it back, behind the present one, or enter it anew.",
                    id="cirrusweb.W004",
                )
            )
    return problems


@register(Tags.security, deploy=True)
def reachable_from_outside(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """In production MyCirrus must reach the webhook address, and people the links in mails."""
    problems: list[CheckMessage] = []
    address = urlsplit(settings.PUBLIC_URL)
    if address.scheme != "https":
        problems.append(
            Warning(
                f"PUBLIC_URL is {settings.PUBLIC_URL}: MyCirrus sends webhooks to https addresses only.",
                hint="Set PUBLIC_URL to the https address at which this installation is reached.",
                id="cirrusweb.W001",
            )
        )
    hosts = settings.ALLOWED_HOSTS
    if not any(host in ("*", address.hostname) or _covers(host, address.hostname) for host in hosts):
        problems.append(
            Warning(
                f"ALLOWED_HOSTS ({', '.join(hosts)}) does not hold the host of PUBLIC_URL, {address.hostname}.",
                hint="Add it: every request at that address is answered with 400 until then.",
                id="cirrusweb.W002",
            )
        )
    if "*" in hosts:
        problems.append(
            Warning(
                "ALLOWED_HOSTS holds *: anybody's host name is believed in links and mails.",
                hint="Name the hosts.",
                id="cirrusweb.W003",
            )
        )
    return problems


def _covers(pattern: str, host: str | None) -> bool:
    return bool(host) and pattern.startswith(".") and f".{host}".endswith(pattern)
