"""Webhooks at a simulated MyCirrus, registered from here and kept so through what happens to them there."""

import re
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instruments import keys
from instruments.models import ApiKey, Instrument, Organisation
from instruments.mycirrus import Client, RateLimiter
from instruments.mycirrus.types import Webhook
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_instrument, make_key
from tests.simulated import SimulatedMyCirrus
from tests.webhooks.conftest import deliveries
from webhooks import registration
from webhooks.messages import KINDS
from webhooks.models import Registration, Subscription
from webhooks.notices import webhook_notices
from webhooks.registration import registration_claim, registration_run
from webhooks.schedule import newcomers_make_due, registrations_ask, registrations_due, registrations_ensure
from webhooks.slots import slots_ensure

pytestmark = pytest.mark.django_db(transaction=True)

State, Outcome = Subscription.State, Registration.Outcome
ALL = ["instruments:read", "webhooks:read", "webhooks:write"]


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatedMyCirrus]:
    # What it measures at a quarter of an hour must not arrive beside what a test sends and counts.
    with SimulatedMyCirrus("--no-happenings", fleet=3) as running:
        yield running


@pytest.fixture
def mycirrus(
    process: SimulatedMyCirrus, settings: Any, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatedMyCirrus]:
    """A MyCirrus without moods and webhooks, at a pace that no test has to wait for; we are at the live server."""
    settings.MYCIRRUS_EXTRA_BASE_URLS = [process.base_url]
    settings.PUBLIC_URL = live_server.url
    monkeypatch.setattr(
        keys,
        "_limiter",
        lambda url, fingerprint: RateLimiter(keys._redis(url), fingerprint, start=900, ceiling=900, burst=50),
    )
    process.moods()
    yield process
    process.moods()
    with Client(process.key, base_url=process.base_url) as client:
        for webhook in client.webhooks():
            client.webhook_delete(webhook.id)


@pytest.fixture
def remote(mycirrus: SimulatedMyCirrus) -> Iterator[Client]:
    """The account's owner at MyCirrus."""
    with Client(mycirrus.key, base_url=mycirrus.base_url) as client:
        yield client


@pytest.fixture
def serials(remote: Client) -> list[str]:
    return sorted(row.serial for row in remote.instruments())


NewKey = Callable[..., ApiKey]


@pytest.fixture
def new_key(mycirrus: SimulatedMyCirrus, serials: list[str]) -> NewKey:
    """A key with these scopes that reads every instrument of the account."""

    def make(owner: Organisation, scopes: list[str] = ALL, found: dict[str, bool] | None = None) -> ApiKey:
        secret = f"mycirrus-{secrets.randbelow(10**6):06}-{secrets.token_hex(8).upper()}"
        mycirrus.add_key(secret, scopes)
        key = make_key(owner, secret, mycirrus.base_url, scopes=found or {})
        for serial in serials:
            make_instrument(owner, serial, api_key=key)
        return key

    return make


def address(owner: Organisation, settings: Any) -> str:
    owner.refresh_from_db()
    return settings.PUBLIC_URL + reverse("hook", args=[owner.webhook_token])


def url(name: str) -> str:
    return reverse(f"webhooks:{name}", args=["harbour"])


def turns(owner: Organisation) -> list[registration.Turn]:
    """Take every turn that is due, as the workers would."""
    taken = []
    with organisation_scope(owner.pk):
        while due := registrations_due(now=datetime.now(UTC)):
            for _, pk in due:
                if (turn := registration_run(registration_id=pk)) is not None:
                    taken.append(turn)
    return taken


def ask(owner: Organisation, *, creates: bool = True) -> list[registration.Turn]:
    with organisation_scope(owner.pk):
        registrations_ask(now=datetime.now(UTC), creates=creates)
    return turns(owner)


def rows(owner: Organisation, **only: Any) -> list[Subscription]:
    with organisation_scope(owner.pk):
        return list(Subscription.objects.filter(**only).order_by("serial", "type", "pk"))


def stands(owner: Organisation) -> Registration:
    with organisation_scope(owner.pk):
        return Registration.objects.select_related("api_key").get()


