"""An alert as a mail: what is wrong by which numbers, since when, where, with links; it reads and sends nothing."""

from datetime import datetime
from email.mime.image import MIMEImage
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from instruments.models import Membership, Organisation
from monitoring.alerts.handling import HANDLES
from monitoring.alerts.links import incident_link, unsubscribe_link
from monitoring.alerts.picture import level_png
from monitoring.alerts.words import advice_of, head_of, lines_of, state_of, subject_of
from monitoring.models import AlertDelivery, AlertKind, IncidentChange, IncidentSubject

# More are named on the page.
MOST_NAMED = 20


def _levels(facts: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for row in facts.get("levels", []):
        level, before = row["level_db"], row["before_db"]
        step = None if level is None or before is None else level - before
        rows.append({**row, "step_db": step})
    return rows


def mail_domain() -> str:
    """The domain that our mails come from."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"


def _second(change: IncidentChange) -> IncidentChange | None:
    """The check that was run to confirm this one, where it has come: both are told in one mail."""
    version = change.incident.version
    if change.step != change.Step.OPENED or version is None or not version.settings.get("confirm"):
        return None
    later = IncidentChange.objects.filter(incident=change.incident, step__in=("repeated", "closed"))
    return later.order_by("pk").first()


def message_context(delivery: AlertDelivery) -> dict[str, Any]:
    """What every way of telling says of a delivery. To be rendered in the zone of the place."""
    change, incident = delivery.change, delivery.change.incident
    organisation, instrument = delivery.organisation, incident.instrument
    before = change.facts.get("passed_before_at")
    second = _second(change)
    subjects = IncidentSubject.objects.filter(incident=incident).select_related("instrument")
    page = reverse("monitoring:incident", args=[organisation.slug, incident.pk])
    link = (
        reverse("monitoring:instrument", args=[organisation.slug, instrument.serial]) if instrument else page
    )
    settings_page = (
        "monitoring:channels" if incident.kind == AlertKind.CHANNEL else "monitoring:notifications"
    )
    context: dict[str, Any] = {
        "organisation": organisation,
        "incident": incident,
        "instrument": instrument,
        "instruments": [each.instrument for each in subjects[:MOST_NAMED]],
        "change": change,
        "head": head_of(incident),
        "state": state_of(change),
        "lines": lines_of(change),
        "levels": _levels(change.facts),
        "passed_before_at": datetime.fromisoformat(before) if before else None,
        "second": second,
        "second_levels": _levels(second.facts) if second else [],
        "advice": "" if change.is_end else advice_of(incident),
        "version": incident.version,
        "link": settings.PUBLIC_URL + link,
        "incident_link": settings.PUBLIC_URL + page,
        "settings_link": settings.PUBLIC_URL + reverse(settings_page, args=[organisation.slug]),
        "calibration": _calibration(delivery),
    }
    if delivery.recipient_id is not None:
        context["handle_link"] = incident_link(
            organisation_id=organisation.pk, user_id=delivery.recipient_id, incident_id=incident.pk
        )
        member = Membership.objects.filter(user_id=delivery.recipient_id).first()
        context["may_handle"] = member is not None and member.covers(HANDLES)
    return context


def _calibration(delivery: AlertDelivery) -> Any:
    """How the instrument stands with its checks: what a level is worth depends on it."""
    instrument = delivery.change.incident.instrument
    return getattr(instrument, "status", None) if instrument is not None else None


def alert_mail(delivery: AlertDelivery) -> EmailMultiAlternatives:
    """The mail for one delivery, with times in the zone of the place.

    Its message id is the same however often it is sent, so that a mail sent twice after a crash shows once in most
    mailboxes. The first of an incident to a person is what all later ones to them refer to, under one subject.
    """
    organisation, incident = delivery.organisation, delivery.change.incident
    if delivery.recipient is None:
        raise ValueError("A mail goes to a person.")
    # Templates write times in the active zone, and a worker has none of its own.
    with timezone.override(incident.zone_at(delivery.change.at)):
        context = message_context(delivery)
        png = level_png(delivery.change.facts)
        context["chart"] = png is not None
        subject = subject_of(incident, organisation.name)
        text = render_to_string("monitoring/email/alert.txt", context)
        html = render_to_string("monitoring/email/alert.html", context)
    first = (
        AlertDelivery.objects.filter(change__incident=incident, recipient=delivery.recipient, target=None)
        .order_by("pk")
        .values_list("pk", flat=True)
        .first()
    )
    root = _message_id(first or delivery.pk, organisation)
    later = first is not None and first != delivery.pk
    headers = {
        "Message-ID": _message_id(delivery.pk, organisation),
        "Auto-Submitted": "auto-generated",
        "List-Id": f"<alerts.{organisation.slug}.{mail_domain()}>",
    }
    if incident.kind != AlertKind.CHANNEL:
        # Of that one every admin is told, and a link that would not be heeded is worse than none.
        unsubscribe = unsubscribe_link(
            organisation_id=organisation.pk, user_id=delivery.recipient.pk, kind=incident.kind
        )
        headers |= {
            "List-Unsubscribe": f"<{unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    if later:
        headers |= {"In-Reply-To": root, "References": root}
    mail = EmailMultiAlternatives(
        subject=f"Re: {subject}" if later else subject,
        body=text,
        to=[delivery.recipient.email],
        headers=headers,
    )
    mail.attach_alternative(html, "text/html")
    if png is not None:
        image = MIMEImage(png, "png")
        image.add_header("Content-ID", "<chart>")
        image.add_header("Content-Disposition", "inline", filename="chart.png")
        mail.attach(image)
    return mail


def _message_id(delivery_id: int, organisation: Organisation) -> str:
    return f"<delivery-{delivery_id}.{organisation.pk}@{mail_domain()}>"
