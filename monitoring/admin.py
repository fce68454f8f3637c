"""The operator's tables of the sync, the alerts and the checks: to be looked at, and hurried, never edited.

The series are missing: Django's admin cannot show rows whose primary key is composite. `export` writes them.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext

from instruments.admin_base import KnownWords, MirrorAdmin, OrgOwnedAdmin
from instruments.models import Instrument, Organisation
from monitoring.models import (
    AlertChannel,
    AlertDelivery,
    Calibration,
    Digest,
    Gap,
    Incident,
    InstrumentAction,
    InstrumentStatus,
    Resource,
    Retention,
    SyncTarget,
    SystemIntegrityCheck,
    TimeHistoryRequest,
)
from monitoring.storage.retention import HAPPENED, KEPT_IN
from monitoring.sync.claims import targets_make_due
from monitoring.sync.histories import HISTORIES

Row = TypeVar("Row", bound=Model)
# More than a page of anybody's fleet; a shorter search finds the rest.
MOST_FOUND = 500


class ByInstrumentAdmin(MirrorAdmin[Row]):
    """Rows of instruments, newest first, found by serial number, by instrument name or by organisation."""

    list_select_related: ClassVar[Any] = ("organisation", "instrument")
    # Django shows no search box without it; the search itself is ours.
    search_fields = ("instrument__serial",)
    search_help_text = gettext_lazy("Serial number, name of an instrument or address of an organisation")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Look the instruments up first, so that the long table is read by its index and never through a join."""
        term = search_term.strip()
        if not term:
            return queryset, False
        owners = list(Organisation.objects.filter(slug__iexact=term).values_list("pk", flat=True))
        found = Instrument.objects.filter(Q(serial__icontains=term) | Q(name__icontains=term)).values_list(
            "organisation_id", "pk"
        )[:MOST_FOUND]
        wanted = Q(
            organisation_id__in={owner for owner, _ in found}, instrument_id__in={pk for _, pk in found}
        )
        return queryset.filter(Q(organisation_id__in=owners) | wanted), False


