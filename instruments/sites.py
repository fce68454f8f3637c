"""Deploying instruments to sites, correcting it later, and the time zone in which an instrument's times are told.

Verbs raise ValidationError in words for a page; the database holds the same laws for whoever comes by another way.
"""

import zoneinfo
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from instruments.activity import activity_note
from instruments.joined import Listed
from instruments.models import Deployment, Instrument, Organisation, Site, User
from instruments.tenancy import active_organisation_id


def zone_of(instrument: Instrument, at: datetime) -> zoneinfo.ZoneInfo:
    """The time zone of the place where ``instrument`` stood at ``at``: its site's own, else the organisation's.

    No query for an instrument that was read `with_deployment(at)` and stood somewhere; else one, or two.
    """
    deployed = deployment_of(instrument, at)
    own = deployed.site.zone if deployed is not None else None
    return own or instrument.organisation.zone


def own_zones(rows: Sequence[tuple[int, datetime]]) -> list[zoneinfo.ZoneInfo | None]:
    """For each instrument's number and instant the time zone of its site's own; None where the organisation's holds.

    One query, however many they are.
    """
    if not rows:
        return []
    instants = [at for _, at in rows]
    stays = (
        Deployment.objects.within(min(instants), max(instants) + timedelta(microseconds=1))
        .filter(instrument_id__in={pk for pk, _ in rows})
        .exclude(site__timezone="")
        .select_related("site")
    )
    known: dict[int, list[Deployment]] = {}
    for stay in stays:
        known.setdefault(stay.instrument_id, []).append(stay)
    return [next((stay.site.zone for stay in known.get(pk, ()) if stay.stands(at)), None) for pk, at in rows]


def deployment_of(instrument: Instrument, at: datetime) -> Deployment | None:
    """Where ``instrument`` stood at ``at``, with its site; None for nowhere that is known."""
    known: Deployment | None = getattr(instrument, "deployed", None)
    if known is not None and known.stands(at):
        return known
    return Deployment.objects.at(at).filter(instrument=instrument).select_related("site").first()


class Stay(NamedTuple):
    """From when to when an instrument stood at a site; without an end it stands there still."""

    start_at: datetime
    end_at: datetime | None
    site: str


class Stays:
    """Where an instrument stood, by time, to be asked for each of very many rows."""

    def __init__(self, stays: Iterable[Stay]) -> None:
        self.all = sorted(stays, key=itemgetter(0))
        self._starts = [each.start_at for each in self.all]

    def at(self, at: datetime) -> str:
        """The name of the site; empty where none is known."""
        place = bisect_right(self._starts, at) - 1
        stay = self.all[place] if place >= 0 else None
        return stay.site if stay is not None and (stay.end_at is None or stay.end_at > at) else ""

    def during(self, start: datetime, end: datetime) -> list[str]:
        """The names of the sites of any part of [start, end), in the order of time."""
        some = self.all[max(bisect_right(self._starts, start) - 1, 0) : bisect_left(self._starts, end)]
        return list(dict.fromkeys(each.site for each in some if each.end_at is None or each.end_at > start))


# By hand: every chart asks this, and the ORM took several times as long as the database.
_STAYS = Listed(
    Stay,
    f"""
        SELECT stay.start_at, stay.end_at, site.name
        FROM "{Deployment._meta.db_table}" AS stay JOIN "{Site._meta.db_table}" AS site ON site.id = stay.site_id
        WHERE stay.organisation_id = %(organisation)s AND stay.instrument_id = %(instrument)s
          AND stay.start_at < %(end)s AND (stay.end_at IS NULL OR stay.end_at > %(start)s)
    """,  # noqa: S608 - every name is ours, every value is a parameter
    start_at=Deployment._meta.get_field("start_at"),
    end_at=Deployment._meta.get_field("end_at"),
)


def stays_of(*, instrument: Instrument, start: datetime, end: datetime) -> Stays:
    """Where ``instrument``, which is of the organisation in scope, stood between ``start`` and ``end``.

    No query where it was read with its deployment and stood there throughout; else one.
    """
    known: Deployment | None = getattr(instrument, "deployed", None)
    if known is not None and known.start_at <= start and (known.end_at is None or known.end_at >= end):
        return Stays([Stay(known.start_at, known.end_at, known.site.name)])
    return Stays(
        _STAYS.rows(organisation=active_organisation_id(), instrument=instrument.pk, start=start, end=end)
    )


def site_save(*, site: Site, changed: list[str], actor: User) -> Site:
    """Store a site whose fields ``changed`` differ, a new one as a whole, and say so in the log."""
    with transaction.atomic():
        new = site.pk is None
        site.save(force_insert=new)
        if new or changed:
            activity_note(
                organisation=site.organisation,
                actor=actor,
                verb="site_added" if new else "site_changed",
                subject=site.name,
                detail=""
                if new
                else ", ".join(str(Site._meta.get_field(name).verbose_name) for name in changed),  # type: ignore[union-attr]
            )
    return site


