"""Who is to be told of a step, by which way and not before when; it writes what is owed and sends nothing."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from instruments.models import Deployment, Membership
from monitoring.alerts.hours import quiet_until
from monitoring.models import (
    AlertChannel,
    AlertDelivery,
    AlertHours,
    AlertPreference,
    IncidentChange,
    Maintenance,
    Severity,
)

# Of a power cut the instruments are noticed one after another: the first mail waits to name them together.
GATHER = timedelta(seconds=60)


def maintenance_until(instrument_ids: Collection[int], at: datetime) -> datetime | None:
    """When the maintenance ends that goes on at ``at`` for these instruments, where they stand, or for everything."""
    found = Maintenance.objects.at(at).filter(_places(instrument_ids, at))
    return max(found.values_list("end_at", flat=True), default=None)


def _places(instrument_ids: Collection[int], at: datetime) -> Q:
    """Rows about everything, about one of these instruments, or about a site where one of them stands at ``at``."""
    standing = Deployment.objects.at(at).filter(instrument_id__in=instrument_ids)
    return (
        Q(instrument=None, site=None)
        | Q(instrument_id__in=instrument_ids)
        | Q(site_id__in=standing.values("site_id"))
    )


def owe(
    change: IncidentChange,
    *,
    instrument_ids: Collection[int],
    now: datetime,
    wait: timedelta = timedelta(0),
) -> None:
    """Owe a message to each person and channel that asked, in the transaction of the fact: never zero."""
    wishes = AlertPreference.objects.filter(
        _places(instrument_ids, change.at),
        kind__in=("", change.incident.kind),
        minimum__lte=change.severity,
    ).select_related("membership__user", "channel")
    people = {wish.membership_id: wish.membership for wish in wishes if wish.membership is not None}
    channels = {wish.channel_id: wish.channel for wish in wishes if wish.channel is not None}
    on = [channel for channel in channels.values() if channel.is_on]
    deliveries_make(change, people.values(), on, now=now, wait=wait)


def owe_again(change: IncidentChange, *, now: datetime) -> None:
    """Owe the end of an incident to whoever was told of it, and to nobody else."""
    told = AlertDelivery.objects.filter(change__incident_id=change.incident_id, failed_at=None)
    users = set(told.filter(target=None).values_list("recipient_id", flat=True))
    targets = set(told.exclude(target=None).values_list("target_id", flat=True))
    people = Membership.objects.filter(user_id__in=users).select_related("user")
    channels = AlertChannel.objects.on().filter(pk__in=targets)
    deliveries_make(change, people, channels, now=now, wait=timedelta(0))


def deliveries_make(
    change: IncidentChange,
    people: Iterable[Membership],
    channels: Iterable[AlertChannel],
    *,
    now: datetime,
    wait: timedelta = timedelta(0),
) -> None:
    """The rows, unique by (change, recipient, channel); in somebody's quiet hours they wait for the morning."""
    people = [member for member in people if member.user.is_active]
    hours = {each.membership_id: each for each in AlertHours.objects.filter(membership__in=people)}
    due = now + wait

    def due_for(membership_id: int) -> datetime:
        mine = hours.get(membership_id)
        if mine is None or (mine.red_breaks and change.severity >= Severity.RED):
            return due
        return quiet_until(due, mine.zone, mine.quiet_from, mine.quiet_until) or due

    rows = [
        AlertDelivery(
            organisation_id=change.organisation_id,
            change=change,
            recipient_id=member.user_id,
            due_at=due_for(member.pk),
        )
        for member in people
    ]
    rows += [
        AlertDelivery(
            organisation_id=change.organisation_id,
            change=change,
            channel=channel.kind,
            target=channel,
            due_at=due,
        )
        for channel in channels
    ]
    AlertDelivery.objects.bulk_create(rows, ignore_conflicts=True)
