"""The first ten minutes of an organisation, step by step, told from what is stored; it keeps no progress of its own.

It is glue: key, instruments, webhooks and alerts belong to apps that must not know of one another.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render, unchanged, wants_fragment
from instruments.access import require_role
from instruments.models import ApiKey, Instrument, Invitation, Membership, Role
from instruments.scopes import scope_lines
from monitoring.fleet import Progress
from monitoring.models import AlertPreference
from webhooks.addresses import address_is_registrable
from webhooks.coverage import totals
from webhooks.notices import registrations_in_use

USABLE = (ApiKey.State.GOOD, ApiKey.State.MISSING_SCOPE)


class StepState(StrEnum):
    """How a step stands; what is left out is no fault."""

    DONE = "done"
    WORKING = "working"
    NEXT = "next"
    WRONG = "wrong"
    LATER = "later"
    LEFT_OUT = "left-out"

    @property
    def tone(self) -> str:
        """How it is marked."""
        return {"done": "good", "working": "live", "next": "live", "wrong": "bad"}.get(self.value, "muted")

    @property
    def words(self) -> str:
        """How it is called."""
        return {
            "done": _("Done"),
            "working": _("Under way"),
            "next": _("Next"),
            "wrong": _("Needs a look"),
            "later": _("Later"),
            "left-out": _("Not possible here"),
        }[self.value]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``href`` leads to where it is done, ``post`` does it at once; ``of`` is 0 without a measure."""

    name: str
    state: StepState
    title: str
    text: str
    href: str = ""
    link: str = ""
    post: bool = False
    done: int = 0
    of: int = 0
    notes: tuple[str, ...] = ()


