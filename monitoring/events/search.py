"""Which events somebody wants to see: the form of filters, the rows that fit, and their neighbours in the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

from django import forms
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument
from instruments.time_fields import DayField
from monitoring.events.tags import cause_names
from monitoring.models import AudioRecording, Event

# More than a page of anybody's fleet; a longer word finds fewer.
MOST_INSTRUMENTS = 500
# On the page of an instrument.
NEWEST = 5
NO_CAUSE = "-"


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the list, the greatest of ``column`` first, and the words for its top, and for up and down in it."""

    column: str
    words: Any
    top: Any
    up: Any
    down: Any


ORDERS = {
    "": Order("start_at", _("Newest first"), _("Newest"), _("Newer"), _("Older")),
    "loudest": Order("level_order", _("Loudest first"), _("Loudest"), _("Louder"), _("Quieter")),
    "longest": Order("length_order", _("Longest first"), _("Longest"), _("Longer"), _("Shorter")),
}
NEWEST_FIRST = ORDERS[""]


class EventFilter(forms.Form):
    """What can be asked for; all of it may be left empty."""

    instrument = forms.CharField(label=_("Instrument"), max_length=100, required=False)
    name = forms.CharField(label=_("Event name"), max_length=100, required=False)
    cause = forms.ChoiceField(label=_("Cause"), required=False)
    start = DayField(label=_("From"), required=False)
    end = DayField(label=_("To"), required=False)
    excluded = forms.ChoiceField(
        label=_("Excluded events"),
        required=False,
        # Short: on a phone two fields stand beside each other.
        choices=[("", _("Shown")), ("no", _("Left out")), ("yes", _("Only these"))],
    )
    sound = forms.ChoiceField(
        label=_("Sound"), required=False, choices=[("", _("Any")), ("yes", _("With sound"))]
    )
    sort = forms.ChoiceField(
        label=_("Sorted by"), required=False, choices=[(name, order.words) for name, order in ORDERS.items()]
    )

    def __init__(self, asked: QueryDict) -> None:
        super().__init__(asked, auto_id="filter-%s")
        # A zero byte is in no name, and PostgreSQL refuses even to look for one.
        chosen = asked.get("cause", "").replace("\0", "")
        causes: Any = self.fields["cause"]
        # Read where they are wanted: a list that renews itself shows no form.
        causes.choices = cache(lambda: _choices(chosen))
        self.is_valid()

    def clean(self) -> dict[str, Any]:
        """A range that ends before it begins would be an empty page without a reason."""
        found: dict[str, Any] = super().clean() or {}
        start, end = found.get("start"), found.get("end")
        if start and end and end < start:
            self.add_error("end", _("This day is before the first one."))
        return found

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but everything was asked for."""
        return any(value for name, value in self.cleaned_data.items() if name != "sort")

    @property
    def order(self) -> Order:
        """In which order events are listed."""
        return ORDERS[self.cleaned_data.get("sort", "")]

    @property
    def query(self) -> str:
        """The filters as they stand in an address, without what was left empty or not understood."""
        return _address(self.cleaned_data)

    def query_on(self, day: date) -> str:
        """The same, narrowed to one day."""
        return _address({**self.cleaned_data, "start": day, "end": day})

    @property
    def period(self) -> tuple[datetime | None, datetime | None]:
        """The instants between which events begin: whole days of the present time zone."""
        start, end = self.cleaned_data.get("start"), self.cleaned_data.get("end")
        return (
            _midnight(start) if start else None,
            _midnight(end + timedelta(days=1)) if end else None,
        )

    def events(self) -> Any:
        """The events that fit, in no order yet. What was not understood narrows nothing."""
        asked = self.cleaned_data
        rows = Event.objects.all()
        if word := asked.get("instrument"):
            rows = rows.filter(instrument_id__in=instruments_named(word))
        if asked.get("name"):
            rows = rows.filter(name__icontains=asked["name"])
        if asked.get("cause") == NO_CAUSE:
            rows = rows.filter(Q(tag=None) | Q(tag__cause=""))
        elif asked.get("cause"):
            rows = rows.filter(tag__cause=asked["cause"])
        if asked.get("excluded") == "yes":
            rows = rows.excluded()
        elif asked.get("excluded") == "no":
            rows = rows.filter(Q(tag=None) | Q(tag__excluded=False))
        if asked.get("sound"):
            rows = rows.exclude(audio_id="")
        start, end = self.period
        if start is not None:
            rows = rows.filter(start_at__gte=start)
        if end is not None:
            rows = rows.filter(start_at__lt=end)
        return rows

    def recordings(self) -> Any:
        """The recordings that fit by instrument, trigger and day, in no order yet."""
        asked, rows = self.cleaned_data, AudioRecording.objects.all()
        if word := asked.get("instrument"):
            rows = rows.filter(instrument_id__in=instruments_named(word))
        if asked.get("name"):
            rows = rows.filter(trigger_name__icontains=asked["name"])
        start, end = self.period
        if start is not None:
            rows = rows.filter(start_at__gte=start)
        if end is not None:
            rows = rows.filter(start_at__lt=end)
        return rows


def _choices(chosen: str) -> list[tuple[str, Any]]:
    names = cause_names()
    # A cause that was taken off the list is still found by it.
    names += [chosen] if chosen not in (*names, "", NO_CAUSE) else []
    return [("", _("Any cause")), (NO_CAUSE, _("Without a cause")), *((name, name) for name in names)]


def instruments_named(word: str) -> list[int]:
    """The instruments whose serial is ``word``, or whose serial or name contains it. At most two queries."""
    # Looked up first, so that the long table is read by its index and never through a join.
    exact = list(Instrument.objects.filter(serial=word).values_list("pk", flat=True))
    if exact:
        return exact
    found = Instrument.objects.filter(Q(serial__icontains=word) | Q(name__icontains=word))
    return list(found.values_list("pk", flat=True)[:MOST_INSTRUMENTS])


def rows_shown(every: Any, keys: Sequence[int]) -> list[Any]:
    """The rows of these keys as they are now, in the order of the keys, whatever they were found by. One query."""
    found = every.in_bulk(keys)
    return [found[key] for key in keys if key in found]


def rows_since(rows: Any, *, shown: Sequence[Any], full: bool, most: int, column: str) -> int:
    """How many of ``rows`` would stand among ``shown`` or above them by now; ``most`` are counted. One query.

    ``full`` says that the list went on below ``shown``: what comes there is no news of this page.
    """
    rows = rows.exclude(pk__in=[row.pk for row in shown])
    if full and shown:
        rows = rows.above(shown[-1], column)
    # In no order: in that of time the database would walk past all that is quieter.
    return len(rows.order_by().values_list("pk")[:most])


def newest_events(instrument: Instrument) -> Sequence[Event]:
    """Those that the page of ``instrument`` shows. One query."""
    rows = Event.objects.filter(instrument=instrument).select_related("tag").newest_first()
    return list(rows[:NEWEST])


def event_told(event: Event) -> list[Any]:
    """Whatever a list says of ``event``, but for its instrument."""
    told = [event.pk, event.end_at, event.type, event.level_db, event.audio_id != ""]
    tag = getattr(event, "tag", None)
    return told if tag is None else [*told, tag.excluded, tag.cause, tag.comment]


def neighbours(rows: Any, event: Event, order: Order) -> tuple[Event | None, Event | None]:
    """The event above and the one below ``event`` in the list of ``rows``. Two queries."""
    above = rows.above(event, order.column).sorted_by(order.column, rising=True).first()
    return above, rows.below(event, order.column).sorted_by(order.column).first()


def _address(asked: dict[str, Any]) -> str:
    kept = QueryDict(mutable=True)
    for name, value in asked.items():
        if value:
            kept[name] = str(value)
    return kept.urlencode()


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
