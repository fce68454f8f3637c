"""Which instruments have which webhooks, and why one has none, as the page tells it; it asks and changes nothing."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from instruments.models import Instrument
from webhooks.messages import KINDS
from webhooks.models import Registration, Subscription

State, Outcome = Subscription.State, Registration.Outcome
PER_PAGE = 50
MOST_FOREIGN = 100


@dataclass(frozen=True, slots=True)
class Totals:
    """How far the whole fleet is: instruments with all webhooks, with some, with none; webhooks by state."""

    full: int
    partial: int
    none: int
    placed: int
    waiting: int
    failed: int
    removed: int
    retired: int
    foreign: int

    @property
    def instruments(self) -> int:
        """How many there are."""
        return self.full + self.partial + self.none

    @property
    def wanted(self) -> int:
        """How many webhooks would make it whole."""
        return self.instruments * len(KINDS)


@dataclass(frozen=True, slots=True)
class Line:
    """One instrument: the message types whose webhook is in place, those that lack, and why."""

    instrument: Instrument
    placed: tuple[str, ...]
    lacking: tuple[str, ...]
    why: str
    # Without being allowed to look, "none" would be a guess.
    known: bool

    @property
    def tone(self) -> str:
        """How it is marked."""
        if not self.known:
            return "muted"
        return "warn" if self.lacking else "good"


def totals() -> Totals:
    """Those of the organisation in scope."""
    per_instrument = Counter(
        _placed().filter(serial__in=_present().values("serial")).values_list("types", flat=True)
    )
    instruments = _present().count()
    states = dict(
        Subscription.objects.order_by()
        .values_list("state")
        .annotate(total=Count("pk"))
        .values_list("state", "total")
    )
    full = per_instrument[len(KINDS)]
    partial = per_instrument.total() - full
    return Totals(
        full=full,
        partial=partial,
        none=instruments - full - partial,
        placed=sum(types * count for types, count in per_instrument.items()),
        waiting=states.get(State.WANTED, 0),
        failed=states.get(State.FAILED, 0),
        removed=states.get(State.REMOVED, 0),
        retired=states.get(State.RETIRED, 0),
        foreign=states.get(State.FOREIGN, 0),
    )


def _present() -> QuerySet[Instrument]:
    return Instrument.objects.present().order_by()


def _placed() -> Any:
    """How many message types each serial has in place."""
    rows = Subscription.objects.in_place().filter(type__in=KINDS).order_by()
    return rows.values("serial").annotate(types=Count("type", distinct=True))


def instruments_page(number: str | None) -> Any:
    """A page of instruments, those that lack the most first."""
    types = _placed().filter(serial=OuterRef("serial")).values("types")
    rows = _present().select_related("api_key").annotate(types=Coalesce(Subquery(types), 0))
    return Paginator(rows.order_by("types", "name", "serial"), PER_PAGE).get_page(number)


def lines_of(
    instruments: Sequence[Instrument], *, registrations: Sequence[Registration], registrable: bool
) -> list[Line]:
    """What there is to say of each."""
    rows: dict[str, list[Subscription]] = defaultdict(list)
    serials = [instrument.serial for instrument in instruments]
    for row in Subscription.objects.filter(serial__in=serials).defer("ciphertext").order_by("pk"):
        rows[row.serial].append(row)
    in_place = set(Subscription.objects.in_place().filter(serial__in=serials).values_list("serial", "type"))
    by_key = {registration.api_key_id: registration for registration in registrations}
    lines = []
    for instrument in instruments:
        placed = tuple(kind for kind in KINDS if (instrument.serial, kind) in in_place)
        lacking = tuple(kind for kind in KINDS if kind not in placed)
        registration = by_key.get(instrument.api_key_id or 0)
        why = why_lacking(instrument, registration, rows[instrument.serial], registrable) if lacking else ""
        known = bool(placed) or registration is None or registration.checked_at is not None
        lines.append(Line(instrument, placed, lacking, why, known))
    return lines


def why_lacking(
    instrument: Instrument,
    registration: Registration | None,
    rows: Sequence[Subscription],
    registrable: bool,
) -> str:
    """Why an instrument has not all its webhooks, in a sentence: the nearest cause first. Pure."""
    key = instrument.api_key
    if key is None or key.revoked_at is not None:
        return _("No key in use reads it.")
    name = {"key": key.label}
    outcome = registration.outcome if registration else Outcome.NEVER
    by_state = {row.state: row for row in reversed(rows)}
    match outcome:
        case Outcome.MISSING_READ:
            return _("Not allowed: the key “%(key)s” lacks the scope webhooks:read.") % name
        case Outcome.MISSING_WRITE:
            return _("Not allowed: the key “%(key)s” lacks the scope webhooks:write.") % name
        case Outcome.REFUSED:
            return _("MyCirrus refuses the key “%(key)s”.") % name
        case Outcome.NEVER:
            return _("Not compared with MyCirrus yet.")
    if State.FAILED in by_state:
        return by_state[State.FAILED].message
    if State.WANTED in by_state:
        if outcome == Outcome.TRANSIENT:
            return _("MyCirrus did not answer; it is tried again by itself.")
        if outcome == Outcome.FAILED:
            return _("Registering came to a halt: see the key above.")
        return _("Waiting for its turn.")
    if State.REMOVED in by_state:
        return by_state[State.REMOVED].message
    if not registrable:
        return _("MyCirrus does not send to the address of this installation.")
    return _("Nobody has asked for them yet.")


def foreign() -> list[Subscription]:
    """Webhooks of these instruments that send elsewhere, the first MOST_FOREIGN."""
    rows = Subscription.objects.filter(state=State.FOREIGN).defer("ciphertext")
    return list(rows.order_by("serial", "type", "host")[:MOST_FOREIGN])


def stamp(shown: Mapping[str, object], registrations: Sequence[Registration], now: datetime) -> str:
    """Differs whenever anything that the page shows differs."""
    keys = [
        (row.pk, row.outcome, row.message, row.checked_at, row.creates, row.working(now))
        for row in registrations
    ]
    return hashlib.sha256(repr((sorted(shown.items()), keys)).encode()).hexdigest()[:16]
