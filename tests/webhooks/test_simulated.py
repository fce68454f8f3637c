"""MyCirrus as simulated sends to us: registered by our client, signed in every spelling, twice, and lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from instruments.models import ApiKey, Organisation
from instruments.mycirrus import Client
from instruments.tenancy import organisation_scope
from tests.conftest import make_key
from tests.simulated import SimulatedMyCirrus
from tests.webhooks.conftest import deliveries, refusals
from webhooks.models import Delivery, Subscription
from webhooks.processing import delivery_process
from webhooks.registration import webhooks_register

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    # What it measures at a quarter of an hour must not arrive beside what a test sends and counts.
    with SimulatedMyCirrus("--no-happenings", fleet=3) as running:
        yield running


@pytest.fixture
def serial(mycirrus: SimulatedMyCirrus) -> str:
    return mycirrus.serials()[0]


@pytest.fixture
def registered(
    mycirrus: SimulatedMyCirrus, serial: str, organisation: Organisation, live_server: Any
) -> Iterator[str]:
    """Our address, registered for every message type of one instrument."""
    mycirrus.moods()
    key: ApiKey = make_key(organisation, mycirrus.key)
    url = live_server.url + reverse("hook", args=[organisation.webhook_token])
    with Client(mycirrus.key, base_url=mycirrus.base_url) as client:
        with organisation_scope(organisation.pk):
            assert webhooks_register(client=client, api_key=key, serials=[serial], url=url) == 5
            assert webhooks_register(client=client, api_key=key, serials=[serial], url=url) == 0
            assert Subscription.objects.count() == 5
        yield url
        for webhook in client.webhooks():
            client.webhook_delete(webhook.id)


@pytest.mark.parametrize(
    ("mood", "encoding"),
    [
        ("hex", "hex"),
        ("HEX", "hex"),
        ("base64", "base64"),
        ("base64url", "base64url"),
        ("sha256-prefix", "hex"),
    ],
)
def test_each_way_of_signing_is_taken(
    mycirrus: SimulatedMyCirrus,
    registered: str,
    serial: str,
    organisation: Organisation,
    mood: str,
    encoding: str,
) -> None:
    mycirrus.moods(signature=mood)
    mycirrus.deliver("SicFinished", serial)
    stored = deliveries(organisation)[0]
    # A MAC without + / - _ reads as either base64; that is the sender's luck, not an error.
    assert stored.encoding == encoding or {stored.encoding, encoding} == {"base64", "base64url"}
    with organisation_scope(organisation.pk):
        delivery_process(delivery_id=stored.pk, now=timezone.now())
        stored.refresh_from_db()
    assert (stored.type, stored.serial) == ("SicFinished", serial)
    assert stored.state == Delivery.State.PROCESSED


def test_every_message_type_is_understood(
    mycirrus: SimulatedMyCirrus, registered: str, serial: str, organisation: Organisation
) -> None:
    kinds = ["NewMeasurement", "NewEvent", "InstrumentStatus", "CalibrationFinished", "SicFinished"]
    for kind in kinds:
        mycirrus.deliver(kind, serial)
    stored = deliveries(organisation)
    with organisation_scope(organisation.pk):
        for delivery in stored:
            assert delivery_process(delivery_id=delivery.pk, now=timezone.now()) is not None
            delivery.refresh_from_db()
    assert [delivery.type for delivery in stored] == kinds
    assert {delivery.state for delivery in stored} == {Delivery.State.PROCESSED}


def test_a_message_sent_twice_is_stored_twice(
    mycirrus: SimulatedMyCirrus, registered: str, serial: str, organisation: Organisation
) -> None:
    mycirrus.moods(webhook_twice=True)
    mycirrus.deliver("NewMeasurement", serial)
    assert len(deliveries(organisation)) == 2


def test_a_refused_message_is_tried_again_and_told(
    mycirrus: SimulatedMyCirrus, registered: str, serial: str, organisation: Organisation
) -> None:
    mycirrus.moods(retry_spacing=0)
    with organisation_scope(organisation.pk):
        Subscription.objects.all().delete()
    mycirrus.deliver("NewMeasurement", serial)
    assert deliveries(organisation) == []
    # The first try and five more.
    assert refusals(organisation) == {"no_secret": 6}
