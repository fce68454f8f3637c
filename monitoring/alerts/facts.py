"""From stored rows to verdicts: what each kind of rule needs to know of an instrument. It writes by watching alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from instruments.joined import Joined
from instruments.models import Deployment, Instrument
from instruments.mycirrus.types import passed
from instruments.sites import deployment_of
from instruments.tenancy import active_organisation_id
from monitoring.acoustics.drift import frequency_of
from monitoring.alerts.incidents import sics_look
from monitoring.alerts.judges import checks as check_judges
from monitoring.alerts.judges import presence as presence_judges
from monitoring.alerts.judges import vitals
from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.kinds import CALIBRATION, HEALTH, INSTRUMENT_KINDS, KINDS
from monitoring.alerts.leaving import left_verdict
from monitoring.alerts.limits import periods_close
from monitoring.alerts.rules import covers, minutes_of, versions_for
from monitoring.alerts.watching import Case, case_judged
from monitoring.checks import FREQUENCIES
from monitoring.models import (
    AlertKind,
    AlertRuleVersion,
    AlertWatch,
    Calibration,
    CheckStanding,
    InstrumentStatus,
    MonitorStats,
)
from monitoring.possible import AHEAD, is_ahead
from monitoring.status import STALE_AFTER_POLLS

# How many calibrations are looked at.
CALIBRATIONS = 20
# A signal or voltage from longer ago says nothing of now.
OLD = timedelta(hours=6)

# Read at every poll.
_WATCHES = Joined(
    f'FROM "{AlertWatch._meta.db_table}" AS watch '
    "WHERE watch.organisation_id = %(organisation)s AND watch.subject = %(subject)s",
    watch=AlertWatch,
)


def sites_of(instruments: Iterable[Instrument], now: datetime) -> dict[int, int]:
    """Where each instrument stands now: site id by instrument id. One query."""
    rows = Deployment.objects.at(now).filter(instrument__in=[each.pk for each in instruments])
    return dict(rows.values_list("instrument_id", "site_id"))


def instrument_judge(
    *, instrument: Instrument, kinds: Sequence[str], now: datetime, present: InstrumentStatus | None = None
) -> None:
    """Judge the rules of ``kinds`` on one instrument, in the transaction that stored what is new of it."""
    versions = versions_for(kinds)
    if not versions:
        return
    place = deployment_of(instrument, now) if any(version.sites for version in versions) else None
    site_id = place.site_id if place is not None else None
    rows = _WATCHES.all(organisation=active_organisation_id(), subject=f"i:{instrument.pk}")
    watches: dict[int, AlertWatch] = {row["watch"].rule_id: row["watch"] for row in rows}
    if present is None:
        present = InstrumentStatus.objects.filter(instrument=instrument).first()
    for version in versions:
        watch = watches.get(version.rule_id)
        if not covers(version, instrument, site_id):
            # What a rule is no longer about must not stay open for ever.
            verdict = Verdict(State.CLEAR, now, {"uncovered": True})
            if watch is None:
                continue
        else:
            verdict = verdict_of(version, instrument, present, now)
        if place is None and verdict.state.severity and KINDS[version.rule.kind].by_site:
            # Asked for only now: a fleet in order costs no query for where it stands.
            place = deployment_of(instrument, now)
        case = Case(
            version=version,
            subject=f"i:{instrument.pk}",
            title=instrument.name or instrument.serial,
            instrument=instrument,
            site_id=place.site_id if place is not None else None,
            site_name=place.site.name if place is not None else "",
        )
        case_judged(case, verdict, now=now, known=watch)


def verdict_of(
    version: AlertRuleVersion, instrument: Instrument, present: InstrumentStatus | None, now: datetime
) -> Verdict:
    """How ``instrument`` stands now by one rule."""
    kind = version.rule.kind
    if instrument.gone_at is not None:
        return left_verdict(instrument, instrument.gone_at, now)
    if kind in CALIBRATION:
        return _until_the_next(_calibration(version, instrument, now), instrument, now)
    if kind == AlertKind.SIC_DRIFT:
        return _drift(version, instrument, now)
    if kind == AlertKind.SUBSCRIPTION:
        return vitals.subscription(instrument.subscription_status, now)
    if kind == AlertKind.SIGNAL:
        return _signal(version, instrument, now)
    if present is None:
        return Verdict(State.NO_DATA, now)
    if kind in HEALTH:
        return _health(version, present, now)
    return _presence(version, present, now)


def _presence(version: AlertRuleVersion, present: InstrumentStatus, now: datetime) -> Verdict:
    judge = {
        AlertKind.OFFLINE: presence_judges.offline,
        AlertKind.NOT_MEASURING: presence_judges.not_measuring,
        AlertKind.NO_DATA: presence_judges.no_data,
    }[AlertKind(version.rule.kind)]
    ends = [
        (at + timedelta(seconds=seconds or 0), timedelta(seconds=seconds or 0))
        for at, seconds in (
            (present.level_at, present.level_seconds),
            (present.latest_at, present.latest_seconds),
        )
        if at is not None and not is_ahead(at, now)
    ]
    data_until, period = max(ends, default=(None, timedelta(0)))
    # Rows without a value are no data, whatever else goes on.
    data_until = present.empty_since_at or data_until
    facts = presence_judges.Presence(
        online=present.online,
        measuring=present.measuring,
        online_since=present.online_since_at,
        measuring_since=present.measuring_since_at,
        observed_at=present.observed_at,
        data_until=data_until,
        period=period,
        checking=bool(present.calibration_in_progress or present.sic_in_progress),
    )
    stale = timedelta(seconds=settings.POLL_STATUS_SECONDS) * STALE_AFTER_POLLS
    return judge(facts, now, amber=minutes_of(version, "amber"), red=minutes_of(version, "red"), stale=stale)


def _health(version: AlertRuleVersion, present: InstrumentStatus, now: datetime) -> Verdict:
    kind, health = version.rule.kind, present.health
    if present.health_at is None or now - present.health_at > OLD:
        return Verdict(State.NO_DATA, now)
    value = {
        AlertKind.VOLTAGE: health.get("voltage_v"),
        AlertKind.DISK: health.get("disk_pct"),
        AlertKind.TEMPERATURE: health.get("temperature_c"),
        AlertKind.SIM: vitals.sim_used(health.get("sim_usage_mb"), health.get("sim_quota_mb")),
    }[AlertKind(kind)]
    return vitals.vital(
        kind, value, present.health_at, amber=version.settings.get("amber"), red=version.settings.get("red")
    )


def _signal(version: AlertRuleVersion, instrument: Instrument, now: datetime) -> Verdict:
    """RSRP, the received power of the mobile cell, in dBm."""
    row = (
        MonitorStats.objects.filter(instrument=instrument, start_at__range=(now - OLD, now + AHEAD))
        .order_by("-start_at")
        .values_list("start_at", "lte_rsrp")
        .first()
    )
    if row is None:
        return Verdict(State.NO_DATA, now)
    return vitals.vital(
        "signal", row[1], row[0], amber=version.settings.get("amber"), red=version.settings.get("red")
    )


def _calibration(version: AlertRuleVersion, instrument: Instrument, now: datetime) -> Verdict:
    rows = Calibration.objects.filter(instrument=instrument, at__lte=now + AHEAD).order_by("-at")
    found = [
        check_judges.Check(row.at, passed(row.status), row.offset_db) for row in reversed(rows[:CALIBRATIONS])
    ]
    match version.rule.kind:
        case AlertKind.CALIBRATION_FAILED:
            verdict = check_judges.calibration_failed(found, now)
        case AlertKind.CALIBRATION_STEP:
            limit_db = float(version.settings.get("limit_db", 0.5))
            verdict = check_judges.calibration_stepped(found, now, limit_db=limit_db)
        case _:
            days = {
                name: None if value is None else timedelta(days=float(value))
                for name, value in (
                    ("amber", version.settings.get("amber")),
                    ("red", version.settings.get("red")),
                )
            }
            return check_judges.calibration_overdue(found, now, amber=days["amber"], red=days["red"])
    if verdict.state.severity and verdict.at < instrument.first_seen_at and verdict.at < version.made_at:
        # History from before it was known here wakes nobody; it stands in the record.
        return Verdict(State.CLEAR, verdict.at, {**verdict.facts, "history": True})
    return verdict


def _until_the_next(verdict: Verdict, instrument: Instrument, now: datetime) -> Verdict:
    """The same, looked at again when a calibration that is yet to come has come."""
    ahead = Calibration.objects.filter(instrument=instrument, at__gt=now + AHEAD).order_by("at").first()
    if ahead is None:
        return verdict
    comes_at = ahead.at - AHEAD
    return replace(verdict, look_at=min(verdict.look_at or comes_at, comes_at))


def _drift(version: AlertRuleVersion, instrument: Instrument, now: datetime) -> Verdict:
    """By the numbers of the board, so that the two never tell different stories."""
    standing = CheckStanding.objects.filter(instrument=instrument).first()
    if standing is None or standing.sic_at is None or standing.sic_passed is False:
        # A failure is another rule's affair, and its level no drift.
        return Verdict(State.NO_DATA, now)
    return drift_verdict(standing.sic["levels"], standing.sic_at, version.settings)


def drift_verdict(levels: Mapping[str, Any], at: datetime, settings: Mapping[str, Any]) -> Verdict:
    """What the ``levels`` of a standing's document, as they were ``at`` a SIC, mean to a rule."""
    tolerance = float(settings["tolerance_db"])
    told = [frequency_of(words, levels.get(name, {}), Decimal(str(tolerance))) for words, name in FREQUENCIES]
    return check_judges.sic_drift(
        told, at, amber_days=float(settings.get("amber_days", 30)), tolerance_db=tolerance
    )


def watch_judge(watch: AlertWatch, now: datetime) -> None:
    """Judge one subject again because its time has come."""
    kind = watch.rule.kind
    if kind == AlertKind.SIC_FAILED:
        sics_look(watch, now)
        return
    if kind == AlertKind.LEVEL and watch.instrument is not None:
        with transaction.atomic():
            periods_close(watch, now)
        return
    if watch.instrument is None or not KINDS[kind].of_instruments or kind not in INSTRUMENT_KINDS:
        AlertWatch.objects.filter(pk=watch.pk, due_at=watch.due_at).update(due_at=None)
        return
    before: Any = watch.due_at
    instrument_judge(instrument=watch.instrument, kinds=[kind], now=now)
    # A rule that was paused meanwhile judges nothing, and must not be due for ever.
    AlertWatch.objects.filter(pk=watch.pk, due_at=before).update(due_at=None)
