"""What a key may not read is shown as not allowed, never as if there were nothing."""

from datetime import UTC, datetime

from django.urls import reverse

from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from monitoring.models import Outcome, SyncTarget
from monitoring.sync.targets import targets_ensure
from tests.conftest import People, make_instrument, make_key


def test_what_is_not_allowed_is_not_shown_as_nothing(people: People) -> None:
    """Of this instrument; and where the next one's key may, an empty list says that there is nothing yet."""
    words = "MyCirrus does not let this be read. The key has no scope"
    with organisation_scope(people.organisation.pk):
        refused, let = (
            make_instrument(
                people.organisation,
                serial,
                api_key=make_key(people.organisation, secret),
                features=["Weather"],
            )
            for serial, secret in (("QT000001", "mycirrus-000001-AAAA"), ("QT000002", "mycirrus-000002-BBBB"))
        )
        targets_ensure(instruments=[refused, let], now=datetime.now(UTC))
        SyncTarget.objects.filter(instrument=refused).update(
            outcome=Outcome.NEEDS_ATTENTION, message="The key has no scope data.any:read."
        )
    client = people.client(people.bob)

    def told(name: str, unit: Instrument | None, *more: str) -> bool:
        where = [unit.serial, *more] if unit is not None else []
        page = client.get(reverse(f"monitoring:{name}", args=["harbour", *where]))
        assert page.status_code == 200, name
        return words in page.content.decode()

    of_one: list[tuple[str, ...]] = [
        *(
            ("levels",),
            ("levels-table",),
            ("instrument",),
            ("spectrum",),
            ("spectrum-json",),
            ("spectrogram",),
        ),
        *(("spectrogram-table",), ("samples", "weather"), ("samples-table", "weather")),
    ]
    for name, *more in of_one:
        assert told(name, refused, *more), name
        assert not told(name, let, *more), name
    assert told("events", None)
    assert told("recordings", None)
    stranger = people.client(people.charlie).get(f"/o/{people.other.slug}/events/")
    assert words not in stranger.content.decode()
