"""The pages of channels: which there are and how they stand, one with all that was sent, and its form."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for, person_for, require_role
from instruments.models import Role, Site
from monitoring.alerts.channel_forms import ChannelForm
from monitoring.alerts.channels.chat import CHATS
from monitoring.alerts.channels.keeping import (
    channel_add,
    channel_change,
    channel_remove,
    channel_test,
    hears_by_channel,
)
from monitoring.alerts.words import head_of
from monitoring.models import AlertChannel, AlertDelivery, AlertKind

PER_PAGE = 50


@require_safe
@require_role(Role.MEMBER)
def channels_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Every channel, how it stands and what it hears. As many queries for one as for fifty."""
    organisation = organisation_for(request)
    theirs = AlertDelivery.objects.filter(target=OuterRef("pk"))
    owed = theirs.filter(sent_at=None, failed_at=None).order_by().values("target")
    channels = list(
        AlertChannel.objects.kept().annotate(
            sent_at=Subquery(theirs.filter(sent_at__isnull=False).order_by("-pk").values("sent_at")[:1]),
            waiting=Subquery(owed.annotate(count=Count("pk")).values("count")),
        )
    )
    hears = hears_by_channel(channels)
    context = {
        "organisation": organisation,
        "rows": [
            {"channel": channel, "standing": _standing(channel), "hears": _hears(hears.get(channel.pk))}
            for channel in channels
        ],
        "kinds": AlertChannel.Kind.choices,
    }
    return render(request, "monitoring/channels.html", context)


def _standing(channel: Any) -> tuple[str, str]:
    """Tone and word of how it stands."""
    if channel.off_at is not None:
        return "bad", _("Switched off")
    if channel.waiting:
        return "live", _("Waiting")
    if channel.test_passed is False:
        return "warn", _("The test failed")
    if channel.test_passed or channel.sent_at:
        return "good", _("On")
    return "muted", _("Not tested yet")


def _hears(hears: Any) -> dict[str, Any] | None:
    if hears is None:
        return None
    labels = dict(AlertKind.choices)
    return {
        "kinds": [labels[kind] for kind in hears.kinds],
        "sites": sorted(site.name for site in hears.sites),
        "red_only": hears.minimum > 1,
    }


def _channel_for(request: HttpRequest, pk: int) -> AlertChannel:
    """The channel of the organisation in the path. Raises Http404."""
    organisation_for(request)
    try:
        return AlertChannel.objects.kept().select_related("organisation", "made_by").get(pk=pk)
    except (AlertChannel.DoesNotExist, OverflowError):
        raise Http404 from None


@require_safe
@require_role(Role.MEMBER)
def channel_page(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One channel: how it stands, what it hears, its last test, and everything that was sent there."""
    channel = _channel_for(request, pk)
    log = AlertDelivery.objects.filter(target=channel).select_related("change__incident__instrument")
    page = Paginator(log.order_by("-pk"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "organisation": organisation_for(request),
        "channel": channel,
        "hears": _hears(hears_by_channel([channel]).get(channel.pk)),
        "page": page,
        "rows": [{"delivery": each, "head": head_of(each.change.incident)} for each in page],
    }
    return render(request, "monitoring/channel.html", context)


@sensitive_post_parameters("address", "signing")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def channel_add_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Choose a kind, then say where it is and what it hears."""
    organisation, kind = organisation_for(request), request.GET.get("kind", "")
    if kind not in CHATS:
        kinds = [(AlertChannel.Kind(each), CHATS[each].where) for each in CHATS]
        return render(request, "monitoring/channel_add.html", {"organisation": organisation, "kinds": kinds})
    form = ChannelForm(kind, request.POST or None, sites=list(Site.objects.all()))
    if request.method == "POST" and form.is_valid():
        secret = form.secret
        if secret is not None:
            channel = channel_add(
                organisation=organisation,
                kind=kind,
                name=form.cleaned_data["name"],
                secret=secret,
                hears=form.hears,
                actor=person_for(request),
            )
            messages.success(request, _("Saved. Send a test to see whether it arrives."))
            return redirect("monitoring:channel", slug=slug, pk=channel.pk)
    context = {"organisation": organisation, "form": form, "kind": AlertChannel.Kind(kind)}
    return render(request, "monitoring/channel_form.html", context, status=422 if form.errors else None)


@sensitive_post_parameters("address", "signing")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def channel_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change its name, its address or what it hears."""
    channel = _channel_for(request, pk)
    form = ChannelForm(channel.kind, request.POST or None, sites=list(Site.objects.all()), channel=channel)
    if request.method == "POST" and form.is_valid():
        secret = form.secret
        channel_change(
            channel=channel,
            name=form.cleaned_data["name"],
            secret=secret,
            hears=form.hears,
            actor=person_for(request),
        )
        if secret is not None:
            messages.success(request, _("Saved. Send a test to see whether it arrives at the new address."))
        else:
            messages.success(request, _("Saved. It holds from the next alert on."))
        return redirect("monitoring:channel", slug=slug, pk=channel.pk)
    context = {
        "organisation": organisation_for(request),
        "form": form,
        "kind": AlertChannel.Kind(channel.kind),
        "channel": channel,
    }
    return render(request, "monitoring/channel_form.html", context, status=422 if form.errors else None)


@require_POST
@require_role(Role.ADMIN)
def channel_try(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send a real message now and show the answer; one that was off is on again when it arrives."""
    channel = _channel_for(request, pk)
    was_off = channel.off_at is not None
    passed = channel_test(channel=channel, now=timezone.now(), actor=person_for(request))
    answer = {"answer": channel.test_answer}
    if not passed:
        messages.error(request, _("The test was not taken. %(answer)s") % answer)
    elif was_off:
        messages.success(request, _("The test was taken, and the channel is on again. %(answer)s") % answer)
    else:
        messages.success(request, _("The test was taken. %(answer)s") % answer)
    return redirect("monitoring:channel", slug=slug, pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def channel_end(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask once more, then tell it nothing any more and forget its address."""
    channel = _channel_for(request, pk)
    if request.method == "POST":
        channel_remove(channel=channel, now=timezone.now(), actor=person_for(request))
        messages.success(
            request, _("%(name)s is removed, and its address forgotten.") % {"name": channel.name}
        )
        return redirect("monitoring:channels", slug=slug)
    waiting = AlertDelivery.objects.filter(target=channel, sent_at=None, failed_at=None).count()
    context = {"organisation": organisation_for(request), "channel": channel, "waiting": waiting}
    return render(request, "monitoring/channel_remove.html", context)
