"""The production settings with test secrets; the databases and Redis come from the environment as ever."""

import os
import tempfile
from urllib.parse import urlsplit

os.environ.setdefault("SECRET_KEY", "tests-only")
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=")
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="cirrusweb-tests-"))
os.environ.setdefault("INSECURE_HTTP", "1")
os.environ.setdefault("SERVE_STATIC_FROM_SOURCE", "1")
os.environ.setdefault("HISTORY_DAYS", "31")
# The read timeout stays as it is: a loaded machine takes seconds for a day of bands, and nobody would ask again.
os.environ.setdefault("MYCIRRUS_CONNECT_TIMEOUT", "1")

# Test processes that run side by side must not take tasks out of each other's queue: each has its own database.
_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 1
_redis = urlsplit(os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379")
if _redis.scheme == "unix":
    os.environ["REDIS_URL"] = f"unix://{_redis.path}?db={_number}"
else:
    os.environ["REDIS_URL"] = _redis._replace(path=f"/{_number}").geturl()

from cirrusweb.settings import *  # noqa: E402, F403

# Hashing is slow on purpose; a thousand sign-ins in tests need not be.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Stories are told message by message; how many are on their way at once is a test's own question.
SENDS_AT_ONCE = 100
# A file, as in an installation: SQLite in memory knows no two writers that wait for one another.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "tests.sqlite3")}  # noqa: F405
