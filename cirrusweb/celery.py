"""The Celery application; schedules live here, work lives in the apps' tasks modules."""

import logging.config
import os
from typing import Any

import structlog
from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cirrusweb.settings")

app = Celery("cirrusweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "cirrusweb",
        "monitoring",
        "monitoring.sync",
        "monitoring.storage",
        "monitoring.alerts",
        "monitoring.actions",
        "monitoring.timehistory",
        "webhooks",
    ]
)


@signals.setup_logging.connect
def _setup_logging(**_: Any) -> None:
    """Log as the web process does: a receiver here keeps Celery from laying its own handlers over ours."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@signals.task_prerun.connect
def _task_context(task: Any = None, task_id: str = "", **_: Any) -> None:
    """Begin each task's log context anew: a worker process would carry the last task's organisation along."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)
