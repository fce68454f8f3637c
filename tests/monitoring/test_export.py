"""What MyCirrus gave comes out again as it gave it: each series, row by row, under its names, in its units."""

from datetime import UTC, datetime, timedelta

import pytest

from instruments.models import Instrument, Organisation
from instruments.tenancy import organisation_scope
from monitoring import export
from monitoring.models import (
    CalibrationLogEntry,
    Event,
    FrequencyMeasurement,
    Outcome,
    WeatherSample,
)
from monitoring.sync.claims import due_claim
from monitoring.sync.run import target_run
from tests.conftest import People, make_instrument
from tests.monitoring.conftest import NewKey, start
from tests.monitoring.truth import MIRRORED, exported, series_stored, series_told
from tests.simulated import SimulatedMyCirrus

START = datetime(2026, 3, 29, tzinfo=UTC)


def everything_due(owner: Organisation) -> None:
    with organisation_scope(owner.pk):
        while claims := due_claim(now=datetime.now(UTC), organisation_id=owner.pk):
            for claim in claims:
                turn = target_run(claim=claim)
                # What failed would be asked for again in half a minute, and missing here.
                assert turn is not None
                assert turn.outcome in (Outcome.OK, Outcome.UNCHANGED), turn


def test_every_series_comes_out_as_it_went_in(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several pages of everything.
    monkeypatch.setattr(export, "PAGE", 7)
    noise = mycirrus.serials()[0]
    start(new_key(noise, mycirrus.serials("AirQuality")[0], mycirrus.serials("Vibration")[0]))
    everything_due(organisation)
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    begin = end - timedelta(hours=20)
    with organisation_scope(organisation.pk):
        serials = list(Instrument.objects.order_by("serial").values_list("serial", flat=True))
        for resource in MIRRORED:
            since = end - timedelta(days=300) if resource == "calibration-log" else begin
            expected = [
                row for serial in serials for row in series_told(mycirrus, resource, serial, since, end)
            ]
            assert expected, resource
            got = [row for serial in serials for row in series_stored(resource, serial, since, end)]
            assert got == expected, resource
            assert len(exported(resource, start=since, end=end)) == len(got), resource


def test_bands_of_one_width_are_paged_without_the_other(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    instrument = make_instrument(people.organisation)
    with organisation_scope(people.organisation.pk):
        FrequencyMeasurement.objects.bulk_create(
            FrequencyMeasurement(
                organisation=people.organisation,
                instrument=instrument,
                bands=bands,
                start_at=START + timedelta(minutes=n),
                duration_s=60,
                levels={"1KHz": float(n)},
            )
            for bands in ("Octave", "Third")
            for n in range(5)
        )
        for resource, kind in (("octave", "Octave"), ("third-octave", "Third")):
            rows = exported(resource)
            assert [row["bands"] for row in rows] == [{"1KHz": float(n)} for n in range(5)]
            assert {row["type"] for row in rows} == {kind}


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_rows_of_one_instant_survive_the_end_of_a_page(
    people: People, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(export, "PAGE", page)
    instrument = make_instrument(people.organisation)
    own = {"organisation": people.organisation, "instrument": instrument}
    with organisation_scope(people.organisation.pk):
        for minute in range(2):
            at = START + timedelta(minutes=minute)
            for number in range(3):
                Event.objects.create(**own, start_at=at, name=f"Rule {number}")
                CalibrationLogEntry.objects.create(**own, at=at, digest=str(number), message=f"note {number}")
        names = [f"Rule {number}" for number in range(3)]
        assert [row["name"] for row in exported("events")] == names * 2
        assert [row["message"] for row in exported("calibration-log")] == ["note 0", "note 1", "note 2"] * 2


def test_pressure_is_the_vendors_bar_and_a_missing_one_stays_missing(people: People) -> None:
    instrument = make_instrument(people.organisation)
    with organisation_scope(people.organisation.pk):
        for minute, hpa in enumerate((1012.0, 1013.25, 0.0, None)):
            WeatherSample.objects.create(
                organisation=people.organisation,
                instrument=instrument,
                start_at=START + timedelta(minutes=minute),
                pressure_hpa=hpa,
            )
        assert [row["pressure"] for row in exported("weather")] == [1.012, 1.01325, 0.0, None]
