"""An installation with real processes that mirrors three instruments, told of two, and the truth to hold it to."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.urls import reverse

from cirrusweb.supervisor.installation import free_port
from instruments.models import ApiKey, Instrument, Organisation, Role
from instruments.mycirrus import Client
from instruments.tenancy import organisation_scope
from monitoring.charts.sample_kinds import KINDS
from monitoring.models import AlertDelivery, FrequencyMeasurement, IncidentChange, Lane, Resource, SyncTarget
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from monitoring.sync.targets import key_targets_refresh
from tests.conftest import join, make_key, make_organisation, make_user
from tests.faults.processes import Processes, until
from tests.monitoring.failing import asks
from tests.monitoring.mailserver import Mailbox, MailServer
from tests.monitoring.truth import (
    Row,
    band_rollups_are_exact,
    calibrations_stored,
    calibrations_told,
    gaps_stored,
    noise_stored,
    noise_told,
    rollups_are_exact,
    sample_rollups_are_exact,
    series_stored,
    series_told,
    sics_stored,
    sics_told,
    stretches_missing,
)
from tests.simulated import SimulatedMyCirrus
from webhooks.models import Delivery
from webhooks.registration import webhooks_register

DAY = timedelta(days=1)


@dataclass
class Stage:
    """An installation in the middle of its first sync of two noise monitors, one of which fails its SIC each night, and
    of one for air."""

    mycirrus: SimulatedMyCirrus
    processes: Processes
    mailbox: Mailbox
    owner: Organisation
    steady: str
    failing: str
    air: str
    began: datetime
    # What did not hold at the last look: for the message of a test that fails.
    wanting: list[str] = field(default_factory=list)

    # --- What happens ---

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
        until(condition, what, seconds, self._said)

    def messages(self, *kinds: str) -> None:
        """Have MyCirrus announce things of both instruments, and go on at once."""
        for kind in kinds or ("NewMeasurement", "InstrumentStatus", "SicFinished"):
            for serial in (self.steady, self.failing):
                self.mycirrus.deliver(kind, serial, wait=False)

    def check_fails(self) -> None:
        """The steady instrument fails its SIC, and a mail is owed."""
        before = len(self._failures())
        self.mycirrus.run_sic(self.steady)
        self.mycirrus.until(lambda: len(self._failures()) > before)

    def time_passes(self) -> None:
        """What waits for a time, after a failure or behind a dead worker's lease, need not be waited for here."""
        now = datetime.now(UTC)
        SyncTarget.objects.filter(lease_until__gt=now).update(lease_until=now)
        SyncTarget.objects.filter(failures__gt=0).update(due_at=now)
        SyncTarget.objects.filter(resource=Resource.INSTRUMENTS).update(due_at=now)
        ApiKey.objects.exclude(paused_until=None).update(paused_until=now)
        AlertDelivery.objects.filter(sent_at=None).update(due_at=now, lease_until=None)
        Delivery.objects.filter(state=Delivery.State.RECEIVED).update(due_at=now, lease_until=None)

    # --- What is to become of it ---

    def in_mid_sync(self) -> bool:
        """Something is stored, something is held, and something is still to come."""
        live = SyncTarget.objects.exclude(instrument=None).filter(lane=Lane.LIVE, done_at=None)
        begun = live.exclude(watermark_at=None).exists()
        held = live.filter(lease_until__gt=datetime.now(UTC)).exists()
        return begun and held and live.filter(ok_at=None).exists()

    def settle(self, what: str, seconds: float = 240) -> None:
        """Wait until everything that MyCirrus has by now is here, and everything owed is told; then compare."""
        now = datetime.now(UTC)
        ends = {
            serial: max(row["start_at"] for row in noise_told(self.mycirrus, serial, now - DAY / 4, now))
            for serial in (self.steady, self.failing)
        }

        looked = now

        def whole() -> bool:
            nonlocal looked
            looked = datetime.now(UTC)
            # A loaded machine answers late now and then, and the next try need not be waited for.
            SyncTarget.objects.filter(failures__gt=0, lease_until=None).update(due_at=datetime.now(UTC))
            targets = SyncTarget.objects.filter(lane=Lane.LIVE, done_at=None)
            received = Delivery.objects.filter(state=Delivery.State.RECEIVED)
            noise = targets.filter(resource=Resource.NOISE)
            history = SyncTarget.objects.filter(resource=Resource.NOISE, lane=Lane.BACKFILL)
            marks = dict(noise.values_list("instrument__serial", "watermark_at"))
            asked_again = targets.filter(resource__in=[Resource.SIC, Resource.CALIBRATIONS], ok_at__gt=now)
            # Counted anew each time: the nightly check may come while this waits.
            failures, steps = len(self._failures()), self._steps().count()
            holds = {
                "every target is there": targets.count() >= 20,
                "every target went well": not targets.filter(ok_at=None).exists(),
                "noise is there": all(
                    marks.get(serial) and marks[serial] > end for serial, end in ends.items()
                ),
                "its history is whole": not history.filter(done_at=None).exists(),
                "checks were asked for again": asked_again.count() == 4,
                f"a step for each of {failures} failures ({steps})": steps == failures,
                "every mail is sent": not AlertDelivery.objects.filter(sent_at=None).exists(),
                "every message is processed": not received.exists(),
            }
            self.wanting = [name for name, true in holds.items() if not true]
            return not self.wanting

        self.until(whole, what, seconds)
        self._compare(now.replace(microsecond=0), looked)

    def _compare(self, asked_at: datetime, whole_at: datetime) -> None:
        """Row by row against what MyCirrus says is true, and the mails against the failures."""
        # At once: while rows are compared, which takes seconds, MyCirrus goes on announcing things.
        self._compare_mails()
        self._compare_deliveries(whole_at)
        for serial in (self.steady, self.failing):
            self._compare_instrument(Instrument.objects.get(serial=serial), asked_at)
        self._compare_others(Instrument.objects.get(serial=self.air), AIR)

    def _compare_instrument(self, instrument: Instrument, asked_at: datetime) -> None:
        """The checks up to ``asked_at``, after which they were asked for: the night's own may have come since."""
        serial = instrument.serial
        noise = noise_stored(instrument)
        ended = noise[-1]["start_at"] + timedelta(seconds=noise[-1]["duration_s"])
        # Whole minutes: MyCirrus is asked in whole seconds, and a row may begin with the one that is cut off.
        began = self.began.replace(second=0, microsecond=0)
        year = asked_at - 364 * DAY
        oldest = began - HISTORY + timedelta(minutes=5)
        truth = noise_told(self.mycirrus, serial, oldest, ended)
        _same([row for row in noise if row["start_at"] >= oldest], truth, f"noise of {serial}")
        missing, noted = stretches_missing(truth, oldest, ended), gaps_stored(instrument, oldest, ended)
        assert noted == missing, f"gaps of {serial}: {set(noted) ^ set(missing)}"
        rollups_are_exact(instrument, before=began)
        band_rollups_are_exact(instrument, FrequencyMeasurement.Bands.OCTAVE, before=began)
        for name, stored, told in (
            ("SICs", sics_stored(instrument), sics_told(self.mycirrus, serial, year, asked_at)),
            (
                "calibrations",
                calibrations_stored(instrument),
                calibrations_told(self.mycirrus, serial, year, asked_at),
            ),
        ):
            _same([row for row in stored if year <= row["at"] < asked_at], told, f"{name} of {serial}")
        self._compare_others(instrument, OTHERS, {"calibration-log": year, "third-octave": began - THIRDS})

    def _compare_others(
        self, instrument: Instrument, resources: Sequence[str], since: Mapping[str, datetime] = {}
    ) -> None:
        # Fetched once in this hour: what came since is not asked for yet. And from a little after the first look's
        # beginning, which fell into the seconds of the start.
        began, serial = self.began.replace(second=0, microsecond=0), instrument.serial
        first, until_at = began - DAY + timedelta(minutes=5), began - timedelta(minutes=10)
        for resource in resources:
            start = since.get(resource, first)
            told = series_told(self.mycirrus, resource, serial, start, until_at)
            assert told or resource in HAPPEN, f"{serial} has no {resource} to compare"
            _same(series_stored(resource, serial, start, until_at), told, f"{resource} of {serial}")
            if resource in KINDS:
                sample_rollups_are_exact(instrument, resource, before=began)

    def _compare_mails(self) -> None:
        """One incident step for each failure that wakes somebody, one delivery for each, and none that was not sent."""
        assert sorted(self._steps().values_list("incident__instrument__serial", "at")) == self._failures()
        assert AlertDelivery.objects.filter(change__in=self._steps()).count() == self._steps().count()
        # Recoveries are told, too: once each, to whoever was told of the failure.
        owed = AlertDelivery.objects.values_list("pk", "sent_at")
        assert all(sent_at for _, sent_at in owed)
        # At least once, and as one message where it came twice.
        mails = {str(mail["Message-ID"]).partition(".")[0] for _, mail in self.mailbox.mails}
        assert mails == {f"<delivery-{pk}" for pk, _ in owed}

    def _failures(self) -> list[tuple[str, datetime]]:
        """What somebody has to be told of: a failure since we look, and the one by which an instrument stood then."""
        found = []
        for serial in (self.steady, self.failing):
            checks = sics_told(self.mycirrus, serial, self.began - 30 * DAY, datetime.now(UTC))
            before = [row for row in checks if row["at"] < self.began.replace(microsecond=0)]
            found += [(serial, row["at"]) for row in before[-1:] + checks[len(before) :] if not row["passed"]]
        return sorted(found)

    @staticmethod
    def _steps() -> Any:
        return IncidentChange.objects.filter(incident__kind="sic_failed", step__in=("opened", "repeated"))

    def _compare_deliveries(self, whole_at: datetime) -> None:
        """What MyCirrus was told is stored is stored, and what is stored has taken effect once."""
        # Read before what is stored, to which more may come meanwhile.
        taken = {
            (record["webhook"], sha256(record["body"].encode()).hexdigest())
            for record in self.mycirrus.deliveries()
            if record["delivered"]
        }
        assert taken <= set(Delivery.objects.values_list("webhook_id", "digest"))
        just_come = Q(state=Delivery.State.RECEIVED, received_at__gte=whole_at)
        others = Delivery.objects.exclude(state=Delivery.State.PROCESSED).exclude(just_come)
        assert not list(others.values_list("received_at", "type", "state", "attempts", "effect"))

    def _said(self) -> str:
        targets = SyncTarget.objects.exclude(outcome__in=["ok", "unchanged"]).values_list(
            "resource", "instrument__serial", "lane", "outcome", "due_at", "lease_until", "message"
        )
        waiting = Delivery.objects.exclude(state=Delivery.State.PROCESSED).values_list("state", "attempts")
        told = {"wanting": self.wanting, "targets": list(targets), "deliveries": list(waiting)}
        return "\n".join([self.processes.said(), *(f"--- {name}\n{what}" for name, what in told.items())])


