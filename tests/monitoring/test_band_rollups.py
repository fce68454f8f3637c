"""Rollups of spectra: exact at each moment, and there when their rows are gone."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from instruments.models import Instrument, Organisation
from instruments.mycirrus.types import FrequencyMeasurement as Spectrum
from instruments.tenancy import organisation_scope
from monitoring.charts.spectra import spectrogram
from monitoring.models import BandRollup, Bucket, FrequencyMeasurement, Resource, Retention
from monitoring.storage.retention import rows_drop
from monitoring.sync.histories import HISTORIES
from tests.conftest import make_instrument
from tests.monitoring.truth import band_rollups_are_exact, exported

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEGAN = NOON - timedelta(hours=30, minutes=7)
OCTAVE = FrequencyMeasurement.Bands.OCTAVE
NAMES = ("31.5Hz", "1KHz", "8KHz")


@pytest.fixture
def instrument(organisation: Organisation) -> Iterator[Instrument]:
    with organisation_scope(organisation.pk):
        yield make_instrument(organisation)


def spectrum(number: int, levels: dict[str, float | None], seconds: float | None = 60.0) -> Spectrum:
    at = BEGAN + number * MINUTE
    end = None if seconds is None else at + timedelta(seconds=seconds)
    return Spectrum("QT000001", at, end, seconds, "Octave", levels, {})


def store(instrument: Instrument, rows: list[Spectrum]) -> None:
    HISTORIES[Resource.OCTAVE].store(instrument, rows, NOON)


def by_chance(instrument: Instrument) -> None:
    """Spectra with holes among them, bands that are missing now and then, some that do not say how long they lasted."""
    chance = random.Random(5)
    rows = []
    for number in range(1500):
        if chance.random() < 0.1 or 200 < number < 260:
            continue
        levels = {name: chance.choice([None, *[chance.uniform(15, 90)] * 3]) for name in NAMES}
        rows.append(spectrum(number, levels, chance.choice([60.0, 30.0, None])))
    # The newest one's length is that of those which say none.
    store(instrument, [*rows, spectrum(1500, {"1KHz": 1e300}), spectrum(1501, dict.fromkeys(NAMES, 50.0))])


def test_they_are_the_sums_of_their_rows_and_follow_corrections(instrument: Instrument) -> None:
    by_chance(instrument)
    FrequencyMeasurement.objects.filter(start_at=BEGAN + 1500 * MINUTE).delete()
    for _ in range(2):
        # Corrected, late, and one in the place of what no number holds the energy of.
        store(
            instrument,
            [spectrum(7, {"1KHz": 99.0}), spectrum(230, {"8KHz": 12.0}), spectrum(1500, {"1KHz": 40.0})],
        )
        band_rollups_are_exact(instrument, OCTAVE)
    assert BandRollup.objects.filter(bucket_s=Bucket.DAY).count() == 2


def test_a_band_that_is_corrected_away_is_in_no_sum(instrument: Instrument) -> None:
    day = 25 * 60
    store(instrument, [spectrum(0, {"1KHz": 40.0, "8KHz": 30.0}), spectrum(day, {"1KHz": 40.0})])
    # The answer names the band, so that the first row is known to be without it.
    store(instrument, [spectrum(0, {"1KHz": 41.0}), spectrum(day, {"1KHz": 40.0, "8KHz": 31.0})])
    assert FrequencyMeasurement.objects.get(start_at=BEGAN).levels == {"1KHz": 41.0}
    band_rollups_are_exact(instrument, OCTAVE)


@pytest.mark.parametrize("days", [7, 30, 365])
def test_a_spectrogram_shows_what_its_rows_held_when_they_are_gone(
    instrument: Instrument, organisation: Organisation, days: int
) -> None:
    by_chance(instrument)
    asked: Any = {
        "instrument": instrument,
        "bands": OCTAVE,
        "start": NOON - days * DAY,
        "end": NOON,
        "now": NOON,
    }
    before = spectrogram(**asked)
    Retention.objects.create(organisation=organisation, resource=Resource.OCTAVE, days=31)
    assert rows_drop(organisation=organisation, now=NOON + 60 * DAY)
    assert not FrequencyMeasurement.objects.exists()
    assert before.count > 1000
    assert spectrogram(**asked) == before


def test_what_was_stored_before_there_were_any_gets_them(instrument: Instrument) -> None:
    """The migration writes what the code does, and nothing twice where it is run again."""
    by_chance(instrument)
    order = ("bucket_s", "start_at")
    kept = list(BandRollup.objects.order_by(*order).values())
    BandRollup.objects.all().delete()
    module = import_module("monitoring.migrations.0035_band_rollups_of_what_is_stored")
    for _ in range(2):
        module.fill(apps, SimpleNamespace(connection=connection))
        made = list(BandRollup.objects.order_by(*order).values())
        assert [row | {"sums": None} for row in made] == [row | {"sums": None} for row in kept]
        for row, same in zip(made, kept, strict=True):
            assert row["sums"].keys() == same["sums"].keys()
            for name, held in row["sums"].items():
                assert held == pytest.approx(same["sums"][name])


def test_they_are_exported(instrument: Instrument) -> None:
    by_chance(instrument)
    days = exported("octave-days")
    assert [(row["duration"], row["type"]) for row in days] == [(86400, "Octave")] * 2
    stored = BandRollup.objects.filter(bucket_s=Bucket.DAY).order_by("start_at")
    assert [row["sums"] for row in days] == [each.sums for each in stored]
