"""Instruments that MyCirrus' lists leave out: what is open of them goes dark, then ends, and begins anew with them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from instruments.models import Instrument
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.incidents import sic_again
from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.kinds import BY_ROWS, INSTRUMENT_KINDS
from monitoring.alerts.rules import subjects_look, versions_for
from monitoring.alerts.withdrawing import MOST_AT_ONCE, incident_end, incident_held
from monitoring.models import AlertWatch, Incident, Resource, SyncTarget

# A single list without an instrument may be MyCirrus' fault: it has left when one a day later is without it, too.
LEFT_AFTER = timedelta(days=1)
# Until such a list has come.
LIST_AGAIN = timedelta(minutes=10)


def left_verdict(instrument: Instrument, gone_at: datetime, now: datetime) -> Verdict:
    """Lists leave it out: nothing is known, until one of a day later says that there is nothing to mend here."""
    sure_at = gone_at + LEFT_AFTER
    lists = _lists().filter(api_key=instrument.api_key_id)
    if now >= sure_at and not lists.exclude(ok_at__gte=sure_at).exists():
        return Verdict(State.CLEAR, now, {"gone": True})
    return Verdict(State.NO_DATA, now, look_at=max(sure_at, now + LIST_AGAIN))


def fleet_look(*, gone: Iterable[Instrument], returned: Mapping[Instrument, datetime], now: datetime) -> None:
    """Have those judged soon that a list left out, and those it names again whose incidents have ended meanwhile.

    ``returned``: since when each was gone.
    """
    AlertWatch.objects.filter(
        instrument__in=gone, incident__isnull=False, rule__kind__in=INSTRUMENT_KINDS
    ).update(due_at=now)
    back = {instrument: at for instrument, at in returned.items() if now - at >= LEFT_AFTER}
    if back:
        for version in versions_for(INSTRUMENT_KINDS):
            subjects_look(version=version, now=now, among=list(back))
    for instrument, gone_at in back.items():
        sic_again(instrument=instrument, since=gone_at, now=now)


def incidents_leave(*, now: datetime) -> int:
    """End what rows alone would, of instruments that have left: none will come. Returns how many."""
    with all_organisations(reason="the tick serves every organisation"):
        waiting = _lists().filter(
            ~Q(ok_at__gte=OuterRef("instrument__gone_at") + LEFT_AFTER) | Q(ok_at=None),
            api_key=OuterRef("instrument__api_key"),
        )
        left = list(
            Incident.objects.open()
            .filter(~Exists(waiting), kind__in=BY_ROWS, instrument__gone_at__lte=now - LEFT_AFTER)
            .values_list("organisation_id", "pk")[:MOST_AT_ONCE]
        )
    for organisation_id, pk in left:
        with organisation_scope(organisation_id):
            _incident_leave(pk, now)
    return len(left)


def _lists() -> QuerySet[SyncTarget]:
    """The targets by which the keys in use are asked for their lists."""
    return SyncTarget.objects.filter(api_key__revoked_at=None, resource=Resource.INSTRUMENTS)


@transaction.atomic
def _incident_leave(incident_id: int, now: datetime) -> None:
    incident = incident_held(incident_id)
    if incident is None or incident.instrument is None or incident.instrument.gone_at is None:
        return
    verdict = left_verdict(incident.instrument, incident.instrument.gone_at, now)
    if verdict.state == State.CLEAR:
        incident_end(incident, step="closed", facts=verdict.facts, now=now)
