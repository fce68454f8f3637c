"""Every address of the project against every kind of person; an address that is not in the table fails here."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache as django_cache
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from instruments.models import Deployment, Instrument, Invitation, Membership, Organisation, Role, Site
from instruments.photos import Photo, site_photo_set
from instruments.tenancy import organisation_scope
from monitoring.media.fetch import cache
from monitoring.models import (
    AlertChannel,
    AlertRule,
    AudioRecording,
    Calibration,
    Certificate,
    ChannelSecret,
    Event,
    FleetView,
    Incident,
    TimeHistoryRequest,
)
from tests.conftest import People, make_instrument, make_key, make_user
from webhooks.models import Delivery, Subscription

# The smallest role that an address below /o/<slug>/ is open to.
ROLES: dict[str, Role] = {
    "instruments:invitation-revoke": Role.ADMIN,
    "instruments:invite": Role.ADMIN,
    "instruments:key-add": Role.ADMIN,
    "instruments:key-revoke": Role.ADMIN,
    "instruments:key-rotate": Role.ADMIN,
    "instruments:key-verify": Role.ADMIN,
    "instruments:keys": Role.ADMIN,
    "instruments:member-remove": Role.ADMIN,
    "instruments:member-role": Role.ADMIN,
    "instruments:organisation-settings": Role.ADMIN,
    "instruments:people": Role.VIEWER,
    "monitoring:act-calibration": Role.MEMBER,
    "monitoring:act-identify": Role.MEMBER,
    "monitoring:act-rename": Role.MEMBER,
    "monitoring:act-sic": Role.MEMBER,
    "monitoring:actions": Role.MEMBER,
    "monitoring:activity": Role.MEMBER,
    "monitoring:alert-rule": Role.ADMIN,
    "monitoring:alert-rule-add": Role.ADMIN,
    "monitoring:alert-rule-switch": Role.ADMIN,
    "monitoring:alert-rules": Role.VIEWER,
    "monitoring:alert-settings": Role.MEMBER,
    "monitoring:alerts": Role.VIEWER,
    "monitoring:calibrations": Role.VIEWER,
    "monitoring:compare": Role.VIEWER,
    "monitoring:compare-csv": Role.VIEWER,
    "monitoring:compare-json": Role.VIEWER,
    "monitoring:event-audio": Role.VIEWER,
    "monitoring:event-causes": Role.MEMBER,
    "monitoring:doubt-review": Role.MEMBER,
    "monitoring:event-detail": Role.VIEWER,
    "monitoring:event-tag": Role.MEMBER,
    "monitoring:event-trace": Role.VIEWER,
    "monitoring:event-trace-csv": Role.VIEWER,
    "monitoring:event-trace-table": Role.VIEWER,
    "monitoring:events": Role.VIEWER,
    "monitoring:calibrations-history": Role.VIEWER,
    "monitoring:calibrator-add": Role.MEMBER,
    "monitoring:certificate-add": Role.MEMBER,
    "monitoring:certificate-remove": Role.MEMBER,
    "monitoring:channel": Role.MEMBER,
    "monitoring:channel-add": Role.ADMIN,
    "monitoring:channel-edit": Role.ADMIN,
    "monitoring:channel-remove": Role.ADMIN,
    "monitoring:channel-test": Role.ADMIN,
    "monitoring:channels": Role.MEMBER,
    "monitoring:checks-calendar": Role.VIEWER,
    "monitoring:checks-calibrations": Role.VIEWER,
    "monitoring:checks-calibrations-csv": Role.VIEWER,
    "monitoring:checks-certificates": Role.VIEWER,
    "monitoring:checks-sics": Role.VIEWER,
    "monitoring:checks-sics-csv": Role.VIEWER,
    "monitoring:checks-tolerances": Role.VIEWER,
    "monitoring:deployment": Role.MEMBER,
    "monitoring:fleet": Role.VIEWER,
    "monitoring:health": Role.VIEWER,
    "monitoring:histories": Role.VIEWER,
    "monitoring:history-csv": Role.VIEWER,
    "monitoring:history-detail": Role.VIEWER,
    "monitoring:history-json": Role.VIEWER,
    "monitoring:history-remove": Role.MEMBER,
    "monitoring:fleet-act-identify": Role.MEMBER,
    "monitoring:fleet-act-sic": Role.MEMBER,
    "monitoring:fleet-columns": Role.VIEWER,
    "monitoring:fleet-view": Role.VIEWER,
    "monitoring:fleet-view-remove": Role.VIEWER,
    "monitoring:fleet-view-save": Role.VIEWER,
    "monitoring:incident": Role.VIEWER,
    "monitoring:incident-handle": Role.MEMBER,
    "monitoring:instrument": Role.VIEWER,
    "monitoring:levels": Role.VIEWER,
    "monitoring:levels-csv": Role.VIEWER,
    "monitoring:levels-table": Role.VIEWER,
    "monitoring:days": Role.VIEWER,
    "monitoring:days-csv": Role.VIEWER,
    "monitoring:live": Role.VIEWER,
    "monitoring:notifications": Role.VIEWER,
    "monitoring:record": Role.VIEWER,
    "monitoring:record-missing": Role.VIEWER,
    "monitoring:recording-audio": Role.VIEWER,
    "monitoring:recording-detail": Role.VIEWER,
    "monitoring:recordings": Role.VIEWER,
    "monitoring:samples": Role.VIEWER,
    "monitoring:samples-csv": Role.VIEWER,
    "monitoring:samples-table": Role.VIEWER,
    "monitoring:sic-baseline": Role.MEMBER,
    "monitoring:sics": Role.VIEWER,
    "monitoring:spectrogram": Role.VIEWER,
    "monitoring:spectrogram-csv": Role.VIEWER,
    "monitoring:spectrogram-table": Role.VIEWER,
    "monitoring:spectrum": Role.VIEWER,
    "monitoring:spectrum-csv": Role.VIEWER,
    "monitoring:spectrum-json": Role.VIEWER,
    "monitoring:sics-history": Role.VIEWER,
    "monitoring:site": Role.VIEWER,
    "monitoring:site-add": Role.MEMBER,
    "monitoring:site-deploy": Role.MEMBER,
    "monitoring:site-edit": Role.MEMBER,
    "monitoring:site-photo": Role.VIEWER,
    "monitoring:site-remove": Role.MEMBER,
    "monitoring:sites": Role.VIEWER,
    "monitoring:tolerances-change": Role.ADMIN,
    "start": Role.ADMIN,
    "webhooks:address-rotate": Role.ADMIN,
    "webhooks:deliveries-replay": Role.ADMIN,
    "webhooks:delivery-detail": Role.ADMIN,
    "webhooks:delivery-replay": Role.ADMIN,
    "webhooks:inbox": Role.VIEWER,
    "webhooks:registration": Role.VIEWER,
    "webhooks:registration-compare": Role.ADMIN,
    "webhooks:registration-start": Role.ADMIN,
    "webhooks:subscription-remove": Role.ADMIN,
    "webhooks:subscriptions": Role.ADMIN,
}
# Whom the addresses beside the organisations are for; allauth's and the admin's are their own affair.
ELSEWHERE: dict[str, str] = {
    "alert-link": "everybody",
    "alert-unsubscribe": "everybody",
    "calendar": "everybody",
    "healthz": "everybody",
    "readyz": "everybody",
    "hook": "everybody",
    "instruments:invitation": "everybody",
    "instruments:demo-join": "signed in",
    "instruments:demo-leave": "signed in",
    "instruments:organisations": "signed in",
    "instruments:organisation-create": "operator",
    "outbox": "operator",
}
_OTHERS = {"admin", "accounts"}
NOW = datetime.now(UTC)


def _walk(patterns: list[Any], prefix: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """(route, name with its namespace) of every address."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _walk(pattern.url_patterns, route, inner)
        elif isinstance(pattern, URLPattern):
            yield route, f"{space}{pattern.name}" if pattern.name else ""


