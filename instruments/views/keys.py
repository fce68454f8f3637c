"""An organisation's keys: what each may do, and adding, verifying, rotating, revoking; a secret is never in a page."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cirrusweb.htmx import render, unchanged, version_of, wants_fragment
from instruments.access import organisation_for, person_for, require_role
from instruments.forms import KeyForm, RotateForm
from instruments.keys import api_key_add, api_key_revoke, api_key_rotate, api_key_verify, pace_of
from instruments.models import ApiKey, Instrument, Role
from instruments.scopes import ScopeLine, scope_lines

_TONES = {
    ApiKey.State.UNVERIFIED: "muted",
    ApiKey.State.GOOD: "good",
    ApiKey.State.MISSING_SCOPE: "warn",
    ApiKey.State.REFUSED: "bad",
    ApiKey.State.UNREACHABLE: "warn",
}
_LEVELS = {"good": messages.SUCCESS, "warn": messages.WARNING, "bad": messages.ERROR, "muted": messages.INFO}


@dataclass(frozen=True, slots=True)
class KeyCard:
    """One key as its page shows it."""

    key: ApiKey
    tone: str
    scopes: list[ScopeLine]
    # Requests a second that MyCirrus is asked at present, all workers together.
    pace: float

    @property
    def paused(self) -> bool:
        """Whether MyCirrus asked it to wait."""
        return self.key.pausing(timezone.now())

    @property
    def told(self) -> list[Any]:
        """What its card says."""
        key = self.key
        who = [key.pk, key.label, key.fingerprint, key.rotated_at, round(self.pace, 1)]
        return [*who, key.state, key.message, key.verified_at, key.scopes, self.paused and key.paused_until]

    @property
    def held(self) -> int:
        """How many scopes it was found to have."""
        return sum(line.held is True for line in self.scopes)

    @property
    def untold(self) -> int:
        """Of how many it could not be told."""
        return sum(line.held is None for line in self.scopes)


def _card(api_key: ApiKey) -> KeyCard:
    pace = pace_of(api_key.fingerprint)
    return KeyCard(api_key, _TONES[ApiKey.State(api_key.state)], scope_lines(api_key.scopes), pace)


def _key_for(request: HttpRequest, pk: int) -> ApiKey:
    organisation_for(request)
    try:
        return ApiKey.objects.usable().get(pk=pk)
    except ApiKey.DoesNotExist:
        raise Http404 from None


def _say_state(request: HttpRequest, api_key: ApiKey) -> None:
    text = f"{api_key.label}: {api_key.get_state_display()}. {api_key.message}".strip()
    messages.add_message(request, _LEVELS[_TONES[ApiKey.State(api_key.state)]], text)


@require_safe
@require_role(Role.ADMIN)
def keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Every key in use, and those that were revoked. A poll without news costs a 204."""
    rows = list(ApiKey.objects.order_by("pk"))
    cards = [_card(key) for key in rows if key.revoked_at is None]
    version = version_of(len(rows), *(card.told for card in cards))
    if wants_fragment(request) and request.GET.get("version") == version:
        return unchanged()
    context = {
        "cards": cards,
        "revoked": [key for key in rows if key.revoked_at is not None],
        "version": version,
        "troubled": sum(card.tone in ("warn", "bad") for card in cards),
    }
    return render(request, "instruments/keys.html", context, fragment="keys")


@sensitive_post_parameters("secret")
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def key_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Store a key and ask MyCirrus about it at once."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            api_key = api_key_add(
                organisation=organisation_for(request),
                label=form.cleaned_data["label"],
                secret=form.cleaned_data["secret"],
                base_url=form.cleaned_data.get("base_url", ""),
                actor=person_for(request),
            )
        except ValidationError as refusal:
            form.add_error("secret", ValidationError(refusal.messages))
        else:
            _say_state(request, api_key_verify(api_key=api_key, now=timezone.now()))
            # The first key is one step of several; every other is a matter of its own.
            first = not Instrument.objects.exists()
            return redirect("start" if first else "instruments:keys", slug=slug)
    status = 422 if form.errors else None
    return render(
        request, "instruments/key_add.html", {"form": form, "scopes": scope_lines({})}, status=status
    )


@require_POST
@require_role(Role.ADMIN)
def key_verify(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask MyCirrus now."""
    _say_state(request, api_key_verify(api_key=_key_for(request, pk), now=timezone.now()))
    return redirect("instruments:keys", slug=slug)


@sensitive_post_parameters("secret")
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def key_rotate(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Put a new secret in the place of the present one."""
    api_key = _key_for(request, pk)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            api_key_rotate(
                api_key=api_key,
                secret=form.cleaned_data["secret"],
                actor=person_for(request),
                now=timezone.now(),
            )
        except ValidationError as refusal:
            form.add_error("secret", ValidationError(refusal.messages))
        else:
            _say_state(request, api_key)
            return redirect("instruments:keys", slug=slug)
    status = 422 if form.errors else None
    return render(request, "instruments/key_rotate.html", {"form": form, "key": api_key}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def key_revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask once more, then stop using the key."""
    api_key = _key_for(request, pk)
    if request.method == "POST":
        api_key_revoke(api_key=api_key, actor=person_for(request), now=timezone.now())
        messages.success(
            request,
            _("%(label)s is revoked here. Remove it in the MyCirrus console too if nothing else uses it.")
            % {"label": api_key.label},
        )
        return redirect("instruments:keys", slug=slug)
    reached = Instrument.objects.present().filter(api_key=api_key).count()
    return render(request, "instruments/key_revoke.html", {"key": api_key, "reached": reached})
