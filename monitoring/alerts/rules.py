"""Rules and their versions: made, changed by a new version, paused, found for a subject. It judges nothing."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from instruments.models import Instrument, Organisation, User
from instruments.statements import planned_cursor
from instruments.tenancy import active_organisation_id, organisation_scope
from monitoring.alerts.hours import Hours, OnHolidays
from monitoring.alerts.judges.levels import Limit, Over
from monitoring.alerts.kinds import BY_ROWS, KINDS
from monitoring.models import AlertRule, AlertRuleVersion, AlertWatch


def versions_for(kinds: Iterable[str]) -> list[AlertRuleVersion]:
    """The versions that judge now, of these kinds, for the organisation in scope; to be read only. One query.

    Every turn asks, and what it is told is nearly always what the turn before was: rows are made into objects only
    where one of them says something else.
    """
    key = (active_organisation_id(), tuple(sorted(kinds)))
    said = _said(*key)
    before, versions = _KNOWN.get(key, (None, []))
    while before != said:
        before = said
        versions = list(
            AlertRuleVersion.objects.filter(
                current=True, rule__kind__in=key[1], rule__paused_at=None, rule__removed_at=None
            ).select_related("rule", "organisation")
        )
        # Only what was read between two equal answers is what they say.
        said = _said(*key)
        if before == said:
            _KNOWN[key] = (said, versions)
    return list(versions)


# By organisation and kinds: what the database said, and what was made of it.
_KNOWN: dict[tuple[int | None, tuple[str, ...]], tuple[list[Any], list[AlertRuleVersion]]] = {}


def _said(organisation_id: int | None, kinds: tuple[str, ...]) -> list[Any]:
    """Every column of the rules' versions, of the rules and of the organisation, as they are stored."""
    marks = ", ".join(["%s"] * len(kinds))
    # A row as one text, where that can be had: to make values of its columns takes longer than to read them.
    columns = "v::text, r::text, o::text" if connection.vendor == "postgresql" else "*"
    statement = f"""
        SELECT {columns} FROM "{AlertRuleVersion._meta.db_table}" AS v
        JOIN "{AlertRule._meta.db_table}" AS r ON r."id" = v."rule_id"
        JOIN "{Organisation._meta.db_table}" AS o ON o."id" = v."organisation_id"
        WHERE v."organisation_id" = %s AND v."current" AND r."paused_at" IS NULL AND r."removed_at" IS NULL
        AND r."kind" IN ({marks}) ORDER BY v."id"
    """  # noqa: S608 - every name is ours, every value is a parameter
    with planned_cursor() as cursor:
        cursor.execute(statement, [organisation_id, *kinds])
        return list(cursor.fetchall())


def covers(version: AlertRuleVersion, instrument: Instrument, site_id: int | None = None) -> bool:
    """Whether the rule is about this instrument, by its serial or by where it stands."""
    if not version.serials and not version.sites:
        return True
    return instrument.serial in version.serials or (site_id is not None and site_id in version.sites)


def minutes_of(version: AlertRuleVersion, name: str) -> timedelta | None:
    """A setting in minutes."""
    value = version.settings.get(name)
    return None if value is None else timedelta(minutes=float(value))


