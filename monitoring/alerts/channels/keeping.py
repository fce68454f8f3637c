"""An organisation's channels: added, changed, tested, switched off and on, removed; no secret leaves by here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from instruments.activity import activity_note
from instruments.credentials import SecretUnreadable
from instruments.models import Membership, Organisation, Role, Site, User
from monitoring.alerts.channels.chat import channel_post
from monitoring.alerts.channels.message import message_of_test
from monitoring.alerts.channels.sending import NotSent, Refused
from monitoring.alerts.owing import deliveries_make, owe
from monitoring.alerts.watching import incident_close, step_note
from monitoring.models import (
    AlertChannel,
    AlertKind,
    AlertPreference,
    ChannelSecret,
    Incident,
    Severity,
)

ANSWER_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Hears:
    """What a channel is told of. Without kinds: of every kind, also later ones; without sites: everywhere."""

    kinds: Collection[str] = ()
    sites: Collection[Site] = ()
    minimum: int = Severity.AMBER


def hears_by_channel(channels: Collection[AlertChannel]) -> dict[int, Hears]:
    """What is said of each; those of which nothing is left are missing. One query."""
    said: dict[int, list[AlertPreference]] = {}
    for wish in AlertPreference.objects.filter(channel__in=channels).select_related("site"):
        if wish.channel_id is not None:
            said.setdefault(wish.channel_id, []).append(wish)
    return {
        channel_id: Hears(
            kinds=tuple(sorted({wish.kind for wish in wishes} - {""})),
            sites=tuple({wish.site_id: wish.site for wish in wishes if wish.site is not None}.values()),
            minimum=min(wish.minimum for wish in wishes),
        )
        for channel_id, wishes in said.items()
    }


def hears_of(channel: AlertChannel) -> Hears | None:
    """What is said of this channel now; None where nothing is left of it."""
    return hears_by_channel([channel]).get(channel.pk)


@sensitive_variables("secret")
def channel_add(
    *, organisation: Organisation, kind: str, name: str, secret: ChannelSecret, hears: Hears, actor: User
) -> AlertChannel:
    """A new channel, told of everything that happens from now on."""
    channel = AlertChannel(organisation=organisation, kind=kind, name=name, made_by=actor)
    channel.secret_set(secret)
    with transaction.atomic():
        channel.save()
        _hears_set(channel, hears)
        _noted(channel, actor, "channel_added")
    return channel


@sensitive_variables("secret")
def channel_change(
    *, channel: AlertChannel, name: str, secret: ChannelSecret | None, hears: Hears, actor: User
) -> None:
    """Change what is said of it. A new address has not been tested: what an earlier test found is forgotten."""
    fields = ["name"]
    channel.name = name
    if secret is not None:
        channel.secret_set(secret)
        channel.tested_at, channel.test_passed, channel.test_answer = None, None, ""
        fields += ["ciphertext", "host", "last_four", "tested_at", "test_passed", "test_answer"]
    with transaction.atomic():
        channel.save(update_fields=fields)
        _hears_set(channel, hears)
        _noted(channel, actor, "channel_changed", _("new address") if secret is not None else "")


def _hears_set(channel: AlertChannel, hears: Hears) -> None:
    AlertPreference.objects.filter(channel=channel).delete()
    sites: Sequence[Site | None] = list(hears.sites) or [None]
    AlertPreference.objects.bulk_create(
        [
            AlertPreference(
                organisation_id=channel.organisation_id,
                channel=channel,
                kind=kind,
                site=site,
                minimum=hears.minimum,
            )
            for kind in (hears.kinds or [""])
            for site in sites
        ]
    )


def channel_test(*, channel: AlertChannel, now: datetime, actor: User) -> bool:
    """Send a test and keep the answer; a channel that was off and takes it is on again. Not inside a transaction."""
    try:
        passed, answer = True, channel_post(channel, message_of_test(channel, now=now))
    except (NotSent, Refused) as error:
        passed, answer = False, str(error)
    except SecretUnreadable as error:
        passed, answer = False, str(error)
    AlertChannel.objects.filter(pk=channel.pk).update(
        tested_at=now, test_passed=passed, test_answer=answer[:ANSWER_LENGTH]
    )
    channel.refresh_from_db()
    if passed and channel.off_at is not None:
        channel_on(channel=channel, now=now, actor=actor)
    return passed


@transaction.atomic
def channel_off(*, channel: AlertChannel, reason: str, now: datetime) -> None:
    """Switch a channel off for good reason: the page says why, and the admins are told by mail, once.

    What it is still owed ends with it. Already off: nothing happens.
    """
    reason = reason[:ANSWER_LENGTH]
    if not AlertChannel.objects.on().filter(pk=channel.pk).update(off_at=now, off_reason=reason):
        return
    _noted(channel, None, "channel_off", reason)
    incident, _made = Incident.objects.get_or_create(
        organisation_id=channel.organisation_id,
        key=_key(channel),
        closed_at=None,
        defaults={
            "kind": AlertKind.CHANNEL,
            "title": channel.name,
            "severity": Severity.AMBER,
            "worst": Severity.AMBER,
            "opened_at": now,
        },
    )
    change = step_note(
        incident,
        "opened",
        at=now,
        cause=f"{_key(channel)}:off:{now.isoformat()}",
        facts={"message": reason},
        severity=Severity.AMBER,
    )
    if change is None:
        return
    owe(change, instrument_ids=[], now=now)
    # Whatever they asked for: nobody else can mend it, and what is not sent is not missed.
    admins = Membership.objects.filter(role__in=(Role.ADMIN, Role.OWNER)).select_related("user")
    deliveries_make(change, admins, [], now=now)


@transaction.atomic
def channel_on(*, channel: AlertChannel, now: datetime, actor: User) -> None:
    """Tell it again from now on; whoever was told that it was off is told that it is not."""
    if (
        not AlertChannel.objects.kept()
        .filter(pk=channel.pk, off_at__isnull=False)
        .update(off_at=None, off_reason="")
    ):
        return
    channel.refresh_from_db()
    _noted(channel, actor, "channel_on")
    _over(channel, now, "on")


@transaction.atomic
def channel_remove(*, channel: AlertChannel, now: datetime, actor: User) -> None:
    """Take it out of use and forget its secret; what was sent there stays on record."""
    if AlertChannel.objects.kept().filter(pk=channel.pk).update(removed_at=now, ciphertext=""):
        AlertPreference.objects.filter(channel=channel).delete()
        _noted(channel, actor, "channel_removed")
        _over(channel, now, "removed")


def _over(channel: AlertChannel, now: datetime, how: str) -> None:
    incident = Incident.objects.open().select_for_update().filter(key=_key(channel)).first()
    if incident is not None:
        incident_close(incident, at=now, cause=f"{_key(channel)}:{how}:{now.isoformat()}", facts={}, now=now)


def _key(channel: AlertChannel) -> str:
    return f"{AlertKind.CHANNEL}:{channel.pk}"


def _noted(channel: AlertChannel, actor: User | None, verb: str, detail: str = "") -> None:
    activity_note(
        organisation=channel.organisation,
        actor=actor,
        verb=verb,
        subject=f"{channel.name}, {channel.get_kind_display()}",
        detail=detail,
    )
