"""T7: from the arrival of a failed SIC's webhook to the mail handed to a real SMTP server, on the embedded defaults."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from random import Random
from typing import Any

import redis
from aiosmtpd.controller import Controller
from django.conf import settings
from django.db import connection
from django.db.models.functions import Mod

from bench.measure import Row, judged, percentile
from bench.population import KEY, analysed, fleet_make, key_make, organisation_make
from bench.servers import gunicorn, plan, process, until
from cirrusweb.supervisor.installation import free_port
from instruments.models import Membership, Organisation, Role, User
from instruments.mycirrus import Client
from instruments.tenancy import organisation_scope
from monitoring.models import AlertKind, AlertPreference, Lane, Outcome, SyncTarget
from monitoring.sync.beat import BEAT_KEY
from monitoring.sync.wanted import every
from tests.simulated import SimulatedMyCirrus
from webhooks.models import Delivery, Subscription

FLEET = 1_000
# Into so many parts the fleet is cut to be polled at different moments.
SLICES = 25
HOOK = "SicFinished"


class Postbox:
    """A real SMTP server that notes when each mail was handed to it, by the text of its subject."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, str]] = []
        self._lock = threading.Lock()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content)
        texts = [part.get_payload(decode=True) or b"" for part in message.walk() if not part.is_multipart()]
        with self._lock:
            self.arrived.append((time.time(), b"\n".join(texts).decode("utf-8", "replace")))
        return "250 kept"

    @contextmanager
    def served(self) -> Iterator[int]:
        controller = Controller(self, hostname="127.0.0.1", port=free_port())
        controller.start()
        try:
            yield controller.port
        finally:
            controller.stop()

    def of(self, serial: str) -> float | None:
        with self._lock:
            return next((at for at, text in self.arrived if serial in text), None)


def measure(*, quick: bool) -> list[Row]:
    alarms = 8 if quick else 40
    box, chance = Postbox(), Random(1)
    with SimulatedMyCirrus(fleet=FLEET, epoch=None) as mycirrus, box.served() as smtp_port:
        organisation, serials = _watched(mycirrus)
        # One that is offline runs no SIC.
        status = "/control/instruments/{}/status".format
        candidates = chance.sample(serials, 3 * alarms)
        chosen = [serial for serial in candidates if mycirrus.get(status(serial))["online"]][:alarms]
        mail = {"EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}"}
        with gunicorn(**mail) as port, _stack(**mail):
            _register(organisation, mycirrus, chosen, port)
            for serial in chosen:
                mycirrus.run_sic(serial, failing=True)
                time.sleep(chance.uniform(0.2, 1.0))
            deadline = time.monotonic() + (45 if quick else 180)
            while time.monotonic() < deadline and not all(box.of(serial) for serial in chosen):
                time.sleep(0.1)
        taken = _taken(organisation, box, chosen)
    missing = sum(box.of(serial) is None for serial in chosen)
    late = f", {missing} not there when it was given up" if missing else ""
    note = f"{alarms} failures, median {percentile(taken, 50):.1f} s, slowest {max(taken):.1f} s{late}"
    what = f"webhook to mail, p95, fleet of {FLEET:,}"
    return [
        judged(
            "T7",
            what,
            database=connection.vendor,
            unit="s",
            ours=[percentile(taken, 95)],
            at_most=5,
            note=note,
        )
    ]


def _watched(mycirrus: SimulatedMyCirrus) -> tuple[Organisation, list[str]]:
    """A fleet whose polls go on at their usual pace, and one person who wants to hear of failed SICs."""
    organisation = organisation_make("harbour")
    key = key_make(organisation, mycirrus.base_url)
    listed = mycirrus.get("/control/instruments")
    serials = [row["serialNumber"] for row in listed]
    instruments = fleet_make(organisation, serials, key=key)
    user = User.objects.create_user("owner@harbour.example", None)
    now, chance = datetime.now(UTC), Random(2)
    with organisation_scope(organisation.pk):
        membership = Membership.objects.create(organisation=organisation, user=user, role=Role.OWNER)
        AlertPreference.objects.create(
            organisation=organisation, membership=membership, kind=AlertKind.SIC_FAILED
        )
        # A fleet that has been polled for days: its history is here, nothing is overdue, and each target comes up
        # within its interval.
        SyncTarget.objects.filter(lane=Lane.BACKFILL).delete()
        sliced = SyncTarget.objects.annotate(slice=Mod("instrument_id", SLICES))
        for resource, lane in SyncTarget.objects.order_by().values_list("resource", "lane").distinct():
            for number in range(SLICES):
                due_at = now + chance.random() * every(resource, lane)
                sliced.filter(resource=resource, lane=lane, slice=number).update(
                    outcome=Outcome.OK, watermark_at=now, due_at=due_at
                )
    assert len(instruments) == len(serials)
    analysed()
    noise = {row["serialNumber"] for row in listed if row.get("type") == "Noise"}
    return organisation, [serial for serial in serials if serial in noise]


@contextmanager
def _stack(**changes: str) -> Iterator[None]:
    """Worker and beat as `make run` starts them."""
    made = plan(**changes)
    worker, beat = made.worker(), made.beat()
    with (
        process(worker.command, worker.environment, log="worker"),
        process(beat.command, beat.environment, log="beat"),
        redis.Redis.from_url(settings.REDIS_URL) as connection,
    ):
        # What is measured is an installation that runs, not one that is still importing.
        until(lambda: connection.exists(BEAT_KEY), seconds=120, what="the first tick in the worker")
        yield


def _register(organisation: Organisation, mycirrus: SimulatedMyCirrus, serials: list[str], port: int) -> None:
    """A SicFinished webhook for each of the instruments."""
    url = f"http://127.0.0.1:{port}/hooks/{organisation.webhook_token}/"
    with organisation_scope(organisation.pk), Client(KEY, mycirrus.base_url, None) as client:
        for serial in serials:
            webhook = client.webhook_create(type=HOOK, serial=serial, url=url)
            kept = Subscription(organisation=organisation, remote_id=webhook.id, type=HOOK, serial=serial)
            kept.secret_set(webhook.secret)
            kept.save()
    connection.close()


def _taken(organisation: Organisation, box: Postbox, serials: list[str]) -> list[float]:
    """Seconds from the stored arrival of each webhook to its mail, or until now where it never came."""
    with organisation_scope(organisation.pk):
        # A delivery that nobody has read yet names its webhook, but not its instrument.
        serial_of = dict(Subscription.objects.values_list("remote_id", "serial"))
        received = Delivery.objects.order_by("-received_at").values_list("webhook_id", "received_at")
        arrivals = {serial_of[webhook_id]: at.timestamp() for webhook_id, at in received}
    return [(box.of(serial) or time.time()) - arrivals[serial] for serial in serials]
