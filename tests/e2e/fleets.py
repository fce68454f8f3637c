"""Fleets to look at: rows in every state that a page has words for; it asks nobody and drives no browser."""

import io
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from instruments.models import Instrument, Membership, Organisation, Site, User
from instruments.mycirrus import Rows
from instruments.photos import photo_of, site_photo_set
from instruments.sites import deployment_start
from instruments.tenancy import organisation_scope
from monitoring.check_standings import standing_refresh
from monitoring.flags import impossible_note
from monitoring.models import (
    AlertDelivery,
    AlertKind,
    AlertPreference,
    CalendarFeed,
    Calibration,
    Calibrator,
    Certificate,
    EscalationStep,
    Event,
    FrequencyMeasurement,
    Incident,
    IncidentChange,
    InstrumentStatus,
    Maintenance,
    MonitorStats,
    NoiseMeasurement,
    Outcome,
    Resource,
    SyncTarget,
    SystemIntegrityCheck,
)
from monitoring.sync.rollups import noise_rollups_refresh, sample_rollups_refresh
from monitoring.sync.unread import unread_keep
from tests.conftest import make_instrument
from webhooks.models import Subscription

LEVELS = ("LAeq", "LAFMax", "LCPeak")


def monitor(
    organisation: Organisation, serial: str, name: str, *, now: datetime, type: str = "Noise", **present: Any
) -> Instrument:
    """An instrument with its present: measuring, its last level two minutes old, unless ``present`` says otherwise."""
    key = present.pop("api_key", None)
    instrument = make_instrument(
        organisation,
        serial,
        name=name,
        type=type,
        model={"Noise": "CR:900", "AirQuality": "AQ:110"}.get(type, "VB:8"),
        gone_at=present.pop("gone_at", None),
        api_key=key,
        latitude=52.95939,
        longitude=-1.19885,
        features=["SIC", "Modem"],
        subscription_status="Active",
        subscription_tier="Pro",
    )
    noise = {
        "level_at": now - timedelta(minutes=2),
        "level_seconds": 60,
        "LAeq": 54.2,
        "LAFMax": 63.1,
        "LCPeak": 79.9,
        "calibrated_at": now - timedelta(days=12),
        "calibration_status": "Success",
        "calibration_offset": 0.02,
        "sic_at": now - timedelta(hours=8),
        "sic_status": "Success",
        "sic_passed": True,
    }
    values = {
        "online": True,
        "measuring": True,
        "calibration_in_progress": False,
        "sic_in_progress": False,
        "observed_at": now,
        "online_since_at": now - timedelta(hours=20),
        "changed_at": now,
        **(noise if type == "Noise" else {}),
        **present,
    }
    with organisation_scope(organisation.pk):
        InstrumentStatus.objects.create(organisation=organisation, instrument=instrument, **values)
    return instrument


def change(instrument: Instrument, *, now: datetime, **values: Any) -> None:
    """What a poll would write."""
    with organisation_scope(instrument.organisation_id):
        InstrumentStatus.objects.filter(instrument=instrument).update(changed_at=now, **values)


def every_state(organisation: Organisation, *, now: datetime) -> dict[str, Instrument]:
    """A fleet with one instrument in each state, by the state's name, and one of each other type."""
    old = now - timedelta(hours=17)
    made = {
        "sic-failed": monitor(
            organisation, "QT000001", "Crane 4 North", now=now, sic_status="Failed", sic_passed=False
        ),
        "offline": monitor(
            organisation, "QT000002", "Quarry Gate", now=now, online=False, measuring=False, level_at=old
        ),
        "not-measuring": monitor(
            organisation, "QT000003", "Depot Yard", now=now, measuring=False, level_at=old
        ),
        "stale": monitor(
            organisation, "QT000004", "Mill Bridge", now=now, observed_at=now - timedelta(minutes=40)
        ),
        "empty": monitor(
            organisation,
            "QT000011",
            "Station Road",
            now=now,
            empty_since_at=now - timedelta(hours=5),
            LAeq=None,
            LAFMax=None,
            LCPeak=None,
        ),
        "checking": monitor(organisation, "QT000006", "School Lane", now=now, calibration_in_progress=True),
        "measuring": monitor(
            organisation, "QT000007", "Harbour Wall", now=now, LAeq=0.0, **_last_day("LAeq", 550, 120, now)
        ),
        "air": monitor(
            organisation,
            "AQ000008",
            "Market Square",
            now=now,
            type="AirQuality",
            latest={"PM2.5": 12.4, "PM10": 21.9},
            latest_at=now - timedelta(minutes=3),
            latest_seconds=60,
            **_last_day("PM2.5", 150, 90, now),
        ),
        # Without a newest value, but with a day that has some.
        "vibration": monitor(
            organisation,
            "VB000009",
            "Tunnel Portal",
            now=now,
            type="Vibration",
            **_last_day("PPV", 400, 390, now),
        ),
        "gone": monitor(organisation, "QT000010", "Old Pier", now=now, gone_at=now - timedelta(days=3)),
    }
    made["unknown"] = make_instrument(organisation, "QT000005", name="Ring Road East")
    return made


