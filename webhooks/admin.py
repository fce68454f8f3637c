"""The operator's tables of webhooks and what they brought: to be looked at and replayed; no secret is in them."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext

from instruments.admin_base import KnownWords, MirrorAdmin
from webhooks.doorbell import ring, ring_registrations
from webhooks.messages import KINDS, readable
from webhooks.models import Delivery, Refusal, Registration, Subscription
from webhooks.processing import deliveries_replay

# What is laid out of a body: the rest is in the inbox.
_SHOWN = 20_000
_RUNG_FOR = 50
_SEARCHED = 50_000


class KnownType(KnownWords):
    """The types that MyCirrus is known to send."""

    title = gettext_lazy("type")
    parameter_name = "type"
    known = tuple((kind, kind) for kind in KINDS)


@admin.register(Delivery)
class DeliveryAdmin(MirrorAdmin[Delivery]):
    """What arrived, byte for byte, and what came of it."""

    list_display = ("received_at", "organisation", "type", "serial", "signature", "state", "effect")
    list_filter = ("state", "signature", KnownType)
    search_fields = ("=serial", "=webhook_id", "=organisation__slug")
    search_help_text = gettext_lazy(
        "Serial number, webhook id or address of an organisation, among the newest 50 000"
    )
    actions = ("process_again",)
    fields = (
        *("organisation", "received_at", "webhook_id", "type", "serial", "signature", "encoding", "digest"),
        *("state", "effect", "attempts", "due_at", "processed_at", "text"),
    )
    readonly_fields = ("text",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Without the bodies: a page of them may be many megabytes."""
        return super().get_queryset(request).defer("body")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Among the newest only: nothing leads from a serial number to its deliveries but reading them."""
        found, more = super().get_search_results(request, queryset, search_term)
        if search_term.strip():
            before = Delivery.objects.order_by("-pk").values_list("pk", flat=True)[_SEARCHED : _SEARCHED + 1]
            found = found.filter(pk__gt=next(iter(before), 0))
        return found, more

    @admin.display(description=gettext_lazy("body"))
    def text(self, delivery: Delivery) -> str:
        """The body for a person's eyes."""
        return readable(bytes(delivery.body))[:_SHOWN]

    @admin.action(description=gettext_lazy("Process the chosen deliveries again"))
    def process_again(self, request: HttpRequest, chosen: Any) -> None:
        """Have each processed once more."""
        found = deliveries_replay(deliveries=chosen, now=timezone.now())
        for organisation_id, pk in found[:_RUNG_FOR]:
            ring(organisation_id, pk)
        text = ngettext(
            "%d delivery is processed once more.", "%d deliveries are processed once more.", len(found)
        )
        messages.success(request, text % len(found))


@admin.register(Subscription)
class SubscriptionAdmin(MirrorAdmin[Subscription]):
    """Webhooks at MyCirrus. What they sign with is never shown."""

    list_display = (
        *("name", "organisation", "type", "serial", "state", "host", "api_key"),
        *("created_by_us", "registered_at", "delivered_at", "checked_at"),
    )
    list_filter = ("state", "created_by_us", KnownType)
    list_select_related = ("organisation", "api_key")
    search_fields = ("=serial", "=remote_id", "=organisation__slug")
    fields = (
        *("organisation", "remote_id", "type", "serial", "state", "host", "api_key", "created_by_us"),
        *(
            "encoding_seen",
            "created_at",
            "registered_at",
            "checked_at",
            "delivered_at",
            "removed_at",
            "message",
        ),
    )

    @admin.display(description=gettext_lazy("webhook"))
    def name(self, subscription: Subscription) -> str:
        """Its id, or what it is to be."""
        return str(subscription)


@admin.register(Registration)
class RegistrationAdmin(MirrorAdmin[Registration]):
    """How each key's webhooks stand against MyCirrus."""

    list_display = ("api_key", "organisation", "outcome", "checked_at", "due_at", "failures", "message")
    list_filter = ("outcome",)
    list_select_related = ("organisation", "api_key")
    search_fields = ("=organisation__slug", "api_key__label")
    actions = ("compare",)

    @admin.action(description=gettext_lazy("Compare with MyCirrus now"))
    def compare(self, request: HttpRequest, chosen: QuerySet[Registration]) -> None:
        """Have each taken up now."""
        Registration.objects.filter(pk__in=chosen.values("pk")).update(due_at=timezone.now(), listed_at=None)
        for registration in chosen:
            ring_registrations(registration.organisation_id, registration.pk)


@admin.register(Refusal)
class RefusalAdmin(MirrorAdmin[Refusal]):
    """What was turned away at the door, counted by reason."""

    list_display = ("organisation", "reason", "count", "since_at", "last_at", "webhook_id")
    list_filter = ("reason",)
    search_fields = ("=organisation__slug", "=webhook_id")
