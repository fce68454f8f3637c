"""The only door for views to organisations and instruments: it answers 404 to outsiders and 403 to too small a role."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from instruments.joined import Joined
from instruments.models import ApiKey, Deployment, Instrument, Membership, Organisation, Role, Site, User
from instruments.sessions import SessionStore
from instruments.sites import zone_of
from instruments.tenancy import active_organisation_id, all_organisations

View = Callable[..., HttpResponse]


def memberships_of(user: Any) -> list[Membership]:
    """The organisations that this person belongs to, by name."""
    if not user.is_authenticated:
        return []
    with all_organisations(reason="a person's own memberships span organisations"):
        return list(
            Membership.objects.filter(user=user).select_related("organisation").order_by("organisation__name")
        )


_MEMBER = Joined(
    f"""
        FROM "{Membership._meta.db_table}" AS member
        JOIN "{Organisation._meta.db_table}" AS organisation ON organisation.id = member.organisation_id
        JOIN "{User._meta.db_table}" AS person ON person.id = member.user_id
        WHERE member.user_id = %(user)s AND organisation.slug = %(slug)s
    """,
    member=Membership,
    organisation=Organisation,
    person=User,
)


def signed_in_member(request: HttpRequest, slug: str) -> Membership | None:
    """The membership of whoever is signed in and, with it, the person: one query for what are two.

    Where anything is out of the ordinary, the answer is None and Django's own, slower way decides.
    """
    session = request.session
    if session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS or SESSION_KEY not in session:
        return None
    found = _MEMBER.first(user=User._meta.pk.to_python(session[SESSION_KEY]), slug=slug)
    if found is None:
        return None
    membership: Membership = found["member"]
    membership.organisation, membership.user = found["organisation"], found["person"]
    if not membership.user.is_active:
        return None
    # As django.contrib.auth.get_user does: a changed password ends every session.
    known = session.get(HASH_SESSION_KEY, "")
    if not constant_time_compare(known, membership.user.get_session_auth_hash()):
        return None
    request.user = membership.user
    return membership


def signed_in_still(request: HttpRequest, slug: str) -> bool:
    """Whether who asked would be let in now, for an answer that lasts: session, person and membership read anew."""
    request.session = SessionStore(request.session.session_key)
    return signed_in_member(request, slug) is not None


def membership_for(user: Any, slug: str) -> Membership | None:
    """The membership of this person at ``slug``; None for an outsider."""
    with all_organisations(reason="the path names the organisation before a scope can be opened"):
        return (
            Membership.objects.filter(user=user, organisation__slug=slug)
            .select_related("organisation", "user")
            .first()
        )


def organisation_for(request: HttpRequest) -> Organisation:
    """The organisation in the path. Raises Http404 where there is none or the person is an outsider."""
    organisation = getattr(request, "organisation", None)
    if organisation is None:
        raise Http404
    return organisation


def person_for(request: HttpRequest) -> User:
    """Who is signed in: behind SignInRequired there is always somebody."""
    return cast(User, request.user)


def instrument_joined(
    join: str, only: Mapping[str, Sequence[str]] | None = None, **models: type[Model]
) -> Joined:
    """What `instrument_for` reads: an instrument, where it stands, and what ``join`` adds as ``models``."""
    statement = f"""
        FROM "{Instrument._meta.db_table}" AS instrument
        LEFT JOIN "{Deployment._meta.db_table}" AS deployed ON deployed.instrument_id = instrument.id
            AND deployed.start_at <= %(now)s AND (deployed.end_at IS NULL OR deployed.end_at > %(now)s)
        LEFT JOIN "{Site._meta.db_table}" AS site ON site.id = deployed.site_id
        {join}
        WHERE instrument.organisation_id = %(organisation)s AND instrument.serial = %(serial)s
    """
    return Joined(statement, only, instrument=Instrument, deployed=Deployment, site=Site, **models)


_WITH_KEY = instrument_joined(
    f'LEFT JOIN "{ApiKey._meta.db_table}" AS api_key ON api_key.id = instrument.api_key_id', api_key=ApiKey
)


def instrument_for(request: HttpRequest, serial: str, joined: Joined = _WITH_KEY) -> Instrument:
    """The instrument of the organisation in the path, with where it stands now. Raises Http404.

    ``joined`` says what is read of it, by default all with its key. From here on the request tells times in the zone
    of the place where the instrument stands: the middleware, which set the organisation's, takes either back at the
    request's end.
    """
    organisation = organisation_for(request)
    if "\0" in serial:
        # PostgreSQL refuses even to look for one.
        raise Http404
    found = joined.first(now=timezone.now(), organisation=active_organisation_id(), serial=serial)
    if found is None:
        raise Http404
    instrument: Instrument = found.pop("instrument")
    deployed, site = found["deployed"], found.pop("site")
    if deployed is not None:
        deployed.site = site
    # The scope let no other through, and this one was read already.
    for name, part in {"organisation": organisation, **found}.items():
        setattr(instrument, name, part)
    if site is not None and site.zone is not None:
        timezone.activate(site.zone)
    return instrument


def place_activate(request: HttpRequest, instrument: Instrument, at: datetime) -> None:
    """From here on the request tells times in the zone of the place where ``instrument`` stood at ``at``. One query."""
    instrument.organisation = organisation_for(request)
    timezone.activate(zone_of(instrument, at))


def site_for(request: HttpRequest, pk: int) -> Site:
    """The site of the organisation in the path. Raises Http404. Times are told in its zone from here on."""
    organisation_for(request)
    try:
        site = Site.objects.select_related("organisation").get(pk=pk)
    except Site.DoesNotExist:
        raise Http404 from None
    if site.zone is not None:
        timezone.activate(site.zone)
    return site


def key_of(text: str) -> int:
    """The key of a row that a form or an address names; 0, which no row has, for what can be none."""
    # Python reads no number of thousands of digits, SQLite none beyond 64 bits.
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def require_role(needed: Role) -> Callable[[View], View]:
    """Let a view be used only by members whose role is at least ``needed``: 404 outside, 403 below."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            organisation_for(request)
            if not request.membership.covers(needed):  # type: ignore[attr-defined]
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.required_role = needed  # type: ignore[attr-defined]
        return guarded

    return decorate
