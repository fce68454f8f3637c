"""The least that Django needs to serve one view over the same database; imported by the bare web programs only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import environ
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path

urlpatterns: list[Any] = []


def application(view: Callable[[HttpRequest], HttpResponse]) -> WSGIHandler:
    """A WSGI application of this one view, without middleware, over the installation's database."""
    database = environ.Env().db_url("DATABASE_URL")
    # Connections are kept: to open one for each request is not part of the work.
    database["CONN_MAX_AGE"] = None
    if "sqlite" in database["ENGINE"]:
        pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
        database["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": pragmas}
    templates = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent],
    }
    settings.configure(
        SECRET_KEY=os.environ["SECRET_KEY"],
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": database},
        ROOT_URLCONF="bench.limits.site",
        TEMPLATES=[templates],
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()
    urlpatterns.append(path("", view))
    return WSGIHandler()
