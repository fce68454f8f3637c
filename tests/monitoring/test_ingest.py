"""What MyCirrus answered is stored as it came, known to us or not."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import Organisation
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.mycirrus import levels, parsing
from instruments.tenancy import organisation_scope
from monitoring.models import NoiseMeasurement, Resource
from monitoring.storage.retention import KEPT_IN
from monitoring.sync.histories import HISTORIES
from monitoring.sync.ingest import noise_store
from tests.conftest import make_instrument
from tests.monitoring.truth import exported

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "labels",
    [
        [{}, {}],
        [{"LeqT1Type": "LAeq,5m"}, {"LeqT1Type": "LAeq,5m"}],
        [{"LeqT1Type": "LAeq,5m"}, {"LeqT1Type": "LAeq,15m", "LeqT2Type": "LCeq,1h"}],
        [{}, {"LeqT2Type": "LCeq,1h"}],
    ],
)
def test_what_comes_beside_the_known_values_is_kept_with_its_row(
    organisation: Organisation, labels: list[Mapping[str, str]]
) -> None:
    starts = [NOON + number * MINUTE for number in range(len(labels))]
    rows = [
        NoiseRow("QT000001", at, at + MINUTE, 60.0, {"LAeq": 55.0}, each, {})
        for at, each in zip(starts, labels, strict=True)
    ]
    with organisation_scope(organisation.pk):
        instrument = make_instrument(organisation)
        assert noise_store(instrument=instrument, rows=rows, now=NOON)
        stored = NoiseMeasurement.objects.filter(instrument=instrument).order_by("start_at")
        assert list(stored.values_list("start_at", "extra")) == list(
            zip(starts, [dict(each) or None for each in labels], strict=True)
        )


PARSERS: dict[str, Callable[[list[Any]], Any]] = {
    Resource.OCTAVE: lambda documents: levels.frequency_measurements(documents, "QT000001"),
    Resource.THIRD_OCTAVE: lambda documents: levels.frequency_measurements(documents, "QT000001"),
    **{
        resource: lambda documents, parser=parser: parsing.rows(documents, parser, "QT000001")  # type: ignore[misc]
        for resource, parser in {
            Resource.WEATHER: parsing.weather,
            Resource.PARTICULATES: parsing.particulates,
            Resource.GASES: parsing.gases,
            Resource.PPV: parsing.ppv,
            Resource.VDV: parsing.vdv,
            Resource.STATS: parsing.monitor_stats,
        }.items()
    },
}
FRAME = {"instrument": "QT000001", "StartTime": "2026-11-22T12:00:00Z"}


def test_each_series_is_tried() -> None:
    assert set(PARSERS) == set(KEPT_IN) - {Resource.NOISE}


@pytest.mark.django_db
@pytest.mark.parametrize("resource", PARSERS)
def test_members_that_nobody_knows_are_kept_and_exported(organisation: Organisation, resource: str) -> None:
    beside = {"dewPoint": 4.2, "flags": ["wet"], "Sensor": {"serial": "A1"}}
    plain: list[Any] = [{**FRAME, "period": 60}, {**FRAME, "StartTime": "2026-11-22T12:01:00Z"}]
    if resource in (Resource.OCTAVE, Resource.THIRD_OCTAVE):
        plain = [{**each, "type": "Octave", "bands": [{"name": "1KHz", "value": 50}]} for each in plain]
    elif resource == Resource.STATS:
        plain = [{**each, "cpu": 12} for each in plain]
    else:
        # Only what has a length of its own is asked for one.
        plain = [{key: value for key, value in each.items() if key != "period"} for each in plain]
    model: Any
    model, where = KEPT_IN[resource]
    with organisation_scope(organisation.pk):
        instrument = make_instrument(organisation)

        def kept() -> list[Any]:
            found: Any = model.objects.filter(instrument=instrument, **where).order_by("start_at")
            return list(found.values_list("extra", flat=True))

        HISTORIES[resource].store(instrument, PARSERS[resource](plain), NOON)
        assert kept() == [None, None]
        HISTORIES[resource].store(instrument, PARSERS[resource]([{**plain[0], **beside}, plain[1]]), NOON)
        assert kept() == [beside, None]
        # A thinner answer takes nothing away.
        HISTORIES[resource].store(instrument, PARSERS[resource](plain), NOON)
        assert [row["extra"] for row in exported(resource.replace("_", "-"))] == [beside, None]