# Fetched once in an hour each.
OTHERS = ("octave", "third-octave", "weather", "stats", "events", "audio", "calibration-log")
AIR = ("particulates", "gases")
# These come when they come.
HAPPEN = ("events", "audio", "calibration-log")
# As HURRIED has it.
HISTORY = timedelta(days=3)
# How far back thirds are looked at: a day of them alone would take the simulator longer than all the rest.
THIRDS = timedelta(hours=2)


def _list_read(key: ApiKey) -> None:
    """The list of instruments, by which their targets come to be."""
    now = datetime.now(UTC)
    key_targets_refresh(api_key=key, now=now)
    for claim in due_claim(now=now, organisation_id=key.organisation_id):
        assert target_run(claim=claim) is not None
    # The back-fill is looked at by what most hangs on: of all resources it would take minutes a test.
    others = SyncTarget.objects.filter(lane=Lane.BACKFILL).exclude(resource=Resource.NOISE)
    others.update(done_at=now)
    thirds = SyncTarget.objects.filter(resource=Resource.THIRD_OCTAVE)
    thirds.filter(lane=Lane.LIVE).update(watermark_at=now - THIRDS - timedelta(minutes=5))
    thirds.exclude(lane=Lane.LIVE).update(done_at=now)


def _same(stored: list[Row], told: list[Row], what: str) -> None:
    missing = [row for row in told if row not in stored]
    more = [row for row in stored if row not in told]
    assert stored == told, f"{what}: {len(missing)} missing, {missing[:2]}; {len(more)} too many, {more[:2]}"


