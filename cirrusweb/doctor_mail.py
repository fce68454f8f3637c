"""The doctor's examinations of mail: whether it can be handed over, and what is owed; they send and change nothing."""

from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.mail import get_connection
from django.db.models import F, Q

from cirrusweb.findings import FAIL, OK, WARN, Finding, Findings
from cirrusweb.log import redact
from instruments.tenancy import all_organisations
from monitoring.alerts.claims import REFUSED
from monitoring.alerts.mail import mail_domain
from monitoring.models import AlertDelivery, Digest

MAIL_SECONDS = 5
# Our default and the one in .env.example: nobody can send from them.
NOBODYS = ("localhost", "example.com")
# What is due is claimed within seconds, and each send ends within 20 s.
OWED_LATE = timedelta(minutes=5)


def mail() -> Findings:
    """Whether mail can be handed over, and from whom it comes. Nothing is sent."""
    backend = settings.EMAIL_BACKEND.rpartition(".")[2]
    if settings.EMAIL_BACKEND.startswith("django.core.mail.backends.smtp"):
        server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
        mailer = get_connection(timeout=MAIL_SECONDS)
        try:
            mailer.open()
            mailer.close()
        except OSError as error:
            # smtplib's errors are OSErrors too; they quote the server's answer, never the password.
            yield Finding(
                FAIL,
                "mail",
                f"{server} did not take the connection: {redact(str(error))}",
                "Correct EMAIL_URL. Alerts that are owed stay owed and are sent when it works.",
            )
            return
        if mail_domain() in NOBODYS:
            yield Finding(
                WARN,
                "mail",
                f"{server} takes mail, and it comes from {settings.DEFAULT_FROM_EMAIL}, which most servers refuse.",
                "Set DEFAULT_FROM_EMAIL to an address of your own domain.",
            )
        else:
            yield Finding(OK, "mail", f"{server} takes mail, which comes from {settings.DEFAULT_FROM_EMAIL}.")
    elif backend == "EmailBackend" and "filebased" in settings.EMAIL_BACKEND:
        folder = Path(settings.EMAIL_FILE_PATH)
        yield Finding(
            WARN,
            "mail",
            f"Mails reach nobody: they are kept in {folder} and shown at {settings.PUBLIC_URL}/outbox/.",
            "Right for a demo. Otherwise name a mail server in EMAIL_URL.",
        )
    else:
        yield Finding(
            WARN, "mail", f"Mails go to {settings.EMAIL_BACKEND}.", "Name a mail server in EMAIL_URL."
        )


def mailboxes() -> Findings:
    """Whose mailbox the mail server refuses, and what it says."""
    waiting: dict[str, list[str]] = {}
    with all_organisations(reason="a mailbox is refused for whichever organisation writes to it"):
        for model in (AlertDelivery, Digest):
            unsent = model.objects.filter(sent_at=None, failed_at=None, message__startswith=REFUSED)
            for address, message in unsent.order_by("pk").values_list("recipient__email", "message"):
                waiting.setdefault(address, []).append(message)
    for address, told in waiting.items():
        yield Finding(
            WARN,
            "mailbox",
            f"{address}: {len(told)} wait. {redact(told[-1])}",
            "It is tried once a day in the end. Correct the address in the admin, or ask its owner.",
        )


def owed(now: datetime) -> Findings:
    """How many alerts and digests were to be sent by now, and what became of the oldest."""
    for model, what, since in (
        (AlertDelivery, "alerts", "change__at"),
        (Digest, "digests", "asked_at"),
    ):
        with all_organisations(reason="the operator sees what is owed in every organisation"):
            unsent = model.objects.filter(sent_at=None, failed_at=None)
            late = unsent.filter(Q(attempts__gt=0) | Q(due_at__lt=now - OWED_LATE))
            count = late.count()
            oldest = (
                late.order_by("pk").values("organisation__slug", "attempts", "message", at=F(since)).first()
            )
        if oldest is None:
            yield Finding(OK, what, "None is owed.")
            continue
        tried = f"tried {oldest['attempts']} times: {redact(oldest['message'])}".removesuffix(": ")
        yield Finding(
            WARN,
            what,
            f"{count} are owed. The oldest is one of {oldest['organisation__slug']} since "
            f"{oldest['at']:%Y-%m-%d %H:%M}Z, {tried}",
            "They are tried until they are taken: see the mail server, or the channel's page.",
        )
