"""Keys, MyCirrus and ourselves, judged every half minute; what is in order costs a few queries for everybody."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import redis
import structlog
from django.conf import settings
from django.db.models import Min

from instruments.models import ApiKey
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.alerts.judges import connection
from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.rules import minutes_of, versions_for
from monitoring.alerts.watching import Case, case_judged
from monitoring.models import AlertDelivery, AlertKind, AlertRuleVersion, AlertWatch, Resource, SyncTarget

log = structlog.get_logger(__name__)
EVERY = timedelta(seconds=30)
_RAN_KEY = "cirrusweb:alerts:ran"


def connections_judge(*, now: datetime) -> None:
    """Judge what is not in order, and what was not a moment ago."""
    lateness = connection.late(*waits(now), now, amber=timedelta(minutes=2), red=None)
    with all_organisations(reason="the tick serves every organisation"):
        troubled = set(
            ApiKey.objects.usable()
            .filter(state__in=(ApiKey.State.REFUSED, ApiKey.State.MISSING_SCOPE, ApiKey.State.UNREACHABLE))
            .values_list("organisation_id", flat=True)
        )
        open_ones = AlertWatch.objects.filter(rule__kind__in=(AlertKind.KEY, AlertKind.UNREACHABLE))
        troubled |= set(open_ones.values_list("organisation_id", flat=True))
        late = set(
            AlertWatch.objects.filter(rule__kind=AlertKind.LATE).values_list("organisation_id", flat=True)
        )
        if lateness.state != State.CLEAR and lateness.state != State.NO_DATA:
            late |= set(
                AlertRuleVersion.objects.filter(
                    current=True, rule__kind=AlertKind.LATE, rule__paused_at=None, rule__removed_at=None
                ).values_list("organisation_id", flat=True)
            )
    for organisation_id in sorted(troubled):
        with organisation_scope(organisation_id):
            keys_judge(now=now)
    for organisation_id in sorted(late):
        with organisation_scope(organisation_id):
            late_judge(now=now, facts=lateness)


def keys_judge(*, now: datetime) -> None:
    """Every key of the organisation in scope, and each address of MyCirrus that they are used at."""
    versions = versions_for([AlertKind.KEY, AlertKind.UNREACHABLE])
    keys = list(ApiKey.objects.all())
    known = {
        (watch.rule_id, watch.subject): watch
        for watch in AlertWatch.objects.filter(rule__in=[version.rule_id for version in versions])
    }
    for version in versions:
        if version.rule.kind == AlertKind.KEY:
            for key in keys:
                subject = f"k:{key.pk}"
                verdict = (
                    Verdict(State.CLEAR, now, {"revoked": True})
                    if key.revoked_at is not None
                    else connection.key(key.state, key.missing_scopes(), now, message=key.message)
                )
                case = Case(version=version, subject=subject, title=key.label)
                case_judged(case, verdict, now=now, known=known.get((version.rule_id, subject)))
        else:
            _unreachable(version, keys, known, now)


def _unreachable(version: AlertRuleVersion, keys: Iterable[ApiKey], known: dict, now: datetime) -> None:
    """One incident for an address, however many keys are used there."""
    by_address: dict[str, list[ApiKey]] = {}
    for key in keys:
        if key.revoked_at is None:
            by_address.setdefault(key.base_url, []).append(key)
    for address, theirs in by_address.items():
        out = [key for key in theirs if key.state == ApiKey.State.UNREACHABLE]
        since = None
        if out and not any(key.state in (ApiKey.State.GOOD, ApiKey.State.MISSING_SCOPE) for key in theirs):
            lists = SyncTarget.objects.filter(resource=Resource.INSTRUMENTS, api_key__in=out)
            since = lists.aggregate(since=Min("ok_at"))["since"] or now
        verdict = connection.unreachable(
            since, now, amber=minutes_of(version, "amber"), red=minutes_of(version, "red")
        )
        case = Case(version=version, subject=f"u:{address}", title=address)
        case_judged(case, verdict, now=now, known=known.get((version.rule_id, case.subject)))
    for (rule_id, subject), watch in known.items():
        address = subject.removeprefix("u:")
        if rule_id == version.rule_id and address not in by_address:
            # The last key was revoked: nobody asks there any more, and what is open must not stay so for ever.
            case = Case(version=version, subject=subject, title=address)
            case_judged(case, Verdict(State.CLEAR, now, {"revoked": True}), now=now, known=watch)


def late_judge(*, now: datetime, facts: Verdict) -> None:
    """Whether the organisation in scope is to be told that we were late."""
    for version in versions_for([AlertKind.LATE]):
        verdict = connection.late(
            facts.facts["beat_s"],
            facts.facts["queue_s"],
            now,
            amber=minutes_of(version, "amber") or timedelta(minutes=2),
            red=minutes_of(version, "red"),
        )
        known = AlertWatch.objects.filter(rule=version.rule, subject="o").first()
        case_judged(Case(version=version, subject="o", title=""), verdict, now=now, known=known)


def waits(now: datetime) -> tuple[float | None, float | None]:
    """Seconds since this ran before, beyond its own rhythm, and those that the oldest new message has been waiting."""
    beat_s = None
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            before = client.getset(_RAN_KEY, now.isoformat())
        if before:
            gap = now - datetime.fromisoformat(before.decode()) - EVERY
            beat_s = max(0.0, gap.total_seconds())
    except (redis.RedisError, ValueError):
        log.warning("beat could not be looked at")
    with all_organisations(reason="the tick serves every organisation"):
        oldest = AlertDelivery.objects.due(now).filter(attempts=0).aggregate(oldest=Min("due_at"))["oldest"]
    return beat_s, 0.0 if oldest is None else (now - oldest).total_seconds()


def subject_told(
    *,
    kind: AlertKind,
    subject: str,
    title: str,
    state: State,
    facts: dict,
    now: datetime,
) -> None:
    """What another room has found out about the organisation in scope: one incident for ``subject`` of this kind."""
    for version in versions_for([kind]):
        known = AlertWatch.objects.filter(rule=version.rule, subject=subject).first()
        case = Case(version=version, subject=subject, title=title)
        case_judged(case, Verdict(state, now, facts), now=now, known=known)
