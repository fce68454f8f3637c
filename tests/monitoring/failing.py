"""Checks that fail or pass as MyCirrus would tell of them, and people who asked to hear of it."""

from datetime import UTC, datetime, timedelta

from django.db import transaction

from instruments.models import Instrument, Membership, Organisation, User
from instruments.mycirrus import Sic
from instruments.tenancy import organisation_scope
from monitoring.alerts.incidents import sics_judge
from monitoring.models import AlertKind, AlertPreference
from monitoring.sync.ingest import sics_store

SEEN = datetime(2026, 11, 20, tzinfo=UTC)
NIGHT = datetime(2026, 11, 21, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def check(at: datetime, status: str = "Failed", level: float | None = 98.4) -> Sic:
    return Sic(
        serial="QT000001",
        at=at,
        status=status,
        level_500hz_db=98.5,
        level_1khz_db=98.3,
        level_8khz_db=level,
        document={"time": at.isoformat(), "status": status},
    )


def arrive(instrument: Instrument, *checks: Sic) -> None:
    """One answer of MyCirrus, stored and judged as the sync does."""
    now = datetime.now(UTC)
    with transaction.atomic():
        news = sics_store(instrument=instrument, rows=checks, now=now)
        sics_judge(instrument=instrument, checks=news, now=now)


def asks(organisation: Organisation, user: User) -> AlertPreference:
    with organisation_scope(organisation.pk):
        membership = Membership.objects.get(user=user)
        return AlertPreference.objects.create(
            organisation=organisation, membership=membership, kind=AlertKind.SIC_FAILED
        )
