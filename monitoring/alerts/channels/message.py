"""A step of an incident as a chat reads it: what, where, when, by which numbers, with a link; it sends nothing."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from instruments.models import Deployment
from monitoring.alerts.mail import MOST_NAMED, message_context
from monitoring.alerts.words import Line, duration, instant, number, subject_of
from monitoring.models import AlertChannel, AlertDelivery, IncidentSubject, Severity

# The events of the signed webhook: part of what its receivers rely on.
EVENT = "incident.{step}"
TEST_EVENT = "channel.test"


@dataclass(frozen=True, slots=True)
class Message:
    """What is told. ``id`` is the same however often it is sent, so that a receiver can drop a double."""

    id: str
    event: str
    at: datetime
    severity: Severity
    title: str
    state: str
    lines: tuple[Line, ...]
    link: str
    # For programs: plain values, times in UTC.
    data: Mapping[str, Any]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        told = "\n".join(f"{line.name}: {line.value}" for line in self.lines)
        return "\n".join(part for part in (self.title, self.state, told, self.link) if part)


def message_of(delivery: AlertDelivery) -> Message:
    """What ``delivery`` tells, with times in the zone of the place."""
    change, incident = delivery.change, delivery.change.incident
    organisation = delivery.organisation
    subjects = IncidentSubject.objects.filter(incident=incident).select_related("instrument")
    instruments = [each.instrument for each in subjects[:MOST_NAMED]]
    if not instruments and incident.instrument is not None:
        instruments = [incident.instrument]
    # Words of time are written in the active zone, and a worker has none of its own.
    with timezone.override(incident.zone_at(change.at)):
        context = message_context(delivery)
        standing = Deployment.objects.at(change.at).filter(instrument__in=instruments)
        places = sorted(set(standing.values_list("site__name", flat=True)))
        lines = [Line(_("When"), instant(change.at.isoformat()))]
        if places:
            lines.append(Line(_("Site"), ", ".join(places)))
        if instruments:
            named = (f"{each.name} ({each.serial})" if each.name else each.serial for each in instruments)
            lines.append(Line(_("Instrument"), ", ".join(named)))
        lines += context["lines"]
        lines += _levels(context["levels"])
        if context["second"] is not None:
            lines.append(Line(_("Second check"), instant(context["second"].at.isoformat())))
            lines += _levels(context["second_levels"])
        version = incident.version
        if version is not None:
            said = _("%(rule)s, version %(number)s of %(made)s") % {
                "rule": version.rule.name,
                "number": version.number,
                "made": instant(version.made_at.isoformat()),
            }
            lines.append(Line(_("Rule"), f"{said}. {version.source}" if version.source else said))
        if incident.closed_at is not None:
            lines.append(
                Line(_("Lasted"), duration((incident.closed_at - incident.opened_at).total_seconds()))
            )
        elif context["advice"]:
            lines.append(Line(_("What to do"), context["advice"]))
    return Message(
        id=f"alert-{organisation.pk}-{delivery.pk}",
        event=EVENT.format(step=change.step),
        at=change.at,
        severity=Severity(change.severity),
        title=subject_of(incident, organisation.name),
        state=context["state"],
        lines=tuple(lines),
        link=context["incident_link"],
        data={
            "organisation": {"slug": organisation.slug, "name": organisation.name},
            "incident": {
                "id": incident.pk,
                "kind": incident.kind,
                "title": incident.title,
                "severity": Severity(incident.severity).name.lower(),
                "opened_at": _utc(incident.opened_at),
                "closed_at": _utc(incident.closed_at),
                "link": context["incident_link"],
            },
            "step": change.step,
            "severity": Severity(change.severity).name.lower(),
            "instruments": [{"serial": each.serial, "name": each.name} for each in instruments],
            "sites": places,
            "rule": None
            if version is None
            else {"name": version.rule.name, "version": version.number, "source": version.source},
            # As they were judged, with units in their names or beside them.
            "facts": change.facts,
        },
    )


def message_of_test(channel: AlertChannel, *, now: datetime) -> Message:
    """What a test tells."""
    organisation = channel.organisation
    with timezone.override(organisation.zone):
        lines = (Line(_("When"), instant(now.isoformat())), Line(_("Channel"), channel.name))
    return Message(
        id=f"test-{uuid.uuid4()}",
        event=TEST_EVENT,
        at=now,
        severity=Severity.CLEAR,
        title=_("Test from Cirrusweb, %(name)s") % {"name": organisation.name},
        state=_("Nothing is wrong. Alerts of this channel will arrive here."),
        lines=lines,
        link=settings.PUBLIC_URL + reverse("monitoring:alerts", args=[organisation.slug]),
        data={"organisation": {"slug": organisation.slug, "name": organisation.name}},
    )


def _levels(rows: list[dict[str, Any]]) -> list[Line]:
    lines = []
    for row in rows:
        told = number(row["level_db"], "dB", 2)
        if row["before_db"] is not None:
            told += _(", before %(level)s") % {"level": number(row["before_db"], "dB", 2)}
        if row["step_db"] is not None:
            told += _(", difference %(step)s") % {"step": number(row["step_db"], "dB", 2)}
        lines.append(Line(row["frequency"], told))
    return lines


def _utc(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
