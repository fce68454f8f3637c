"""The operator's page of work: what is due, since when, and what a worker holds now.

It reads the rows that are the truth. Celery keeps no results here: the broker is a doorbell, and what it rings for
stands in these tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from monitoring.models import AlertDelivery, InstrumentAction, SyncTarget, TimeHistoryRequest
from webhooks.models import Delivery, Registration

# Nobody reads a longer number, and to find it takes as long as the table is.
MOST = 5_000
HELD_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Kind:
    """One table of things to do: those that are due at an instant, and those that have not ended."""

    words: Any
    model: Any
    due: Callable[[datetime], Any]
    open: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Work:
    """How a kind stands now; ``due`` and ``held`` are counted up to `MOST`."""

    kind: Kind
    due: int
    since: datetime | None
    held: list[Any]

    @property
    def due_words(self) -> str:
        """The count, and whether there are more."""
        return f"{MOST}+" if self.due >= MOST else str(self.due)

    @property
    def href(self) -> str:
        """The admin's list of them."""
        meta = self.kind.model._meta
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")


KINDS = (
    Kind(_("Fetching from MyCirrus"), SyncTarget, SyncTarget.objects.due, SyncTarget.objects.all),
    Kind(
        _("Actions on instruments"),
        InstrumentAction,
        InstrumentAction.objects.due,
        InstrumentAction.objects.open,
    ),
    Kind(
        _("Time histories"),
        TimeHistoryRequest,
        TimeHistoryRequest.objects.free,
        TimeHistoryRequest.objects.open,
    ),
    Kind(
        _("Webhooks that arrived"),
        Delivery,
        Delivery.objects.due,
        lambda: Delivery.objects.filter(state=Delivery.State.RECEIVED),
    ),
    Kind(_("Comparing webhooks"), Registration, Registration.objects.due, Registration.objects.all),
    Kind(
        _("Alerts to be sent"),
        AlertDelivery,
        AlertDelivery.objects.due,
        lambda: AlertDelivery.objects.filter(sent_at=None, failed_at=None),
    ),
)


def work_of(kind: Kind, now: datetime) -> Work:
    """How it stands. Three queries, none of which reads what is done."""
    due = kind.due(now).order_by()
    held = kind.open().filter(lease_until__gt=now).select_related("organisation").order_by("lease_until")
    if hasattr(kind.model, "instrument"):
        held = held.select_related("organisation", "instrument")
    return Work(
        kind,
        due[:MOST].count(),
        # The first in the order of an index; a minimum would be sought among all that is due.
        due.order_by("due_at").values_list("due_at", flat=True).first(),
        list(held[:HELD_SHOWN]),
    )


def work_page(request: HttpRequest) -> HttpResponse:
    """All kinds, and whatever is held now, the lease that ends first first."""
    now = timezone.now()
    work = [work_of(kind, now) for kind in KINDS]
    held = sorted(chain.from_iterable(each.held for each in work), key=lambda row: row.lease_until)
    context = {
        **admin.site.each_context(request),
        "title": _("Work"),
        "now": now,
        "work": work,
        "held": [(row._meta.verbose_name, row) for row in held],
    }
    return render(request, "admin/work.html", context)