def at(client: Client, where: str) -> list[Webhook]:
    return [webhook for webhook in client.webhooks() if webhook.url == where]


def told(owner: Organisation) -> str:
    with organisation_scope(owner.pk):
        found = webhook_notices(organisation=owner, now=datetime.now(UTC), can_manage=True)
        return " ".join(f"{notice.title} {notice.text}" for notice in found)


def test_one_button_registers_every_type_for_every_instrument(
    people: People, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey, settings: Any
) -> None:
    new_key(people.organisation)
    adam, bob = people.client(people.adam), people.client(people.bob)
    assert adam.post(url("registration-start")).status_code == 302
    page = bob.get(url("registration")).content.decode()
    assert "Under way" in page
    assert 'hx-trigger="every 2s' in page
    (turn,) = turns(people.organisation)
    assert (turn.outcome, turn.more) == (Outcome.OK, False)
    made = at(remote, address(people.organisation, settings))
    assert len(made) == 15
    assert {webhook.type for webhook in made} == set(KINDS)
    stored = rows(people.organisation)
    with organisation_scope(people.organisation.pk):
        assert {row.remote_id: row.secret_reveal() for row in stored} == {
            each.id: each.secret for each in made
        }
    assert {row.state for row in stored} == {State.REGISTERED}
    page = bob.get(url("registration")).content.decode()
    assert page.count("5 of 5") == 3
    assert 'hx-trigger="every 60s' in page
    for each in made:
        assert each.secret not in page
    assert people.organisation.webhook_token not in page
    # And what MyCirrus then sends is understood.
    mycirrus.deliver("SicFinished", stored[0].serial)
    assert len(deliveries(people.organisation)) == 1
    # Once more changes nothing.
    ask(people.organisation)
    assert len(remote.webhooks()) == 15
    assert stands(people.organisation).creates is False
    assert stands(people.organisation).due_at > datetime.now(UTC) + timedelta(hours=20)


