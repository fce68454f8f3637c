"""What MyCirrus answered is stored as it came, known to us or not."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from instruments.models import Organisation
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.tenancy import organisation_scope
from monitoring.models import NoiseMeasurement
from monitoring.sync.ingest import noise_store
from tests.conftest import make_instrument

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
