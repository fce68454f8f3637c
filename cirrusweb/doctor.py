"""Examinations of an installation, each ending in what to do; they mend nothing and change nothing."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection, models
from django.db.migrations.loader import MigrationLoader

from cirrusweb import embedded_redis
from cirrusweb.celery import app as celery_app
from cirrusweb.ciphertexts import columns
from cirrusweb.doctor_mail import mail, mailboxes, owed
from cirrusweb.findings import FAIL, OK, WARN, Finding, Findings
from cirrusweb.health import DISK_FULL
from cirrusweb.log import redact
from instruments.credentials import SecretUnreadable, decrypt
from instruments.keys import api_key_can_read
from instruments.models import ApiKey, Organisation
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.models import SyncTarget
from monitoring.sync.beat import BEAT_KEY, LOST
from webhooks.notices import webhook_notices

# Beat ticks each five seconds; a worker that is busy may answer a few ticks late.
BEAT_LATE = timedelta(seconds=30)
WORKER_SECONDS = 2.0
DISK_LOW = 2 * 1024**3


def database() -> Findings:
    """Whether the database answers, and as what."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            version = ".".join(map(str, connection.get_database_version()))
    except DatabaseError as error:
        reason = redact(str(error)).strip().partition("\n")[0]
        yield Finding(
            FAIL,
            "database",
            f"{connection.display_name} does not answer: {reason}",
            "Start it, or correct DATABASE_URL.",
        )
    else:
        yield Finding(OK, "database", f"{connection.display_name} {version} answers.")


def migrations() -> Findings:
    """Whether the tables are those of this version."""
    loader = MigrationLoader(connection)
    waiting = set(loader.disk_migrations) - set(loader.applied_migrations)
    # Those of apps that were taken out are nobody's concern.
    unknown = {
        name
        for name in set(loader.applied_migrations) - set(loader.disk_migrations)
        if name[0] in loader.migrated_apps
    }
    if waiting:
        yield Finding(
            FAIL,
            "migrations",
            f"{len(waiting)} are not applied yet.",
            "Run `manage.py migrate`, then restart.",
        )
    elif unknown:
        yield Finding(
            WARN,
            "migrations",
            f"The database is newer than this version: it knows {len(unknown)} migrations that this one does not.",
            "Run the version that made them, or go back with its `manage.py migrate`.",
        )
    else:
        yield Finding(OK, "migrations", "All are applied.")


def system_checks() -> Findings:
    """What Django's and our own system checks say of the settings."""
    deploy = not settings.INSECURE_HTTP
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=deploy)
        if message.level >= checks.WARNING and not message.is_silenced()
    ]
    for message in found:
        level = FAIL if message.level >= checks.ERROR else WARN
        yield Finding(level, "settings", f"{message.msg} ({message.id})", message.hint or "")
    if not found:
        yield Finding(OK, "settings", "Nothing in them contradicts anything else.")


def redis_server() -> Findings:
    """Whether Redis answers, is new enough and keeps what it is given."""
    address = redact(settings.REDIS_URL)
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2) as client:
            info = client.info()
    except (redis.RedisError, OSError, ValueError) as error:
        yield Finding(
            FAIL,
            "redis",
            f"{address} does not answer: {redact(str(error))}",
            "Start it, or correct REDIS_URL. Nothing stored is lost: work waits in the database.",
        )
        return
    version = str(info.get("redis_version", "0"))
    needed = embedded_redis.MINIMUM_VERSION
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < needed:
        wanted = ".".join(map(str, needed))
        yield Finding(
            FAIL, "redis", f"It is version {version}.", f"Tasks need {wanted} or newer: upgrade it."
        )
    elif info.get("maxmemory_policy", "noeviction") != "noeviction":
        yield Finding(
            WARN,
            "redis",
            f"Its maxmemory-policy is {info['maxmemory_policy']}: when full it forgets queued work.",
            "Set maxmemory-policy to noeviction.",
        )
    else:
        yield Finding(OK, "redis", f"{address} answers, version {version}.")