def deployment_start(
    *, instrument: Instrument, site: Site, start_at: datetime, end_at: datetime | None, note: str, actor: User
) -> Deployment:
    """Let ``instrument`` stand at ``site`` from ``start_at``.

    Where it stands elsewhere until further notice, that ends at the same instant: moving it is one step. A stay that is
    over already was a visit: it stands there again from its end on. Raises ValidationError where it would be at two
    sites at once.
    """
    with transaction.atomic():
        before = (
            Deployment.objects.select_for_update()
            .filter(instrument=instrument, end_at=None, start_at__lt=start_at)
            .select_related("site")
            .first()
        )
        if before is not None:
            before.end_at = start_at
            before.save(update_fields=["end_at"])
            _note(before, actor, "deployment_ended")
        deployment = _begin(instrument, site, start_at, end_at, note, actor)
        # Where it goes after a stay that is still to end nobody knows.
        if before is not None and end_at is not None and end_at <= timezone.now():
            _begin(instrument, before.site, end_at, None, before.note, actor)
    return deployment


def _begin(
    instrument: Instrument, site: Site, start_at: datetime, end_at: datetime | None, note: str, actor: User
) -> Deployment:
    deployment = Deployment(
        organisation_id=site.organisation_id,
        instrument=instrument,
        site=site,
        start_at=start_at,
        end_at=end_at,
        note=note,
    )
    _store(deployment)
    _note(deployment, actor, "deployment_started")
    return deployment


def deployment_correct(
    *, deployment: Deployment, start_at: datetime, end_at: datetime | None, note: str, actor: User
) -> Deployment:
    """Change when it began or ended, or where exactly it was. Raises ValidationError for an overlap."""
    with transaction.atomic():
        was = _period(deployment)
        deployment.start_at, deployment.end_at, deployment.note = start_at, end_at, note
        _store(deployment)
        _note(deployment, actor, "deployment_corrected", before=was)
    return deployment


def deployment_remove(*, deployment: Deployment, actor: User) -> None:
    """Take a deployment back that never was: its data then belong to no place."""
    with transaction.atomic():
        _note(deployment, actor, "deployment_removed")
        deployment.delete()


def site_remove(*, site: Site, actor: User) -> None:
    """Remove a site at which nothing ever stood. Raises ValidationError where something did."""
    with transaction.atomic():
        if Deployment.objects.filter(site=site).exists():
            raise ValidationError(
                _(
                    "Instruments stood here, and their data belong to this place. Remove its deployments first."
                )
            )
        activity_note(organisation=site.organisation, actor=actor, verb="site_removed", subject=site.name)
        site.delete()


def _store(deployment: Deployment) -> None:
    if deployment.end_at is not None and deployment.end_at <= deployment.start_at:
        raise ValidationError({"end_at": _("It has to end after it began.")}, code="order")
    clash = _clash(deployment)
    if clash is None:
        try:
            # A savepoint: who was first is asked for after the database said no.
            with transaction.atomic():
                deployment.save()
            return
        except IntegrityError:
            # Somebody else was quicker than the look above.
            clash = _clash(deployment)
            if clash is None:
                raise
    place = {"site": clash.site.name, "period": _period(clash)}
    raise ValidationError(
        {
            "start_at": _("It stands at %(site)s then (%(period)s). End that first, or choose another time.")
            % place
        },
        code="overlap",
    )


def _clash(deployment: Deployment) -> Deployment | None:
    others = Deployment.objects.filter(instrument=deployment.instrument_id).exclude(pk=deployment.pk)
    others = others.filter(end_at=None) | others.filter(end_at__gt=deployment.start_at)
    if deployment.end_at is not None:
        others = others.filter(start_at__lt=deployment.end_at)
    return others.select_related("site").order_by("start_at").first()


def _period(deployment: Deployment) -> str:
    """Its ends in the site's time zone, as the log and messages write them."""
    organisation: Organisation = deployment.site.organisation
    zone = deployment.site.zone or organisation.zone
    start, end = (
        timezone.localtime(at, zone).strftime("%Y-%m-%d %H:%M") if at is not None else _("now")
        for at in (deployment.start_at, deployment.end_at)
    )
    return f"{start} – {end} {zone.key}"


def _note(deployment: Deployment, actor: User, verb: str, before: str = "") -> None:
    detail = _period(deployment)
    if before and before != detail:
        detail = _("%(before)s became %(after)s") % {"before": before, "after": detail}
    activity_note(
        organisation=deployment.site.organisation,
        actor=actor,
        verb=verb,
        subject=f"{deployment.instrument}: {deployment.site.name}",
        detail=f"{detail}. {deployment.note}" if deployment.note else detail,
    )