def test_work_goes_on_in_bounded_turns_where_it_was_left(
    organisation: Organisation, remote: Client, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key(organisation)
    monkeypatch.setattr(registration, "MOST_CALLS", 4)
    taken = ask(organisation)
    assert [turn.more for turn in taken] == [True, True, True, False]
    assert len(remote.webhooks()) == 15
    assert len(rows(organisation, state=State.REGISTERED)) == 15


def test_a_crash_between_making_and_storing_is_healed_by_the_list(
    organisation: Organisation, remote: Client, new_key: NewKey, settings: Any
) -> None:
    key = new_key(organisation)
    where, now = address(organisation, settings), datetime.now(UTC)
    with organisation_scope(organisation.pk):
        (pk,) = registrations_ask(now=now, creates=True)
        Registration.objects.update(listed_at=now)
        assert registration_claim(registration_id=pk, now=now) is not None
        slots_ensure(api_key=key, serials=set(Instrument.objects.values_list("serial", flat=True)))
        Registration.objects.update(listed_at=now)
    first = rows(organisation)[0]
    lost = remote.webhook_create(type=first.type, serial=first.serial, url=where)
    # Killed here: nobody else begins while the lease lasts, and whoever does then asks for the list.
    assert turns(organisation) == []
    with organisation_scope(organisation.pk):
        Registration.objects.update(lease_until=now - timedelta(seconds=1))
    turns(organisation)
    assert len(at(remote, where)) == 15
    healed = rows(organisation, remote_id=lost.id)[0]
    assert (healed.pk, healed.state, healed.created_by_us) == (first.pk, State.REGISTERED, True)
    with organisation_scope(organisation.pk):
        assert healed.secret_reveal() == lost.secret


def test_what_mycirrus_removed_is_noticed_and_made_again_where_that_is_wished(
    people: People, remote: Client, new_key: NewKey, settings: Any
) -> None:
    organisation = people.organisation
    new_key(organisation)
    ask(organisation)
    victim = rows(organisation)[0]
    remote.webhook_delete(victim.remote_id or "")
    ask(organisation, creates=False)
    (gone,) = rows(organisation, state=State.REMOVED)
    assert gone.pk == victim.pk
    assert "MyCirrus has removed 1 webhook." in told(organisation)
    page = people.client(people.bob).get(url("registration")).content.decode()
    assert "4 of 5" in page
    assert "no longer has it" in page
    organisation.registers_webhooks = True
    organisation.save(update_fields=["registers_webhooks"])
    ask(organisation, creates=False)
    assert len(at(remote, address(organisation, settings))) == 15
    (again,) = rows(organisation, pk=victim.pk)
    assert (again.state, again.remote_id != victim.remote_id) == (State.REGISTERED, True)
    assert "made again" in told(organisation)


def test_what_is_foreign_is_shown_by_its_host_and_never_touched(
    people: People, remote: Client, serials: list[str], new_key: NewKey, settings: Any
) -> None:
    new_key(people.organisation)
    theirs = remote.webhook_create(
        type="NewEvent",
        serial=serials[0],
        url="https://other.example/private/path",
        secret="not-for-our-eyes",
    )
    # Another organisation of this very installation is somebody else as well.
    quarry = remote.webhook_create(type="NewEvent", serial=serials[0], url=address(people.other, settings))
    ask(people.organisation)
    found = rows(people.organisation, state=State.FOREIGN)
    assert {(row.remote_id, row.host, row.ciphertext) for row in found} == {
        (theirs.id, "other.example", ""),
        (quarry.id, "localhost", ""),
    }
    page = people.client(people.bob).get(url("registration")).content.decode()
    assert "other.example" in page
    assert "private/path" not in page
    assert people.other.webhook_token not in page
    assert remote.webhook(theirs.id) == theirs
    # A person may still store its secret, if it sends here after all.
    form = {"remote_id": theirs.id, "secret": "not-for-our-eyes"}
    assert people.client(people.adam).post(url("subscriptions"), form).status_code == 302
    remote.webhook_delete(quarry.id)
    ask(people.organisation)
    assert rows(people.organisation, remote_id=quarry.id) == []
    (kept,) = rows(people.organisation, remote_id=theirs.id)
    assert (kept.state, kept.host) == (State.REGISTERED, "other.example")
    # It does not stand in for ours.
    assert len(rows(people.organisation, type="NewEvent", serial=serials[0], host="")) == 1


def test_a_changed_address_is_registered_and_the_old_one_removed(
    people: People, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey, settings: Any
) -> None:
    organisation = people.organisation
    new_key(organisation)
    ask(organisation)
    old = address(organisation, settings)
    people.client(people.adam).post(url("address-rotate"))
    turns(organisation)
    assert at(remote, old) == []
    assert len(at(remote, address(organisation, settings))) == 15
    assert {row.state for row in rows(organisation)} == {State.REGISTERED}
    assert len(rows(organisation)) == 15


def test_where_removing_is_not_offered_that_is_said_and_is_no_error(
    people: People, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey, settings: Any
) -> None:
    organisation = people.organisation
    new_key(organisation)
    ask(organisation)
    old = address(organisation, settings)
    mycirrus.moods(no_webhook_changes=True)
    people.client(people.adam).post(url("address-rotate"))
    taken = turns(organisation)
    assert taken[-1].outcome == Outcome.OK
    assert len(at(remote, old)) == 15
    assert len(at(remote, address(organisation, settings))) == 15
    retired = rows(organisation, state=State.RETIRED)
    assert len(retired) == 15
    assert "does not offer to remove webhooks (HTTP 405)" in retired[0].message
    page = people.client(people.bob).get(url("registration")).content.decode()
    assert "15 webhooks still send to an address of before" in page
    # MyCirrus drops them by itself once their deliveries have failed for long enough.
    mycirrus.moods()
    for webhook in at(remote, old):
        remote.webhook_delete(webhook.id)
    ask(organisation, creates=False)
    assert rows(organisation, state=State.RETIRED) == []


def test_a_missing_scope_is_shown_as_such(
    people: People, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey
) -> None:
    key = new_key(people.organisation, ["instruments:read"])
    (turn,) = ask(people.organisation)
    assert turn.outcome == Outcome.MISSING_READ
    page = people.client(people.bob).get(url("registration")).content.decode()
    assert "Cannot be told" in page
    assert "0 of 5" not in page
    assert "lacks the scope webhooks:read" in page
    # Known to be missing, it is not even asked for.
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.update(scopes={"webhooks:read": False})
    before = mycirrus.requests()["total"]
    ask(people.organisation)
    assert mycirrus.requests()["total"] == before
    # A wider key in its place goes on by itself.
    wider = f"mycirrus-{secrets.randbelow(10**6):06}-{secrets.token_hex(8).upper()}"
    mycirrus.add_key(wider, ALL)
    with organisation_scope(people.organisation.pk):
        keys.api_key_rotate(api_key=key, secret=wider, actor=people.alice, now=datetime.now(UTC))
    turns(people.organisation)
    assert len(remote.webhooks()) == 15


def test_a_key_that_may_look_but_not_register_says_so(
    people: People, remote: Client, new_key: NewKey
) -> None:
    new_key(people.organisation, ["instruments:read", "webhooks:read"])
    (turn,) = ask(people.organisation)
    assert turn.outcome == Outcome.MISSING_WRITE
    page = people.client(people.bob).get(url("registration")).content.decode()
    assert "0 of 5" in page
    assert "lacks the scope webhooks:write" in page
    assert "may not register webhooks" in told(people.organisation)
    assert remote.webhooks() == []


def test_being_told_to_slow_down_makes_the_key_wait_and_nothing_is_lost(
    organisation: Organisation, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey
) -> None:
    key = new_key(organisation)
    mycirrus.moods(**{"429": {"value": 7, "path": "/v1/webhooks", "count": 1}})
    (turn,) = ask(organisation)
    assert turn.outcome == Outcome.TRANSIENT
    with organisation_scope(organisation.pk):
        key.refresh_from_db()
        assert key.pausing(datetime.now(UTC))
        assert registrations_due(now=datetime.now(UTC)) == []


def test_after_a_call_whose_end_is_unknown_the_list_is_asked_for(
    organisation: Organisation, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey, settings: Any
) -> None:
    new_key(organisation)
    ask(organisation, creates=False)
    with organisation_scope(organisation.pk):
        Registration.objects.update(creates=True, due_at=datetime.now(UTC), listed_at=datetime.now(UTC))
        slots_ensure(
            api_key=stands(organisation).api_key,
            serials=set(Instrument.objects.values_list("serial", flat=True)),
        )
    mycirrus.moods(**{"500": {"path": "/v1/webhooks", "count": 1}})
    (turn,) = turns(organisation)
    assert turn.outcome == Outcome.TRANSIENT
    assert stands(organisation).listed_at is None
    mycirrus.moods()
    ask(organisation)
    assert len(at(remote, address(organisation, settings))) == 15


def test_what_mycirrus_refuses_for_one_instrument_stops_no_other(
    people: People, remote: Client, new_key: NewKey
) -> None:
    key = new_key(people.organisation)
    make_instrument(people.organisation, "QT999999", api_key=key, name="Unknown there")
    (turn,) = ask(people.organisation)
    assert turn.outcome == Outcome.OK
    assert len(rows(people.organisation, state=State.REGISTERED)) == 15
    assert len(rows(people.organisation, state=State.FAILED, serial="QT999999")) == 5
    assert "5 webhooks were not accepted" in told(people.organisation)


@pytest.mark.parametrize("serial", ["AA000000", "QT999999"])
def test_one_that_is_refused_stops_nobody_on_any_day(
    organisation: Organisation, remote: Client, new_key: NewKey, settings: Any, serial: str
) -> None:
    """Before the others or behind them: they are registered, and so is whoever comes later, at a new address too."""
    key = new_key(organisation)
    make_instrument(organisation, serial, api_key=key, name="Unknown there")
    (first,) = sorted({row.serial for row in remote.instruments()})[-1:]
    with organisation_scope(organisation.pk):
        Instrument.objects.filter(serial=first).delete()
    assert {turn.outcome for turn in ask(organisation)} == {Outcome.OK}
    assert len(rows(organisation, state=State.REGISTERED)) == 10
    make_instrument(organisation, first, api_key=key)
    for _ in range(2):
        assert {turn.outcome for turn in ask(organisation)} == {Outcome.OK}
        assert len(rows(organisation, state=State.REGISTERED)) == 15
        assert len(rows(organisation, state=State.FAILED, serial=serial)) == 5
    settings.PUBLIC_URL = "https://moved.example"
    assert {turn.outcome for turn in ask(organisation)} == {Outcome.OK}
    assert len(at(remote, address(organisation, settings))) == 15


def test_so_many_refused_that_it_looked_like_all_are_tried_last_from_then_on(
    organisation: Organisation, mycirrus: SimulatedMyCirrus, new_key: NewKey
) -> None:
    key = new_key(organisation)
    for number in range(registration.MOST_REFUSED):
        make_instrument(organisation, f"AA{number:06}", api_key=key)
    (turn,) = ask(organisation)
    assert turn.outcome == Outcome.FAILED
    assert not rows(organisation, state=State.REGISTERED)
    assert {turn.outcome for turn in ask(organisation)} == {Outcome.OK}
    assert len(rows(organisation, state=State.REGISTERED)) == 15


def test_a_403_for_one_instrument_is_not_the_key_s(
    organisation: Organisation, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey
) -> None:
    key = new_key(organisation)
    with organisation_scope(organisation.pk):
        Instrument.objects.order_by("-serial")[0].delete()
    ask(organisation)
    make_instrument(organisation, sorted(row.serial for row in remote.instruments())[-1], api_key=key)
    # The list is asked for first.
    mycirrus.moods(**{"missing-scope": {"value": "webhooks:write", "count": 6}})
    (turn,) = ask(organisation)
    assert turn.outcome == Outcome.OK
    assert len(rows(organisation, state=State.FAILED)) == 5
    mycirrus.moods()
    ask(organisation)
    assert len(rows(organisation, state=State.REGISTERED)) == 15


def test_where_nothing_is_accepted_the_rest_is_not_tried(
    organisation: Organisation, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey, settings: Any
) -> None:
    key = new_key(organisation)
    with organisation_scope(organisation.pk):
        Instrument.objects.all().delete()
    for number in range(4):
        make_instrument(organisation, f"QT99{number:04}", api_key=key)
    before = mycirrus.requests()["counts"].get("addwebhook", 0)
    (turn,) = ask(organisation)
    assert turn.outcome == Outcome.FAILED
    # All five of the first two, and one of the third.
    assert mycirrus.requests()["counts"]["addwebhook"] - before == 11


def test_a_lost_or_changed_secret_is_brought_back_by_the_comparison(
    organisation: Organisation, remote: Client, new_key: NewKey, settings: Any
) -> None:
    new_key(organisation)
    ask(organisation)
    unreadable, changed = rows(organisation)[:2]
    with organisation_scope(organisation.pk):
        Subscription.objects.filter(pk=unreadable.pk).update(ciphertext="gAAAA-of-another-ring")
    remote.webhook_update(
        changed.remote_id or "",
        type=changed.type,
        serial=changed.serial,
        url=address(organisation, settings),
        secret="a-new-secret",
    )
    ask(organisation, creates=False)
    with organisation_scope(organisation.pk):
        for row in (unreadable, changed):
            row.refresh_from_db()
        assert unreadable.secret_reveal() == remote.webhook(unreadable.remote_id or "").secret
        assert changed.secret_reveal() == "a-new-secret"


def test_new_keys_and_instruments_are_thought_of_where_webhooks_are_kept_registered(
    organisation: Organisation, remote: Client, new_key: NewKey, serials: list[str]
) -> None:
    key = new_key(organisation)
    with organisation_scope(organisation.pk):
        registrations_ensure(now=datetime.now(UTC))
    turns(organisation)
    with organisation_scope(organisation.pk):
        assert newcomers_make_due(now=datetime.now(UTC)) == 0
    assert remote.webhooks() == []
    organisation.registers_webhooks = True
    organisation.save(update_fields=["registers_webhooks"])
    with organisation_scope(organisation.pk):
        Instrument.objects.filter(serial=serials[2]).delete()
        assert newcomers_make_due(now=datetime.now(UTC)) == 1
    turns(organisation)
    assert len(remote.webhooks()) == 10
    with organisation_scope(organisation.pk):
        assert newcomers_make_due(now=datetime.now(UTC)) == 0
    make_instrument(organisation, serials[2], api_key=key)
    with organisation_scope(organisation.pk):
        assert newcomers_make_due(now=datetime.now(UTC)) == 1
    turns(organisation)
    assert len(remote.webhooks()) == 15


def test_an_address_that_mycirrus_would_not_take_is_not_offered_to_it(
    people: People, mycirrus: SimulatedMyCirrus, remote: Client, new_key: NewKey, settings: Any
) -> None:
    new_key(people.organisation)
    settings.PUBLIC_URL = "http://noise.example"
    page = people.client(people.adam).post(url("registration-start"), follow=True).content.decode()
    assert "nothing was registered" in page
    assert "Register all" not in page
    (turn,) = ask(people.organisation)
    assert turn.outcome == Outcome.NO_ADDRESS
    assert remote.webhooks() == []
    settings.INSECURE_HTTP, settings.PUBLIC_URL = False, "http://localhost:8000"
    (turn,) = ask(people.organisation)
    assert turn.outcome == Outcome.NO_ADDRESS


def test_who_sees_and_who_may(people: People, mycirrus: SimulatedMyCirrus, new_key: NewKey) -> None:
    new_key(people.other)
    ask(people.other)
    for person, may in ((people.alice, True), (people.adam, True), (people.mary, False), (people.bob, False)):
        page = people.client(person).get(url("registration")).content.decode()
        assert ("Compare now" in page) is may
        # Nothing of Quarry's.
        assert "No instrument yet" in page
    for name in ("registration-start", "registration-compare"):
        assert people.client(people.bob).post(url(name)).status_code == 403
        assert people.client(people.charlie).post(url(name)).status_code == 404
        assert (
            "There is no key in use"
            in people.client(people.adam).post(url(name), follow=True).content.decode()
        )
    assert people.client(people.charlie).get(url("registration")).status_code == 404


def test_a_poll_costs_nothing_until_something_changed(
    people: People, new_key: NewKey, remote: Client
) -> None:
    new_key(people.organisation)
    bob = people.client(people.bob)

    def poll() -> str:
        fragment = bob.get(url("registration"), headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in fragment
        found = re.search(r'hx-get="([^"]+)"', fragment)
        assert found
        return found[1].replace("&amp;", "&")

    seen = poll()
    assert bob.get(seen, headers={"HX-Request": "true"}).status_code == 204
    ask(people.organisation)
    assert bob.get(seen, headers={"HX-Request": "true"}).status_code == 200
    assert bob.get(poll(), headers={"HX-Request": "true"}).status_code == 204


def test_the_page_costs_the_same_whatever_the_fleet(
    people: People, django_assert_max_num_queries: Any
) -> None:
    key = make_key(people.organisation)
    bob = people.client(people.bob)

    def cost(total: int) -> int:
        with organisation_scope(people.organisation.pk):
            have = Instrument.objects.count()
        for number in range(have, total):
            make_instrument(people.organisation, f"QT{number:06}", api_key=key)
        with organisation_scope(people.organisation.pk):
            slots_ensure(api_key=key, serials=set(Instrument.objects.values_list("serial", flat=True)))
            now = datetime.now(UTC)
            for row in Subscription.objects.filter(state=State.WANTED):
                row.remote_id, row.state, row.checked_at = str(row.pk), State.REGISTERED, now
                row.registered_at = now - timedelta(days=1)
                row.save()
        with CaptureQueriesContext(connection) as queries:
            assert bob.get(url("registration")).status_code == 200
        return len(queries)

    assert cost(3) == cost(30)
