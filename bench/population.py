"""Fills a throw-away installation with organisations, people and instruments, by fixed seeds; it measures nothing."""

from datetime import UTC, datetime, timedelta
from random import Random

from django.db import connection
from django.test import Client

from instruments.models import ApiKey, Instrument, Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope
from monitoring.models import InstrumentStatus, SyncTarget
from monitoring.sync.targets import targets_ensure

KEY = "mycirrus-000001-5111C0DE5111C0DE"


def organisation_make(slug: str) -> Organisation:
    return Organisation.objects.create(name=slug.title(), slug=slug)


def viewer_cookie(organisation: Organisation) -> str:
    """The Cookie header of a signed-in viewer of ``organisation``."""
    user = User.objects.create_user(f"viewer@{organisation.slug}.example", None)
    with organisation_scope(organisation.pk):
        Membership.objects.create(organisation=organisation, user=user, role=Role.VIEWER)
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def key_make(organisation: Organisation, base_url: str = "") -> ApiKey:
    with organisation_scope(organisation.pk):
        key = ApiKey(organisation=organisation, label="Main", state=ApiKey.State.GOOD)
        if base_url:
            key.base_url = base_url
        key.secret_set(KEY)
        key.save()
        return key


def fleet_make(
    organisation: Organisation, serials: list[str], *, key: ApiKey | None = None, seed: int = 1
) -> list[Instrument]:
    """Instruments with a present of every kind, and their targets where there is a key to read them with."""
    chance, now = Random(seed), datetime.now(UTC)
    with organisation_scope(organisation.pk):
        Instrument.objects.bulk_create(
            [
                Instrument(
                    organisation=organisation,
                    serial=serial,
                    type="Noise",
                    model="QT-300",
                    name=f"Monitor {number} at {chance.choice(('quay', 'school', 'bridge', 'works'))}",
                    api_key=key,
                    first_seen_at=now,
                    seen_at=now,
                    detailed_at=now,
                )
                for number, serial in enumerate(serials)
            ],
            batch_size=500,
        )
        instruments = list(Instrument.objects.filter(serial__in=serials).order_by("pk"))
        InstrumentStatus.objects.bulk_create(
            [
                InstrumentStatus(
                    organisation=organisation,
                    instrument=instrument,
                    online=chance.random() > 0.05,
                    measuring=chance.random() > 0.05,
                    calibration_in_progress=False,
                    sic_in_progress=False,
                    # A little ahead, so that nothing goes stale while it is measured.
                    observed_at=now + timedelta(hours=1),
                    online_since_at=now - timedelta(hours=chance.randrange(1, 500)),
                    level_at=now - timedelta(seconds=90),
                    level_seconds=60,
                    LAeq=chance.uniform(40, 80),
                    LAFMax=chance.uniform(60, 95),
                    LCPeak=chance.uniform(80, 115),
                    calibrated_at=now - timedelta(days=chance.randrange(40)),
                    calibration_status="Passed",
                    calibration_offset=chance.uniform(-0.5, 0.5),
                    sic_at=now - timedelta(hours=chance.randrange(48)),
                    sic_status="Passed",
                    sic_passed=chance.random() > 0.02,
                    changed_at=now,
                )
                for instrument in instruments
            ],
            batch_size=500,
        )
        if key is not None:
            targets_ensure(instruments=instruments[:1], now=now)
            # Planned for the empty tables of a moment ago, the copy would compare every row with every other.
            analysed()
            _targets_copy(instruments[0])
    return instruments


def _targets_copy(example: Instrument) -> None:
    """Give the rest of the fleet the targets of ``example``: by the database, for there are hundreds of thousands."""
    fields = [field for field in SyncTarget._meta.concrete_fields if not field.primary_key]
    names = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(
        'other."id"' if field.name == "instrument" else f'one."{field.column}"' for field in fields
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{SyncTarget._meta.db_table}" ({names}) SELECT {values} '
            f'FROM "{SyncTarget._meta.db_table}" AS one, "{Instrument._meta.db_table}" AS other '
            'WHERE one."instrument_id" = %s AND other."id" <> %s AND other."organisation_id" = one."organisation_id"',
            [example.pk, example.pk],
        )


def serials_make(count: int) -> list[str]:
    return [f"QT{number:06d}" for number in range(count)]


def analysed() -> None:
    """Give the planner its statistics, which a database that has lived for a day has."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
