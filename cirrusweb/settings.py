"""Every setting of an installation, in one file, read top to bottom; `.env.example` names each variable once."""

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

from cirrusweb.env import broker_url
from cirrusweb.log import logging_config

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- The installation ---------------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
# Off in production; `make run` turns it on so that a demo over plain http on this machine can keep its session.
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=DEBUG)
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

SECRET_KEY = env.str("SECRET_KEY", default="")
# First key encrypts, all decrypt: put a new one in front, run `manage.py encryption_rotate`, drop the old one.
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS", default=[])
if not SECRET_KEY or not FIELD_ENCRYPTION_KEYS:
    # A missing key must not be invented: sessions would end at each start, and API keys could not be read again.
    raise ImproperlyConfigured(
        "SECRET_KEY and FIELD_ENCRYPTION_KEYS are not set. `make run` makes them by itself; "
        "for production follow .env.example."
    )

# --- MyCirrus -----------------------------------------------------------------------------------------------------

MYCIRRUS_BASE_URL = "https://api.mycirrus.cloud/v1"
MYCIRRUS_EXTRA_BASE_URLS = env.list("MYCIRRUS_EXTRA_BASE_URLS", default=[])
MYCIRRUS_CONNECT_TIMEOUT = env.float("MYCIRRUS_CONNECT_TIMEOUT", default=5.0)
MYCIRRUS_READ_TIMEOUT = env.float("MYCIRRUS_READ_TIMEOUT", default=30.0)
# Seconds between polls of one instrument when no webhook asks for an earlier one.
POLL_STATUS_SECONDS = env.int("POLL_STATUS_SECONDS", default=60)
POLL_NOISE_SECONDS = env.int("POLL_NOISE_SECONDS", default=300)
POLL_SIC_SECONDS = env.int("POLL_SIC_SECONDS", default=900)
POLL_CALIBRATIONS_SECONDS = env.int("POLL_CALIBRATIONS_SECONDS", default=3600)
POLL_INSTRUMENTS_SECONDS = env.int("POLL_INSTRUMENTS_SECONDS", default=600)
POLL_OTHER_SECONDS = env.int("POLL_OTHER_SECONDS", default=900)
# How many days of every record are fetched, newest first, once an instrument is first seen.
HISTORY_DAYS = env.int("HISTORY_DAYS", default=730)
# A worker's call must end before its lease, its lease before the broker delivers again: see cirrusweb/checks.py.
SYNC_TASK_SECONDS = env.int("SYNC_TASK_SECONDS", default=120)
SYNC_LEASE_SECONDS = env.int("SYNC_LEASE_SECONDS", default=180)
SYNC_TURNS_PER_KEY = env.int("SYNC_TURNS_PER_KEY", default=20)
SYNC_BACKFILLS_AT_ONCE = env.int("SYNC_BACKFILLS_AT_ONCE", default=2)
# Mails and messages on their way at the same time, below the number of worker threads: each may hold one for 20 s.
SENDS_AT_ONCE = env.int("SENDS_AT_ONCE", default=3)
# Sound and time histories of events are kept in DATA_DIR/media once somebody has asked for them, up to this size.
MEDIA_CACHE_MB = env.int("MEDIA_CACHE_MB", default=2048)
# Somebody waits for it: what MyCirrus has not sent by then is given up.
MEDIA_FETCH_SECONDS = env.int("MEDIA_FETCH_SECONDS", default=45)
# Time histories that somebody asked for go after so many days, and of each organisation the oldest beyond so much.
TIME_HISTORY_DAYS = env.int("TIME_HISTORY_DAYS", default=30)
TIME_HISTORY_MB = env.int("TIME_HISTORY_MB", default=500)
WEBHOOK_MAX_BYTES = env.int("WEBHOOK_MAX_BYTES", default=262_144)
# Days that what webhooks brought is kept, word for word; 0 keeps it for ever.
DELIVERY_DAYS = env.int("DELIVERY_DAYS", default=90)

# --- Django -------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    # Django's admin with a site for superusers only that sees every organisation.
    "instruments.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_htmx",
    "template_partials",
    "instruments",
    "monitoring",
    "webhooks",
    "cirrusweb",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "cirrusweb.compression.Compression",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cirrusweb.middleware.log_context",
    # Everything below is for people.
    "webhooks.endpoint.short_way",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "cirrusweb.middleware.htmx_sign_in",
    "cirrusweb.middleware.SignInRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "cirrusweb.middleware.organisation",
    "cirrusweb.middleware.no_page",
]

ROOT_URLCONF = "cirrusweb.urls"
WSGI_APPLICATION = "cirrusweb.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "cirrusweb.context.installation",
            ],
        },
    }
]

DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASES: dict[str, dict[str, Any]] = {
    # Not as a URL: a folder's name may hold what a URL would read as something else.
    "default": environ.Env.db_url_config(DATABASE_URL)
    if DATABASE_URL
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "cirrusweb.sqlite3")}
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE: a transaction that reads and then writes would otherwise fail with "database is locked"
        # at once, without waiting, when another writer came in between.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    # Closing the last connection writes the whole log back: a request costs ten times as much with a new one each.
    DATABASES["default"]["CONN_MAX_AGE"] = None
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        # What `planned_cursor` runs for the third time in a connection is planned there once. Nothing else is.
        "prepare_threshold": 2,
        # A server that vanishes without a word is given up within a minute, or it would hold for ever the thread that
        # waits for its answer.
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Sign-in limits live in this cache. It is in the process, so that people can sign in while Redis is down.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LANGUAGE_CODE = "en-gb"
# Those that Cirrusweb itself speaks: Django knows a hundred, and its words and dates would stand beside English ones.
LANGUAGES = [("en-gb", "English")]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
# Hashed, compressed names need `collectstatic`; `make run` and the tests serve the folder as it stands.
SERVE_STATIC_FROM_SOURCE = env.bool("SERVE_STATIC_FROM_SOURCE", default=DEBUG)
WHITENOISE_USE_FINDERS = SERVE_STATIC_FROM_SOURCE
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if SERVE_STATIC_FROM_SOURCE
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- People -------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "instruments.User"
SESSION_ENGINE = "instruments.sessions"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "instruments:organisations"
# Anybody who proves an address may make an account and an organisation; closed, people come by invitation.
SIGN_UP_OPEN = env.bool("SIGN_UP_OPEN", default=False)
ACCOUNT_ADAPTER = "instruments.accounts.AccountAdapter"
ACCOUNT_FORMS = {"signup": "instruments.forms.InvitedSignupForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Cirrusweb: "
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if INSECURE_HTTP else "https"
MFA_ADAPTER = "instruments.second_factor.MFAAdapter"
MFA_FORMS = {
    "authenticate": "instruments.second_factor_forms.AuthenticateForm",
    "reauthenticate": "instruments.second_factor_forms.ReauthenticateForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Cirrusweb"
# The code before and the one after open as well (RFC 6238, 5.2): a phone's clock is off, and typing takes its time.
MFA_TOTP_TOLERANCE = 1

# --- Mail ---------------------------------------------------------------------------------------------------------

EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
else:
    # No server named: every mail becomes a file that the outbox page shows to the operator.
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(DATA_DIR / "outbox")
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Cirrusweb <cirrusweb@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# Chats and webhooks are posted to wherever an organisation's admins say; allowed, that may be a private network.
CHANNEL_PRIVATE_ADDRESSES = env.bool("CHANNEL_PRIVATE_ADDRESSES", default=False)

# --- Security -----------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = not INSECURE_HTTP
CSRF_COOKIE_SECURE = not INSECURE_HTTP
SECURE_SSL_REDIRECT = not INSECURE_HTTP and env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else env.int("SECURE_HSTS_SECONDS", default=31_536_000)
# A container's health check speaks plain http from inside.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # Sign-in limits count addresses: without this all people share the proxy's, and one who guesses locks out the rest.
    ALLAUTH_TRUSTED_PROXY_COUNT = 1

# --- Celery -------------------------------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Redis that refuses to write, its disk or its memory being full, is waited for like one that is away.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Kombu's defaults hand a killed worker's task to another after an hour and a half; these after five minutes.
    "visibility_timeout": 300,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # A web request queues on commit and must not hang on a dead broker: the next tick finds the row anyway.
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "retry_policy": {"max_retries": 0},
    # The queues in the order named below, not in turn.
    "queue_order_strategy": "priority",
}
# Short work first: mails, webhooks and ticks never wait behind the fetching of a fleet, nor does what a webhook
# announced.
CELERY_TASK_QUEUES = [Queue("celery"), Queue("hints"), Queue("sync")]
CELERY_TASK_ROUTES = {
    "monitoring.sync.tasks.run": {"queue": "sync"},
    "monitoring.storage.tasks.*": {"queue": "sync"},
    "monitoring.timehistory.tasks.run": {"queue": "sync"},
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# Of processes alone, where somebody runs those: a thread ends by the ends of what it waits for.
CELERY_TASK_TIME_LIMIT = SYNC_TASK_SECONDS
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_ENABLE_UTC = True
CELERY_BEAT_SCHEDULER = "cirrusweb.beat:Scheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    # `expires`: a tick that waited behind a dead worker is worthless, the next one sees the same rows.
    "monitoring-tick": {"task": "monitoring.tasks.tick", "schedule": 5.0, "options": {"expires": 5}},
    # Hourly, because a small server is not always on at night; what is done already costs a query.
    "storage": {
        "task": "monitoring.storage.tasks.housekeeping",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "clean-up": {"task": "cirrusweb.tasks.clean_up", "schedule": 3600.0, "options": {"expires": 3600}},
    "alerts-connections": {
        "task": "monitoring.alerts.tasks.connections",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "webhooks-tick": {"task": "webhooks.tasks.tick", "schedule": 10.0, "options": {"expires": 10}},
    "webhooks-registration": {
        "task": "webhooks.tasks.registration_tick",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "webhooks-silence": {
        "task": "webhooks.tasks.silence_tick",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "webhooks-expire": {"task": "webhooks.tasks.expire", "schedule": 3600.0, "options": {"expires": 600}},
}

# --- Logs ---------------------------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = logging_config(LOG_LEVEL)
