"""A throw-away installation for one benchmark: database, Redis, folder and environment, gone when it ends."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from cirrusweb import embedded_redis

ROOT = Path(__file__).resolve().parent.parent
SQLITE, POSTGRESQL, NONE = "sqlite", "postgresql", ""
# What the shell has set for an installation of its own and must not reach the throw-away one.
_OWN = ("PORT", "HOST", "DEBUG", "EMAIL_URL", "PUBLIC_URL", "ALLOWED_HOSTS", "MYCIRRUS_EXTRA_BASE_URLS")


class Unavailable(Exception):
    """Something that the benchmark needs is not on this machine; the text says what."""


def postgresql_url() -> str:
    """A database of the server in which throw-away databases are made (BENCH_POSTGRESQL_URL)."""
    return os.environ.get("BENCH_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


@contextmanager
def installation(engine: str) -> Iterator[dict[str, str]]:
    """The environment of a migrated, empty installation. Raises Unavailable."""
    folder = Path(tempfile.mkdtemp(prefix="cirrusweb-bench-"))
    try:
        with embedded_redis.running() as redis_url, _database(engine, folder) as database_url:
            environment = {
                **{name: value for name, value in os.environ.items() if name not in _OWN},
                "DJANGO_SETTINGS_MODULE": "cirrusweb.settings",
                "SECRET_KEY": "bench-only",
                "FIELD_ENCRYPTION_KEYS": "YmVuY2gtb25seS1iZW5jaC1vbmx5LWJlbmNoLW9ubHk=",
                "DATA_DIR": str(folder),
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                # As `make run` sets them: see cirrusweb/supervisor/plan.py.
                "INSECURE_HTTP": "1",
                "SERVE_STATIC_FROM_SOURCE": "1",
                "PYTHONUNBUFFERED": "1",
                "MALLOC_ARENA_MAX": "2",
                "PYTHONPATH": str(ROOT),
            }
            migrate = [sys.executable, "manage.py", "migrate", "--no-input", "-v", "0"]
            subprocess.run(migrate, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
            yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database(engine: str, folder: Path) -> Iterator[str]:
    if engine != POSTGRESQL:
        yield f"sqlite:///{folder / 'cirrusweb.sqlite3'}"
        return
    name = f"cirrusweb_bench_{os.getpid()}"
    try:
        admin = psycopg.connect(postgresql_url(), autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL does not answer ({type(error).__name__})") from None
    with admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(postgresql_url())._replace(path=f"/{name}").geturl()
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