def _names(below_organisation: bool) -> set[str]:
    below = "o/<slug:slug>/"
    return {
        name
        for route, name in _walk(get_resolver().url_patterns)
        if route.startswith(below) is below_organisation and route.split("/")[0] not in _OTHERS and name
    }


def test_every_address_below_an_organisation_is_in_the_table() -> None:
    assert _names(below_organisation=True) == set(ROLES)


def test_every_other_address_is_in_the_table() -> None:
    assert _names(below_organisation=False) == set(ELSEWHERE)


def test_every_address_below_an_organisation_has_a_name() -> None:
    assert not [
        route for route, name in _walk(get_resolver().url_patterns) if route.startswith("o/") and not name
    ]


def _invitation(organisation: Organisation) -> Invitation:
    return Invitation.objects.create(
        organisation=organisation,
        email="new@example.com",
        digest=organisation.slug,
        expires_at=NOW + timedelta(days=1),
    )


def _delivery(organisation: Organisation) -> Delivery:
    return Delivery.objects.create(
        organisation=organisation, received_at=NOW, due_at=NOW, body=b"{}", digest="0", signature="valid"
    )


def _subscription(organisation: Organisation) -> Subscription:
    subscription = Subscription(organisation=organisation, remote_id="hook-1")
    subscription.secret_set("a webhook's secret")
    subscription.save()
    return subscription