def limit_of(settings: Mapping[str, Any]) -> Limit:
    """The limit in a level rule's settings. Raises KeyError and ValueError for what the form would not take."""
    hours = settings.get("hours") or {}
    return Limit(
        metric=settings["metric"],
        over=Over(settings.get("over", Over.RECORDED)),
        period=timedelta(minutes=float(settings.get("period_min") or 15)),
        amber=settings.get("amber"),
        red=settings.get("red"),
        minimum=timedelta(minutes=float(settings.get("minimum_min") or 0)),
        coverage_pct=float(settings.get("coverage_pct", 75.0)),
        hours=Hours(
            days=frozenset(hours.get("days", range(7))),
            start=time.fromisoformat(hours.get("start", "00:00")),
            end=time.fromisoformat(hours.get("end", "00:00")),
            holidays=frozenset(date.fromisoformat(day) for day in hours.get("holidays", ())),
            on_holidays=OnHolidays(hours.get("on_holidays", OnHolidays.SAME)),
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """What a person wants a rule to say, not saved yet."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    serials: Sequence[str] = ()
    sites: Sequence[int] = ()
    source: str = ""


@transaction.atomic
def rule_save(*, draft: Draft, rule: AlertRule | None, actor: User | None, now: datetime) -> AlertRule:
    """Make ``rule`` (a new one where None) say what ``draft`` does, as a new version; its subjects are judged soon."""
    if rule is None:
        rule = AlertRule.objects.create(kind=draft.kind, name=draft.name)
    else:
        rule = AlertRule.objects.select_for_update().get(pk=rule.pk)
        if rule.name != draft.name:
            rule.name = draft.name
            rule.save(update_fields=["name"])
    versions = AlertRuleVersion.objects.filter(rule=rule)
    newest = versions.aggregate(newest=Max("number"))["newest"] or 0
    versions.filter(current=True).update(current=False)
    versions.filter(ended_at=None).update(ended_at=now)
    version = AlertRuleVersion.objects.create(
        organisation_id=rule.organisation_id,
        rule=rule,
        number=newest + 1,
        settings=dict(draft.settings),
        serials=list(draft.serials),
        sites=list(draft.sites),
        source=draft.source,
        made_by=actor,
        made_at=now,
        # What is paused judges nothing, whatever it says.
        ended_at=now if rule.paused_at is not None else None,
    )
    if rule.paused_at is None:
        subjects_look(version=version, now=now)
    return rule


def subjects_look(*, version: AlertRuleVersion, now: datetime, among: list[Instrument] | None = None) -> None:
    """Have every instrument that the rule is about judged soon, and let go of what it is no longer about.

    ``among``: only these of them.
    """
    from monitoring.alerts.facts import sites_of

    rule = version.rule
    if not KINDS[rule.kind].of_instruments or rule.kind in BY_ROWS:
        # Levels and checks are judged as they come; the rest of these every half minute.
        return
    instruments = list(Instrument.objects.present()) if among is None else among
    sites = sites_of(instruments, now) if version.sites else {}
    watched = [each for each in instruments if covers(version, each, sites.get(each.pk))]
    AlertWatch.objects.bulk_create(
        [
            AlertWatch(
                organisation_id=rule.organisation_id,
                rule=rule,
                subject=f"i:{instrument.pk}",
                instrument=instrument,
            )
            for instrument in watched
        ],
        ignore_conflicts=True,
        batch_size=500,
    )
    watches = AlertWatch.objects.filter(rule=rule)
    (watches if among is None else watches.filter(instrument__in=among)).update(due_at=now)


@transaction.atomic
def rule_pause(*, rule: AlertRule, now: datetime) -> bool:
    """Stop judging: its open incidents end with that as the reason. False where it was paused already."""
    # Claimed, not locked, as below: of two clicks at once the second changes nothing.
    if not AlertRule.objects.filter(pk=rule.pk, paused_at=None).update(paused_at=now):
        return False
    rule.paused_at = now
    _stop(rule, now)
    return True


@transaction.atomic
def rule_resume(*, rule: AlertRule, actor: User | None, now: datetime) -> bool:
    """Go on judging, as the next version: what was measured in the pause is judged by none. False where it does."""
    if not AlertRule.objects.filter(pk=rule.pk).exclude(paused_at=None).update(paused_at=None):
        return False
    rule.paused_at = None
    version = AlertRuleVersion.objects.filter(rule=rule, current=True).first()
    if version is not None:
        draft = Draft(rule.kind, rule.name, version.settings, version.serials, version.sites, version.source)
        rule_save(draft=draft, rule=rule, actor=actor, now=now)
    return True


@transaction.atomic
def rule_remove(*, rule: AlertRule, now: datetime) -> bool:
    """Take the rule out of use. It stays stored: incidents name it. False where it was out of use already."""
    if not AlertRule.objects.filter(pk=rule.pk, removed_at=None).update(removed_at=now):
        return False
    rule.removed_at = now
    _stop(rule, now)
    return True


def _stop(rule: AlertRule, now: datetime) -> None:
    from monitoring.alerts.withdrawing import rule_withdraw

    AlertRuleVersion.objects.filter(rule=rule, ended_at=None).update(ended_at=now)
    rule_withdraw(rule=rule, now=now)


def standard_rules(organisation: Organisation) -> None:
    """Give a new organisation what anybody would want to see on a page; nobody is told who did not ask."""
    now = timezone.now()
    with organisation_scope(organisation.pk), transaction.atomic():
        kinds = [kind for kind in KINDS.values() if kind.standard is not None]
        rules = AlertRule.objects.bulk_create(
            [
                AlertRule(organisation=organisation, kind=kind.kind, name=str(kind.kind.label))
                for kind in kinds
            ]
        )
        AlertRuleVersion.objects.bulk_create(
            [
                AlertRuleVersion(
                    organisation=organisation,
                    rule=rule,
                    number=1,
                    settings=dict(kind.standard or {}),
                    source=kind.source,
                    made_at=now,
                )
                for rule, kind in zip(rules, kinds, strict=True)
            ]
        )


def organisation_heard(
    sender: Any, instance: Organisation, created: bool, raw: bool = False, **_: Any
) -> None:
    """A new organisation starts with the standard rules."""
    if created and not raw:
        standard_rules(instance)
