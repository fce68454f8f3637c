"""Sites: the list, one place with its monitors and their history, its photo, and the forms that change them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import F, Q
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cirrusweb.htmx import render, unchanged, version_of, wants_fragment
from instruments.access import organisation_for, person_for, require_role, site_for
from instruments.models import Deployment, Instrument, Role, Site
from instruments.photos import photo_path, site_photo_set
from instruments.site_forms import DeployForm, DeploymentForm, SiteForm
from instruments.sites import (
    deployment_correct,
    deployment_remove,
    deployment_start,
    site_remove,
    site_save,
)
from monitoring.cells import tile_markup
from monitoring.charts.ranges import LONGEST, SHORTEST, Window
from monitoring.conditions import LOOKS
from monitoring.positions import Position, is_placed, map_of
from monitoring.tiles import Tile, tile_of

PER_PAGE = 60
# Of a site's past: more than anybody has moved instruments, few enough for a page.
MOST_PAST = 200


@dataclass(frozen=True, slots=True)
class SiteCard:
    """A site of the list with the monitors that stand there now, the worst first."""

    site: Site
    tiles: list[Tile]

    @property
    def attention(self) -> int:
        """How many of them need it."""
        return sum(tile.look.needs_attention for tile in self.tiles)

    @property
    def told(self) -> list[Any]:
        """What its row says."""
        site = self.site
        row = [site.pk, site.name, site.address, site.placement, site.latitude, site.longitude, site.timezone]
        return [*row, *((tile.instrument.pk, tile.instrument.name, tile.state) for tile in self.tiles)]


def _standing(sites: list[Site]) -> dict[int, list[Tile]]:
    """The tiles of what stands at ``sites`` now, the worst first. One query."""
    now = timezone.now()
    found: dict[int, list[Tile]] = {site.pk: [] for site in sites}
    instruments = (
        Instrument.objects.with_deployment(now)
        .select_related("status")
        .defer("document", "status__document")
        .filter(deployed__site__in=sites)
    )
    for instrument in instruments:
        found[instrument.deployed.site_id].append(tile_of(instrument, now))
    return {pk: _worst_first(tiles) for pk, tiles in found.items()}


def _worst_first(tiles: Iterable[Tile]) -> list[Tile]:
    return sorted(tiles, key=lambda tile: (tile.state.severity, tile.instrument.name, tile.instrument.serial))


@require_safe
def sites_page(request: HttpRequest, slug: str) -> HttpResponse:
    """All sites by name; ``?text=`` searches names and addresses. A poll without news costs a 204."""
    text = request.GET.get("text", "").replace("\0", "").strip()
    sites = Site.objects.all()
    if text:
        sites = sites.filter(Q(name__icontains=text) | Q(address__icontains=text))
    page = Paginator(sites, PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page)
    tiles = _standing(shown)
    cards = [SiteCard(site, tiles[site.pk]) for site in shown]
    version = version_of(page.paginator.count, *(card.told for card in cards))
    if wants_fragment(request) and request.GET.get("version") == version:
        return unchanged()
    searched = {"text": text} if text else {}
    context = {
        "organisation": organisation_for(request),
        "cards": cards,
        "attention": sum(card.attention for card in cards),
        "page": page,
        "text": text,
        "query": urlencode(searched),
        "poll_query": urlencode({**searched, "page": page.number, "version": version}),
        "can_act": request.membership.can_act,  # type: ignore[attr-defined]
    }
    return render(request, "monitoring/sites.html", context, fragment="site-list")


@require_safe
def site_page(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One place: what stands there, what stood there, and what it is like; a poll without news costs a 204."""
    site, now = site_for(request, pk), timezone.now()
    rows = _deployments(site)
    standing = _tiles([each for each in rows if each.stands(now)], now)
    version = _version(site, rows, standing, now)
    if wants_fragment(request) and request.GET.get("version") == version:
        return unchanged()
    context = {
        "organisation": organisation_for(request),
        "site": site,
        "version": version,
        "attention": sum(tile.look.needs_attention for tile in standing),
        **_map(site, standing, slug),
        "tiles": [tile_markup(tile, slug=slug, now=now) for tile in standing],
        "deployments": [(each, _measured_here(each, now)) for each in rows],
        "now": now,
        "can_act": request.membership.can_act,  # type: ignore[attr-defined]
    }
    return render(request, "monitoring/site.html", context, fragment="site-now")


