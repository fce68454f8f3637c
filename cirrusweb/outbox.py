"""A page over the mail files of an installation that has no mail server; it shows them to the operator only."""

import email
import email.policy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from cirrusweb.htmx import render
from instruments.models.people import INVITATION_DAYS

SHOWN = 50
# As long as the link of an invitation opens, which is longer than that for a new password.
KEPT = timedelta(days=INVITATION_DAYS)
# Django's file backend writes this line after every message of a file.
_SEPARATOR = b"-" * 79 + b"\n"


@dataclass(frozen=True, slots=True)
class OutboxMail:
    """One mail as it would have left."""

    name: str
    written_at: datetime
    subject: str
    to: str
    text: str


def outbox_expire(*, now: datetime) -> int:
    """Delete mails whose links have long ended: each file is a key to somebody's account while they last. How many."""
    count = 0
    # The folder that is used without a mail server, whether there is one by now or not.
    for path in (Path(settings.DATA_DIR) / "outbox").glob("*.log"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < (now - KEPT).timestamp():
                path.unlink()
                count += 1
    return count


def outbox_is_readable(user: Any) -> bool:
    """Whether mail goes to files here and this person runs the installation: mails hold reset links."""
    return bool(
        user is not None
        and user.is_authenticated
        and user.is_superuser
        and settings.EMAIL_BACKEND == "django.core.mail.backends.filebased.EmailBackend"
    )


def _mails(folder: Path, most: int) -> Iterator[OutboxMail]:
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[:most]:
        for index, raw in enumerate(path.read_bytes().split(_SEPARATOR)):
            if not raw.strip():
                continue
            message = email.message_from_bytes(raw, policy=email.policy.default)
            body = message.get_body(preferencelist=("plain", "html"))
            yield OutboxMail(
                name=f"{path.stem}-{index}",
                written_at=datetime.fromtimestamp(path.stat().st_mtime, tz=UTC),
                subject=str(message["Subject"]),
                to=str(message["To"]),
                text=body.get_content() if body is not None else "",
            )


def outbox(request: HttpRequest) -> HttpResponse:
    """The newest mails, newest first."""
    if not outbox_is_readable(request.user):
        raise Http404
    folder = Path(settings.EMAIL_FILE_PATH)
    mails = list(_mails(folder, SHOWN)) if folder.is_dir() else []
    return render(request, "outbox.html", {"mails": mails, "shown": SHOWN}, fragment="mails")