@require_safe
@require_role(Role.ADMIN)
def start_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The steps as they stand; asked again by itself while something is under way."""
    steps = list(_steps(slug, request.membership))  # type: ignore[attr-defined]
    seen = hashlib.sha256(repr(steps).encode()).hexdigest()[:16]
    if wants_fragment(request) and request.GET.get("seen") == seen:
        return unchanged()
    settled = {StepState.DONE, StepState.LEFT_OUT}
    context = {
        "steps": steps,
        "seen": seen,
        "done": sum(step.state in settled for step in steps),
        "working": any(step.state == StepState.WORKING for step in steps),
    }
    return render(request, "start.html", context, fragment="start")


def _steps(slug: str, membership: Membership) -> Iterator[Step]:
    keys = list(ApiKey.objects.usable().order_by("pk"))
    reads = any(key.state in USABLE for key in keys)
    yield _key_step(slug, keys)
    instruments = _instruments_step(slug, reads=reads)
    yield instruments
    seen = instruments.state in (StepState.DONE, StepState.WORKING)
    yield _webhooks_step(slug, ready=seen)
    told = AlertPreference.objects.filter(membership=membership).exists()
    yield Step(
        "alerts",
        StepState.DONE if told else StepState.NEXT if seen else StepState.LATER,
        _("Choose what wakes you"),
        _("You are told by mail of what you chose.")
        if told
        else _("A failed System Integrity Check puts every level since the last good one in doubt: be told."),
        reverse("monitoring:notifications", args=[slug]),
        _("Change it") if told else _("Choose"),
    )
    others = Membership.objects.exclude(pk=membership.pk).count()
    others += Invitation.objects.open(timezone.now()).count()
    yield Step(
        "people",
        StepState.DONE if others else StepState.NEXT if seen else StepState.LATER,
        _("Bring the others in"),
        ngettext("%d other person is in or invited.", "%d other people are in or invited.", others) % others
        if others
        else _("Colleagues and clients see the same pages; a viewer can change nothing."),
        reverse("instruments:people", args=[slug]),
        _("See who") if others else _("Invite"),
    )


def _key_step(slug: str, keys: Sequence[ApiKey]) -> Step:
    title, href = _("Add your MyCirrus key"), reverse("instruments:keys", args=[slug])
    if not keys:
        text = _(
            "Make one in the MyCirrus console at mycirrus.cloud/developer-api and paste it here. It is kept "
            "encrypted and never shown again."
        )
        add = reverse("instruments:key-add", args=[slug])
        return Step("key", StepState.NEXT, title, text, add, _("Add a key"))
    usable = [key for key in keys if key.state in USABLE]
    if not usable:
        bad = keys[0]
        text = f"{bad.label}: {bad.get_state_display()}. {bad.message}".strip()
        return Step("key", StepState.WRONG, title, text, href, _("Look at the key"))
    lines = [line for key in usable for line in scope_lines(key.scopes)]
    held = {line.scope for line in lines if line.held}
    # What any of the keys may do is no cost.
    costs = {line.scope: str(line.cost) for line in lines if line.held is False and line.scope not in held}
    text = ngettext(
        "MyCirrus takes it; it may do everything that is asked for.",
        "MyCirrus takes %d keys; they may do everything that is asked for.",
        len(usable),
    )
    text = text % len(usable) if "%d" in text else text
    if costs:
        text = _("MyCirrus takes it. What it may not do costs this:")
    return Step(
        "key", StepState.DONE, title, text, href, _("See what it may do"), notes=tuple(costs.values())
    )


def _instruments_step(slug: str, *, reads: bool) -> Step:
    title, fleet = _("See your instruments arrive"), reverse("monitoring:fleet", args=[slug])
    total = Instrument.objects.present().count()
    progress = Progress.now()
    if total and not progress.waiting:
        text = ngettext("%d instrument is here.", "%d instruments are here.", total) % total
        text += " " + _("Their history goes on arriving, newest first, and holds nothing up.")
        return Step("instruments", StepState.DONE, title, text, fleet, _("To the fleet"))
    if total:
        text = _("They are read for the first time.")
        return Step(
            "instruments",
            StepState.WORKING,
            title,
            text,
            fleet,
            _("To the fleet"),
            done=progress.done,
            of=progress.total,
        )
    if reads:
        text = _("Their list is being read. An account without instruments stays empty.")
        return Step("instruments", StepState.WORKING, title, text)
    return Step("instruments", StepState.LATER, title, _("They come by themselves once there is a key."))


def _webhooks_step(slug: str, *, ready: bool) -> Step:
    title, href = _("Have news pushed here"), reverse("webhooks:registration", args=[slug])
    counts = totals()
    if counts.wanted and counts.placed >= counts.wanted:
        text = _("Every instrument's webhooks are registered with MyCirrus.")
        return Step("webhooks", StepState.DONE, title, text, href, _("See them"))
    if not address_is_registrable():
        text = _(
            "MyCirrus sends to public https addresses only, and this installation has none: news comes by asking, "
            "every %(minutes)d minutes. The operator can set PUBLIC_URL."
        ) % {"minutes": max(1, round(settings.POLL_NOISE_SECONDS / 60))}
        return Step("webhooks", StepState.LEFT_OUT, title, text)
    if not ready:
        text = _("With webhooks, news is here within seconds; without them it waits for the next poll.")
        return Step("webhooks", StepState.LATER, title, text)
    done, of = counts.placed, counts.wanted
    if any(row.working(timezone.now()) for row in registrations_in_use()):
        text = _("They are being registered.")
        return Step("webhooks", StepState.WORKING, title, text, href, _("See them"), done=done, of=of)
    if counts.failed:
        text = _("Some were not accepted.")
        return Step("webhooks", StepState.WRONG, title, text, href, _("See why"), done=done, of=of)
    text = _("With webhooks, news is here within seconds; without them it waits for the next poll.")
    start = reverse("webhooks:registration-start", args=[slug])
    return Step(
        "webhooks", StepState.NEXT, title, text, start, _("Register all"), post=True, done=done, of=of
    )