def _deployments(site: Site) -> list[Deployment]:
    """What stands at ``site``, is to stand there and stood there, the newest first, with how it is now. One query."""
    rows = (
        Deployment.objects.filter(site=site)
        .select_related("instrument__status")
        .defer("instrument__document", "instrument__status__document")
        # Whatever stands there still is among them, however long it has.
        .order_by(F("end_at").desc(nulls_first=True), "-start_at")
    )
    return sorted(rows[:MOST_PAST], key=lambda each: each.start_at, reverse=True)


def _tiles(deployments: list[Deployment], now: datetime) -> list[Tile]:
    for each in deployments:
        # As `with_deployment` would tell it, without asking again.
        setattr(each.instrument, "deployed", each)  # noqa: B010 - no field of the model's
    return _worst_first(tile_of(each.instrument, now) for each in deployments)


def _version(site: Site, rows: list[Deployment], tiles: list[Tile], now: datetime) -> str:
    """What a poll compares: it changes with whatever the page says of the place, its history and its monitors."""
    told: list[Any] = [site.photo, site.notes, site.placement, site.latitude, site.longitude, site.timezone]
    for each in rows:
        told += [each.pk, each.start_at, each.end_at, each.note, each.stands(now), each.instrument.name]
    for tile in tiles:
        instrument, present = tile.instrument, tile.present
        told += [tile.state, tile.hidden, tile.level_is_current, present and present.changed_at]
        told += [instrument.latitude, instrument.longitude]
    return version_of(*told)


def _measured_here(stay: Deployment, now: datetime) -> str:
    """The part of an address that shows what was measured in ``stay``; empty where there is nothing yet."""
    window = Window(stay.start_at, min(stay.end_at or now, now)).last(LONGEST)
    return f"?{window.fixed}" if window.span >= SHORTEST else ""


def _map(site: Site, tiles: list[Tile], slug: str) -> dict[str, Any]:
    """Where exactly the monitors stand; one without a fix of its own stands where the site is said to be."""
    placed = []
    for tile in tiles:
        each = tile.instrument
        own = is_placed(each.latitude, each.longitude)
        latitude, longitude = (each.latitude, each.longitude) if own else (site.latitude, site.longitude)
        if latitude is not None and longitude is not None:
            placed.append(Position(each.serial, each.name, latitude, longitude, tile.state))
    drawn = map_of(placed)
    here = f"{reverse('monitoring:fleet', args=[slug])}?{urlencode({'view': 'table', 'site': site.pk})}"
    marks = drawn.marks if drawn else ()
    return {"map": drawn, "marks": [(mark, LOOKS[mark.state], here) for mark in marks]}