@contextmanager
def staged(
    folder: Path, *, data_dir: Path | None = None, python_path: Path | None = None, **environment: str
) -> Iterator[Stage]:
    """The installation, in the middle of its first sync; ``environment`` is what its processes are told besides.

    They find modules in ``python_path`` too.
    """
    # The same port and the same keys after it was away.
    mycirrus = SimulatedMyCirrus(f"--port={free_port()}", f"--state={folder / 'simulator.json'}")
    mailbox = Mailbox()
    mails = MailServer(mailbox, hostname="127.0.0.1", port=0)
    mails.start()
    owner = make_organisation("harbour")
    with mycirrus, organisation_scope(owner.pk):
        settings.MYCIRRUS_EXTRA_BASE_URLS = [mycirrus.base_url]
        # Targets are made here, and read by the processes.
        settings.HISTORY_DAYS = HISTORY.days
        steady, failing = mycirrus.serials()[0], mycirrus.character("failing-sic")
        air = next(
            row["serial"]
            for row in mycirrus.facts()["instruments"]
            if row["type"] == Instrument.Kind.AIR_QUALITY
        )
        secret = f"mycirrus-{secrets.randbelow(10**6):06}-{secrets.token_hex(8).upper()}"
        mycirrus.add_key(secret, None, [steady, failing, air])
        # Slow enough to be caught in the middle, however few requests it takes.
        mycirrus.moods(latency=1.0, path="/v1/data")
        alice = make_user("alice@example.com")
        join(owner, alice, Role.OWNER)
        asks(owner, alice)
        key = make_key(owner, secret, mycirrus.base_url)
        processes = Processes(
            data_dir or folder,
            folder,
            {
                "MYCIRRUS_EXTRA_BASE_URLS": mycirrus.base_url,
                "EMAIL_URL": f"smtp://127.0.0.1:{mails.port}",
                "DEFAULT_FROM_EMAIL": "alerts@noise.example",
                **environment,
            },
            python_path,
        )
        made = Stage(mycirrus, processes, mailbox, owner, steady, failing, air, datetime.now(UTC))
        try:
            processes.start()
            with Client(secret, base_url=mycirrus.base_url) as client:
                address = reverse("hook", args=[owner.webhook_token])
                webhooks_register(
                    client=client,
                    api_key=key,
                    serials=[steady, failing],
                    url=f"http://127.0.0.1:{processes.port}{address}",
                )
                _list_read(key)
            made.until(made.in_mid_sync, "the middle of the first sync")
            yield made
        finally:
            processes.close()
            mails.stop()
            connection.close()
