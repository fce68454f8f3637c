"""The stretch of time that a request asks for, and the links that lead to the ones beside it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from instruments.access import organisation_for
from instruments.models import Instrument
from instruments.sites import zone_of
from monitoring.charts.ranges import DEFAULT_RANGE, RANGES, BadWindow, Fault, Window, range_window, window_of

# A day by the minute in one piece is sixty thousand pixels long on a phone.
ROWS_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What is shown: the window, and what was wrong with the one that was asked for."""

    window: Window
    zone: ZoneInfo
    now: datetime
    error: str = ""
    # The rest of the page's address, which its links and forms carry along.
    kept: tuple[tuple[str, str], ...] = ()
    # The names of the ranges that its page offers.
    ranges: Collection[str] = tuple(RANGES)

    @property
    def kept_query(self) -> str:
        """The same as the beginning of an address."""
        return f"{urlencode(self.kept)}&" if self.kept else ""

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The ranges, as `_segments.html` wants them."""
        return [(name, name) for name in self.ranges]

    @property
    def local_from(self) -> str:
        """Its start as a form's field has it: the zone's wall clock."""
        return self._local(self.window.start)

    @property
    def local_to(self) -> str:
        """The same of its end."""
        return self._local(self.window.end)

    def _local(self, at: datetime) -> str:
        return at.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M")

    @property
    def earlier(self) -> Window:
        """The one to the left."""
        return self.window.moved(-1, self.now)

    @property
    def later(self) -> Window:
        """The one to the right."""
        return self.window.moved(1, self.now)

    @property
    def closer(self) -> Window:
        """Its middle."""
        return self.window.zoomed(1, self.now)

    @property
    def wider(self) -> Window:
        """It and its surroundings."""
        return self.window.zoomed(-1, self.now)


def window_asked(
    request: HttpRequest,
    instrument: Instrument | None = None,
    *,
    keep: Sequence[str] = (),
    default: str = DEFAULT_RANGE,
    ranges: Collection[str] = tuple(RANGES),
) -> Asked:
    """The stretch in the time zone of where ``instrument`` stood at its end, or of the organisation without one.

    The window of ?from= and ?to= or ?range=; the default, with a sentence where what was asked for cannot be shown.
    """
    now, asked = timezone.now(), request.GET.dict()
    zone = organisation_for(request).zone
    if instrument is not None:
        # `instrument_for` has asked already where it stands now.
        zone = timezone.get_current_timezone()
    kept = tuple((name, value) for name in keep for value in request.GET.getlist(name) if value)
    try:
        window = window_of(asked, now=now, zone=zone, default=default)
        if instrument is not None and window.end < now:
            there = zone_of(instrument, window.end - timedelta(seconds=1))
            # What a form says is the wall clock of the place that is shown.
            zone, window = there, window_of(asked, now=now, zone=there, default=default)
        return Asked(window, zone, now, kept=kept, ranges=ranges)
    except BadWindow as problem:
        return Asked(range_window(default, now), zone, now, fault_words(problem.fault), kept, ranges)


def rows_page(request: HttpRequest, rows: Sequence[Any], asked: Asked, *, carry: str = "") -> dict[str, Any]:
    """The part of a table's ``rows`` that ?page= asks for, ?all=1 for all of them on one page.

    What its links carry along holds the stretch still: rows would move from page to page as it goes on.
    """
    most = max(len(rows), 1) if "all" in request.GET else ROWS_PER_PAGE
    page = Paginator(rows, most).get_page(request.GET.get("page"))
    return {"page": page, "query": f"{carry}{asked.window.fixed}"}


def fault_words(fault: Fault) -> str:
    """What was wrong, and what to do."""
    return {
        Fault.UNREADABLE: _("That is not a date and time. Write both like 2026-11-25 14:30."),
        Fault.NO_START: _("Say from when, too: a range needs its beginning."),
        Fault.ORDER: _("The end has to come at least a minute after the beginning. Change one of them."),
        Fault.LONG: _("That is longer than two years. Choose a shorter range."),
    }[fault]
