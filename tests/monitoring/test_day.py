"""The line of the last day: exact levels, gaps as gaps, and moved along by time alone."""

from datetime import UTC, datetime, timedelta

import pytest

from instruments.models import Instrument, Organisation
from instruments.mycirrus import NoiseMeasurement
from instruments.tenancy import organisation_scope
from monitoring.acoustics.day import QUARTER, QUARTERS, day_line, day_text
from monitoring.models import InstrumentStatus
from monitoring.sync.ingest import noise_store
from tests.conftest import make_instrument

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _energies(levels: dict[int, float]) -> dict[datetime, tuple[float, float]]:
    """Quarter hours before noon with these levels."""
    return {NOON - number * QUARTER: (900 * 10 ** (level / 10), 900.0) for number, level in levels.items()}


def test_the_text_holds_levels_and_gaps() -> None:
    text = day_text(_energies({0: 55.04, 1: 60.0, 3: 48.26}), NOON + timedelta(minutes=7))
    assert text == "483,,600,550"
    assert day_text({}, NOON) == ""
    assert len(day_text(_energies({QUARTERS - 1: 50}), NOON).split(",")) == QUARTERS
    assert day_text(_energies({QUARTERS: 50}), NOON) == ""
    # A full day of the longest levels fits its column.
    full = day_text(_energies(dict.fromkeys(range(QUARTERS), 120.0)), NOON)
    assert len(full) <= InstrumentStatus._meta.get_field("day_levels").max_length


def test_the_line_is_broken_where_nothing_was_measured() -> None:
    line = day_line("483,,600,550", NOON, NOON + timedelta(minutes=14))
    assert line is not None
    assert (line.left, line.lowest, line.highest, line.measured) == (0, 48.3, 60.0, 3)
    assert line.path == "M92 17.7h1M94 13.7h1V15.4h1"


def test_time_moves_the_line_and_takes_what_is_older_than_a_day() -> None:
    text = day_text(_energies(dict.fromkeys(range(QUARTERS), 50.0)), NOON)
    for passed, measured in ((1, 95), (95, 1)):
        line = day_line(text, NOON, NOON + passed * QUARTER)
        assert line is not None
        assert (line.left, line.measured) == (passed, measured)
        assert line.path.startswith(f"M{passed} ")
    assert day_line(text, NOON, NOON + QUARTERS * QUARTER) is None
    assert day_line(text, None, NOON) is None


@pytest.mark.django_db
def test_it_is_stored_with_the_levels_and_late_ones_are_in_it(organisation: Organisation) -> None:
    instrument = make_instrument(organisation)
    with organisation_scope(organisation.pk):
        _store(instrument, NOON, [60.0, 70.0])
        assert _stored(instrument) == "674"
        _store(instrument, NOON - 2 * QUARTER, [50.0])
        assert _stored(instrument) == "500,,674"
        # History changes nothing of it.
        _store(instrument, NOON - timedelta(days=3), [90.0])
        assert _stored(instrument) == "500,,674"
        _store(instrument, NOON + timedelta(days=1), [40.0])
        assert _stored(instrument) == "400"


def _store(instrument: Instrument, at: datetime, levels: list[float]) -> None:
    rows = [
        NoiseMeasurement(
            serial=instrument.serial,
            start_at=at + timedelta(minutes=number),
            end_at=None,
            duration_s=60.0,
            values={"LAeq": level},
            labels={},
            document={},
        )
        for number, level in enumerate(levels)
    ]
    noise_store(instrument=instrument, rows=rows, now=at)


def _stored(instrument: Instrument) -> str:
    return InstrumentStatus.objects.get(instrument=instrument).day_levels
