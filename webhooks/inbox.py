"""Which deliveries a page of the inbox shows; it asks for one row more than it shows and never counts them all."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.utils.dateparse import parse_datetime

from webhooks.messages import KINDS
from webhooks.models import Delivery, Refusal
from webhooks.models.deliveries import DeliveryQuerySet

PAGE = 50
LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the page was asked for; anything not understood asks for nothing."""

    type: str = ""
    serial: str = ""
    state: str = ""
    before: tuple[datetime, int] | None = None
    # The list stands still and its rows can be ticked.
    choosing: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """What the address asks for."""
        kind, state = _text(query, "type", 32), _text(query, "state", 16)
        return cls(
            type=kind if kind in (*KINDS, LEGACY) else "",
            serial=_text(query, "serial", 64),
            state=state if state in Delivery.State.values else "",
            before=_position(query.get("before", "")),
            choosing="choose" in query,
        )

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out on purpose."""
        return bool(self.type or self.serial or self.state)

    @property
    def query(self) -> str:
        """The filters as they stand in an address, without the place in the list."""
        filters = {"type": self.type, "serial": self.serial, "state": self.state}
        if self.choosing:
            filters["choose"] = "1"
        return urlencode({name: value for name, value in filters.items() if value})

    def matching(self) -> DeliveryQuerySet:
        """The deliveries of the organisation in scope that the filters let through, on whatever page."""
        rows = Delivery.objects.all()
        if self.type == LEGACY:
            rows = rows.filter(signature=Delivery.Signature.LEGACY)
        elif self.type:
            rows = rows.filter(type=self.type)
        if self.serial:
            rows = rows.filter(serial__iexact=self.serial)
        if self.state:
            rows = rows.filter(state=self.state)
        return rows


@dataclass(frozen=True, slots=True)
class Page:
    """Deliveries, newest first, and the place where older ones begin."""

    deliveries: list[Delivery]
    older: str

    def stamp(self, refusals: Iterable[Refusal]) -> str:
        """Differs whenever anything that the list shows differs."""
        shown = [(row.pk, row.state, row.effect, row.type, row.serial) for row in self.deliveries]
        turned_away = [(row.pk, row.count, row.last_at) for row in refusals]
        return hashlib.sha256(repr((shown, turned_away, self.older)).encode()).hexdigest()[:16]


def page_of(wanted: Wanted) -> Page:
    """The page of the organisation in scope that ``wanted`` asks for."""
    # The body may be a quarter of a megabyte, and the list does not show it.
    rows = wanted.matching().defer("body").order_by("-received_at", "-pk")
    if wanted.before:
        at, pk = wanted.before
        # By position, not by number of rows: a delivery that comes in while somebody leafs moves nothing.
        rows = rows.filter(received_at__lte=at).exclude(received_at=at, pk__gte=pk)
    found = list(rows[: PAGE + 1])
    shown = found[:PAGE]
    more = len(found) > PAGE
    return Page(shown, f"{shown[-1].received_at.isoformat()}_{shown[-1].pk}" if more else "")


def _text(query: Mapping[str, str], name: str, longest: int) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:longest]


def _position(text: str) -> tuple[datetime, int] | None:
    time, _, pk = text.rpartition("_")
    try:
        at = parse_datetime(time)
    except ValueError:
        return None
    if at is None or at.tzinfo is None or not pk.isascii() or not pk.isdigit() or len(pk) > 18:
        return None
    return at, int(pk)