def beat(now: datetime) -> Findings:
    """When the beat's tick was last carried out."""
    advice = (
        "Start `celery -A cirrusweb beat` and `celery -A cirrusweb worker`, exactly one beat; `make run` and "
        "docker-compose.yml do. Until then nothing is fetched and no alert is sent."
    )
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2) as client:
            noted = client.get(BEAT_KEY)
        at = datetime.fromisoformat(noted.decode()) if noted else None
    except (redis.RedisError, OSError, ValueError):
        yield Finding(FAIL, "beat", "Whether it runs cannot be told without Redis.", "Mend Redis first.")
        return
    if at is None:
        yield Finding(FAIL, "beat", "No tick has been carried out yet.", advice)
        return
    age = now - at.astimezone(UTC)
    text = f"The last tick was carried out {max(0, int(age.total_seconds()))} s ago."
    if age > LOST:
        yield Finding(FAIL, "beat", text, advice)
    elif age > BEAT_LATE:
        yield Finding(WARN, "beat", text, "The workers are behind or just started: look again in a minute.")
    else:
        yield Finding(OK, "beat", text)


def workers() -> Findings:
    """Whether a worker answers."""
    try:
        answers = celery_app.control.inspect(timeout=WORKER_SECONDS).ping() or {}
    except Exception as error:
        # kombu passes on whatever its transport raised.
        yield Finding(
            FAIL,
            "worker",
            f"None can be asked: {redact(str(error)) or type(error).__name__}",
            "Mend Redis first.",
        )
        return
    if answers:
        yield Finding(OK, "worker", f"{len(answers)} answered: {', '.join(sorted(answers))}.")
    else:
        yield Finding(
            FAIL,
            "worker",
            "None answered.",
            "Start `celery -A cirrusweb worker`, or see its log if it should run.",
        )


def api_keys(now: datetime) -> Findings:
    """Each organisation's keys: state, message, next move."""
    with all_organisations(reason="the operator sees how every organisation's keys are"):
        rows = list(
            ApiKey.objects.usable().select_related("organisation").order_by("organisation__slug", "pk")
        )
    for key in rows:
        yield _api_key(key, now)
    keyless = Organisation.objects.exclude(pk__in={key.organisation_id for key in rows}).order_by("slug")
    for slug in keyless.values_list("slug", flat=True):
        yield Finding(WARN, "key", f"{slug} has none.", f"Add one: manage.py api_key_add {slug}")
    if not Organisation.objects.exists():
        yield Finding(
            WARN,
            "key",
            "There is no organisation yet.",
            "Make one: manage.py organisation_create NAME --owner EMAIL",
        )


def _api_key(key: ApiKey, now: datetime) -> Finding:
    what = f"key {key.organisation.slug}: {key}"
    try:
        key.secret_reveal()
    except (SecretUnreadable, ValueError):
        advice = (
            "Put the key that encrypted it back into FIELD_ENCRYPTION_KEYS, or rotate it on the keys page."
        )
        return Finding(FAIL, what, "It cannot be decrypted.", advice)
    state = ApiKey.State(key.state)
    message = f"{state.label}. {key.message}".strip()
    if state in (ApiKey.State.REFUSED, ApiKey.State.UNREACHABLE):
        return Finding(FAIL, what, message, "Verify or rotate it on the organisation's keys page.")
    if state == ApiKey.State.UNVERIFIED:
        return Finding(WARN, what, message, "Verify it on the organisation's keys page.")
    if state == ApiKey.State.MISSING_SCOPE:
        level = WARN if api_key_can_read(key.scopes) else FAIL
        missing = ", ".join(key.missing_scopes())
        return Finding(level, what, message, f"If you need {missing}: rotate it to a key that has it.")
    if key.pausing(now):
        until = f"{key.paused_until:%H:%M:%S}Z"
        return Finding(WARN, what, f"MyCirrus asked it to wait until {until}.", "It goes on by itself.")
    return Finding(OK, what, message)