def _last_day(quantity: str, middle: int, swing: int, now: datetime) -> dict[str, Any]:
    """A day of this quantity, in its last decimals, with two hours missing."""
    numbers = [round(middle + swing * math.sin(number / 7)) for number in range(96)]
    told = ["" if 50 <= place < 58 else str(number) for place, number in enumerate(numbers)]
    return {"day_quantity": quantity, "day_values": ",".join(told), "day_at": now}


def levels(
    instrument: Instrument, *, now: datetime, hours: int = 24, gap: tuple[int, int] = (300, 420)
) -> None:
    """One measurement a minute up to ``now``, but for the minutes of ``gap`` counted from the first."""
    first = now.replace(second=0, microsecond=0) - timedelta(hours=hours)
    with organisation_scope(instrument.organisation_id):
        NoiseMeasurement.objects.bulk_create(
            [
                NoiseMeasurement(
                    organisation_id=instrument.organisation_id,
                    instrument=instrument,
                    start_at=first + timedelta(minutes=minute),
                    duration_s=60,
                    LAeq=level,
                    LAFMax=level + 9,
                    LCPeak=level + 25,
                )
                for minute, level in _day(hours * 60)
                if not gap[0] <= minute < gap[1]
            ],
            batch_size=500,
        )
        noise_rollups_refresh(instrument=instrument, first=first, last=now)


THIRD_NAMES = (
    "25 31.5 40 50 63 80 100 125 160 200 250 315 400 500 630 800 1K 1.25K 1.6K 2K 2.5K 3.15K 4K 5K 6.3K 8K"
)


def spectra(instrument: Instrument, *, now: datetime, minutes: int = 180) -> None:
    """Octaves and third octaves of each minute up to ``now``, twenty minutes of them missing."""
    first = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    bands = {
        FrequencyMeasurement.Bands.OCTAVE: ("31.5", "63", "125", "250", "500", "1K", "2K", "4K", "8K", "16K"),
        FrequencyMeasurement.Bands.THIRD: THIRD_NAMES.split(),
    }
    with organisation_scope(instrument.organisation_id):
        FrequencyMeasurement.objects.bulk_create(
            FrequencyMeasurement(
                organisation_id=instrument.organisation_id,
                instrument=instrument,
                bands=kind,
                start_at=first + timedelta(minutes=minute),
                duration_s=60,
                levels={
                    f"{name}Hz": round(
                        52 - 20 * place / len(names) + 5 * math.sin(minute / 23 + place / 2), 1
                    )
                    for place, name in enumerate(names)
                },
            )
            for kind, names in bands.items()
            for minute in range(minutes)
            if not 60 <= minute < 80
        )


def telemetry(instrument: Instrument, *, now: datetime, hours: int = 24, **present: float) -> None:
    """What the monitor told of itself every five minutes, and tells now but for ``present``."""
    owner = instrument.organisation_id
    health = {
        "voltage_v": 12.4,
        "disk_pct": 31.0,
        "temperature_c": 41.0,
        "sim_quota_mb": 5000,
        "sim_usage_mb": 900,
    }
    with organisation_scope(owner):
        MonitorStats.objects.bulk_create(
            MonitorStats(
                organisation_id=owner,
                instrument=instrument,
                start_at=now - timedelta(minutes=5 * number + 5),
                duration_s=300,
                voltage_v=12.4 + 0.4 * math.sin(number / 40),
                temperature_c=41 + 6 * math.sin(number / 50),
                lte_rsrp=-88 - number % 5,
                lte_rsrq=-11,
                lte_sinr=9 + number % 3,
                ping_ms=42 + number % 11,
                mem_mb=410,
                disk_mb=9100,
            )
            for number in range(12 * hours)
        )
        first = now - timedelta(days=8)
        sample_rollups_refresh(instrument=instrument, model=MonitorStats, first=first, last=now)
        InstrumentStatus.objects.filter(instrument=instrument).update(
            health={**health, **present}, health_at=now
        )


def events(instrument: Instrument, *, now: datetime, count: int = 6) -> None:
    """An event every two hours and a half, two minutes long."""
    owner = instrument.organisation_id
    with organisation_scope(owner):
        for number in range(1, count + 1):
            at = now - timedelta(minutes=150 * number)
            Event.objects.create(
                organisation_id=owner,
                instrument=instrument,
                start_at=at,
                end_at=at + timedelta(minutes=2),
                name="85 dB",
                level_db=86.0 + number,
            )


