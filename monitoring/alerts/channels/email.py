"""Mail to the person's own address, by whatever way the installation sends."""

import smtplib

from django.utils.translation import gettext_lazy as _

from monitoring.alerts.channels.sending import NotSent, Way
from monitoring.alerts.mail import alert_mail
from monitoring.models import AlertDelivery


def send(delivery: AlertDelivery) -> str:
    """Hand the mail to the server. A refusal is tried again for as long as it takes: people mend their mailboxes."""
    try:
        alert_mail(delivery).send()
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"The mail server did not take it ({type(error).__name__}).") from error
    return ""


WAY = Way("email", _("Mail"), send)
