"""Finding an instrument by what somebody types, in a fleet of any size."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError

from instruments.instrument_field import OFFERED, InstrumentField
from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_instrument


@pytest.fixture
def field(people: People) -> InstrumentField:
    for serial, name in (("QT1", "Crane 4 North"), ("QT2", "Crane 4 South"), ("QT10", "Quarry Gate")):
        make_instrument(people.organisation, serial, name=name)
    make_instrument(people.other, "QT99", name="Elsewhere")
    return InstrumentField()


def test_serial_number_or_enough_of_the_name(people: People, field: InstrumentField) -> None:
    with organisation_scope(people.organisation.pk):
        for text, serial in (("QT1", "QT1"), ("qt10", "QT10"), (" gate ", "QT10"), ("crane 4 s", "QT2")):
            assert field.clean(text).serial == serial
        # One that MyCirrus no longer lists is found only by its whole number: its certificate may be looked for.
        Instrument.objects.filter(serial="QT2").update(gone_at=datetime.now(UTC))
        assert field.clean("crane").serial == "QT1"
        assert field.clean("QT2").serial == "QT2"


def test_what_fits_several_names_them(people: People, field: InstrumentField) -> None:
    with organisation_scope(people.organisation.pk), pytest.raises(ValidationError) as refused:
        field.clean("crane")
    assert "Crane 4 North (QT1), Crane 4 South (QT2)" in refused.value.messages[0]


@pytest.mark.parametrize("text", ["Elsewhere", "QT99", "%", "nothing"])
def test_nobody_elses_instrument_is_found(people: People, field: InstrumentField, text: str) -> None:
    with organisation_scope(people.organisation.pk), pytest.raises(ValidationError):
        field.clean(text)


def test_a_small_fleet_is_offered_and_a_large_one_is_not(people: People, field: InstrumentField) -> None:
    with organisation_scope(people.organisation.pk):
        shown = field.widget.render("instrument", "")
        assert '<option value="QT10">Quarry Gate</option>' in shown
        assert "QT99" not in shown
        now = datetime.now(UTC)
        Instrument.objects.bulk_create(
            Instrument(organisation=people.organisation, serial=f"X{number}", first_seen_at=now, seen_at=now)
            for number in range(OFFERED)
        )
        assert "<option" not in field.widget.render("instrument", "")
