"""The inbox and its settings: who sees what, what is shown, and that nothing secret comes out."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_instrument
from tests.webhooks.conftest import HOOK_ID, SECRET, SIC, make_delivery, make_subscription
from webhooks.models import Delivery, Refusal, Subscription

pytestmark = pytest.mark.django_db


def url(name: str, **kwargs: Any) -> str:
    """An address below harbour."""
    return reverse(f"webhooks:{name}", kwargs={"slug": "harbour", **kwargs})


def htmx(client: Any, address: str) -> Any:
    """The page as htmx asks for it."""
    return client.get(address, headers={"HX-Request": "true"})


@pytest.mark.parametrize(
    ("name", "method", "admins_only"),
    [
        ("inbox", "get", False),
        ("delivery-detail", "get", True),
        ("delivery-replay", "post", True),
        ("subscriptions", "get", True),
        ("subscriptions", "post", True),
        ("subscription-remove", "get", True),
        ("subscription-remove", "post", True),
        ("address-rotate", "get", True),
        ("address-rotate", "post", True),
    ],
)
def test_each_role_reaches_what_it_may(people: People, name: str, method: str, admins_only: bool) -> None:
    delivery, subscription = make_delivery(people.organisation), make_subscription(people.organisation)
    token = people.organisation.webhook_token
    kwargs = {"delivery": {"pk": delivery.pk}, "subscription": {"pk": subscription.pk}}
    address = url(name, **kwargs.get(name.split("-")[0], {}))

    def status(person: Any) -> int:
        return getattr(people.client(person), method)(address).status_code

    assert status(people.charlie) == 404
    assert status(None) == 302
    assert (status(people.bob) == 403) is admins_only
    assert (status(people.mary) == 403) is admins_only
    people.organisation.refresh_from_db()
    assert people.organisation.webhook_token == token
    assert status(people.adam) not in (403, 404)
    # The first may have removed what the second asks for.
    assert status(people.alice) != 403


def test_another_organisations_delivery_and_secret_do_not_exist_here(people: People) -> None:
    theirs, secret = make_delivery(people.other), make_subscription(people.other, remote_id="theirs")
    alice = people.client(people.alice)
    assert alice.get(url("delivery-detail", pk=theirs.pk)).status_code == 404
    assert alice.post(url("delivery-replay", pk=theirs.pk)).status_code == 404
    assert alice.post(url("subscription-remove", pk=secret.pk)).status_code == 404
    with organisation_scope(people.other.pk):
        Refusal.objects.note(reason="no_secret", webhook_id="quarry-hook", now=datetime.now(UTC))
        assert Subscription.objects.count() == Delivery.objects.count() == 1
    page = alice.get(url("inbox")).content.decode()
    assert "quarry-hook" not in page
    assert "Nothing has arrived yet" in page
    assert "theirs" not in alice.get(url("subscriptions")).content.decode()


def test_a_row_tells_when_what_and_with_which_effect_in_local_time(people: People) -> None:
    people.organisation.timezone = "Asia/Tokyo"
    people.organisation.save()
    make_instrument(people.organisation, "QT000001")
    make_delivery(
        people.organisation,
        SIC,
        now=datetime(2026, 11, 22, 2, 0, 9, tzinfo=UTC),
        type="SicFinished",
        serial="QT000001",
        state=Delivery.State.PROCESSED,
        effect="Set off a fetch: System Integrity Checks, Status.",
        encoding="base64url",
    )
    make_delivery(people.organisation, serial="QT<b>9", type="New<script>")
    page = people.client(people.bob).get(url("inbox")).content.decode()
    assert "22 Nov 2026, 11:00:09" in page
    assert "Asia/Tokyo" in page
    for shown in ("SicFinished", "Processed", "Set off a fetch: System Integrity Checks, Status."):
        assert shown in page
    # How a signature is written helps nobody who looks whether news arrives: a delivery's own page tells it.
    assert "base64url" not in page
    assert 'href="/o/harbour/i/QT000001/"' in page
    # A serial that is not known here has no page to lead to, and is text whatever it holds.
    assert "QT&lt;b&gt;9" in page
    assert "New<script>" not in page


def test_the_body_is_laid_out_and_escaped(people: People) -> None:
    delivery = make_delivery(people.organisation, {"type": "NewEvent", "note": "<script>alert(1)</script>"})
    adam = people.client(people.adam)
    page = adam.get(url("delivery-detail", pk=delivery.pk)).content.decode()
    assert "{\n  &quot;type&quot;: &quot;NewEvent&quot;," in page
    assert "<script>alert" not in page
    for body in (b"not <json>", b"\xff\xfe\x00", b"", b"[" * 5000):
        other = make_delivery(people.organisation, body)
        assert adam.get(url("delivery-detail", pk=other.pk)).status_code == 200


def test_only_those_who_manage_see_the_address(people: People, settings: Any) -> None:
    token = people.organisation.webhook_token
    assert token not in people.client(people.bob).get(url("inbox")).content.decode()
    assert token not in people.client(people.mary).get(url("inbox")).content.decode()
    settings.PUBLIC_URL = "https://noise.example"
    page = people.client(people.adam).get(url("subscriptions")).content.decode()
    assert f"https://noise.example/hooks/{token}/" in page
    assert "will not deliver" not in page
    settings.PUBLIC_URL = "http://localhost:8000"
    assert "will not deliver" in people.client(people.adam).get(url("subscriptions")).content.decode()


def test_an_empty_inbox_teaches_how_to_fill_it(people: People) -> None:
    token = people.organisation.webhook_token
    page = people.client(people.alice).get(url("inbox")).content.decode()
    assert "make a webhook" in page
    assert f"/hooks/{token}/" in page
    assert "An admin of your organisation" in people.client(people.bob).get(url("inbox")).content.decode()


def test_refusals_are_told_with_their_reason(people: People) -> None:
    now = datetime.now(UTC)
    with organisation_scope(people.organisation.pk):
        for _ in range(3):
            Refusal.objects.note(reason="wrong_signature", webhook_id="whk7", now=now)
        Refusal.objects.note(reason="legacy", webhook_id="", now=now - timedelta(days=2))
    page = people.client(people.bob).get(url("inbox")).content.decode()
    assert "3 deliveries were turned away" in page
    assert "The signature did not match" in page
    assert "whk7" in page
    # What is two days old is no news.
    assert "legacy" not in re.sub(r"<select.*?</select>", "", page, flags=re.DOTALL).lower()


def test_filters_by_type_serial_and_state(people: People) -> None:
    for kind, serial, state in (
        ("NewMeasurement", "QT1", "processed"),
        ("SicFinished", "QT1", "failed"),
        ("SicFinished", "QT2", "processed"),
    ):
        make_delivery(people.organisation, type=kind, serial=serial, state=state)
    make_delivery(people.organisation, signature="legacy", encoding="", state="processed", serial="QT3")
    bob = people.client(people.bob)

    def serials(query: str) -> list[str]:
        page = htmx(bob, url("inbox") + query).content.decode()
        return sorted(re.findall(r'<span class="serial">(\w+)</span>', page))

    assert serials("") == ["QT1", "QT1", "QT2", "QT3"]
    assert serials("?type=SicFinished") == ["QT1", "QT2"]
    assert serials("?serial=qt1") == ["QT1", "QT1"]
    assert serials("?type=SicFinished&state=failed") == ["QT1"]
    assert serials("?type=legacy") == ["QT3"]
    assert serials("?type=nonsense&state=%00&before=nonsense_9") == ["QT1", "QT1", "QT2", "QT3"]
    assert "No delivery matches" in htmx(bob, url("inbox") + "?serial=none").content.decode()


def test_leafing_shows_every_delivery_once_even_while_more_come_in(people: People) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    # Bursts share one instant: the place in the list must still be exact.
    for number in range(120):
        make_delivery(people.organisation, serial=f"S{number}", now=start + timedelta(seconds=number // 30))
    bob = people.client(people.bob)
    seen: list[str] = []
    query = ""
    for _ in range(3):
        page = bob.get(url("inbox") + query).content.decode()
        seen += re.findall(r'<span class="serial">(S\d+)</span>', page)
        make_delivery(people.organisation, serial="NEW", now=datetime.now(UTC))
        following = re.search(r'rel="next" href="([^"]+)"', page)
        query = following[1].replace("&amp;", "&") if following else ""
    assert query == ""
    assert seen == [f"S{number}" for number in reversed(range(120))]


def test_a_poll_costs_nothing_until_something_changed(people: People) -> None:
    delivery = make_delivery(people.organisation)
    bob = people.client(people.bob)

    def poll() -> str:
        page = htmx(bob, url("inbox")).content.decode()
        return re.search(r'id="deliveries".*?hx-get="([^"]+)"', page, re.DOTALL)[1].replace("&amp;", "&")

    address = poll()
    answer = htmx(bob, address)
    assert (answer.status_code, answer["Cache-Control"]) == (204, "no-store")
    with organisation_scope(people.organisation.pk):
        Delivery.objects.filter(pk=delivery.pk).update(state="processed")
    assert htmx(bob, address).status_code == 200
    address = poll()
    with organisation_scope(people.organisation.pk):
        Refusal.objects.note(reason="no_secret", webhook_id="", now=datetime.now(UTC))
    assert "turned away" in htmx(bob, address).content.decode()
    # Opened as a page, the same address is a page.
    assert "<html" in bob.get(poll()).content.decode()


def test_the_fragment_is_the_same_as_in_the_page(people: People) -> None:
    make_delivery(people.organisation, SIC)
    bob = people.client(people.bob)
    fragment = htmx(bob, url("inbox")).content.decode().strip()
    assert fragment.startswith('<section id="deliveries"')
    assert "<html" not in fragment
    assert fragment in bob.get(url("inbox")).content.decode()


@pytest.mark.parametrize("poll", [False, True])
def test_the_number_of_queries_does_not_grow_with_the_rows(people: People, poll: bool) -> None:
    from django.db import connection

    bob = people.client(people.bob)

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert (htmx(bob, url("inbox")) if poll else bob.get(url("inbox"))).status_code == 200
        # Never of deliveries: there may be millions.
        of_deliveries = [query["sql"] for query in queries if "webhooks_delivery" in query["sql"]]
        assert not any("COUNT(" in sql or "OFFSET" in sql for sql in of_deliveries)
        return len(queries)

    for number in range(10):
        make_delivery(people.organisation, serial=f"S{number}")
    few = cost()
    for number in range(90):
        make_delivery(people.organisation, serial=f"T{number}")
    assert cost() == few <= (7 if poll else 11)


def test_a_replay_makes_a_finished_delivery_wait_again(people: People) -> None:
    delivery = make_delivery(people.organisation, state=Delivery.State.FAILED, effect="Given up.", attempts=5)
    answer = people.client(people.adam).post(url("delivery-replay", pk=delivery.pk), follow=True)
    assert "processed once more" in answer.content.decode()
    with organisation_scope(people.organisation.pk):
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts, delivery.effect) == (Delivery.State.RECEIVED, 0, "")
        assert Delivery.objects.due(datetime.now(UTC)).get() == delivery


def test_a_secret_goes_in_and_never_comes_out(people: People) -> None:
    adam = people.client(people.adam)
    form = {"remote_id": HOOK_ID, "type": "SicFinished", "serial": "QT000001", "secret": f" {SECRET} "}
    answer = adam.post(url("subscriptions"), form, follow=True)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert HOOK_ID in page
    with organisation_scope(people.organisation.pk):
        stored = Subscription.objects.get()
        assert stored.secret_reveal() == SECRET
        assert SECRET not in stored.ciphertext
    assert SECRET not in page
    # Refused input does not come back either.
    again = adam.post(url("subscriptions"), form)
    assert again.status_code == 422
    assert "has a secret already" in again.content.decode()
    assert SECRET not in again.content.decode()
    assert adam.post(url("subscriptions"), {**form, "remote_id": "b", "secret": "short"}).status_code == 422


def test_the_same_webhook_id_may_stand_in_two_organisations(people: People) -> None:
    make_subscription(people.other)
    form = {"remote_id": HOOK_ID, "secret": SECRET}
    assert people.client(people.adam).post(url("subscriptions"), form).status_code == 302


def test_removing_a_secret_asks_first(people: People) -> None:
    subscription = make_subscription(people.organisation)
    adam = people.client(people.adam)
    assert HOOK_ID in adam.get(url("subscription-remove", pk=subscription.pk)).content.decode()
    with organisation_scope(people.organisation.pk):
        assert Subscription.objects.exists()
    adam.post(url("subscription-remove", pk=subscription.pk))
    with organisation_scope(people.organisation.pk):
        assert not Subscription.objects.exists()


def test_changing_the_address_asks_first_and_ends_the_old_one(
    organisation: Organisation, people: People
) -> None:
    old = organisation.webhook_token
    adam = people.client(people.adam)
    assert "stops working at once" in adam.get(url("address-rotate")).content.decode()
    organisation.refresh_from_db()
    assert organisation.webhook_token == old
    page = adam.post(url("address-rotate"), follow=True).content.decode()
    organisation.refresh_from_db()
    assert organisation.webhook_token != old
    assert f"/hooks/{organisation.webhook_token}/" in page
    assert adam.post(f"/hooks/{old}/", b"{}", content_type="application/json").status_code == 404
