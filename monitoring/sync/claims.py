"""Who fetches what now: fair claims with leases, the hints that make targets due, and how a turn ends."""

import math
import random
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from instruments.keys import pace_of
from instruments.models import ApiKey
from instruments.tenancy import all_organisations
from monitoring.models import Lane, Outcome, Resource, SyncTarget, TimeHistoryRequest
from monitoring.models.sync import SyncTargetQuerySet
from monitoring.sync.held import held_claim
from monitoring.sync.sharing import ASKED_UNTIL, alone, comes_along

# Claims held at once, of polls and of hints: what the workers can finish well within a lease.
MOST_IN_FLIGHT = 64
# A key at a crawl still has places for what is new beside its back-fills.
FEWEST_PLACES = 4
# So few keys are looked at one by one.
FEW_KEYS = 8
MESSAGE_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Claim:
    """One target, held by whoever knows the token until the lease ends."""

    organisation_id: int
    target_id: int
    token: str
    # Something happened to it: somebody may be waiting.
    hint: bool = False


def due_claim(
    *,
    now: datetime,
    organisation_id: int | None = None,
    only: Lane | None = None,
    most: int = MOST_IN_FLIGHT,
) -> list[Claim]:
    """Claim what is due: hints first, then polls, of each key no more than its pace lets through in a second.

    Of one organisation or of one lane only, where they are given. Two dispatchers never hold the same target.
    """
    with all_organisations(reason="the dispatcher serves every organisation in turn"):
        targets, keys = SyncTarget.objects.all(), ApiKey.objects.usable()
        if organisation_id is not None:
            targets = targets.filter(organisation_id=organisation_id)
            keys = keys.filter(organisation_id=organisation_id)
        held = _Held(targets, now)
        hints = list(_hints(targets, held, now))[:most] if only is None else []
        polls = list(_polls(keys, held, now, [only] if only is not None else list(Lane)))
        return _claimed(hints, polls[: most - len(hints)], now)


class _Held:
    """How many claims are out. They count, or a key that hangs would take the places of the others tick by tick."""

    def __init__(self, targets: SyncTargetQuerySet, now: datetime) -> None:
        self.polls, self.hints = Counter[int](), Counter[int]()
        # Time histories take the places of back-fills, before them: somebody asked for each. Beside them no thread of
        # the worker might be left for what is new.
        asked = TimeHistoryRequest.objects.open().filter(Q(lease_until__gt=now) | Q(due_at__lte=now))
        self.histories = asked.count()
        # Of the polls, those that nobody waits for: sweeps and back-fills.
        self.patient = Counter[int]()
        hinted = Case(When(hinted_at=None, then=Value(0)), default=Value(1))
        rows = targets.filter(lease_until__gt=now).order_by().values_list("api_key_id", "lane", hinted)
        for key, lane, hint, count in rows.annotate(held=Count("lease_token", distinct=True)):
            (self.hints if hint else self.polls)[key] += count
            self.patient[key] += count if lane != Lane.LIVE and not hint else 0
            self.histories += count if lane == Lane.BACKFILL else 0


def _hints(targets: SyncTargetQuerySet, held: _Held, now: datetime) -> Iterator[int]:
    """Hinted targets: they have places of their own, so that no poll of their key is before them."""
    if not targets.hinted().free(now).exists():
        # As at most dispatches; to ask whose turn it is takes several times as long.
        return
    turns, free = settings.SYNC_TURNS_PER_KEY, max(MOST_IN_FLIGHT - held.hints.total(), 0)
    rows = targets.hinted().due(now).urgent_first(turns).order_by("urgency", "turn", "hinted_at")
    columns = ("pk", "api_key_id", "api_key__fingerprint", "resource", ASKED_UNTIL, "turn")
    siblings = _Siblings(now)
    for target_id, key, fingerprint, resource, asked_until, turn in rows.values_list(*columns)[:free]:
        if turn + held.hints[key] <= turns and not siblings.wait(fingerprint, resource, asked_until):
            yield target_id