def other_secrets() -> Findings:
    """Whether the secrets beside API keys, those of webhooks and of second factors, can be decrypted."""
    for column in columns():
        if column.model is ApiKey:
            continue
        unreadable = count = 0
        with all_organisations(reason="whether the key ring fits is a question of the installation"):
            for _, value in column.rows().iterator(chunk_size=500):
                for ciphertext in column.ciphertexts(value):
                    count += 1
                    try:
                        decrypt(ciphertext)
                    except (SecretUnreadable, ValueError):
                        unreadable += 1
        what = f"secrets of {column.model._meta.verbose_name_plural}"
        if unreadable:
            yield Finding(
                FAIL,
                what,
                f"{unreadable} of {count} cannot be decrypted.",
                "Put the key that encrypted them back into FIELD_ENCRYPTION_KEYS, or enter them again.",
            )
        else:
            yield Finding(OK, what, f"All {count} can be decrypted.")


def parked() -> Findings:
    """How much of the fetching waits for a person."""
    with all_organisations(reason="the operator sees what waits in every organisation"):
        rows = list(
            SyncTarget.objects.parked()
            .order_by("organisation__slug", "message")
            .values_list("organisation__slug", "message")
            .annotate(models.Count("pk"))
        )
    if not rows:
        yield Finding(OK, "sync", "Nothing waits for a person.")
    for slug, message, count in rows:
        yield Finding(
            WARN, "sync", f"{slug}: {count} resources are not fetched: {message}", "See its keys page."
        )


def webhook_address() -> Findings:
    """Whether MyCirrus could reach this installation at PUBLIC_URL."""
    address = urlsplit(settings.PUBLIC_URL)
    advice = (
        "MyCirrus sends webhooks to public https addresses only: set PUBLIC_URL. Until then it is asked by polling, "
        "and news comes later."
    )
    if address.scheme != "https":
        yield Finding(WARN, "webhooks", f"PUBLIC_URL is {settings.PUBLIC_URL}, which is not https.", advice)
    elif not _is_public(address.hostname or ""):
        yield Finding(WARN, "webhooks", f"{address.hostname} is not a public name.", advice)
    else:
        yield Finding(OK, "webhooks", f"MyCirrus is told {settings.PUBLIC_URL}/hooks/….")


def registrations(now: datetime) -> Findings:
    """What is wrong with each organisation's webhooks: scopes, what MyCirrus removed, what keeps silent."""
    for organisation in Organisation.objects.order_by("slug"):
        with organisation_scope(organisation.pk):
            notices = webhook_notices(organisation=organisation, now=now, can_manage=True)
        for notice in notices:
            if notice.tone != "muted":
                yield Finding(
                    WARN,
                    f"webhooks {organisation.slug}",
                    f"{notice.title} {notice.text}",
                    f"Look at {settings.PUBLIC_URL}{notice.href}" if notice.href else "",
                )


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".lan"))


def disk() -> Findings:
    """Whether there is room where this installation keeps its files."""
    try:
        usage = shutil.disk_usage(settings.DATA_DIR)
    except OSError as error:
        yield Finding(
            FAIL, "disk", f"{settings.DATA_DIR}: {error.strerror}.", "Make the folder or correct DATA_DIR."
        )
        return
    text = f"{usage.free / 1024**3:.1f} GB are free in {settings.DATA_DIR}."
    if usage.free < DISK_FULL:
        yield Finding(FAIL, "disk", text, "Make room now: nothing can be stored on a full disk.")
    elif usage.free < DISK_LOW:
        yield Finding(WARN, "disk", text, "Make room soon.")
    else:
        yield Finding(OK, "disk", text)


def examine(now: datetime) -> Findings:
    """All findings, in the order in which trouble is best mended."""
    first = list(database())
    yield from first
    tables = first[0].level == OK
    if tables:
        second = list(migrations())
        yield from second
        # Without its tables there is nothing to say of keys.
        tables = second[0].level != FAIL
    yield from system_checks()
    redis_findings = list(redis_server())
    yield from redis_findings
    if redis_findings[0].level != FAIL:
        yield from beat(now)
        yield from workers()
    needing_tables: list[Callable[[], Findings]] = [
        lambda: api_keys(now),
        other_secrets,
        parked,
        lambda: registrations(now),
        lambda: owed(now),
        mailboxes,
    ]
    if tables:
        for examination in needing_tables:
            yield from examination()
    for examination in (mail, webhook_address, disk):
        yield from examination()
