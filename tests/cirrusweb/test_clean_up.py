"""What the installation itself leaves behind goes by itself, and nothing that is still of use."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.mail import EmailMessage, get_connection

from cirrusweb import settings as installed
from cirrusweb.celery import app
from cirrusweb.tasks import clean_up
from instruments import sessions
from tests.conftest import People

NOW = datetime.now(UTC)


def test_ended_sessions_go(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "CHUNK", 2)
    for number in range(5):
        Session.objects.create(session_key=f"old{number}", expire_date=NOW - timedelta(seconds=1))
    bob = people.client(people.bob)
    clean_up()
    assert list(Session.objects.values_list("pk", flat=True)) == [bob.session.session_key]
    assert bob.get("/o/harbour/").status_code == 200


def test_mails_that_were_kept_as_files_go_with_their_links(db: None, settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    folder = tmp_path / "outbox"
    clean_up()
    backend = "django.core.mail.backends.filebased.EmailBackend"
    for days in (15, 13):
        with get_connection(backend, file_path=str(folder)) as connection:
            EmailMessage("Set a password", "https://…", to=["a@example.com"], connection=connection).send()
        (written,) = set(folder.iterdir()) - {folder / "13.log", folder / "15.log"}
        written.rename(folder / f"{days}.log")
        at = (NOW - timedelta(days=days)).timestamp()
        os.utime(folder / f"{days}.log", (at, at))
    clean_up()
    assert [path.name for path in folder.iterdir()] == ["13.log"]


def test_every_ring_is_heard() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in installed.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)