class SyncState(admin.SimpleListFilter):
    """How a target stands, in the order in which an operator asks."""

    title = gettext_lazy("state")
    parameter_name = "state"
    states: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "parked": (gettext_lazy("Waits for a person"), lambda rows: rows.parked()),
        "failing": (gettext_lazy("Failing"), lambda rows: rows.filter(failures__gt=0, parked_at=None)),
        "due": (gettext_lazy("Due now"), lambda rows: rows.due(timezone.now())),
        "held": (gettext_lazy("Being fetched"), lambda rows: rows.filter(lease_until__gt=timezone.now())),
        "done": (gettext_lazy("History complete"), lambda rows: rows.exclude(done_at=None)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The states by name."""
        return [(name, label) for name, (label, _) in self.states.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """The targets in the chosen state."""
        chosen = self.value()
        return self.states[chosen][1](queryset) if chosen in self.states else queryset


@admin.register(SyncTarget)
class SyncTargetAdmin(ByInstrumentAdmin[SyncTarget]):
    """What is fetched, when it is due and how it went."""

    list_display = (
        "resource",
        "lane",
        "instrument",
        "api_key",
        "organisation",
        "due_at",
        "outcome",
        "outcome_at",
        "ok_at",
        "rows",
        "message",
    )
    list_filter = (SyncState, "resource", "lane", "outcome")
    list_select_related = ("organisation", "instrument", "api_key")
    actions = ("do_it_now",)
    # Whoever knows a lease's token holds the target.
    exclude = ("lease_token",)

    @admin.action(
        description=gettext_lazy("Do it now: make the chosen due, also those that wait for a person")
    )
    def do_it_now(self, request: HttpRequest, chosen: Any) -> None:
        """Have the workers' next tick take them."""
        count = targets_make_due(targets=chosen, now=timezone.now())
        said = ngettext("%(count)d resource is due now.", "%(count)d resources are due now.", count)
        messages.success(request, said % {"count": count})


@admin.register(InstrumentAction)
class InstrumentActionAdmin(ByInstrumentAdmin[InstrumentAction]):
    """What somebody asked an instrument to do, and what became of it."""

    list_display = (
        "kind",
        "instrument",
        "organisation",
        "state",
        "requested_at",
        "due_at",
        "finished_at",
        "message",
    )
    list_filter = ("state", "kind")
    exclude = ("lease_token", "token")


@admin.register(TimeHistoryRequest)
class TimeHistoryRequestAdmin(ByInstrumentAdmin[TimeHistoryRequest]):
    """Stretches of time history that somebody wished for, and how far they are."""

    list_display = (
        *("kind", "instrument", "organisation", "state", "start_at", "end_at"),
        *("fetched_until", "due_at", "finished_at"),
    )
    list_filter = ("state", "kind")
    exclude = ("lease_token", "token")


@admin.register(Digest)
class DigestAdmin(MirrorAdmin[Digest]):
    """Which digest was owed to whom, and what became of it."""

    list_display = (
        "recipient",
        "organisation",
        "rhythm",
        "on",
        "due_at",
        "attempts",
        "sent_at",
        "failed_at",
        "message",
    )
    list_filter = (
        ("sent_at", admin.EmptyFieldListFilter),
        ("failed_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("organisation", "recipient")
    exclude = ("lease_token",)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(MirrorAdmin[AlertDelivery]):
    """What was owed to whom, and what became of it."""

    list_display = (
        "change",
        "recipient",
        "target",
        "organisation",
        "channel",
        "due_at",
        "attempts",
        "sent_at",
        "failed_at",
        "message",
    )
    list_filter = (
        ("sent_at", admin.EmptyFieldListFilter),
        ("failed_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("organisation", "recipient", "target", "change")
    exclude = ("lease_token",)


@admin.register(AlertChannel)
class AlertChannelAdmin(MirrorAdmin[AlertChannel]):
    """Where else alerts go: by host and last four characters, for the rest of an address is a password."""

    list_display = ("name", "kind", "organisation", "host", "last_four", "off_at", "off_reason", "removed_at")
    list_filter = (
        "kind",
        ("off_at", admin.EmptyFieldListFilter),
        ("removed_at", admin.EmptyFieldListFilter),
    )
    readonly_fields = (
        *("host", "last_four", "off_at", "off_reason", "tested_at", "test_passed", "test_answer"),
        *("made_by", "made_at", "removed_at"),
    )


@admin.register(Incident)
class IncidentAdmin(ByInstrumentAdmin[Incident]):
    """One cause each, from its first sign to its end."""

    list_display = ("kind", "instrument", "organisation", "opened_at", "closed_at")
    list_filter = ("kind", ("closed_at", admin.EmptyFieldListFilter))


class GapResource(KnownWords):
    """The resources that can have gaps."""

    title = gettext_lazy("resource")
    parameter_name = "resource"
    known = tuple((resource, Resource(resource).label) for resource in HISTORIES)


@admin.register(Gap)
class GapAdmin(ByInstrumentAdmin[Gap]):
    """The ledger of what was asked for and is not there."""

    list_display = ("resource", "kind", "instrument", "organisation", "start_at", "end_at", "found_at")
    list_filter = (GapResource, "kind")


@admin.register(InstrumentStatus)
class InstrumentStatusAdmin(ByInstrumentAdmin[InstrumentStatus]):
    """How each instrument is now."""

    list_display = (
        "instrument",
        "organisation",
        "online",
        "measuring",
        "observed_at",
        "level_at",
        "LAeq",
        "calibrated_at",
        "sic_at",
        "sic_passed",
    )
    list_filter = ("online", "measuring", "sic_passed")
    # One row an instrument: few enough.
    sortable_by: ClassVar[Any] = None


@admin.register(Calibration)
class CalibrationAdmin(ByInstrumentAdmin[Calibration]):
    """Calibrations as MyCirrus recorded them."""

    list_display = ("instrument", "organisation", "at", "status", "level_db", "offset_db")


@admin.register(SystemIntegrityCheck)
class SystemIntegrityCheckAdmin(ByInstrumentAdmin[SystemIntegrityCheck]):
    """SICs as MyCirrus recorded them."""

    list_display = (
        "instrument",
        "organisation",
        "at",
        "status",
        "passed",
        "level_500hz_db",
        "level_1khz_db",
        "level_8khz_db",
    )
    list_filter = ("passed",)


class RetentionForm(forms.ModelForm):
    """The resources by name."""

    resource = forms.ChoiceField(
        choices=[(resource, Resource(resource).label) for resource in (*KEPT_IN, *HAPPENED)],
        help_text=gettext_lazy(
            "Sums by 15 minutes, hours and days stay, and so does every event of which somebody said something."
        ),
    )

    class Meta:
        model = Retention
        fields = ("organisation", "resource", "days")


@admin.register(Retention)
class RetentionAdmin(OrgOwnedAdmin[Retention]):
    """How long an organisation keeps what. Without a rule it keeps everything."""

    form = RetentionForm
    list_display = ("organisation", "resource", "days")
    search_fields = ("organisation__slug",)