def _event(organisation: Organisation) -> Event:
    instrument = Instrument.objects.filter(serial="QT000001").first() or make_instrument(organisation)
    return Event.objects.create(
        organisation=organisation, instrument=instrument, start_at=NOW, audio_id=_heard(instrument, "event")
    )


def _recording(organisation: Organisation) -> AudioRecording:
    instrument = Instrument.objects.filter(serial="QT000001").first() or make_instrument(organisation)
    return AudioRecording.objects.create(
        organisation=organisation,
        instrument=instrument,
        start_at=NOW,
        remote_id=_heard(instrument, "recording"),
    )


def _history(organisation: Organisation) -> TimeHistoryRequest:
    instrument = Instrument.objects.filter(serial="QT000001").first() or make_instrument(organisation)
    return TimeHistoryRequest.objects.create(
        organisation=organisation,
        instrument=instrument,
        kind="noise",
        start_at=NOW - timedelta(hours=1),
        end_at=NOW,
        step_ms=1000,
        token=uuid.uuid4(),
        requested_at=NOW,
        fetched_until=NOW,
        due_at=NOW,
    )


def _heard(instrument: Instrument, kind: str) -> str:
    """The id of a sound that somebody has listened to: nothing need be fetched for it."""
    place = cache().place(instrument.organisation_id, instrument.serial, kind, "sound-1", "FLAC")
    cache().write(place, [b"fLaC and so on"], most=100)
    return "sound-1"


def _channel(organisation: Organisation) -> AlertChannel:
    channel = AlertChannel(organisation=organisation, kind="slack", name="Room")
    # Nobody listens there, and it is refused before anybody is asked.
    channel.secret_set(ChannelSecret("https://127.0.0.1:9/services/secretsecret"))
    channel.save()
    return channel


def _site(organisation: Organisation) -> Site:
    site = Site.objects.create(organisation=organisation, name="Site")
    site_photo_set(
        site=site, photo=Photo(b"a picture", 1, 1), actor=make_user(f"photos@{organisation.slug}.example")
    )
    return site


def _deployment(organisation: Organisation) -> Deployment:
    instrument = make_instrument(organisation, "QT000077")
    return Deployment.objects.create(
        organisation=organisation, instrument=instrument, site=_site(organisation), start_at=NOW
    )


# How the thing that an address is about is made in an organisation; nothing listens at the key's address.
_THINGS: dict[str, Callable[[Organisation], Any]] = {
    "key": lambda organisation: make_key(organisation, base_url="http://127.0.0.1:9/v1"),
    "invitation": _invitation,
    "member": lambda organisation: Membership.objects.create(
        organisation=organisation, user=make_user(f"more@{organisation.slug}.example"), role=Role.VIEWER
    ),
    "delivery": _delivery,
    "event": _event,
    "history": _history,
    "recording": _recording,
    "incident": lambda organisation: Incident.objects.create(
        organisation=organisation, kind="sic_failed", opened_at=NOW
    ),
    "alert": lambda organisation: AlertRule.objects.filter(organisation=organisation).first(),
    "channel": _channel,
    "subscription": _subscription,
    "fleet": lambda organisation: FleetView.objects.create(organisation=organisation, name="Worst"),
    "site": _site,
    "deployment": _deployment,
    "certificate": lambda organisation: Certificate.objects.create(
        organisation=organisation,
        instrument=make_instrument(organisation, "QT000077"),
        number="1",
        laboratory="Laboratory",
        issued_on=date(2026, 1, 1),
        due_on=date(2028, 1, 1),
    ),
}


