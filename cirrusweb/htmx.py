"""The one place that decides between a page and a fragment of it; it holds no content."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import patch_vary_headers

NOTHING_CHANGED = 204
STOP_POLLING = 286


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a piece of the page that it already shows."""
    htmx = request.htmx  # type: ignore[attr-defined]
    # A history restore needs the whole page: htmx puts what it gets in place of the document's body.
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    fragment: str | None = None,
    status: int | None = None,
) -> HttpResponse:
    """The page, or only its partial ``fragment`` where htmx asked for it."""
    as_fragment = fragment is not None and wants_fragment(request)
    name = f"{template}#{fragment}" if as_fragment else template
    response = TemplateResponse(request, name, dict(context or {}), status=status)
    patch_vary_headers(response, ["HX-Request"])
    if as_fragment:
        response["Cache-Control"] = "no-store"
    return response


def version_of(*told: object) -> str:
    """What a poll compares: it changes with whatever a part of a page tells."""
    return blake2b(repr(told).encode(), digest_size=8).hexdigest()


def unchanged() -> HttpResponse:
    """The answer to a poll when what is on the screen still holds."""
    return HttpResponse(status=NOTHING_CHANGED, headers={"Cache-Control": "no-store", "Vary": "HX-Request"})