def _day(minutes: int) -> Iterator[tuple[int, float]]:
    for minute in range(minutes):
        yield minute, 55 + 6 * math.sin(minute / 230) + 2 * math.sin(minute * 1.7)


def checks(instrument: Instrument, *, now: datetime, failed: int = 2, count: int = 12) -> None:
    """Nightly SICs, the newest ``failed`` of them failed at 8 kHz, and monthly calibrations with one large step."""
    night = now.replace(hour=2, minute=0, second=0, microsecond=0)
    if night > now:
        night -= timedelta(days=1)
    owner = instrument.organisation_id
    with organisation_scope(owner):
        SystemIntegrityCheck.objects.bulk_create(
            [
                SystemIntegrityCheck(
                    organisation_id=owner,
                    instrument=instrument,
                    at=night - timedelta(days=index),
                    status="Failed" if index < failed else "Success",
                    passed=index >= failed,
                    level_500hz_db=98.5,
                    level_1khz_db=98.3,
                    level_8khz_db=62.1 if index < failed else 98.4,
                )
                for index in range(count)
            ]
        )
        Calibration.objects.bulk_create(
            [
                Calibration(
                    organisation_id=owner,
                    instrument=instrument,
                    at=night - timedelta(days=3 + 30 * index),
                    status="Success",
                    level_db=93.7,
                    offset_db=0.9 if index == 0 else 0.0,
                )
                for index in range(count)
            ]
        )
        standing_refresh(instrument=instrument)


def places(made: dict[str, Instrument], *, now: datetime, actor: User) -> Site:
    """A site with a photo, a past and a present, from `every_state`'s fleet; and an empty one beside it."""
    from PIL import Image

    owner = made["measuring"].organisation_id
    with organisation_scope(owner):
        site = Site.objects.create(
            organisation_id=owner,
            name="Harbour Road 1",
            address="1 Harbour Road, Nottingham",
            latitude=52.95939,
            longitude=-1.19885,
            timezone="Europe/Lisbon",
            placement=Site.Placement.FACADE,
            notes="Ask at the gate.\n\nThe mast stands on the roof of the workshop.",
        )
        Site.objects.create(organisation_id=owner, name="Mill Bridge", placement=Site.Placement.FREE_FIELD)
        kept = io.BytesIO()
        Image.linear_gradient("L").resize((800, 500)).convert("RGB").save(kept, "JPEG")
        kept.seek(0)
        site_photo_set(site=site, photo=photo_of(kept, len(kept.getvalue())), actor=actor)
        stays: tuple[tuple[str, int, int | None, str], ...] = (
            ("gone", 90, 30, ""),
            ("measuring", 30, None, "roof, north side, 4 m high"),
            ("offline", 12, None, "gate"),
        )
        for name, start, end, note in stays:
            deployment_start(
                instrument=made[name],
                site=site,
                start_at=now - timedelta(days=start),
                end_at=now - timedelta(days=end) if end else None,
                note=note,
                actor=actor,
            )
    return site


def drifting(instrument: Instrument, *, now: datetime, nights: int = 40) -> None:
    """Good SICs whose level at 8 kHz falls a hundredth of a decibel each night, after a good calibration."""
    owner = instrument.organisation_id
    with organisation_scope(owner):
        Calibration.objects.create(
            organisation_id=owner,
            instrument=instrument,
            at=now - timedelta(days=nights + 1),
            status="Success",
            level_db=93.7,
            offset_db=0.12,
        )
        SystemIntegrityCheck.objects.bulk_create(
            [
                SystemIntegrityCheck(
                    organisation_id=owner,
                    instrument=instrument,
                    at=now - timedelta(hours=8, days=index),
                    status="Success",
                    passed=True,
                    level_500hz_db=98.5,
                    level_1khz_db=98.3 + 0.02 * (index % 2),
                    level_8khz_db=round(98.0 + 0.01 * index, 2),
                )
                for index in range(nights)
            ]
        )
        standing_refresh(instrument=instrument)


def certificates(made: dict[str, Instrument], *, now: datetime) -> Certificate:
    """One that has run out, one that a newer one replaced, and a calibrator's."""
    owner, today = made["measuring"].organisation_id, now.date()
    with organisation_scope(owner):
        calibrator = Calibrator.objects.create(organisation_id=owner, serial="89123", model="CR:515")
        for number, of, issued, due in (
            ("U-1701", {"instrument": made["offline"]}, 760, -30),
            ("U-1702", {"instrument": made["measuring"]}, 800, -70),
            ("U-1801", {"instrument": made["measuring"]}, 70, 660),
            ("C-0042", {"calibrator": calibrator}, 200, 165),
        ):
            row = Certificate.objects.create(
                organisation_id=owner,
                number=number,
                laboratory="Trent Acoustics Laboratory (UKAS 0123)",
                issued_on=today - timedelta(days=issued),
                due_on=today + timedelta(days=due),
                **of,
            )
    return row