def _address(name: str, organisation: Organisation, *, of: Organisation | None = None) -> str:
    """The address ``name`` in ``organisation``, about a thing of ``of`` (itself unless said)."""
    of = of or organisation
    route = next(route for route, found in _walk(get_resolver().url_patterns) if found == name)
    arguments: dict[str, Any] = {"slug": organisation.slug}
    with organisation_scope(of.pk):
        if "<str:serial>" in route:
            instrument = Instrument.objects.filter(serial="QT000001").first() or make_instrument(of)
            arguments["serial"] = instrument.serial
        if "<str:kind>" in route:
            arguments["kind"] = "weather"
        if "<int:found>" in route:
            at = NOW.replace(microsecond=0)
            Calibration.objects.create(organisation=of, instrument=instrument, at=at, status="Failed")
            arguments["found"] = int(at.timestamp())
        if "<int:pk>" in route:
            thing = name.split(":")[1].split("-")[0]
            arguments["pk"] = _THINGS[thing](of).pk
    return reverse(name, kwargs=arguments)


def _both(browser: Client, address: str) -> list[HttpResponse]:
    return [browser.get(address), browser.post(address)]  # type: ignore[list-item]


@pytest.fixture(autouse=True)
def _no_limits_from_other_tests() -> None:
    django_cache.clear()


@pytest.mark.parametrize("name", sorted(ROLES))
def test_who_may_come_here(people: People, name: str) -> None:
    address = _address(name, people.organisation)
    for role, user in (
        (Role.VIEWER, people.bob),
        (Role.MEMBER, people.mary),
        (Role.ADMIN, people.adam),
        (Role.OWNER, people.alice),
    ):
        if role.covers(ROLES[name]):
            # One request of the person whose page it is; what it changes has tests of its own.
            answer = people.client(user).get(address)
            # An address may lead to another of the same organisation, and never to the sign-in.
            inside = answer.headers.get("Location", "").startswith(f"/o/{people.organisation.slug}/")
            assert answer.status_code in (200, 204, 405) or inside, (role, answer.status_code)
            continue
        statuses = {answer.status_code for answer in _both(people.client(user), address)}
        assert 403 in statuses, role
        assert statuses <= {403, 405}, role


@pytest.mark.parametrize("name", sorted(ROLES))
def test_smallest_role_may_act_here(people: People, name: str) -> None:
    """A POST is let through as far as the form: refused for what it says, or for being a POST, not for who says it."""
    user = {Role.VIEWER: people.bob, Role.MEMBER: people.mary, Role.ADMIN: people.adam}[ROLES[name]]
    answer = people.client(user).post(_address(name, people.organisation))
    assert answer.status_code in (200, 302, 405, 422)


@pytest.mark.parametrize("name", sorted(ROLES))
def test_outsider_cannot_tell_it_from_nothing(people: People, name: str) -> None:
    address, operator = _address(name, people.organisation), make_user("op@example.com", is_superuser=True)
    for user in (people.charlie, operator):
        for answer in _both(people.client(user), address):
            assert answer.status_code == 404
            assert "Harbour" not in answer.content.decode()
        nowhere = people.client(user).get(address.replace("harbour", "nowhere"))
        assert nowhere.status_code == 404


@pytest.mark.parametrize("name", sorted(ROLES))
def test_anonymous_is_sent_to_sign_in_whatever_there_is(people: People, name: str) -> None:
    address = _address(name, people.organisation)
    for asked in (address, address.replace("harbour", "nowhere")):
        for answer in _both(people.client(None), asked):
            assert answer.status_code == 302
            assert answer["Location"].startswith("/accounts/login/?next=")


def _about_one_thing() -> list[str]:
    routes = _walk(get_resolver().url_patterns)
    return sorted(name for route, name in routes if name in ROLES and route.count("<") > 1)


@pytest.mark.parametrize("name", _about_one_thing())
def test_things_of_another_organisation_are_not_here(people: People, name: str) -> None:
    address = _address(name, people.organisation, of=people.other)
    statuses = {answer.status_code for answer in _both(people.client(people.alice), address)}
    assert 404 in statuses
    assert statuses <= {404, 405}


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_addresses_beside_the_organisations(people: People, name: str) -> None:
    arguments = {
        "alert-link": ["nonsense"],
        "alert-unsubscribe": ["nonsense"],
        "calendar": ["nonsense"],
        "hook": ["nonsense"],
        "instruments:invitation": ["nonsense"],
    }.get(name, [])
    address, anonymous = reverse(name, args=arguments), people.client(None).get(reverse(name, args=arguments))
    if ELSEWHERE[name] == "everybody":
        assert anonymous.status_code != 302
        return
    assert anonymous.status_code == 302
    assert anonymous["Location"].startswith("/accounts/login/")
    if ELSEWHERE[name] == "operator":
        assert people.client(people.alice).get(address).status_code in (403, 404)
