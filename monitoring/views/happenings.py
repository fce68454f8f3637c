"""A list of happenings that stays open: one page of it, or what its poll brings. It renders nothing."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import Http404, HttpRequest, QueryDict
from django.utils import timezone

from cirrusweb.htmx import version_of, wants_fragment
from instruments.access import key_of
from instruments.sites import own_zones
from monitoring.events.search import EventFilter, Order, rows_shown, rows_since
from monitoring.views.activity import entry_before

PER_PAGE = 50
# More news than this is told as "more than".
MOST_NEWS = 100


def is_polled(request: HttpRequest) -> bool:
    """Whether a list that is open asks for what has changed."""
    return wants_fragment(request) and "version" in request.GET


def listed(
    request: HttpRequest,
    *,
    rows: Any,
    related: Sequence[str],
    asked: EventFilter,
    order: Order,
    told: Callable[[Any], Sequence[Any]],
) -> dict[str, Any] | None:
    """What the page shows of ``rows`` in ``order``, None where a poll finds nothing new; `before` goes on below a row.

    A poll names the rows that it shows: they stay where they are, and what is new is counted. ``told`` is what the list
    says of one row, ``related`` what it reads with it.
    """
    every = rows.model.objects.select_related(*related)
    before = _before(request, every)
    below = rows if before is None else rows.below(before, order.column)
    if is_polled(request):
        keys = [key_of(each) for each in request.GET.get("shown", "").split(",")[:PER_PAGE]]
        shown, goes_on = rows_shown(every, keys), "on" in request.GET
        news = rows_since(below, shown=shown, full=goes_on, most=MOST_NEWS, column=order.column)
    else:
        found = list(below.select_related(*related).sorted_by(order.column)[: PER_PAGE + 1])
        shown, goes_on, news = found[:PER_PAGE], len(found) > PER_PAGE, 0
    version = version_of(news, *map(told, shown))
    if is_polled(request) and request.GET["version"] == version:
        return None
    # A happening is told by the clock of where it happened; its zone is named where that shows another time.
    for row, zone in zip(shown, own_zones([(row.instrument_id, row.start_at) for row in shown]), strict=True):
        here = timezone.localtime(row.start_at).utcoffset()
        row.zone = zone if zone and row.start_at.astimezone(zone).utcoffset() != here else None
    polled = QueryDict(asked.query, mutable=True)
    polled.update({"shown": ",".join(str(row.pk) for row in shown), "version": version})
    if before is not None:
        polled["before"] = str(before.pk)
    if goes_on:
        polled["on"] = "1"
    return {
        "shown": shown,
        "older": shown[-1].pk if goes_on and shown else "",
        "continued": before is not None,
        "filter": asked,
        "order": order,
        "query": asked.query,
        "news": news,
        "most_news": MOST_NEWS,
        "before": before,
        "poll_query": polled.urlencode(safe=","),
    }


def _before(request: HttpRequest, every: Any) -> Any:
    key = entry_before(request.GET.get("before", ""))
    if key is None:
        return None
    row = every.filter(pk=key).first()
    if row is None:
        raise Http404
    return row
