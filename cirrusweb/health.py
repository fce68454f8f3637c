"""Liveness and readiness for whatever watches this process; they say nothing about any organisation."""

import shutil
from collections.abc import Callable

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

# So little is as good as nothing: a write-ahead log alone can take it.
DISK_FULL = 200 * 1024**2
_migrated = False


@login_not_required
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _migrations() -> bool:
    global _migrated
    if not _migrated:
        loader = MigrationLoader(connection)
        # Kept once true: nothing takes migrations back under a running process, and probes come every few seconds.
        _migrated = set(loader.disk_migrations) <= set(loader.applied_migrations)
    return _migrated


def _redis() -> bool:
    with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1) as client:
        return bool(client.ping())


def _disk() -> bool:
    """Whether what arrives can still be written, where this process keeps its files."""
    return shutil.disk_usage(settings.DATA_DIR).free >= DISK_FULL


def _works(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, redis.RedisError, OSError, ValueError):
        return False


@login_not_required
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when pages can be served: the database answers and has this version's tables.

    A dead broker and a full disk are told, but pages are served without either.
    """
    parts = {
        "database": _works(_database),
        "migrations": _works(_migrations),
        "redis": _works(_redis),
        "disk": _works(_disk),
    }
    return JsonResponse(parts, status=200 if parts["database"] and parts["migrations"] else 503)