def impossible(instrument: Instrument, *, now: datetime) -> None:
    """What a broken sensor sent."""
    starts = [now - timedelta(minutes=2), now - timedelta(minutes=1)]
    with organisation_scope(instrument.organisation_id):
        impossible_note(
            instrument=instrument,
            table="noise",
            starts=starts,
            columns={"LAeq": [54.2, -99.0], "LCPeak": [250.0, 90.0]},
        )


def unread(instrument: Instrument, *, now: datetime) -> None:
    """Rows of a form that is not known here, one of another instrument, and in a list one that names none."""
    rows = [
        {"began": f"{now - timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}", "LAeq": 54.2, "unit": "dB"}
        for minute in range(3)
    ]
    other = {"instrument": "QT999999", "startTime": f"{now:%Y-%m-%dT%H:%M:%SZ}", "LAeq": 61.0}
    owner, nameless = instrument.organisation_id, {"name": "Quarry Gate 2", "type": "Noise"}
    with organisation_scope(owner):
        for target, odd in (
            (
                SyncTarget(organisation_id=owner, instrument=instrument, resource=Resource.NOISE),
                [*rows, other],
            ),
            (SyncTarget(organisation_id=owner, resource=Resource.INSTRUMENTS), [nameless]),
        ):
            unread_keep(target=target, rows=Rows([], odd), now=now)


def silent_webhooks(instrument: Instrument, *, now: datetime) -> None:
    """Webhooks in place that last spoke long before what is stored."""
    with organisation_scope(instrument.organisation_id):
        for hours, kind in ((5, "NewMeasurement"), (8, "NewEvent"), (9, "InstrumentStatus")):
            Subscription.objects.create(
                organisation_id=instrument.organisation_id,
                remote_id=f"{kind} of {instrument.serial}",
                type=kind,
                serial=instrument.serial,
                ciphertext="x",
                created_by_us=True,
                registered_at=now - timedelta(days=9),
                delivered_at=now - timedelta(hours=hours),
            )


def wishes(membership: Membership, instrument: Instrument, *, now: datetime) -> None:
    """What a member asked for: a calendar, one instrument's alerts, the next person, an hour of maintenance."""
    owner = membership.organisation_id
    with organisation_scope(owner):
        CalendarFeed.objects.create(organisation_id=owner, membership=membership, made_at=now)
        AlertPreference.objects.create(
            organisation_id=owner, membership=membership, kind=AlertKind.LEVEL, instrument=instrument
        )
        EscalationStep.objects.create(organisation_id=owner, membership=membership, after_minutes=30)
        Maintenance.objects.create(
            organisation_id=owner,
            instrument=instrument,
            start_at=now,
            end_at=now + timedelta(hours=1),
            reason="New windshield",
        )


def incident(instrument: Instrument, membership: Membership, *, now: datetime) -> Incident:
    """An open incident, heard of by one member."""
    owner = instrument.organisation_id
    with organisation_scope(owner):
        AlertPreference.objects.get_or_create(
            organisation_id=owner, membership=membership, kind=AlertKind.SIC_FAILED
        )
        opened = Incident.objects.create(
            organisation_id=owner, instrument=instrument, kind=AlertKind.SIC_FAILED, opened_at=now
        )
        step = IncidentChange.objects.create(
            organisation_id=owner, incident=opened, step=IncidentChange.Step.OPENED, cause="sic:1", at=now
        )
        AlertDelivery.objects.create(
            organisation_id=owner, change=step, recipient=membership.user, due_at=now, sent_at=now
        )
        return opened


def targets(instrument: Instrument, *, now: datetime) -> None:
    """How fetching stands: fine, but for the levels."""
    owner = instrument.organisation_id
    with organisation_scope(owner):
        for resource in (Resource.STATUS, Resource.CALIBRATIONS, Resource.SIC, Resource.NOISE):
            failing = resource == Resource.NOISE
            SyncTarget.objects.create(
                organisation_id=owner,
                api_key=instrument.api_key,
                instrument=instrument,
                resource=resource,
                due_at=now + timedelta(minutes=4),
                outcome=Outcome.TRANSIENT if failing else Outcome.OK,
                outcome_at=now,
                ok_at=now - timedelta(minutes=1),
                message="MyCirrus did not answer in time." if failing else "",
            )
