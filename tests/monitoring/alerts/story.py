"""One organisation whose clock is moved, and what its people heard so far, over a real SMTP server."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from instruments.models import Instrument, Membership, Organisation, User
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.mycirrus import Status
from instruments.tenancy import organisation_scope
from monitoring.alerts.deliveries import deliveries_claim, delivery_send
from monitoring.alerts.facts import watch_judge
from monitoring.alerts.nagging import incidents_nag
from monitoring.models import AlertPreference, AlertWatch, Severity
from monitoring.sync.ingest import noise_store, status_store
from tests.conftest import People
from tests.monitoring.mailserver import Mailbox

# A Monday, ten in the morning in London.
START = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Story:
    """One organisation whose clock is moved, and what its people heard so far."""

    def __init__(self, people: People, mailbox: Mailbox, clock: Any) -> None:
        self.people, self.mailbox, self.clock = people, mailbox, clock
        self.owner: Organisation = people.organisation

    @property
    def now(self) -> datetime:
        return timezone.now()

    def asks(self, user: User, minimum: int = Severity.AMBER, kind: str = "") -> None:
        AlertPreference.objects.create(
            organisation=self.owner,
            membership=Membership.objects.get(user=user),
            kind=kind,
            minimum=minimum,
        )

    def passes(self, length: timedelta) -> None:
        """Time goes on minute by minute, and the tick with it."""
        until = self.now + length
        while self.now < until:
            self.clock.shift(min(MINUTE, until - self.now))
            self.tick()

    def tick(self) -> None:
        now = self.now
        for watch in AlertWatch.objects.filter(due_at__lte=now).select_related("rule", "instrument"):
            watch_judge(watch, now)
        incidents_nag(now=now)
        for organisation_id, delivery_id, token in deliveries_claim(now=now):
            with organisation_scope(organisation_id):
                assert delivery_send(delivery_id=delivery_id, token=token)

    def heard(self) -> list[tuple[str, str]]:
        """(who, first line) of each mail since the last time that was asked."""
        told = []
        for address, mail in self.mailbox.mails:
            part = mail.get_body(preferencelist=("plain",))
            assert part is not None
            told.append((address.split("@")[0], part.get_content().splitlines()[0]))
        self.mailbox.mails.clear()
        return sorted(told)

    def status(self, instrument: Instrument, online: bool, measuring: bool | None = None) -> None:
        row = Status(
            online=online,
            measuring=online if measuring is None else measuring,
            calibration_in_progress=False,
            sic_in_progress=False,
            last_calibration=None,
            last_sic=None,
            document={},
        )
        with transaction.atomic():
            status_store(instrument=instrument, row=row, now=self.now)
        self.tick()

    def levels(self, instrument: Instrument, *levels: float | None, name: str = "LAeq") -> None:
        """One minute each, ending now: the clock goes along."""
        for level in levels:
            start = self.now
            self.clock.shift(MINUTE)
            row = NoiseRow(
                serial=instrument.serial,
                start_at=start,
                end_at=self.now,
                duration_s=60.0,
                values={} if level is None else {name: level},
                labels={},
                document={},
            )
            with transaction.atomic():
                noise_store(instrument=instrument, rows=[row], now=self.now)
            self.tick()
