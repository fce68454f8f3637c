"""The digest as a mail that a phone shows well, in HTML and in text; it reads and sends nothing."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from monitoring.alerts.digests.news import COVERAGE_FLOOR_PCT, News, news_of
from monitoring.alerts.digests.times import whole_days
from monitoring.alerts.links import DIGEST, unsubscribe_link
from monitoring.alerts.mail import mail_domain
from monitoring.models import Digest, DigestWish


def digest_mail(digest: Digest, *, now: datetime) -> EmailMultiAlternatives:
    """The mail of one digest, in the organisation's time zone, as its pages are; the period ends with its last day.

    Its message id is the same however often it is sent, so that a mail sent twice after a crash shows once in most
    mailboxes.
    """
    organisation, zone = digest.organisation, digest.organisation.zone
    weekly = digest.rhythm == DigestWish.Rhythm.WEEKLY
    start, end = whole_days(digest.asked_at, 7 if weekly else 1, zone)
    unsubscribe = unsubscribe_link(organisation_id=organisation.pk, user_id=digest.recipient_id, kind=DIGEST)
    with timezone.override(zone):
        news = news_of(start=start, end=end, now=now)
        context = {
            "organisation": organisation,
            "news": news,
            "weekly": weekly,
            "now": now,
            "floor_pct": COVERAGE_FLOOR_PCT,
            "unsubscribe_link": unsubscribe,
            **_pages(organisation.slug),
        }
        text = render_to_string("monitoring/email/digest.txt", context)
        html = render_to_string("monitoring/email/digest.html", context)
        subject = _subject(organisation.name, news, digest.asked_at)
    mail = EmailMultiAlternatives(
        subject=subject,
        body=text,
        to=[digest.recipient.email],
        headers={
            "Message-ID": f"<digest-{digest.pk}.{organisation.pk}@{mail_domain()}>",
            "Auto-Submitted": "auto-generated",
            "List-Id": f"<digest.{organisation.slug}.{mail_domain()}>",
            "List-Unsubscribe": f"<{unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
    mail.attach_alternative(html, "text/html")
    return mail


def _pages(slug: str) -> dict[str, Any]:
    names = {
        "base": "fleet",
        "alerts_link": "alerts",
        "checks_link": "checks-calibrations",
        "record_link": "record",
        "settings_link": "notifications",
    }
    return {
        word: settings.PUBLIC_URL + reverse(f"monitoring:{name}", args=[slug]) for word, name in names.items()
    }


def _subject(name: str, news: News, at: datetime) -> str:
    """What is wrong in a few words, and the day: a mailbox shows no more of it."""
    told = []
    if news.incidents.total:
        told.append(
            ngettext("%(n)s open incident", "%(n)s open incidents", news.incidents.total)
            % {"n": news.incidents.total}
        )
    if news.away.total:
        told.append(
            ngettext("%(n)s monitor away", "%(n)s monitors away", news.away.total) % {"n": news.away.total}
        )
    if news.checks.total:
        told.append(
            ngettext("%(n)s calibration due", "%(n)s calibrations due", news.checks.total)
            % {"n": news.checks.total}
        )
    if news.thin.total:
        told.append(ngettext("%(n)s with gaps", "%(n)s with gaps", news.thin.total) % {"n": news.thin.total})
    what = ", ".join(told[:2]) if told else _("all in order")
    day = date_format(timezone.localtime(at), "D j M")
    return " ".join(f"{name}: {what} · {day}".split())