def _polls(keys: Any, held: _Held, now: datetime, lanes: list[Lane]) -> Iterator[int]:
    """What nobody rang for: live before history, and in each lane a turn of each key before the next turn of any.

    Each key's few come out of an index, so that its tens of thousands cost no more than another's five.
    """
    free, histories = MOST_IN_FLIGHT - held.polls.total(), settings.SYNC_BACKFILLS_AT_ONCE - held.histories
    ready = list(
        keys.filter(Q(paused_until=None) | Q(paused_until__lte=now)).values_list("pk", "fingerprint")
    )
    places = _Places(held)
    for lane in lanes:
        most = min(free, histories) if lane == Lane.BACKFILL else free
        waiting = SyncTarget.objects.free(now).filter(lane=lane, hinted_at=None, instrument__gone_at=None)
        found = []
        for key, fingerprint in _asking(ready, waiting, places) if most > 0 else ():
            if (room := min(places.left(key, fingerprint), most)) <= 0:
                continue
            theirs = waiting.filter(api_key_id=key).order_by("due_at")[:room]
            rows = list(theirs.values_list("due_at", "pk", "resource", ASKED_UNTIL))
            if lane == Lane.LIVE and len(lanes) > 1 and len(rows) == places.left(key, fingerprint):
                # As much as the key lets through is always due of a large fleet, and the rest would never be read.
                rows = rows[: max(room - _kept_free(key, held, places, now, histories > 0), 0)]
            if lane == Lane.LIVE:
                siblings = _Siblings(now)
                rows = [row for row in rows if not siblings.wait(fingerprint, *row[2:])]
            found += [(turn, due_at, target_id, key) for turn, (due_at, target_id, *_) in enumerate(rows)]
        for _, _, target_id, key in sorted(found)[:most]:
            places.taken[key] += 1
            free -= 1
            yield target_id


