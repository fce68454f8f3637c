"""Every kind is rehearsed by what is stored of the past, or says why nothing is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from monitoring.alerts.kinds import KINDS
from monitoring.alerts.rehearsal import NO_PAST, rehearse
from monitoring.alerts.rule_forms import RuleForm
from monitoring.alerts.rules import Draft
from monitoring.models import (
    AlertKind,
    Calibration,
    Gap,
    InstrumentStatus,
    MonitorStats,
    NoiseMeasurement,
)
from tests.conftest import People, make_instrument

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def unit(people: People) -> Any:
    made = make_instrument(people.organisation, first_seen_at=NOW - 200 * DAY)
    with organisation_scope(people.organisation.pk):
        yield made


def lives(kind: str, **settings: Any) -> list[tuple[int, datetime, datetime | None]]:
    told = rehearse(draft=Draft(kind, "Rule", settings), now=NOW)
    assert told.no_past == ""
    return [(each.worst, each.opened_at, each.closed_at) for each in told.lives]


def test_no_data_by_the_ledger_of_gaps(unit: Instrument) -> None:
    for start, hours, kind in (
        (NOW - 40 * DAY, 3, Gap.Kind.ABSENT),
        (NOW - 30 * DAY, 0.5, Gap.Kind.ABSENT),
        # Off by its own word: that is another rule's affair.
        (NOW - 20 * DAY, 9, Gap.Kind.OFF),
        (NOW - 2 * HOUR, 2, Gap.Kind.ABSENT),
    ):
        Gap.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            resource="noise",
            start_at=start,
            end_at=start + hours * HOUR,
            kind=kind,
            found_at=NOW,
        )
    assert lives(AlertKind.NO_DATA, amber=60, red=120) == [
        (2, NOW - 40 * DAY + HOUR, NOW - 40 * DAY + 3 * HOUR),
        (1, NOW - HOUR, None),
    ]


def minutes(unit: Instrument, start: datetime, *levels: tuple[int, float | None]) -> None:
    """So many minutes of each level from ``start`` on, one after another."""
    at, rows = start, []
    for count, level in levels:
        rows += [(at + number * MINUTE, level) for number in range(count)]
        at += count * MINUTE
    NoiseMeasurement.objects.bulk_create(
        NoiseMeasurement(
            organisation_id=unit.organisation_id, instrument=unit, start_at=at, duration_s=60.0, LAeq=level
        )
        for at, level in rows
    )


def test_no_data_by_rows_without_a_value(unit: Instrument) -> None:
    dead = NOW - 40 * DAY
    minutes(unit, dead - 5 * MINUTE, (5, 50.0), (50, None))
    # A gap between empty rows is of the same silence.
    Gap.objects.create(
        organisation_id=unit.organisation_id,
        instrument=unit,
        resource="noise",
        start_at=dead + 50 * MINUTE,
        end_at=dead + 60 * MINUTE,
        kind=Gap.Kind.ABSENT,
        found_at=NOW,
    )
    minutes(unit, dead + HOUR, (90, None), (5, 50.0), (30, None), (1, 50.0))
    minutes(unit, NOW - 80 * MINUTE, (5, 50.0), (75, None))
    assert lives(AlertKind.NO_DATA, amber=60, red=120) == [
        (2, dead + HOUR, dead + 150 * MINUTE),
        (1, NOW - 15 * MINUTE, None),
    ]


def test_overdue_by_the_calibrations(unit: Instrument) -> None:
    for days, status in ((150, "Success"), (60, "Failed"), (50, "Success"), (5, "Success")):
        Calibration.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            at=NOW - days * DAY,
            status=status,
            offset_db=0.0,
        )
    moment = timedelta(seconds=1)
    assert lives(AlertKind.CALIBRATION_OVERDUE, amber=30, red=95) == [
        # Overdue already when the ninety days begin, red five days on; a failed one ends nothing.
        (2, NOW - 90 * DAY, NOW - 50 * DAY),
        (1, NOW - 20 * DAY + moment, NOW - 5 * DAY),
    ]


def test_the_disk_by_its_telemetry(unit: Instrument) -> None:
    for hours, used in ((4, 700.0), (3, 850.0), (2, 960.0), (1, 100.0)):
        MonitorStats.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            start_at=NOW - hours * HOUR,
            disk_mb=used,
            disk_total_mb=1000.0,
        )
    assert lives(AlertKind.DISK, amber=80, red=95) == [(2, NOW - 3 * HOUR, NOW - HOUR)]


@pytest.mark.parametrize("kind", [kind for kind in AlertKind if kind in NO_PAST])
def test_what_has_no_past_says_why(unit: Instrument, kind: AlertKind) -> None:
    told = rehearse(draft=Draft(kind, "Rule", {"amber": 80, "red": 95}), now=NOW)
    assert told.no_past
    assert told.lives == []


def test_of_sim_and_subscription_it_says_what_would_open_at_once(unit: Instrument) -> None:
    InstrumentStatus.objects.create(
        organisation_id=unit.organisation_id,
        instrument=unit,
        health={"sim_usage_mb": 900, "sim_quota_mb": 1000},
        health_at=NOW,
        changed_at=NOW,
    )
    Instrument.objects.update(subscription_status="Expired")
    sim = rehearse(draft=Draft(AlertKind.SIM, "Rule", {"amber": 80, "red": 95}), now=NOW)
    assert [(each.worst, each.closed_at) for each in sim.lives] == [(1, None)]
    subscription = rehearse(draft=Draft(AlertKind.SUBSCRIPTION, "Rule", {}), now=NOW)
    assert [each.worst for each in subscription.lives] == [2]


@pytest.mark.parametrize("kind", [AlertKind(kind) for kind in KINDS])
def test_every_kind_is_rehearsed_or_says_why_not(people: People, unit: Instrument, kind: AlertKind) -> None:
    settings = {
        setting.name: {"amber": "80", "red": "95"}.get(setting.name, "1") for setting in KINDS[kind].settings
    }
    if KINDS[kind].falling:
        settings = (
            {"amber": "-80", "red": "-95"} if kind == AlertKind.SIGNAL else {"amber": "11", "red": "10"}
        )
    if kind == AlertKind.LEVEL:
        settings = {
            "metric": "LAeq",
            "over": "recorded",
            "red": "70",
            "coverage_pct": "75",
            "days": [str(day) for day in range(7)],
            "start": "00:00",
            "end": "00:00",
            "on_holidays": "same",
        }
    page = people.client(people.adam).post(
        f"/o/harbour/alerts/rules/new/?kind={kind}", {"name": "Rule", "do": "rehearse", **settings}
    )
    assert page.status_code == 200, page.content.decode()[:3000]
    text = page.content.decode()
    assert ("So it cannot be rehearsed" in text) == (kind in NO_PAST)


@pytest.mark.parametrize(
    ("kind", "limits", "refused"),
    [
        (AlertKind.VOLTAGE, {"amber": "11.5", "red": "10"}, ""),
        (AlertKind.VOLTAGE, {"red": "0.5"}, "never be reached"),
        (AlertKind.VOLTAGE, {"amber": "90"}, "always be reached"),
        (AlertKind.DISK, {"amber": "100"}, "never be reached"),
        (AlertKind.DISK, {"amber": "0", "red": "90"}, "always be reached"),
        (AlertKind.TEMPERATURE, {"red": "140"}, "never be reached"),
        (AlertKind.SIGNAL, {"amber": "-30"}, "always be reached"),
        (AlertKind.SIGNAL, {"amber": "-110", "red": "-120"}, ""),
        (AlertKind.OFFLINE, {"amber": "60", "red": "15"}, "Red has to lie beyond amber"),
    ],
)
def test_a_rule_that_can_never_or_would_always_speak_says_so(
    people: People, kind: str, limits: dict[str, str], refused: str
) -> None:
    form = RuleForm(kind, {"name": "Rule", **limits}, instruments=[], sites=[])
    told = str(form.errors)
    assert (refused in told) if refused else not form.errors


@pytest.mark.parametrize(
    ("kind", "limits", "kept"),
    [
        ("offline", {"amber": "0", "red": "60"}, {"amber": 0.0, "red": 60.0}),
        ("temperature", {"red": "0"}, {"red": 0.0}),
        ("temperature", {"red": "60"}, {"red": 60.0}),
    ],
)
def test_a_limit_of_zero_is_kept(
    people: People, kind: str, limits: dict[str, str], kept: dict[str, float]
) -> None:
    form = RuleForm(kind, {"name": "Rule", **limits}, instruments=[], sites=[])
    assert form.is_valid(), form.errors
    assert {name: form.draft().settings.get(name) for name in kept} == kept
