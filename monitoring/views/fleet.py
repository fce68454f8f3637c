"""The fleet overview."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from cirrusweb.htmx import render, unchanged, wants_fragment
from instruments.access import organisation_for
from instruments.models import ApiKey, Instrument, Membership
from monitoring.cells import COLUMNS, columns_of, row_markup, tile_markup
from monitoring.conditions import LOOKS, Look
from monitoring.fleet import (
    Choices,
    Filters,
    Progress,
    fleet,
    fleet_version,
    positions,
    state_counts,
)
from monitoring.models import FleetColumns, FleetView
from monitoring.notices import key_notices
from monitoring.positions import Position, is_placed, map_of
from monitoring.status import State
from monitoring.tiles import Tile, tile_of

PER_PAGE = 60
# So many of those without a position are named; all are counted.
NOWHERE_SHOWN = 20
SORT_WORDS = (
    ("state", _("Worst first")),
    ("name", _("Name")),
    ("serial", _("Serial number")),
    ("type", _("Type")),
    ("level", _("Loudest first")),
)
FILTERS = tuple(field.name for field in fields(Filters))
ASKED = (*FILTERS, "sort", "view", "more")
VIEWS = (
    ("tiles", _("Tiles"), "squares-2x2"),
    ("table", _("Table"), "table-cells"),
    ("map", _("Map"), "map"),
)
# What the panel of further filters holds; it is open where one of them is asked for.
FURTHER = ("model", "feature", "subscription", "site", "box")


@dataclass(frozen=True, slots=True)
class Chip:
    """A total that is a filter at once; state is None for the whole fleet."""

    state: State | None
    look: Look | None
    count: int
    query: str
    current: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Instruments under one heading: what needs attention, and the rest."""

    needs_attention: bool
    tiles: list[SafeString]


