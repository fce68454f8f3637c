"""What surrounds every request: log context, sign-in under htmx, and the organisation in the path."""

import re
import secrets
import zoneinfo
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from instruments.access import membership_for, memberships_of, signed_in_member
from instruments.models.people import people_addressed
from instruments.tenancy import organisation_scope

GetResponse = Callable[[HttpRequest], HttpResponse]
_ORGANISATION_PATH = re.compile(r"^/o/(?P<slug>[-a-zA-Z0-9_]+)/")


def log_context(get_response: GetResponse) -> GetResponse:
    """Give every line logged during a request the same request id."""
    # Counted from anywhere: to ask the kernel for chance each time is a twentieth of what storing a webhook costs.
    numbers = count(secrets.randbits(47))

    def middleware(request: HttpRequest) -> HttpResponse:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=f"{next(numbers):012x}")
        return get_response(request)

    return middleware


def htmx_sign_in(get_response: GetResponse) -> GetResponse:
    """Send the whole browser to sign-in when a session ended, never a sign-in page into a table cell."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.htmx and response.status_code == 302:  # type: ignore[attr-defined]
            target = response["Location"]
            if target.startswith(resolve_url(settings.LOGIN_URL)):
                # Back to the page that the person was on, not to the fragment's address.
                page = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
                login = resolve_url(settings.LOGIN_URL)
                redirect = HttpResponse(
                    status=204, headers={"HX-Redirect": f"{login}?{urlencode({'next': page})}"}
                )
                # A message is among them.
                redirect.cookies = response.cookies
                return redirect
        return response

    return middleware


class SignInRequired(LoginRequiredMiddleware):
    """Ask for a sign-in, and say so where what was sent is lost by that."""

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseRedirect:
        """Back to where the form stands: its own address takes nothing but what a form sends."""
        if request.method in ("GET", "HEAD"):
            return super().handle_no_permission(request, view_func)
        messages.warning(
            request, _("You were no longer signed in, so nothing was saved. Sign in and send it again.")
        )
        came_from = urlsplit(request.headers.get("Referer", ""))
        ours = (came_from.scheme, came_from.netloc) == (request.scheme, request.get_host())
        page = urlunsplit(came_from._replace(scheme="", netloc="")) if ours else "/"
        return redirect_to_login(page, self.get_login_url(view_func), self.get_redirect_field_name(view_func))


def no_page(get_response: GetResponse) -> GetResponse:
    """Say in words that an address is none of a page: Django's own answer to it is empty."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method == "GET" and isinstance(response, HttpResponseNotAllowed):
            page = render(request, "405.html", status=response.status_code)
            page["Allow"] = response["Allow"]
            return page
        return response

    return middleware


def organisation(get_response: GetResponse) -> GetResponse:
    """Resolve `/o/<slug>/` to a membership once, and keep its scope open until the response is rendered."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.organisation = None  # type: ignore[attr-defined]
        request.membership = None  # type: ignore[attr-defined]
        request.memberships = SimpleLazyObject(lambda: memberships_of(request.user))  # type: ignore[attr-defined]
        match = _ORGANISATION_PATH.match(request.path_info)
        if match is None:
            return get_response(request)
        membership = signed_in_member(request, match["slug"])
        if membership is None and not request.user.is_authenticated:
            # Nobody: SignInRequired answers the same for every slug.
            return get_response(request)
        membership = membership or membership_for(request.user, match["slug"])
        if membership is None:
            # An outsider cannot tell an organisation that exists from one that does not.
            request.outsider = True  # type: ignore[attr-defined]
            return get_response(request)
        request.membership = membership  # type: ignore[attr-defined]
        request.organisation = membership.organisation  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(organisation=membership.organisation.slug)
        with (
            organisation_scope(membership.organisation_id),
            timezone.override(zoneinfo.ZoneInfo(membership.organisation.timezone)),
            # Anybody joins the demo.
            people_addressed(not membership.organisation.is_demo),
        ):
            response = get_response(request)
            # A lazy response rendered later would run its queries without a scope.
            render = getattr(response, "render", None)
            if callable(render) and not getattr(response, "is_rendered", True):
                response = render()
            return response

    def process_view(request: HttpRequest, *_args: object) -> None:
        if getattr(request, "outsider", False):
            raise Http404

    middleware.process_view = process_view  # type: ignore[attr-defined]
    return middleware
