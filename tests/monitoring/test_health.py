"""The health of a fleet: worst first, one notice for each cause, at a cost that does not grow."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring.health import fleet_health, health_notices
from monitoring.models import InstrumentStatus, MonitorStats
from monitoring.vitals import Concern, Vital, readings_of, sim_used_pct
from tests.conftest import People, make_instrument

NOW = datetime.now(UTC)
WELL = {"voltage_v": 12.6, "disk_pct": 12.0, "temperature_c": 41.0, "sim_quota_mb": 5000, "sim_usage_mb": 100}


def tells(
    organisation: Organisation,
    serial: str,
    *,
    ago: timedelta = timedelta(),
    rsrp: float | None = -85.0,
    **more: float,
) -> Instrument:
    """A monitor that told of itself: well, but for ``more``."""
    made = make_instrument(organisation, serial, name=f"Monitor {serial}")
    with organisation_scope(organisation.pk):
        owned = {"organisation": organisation, "instrument": made}
        InstrumentStatus.objects.create(**owned, changed_at=NOW, health={**WELL, **more}, health_at=NOW - ago)
        MonitorStats.objects.create(**owned, start_at=NOW - timedelta(minutes=9), lte_rsrp=-60.0)
        MonitorStats.objects.create(**owned, start_at=NOW - timedelta(minutes=5), lte_rsrp=rsrp)
    return made


@pytest.fixture
def fleet(people: People) -> Iterator[None]:
    tells(people.organisation, "QT1")
    tells(people.organisation, "QT2", voltage_v=11.5)
    tells(people.organisation, "QT3", voltage_v=10.4, disk_pct=96.0)
    tells(people.organisation, "QT4", voltage_v=10.9)
    tells(people.organisation, "QT5", rsrp=-121.0)
    tells(people.organisation, "QT6", voltage_v=9.0, ago=timedelta(days=3))
    tells(people.other, "QT7", voltage_v=1.0)
    make_instrument(people.organisation, "AQ1", type="AirQuality")
    with organisation_scope(people.organisation.pk):
        yield


def test_bounds_hold_at_the_bound_and_a_gap_is_no_concern() -> None:
    told = {reading.vital: reading for reading in readings_of({"voltage_v": 11.8, "disk_pct": 95.0}, None)}
    assert told[Vital.VOLTAGE].concern == Concern.WATCH
    assert told[Vital.DISK].concern == Concern.ACT
    assert (told[Vital.SIGNAL].value, told[Vital.SIGNAL].concern) == (None, Concern.NONE)
    assert sim_used_pct({"sim_quota_mb": 0, "sim_usage_mb": 10}) is None
    assert sim_used_pct({"sim_quota_mb": 200, "sim_usage_mb": 50}) == 25


def test_the_worst_come_first_and_old_news_last(fleet: None) -> None:
    order = [each.serial for each in fleet_health(now=NOW)]
    assert order == ["QT3", "QT4", "QT5", "QT2", "QT1", "QT6"]
    # The newest signal, not the strongest.
    assert {each.serial: each.readings[1].value for each in fleet_health(now=NOW)}["QT5"] == -121


def test_there_is_one_notice_for_each_cause(fleet: None) -> None:
    told = health_notices(fleet_health(now=NOW))
    assert [notice.title for notice in told] == ["2 monitors:", "1 monitor:", "1 monitor:"]
    assert "11.0\N{NO-BREAK SPACE}V or lower. Monitor QT3, Monitor QT4." in told[0].text
    assert "−120\N{NO-BREAK SPACE}dBm or weaker. Monitor QT5." in told[1].text


def test_the_page_shows_units_and_leaves_what_is_asked_for(people: People, fleet: None) -> None:
    bob = people.client(people.bob)
    page = bob.get("/o/harbour/health/").content.decode()
    assert "QT7" not in page
    assert '10.4<span class="unit">V</span>' in page
    assert "1 instrument tells nothing of itself" in page
    disk = bob.get("/o/harbour/health/?vital=disk").content.decode()
    assert "i/QT3/" in disk
    assert "i/QT4/" not in disk
    assert bob.get("/o/harbour/health/?vital=%00").status_code == 200
    assert people.client(people.charlie).get("/o/harbour/health/").status_code == 404


def test_a_refresh_stays_on_the_page_that_is_looked_at(
    people: People, fleet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.views.health.PER_PAGE", 1)
    bob, address = people.client(people.bob), "/o/harbour/health/"
    page = bob.get(f"{address}?vital=voltage&page=2").content.decode()
    asked = page.partition('id="health-table"')[2].partition('hx-get="')[2].partition('"')[0]
    again = bob.get(address + asked.replace("&amp;", "&"), headers={"HX-Request": "true"}).content.decode()
    for shown in (page, again):
        assert re.findall(r"/i/(QT\d)/#health", shown) == ["QT4"]


def test_an_empty_fleet_is_told_what_to_do(people: People) -> None:
    page = people.client(people.bob).get("/o/harbour/health/").content.decode()
    assert "data.system:read" in page


def test_the_page_costs_the_same_for_a_hundred(people: People, fleet: None) -> None:
    bob = people.client(people.bob)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert bob.get("/o/harbour/health/").status_code == 200
        return len(queries)

    before = cost()
    for number in range(100, 190):
        tells(people.organisation, f"QT{number}")
    assert cost() == before