def fleet_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Status tiles and table over the same filters; a poll that carries the version it shows costs a 204."""
    organisation = organisation_for(request)
    now = timezone.now()
    version = fleet_version(now=now)
    polled = "version" in request.GET
    if wants_fragment(request) and request.GET.get("version") == version.text:
        return unchanged()
    asked = asked_of(request.GET)
    filters = Filters(**{name: asked[name] for name in FILTERS})
    view = asked["view"] if asked["view"] in {value for value, *_rest in VIEWS} else "tiles"
    membership: Membership = request.membership  # type: ignore[attr-defined]
    counts = state_counts(now=now, filters=filters, silence=version.silence)
    keys = list(ApiKey.objects.usable())
    kept = kept_of(asked)
    context = {
        "organisation": organisation,
        "version": version,
        "asked": asked,
        "filtered": filters.any,
        "query": kept.urlencode(),
        "chips": _chips(counts, asked, kept),
        "view": view,
        "views": [(value, words, icon, _with(kept, view=value)) for value, words, icon in VIEWS],
        "sort": asked["sort"] or "state",
        "attention": sum(count for state, count in counts.items() if LOOKS[state].needs_attention),
        # A search that finds nothing is no empty fleet.
        "total": sum(counts.values()) or (filters.narrowed and Instrument.objects.exists()),
        "types": Instrument.Kind.choices,
        "sorts": SORT_WORDS,
        "has_key": bool(keys),
        "notices": key_notices(keys, now=now, slug=slug, can_manage=membership.can_manage),
        "progress": Progress.now(),
        "membership": membership,
        "can_manage": membership.can_manage,
        "further": further(asked, kept) if asked["more"] or any(asked[name] for name in FURTHER) else None,
        "more_query": _with(kept, more="1"),
        "fewer_query": _with(kept, more="", **dict.fromkeys(FURTHER, "")),
        "saved": list(FleetView.objects.visible_to(membership)),
    }
    page_number = {}
    if view == "map":
        context |= map_context(now=now, filters=filters, kept=kept)
    else:
        rows = fleet(now=now, filters=filters, sort=asked["sort"] or "state", silence=version.silence)
        paginator = Paginator(rows, PER_PAGE)
        # The totals tell how many there are; to count them again would cost as much as to list them.
        paginator.count = _listed(counts, asked)
        page = paginator.get_page(request.GET.get("page"))
        tiles = [tile_of(instrument, now) for instrument in page]
        context |= {"page": page, "found": paginator.count}
        if page.number > 1:
            page_number = {"page": str(page.number)}
        if view == "table":
            context |= table_context(tiles, membership, slug=slug, now=now)
        else:
            split = not asked["state"] and asked["sort"] in ("", "state")
            context["groups"] = _groups(tiles, slug, now, split=split)
    response = render(request, "monitoring/fleet.html", context, fragment="status-grid")
    if wants_fragment(request) and not polled:
        # The address bar gets the address that a colleague can be sent, without what was left empty.
        response["HX-Push-Url"] = f"{request.path}{_address(_with(kept, **page_number))}"
    return response


def table_context(
    tiles: Sequence[Tile], membership: Membership, *, slug: str, now: datetime
) -> dict[str, object]:
    """The rows, with the columns that this person chose, and boxes to choose rows by for whoever may act."""
    chosen = FleetColumns.objects.filter(membership=membership).values_list("columns", flat=True).first()
    columns = columns_of(chosen)
    return {
        "columns": columns,
        "every_column": [(column, column in columns) for column in COLUMNS],
        "rows": [
            row_markup(tile, columns, slug=slug, now=now, choosable=membership.can_act) for tile in tiles
        ],
    }


def map_context(*, now: datetime, filters: Filters, kept: QueryDict) -> dict[str, object]:
    """The map, how many have no position, and for each mark where it leads: closer, or to the rows that it is."""
    rows = positions(now=now, filters=filters)
    placed = [
        Position(serial, name, latitude, longitude, state)
        for serial, name, latitude, longitude, state in rows
        if latitude is not None and longitude is not None and is_placed(latitude, longitude)
    ]
    drawn = map_of(placed)
    marks = []
    for mark in drawn.marks if drawn else ():
        box = ",".join(f"{degrees:.5f}" for degrees in mark.box)
        closer = {"box": box} if mark.apart else {"box": box, "view": "table"}
        marks.append((mark, LOOKS[mark.state], f"?{_with(kept, **closer)}"))
    nowhere = [
        (serial, name)
        for serial, name, latitude, longitude, _state in rows
        if not is_placed(latitude, longitude)
    ]
    return {
        "map": drawn,
        "marks": marks,
        "nowhere": nowhere[:NOWHERE_SHOWN],
        "nowhere_count": len(nowhere),
        "found": len(rows),
        "wider_query": _with(kept, box=""),
    }


def further(asked: dict[str, str], kept: QueryDict) -> dict[str, object]:
    """What the panel of further filters offers: name, words, chosen value and what there is to choose."""
    choices = Choices.now()
    return {
        "fields": [
            ("model", _("Model"), asked["model"], [(each, each) for each in choices.models]),
            ("feature", _("Feature"), asked["feature"], [(each, each) for each in choices.features]),
            (
                "subscription",
                _("Subscription"),
                asked["subscription"],
                [(each, each) for each in choices.subscriptions],
            ),
            ("site", _("Site"), asked["site"], choices.sites),
        ],
        "whole_query": _with(kept, box=""),
    }


def asked_of(data: QueryDict) -> dict[str, str]:
    """What a page of the fleet was asked for; "" for what was not."""
    # A zero byte is in no name, and PostgreSQL refuses even to look for one.
    return {name: data.get(name, "").replace("\0", "").strip()[:200] for name in ASKED}


def _listed(counts: dict[State, int], asked: dict[str, str]) -> int:
    """How many are listed by the totals: of one state, or all that MyCirrus still names; a search finds others, too."""
    if asked["state"] in set(State):
        return counts.get(State(asked["state"]), 0)
    return sum(count for each, count in counts.items() if each != State.GONE or asked["text"])


def kept_of(asked: dict[str, str]) -> QueryDict:
    """The same as an address has it, without what is empty."""
    kept = QueryDict(mutable=True)
    for name, value in asked.items():
        if value:
            kept[name] = value
    return kept


def _with(kept: QueryDict, **changes: str) -> str:
    changed = kept.copy()
    for name, value in changes.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return changed.urlencode()


def query_of(text: str) -> str:
    """Of what a form sends to lead back by only what this page knows."""
    return kept_of(asked_of(QueryDict(text))).urlencode()


def fleet_address(slug: str, query: str) -> str:
    """Where a form that was sent from this page leads back to."""
    return f"{reverse('monitoring:fleet', args=[slug])}{_address(query)}"


def _address(query: str) -> str:
    return f"?{query}" if query else ""


def _chips(counts: dict[State, int], asked: dict[str, str], kept: QueryDict) -> list[Chip]:
    # Those that are gone are no part of the fleet that is watched, unless a search finds them.
    chips = [
        Chip(None, None, _listed(counts, {**asked, "state": ""}), _with(kept, state=""), not asked["state"])
    ]
    for state in State:
        count = counts.get(state, 0)
        if count or asked["state"] == state:
            query = _with(kept, state=state.value)
            chips.append(Chip(state, LOOKS[state], count, query, asked["state"] == state))
    return chips


def _groups(tiles: Sequence[Tile], slug: str, now: datetime, *, split: bool) -> list[Group]:
    groups = {True: Group(True, []), False: Group(False, [])}
    for tile in tiles:
        groups[split and tile.look.needs_attention].tiles.append(tile_markup(tile, slug=slug, now=now))
    return [group for group in groups.values() if group.tiles]
