"""Mail to the person's own address, by whatever way the installation sends."""

import smtplib

from django.core.mail import EmailMessage
from django.utils.translation import gettext_lazy as _

from cirrusweb.log import redact
from monitoring.alerts.channels.sending import MailboxRefused, NotSent, Way
from monitoring.alerts.claims import REFUSED
from monitoring.alerts.mail import alert_mail
from monitoring.models import AlertDelivery


def send(delivery: AlertDelivery) -> str:
    """Hand the mail to the server."""
    hand_over(alert_mail(delivery))
    return ""


def hand_over(mail: EmailMessage) -> None:
    """Hand a mail to one person to the server. A refusal is tried again for as long as it takes: people mend their
    mailboxes. Raises NotSent, and MailboxRefused where that person's is refused for good, as the server sees it.
    """
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        if 500 <= code < 600:
            words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            raise MailboxRefused(f"{REFUSED}: {code} {redact(words)}") from error
        raise NotSent(f"The mail server did not take it ({type(error).__name__}, {code}).") from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"The mail server did not take it ({type(error).__name__}).") from error


WAY = Way("email", _("Mail"), send)