@require_safe
def site_photo(request: HttpRequest, slug: str, pk: int) -> HttpResponseBase:
    """The photo, to members alone; its address changes with it, so that a browser may keep it."""
    path = photo_path(site_for(request, pk))
    if path is None or not path.is_file():
        raise Http404
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(path.open("rb"), content_type="image/jpeg", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def site_add(request: HttpRequest, slug: str) -> HttpResponse:
    """A new site."""
    return _site_form(request, Site(organisation=organisation_for(request)))


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def site_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change what is said of a site."""
    return _site_form(request, site_for(request, pk))


def _site_form(request: HttpRequest, site: Site) -> HttpResponse:
    organisation, name = organisation_for(request), site.name
    posted: Any = (request.POST, request.FILES) if request.method == "POST" else ()
    form = SiteForm(*posted, instance=site, zone=organisation.timezone)
    if posted and form.is_valid():
        photo = form.cleaned_data["photo"]
        changed = [field for field in form.changed_data if field in form.Meta.fields]
        with transaction.atomic():
            site_save(site=site, changed=changed, actor=person_for(request))
            if photo or form.cleaned_data.get("remove_photo"):
                site_photo_set(site=site, photo=photo, actor=person_for(request))
        messages.success(request, _("Saved."))
        return redirect("monitoring:site", slug=organisation.slug, pk=site.pk)
    context = {"organisation": organisation, "site": site, "name": name, "form": form}
    return render(request, "monitoring/site_form.html", context, status=422 if form.errors else None)


@require_POST
@require_role(Role.MEMBER)
def site_end(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Remove a site at which nothing ever stood."""
    site = site_for(request, pk)
    try:
        site_remove(site=site, actor=person_for(request))
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return redirect("monitoring:site", slug=slug, pk=pk)
    messages.success(request, _("%(site)s is removed.") % {"site": site.name})
    return redirect("monitoring:sites", slug=slug)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def site_deploy(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let an instrument stand at a site; ``?of=`` names it by its serial number."""
    site = site_for(request, pk)
    initial = {"serial": request.GET.get("of", ""), "start_at": timezone.localtime().replace(second=0)}
    form = DeployForm(
        request.POST if request.method == "POST" else None,
        initial=initial,
        zone=timezone.get_current_timezone_name(),
    )
    if request.method == "POST" and form.is_valid():
        told = form.cleaned_data
        try:
            made = deployment_start(
                instrument=told["serial"],
                site=site,
                start_at=told["start_at"],
                end_at=told["end_at"],
                note=told["note"],
                actor=person_for(request),
            )
        except ValidationError as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, _deployed(made))
            return redirect("monitoring:site", slug=slug, pk=pk)
    context = {"organisation": organisation_for(request), "site": site, "form": form}
    return render(request, "monitoring/site_deploy.html", context, status=422 if form.errors else None)


def _deployed(made: Deployment) -> str:
    now, words = timezone.now(), {"instrument": made.instrument, "site": made.site.name}
    if made.start_at > now:
        return _("%(instrument)s will stand at %(site)s.") % words
    if made.end_at is None or made.end_at > now:
        return _("%(instrument)s stands at %(site)s.") % words
    after = (
        Deployment.objects.at(made.end_at).filter(instrument=made.instrument).select_related("site").first()
    )
    if after is None:
        return _("%(instrument)s stood at %(site)s.") % words
    return _("%(instrument)s stood at %(site)s, and after that at %(after)s.") % {
        **words,
        "after": after.site.name,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def deployment_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Correct when a deployment began or ended, end it, or take it back."""
    organisation = organisation_for(request)
    found = Deployment.objects.filter(pk=pk).select_related("instrument", "site__organisation").first()
    if found is None:
        raise Http404
    if found.site.zone is not None:
        timezone.activate(found.site.zone)
    back = redirect("monitoring:site", slug=slug, pk=found.site_id)
    if request.method == "POST" and "remove" in request.POST:
        deployment_remove(deployment=found, actor=person_for(request))
        messages.success(request, _("Taken back. Its data belong to no site any more."))
        return back
    form = DeploymentForm(
        request.POST if request.method == "POST" else None,
        instance=found,
        zone=timezone.get_current_timezone_name(),
    )
    if request.method == "POST" and form.is_valid():
        told = form.cleaned_data
        try:
            deployment_correct(
                deployment=found,
                start_at=told["start_at"],
                end_at=told["end_at"],
                note=told["note"],
                actor=person_for(request),
            )
        except ValidationError as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, _("Saved. What was measured then belongs to this site accordingly."))
            return back
    context = {"organisation": organisation, "deployment": found, "form": form}
    return render(request, "monitoring/deployment.html", context, status=422 if form.errors else None)
