"""Events and recordings are let go by a rule, with what was fetched of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from instruments.tenancy import organisation_scope
from monitoring.media.fetch import cache, files_of
from monitoring.models import EventTag, Resource, Retention
from monitoring.storage import retention
from monitoring.storage.retention import HAPPENED, rows_drop
from tests.conftest import People, make_instrument

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("resource", [Resource.EVENTS, Resource.AUDIO])
def test_happenings_go_with_their_sound_unless_somebody_spoke_of_them(
    people: People, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(retention, "CHUNK", 2)
    model: Any = HAPPENED[resource]
    kept: dict[int, list[Path]] = {}
    for organisation in (people.organisation, people.other):
        with organisation_scope(organisation.pk):
            instrument = make_instrument(organisation, "QT000001")
            for days in (1, 39, 41, 42, 43, 100):
                told: Any = {"instrument": instrument, "start_at": NOW - timedelta(days=days)}
                if resource == Resource.EVENTS:
                    told |= {"name": "Loud", "audio_id": f"a{days}", "time_history_id": f"h{days}"}
                else:
                    told |= {"remote_id": f"r{days}"}
                made = model.objects.create(organisation=organisation, **told)
                kept[made.pk] = files_of(made)
                for place in kept[made.pk]:
                    cache().write(place, [b"RIFF"], most=100)
    with organisation_scope(people.organisation.pk):
        Retention.objects.create(resource=resource, days=40)
        old = model.objects.filter(start_at__lt=NOW - timedelta(days=40)).order_by("start_at")
        said = old.first() if resource == Resource.EVENTS else None
        if said:
            EventTag.objects.create(event=said, comment="A dog", changed_at=NOW)
        gone = set(old.values_list("pk", flat=True)) - {said.pk if said else None}
    assert rows_drop(organisation=people.organisation, now=NOW) == len(gone) == (3 if said else 4)
    assert rows_drop(organisation=people.other, now=NOW) == 0
    with organisation_scope(people.organisation.pk):
        assert model.objects.count() == 6 - len(gone)
    with organisation_scope(people.other.pk):
        assert model.objects.count() == 6
    assert all(place.exists() is (pk not in gone) for pk, places in kept.items() for place in places)
    assert rows_drop(organisation=people.organisation, now=NOW) == 0
