"""Channels in every state for pages to show: one that works, one that is off, one that waits, one not tested."""

from datetime import datetime, timedelta

from instruments.models import Organisation, Site, User
from instruments.tenancy import organisation_scope
from monitoring.alerts.channels.keeping import Hears, channel_add, channel_off
from monitoring.alerts.channels.webhook import signing_key
from monitoring.models import (
    AlertChannel,
    AlertDelivery,
    AlertKind,
    ChannelSecret,
    Incident,
    IncidentChange,
    Severity,
)

ROOMS = (
    (
        "slack",
        "#noise-alerts",
        "https://hooks.slack.example/services/T0AAAAAAA/B0BBBBBBB/madeupmadeupmadeup",
        (),
    ),
    (
        "teams",
        "Works council",
        "https://prod-01.westeurope.logic.example/workflows/0123/paths/invoke?sig=madeupmadeup",
        (AlertKind.LEVEL, AlertKind.OFFLINE),
    ),
    ("discord", "Night shift", "https://discord.example/api/webhooks/1122334455/madeupmadeupmadeup", ()),
    ("webhook", "Site diary", "https://diary.example.com/cirrusweb/madeup", (AlertKind.SIC_FAILED,)),
)


def channels(organisation: Organisation, *, actor: User, now: datetime) -> dict[str, AlertChannel]:
    """One of each kind, by kind; what they were told is a night of trouble."""
    made: dict[str, AlertChannel] = {}
    with organisation_scope(organisation.pk):
        sites = list(Site.objects.all()[:1])
        for kind, name, address, kinds in ROOMS:
            signing = signing_key() if kind == "webhook" else ""
            made[kind] = channel_add(
                organisation=organisation,
                kind=kind,
                name=name,
                secret=ChannelSecret(address, signing),
                hears=Hears(
                    kinds=kinds,
                    sites=sites if kind == "teams" else (),
                    minimum=Severity.RED if kind == "discord" else Severity.AMBER,
                ),
                actor=actor,
            )
        AlertChannel.objects.filter(pk=made["slack"].pk).update(
            tested_at=now - timedelta(days=3), test_passed=True, test_answer="200 OK: ok"
        )
        for number, (title, step) in enumerate(
            (("Pier 4", "opened"), ("Pier 4", "closed"), ("Gate 2", "opened"), ("Gate 2", "raised"))
        ):
            at = now - timedelta(hours=9 - 2 * number)
            incident, _made = Incident.objects.get_or_create(
                kind=AlertKind.OFFLINE, title=title, defaults={"opened_at": at, "closed_at": now}
            )
            change = IncidentChange.objects.create(
                incident=incident, step=step, cause=f"night:{number}", at=at, severity=Severity.RED
            )
            sent = at + timedelta(seconds=4)
            AlertDelivery.objects.create(
                change=change,
                channel="slack",
                target=made["slack"],
                due_at=at,
                sent_at=sent,
                attempts=1,
                message="200 OK: ok",
            )
            refused = step == "raised"
            AlertDelivery.objects.create(
                change=change,
                channel="teams",
                target=made["teams"],
                due_at=at,
                sent_at=None if refused else sent,
                failed_at=sent if refused else None,
                attempts=1,
                message="404 Not Found: The workflow was disabled or deleted." if refused else "202 Accepted",
            )
            if refused:
                AlertDelivery.objects.create(
                    change=change,
                    channel="discord",
                    target=made["discord"],
                    due_at=now + timedelta(minutes=8),
                    attempts=3,
                    message="503 Service Unavailable",
                )
        channel_off(
            channel=made["teams"],
            reason="404 Not Found: The workflow was disabled or deleted.",
            now=now - timedelta(hours=3),
        )
        # Of the one that went off the others were told.
        AlertDelivery.objects.filter(change__incident__kind=AlertKind.CHANNEL, recipient=None).update(
            sent_at=now - timedelta(hours=3), attempts=1, message="200 OK: ok"
        )
    return made