def _kept_free(key: int, held: _Held, places: "_Places", now: datetime, histories: bool) -> int:
    """How many of a key's places live polls leave to sweeps and back-fills: one in four, where any of them is due."""
    room = max(places.most(key) // 4 - held.patient[key], 0)
    patient = [Lane.SWEEP, *([Lane.BACKFILL] if histories else [])]
    waiting = SyncTarget.objects.free(now).filter(api_key_id=key, lane__in=patient, hinted_at=None)
    return room if room and waiting.filter(instrument__gone_at=None).exists() else 0


def _asking(
    ready: list[tuple[int, str]], waiting: SyncTargetQuerySet, places: "_Places"
) -> list[tuple[int, str]]:
    """The keys to look at: those that have something due, whose first has waited for longest before the others."""
    if len(ready) <= FEW_KEYS:
        return [key for key in ready if places.left(*key) > 0]
    first = waiting.filter(api_key_id=OuterRef("pk")).order_by("due_at").values("due_at")[:1]
    known = dict(ready)
    asking = ApiKey.objects.filter(pk__in=known).annotate(first=Subquery(first)).exclude(first=None)
    return [
        (key, known[key]) for key in asking.order_by("first").values_list("pk", flat=True)[:MOST_IN_FLIGHT]
    ]


class _Places:
    """How many polls of each key may be under way: what its pace lets through within about a second.

    More would only wait in the workers for their slot, and everything else behind them.
    """

    def __init__(self, held: _Held) -> None:
        self.taken, self._most = Counter(held.polls), dict[int, int]()

    def left(self, key: int, fingerprint: str) -> int:
        if key not in self._most:
            pace = math.ceil(min(settings.SYNC_TURNS_PER_KEY, pace_of(fingerprint)))
            self._most[key] = max(FEWEST_PLACES, pace)
        return self._most[key] - self.taken[key]

    def most(self, key: int) -> int:
        """Of a key that was asked about: how many at once."""
        return self._most[key]


class _Siblings:
    """Of those that one request can be shared by, only the first is claimed here: its turn brings the others along."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._first: set[tuple[str, str]] = set()

    def wait(self, fingerprint: str, resource: str, asked_until: datetime | None) -> bool:
        if not comes_along(resource, asked_until, self._now):
            return False
        kind = (fingerprint, resource)
        if kind in self._first:
            return not alone(*kind)
        self._first.add(kind)
        return False


def _claimed(hints: list[int], polls: list[int], now: datetime) -> list[Claim]:
    """Claims of those that are still free, in the order given."""
    wanted = [*hints, *polls]
    if not wanted:
        return []
    tokens, urgent = {target_id: uuid.uuid4() for target_id in wanted}, set(hints)
    with transaction.atomic():
        # Nobody waits for a row here: what another dispatcher has in hand is another's. On SQLite the transaction
        # itself is the only writer.
        free = SyncTarget.objects.free(now).filter(pk__in=wanted).select_for_update(skip_locked=True)
        owners = dict(free.order_by().values_list("pk", "organisation_id"))
        # One each: what comes along with a claim is held by its token, and counts as one with it.
        held_claim(
            tokens={target_id: tokens[target_id] for target_id in owners},
            until=now + timedelta(seconds=settings.SYNC_LEASE_SECONDS),
        )
    return [
        Claim(owners[target_id], target_id, str(tokens[target_id]), target_id in urgent)
        for target_id in wanted
        if target_id in owners
    ]


def claims_return(*, claims: Iterable[Claim]) -> None:
    """Give back what was claimed and cannot be handed on: it is due for whoever comes next."""
    with all_organisations(reason="the dispatcher serves every organisation in turn"):
        for claim in claims:
            mine = SyncTarget.objects.filter(pk=claim.target_id, lease_token=claim.token)
            mine.update(lease_until=None, lease_token=None)


def make_due(*, serial: str, resources: Iterable[Resource], now: datetime) -> int:
    """A hint that something happened: ask for these resources of this instrument now. Returns how many."""
    return hint(
        targets=SyncTarget.objects.filter(instrument__serial=serial, resource__in=list(resources)), now=now
    )


def hint(*, targets: SyncTargetQuerySet, now: datetime) -> int:
    """Have the live ones among ``targets`` asked for before every poll: somebody may be waiting for the mail.

    Parked targets stay parked: a webhook cannot mend a refused key. Returns how many.
    """
    return targets.filter(lane=Lane.LIVE, parked_at=None).update(
        # The first of several hints keeps its place among others.
        hinted_at=Coalesce("hinted_at", Value(now)),
        due_at=_due_by(now),
    )


def poll_soon(*, serial: str, resources: Iterable[Resource], now: datetime) -> int:
    """Have these resources of this instrument polled now, in their turn: nobody waits for them. Returns how many."""
    targets = SyncTarget.objects.filter(instrument__serial=serial, resource__in=list(resources))
    return targets.filter(lane=Lane.LIVE, parked_at=None).update(due_at=_due_by(now))


def _due_by(now: datetime) -> Case:
    # While it is held the turn may have read too early: its end finds that somebody rang.
    return Case(When(Q(lease_until__gt=now) | Q(due_at__gt=now), then=Value(now)), default=F("due_at"))


def list_make_due(*, now: datetime, but: ApiKey | None = None) -> int:
    """A hint that the fleet changed: ask every usable key of the organisation in scope for its list now.

    ``but`` is the one that has just told it.
    """
    lists = SyncTarget.objects.filter(resource=Resource.INSTRUMENTS, api_key__revoked_at=None)
    return lists.exclude(api_key=but).update(due_at=now)


def targets_make_due(*, targets: SyncTargetQuerySet, now: datetime) -> int:
    """A person's word: fetch these now, whatever they waited for. Returns how many.

    What is being fetched at this moment is fetched once more after it; what a key's pause holds up goes on waiting.
    """
    return targets.filter(done_at=None).update(due_at=now, parked_at=None, failures=0)


def target_release(
    *,
    target: SyncTarget,
    outcome: Outcome,
    due_at: datetime,
    now: datetime,
    message: str = "",
    park: bool = False,
) -> bool:
    """Write how a turn ended, where the token still matches; False where somebody else took the target over."""
    good = outcome in (Outcome.OK, Outcome.UNCHANGED)
    # A webhook that rang during this turn moved due_at: its call must not be lost under ours.
    unrung = Q(due_at=target.due_at)
    fields: dict[str, Any] = {
        "outcome": outcome,
        "outcome_at": now,
        "message": message[:MESSAGE_LENGTH],
        "lease_until": None,
        "lease_token": None,
        "failures": 0 if good or outcome == Outcome.RATE_LIMITED else F("failures") + 1,
        "due_at": Case(When(unrung, then=Value(due_at)), default=F("due_at")),
    }
    if target.hinted_at is not None and (good or outcome == Outcome.BUG):
        fields["hinted_at"] = Case(When(unrung, then=Value(None)), default=F("hinted_at"))
    if good:
        fields["ok_at"] = now
    if park:
        fields["parked_at"] = now
    return bool(SyncTarget.objects.filter(pk=target.pk, lease_token=target.lease_token).update(**fields))


def chance() -> float:
    """Uniform in [0, 1): the only place from which the schedule gets its jitter."""
    return random.random()  # noqa: S311 - jitter, not a secret
